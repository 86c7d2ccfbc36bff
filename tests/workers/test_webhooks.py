"""Webhooks make a worker look at once, in every state of a job; what is true it hears from Retell alone.

The simulator sends them, signed, through the API's own route. Wherever a worker's polling is set to an hour, only a
webhook can have been what made it look.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.domain.batches import Batch, BatchStatus
from app.domain.calls import CallReport
from app.domain.jobs import Job, JobState
from app.main import create_app
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    Worker,
    has_state,
    has_status,
    leased,
    let_lease_expire,
    numbers,
    until,
)
from tests.workers.test_worst_moments import counting

URL = "http://cadencia.test/api/v1/webhooks/retell"
HOUR = 3600.0
HOURLY: dict[str, Any] = {"retell_webhook_url": URL, "call_poll_seconds": HOUR, "call_poll_max_seconds": HOUR}
"""Settings of a worker that looks by itself once an hour."""
LONG_TALK = {"disconnection_reason": "user_hangup", "ring_seconds": 1, "talk_seconds": 300}
"""Five seconds of real time: enough to stop a call."""
FINISHED = BatchStatus.COMPLETED


@pytest.fixture
async def hooked(simulator: RunningSimulator, settings: Settings) -> AsyncIterator[RunningSimulator]:
    """The simulator, its webhooks going to an API on the test's database."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        simulator.simulator.webhooks.transport = httpx.ASGITransport(app)
        yield simulator


async def webhooks(simulator: RunningSimulator) -> list[dict[str, Any]]:
    return list((await simulator.http.get("/simulator/webhooks")).json()["webhooks"])


async def delivered(simulator: RunningSimulator, count: int) -> bool:
    return len([hook for hook in await webhooks(simulator) if hook["status_code"] == 204]) >= count


async def second_call(simulator: RunningSimulator, job: Job) -> str:
    """Another call for the job's attempt, placed by nobody knows whom; its id."""
    body = dict((await simulator.creates())[0]["body"]) | {"idempotency_key": "another"}
    headers = {"Authorization": "Bearer key_test"}
    reply = await simulator.http.post("/v2/create-phone-call", json=body, headers=headers)
    assert reply.status_code == 201
    assert reply.json()["metadata"]["job_id"] == job.job_id
    return str(reply.json()["call_id"])


@contextlib.asynccontextmanager
async def listening(worker: Worker) -> AsyncIterator[None]:
    """Let the worker hear, and nothing else: for tests that take a job's steps themselves."""

    async def listen() -> None:
        while not worker.control.stopping.is_set():
            await worker.work.listen()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(listen())
    try:
        yield
    finally:
        worker.control.stopping.set()
        await task


# A call's end ------------------------------------------------------------------------------------------------------


async def test_a_campaign_ends_by_webhooks_where_polling_would_take_hours(
    campaigns: Campaigns, hooked: RunningSimulator
) -> None:
    phones = numbers(6)
    endings = ["user_hangup", "dial_busy", "dial_no_answer", "voicemail_reached", "agent_hangup", "error_retell"]
    await hooked.script({phone: [ending, "user_hangup"] for phone, ending in zip(phones, endings, strict=True)})
    account = await campaigns.account()
    batch = await campaigns.batch(account, [[phone] for phone in phones])
    worker = await campaigns.worker(**HOURLY, provider_retry_seconds=0.1)

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert {job.state for job in await campaigns.jobs(batch)} == {JobState.COMPLETED}
    await campaigns.assert_ledger_exact(account)
    for job in await campaigns.jobs(batch):
        assert job.heard_at is None
        assert job.heard_call_ids == []


async def test_without_a_webhook_address_polling_alone_does_it(campaigns: Campaigns, hooked: RunningSimulator) -> None:
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert await webhooks(hooked) == []


@pytest.mark.parametrize(
    "faults",
    [
        {"duplicate_rate": 1},
        {"reorder_rate": 1, "reorder_hold_seconds": 20},
        {"drop_rate": 1},
        {"bad_signature_rate": 1, "retries": 0},
        {"drop_rate": 0.5, "duplicate_rate": 0.5, "reorder_rate": 0.5, "reorder_hold_seconds": 10},
    ],
    ids=["doubled", "reordered", "lost", "forged", "everything"],
)
async def test_whatever_becomes_of_the_webhooks_every_call_is_settled_once(
    campaigns: Campaigns, hooked: RunningSimulator, faults: dict[str, Any]
) -> None:
    await hooked.knobs(webhooks=faults)
    account = await campaigns.account()
    batch = await campaigns.batch(account, [[phone] for phone in numbers(8)])
    worker = await campaigns.worker(retell_webhook_url=URL)

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    jobs = await campaigns.jobs(batch)
    assert [len(job.history) for job in jobs] == [1] * 8
    assert (await hooked.summary())["calls_created"] == 8
    await campaigns.assert_ledger_exact(account)


