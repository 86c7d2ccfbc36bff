"""What Retell allows is shared by all workers: calls at once, starts a second, pauses."""

import contextlib
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.provider_limits import ProviderState
from app.repositories.provider_limits import MongoProviderLimits
from tests.workers.conftest import Campaigns, RunningSimulator, Worker, has_status, numbers, until

FINISHED = BatchStatus.COMPLETED


async def finished(campaigns: Campaigns, *batches: Batch) -> bool:
    return all([await has_status(campaigns, batch, FINISHED) for batch in batches])


async def state(campaigns: Campaigns) -> ProviderState:
    return await MongoProviderLimits(campaigns.container.database).read()


async def dial_all(worker: Worker, jobs: list[Job]) -> None:
    for job in jobs:
        await worker.work._dialing.dial(job)


async def rejected(simulator: RunningSimulator) -> list[dict[str, Any]]:
    return [create for create in await simulator.creates() if create["result"] == "rejected"]


# Calls at once ----------------------------------------------------------------------------------------------------


async def test_all_workers_and_accounts_together_stay_below_what_retell_says(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.knobs(concurrency_limit=5, reserved_inbound_concurrency=2)
    batches = [
        await campaigns.batch(await campaigns.account(limit=10), [[n] for n in numbers(8, start=100 * i)])
        for i in range(2)
    ]
    async with contextlib.AsyncExitStack() as running:
        for name in ("one", "two"):
            await running.enter_async_context((await campaigns.worker(name)).running())
        await until(partial(finished, campaigns, *batches), seconds=60)

    assert (await simulator.summary())["peak_simultaneous"] == 3
    assert await rejected(simulator) == []


async def test_a_setting_lowers_the_ceiling(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    await simulator.knobs(concurrency_limit=5)
    await campaigns.batch(await campaigns.account(limit=10), [[n] for n in numbers(8)])
    worker = await campaigns.worker(retell_max_concurrent_calls=2)
    assert [
        job.provider_slot for job in sorted(await worker.work.claim(10), key=lambda job: job.provider_slot or 0)
    ] == [0, 1]
    assert await worker.work.claim(10) == []


async def test_a_retell_that_does_not_tell_keeps_what_it_said_last(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.knobs(concurrency_limit=3)
    await campaigns.batch(await campaigns.account(limit=10), [[n] for n in numbers(30)])
    first = await campaigns.worker()
    assert len(await first.work.claim(1)) == 1
    await simulator.knobs(read_faults=[{"status_code": 500}])
    second = await campaigns.worker("second")
    await second.work.tidy()
    assert len(await second.work.claim(20)) == 2


async def test_a_ceiling_that_was_lowered_meanwhile_keeps_a_claimed_job_from_being_dialed(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    batch = await campaigns.batch(await campaigns.account(limit=10), [[n] for n in numbers(5)])
    worker = await campaigns.worker()
    jobs = await worker.work.claim(5)
    await simulator.knobs(concurrency_limit=5)
    await worker.work.tidy()
    kept = sorted(job.provider_slot for job in jobs if job.provider_slot is not None and job.provider_slot < 5)
    await dial_all(worker, jobs)

    assert len(await simulator.creates()) == len(kept)
    for job in await campaigns.jobs(batch):
        if job.state is JobState.PENDING:
            assert (job.attempts, job.slot, job.provider_slot) == (0, None, None)
            assert job.reason is not None
            assert job.reason.code == "at_provider_limit"


async def test_a_limit_that_was_lowered_drains_before_anything_is_added(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """High slots still held count against the lower limit, though low ones are free."""
    await simulator.knobs(concurrency_limit=20)
    account = await campaigns.account(limit=20)
    batch = await campaigns.batch(account, [[n] for n in numbers(20)])
    worker = await campaigns.worker()
    for number, job in enumerate(await worker.work.claim(4)):
        await campaigns.set_job(job, slot=100 + number, provider_slot=100 + number)
    await simulator.knobs(concurrency_limit=4)
    await worker.work.tidy()
    assert await worker.work.claim(10) == []
    await simulator.knobs(concurrency_limit=20)
    await worker.work.tidy()
    await campaigns.container.database.collection("accounts").update_one(
        {"_id": account.account_id}, {"$set": {"features.max_concurrent_calls": 4}}
    )
    assert await worker.work.claim(10) == []
    assert sum(job.state is JobState.LEASED for job in await campaigns.jobs(batch)) == 4


# Calls a second ---------------------------------------------------------------------------------------------------


async def test_no_second_sees_more_calls_than_all_workers_together_may_start(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    rate = 4
    await simulator.knobs(cps_limit=rate)
    batches = [
        await campaigns.batch(await campaigns.account(limit=20), [[n] for n in numbers(8, start=100 * i)])
        for i in range(2)
    ]
    async with contextlib.AsyncExitStack() as running:
        for name in ("one", "two", "three"):
            worker = await campaigns.worker(name, retell_calls_per_second=rate)
            await running.enter_async_context(worker.running())
        await until(partial(finished, campaigns, *batches), seconds=90)

    creates = await simulator.creates()
    placed = [create["at"] for create in creates if create["result"] == "created"]
    assert len(placed) == 16
    assert all(later - earlier > 1 for earlier, later in zip(placed, placed[rate:], strict=False))
    # On a machine that stands still for a moment, requests that were begun apart may arrive together: that is said by
    # Retell and waited for. Without turns 24 are refused.
    assert len(creates) - len(placed) <= 4


async def test_a_worker_takes_no_more_than_it_may_start_soon(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    await campaigns.batch(await campaigns.account(limit=20), [[n] for n in numbers(20)])
    first = await campaigns.worker("one", retell_calls_per_second=1)
    second = await campaigns.worker("two", retell_calls_per_second=1)
    assert len(await first.work.claim(50)) == 2
    assert await second.work.claim(50) == []
    assert second.work.must_wait
    assert await simulator.creates() == []


async def test_a_start_that_was_missed_is_lost(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """Another one is taken, and where it is missed too nothing is sent."""
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker(retell_calls_per_second=1)
    (job,) = await worker.work.claim(1)
    gate = worker.work._gate
    long_ago = campaigns.container.clock.now() - timedelta(seconds=1)

    async def missed(_: Job) -> datetime:
        return long_ago

    gate.wait_for_start = missed  # type: ignore[method-assign, assignment] # the delay
    assert await worker.work._dialing.dial(job) is None

    assert await simulator.creates() == []
    job = await campaigns.job(batch)
    assert (job.state, job.attempts, job.waiting_for) == (JobState.PENDING, 0, WaitingFor.PROVIDER)
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(batch.account_id))


async def test_a_pause_that_comes_while_another_start_is_waited_for_counts(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Where MongoDB is slow many wait for their second start, one behind the other."""
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker(retell_calls_per_second=1)
    (job,) = await worker.work.claim(1)
    starts = 0

    async def paused_before_the_second(_: Job) -> datetime:
        nonlocal starts
        starts += 1
        if starts == 1:
            return campaigns.container.clock.now() - timedelta(seconds=1)
        await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
        return campaigns.container.clock.now() + timedelta(minutes=1)

    worker.work._gate.wait_for_start = paused_before_the_second  # type: ignore[method-assign, assignment] # the wait
    assert await worker.work._dialing.dial(job) is None

    assert await simulator.creates() == []
    job = await campaigns.job(batch)
    assert (starts, job.state, job.attempts) == (2, JobState.PENDING, 0)
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(batch.account_id))


async def test_once_waits_for_its_starts(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    batch = await campaigns.batch(await campaigns.account(), [[n] for n in numbers(5)])
    others = await campaigns.worker("others", retell_calls_per_second=4)
    await others.work._gate.schedule([(await campaigns.jobs(batch))[0]] * 8)
    worker = await campaigns.worker(retell_calls_per_second=4)
    await worker.runner().run_once()
    assert len(await simulator.creates()) == 5


# Pauses -----------------------------------------------------------------------------------------------------------


async def test_a_pause_is_everybodys_and_the_batch_says_so(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    await simulator.knobs(cps_limit=1, retry_after_seconds=30)
    batch = await campaigns.batch(await campaigns.account(), [[n] for n in numbers(10)])
    first, second = await campaigns.worker("one"), await campaigns.worker("two")
    assert len(await second.work.claim(1)) == 1
    await dial_all(first, await first.work.claim(2))

    assert await first.work.claim(10) == []
    assert await second.work.claim(10) == []
    assert second.work.must_wait
    obstacle = (await campaigns.container.batches.view(batch.batch_id)).obstacle
    assert obstacle is not None
    assert obstacle.reason.code == "provider_waited_for"
    assert obstacle.since is not None
    assert obstacle.until is not None
    assert timedelta(seconds=20) < obstacle.until - obstacle.since <= timedelta(seconds=30)
    waiting = [job for job in await campaigns.jobs(batch) if job.waiting_for is WaitingFor.PROVIDER]
    assert [job.attempts for job in waiting] == [0]


async def test_pauses_grow_and_end_with_the_first_call_that_is_taken(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    limits = MongoProviderLimits(campaigns.container.database)
    await simulator.knobs(cps_limit=1)
    batch = await campaigns.batch(await campaigns.account(), [[n] for n in numbers(4)])
    async with (await campaigns.worker("one")).running(), (await campaigns.worker("two")).running():
        await until(partial(finished, campaigns, batch), seconds=60)

    assert {(job.state, job.attempts) for job in await campaigns.jobs(batch)} == {(JobState.COMPLETED, 1)}
    assert await rejected(simulator) != []
    assert (await limits.read()).hold is None


async def test_a_call_that_was_one_too_many_pauses_everybody(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """Somebody else uses the same workspace: Retell takes the call and ends it."""
    await simulator.knobs(concurrency_limit=3, over_limit="error_call")
    foreign = numbers(2, start=500)
    await simulator.script(
        {number: [{"disconnection_reason": "user_hangup", "talk_seconds": 300}] for number in foreign}
    )
    for number in foreign:
        body = {"from_number": "+56226000000", "to_number": number}
        await simulator.http.post("/v2/create-phone-call", json=body, headers={"Authorization": "Bearer key_test"})
    batch = await campaigns.batch(await campaigns.account(), [[n] for n in numbers(4)])
    worker = await campaigns.worker(provider_retry_seconds=0.1)
    holds: list[str] = []

    async def done() -> bool:
        hold = (await state(campaigns)).hold
        if hold is not None:
            holds.append(hold.trouble.value)
        return await finished(campaigns, batch)

    async with worker.running():
        await until(done, seconds=60)

    assert "over_limit" in holds
    for job in await campaigns.jobs(batch):
        assert (job.state, job.attempts) == (JobState.COMPLETED, 1)
    assert (await simulator.summary())["by_reason"]["concurrency_limit_reached"] >= 1
