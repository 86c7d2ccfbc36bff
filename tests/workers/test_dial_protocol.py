"""One phone rings at most once per attempt, and never at a wrong moment, whatever dies or answers strangely."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from app.domain.accounts import AccountStatus
from app.domain.admission import Refusal, refuse
from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import Job, JobState, WaitingFor
from app.repositories.job_queue import MongoJobQueue
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    closed_hours,
    dies_at,
    has_state,
    has_status,
    leased,
    let_lease_expire,
    numbers,
    serving_simulator,
    until,
)

FINISHED = BatchStatus.COMPLETED


@pytest.mark.parametrize("kind", ["timeout_after", "500_after", "malformed_201"])
async def test_an_answer_lost_after_creation_leads_to_the_same_call(
    campaigns: Campaigns, simulator: RunningSimulator, kind: str
) -> None:
    await simulator.knobs(create_faults=[{"kind": kind, "count": 1}])
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker(retell_create_timeout_seconds=1)

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    summary = await simulator.summary()
    assert summary["calls_created"] == 1
    first, resent = await simulator.creates()
    assert first["body"] == resent["body"]
    assert (await campaigns.job(batch)).attempts == 1


@pytest.mark.parametrize("kind", ["timeout_before", "500_before"])
async def test_a_request_that_created_nothing_is_sent_again_under_its_key(
    campaigns: Campaigns, simulator: RunningSimulator, kind: str
) -> None:
    await simulator.knobs(create_faults=[{"kind": kind, "count": 1}])
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker(retell_create_timeout_seconds=1)

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    creates = await simulator.creates()
    assert len({create["idempotency_key"] for create in creates}) == 1
    assert sum(create["call_created"] for create in creates) == 1


async def test_a_leased_job_of_a_dead_worker_goes_back_unspent(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead)
    await let_lease_expire(campaigns, job)

    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert (await campaigns.job(batch)).attempts == 1
    assert len(await simulator.creates()) == 1


async def test_a_dialing_job_of_a_dead_worker_is_verified_and_not_redialed(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """The worker dies after Retell took the call and before it could note so."""
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead)
    assert await dead.work._dialing.dial(job) is not None
    await campaigns.set_job(job, state="dialing")
    await let_lease_expire(campaigns, job)

    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert (await simulator.summary())["calls_created"] == 1
    assert (await campaigns.job(batch)).attempts == 1


async def test_an_intent_that_was_never_sent_is_dialed_once_by_the_rescuer(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """The worker dies between storing its intent and sending the request."""
    async with serving_simulator() as elsewhere:
        dead = await campaigns.worker("dead", retell_base_url=elsewhere.url)
        batch, job = await leased(campaigns, dead)
        assert await dead.work._dialing.dial(job) is not None
    await campaigns.set_job(job, state="dialing")
    await let_lease_expire(campaigns, job)
    rescuer = await campaigns.worker("rescuer")

    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    (create,) = await simulator.creates()
    assert create["idempotency_key"] == job.attempt_id


async def test_a_request_is_not_sent_again_under_another_api_key(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Were idempotency keys kept by API key, a rotation in between would let the phone ring twice."""
    before = await campaigns.worker("before")
    after = await campaigns.worker("after", retell_api_key=SecretStr("key_new"))
    _, job = await leased(campaigns, before)
    dialed = await before.work._dialing.dial(job)
    assert dialed is not None
    attempt = dialed.attempt
    assert attempt is not None
    verifying = dialed.model_copy(update={"state": JobState.VERIFYING})
    assert await before.work._verifying._may_send(verifying, attempt)
    assert not await after.work._verifying._may_send(verifying, attempt)
    assert "key_test" not in (attempt.key_mark or "")


async def test_a_live_call_of_a_dead_worker_is_adopted_and_followed(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead)
    await dead.work._dialing.dial(job)
    await let_lease_expire(campaigns, job)

    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert (await simulator.summary())["calls_created"] == 1
    assert (await campaigns.job(batch)).fence > job.fence


