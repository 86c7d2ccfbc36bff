"""Never two calls to one person at once, over batches, phones and workers; and nobody who asked for peace."""

import asyncio
from typing import Any

from app.domain.accounts import Account
from app.domain.batches import Batch
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job, JobState, WaitingFor
from tests.workers.conftest import Campaigns, RunningSimulator, Worker, numbers

ROUNDS = 25


async def one_person_in_two_batches(campaigns: Campaigns, account: Account, number: int) -> tuple[Batch, Batch]:
    """The same RUT under another phone: nothing but the id tells that it is one person."""
    rut = f"{10_000_000 + number}-{number % 10}"
    first, second = numbers(2, 2 * number)
    return (
        await campaigns.batch(account, [], contacts=[{"name": "Ana", "phones": [first], "rut": rut}]),
        await campaigns.batch(account, [], contacts=[{"name": "Ana", "phones": [second], "rut": rut.replace("-", "")}]),
    )


async def claim_one_each(workers: tuple[Worker, Worker], campaigns: Campaigns, batches: tuple[Batch, Batch]) -> None:
    """Both jobs leased, each by another worker."""
    queue = workers[0].work._queue
    for slot, (worker, batch) in enumerate(zip(workers, batches, strict=True)):
        now = campaigns.container.clock.now()
        worker.control.renewed_at = campaigns.container.clock.monotonic()  # no runner beats its heart here
        (job,), _ = await queue.claim(
            batch.batch_id, [slot], [slot], worker_id=worker.control.worker_id, lease=worker.control.lease, now=now
        )
        assert job.state is JobState.LEASED


async def test_two_workers_that_race_for_one_person_never_both_call(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Both may step back, which costs them a few seconds; both going on would ring two phones of one person."""
    workers = (await campaigns.worker("left"), await campaigns.worker("right"))
    account = await campaigns.account()
    called = 0
    for number in range(ROUNDS):
        batches = await one_person_in_two_batches(campaigns, account, number)
        await claim_one_each(workers, campaigns, batches)
        jobs = [await campaigns.job(batch) for batch in batches]
        await asyncio.gather(*(worker.work._dialing.dial(job) for worker, job in zip(workers, jobs, strict=True)))

        after = [await campaigns.job(batch) for batch in batches]
        calling = [job for job in after if job.state is JobState.IN_CALL]
        called += len(calling)
        assert len(calling) <= 1
        for job in after:
            if job not in calling:
                assert (job.state, job.waiting_for, job.attempts) == (JobState.PENDING, WaitingFor.PERSON, 0)
                assert job.reason is not None
                assert job.reason.code == "person_in_another_call"
                assert 14 < (job.due_at - job.updated_at).total_seconds() < 61
        for job in calling:
            # Out of the next round's way.
            await campaigns.set_job(job, state="completed")
        await campaigns.container.database.collection("jobs").update_many(
            {}, {"$unset": {"slot": "", "provider_slot": ""}}
        )
    assert (await simulator.summary())["calls_created"] == called


async def test_intents_stored_at_the_same_moment_see_each_other(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """The worst interleaving: neither saw the other before, both intents are in the database, then both look again."""
    workers = (await campaigns.worker("left"), await campaigns.worker("right"))
    account = await campaigns.account()
    batches = await one_person_in_two_batches(campaigns, account, 0)
    await claim_one_each(workers, campaigns, batches)
    jobs = [await campaigns.job(batch) for batch in batches]
    both = asyncio.Barrier(2)
    for worker in workers:
        _meet_after_intent(worker, both)

    await asyncio.gather(*(worker.work.process(job) for worker, job in zip(workers, jobs, strict=True)))

    after = [await campaigns.job(batch) for batch in batches]
    assert [(job.state, job.waiting_for, job.attempts) for job in after] == [
        (JobState.PENDING, WaitingFor.PERSON, 0)
    ] * 2
    assert await simulator.creates() == []
    await campaigns.assert_ledger_exact(account)


def _meet_after_intent(worker: Worker, both: asyncio.Barrier) -> None:
    queue = worker.work._dialing._queue
    intend = queue.intend

    async def together(*args: Any, **kwargs: Any) -> Job | None:
        stored = await intend(*args, **kwargs)
        await both.wait()
        return stored

    queue.intend = together  # type: ignore[method-assign] # the interleaving under test


async def test_without_an_answer_from_the_do_not_call_list_nobody_is_called(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    (job,) = await worker.work.claim(10)

    async def away(*_: Any) -> None:
        raise DatabaseUnavailable

    worker.work._dialing._admission._do_not_call.standing = away  # type: ignore[method-assign, assignment] # the failure
    await worker.work.process(job)

    stored = await campaigns.job(batch)
    assert (stored.state, stored.attempts) == (JobState.PENDING, 0)
    assert stored.reason is not None
    assert stored.reason.code == "admission_failed"
    assert await simulator.creates() == []
