"""The timeline on a real MongoDB: written by the update that it tells of, bounded, and never loaded along."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from app.bootstrap import Container
from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.reading import JobFilter
from app.domain.timeline import EVENTS_KEPT, JobEvent, TimelineEvent
from app.repositories import documents
from app.repositories import jobs as jobs_module
from app.repositories.database import Document
from app.repositories.documents import to_document
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from tests.builders import NOW, make_attempt, make_job
from tests.integration.test_job_queue import LEASE, LEGAL, MOVES_OF_THE_HOLDER, REASON, held

CANCELLED = Message(code="cancelled_by_operator")


@pytest.fixture
def queue(container: Container) -> MongoJobQueue:
    return MongoJobQueue(container.database)


@pytest.fixture
def jobs(container: Container) -> MongoJobs:
    return MongoJobs(container.database)


@pytest.fixture(autouse=True)
def nobody_loads_timelines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job that is read in these tests comes without its events."""
    read = documents.from_document

    def checked(model: type[BaseModel], document: Document) -> BaseModel:
        assert "timeline" not in document
        return read(model, document)

    monkeypatch.setattr(documents, "from_document", checked)
    monkeypatch.setattr(jobs_module, "from_document", checked)


async def events(jobs: MongoJobs, job_id: str = "job-1") -> list[TimelineEvent]:
    found = await jobs.timeline(job_id)
    assert found is not None
    return found[1]


async def event(jobs: MongoJobs, job_id: str = "job-1") -> TimelineEvent:
    (only,) = await events(jobs, job_id)
    return only


@pytest.mark.parametrize(("name", "state"), LEGAL)
async def test_every_move_of_a_holder_tells_of_itself_once(
    queue: MongoJobQueue, jobs: MongoJobs, name: str, state: JobState
) -> None:
    job = held(state, attempt=make_attempt())
    await jobs.insert_many([job])
    target, move = MOVES_OF_THE_HOLDER[name]
    assert await move(queue, job)
    assert not await move(queue, job)
    told = await event(jobs)
    assert (told.state, told.by) == (target, "worker-1")


async def test_a_claim_says_who_took_it(queue: MongoJobQueue, jobs: MongoJobs, container: Container) -> None:
    await jobs.insert_many([make_job()])
    before = await container.database.server_time()
    (job,), _ = await queue.claim("batch-1", [0], [0], worker_id="$fence", lease=LEASE, now=NOW)
    told = await event(jobs)
    assert (told.event, told.state, told.by, told.fence) == (JobEvent.CLAIMED, JobState.LEASED, "$fence", job.fence)
    assert told.at >= before


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (JobState.LEASED, REASON, JobEvent.REFUSED),
        (JobState.LEASED, None, JobEvent.PUT_BACK),
        (JobState.DIALING, REASON, JobEvent.WITHDRAWN),
        (JobState.DIALING, None, JobEvent.WITHDRAWN),
    ],
)
async def test_going_back_says_why_and_until_when(
    queue: MongoJobQueue, jobs: MongoJobs, state: JobState, reason: Message | None, expected: JobEvent
) -> None:
    job = held(state)
    await jobs.insert_many([job])
    await queue.release(job, NOW, waiting_for=WaitingFor.HOURS, reason=reason, due_at=NOW + LEASE)
    told = await event(jobs)
    assert (told.event, told.reason, told.waiting_for, told.due_at) == (expected, reason, WaitingFor.HOURS, NOW + LEASE)


@pytest.mark.parametrize("state", [JobState.DIALING, JobState.IN_CALL])
async def test_an_adoption_says_who_left_it(queue: MongoJobQueue, jobs: MongoJobs, state: JobState) -> None:
    job = held(state)
    await jobs.insert_many([job])
    adopted = await queue.adopt(job, worker_id="worker-2", lease=LEASE)
    assert adopted is not None
    told = await event(jobs)
    assert (told.event, told.by, told.left_by) == (JobEvent.ADOPTED, "worker-2", "worker-1")
    assert (told.state, told.fence) == (adopted.state, adopted.fence)


async def test_a_stopping_worker_says_so(queue: MongoJobQueue, jobs: MongoJobs) -> None:
    await jobs.insert_many([held(JobState.IN_CALL), make_job(job_id="waiting")])
    await queue.hand_over("worker-1")
    told = await event(jobs)
    assert (told.event, told.state, told.by) == (JobEvent.HANDED_OVER, JobState.IN_CALL, "worker-1")
    assert await events(jobs, "waiting") == []


async def test_an_operators_cancel_and_retry_are_told(jobs: MongoJobs) -> None:
    await jobs.insert_many([make_job()])
    cancelled = await jobs.cancel("job-1", CANCELLED, NOW, by="ana")
    assert cancelled is not None
    await jobs.reopen(cancelled, NOW, extra_attempts=1, next_phone_index=0, by="ana")
    await jobs.cancel_pending("batch-1", Message(code="batch_cancelled"), NOW, by="luis")
    told = [(one.event, one.by, one.reason and one.reason.code) for one in await events(jobs)]
    assert told == [
        (JobEvent.CANCELLED, "ana", "cancelled_by_operator"),
        (JobEvent.RETRIED, "ana", None),
        (JobEvent.CANCELLED, "luis", "batch_cancelled"),
    ]


async def test_a_cancel_during_the_call_is_told_once(jobs: MongoJobs) -> None:
    await jobs.insert_many([held(JobState.IN_CALL)])
    for user in ("ana", "luis"):
        asked = await jobs.cancel("job-1", CANCELLED, NOW, by=user)
        assert asked is not None
        assert asked.cancel_requested
    told = await event(jobs)
    assert (told.event, told.state, told.by) == (JobEvent.CANCEL_REQUESTED, JobState.IN_CALL, "ana")


@pytest.mark.parametrize("how", ["push", "pipeline"])
async def test_a_timeline_is_bounded_and_keeps_the_newest(
    queue: MongoJobQueue, jobs: MongoJobs, container: Container, how: str
) -> None:
    job = held(JobState.IN_CALL)
    old = [
        {"at": NOW + timedelta(seconds=number), "event": "claimed", "state": "leased", "by": str(number)}
        for number in range(EVENTS_KEPT)
    ]
    document: dict[str, Any] = {**to_document(job), "timeline": old}
    await container.database.collection("jobs").insert_one(document)
    if how == "push":
        await queue.mark_uncertain(job, NOW)
    else:
        await queue.hand_over("worker-1")
    told = await events(jobs)
    assert len(told) == EVENTS_KEPT
    assert (told[0].by, told[-2].by) == ("1", str(EVENTS_KEPT - 1))
    assert told[-1].event in {JobEvent.UNCERTAIN, JobEvent.HANDED_OVER}


async def test_jobs_are_read_without_their_timelines(queue: MongoJobQueue, jobs: MongoJobs) -> None:
    """`nobody_loads_timelines` looks."""
    await jobs.insert_many([make_job()])
    (job,), _ = await queue.claim("batch-1", [0], [0], worker_id="worker-1", lease=LEASE, now=NOW)
    assert await queue.still_mine(job) is not None
    assert await jobs.get("job-1") is not None
    listed = await jobs.page(JobFilter(batch_id="batch-1"), limit=9)
    assert isinstance(listed[0], Job)
    await queue.hand_over("worker-1")
    (expired,) = await queue.expired(NOW + timedelta(days=36_500), 10)
    assert expired.job_id == "job-1"
