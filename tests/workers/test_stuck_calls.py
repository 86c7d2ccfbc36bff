"""Calls that do not end when they must, and attempts of which Retell tells less than everything."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.batches import BatchStatus
from app.domain.jobs import Job, JobState
from tests.workers.conftest import Campaigns, RunningSimulator, Worker, has_state, leased, numbers, until
from tests.workers.test_worst_moments import counting

STUCK_ONGOING = {"disconnection_reason": "user_hangup", "ring_seconds": 1, "stuck": "ongoing"}
STUCK_REGISTERED = {"disconnection_reason": "user_hangup", "stuck": "registered"}


async def in_call_since(campaigns: Campaigns, worker: Worker, span: timedelta, **batch: Any) -> Job:
    """A job whose call was placed `span` ago, as far as we know."""
    created, job = await leased(campaigns, worker, **batch)
    assert await worker.work._dialing.dial(job) is not None
    at = campaigns.container.clock.now() - span
    await campaigns.set_job(job, **{"attempt.placed_by": at, "attempt.intent_at": at})
    return await campaigns.job(created)


async def calls(simulator: RunningSimulator) -> list[dict[str, Any]]:
    return list((await simulator.http.get("/simulator/calls")).json()["calls"])


JUST_OVER_ITS_MAXIMUM = timedelta(seconds=20 + 120 + 61)
STUCK_FOR_LONG = timedelta(seconds=20 + 120, minutes=16)


@pytest.mark.parametrize("outcome", [STUCK_ONGOING, STUCK_REGISTERED], ids=["ongoing", "ringing"])
async def test_a_call_over_its_maximum_is_stopped_and_followed_to_its_end(
    campaigns: Campaigns, simulator: RunningSimulator, outcome: dict[str, Any]
) -> None:
    await simulator.script({numbers(1)[0]: [outcome]})
    worker = await campaigns.worker()
    job = await in_call_since(campaigns, worker, JUST_OVER_ITS_MAXIMUM, max_attempts=1)
    stops = counting(worker.work._following._provider, "stop")

    await worker.work.process(job)

    ended = (await campaigns.container.jobs.get(job.job_id)).job
    assert ended.state.is_final
    assert ended.history[0].disconnection_reason == "manual_stopped"
    assert stops.count == 1
    assert len(await calls(simulator)) == 1


async def test_a_call_within_its_maximum_is_not_stopped(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    await simulator.script({numbers(1)[0]: [STUCK_ONGOING]})
    worker = await campaigns.worker()
    job = await in_call_since(campaigns, worker, JUST_OVER_ITS_MAXIMUM - timedelta(seconds=20))
    stops = counting(worker.work._following._provider, "stop")
    looks = counting(worker.work._following._provider, "get")

    following = campaigns.begin(worker.work.process(job))
    await until(lambda: looks.at_least(3))
    worker.control.stopping.set()
    await following

    assert stops.count == 0


async def test_a_stop_that_failed_is_tried_again(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    await simulator.script({numbers(1)[0]: [STUCK_ONGOING]})
    await simulator.knobs(read_faults=[{"status_code": 503, "count": 1, "probability": 1}])
    worker = await campaigns.worker()
    job = await in_call_since(campaigns, worker, JUST_OVER_ITS_MAXIMUM, max_attempts=1)
    get, faulty = worker.work._following._provider.get, ["first"]

    async def get_well(call_id: str) -> Any:
        if faulty:
            # The fault is for the stop alone.
            await simulator.knobs(read_faults=[])
            report = await get(call_id)
            await simulator.knobs(read_faults=[{"status_code": 503, "count": 1}])
            faulty.clear()
            return report
        return await get(call_id)

    worker.work._following._provider.get = get_well  # type: ignore[method-assign] # to aim the fault
    stops = counting(worker.work._following._provider, "stop")

    await worker.work.process(job)

    assert stops.count == 2
    assert (await campaigns.container.jobs.get(job.job_id)).job.state.is_final


@pytest.mark.parametrize("refusal", ["ignore", "reject"])
async def test_a_record_that_never_ends_keeps_its_slot_as_uncertain_and_is_not_dialed_again(
    campaigns: Campaigns, simulator: RunningSimulator, refusal: str
) -> None:
    await simulator.script({numbers(1)[0]: [STUCK_REGISTERED]})
    await simulator.knobs(stop_on_ringing=refusal)
    worker = await campaigns.worker()
    job = await in_call_since(campaigns, worker, STUCK_FOR_LONG)
    batch = await campaigns.container.batches.get(job.batch_id)

    working = campaigns.begin(worker.work.process(job))
    await until(lambda: has_state(campaigns, batch, JobState.UNCERTAIN))
    worker.control.stopping.set()
    await working

    (uncertain,) = await campaigns.jobs(batch)
    assert uncertain.slot is not None
    assert len(await calls(simulator)) == 1


async def test_a_stuck_record_is_closed_as_unknown_only_when_its_time_is_up(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.script({numbers(1)[0]: [STUCK_ONGOING]})
    worker = await campaigns.worker()
    job = await in_call_since(campaigns, worker, timedelta(hours=1), max_attempts=1)

    await worker.work.process(job)

    closed = (await campaigns.container.jobs.get(job.job_id)).job
    assert (closed.state, closed.disposition) == (JobState.FAILED, "unknown")
    assert len(await calls(simulator)) == 1


# What a refusal of the resend proves -------------------------------------------------------------------------------


async def test_a_do_not_call_refusal_of_the_resend_is_no_proof_that_nothing_rang(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """The first request's call was answered, by somebody who asked not to be called; Retell marked the number.

    Retell's idempotency is taken to have let us down, or the resend would give the call. Its list tells.
    """
    phone = numbers(1)
    await simulator.script({phone[0]: ["user_requested_dnc"]})
    await simulator.knobs(create_faults=[{"kind": "500_after", "count": 1}], list_lag_seconds=90)
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    unsure = await worker.work._dialing.dial(job)
    assert unsure is not None
    assert unsure.state is JobState.VERIFYING
    await simulator.knobs(do_not_call=phone, idempotency_window_seconds=0)

    await worker.work.process(unsure)

    (ended,) = await campaigns.jobs(batch)
    assert [record.disposition for record in ended.history] == ["opted_out"]
    assert ended.history[0].call_id is not None, "the call was found, not declared never placed"
    assert ended.retired_phones == []
    assert len(await calls(simulator)) == 1


async def test_what_a_do_not_call_refusal_hides_becomes_uncertain(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phone = numbers(1)
    await simulator.knobs(create_faults=[{"kind": "500_after", "count": 1}], list_lag_seconds=1_000_000)
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    unsure = await worker.work._dialing.dial(job)
    assert unsure is not None
    await simulator.knobs(do_not_call=phone, idempotency_window_seconds=0)
    earlier = campaigns.container.clock.now() - timedelta(minutes=6)
    await campaigns.set_job(unsure, **{"attempt.intent_at": earlier})

    working = campaigns.begin(worker.work.process(await campaigns.job(batch)))
    await until(lambda: has_state(campaigns, batch, JobState.UNCERTAIN))
    worker.control.stopping.set()
    await working

    assert [record["status_code"] for record in await simulator.creates()] == [500, 400]
    assert (await campaigns.stored(batch)).status is BatchStatus.RUNNING


# How often Retell is asked -----------------------------------------------------------------------------------------


async def test_however_many_calls_a_process_follows_its_reads_are_bounded(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Thirty live calls that would each be looked at ten times a second, and twenty reads a second in all."""
    phones = numbers(30)
    await simulator.script({phone: [STUCK_ONGOING] for phone in phones})
    await simulator.knobs(concurrency_limit=0)
    batch = await campaigns.batch(await campaigns.account(limit=30), [[phone] for phone in phones])
    worker = await campaigns.worker(retell_reads_per_second=20)
    provider = worker.work._following._provider
    real, taken = provider.get, list[float]()

    async def timed(call_id: str) -> Any:
        taken.append(campaigns.container.clock.monotonic())
        return await real(call_id)

    provider.get = timed  # type: ignore[method-assign] # to see when it asks
    async with worker.running():
        await until(lambda: has_state(campaigns, batch, JobState.IN_CALL))
        await until(lambda: _at_least(taken, 40))

    assert len(taken) / (taken[-1] - taken[0]) < 22


async def _at_least(taken: list[float], count: int) -> bool:
    return len(taken) >= count