async def test_settling_again_changes_nothing(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """The worker dies after the money was taken and before the job moved on; the effects are written once more."""
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead)
    in_call = await dead.work._dialing.dial(job)
    assert in_call is not None
    settling = await dead.work._following.follow(in_call)
    assert settling is not None
    assert settling.state is JobState.SETTLING
    await dies_at(dead.work._settling._queue, "finish", dead.work._settling.apply(settling))
    await let_lease_expire(campaigns, job)

    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    _, total = await campaigns.container.accounts.transactions(job.account_id, limit=10, skip=0)
    assert total == 2  # the initial credits and one call
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(job.account_id))


async def test_a_worker_whose_job_was_adopted_neither_dials_nor_hangs_up(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    frozen, rescuer = await campaigns.worker("frozen"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, frozen)
    await let_lease_expire(campaigns, job)
    await rescuer.work.adopt(())

    await frozen.work.process(job)

    assert await simulator.creates() == []
    assert (await campaigns.job(batch)).state is JobState.PENDING
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(job.account_id))


async def test_a_worker_that_thaws_when_its_job_is_leased_again_does_not_dial(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """State and slot look as it remembers them; only the fence tells."""
    frozen, rescuer = await campaigns.worker("frozen"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, frozen)
    await let_lease_expire(campaigns, job)
    await rescuer.work.adopt(())
    (again,) = await rescuer.work.claim(10)

    await frozen.work.process(job)

    assert await simulator.creates() == []
    stored = await campaigns.job(batch)
    assert (stored.state, stored.fence, stored.attempt_id) == (JobState.LEASED, again.fence, again.attempt_id)


async def test_a_worker_that_cannot_renew_stops_dialing(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    worker.control.renewed_at = campaigns.container.clock.monotonic() - worker.control.lease.total_seconds()

    await worker.work.process(job)

    assert await simulator.creates() == []
    stored = await campaigns.job(batch)
    assert (stored.state, stored.attempts, stored.slot) == (JobState.PENDING, 0, None)
    assert await worker.work.claim(10) == []


async def test_an_unsure_call_of_a_paused_batch_is_looked_up_and_not_sent(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead)
    await dead.work._dialing.dial(job)
    await campaigns.set_job(job, state="dialing")
    await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
    await let_lease_expire(campaigns, job)

    async with rescuer.running():
        await until(lambda: has_state(campaigns, batch, JobState.COMPLETED))

    assert len(await simulator.creates()) == 1


async def test_what_nobody_can_account_for_becomes_uncertain_and_then_an_attempt(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    async with serving_simulator() as elsewhere:
        dead = await campaigns.worker("dead", retell_base_url=elsewhere.url)
        batch, job = await leased(campaigns, dead, max_attempts=1)
        await dead.work._dialing.dial(job)
    rescuer = await campaigns.worker("rescuer")
    tuning = replace(rescuer.work._verifying._tuning, verify_patience=timedelta(0), uncertain_for=timedelta(0))
    rescuer.work._verifying._tuning = rescuer.work._following._tuning = tuning
    await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
    await campaigns.set_job(job, state="dialing", **{"attempt.ring_seconds": 0, "attempt.max_duration_seconds": 0})
    await let_lease_expire(campaigns, job)

    async with rescuer.running():
        await until(lambda: has_state(campaigns, batch, JobState.UNCERTAIN, JobState.FAILED))
        await until(lambda: has_state(campaigns, batch, JobState.FAILED), seconds=60)

    stored = await campaigns.job(batch)
    assert stored.attempts == 1
    assert stored.history[0].disposition == "unknown"
    assert await simulator.creates() == []
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(job.account_id))


async def test_a_batch_paused_between_claim_and_dial_is_not_called(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")

    await worker.work.process(job)

    assert await simulator.creates() == []
    assert (await campaigns.job(batch)).attempts == 0


async def test_a_suspended_account_is_not_called_for(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    await campaigns.container.accounts.change(job.account_id, {"status": AccountStatus.SUSPENDED})

    await worker.work.process(job)

    assert await simulator.creates() == []
    assert (await campaigns.job(batch)).attempts == 0


async def test_a_window_that_closed_between_claim_and_dial_reschedules_with_the_reason(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    closed = closed_hours(campaigns)
    settings = batch.call_settings.model_copy(update={"hours": closed})
    await campaigns.container.batches.change(batch.batch_id, {"call_settings": settings}, is_active=None, user="test")

    await worker.work.process(job)

    stored = await campaigns.job(batch)
    assert await simulator.creates() == []
    assert (stored.state, stored.waiting_for, stored.attempts) == (JobState.PENDING, WaitingFor.HOURS, 0)
    assert stored.due_at > campaigns.container.clock.now() + timedelta(hours=1)
    assert stored.reason is not None
    assert stored.reason.code == "outside_hours"


async def test_a_window_that_closes_after_the_decision_withdraws_the_intent(
    campaigns: Campaigns, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    settings = batch.call_settings.model_copy(update={"hours": closed_hours(campaigns)})
    await campaigns.container.batches.change(batch.batch_id, {"call_settings": settings}, is_active=None, user="test")

    def decided_before_they_closed(job: Job, *facts: Any) -> Refusal | None:
        return refuse(job, *facts) if job.state is JobState.DIALING else None

    monkeypatch.setattr("app.services.admission.refuse", decided_before_they_closed)

    await worker.work.process(job)

    stored = await campaigns.job(batch)
    assert await simulator.creates() == []
    assert (stored.state, stored.attempts, stored.attempt) == (JobState.PENDING, 0, None)
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(job.account_id))


async def test_a_batch_outside_its_hours_is_not_claimed_and_says_so(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)], hours=closed_hours(campaigns))
    worker = await campaigns.worker()

    assert await worker.work.claim(10) == []

    stored = await campaigns.stored(batch)
    assert stored.block is not None
    assert stored.block.reason.code == "hours_closed"
    assert stored.wake_at is not None
    assert stored.wake_at > campaigns.container.clock.now() + timedelta(hours=1)
    # Asleep, it is not even looked at.
    assert await worker.work._claiming._batches.due(campaigns.container.clock.now(), 10) == []


async def test_a_limit_lowered_after_the_claim_is_respected(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await campaigns.account(limit=2)
    batch = await campaigns.batch(account, [[n] for n in numbers(2)])
    worker = await campaigns.worker()
    jobs = await worker.work.claim(10)
    await campaigns.container.accounts.change(
        account.account_id, {"features": account.features.model_copy(update={"max_concurrent_calls": 1})}
    )

    for job in jobs:
        await worker.work._dialing.dial(job)

    assert len(jobs) == 2
    assert len(await simulator.creates()) == 1
    assert sum(job.state is JobState.PENDING for job in await campaigns.jobs(batch)) == 1


async def test_a_decision_that_fails_is_a_refusal_with_its_reason(
    campaigns: Campaigns, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("app.services.admission.refuse", broken)
    await worker.work.process(job)

    stored = await campaigns.job(batch)
    assert await simulator.creates() == []
    assert stored.reason is not None
    assert stored.reason.code == "admission_failed"


async def test_retell_away_costs_no_attempt_and_is_waited_for(campaigns: Campaigns) -> None:
    async with serving_simulator() as before:
        url = before.url
    batch = await campaigns.batch(await campaigns.account(), [[n] for n in numbers(5)])
    worker = await campaigns.worker(retell_base_url=url)

    async with worker.running():
        await until(lambda: _any_waits_for_provider(campaigns, batch))
        async with serving_simulator(int(url.rpartition(":")[2])) as back:
            await until(lambda: has_status(campaigns, batch, FINISHED))
            assert len(await back.creates()) == 5

    assert {job.attempts for job in await campaigns.jobs(batch)} == {1}


async def test_throttling_costs_no_attempt(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    await simulator.knobs(cps_limit=2)
    account = await campaigns.account(limit=10)
    batch = await campaigns.batch(account, [[n] for n in numbers(8)])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, FINISHED), seconds=60)

    assert {(job.state, job.attempts) for job in await campaigns.jobs(batch)} == {(JobState.COMPLETED, 1)}
    assert (await simulator.summary())["creates"]["rejected"] > 0
    await campaigns.assert_ledger_exact(account)


@pytest.mark.parametrize(
    "knobs",
    [
        {"account_state": 402},
        {"account_state": 401},
        {"owned_numbers": ["+14155550100"]},
        {"default_outcome": "no_valid_payment"},
    ],
    ids=str,
)
async def test_what_would_meet_every_contact_pauses_the_batch_with_an_explanation(
    campaigns: Campaigns, simulator: RunningSimulator, knobs: dict[str, object]
) -> None:
    await simulator.knobs(**knobs)
    batch = await campaigns.batch(await campaigns.account(limit=2), [[n] for n in numbers(5)])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.PAUSED))
        await until(lambda: has_state(campaigns, batch, JobState.PENDING))

    assert {job.attempts for job in await campaigns.jobs(batch)} == {0}
    assert (await campaigns.stored(batch)).pause_reason is not None
    logs, _ = await campaigns.container.batches.logs(batch.batch_id, limit=10, skip=0)
    assert "batch_paused" in {entry.event for entry in logs}


async def test_a_cancelled_contact_is_not_tried_again(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: ["dial_busy"]})
    batch = await campaigns.batch(await campaigns.account(), [phone])
    worker = await campaigns.worker()
    (job,) = await worker.work.claim(1)
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    await campaigns.container.jobs.cancel(job.job_id, user="test")

    async with worker.running():
        await worker.work.process(in_call)
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert (await campaigns.job(batch)).state is JobState.CANCELLED
    assert len(await simulator.creates()) == 1


async def test_a_cancelled_batch_cancels_what_comes_back_from_calls(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phones = numbers(6)
    await simulator.script({phone: ["dial_busy"] for phone in phones})
    batch = await campaigns.batch(await campaigns.account(limit=2), [[phone] for phone in phones])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: _any_in_call(campaigns, batch))
        await campaigns.container.batches.cancel(batch.batch_id, user="test")
        await until(lambda: has_state(campaigns, batch, JobState.CANCELLED))

    assert len(await simulator.creates()) <= 2


async def test_a_stopping_worker_hands_its_calls_over(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: [{"disconnection_reason": "user_hangup", "talk_seconds": 110}]})
    batch = await campaigns.batch(await campaigns.account(), [phone])
    first, second = await campaigns.worker("first"), await campaigns.worker("second")

    async with first.running():
        await until(lambda: _any_in_call(campaigns, batch))
    handed_over = await campaigns.job(batch)
    async with second.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert handed_over.state is JobState.IN_CALL
    assert (await simulator.summary())["calls_created"] == 1


