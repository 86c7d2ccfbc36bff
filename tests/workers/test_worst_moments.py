"""Two who want the same, and the worst moment for it: each of these was once wrong, or nearly."""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.accounts import AccountStatus
from app.domain.batches import BatchStatus, Priority
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job, JobState
from app.domain.outcomes import UNKNOWN_OUTCOME
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


async def test_a_worker_that_lost_its_job_does_not_give_back_the_money_of_its_adopter(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Its host loses the network: nothing is sent, MongoDB is away past the lease, another worker places the call."""
    cut_off = await campaigns.worker("cut off", retell_base_url="http://127.0.0.1:9")
    other = await campaigns.worker("other")
    _, job = await leased(campaigns, cut_off)
    queue = cut_off.work._dialing._queue
    real_release, adopted = queue.release, list[Job]()

    async def release_after_an_outage(*args: Any, **kwargs: Any) -> bool:
        if not adopted:
            await let_lease_expire(campaigns, job)
            adopted.extend(await other.work.adopt(()))
            raise DatabaseUnavailable
        return await real_release(*args, **kwargs)

    queue.release = release_after_an_outage  # type: ignore[method-assign] # the outage
    await cut_off.work.process(job)
    await other.work.process(adopted[0])

    account = await campaigns.container.accounts.get(job.account_id)
    assert account.funds.total_spent > 0
    await campaigns.assert_ledger_exact(account)


async def test_a_contact_cancelled_while_its_call_is_unsure_is_not_called(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.knobs(create_faults=[{"kind": "500_before", "count": 1}])
    worker = await campaigns.worker()
    _, job = await leased(campaigns, worker)
    unsure = await worker.work._dialing.dial(job)
    assert unsure is not None
    assert unsure.state is JobState.VERIFYING
    await campaigns.container.jobs.cancel(job.job_id, user="test")

    searches = counting(worker.work._verifying._provider, "find")
    verifying = campaigns.begin(worker.work.process(unsure))
    await until(lambda: searches.at_least(1))
    worker.control.stopping.set()
    await verifying

    assert (await simulator.summary())["calls_created"] == 0


async def test_a_verifier_whose_attempt_is_over_sends_nothing(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.knobs(create_faults=[{"kind": "500_before", "count": 1}])
    frozen, other = await campaigns.worker("frozen"), await campaigns.worker("other")
    _, job = await leased(campaigns, frozen, retry_delay_hours=24)
    unsure = await frozen.work._dialing.dial(job)
    assert unsure is not None
    await let_lease_expire(campaigns, job)
    (adopted,) = await other.work.adopt(())
    uncertain = await other.work._verifying._queue.mark_uncertain(adopted, campaigns.container.clock.now())
    assert uncertain is not None
    settling = await other.work._settling.decide(uncertain, UNKNOWN_OUTCOME, None)
    assert settling is not None
    await other.work._settling.apply(settling)

    await frozen.work.process(unsure)

    assert (await simulator.summary())["calls_created"] == 0


async def test_silence_of_retell_closes_no_call(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """Hours after a call must have ended, with Retell away all the time, its outcome is still asked for."""
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    await worker.work._dialing.dial(job)
    past = campaigns.container.clock.now() - timedelta(hours=5)
    await campaigns.set_job(job, **{"attempt.placed_by": past, "attempt.intent_at": past})
    deaf = await campaigns.worker("deaf", retell_base_url="http://127.0.0.1:9")
    looks = counting(deaf.work._following._provider, "get")
    following = campaigns.begin(deaf.work.process(await campaigns.job(batch)))
    await until(lambda: looks.at_least(3))
    deaf.control.stopping.set()
    await following
    assert (await campaigns.job(batch)).state is JobState.IN_CALL

    await until(lambda: _all_calls_are_over(simulator))
    await let_lease_expire(campaigns, job)
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert (await campaigns.job(batch)).history[0].disposition == "answered"


async def test_a_batch_completes_though_its_hours_have_closed(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    # No heart beats here, and a worker whose lease may be over claims nothing.
    worker = await campaigns.worker(worker_lease_seconds=60)
    batch, job = await leased(campaigns, worker)
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    settings = batch.call_settings.model_copy(update={"hours": closed_hours(campaigns)})
    await campaigns.container.batches.change(batch.batch_id, {"call_settings": settings}, is_active=None, user="test")
    await worker.work.claim(10)

    await worker.work.process(in_call)
    await worker.work.claim(10)

    assert (await campaigns.stored(batch)).status is BatchStatus.COMPLETED


async def test_a_batch_completes_though_its_account_is_suspended(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    # No heart beats here, and a worker whose lease may be over claims nothing.
    worker = await campaigns.worker(worker_lease_seconds=60)
    batch, job = await leased(campaigns, worker)
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    await campaigns.container.accounts.change(job.account_id, {"status": AccountStatus.SUSPENDED})

    await worker.work.process(in_call)
    await worker.work.claim(10)

    assert (await campaigns.stored(batch)).status is BatchStatus.COMPLETED


async def test_a_batch_that_cannot_be_read_stops_no_other(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await campaigns.account()
    unreadable = await campaigns.batch(account, [numbers(1)])
    batch = await campaigns.batch(account, [numbers(1, 5)])
    await campaigns.container.database.collection("batches").update_one(
        {"_id": unreadable.batch_id}, {"$set": {"call_settings.hours.timezone": "America/Newer_Zone"}}
    )
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert (await simulator.summary())["calls_created"] == 1


async def test_a_job_that_cannot_be_read_stops_no_rescue(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch = await campaigns.batch(await campaigns.account(), [[n] for n in numbers(4)])
    jobs = await dead.work.claim(10)
    for job in jobs:
        await let_lease_expire(campaigns, job)
    await campaigns.set_job(jobs[0], **{"contact.phones": ["not E.164"]})

    await rescuer.work.adopt(())

    stored = campaigns.container.database.collection("jobs").find({"batch_id": batch.batch_id})
    assert sorted([job["state"] async for job in stored]) == ["leased", "pending", "pending", "pending"]


async def test_a_retry_at_the_moment_of_completion_is_not_lost(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: ["dial_busy", "user_hangup"]})
    batch = await campaigns.batch(await campaigns.account(), [phone], max_attempts=1)
    worker = await campaigns.worker()
    await worker.runner().run_once()
    worker.control.stopping.clear()
    worker.control.ending.clear()
    (job,) = await campaigns.jobs(batch)
    await campaigns.container.database.collection("batches").update_one(
        {"_id": batch.batch_id}, {"$set": {"status": "running", "wake_at": campaigns.container.clock.now()}}
    )
    decided = await campaigns.stored(batch)

    await campaigns.container.jobs.retry(job.job_id, user="test")
    completed = await worker.work._claiming._batches.complete(decided, campaigns.container.clock.now())

    assert not completed, "decided on what was before the retry"
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
    assert (await campaigns.job(batch)).state is JobState.COMPLETED


async def test_a_retry_gives_invalid_numbers_another_chance(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: ["invalid_destination", "user_hangup"]})
    batch = await campaigns.batch(await campaigns.account(), [phone])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
        await campaigns.container.jobs.retry((await campaigns.job(batch)).job_id, user="test")
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert (await campaigns.job(batch)).state is JobState.COMPLETED


async def test_a_contact_that_stops_the_batch_does_not_do_so_for_ever(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: ["scam_detected"]})
    batch = await campaigns.batch(await campaigns.account(), [phone], max_attempts=2)
    worker = await campaigns.worker()

    for _ in range(4):
        async with worker.running():
            await until(lambda: _rests(campaigns, batch.batch_id))
        worker.control.stopping.clear()
        worker.control.ending.clear()
        if (await campaigns.stored(batch)).status is BatchStatus.PAUSED:
            await campaigns.container.batches.change(batch.batch_id, {}, is_active=True, user="test")
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert (await campaigns.job(batch)).attempts == 2


async def test_money_that_a_call_gives_back_wakes_the_batch_that_waits_for_it(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phones = numbers(2)
    await simulator.script({phone: ["dial_no_answer"] for phone in phones})
    account = await campaigns.account(funds=2)  # one call of 120 s at worst
    batch = await campaigns.batch(account, [[phone] for phone in phones], retry_delay_hours=24)
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: _calls(simulator, 2))

    assert {job.attempts for job in await campaigns.jobs(batch)} == {1}


async def test_no_account_and_no_batch_starves(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    one, two = await campaigns.account(limit=10), await campaigns.account(limit=10)
    urgent = await campaigns.batch(one, [[n] for n in numbers(12)], priority=Priority.URGENT)
    low = await campaigns.batch(one, [[n] for n in numbers(12, 100)], priority=Priority.LOW)
    other = await campaigns.batch(two, [[n] for n in numbers(12, 200)])
    worker = await campaigns.worker()

    async with worker.running(concurrency=1):
        await until(lambda: _calls(simulator, 24), seconds=60)

    order = [create["metadata"]["batch_id"] for create in (await simulator.creates())[:24]]
    assert order.count(other.batch_id) == 12
    assert order.count(urgent.batch_id) > order.count(low.batch_id) > 0


async def _rests(campaigns: Campaigns, batch_id: str) -> bool:
    status = (await campaigns.container.batches.get(batch_id)).status
    return status in {BatchStatus.PAUSED, BatchStatus.COMPLETED}


async def _all_calls_are_over(simulator: RunningSimulator) -> bool:
    return not (await simulator.summary())["calls_live"]


async def _calls(simulator: RunningSimulator, count: int) -> bool:
    return int((await simulator.summary())["calls_created"]) >= count


class Counter:
    """How often a method was called."""

    def __init__(self) -> None:
        self.count = 0

    async def at_least(self, times: int) -> bool:
        return self.count >= times


def counting(subject: Any, method: str) -> Counter:
    """Count the calls of `subject.method` from now on."""
    counter, real = Counter(), getattr(subject, method)

    async def counted(*args: Any) -> Any:
        counter.count += 1
        return await real(*args)

    setattr(subject, method, counted)
    return counter


async def test_the_log_of_a_job_that_is_let_go_names_the_state_it_was_in(
    campaigns: Campaigns, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_: Job) -> None:
        raise RuntimeError

    worker = await campaigns.worker()
    _, job = await leased(campaigns, worker)
    monkeypatch.setattr(worker.work._following, "follow", breaks)
    with capture_logs() as logs:
        await worker.work.process(job)
    assert [(entry["event"], entry["state"]) for entry in logs if entry["event"] == "job_let_go"] == [
        ("job_let_go", "in_call")
    ]
