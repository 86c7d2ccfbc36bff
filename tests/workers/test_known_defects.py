"""What users of other campaign systems complain about (docs/proofs.md lists it), where no other test asks for it."""

from datetime import timedelta

from app.domain.batches import BatchStatus
from app.domain.jobs import JobState
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    closed_hours,
    has_status,
    leased,
    let_lease_expire,
    numbers,
    until,
)


async def test_when_every_batch_is_paused_nobody_is_called(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """A filter over the active batches that vanishes with the last of them dials them all."""
    account = await campaigns.account()
    batches = [await campaigns.batch(account, [[number]]) for number in numbers(3)]
    for batch in batches:
        await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
    worker = await campaigns.worker()

    assert await worker.work.claim(10) == []
    await worker.runner().run_once()

    assert await simulator.creates() == []
    assert {job.state for batch in batches for job in await campaigns.jobs(batch)} == {JobState.PENDING}


async def test_edited_hours_count_at_the_next_claim(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """Settings that are cached for minutes call for minutes after the operator said no."""
    batch = await campaigns.batch(await campaigns.account(), [[number] for number in numbers(2)], max_attempts=1)
    worker = await campaigns.worker()
    (first,) = await worker.work.claim(1)
    await worker.work._dialing.dial(first)
    settings = batch.call_settings.model_copy(update={"hours": closed_hours(campaigns)})
    await campaigns.container.batches.change(batch.batch_id, {"call_settings": settings}, is_active=None, user="test")

    assert await worker.work.claim(1) == []

    assert len(await simulator.creates()) == 1


async def test_a_call_past_its_maximum_is_stopped_and_followed_never_redialed(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """A local time-out that fails the job dials again while the first call is live."""
    phone = numbers(1)
    await simulator.script({phone[0]: [{"stuck": "ongoing"}]})
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    await worker.work._dialing.dial(job)

    async def somebody_talks() -> bool:
        # Stopped while it still rang it would have reached nobody, and be tried again in its time.
        calls = (await simulator.http.get("/simulator/calls")).json()["calls"]
        return [call["call_status"] for call in calls] == ["ongoing"]

    await until(somebody_talks)
    long_ago = campaigns.container.clock.now() - timedelta(minutes=5)
    await campaigns.set_job(job, **{"attempt.intent_at": long_ago, "attempt.placed_by": long_ago})
    await let_lease_expire(campaigns, job)

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert len(await simulator.creates()) == 1
    (entry,) = (await campaigns.job(batch)).history
    assert entry.disconnection_reason == "manual_stopped"
