"""Found by reading: what two who work at once, or a slow database, made of the dial protocol."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from app.domain.batches import BatchStatus, ScheduleType
from app.domain.errors import Conflict
from app.domain.jobs import Job, JobState
from tests.workers.conftest import Campaigns, RunningSimulator, has_status, numbers, until


async def test_a_database_that_is_slow_delays_calls_but_does_not_prevent_them(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Deciding takes longer than a start is good for, every time."""
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker(retell_calls_per_second=4)
    accounts = worker.work._dialing._funding._accounts
    reserve = accounts.reserve

    async def slow(*args: Any, **kwargs: Any) -> bool:
        await asyncio.sleep(0.3)
        return await reserve(*args, **kwargs)

    accounts.reserve = slow  # type: ignore[method-assign] # the slowness
    async with worker.running():
        await until(partial(has_status, campaigns, batch, BatchStatus.COMPLETED))

    assert len(await simulator.creates()) == 1


async def test_cancelling_one_contact_does_not_start_a_batch_before_its_time(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    start = campaigns.container.clock.now() + timedelta(hours=1)
    batch = await campaigns.batch(
        await campaigns.account(),
        [[n] for n in numbers(2)],
        schedule_type=ScheduleType.SCHEDULED,
        scheduled_at=start,
    )
    (unwanted, _) = await campaigns.jobs(batch)
    worker = await campaigns.worker()
    await campaigns.container.jobs.cancel(unwanted.job_id, user="test")
    await worker.work.claim(10)

    stored = await campaigns.stored(batch)
    assert (stored.status, stored.wake_at) == (BatchStatus.SCHEDULED, batch.scheduled_at)


async def test_cancelling_one_contact_does_not_undo_the_import_of_its_batch(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    batch = await campaigns.batch(await campaigns.account(), [[n] for n in numbers(2)])
    lease = campaigns.container.clock.now() + timedelta(minutes=2)
    importing = {"status": BatchStatus.IMPORTING.value, "import_expires_at": lease, "wake_at": lease}
    await campaigns.container.database.collection("batches").update_one({"_id": batch.batch_id}, {"$set": importing})
    (unwanted, _) = await campaigns.jobs(batch)
    worker = await campaigns.worker()
    await campaigns.container.jobs.cancel(unwanted.job_id, user="test")
    await worker.work.claim(10)

    assert (await campaigns.stored(batch)).status is BatchStatus.IMPORTING
    assert [job.state for job in await campaigns.jobs(batch)] == [JobState.CANCELLED, JobState.PENDING]


async def test_a_retry_that_comes_just_after_its_batch_was_cancelled_leaves_nothing_pending(
    campaigns: Campaigns, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers are done with the batch already: nobody would ever look at the contact again."""
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    (job,) = await campaigns.jobs(batch)
    worker = await campaigns.worker()
    jobs = campaigns.container.jobs._jobs
    reopen = jobs.reopen
    await campaigns.container.jobs.cancel(job.job_id, user="test")

    async def late(*args: Any, **kwargs: Any) -> Job | None:
        await campaigns.container.batches.cancel(batch.batch_id, user="another")
        await worker.work.claim(10)
        return await reopen(*args, **kwargs)

    monkeypatch.setattr(jobs, "reopen", late)
    with pytest.raises(Conflict):
        await campaigns.container.jobs.retry(job.job_id, user="test")

    assert (await campaigns.job(batch)).state is JobState.CANCELLED