async def test_a_reservation_without_a_job_is_given_back(campaigns: Campaigns) -> None:
    account = await campaigns.account()
    worker = await campaigns.worker()
    assert await worker.work._dialing._accounts.reserve(account.account_id, "0" * 32, account.funds.free)

    async with worker.running():
        await until(lambda: _nothing_reserved(campaigns, account.account_id))

    await campaigns.assert_ledger_exact(account)


async def test_a_claim_whose_answer_was_lost_runs_out(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """Leases of jobs that a worker does not know it holds are not renewed by its heartbeat."""
    worker = await campaigns.worker(worker_lease_seconds=1)
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    queue = MongoJobQueue(campaigns.container.database)
    now = campaigns.container.clock.now()
    lost, _ = await queue.claim(
        batch.batch_id, [0], [0], worker_id=worker.control.worker_id, lease=worker.control.lease, now=now
    )
    assert len(lost) == 1

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert len(await simulator.creates()) == 1


async def _any_waits_for_provider(campaigns: Campaigns, batch: Batch) -> bool:
    return any(job.waiting_for is WaitingFor.PROVIDER for job in await campaigns.jobs(batch))


async def _any_in_call(campaigns: Campaigns, batch: Batch) -> bool:
    return any(job.state is JobState.IN_CALL for job in await campaigns.jobs(batch))


async def _nothing_reserved(campaigns: Campaigns, account_id: str) -> bool:
    return not (await campaigns.container.accounts.get(account_id)).reservations
