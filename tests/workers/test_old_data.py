"""What the first release stored, under today's worker: who waited is called, who opted out is not."""

from app.domain.jobs import JobState
from tests.integration.test_migrations import fill
from tests.workers.conftest import Campaigns, RunningSimulator, until

CONTACTS = {
    "+56980000012": JobState.FAILED,  # opted out in the other batch, on another phone
    "+56980000005": JobState.COMPLETED,
    "+56980000001": JobState.COMPLETED,
}


async def test_whom_today_s_worker_calls(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    container = campaigns.container
    batches, jobs = container.database.collection("batches"), container.database.collection("jobs")
    await fill(container.database, "first_release")
    batch = await batches.find_one({"name": "Encuesta"})
    assert batch is not None
    now = container.clock.now()
    await batches.update_one({"_id": batch["_id"]}, {"$set": {"wake_at": now}})
    await jobs.update_many({"batch_id": batch["_id"]}, {"$set": {"due_at": now}})
    # Its other batch has a call that this simulator knows nothing of, and one for tomorrow.
    await jobs.delete_many({"batch_id": {"$ne": batch["_id"]}, "state": {"$in": ["in_call", "pending"]}})
    await container.database.collection("accounts").update_many({}, {"$set": {"reservations": {}}})
    assert await container.migrator.begin_again()
    await container.prepare_database(migrate=True)

    async def is_over() -> bool:
        found = await batches.find_one({"_id": batch["_id"]})
        return found is not None and found["status"] == "completed"

    worker = await campaigns.worker()
    async with worker.running():
        await until(is_over)
    called = [create["to_number"] for create in await simulator.creates()]
    assert sorted(called) == ["+56980000001", "+56980000005"]
    stored = {job["contact"]["phones"][0]: job async for job in jobs.find({"batch_id": batch["_id"]})}
    assert {phone: job["state"] for phone, job in stored.items()} == CONTACTS
    assert stored["+56980000012"]["reason"]["code"] == "on_do_not_call_list"
