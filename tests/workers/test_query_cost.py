"""Every operation of a worker on MongoDB, as its profiler counts it, while calls are made beside a large backlog."""

from datetime import timedelta

from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import JobState
from tests.profiling import profiled, unfit
from tests.workers.conftest import Campaigns, RunningSimulator, has_status, let_lease_expire, numbers, until

BACKLOG = 2000
DAY = timedelta(days=1)


async def test_no_operation_of_a_worker_looks_at_more_than_it_is_about(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Claimed, dialed, followed, settled, retried, rescued, completed, stopped."""
    phones = numbers(6)
    await simulator.script(
        {phones[0]: ["dial_busy"], phones[1]: ["voicemail_reached"], phones[2]: ["dial_no_answer", "user_hangup"]}
    )
    account = await campaigns.account()
    backlog = [await campaigns.batch(account, [numbers(1, 900 + place)]) for place in range(3)]
    await pile_up(campaigns, backlog[0], JobState.PENDING, BACKLOG)
    await pile_up(campaigns, backlog[1], JobState.COMPLETED, BACKLOG)
    await pile_up(campaigns, backlog[2], JobState.FAILED, BACKLOG)
    batch = await campaigns.batch(account, [[phone] for phone in phones])
    dead = await campaigns.worker("dead")
    left = [job for job in await dead.work.claim(20) if job.batch_id == batch.batch_id]
    assert left
    for job in left:
        await let_lease_expire(campaigns, job)

    async with profiled(campaigns.container.database) as operations:
        worker = await campaigns.worker("living")
        async with worker.running():
            await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    seen = {(operation.collection, operation.kind) for operation in operations}
    assert {("jobs", "findandmodify"), ("jobs", "update"), ("batches", "find"), ("accounts", "find")} <= seen
    assert "IXSCAN { lease_until: 1 }" in {operation.plan for operation in operations}
    # A backlog may be complete by now: it is counted once.
    assert unfit(operation for operation in operations if not operation.counts_finished) == []


async def pile_up(campaigns: Campaigns, batch: Batch, state: JobState, count: int) -> None:
    """`count` more jobs like the batch's first; pending ones are due in a day."""
    jobs = campaigns.container.database.collection("jobs")
    first = await jobs.find_one({"batch_id": batch.batch_id})
    assert first is not None
    due_at = first["due_at"] + (DAY if state is JobState.PENDING else timedelta())
    more = {"state": state.value, "due_at": due_at}
    await jobs.insert_many([first | more | {"_id": f"{first['_id']}-{number}"} for number in range(count)])