async def test_news_that_comes_before_retell_shows_it_is_followed_up_soon(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """A webhook tells of the end of an old call, but `get-call` still says ongoing."""
    worker = await campaigns.worker(call_poll_max_seconds=HOUR)
    batch, job = await leased(campaigns, worker)
    await worker.work._dialing.dial(job)
    long_ago = campaigns.container.clock.now() - timedelta(hours=20)
    await campaigns.set_job(job, **{"attempt.placed_by": long_ago, "attempt.max_duration_seconds": 24 * 3600})
    looks = counting(worker.work._following._provider, "get")

    async with listening(worker):
        following = campaigns.begin(worker.work.process(await campaigns.job(batch)))
        await until(lambda: looks.at_least(1))
        (call_id,) = await call_ids(simulator)
        await worker.work._hints._store.hear(job.job_id, job.attempt_id or "", call_id)
        await until(lambda: has_state(campaigns, batch, JobState.COMPLETED))
        await following


# Before the call id is stored --------------------------------------------------------------------------------------


async def test_a_webhook_that_overtakes_the_answer_to_the_create(
    campaigns: Campaigns, hooked: RunningSimulator
) -> None:
    """Every event of the call is stored while its job is still `dialing`; nobody but the holder moves the job."""
    await hooked.script({numbers(1)[0]: [{"disconnection_reason": "dial_busy", "ring_seconds": 0.1}]})
    worker = await campaigns.worker(**HOURLY)
    batch, job = await leased(campaigns, worker, max_attempts=1)
    place, seen = worker.work._dialing._provider.place, list[Job]()

    async def place_slowly(request_body: str) -> CallReport:
        report = await place(request_body)
        await until(lambda: delivered(hooked, 2))
        seen.append(await campaigns.job(batch))
        return report

    worker.work._dialing._provider.place = place_slowly  # type: ignore[method-assign] # a slow network
    async with listening(worker):
        await worker.work.process(job)

    (dialing,) = seen
    assert dialing.state is JobState.DIALING
    assert len(dialing.heard_call_ids) == 1
    assert (await campaigns.job(batch)).state is JobState.FAILED


async def test_a_call_whose_create_timed_out_is_found_by_its_webhook(
    campaigns: Campaigns, hooked: RunningSimulator
) -> None:
    """The batch is paused, so the request is not sent again; and the list does not show the call."""
    await hooked.knobs(create_faults=[{"kind": "500_after", "count": 1}], list_lag_seconds=100_000)
    worker = await campaigns.worker(**HOURLY)
    batch, job = await leased(campaigns, worker)
    unsure = await worker.work._dialing.dial(job)
    assert unsure is not None
    assert unsure.state is JobState.VERIFYING
    await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")

    async with listening(worker):
        await worker.work.process(unsure)

    assert (await campaigns.job(batch)).history[0].disposition == "answered"
    assert len(await hooked.creates()) == 1


async def test_an_uncertain_attempt_is_cleared_up_by_its_webhook(
    campaigns: Campaigns, hooked: RunningSimulator
) -> None:
    await hooked.knobs(create_faults=[{"kind": "500_after", "count": 1}], list_lag_seconds=100_000)
    worker = await campaigns.worker(**HOURLY)
    batch, job = await leased(campaigns, worker)
    unsure = await worker.work._dialing.dial(job)
    assert unsure is not None
    uncertain = await worker.work._verifying._queue.mark_uncertain(unsure, campaigns.container.clock.now())
    assert uncertain is not None

    async with listening(worker):
        await worker.work.process(uncertain)

    assert (await campaigns.job(batch)).history[0].disposition == "answered"
    assert (await hooked.summary())["calls_created"] == 1


async def test_a_webhook_that_came_while_nobody_held_the_job_is_known_to_its_adopter(
    campaigns: Campaigns, hooked: RunningSimulator
) -> None:
    """The worker dies with the request on its way; the list does not show the call, but a webhook has named it."""
    await hooked.knobs(list_lag_seconds=100_000)
    dead, rescuer = await campaigns.worker("dead", **HOURLY), await campaigns.worker("rescuer", **HOURLY)
    batch, job = await leased(campaigns, dead)
    assert await dead.work._dialing.dial(job) is not None
    await campaigns.container.database.collection("jobs").update_one(
        {"_id": job.job_id}, {"$set": {"state": "dialing"}, "$unset": {"attempt.call_id": ""}}
    )
    await until(lambda: delivered(hooked, 3))
    await let_lease_expire(campaigns, job)

    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, FINISHED))

    assert (await campaigns.job(batch)).history[0].disposition == "answered"
    assert len(await hooked.creates()) == 1, "nothing was sent again"


# What a worker's listening costs -----------------------------------------------------------------------------------


