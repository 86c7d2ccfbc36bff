"""kill -9 between any two steps from a call's end to its receiver: everything is told, under the same ids."""

from datetime import timedelta
from pathlib import Path

from app.bootstrap import Container
from app.domain.batches import BatchStatus
from app.repositories.embedded_mongod import EmbeddedMongod
from tests.chaos.deaths import DEATHS_OF_TELLING
from tests.chaos.processes import Processes, dies, environment_for
from tests.workers.conftest import Campaigns, RunningSimulator, has_status, numbers, until
from tests.workers.outgoing import subscribed
from tests.workers.receiver import receiving


async def test_a_worker_that_dies_anywhere_loses_no_event(
    campaigns: Campaigns,
    simulator: RunningSimulator,
    mongod: EmbeddedMongod,
    container: Container,
    tmp_path: Path,
) -> None:
    """One worker after the other dies, each at its point; then an ordinary one does the rest."""
    processes = Processes(tmp_path)
    environment = environment_for(
        mongod.uri,
        "cadencia_test",
        simulator.url,
        WEBHOOK_ANY_TARGET="true",
        WEBHOOK_TIMEOUT_SECONDS="5",
        RETELL_API_KEY="key_test",
    )
    account = await campaigns.account(limit=1)
    async with receiving() as receiver:
        _, secret = await subscribed(container, account, f"{receiver.url}/x")
        batch = await campaigns.batch(account, [[phone] for phone in numbers(2)])
        webhooks = container.database.collection("webhooks")
        try:
            for death in ("10f", *DEATHS_OF_TELLING):
                await dies(processes.worker(f"victim-{death}", environment, death))
                # The lease of the dead runs out, as it would in a minute.
                past = container.clock.now() - timedelta(seconds=1)
                await webhooks.update_many({"lease_until": {"$exists": True}}, {"$set": {"lease_until": past}})
            processes.worker("rescuer", environment)

            async def all_told() -> bool:
                pending = {"$or": [{"untold_at": {"$exists": True}}, {"status": "pending"}]}
                counts = [
                    await container.database.collection(name).count_documents(pending)
                    for name in ("batches", "webhook_deliveries")
                ]
                left = await container.database.collection("jobs").count_documents({"untold_at": {"$exists": True}})
                done = await has_status(campaigns, batch, BatchStatus.COMPLETED)
                return done and not left and not any(counts) and len(set(receiver.ids("/x"))) >= 5

            await until(all_told, 90)
        finally:
            await processes.end()
    attempts = [record.attempt_id for job in await campaigns.jobs(batch) for record in job.history]
    events = {one.event_id: one.event["type"] for one in receiver.received}
    assert sorted(events.values()) == [
        "batch.finished",
        "call.finished",
        "call.finished",
        "contact.final",
        "contact.final",
    ]
    assert {f"call_finished_{attempt_id}" for attempt_id in attempts} <= events.keys()
    assert all(one.is_signed_with(secret) for one in receiver.received)
    # Sent, answered, and not recorded: at least that one came twice, to the byte, under one id.
    assert len(receiver.received) > len(events)
    assert len({(one.event_id, one.body) for one in receiver.received}) == len(events)