async def test_listening_examines_only_jobs_of_this_worker_that_have_news(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker, other = await campaigns.worker("mine", **HOURLY), await campaigns.worker("other", **HOURLY)
    account = await campaigns.account()
    await campaigns.batch(account, [[phone] for phone in numbers(12)])
    mine, theirs = await worker.work.claim(6), await other.work.claim(6)
    for job in (mine[0], theirs[0]):
        await campaigns.set_job(job, heard_call_ids=["call-1"], heard_at=campaigns.container.clock.now())
    jobs = campaigns.container.database.collection("jobs")

    plan = await jobs.find({"worker_id": "mine", "heard_at": {"$exists": True}}, hint="heard").explain()

    stats = plan["executionStats"]
    assert (stats["nReturned"], stats["totalKeysExamined"], stats["totalDocsExamined"]) == (1, 1, 1)


async def test_what_is_heard_for_a_job_that_is_not_in_hand_yet_waits(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    await worker.work._dialing.dial(job)
    hints = worker.work._hints._store
    assert await hints.hear(job.job_id, job.attempt_id or "", "call-1")

    await worker.work.listen()
    assert (await campaigns.job(batch)).heard_at is not None

    with worker.work._hints.listening(job):
        await worker.work.listen()
        heard = worker.work._hints.of(job)
    assert (heard.call_ids, heard.news.is_set()) == (["call-1"], True)
    assert (await campaigns.job(batch)).heard_at is None
    assert (await campaigns.job(batch)).heard_call_ids == ["call-1"]


async def test_news_that_comes_while_older_news_is_taken_is_not_lost(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    await worker.work._dialing.dial(job)
    hints = worker.work._hints._store
    await hints.hear(job.job_id, job.attempt_id or "", "call-1")
    older = await hints.of_worker(worker.control.worker_id)
    await campaigns.set_job(job, heard_at=older[0].heard_at + timedelta(milliseconds=1))

    await hints.take(older)

    assert (await campaigns.job(batch)).heard_at is not None


# Several calls for one attempt -------------------------------------------------------------------------------------


async def test_a_second_call_of_an_attempt_is_stopped_once_and_the_first_goes_on(
    campaigns: Campaigns, hooked: RunningSimulator
) -> None:
    await hooked.script({numbers(1)[0]: [LONG_TALK]})
    worker = await campaigns.worker(**HOURLY)
    batch, job = await leased(campaigns, worker, max_call_duration=400)
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    assert in_call.attempt is not None
    extra = await second_call(hooked, job)
    stops = counting(worker.work._following._provider, "stop")

    async with listening(worker):
        await worker.work.process(in_call)

    await assert_stopped_once(campaigns, hooked, batch, in_call.attempt.call_id or "", extra)
    assert stops.count == 1


async def test_several_calls_in_the_list_are_no_reason_to_dial_and_all_but_one_are_stopped(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.script({numbers(1)[0]: [LONG_TALK]})
    await simulator.knobs(create_faults=[{"kind": "500_after", "count": 1}])
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker, max_call_duration=400)
    unsure = await worker.work._dialing.dial(job)
    assert unsure is not None
    extra = await second_call(simulator, job)
    first = next(call_id for call_id in await call_ids(simulator) if call_id != extra)
    await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
    await until(lambda: both_are_answered(simulator))

    async with listening(worker):
        await worker.work.process(unsure)

    await assert_stopped_once(campaigns, simulator, batch, first, extra)


async def test_a_second_call_that_cannot_be_stopped_yet_is_tried_again(
    campaigns: Campaigns, hooked: RunningSimulator
) -> None:
    await hooked.script({numbers(1)[0]: [LONG_TALK]})
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker, max_call_duration=400)
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    assert in_call.attempt is not None
    extra = await second_call(hooked, job)
    await worker.work._hints._store.hear(job.job_id, job.attempt_id or "", extra)
    await hooked.knobs(read_faults=[{"status_code": 503, "count": 4}])

    await worker.work.process(await campaigns.job(batch))

    await assert_stopped_once(campaigns, hooked, batch, in_call.attempt.call_id or "", extra)


async def assert_stopped_once(
    campaigns: Campaigns, simulator: RunningSimulator, batch: Batch, kept: str, extra: str
) -> None:
    calls = {call["call_id"]: call for call in (await simulator.http.get("/simulator/calls")).json()["calls"]}
    assert set(calls) == {kept, extra}, "nobody dialed because of it"
    assert calls[extra]["disconnection_reason"] == "manual_stopped"
    assert calls[kept]["disconnection_reason"] == "user_hangup"
    (record,) = (await campaigns.job(batch)).history
    assert record.call_id == kept
    logs, _ = await campaigns.container.batches.logs(batch.batch_id, limit=50, skip=0)
    alarms = [entry.message.params for entry in logs if entry.event == "attempt_had_several_calls"]
    assert [(alarm["call_id"], alarm["extra_call_id"]) for alarm in alarms] == [(kept, extra)]


async def call_ids(simulator: RunningSimulator) -> list[str]:
    return [call["call_id"] for call in (await simulator.http.get("/simulator/calls")).json()["calls"]]


async def both_are_answered(simulator: RunningSimulator) -> bool:
    calls = (await simulator.http.get("/simulator/calls")).json()["calls"]
    return [call["call_status"] for call in calls] == ["ongoing", "ongoing"]
