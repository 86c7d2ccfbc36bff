"""Moves that many jobs ask for at the same time are one write, and each hears of its own alone."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, WriteError

from app.bootstrap import Container
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import FINAL, Job, JobState
from app.repositories.job_queue import MongoJobQueue
from tests.builders import NOW, make_attempt, make_job, make_report
from tests.integration.test_job_queue import LEGAL, MOVES_OF_THE_HOLDER, SECOND, Store

BY_THE_SERVERS_CLOCK = {"updated_at", "lease_until", "timeline"}


@pytest.fixture
def store(container: Container) -> Store:
    return Store(container.database.collection("jobs"))


@pytest.fixture
def queue(container: Container) -> MongoJobQueue:
    return MongoJobQueue(container.database)


def held(*states: JobState) -> list[Job]:
    """Jobs in hand, one in each of the states."""
    slots = count()
    return [
        make_job(
            job_id=f"job-{number}",
            state=state,
            fence=3,
            slot=number,
            provider_slot=next(slots),
            worker_id="worker-1",
            lease_until=NOW,
            attempt_id=f"attempt-{number}",
            attempt=None if state is JobState.LEASED else make_attempt(attempt_id=f"attempt-{number}"),
        )
        for number, state in enumerate(states)
    ]


@pytest.fixture
def bulks(queue: MongoJobQueue, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many updates each bulk had."""
    sizes, real = list[int](), queue._moves._jobs.bulk_write

    async def bulk_write(updates: Sequence[Any], **options: Any) -> Any:
        sizes.append(len(updates))
        return await real(updates, **options)

    monkeypatch.setattr(queue._moves._jobs, "bulk_write", bulk_write)
    return sizes


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    told = [{name: event[name] for name in event if name != "at"} for event in document["timeline"]]
    return {name: value for name, value in document.items() if name not in BY_THE_SERVERS_CLOCK} | {"told": told}


async def test_every_move_ends_as_it_does_alone(queue: MongoJobQueue, store: Store, bulks: list[int]) -> None:
    jobs = held(*(state for _, state in LEGAL))
    moves = [MOVES_OF_THE_HOLDER[name] for name, _ in LEGAL]
    await store.add(*jobs)
    alone = [await move(queue, job) for (_, move), job in zip(moves, jobs, strict=True)]
    documents = [without_times(await store.raw(job.job_id)) for job in jobs]
    for job in jobs:
        await store.put(job)

    together = await asyncio.gather(*(move(queue, job) for (_, move), job in zip(moves, jobs, strict=True)))

    assert bulks == [len(jobs)]
    assert [without_times(await store.raw(job.job_id)) for job in jobs] == documents
    for (target, _), job, one, other in zip(moves, jobs, alone, together, strict=True):
        if target in FINAL | {JobState.PENDING}:
            assert one is other is True
        else:
            assert other == await store.get(job.job_id)


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_whoever_lost_its_job_hears_so_and_no_other(
    queue: MongoJobQueue, store: Store, bulks: list[int], lost: int
) -> None:
    jobs = held(*(state for _, state in LEGAL), *(state for _, state in LEGAL))
    moves = [MOVES_OF_THE_HOLDER[name] for name, _ in LEGAL * 2]
    lost_ones = set(range(0, len(jobs), lost + 1))
    # Adopted by another, who may have brought it to the very state.
    for number, job in enumerate(jobs):
        adopted = {"fence": 4, "state": moves[number][0], "worker_id": "worker-2"}
        await store.add(job.model_copy(update=adopted) if number in lost_ones else job)
    before = {number: await store.raw(jobs[number].job_id) for number in lost_ones}

    moved = await asyncio.gather(*(move(queue, job) for (_, move), job in zip(moves, jobs, strict=True)))

    assert bulks == [len(jobs)]
    for number, (target, _) in enumerate(moves):
        job_id = jobs[number].job_id
        if number in lost_ones:
            assert moved[number] in (None, False)
            assert await store.raw(job_id) == before[number]
        else:
            assert moved[number]
            assert (await store.get(job_id)).state is target


async def test_what_an_earlier_try_did_whose_answer_was_lost_is_done(queue: MongoJobQueue, store: Store) -> None:
    placed, settled, other = held(JobState.DIALING, JobState.SETTLING, JobState.DIALING)
    done = [
        placed.model_copy(update={"state": JobState.IN_CALL}),
        settled.model_copy(update={"state": JobState.PENDING}),
        other,
    ]
    await store.add(*done)

    in_call, finished, moved = await asyncio.gather(
        queue.mark_in_call(placed, make_report(), NOW),
        MOVES_OF_THE_HOLDER["finish"][1](queue, settled),
        queue.mark_in_call(other, make_report(), NOW),
    )

    assert in_call == await store.get(placed.job_id)
    assert finished is True
    assert moved is not None
    assert [(await store.get(job.job_id)).fence for job in done] == [3, 3, 3]


async def test_a_document_that_takes_no_update_fails_its_own_move_only(queue: MongoJobQueue, store: Store) -> None:
    jobs = held(*[JobState.DIALING] * 4)
    await store.add(*jobs)
    # `attempt.call_id` has no place in a text.
    await queue._jobs.update_one({"_id": "job-1"}, {"$set": {"attempt": "spoilt"}})

    moved = await asyncio.gather(
        *(queue.mark_in_call(job, make_report(), NOW + SECOND) for job in jobs), return_exceptions=True
    )

    assert isinstance(moved[1], WriteError)
    assert [job.state for job in moved if isinstance(job, Job)] == [JobState.IN_CALL] * 3


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


UNWRITABLE = {
    "half a character": {"a": "\ud83d"},
    "a long integer": {"a": 2**64},
    "a depth": nested(300),
    "a length": {"a": "x" * 17_000_000},
}


@pytest.mark.parametrize("analysis", UNWRITABLE.values(), ids=UNWRITABLE)
async def test_what_cannot_be_written_fails_its_own_move_only(
    queue: MongoJobQueue, store: Store, analysis: dict[str, Any]
) -> None:
    jobs = held(*[JobState.DIALING] * 3)
    await store.add(*jobs)
    reports = [make_report(), make_report(analysis=analysis), make_report()]

    moved = await asyncio.gather(
        *(queue.mark_in_call(job, report, NOW) for job, report in zip(jobs, reports, strict=True)),
        return_exceptions=True,
    )

    assert isinstance(moved[1], Exception)
    assert not isinstance(moved[1], DatabaseUnavailable)
    states = [(await store.get(job.job_id)).state for job in jobs]
    assert states == [JobState.IN_CALL, JobState.DIALING, JobState.IN_CALL]
    assert [moved[0], moved[2]] == [await store.get(jobs[0].job_id), await store.get(jobs[2].job_id)]


async def test_of_two_moves_of_one_job_one_is_made(queue: MongoJobQueue, store: Store) -> None:
    first, other = held(JobState.DIALING, JobState.DIALING)
    await store.add(first, other)

    answers = await asyncio.gather(
        queue.mark_verifying(first, NOW),
        queue.mark_verifying(first, NOW),
        queue.mark_verifying(other, NOW),
    )

    assert [answer is not None for answer in answers] == [True, False, True]
    assert len((await store.raw("job-0"))["timeline"]) == 1


async def test_whoever_gives_up_takes_nothing_from_the_others(queue: MongoJobQueue, store: Store) -> None:
    jobs = held(*[JobState.DIALING] * 3)
    await store.add(*jobs)
    asked = [asyncio.create_task(queue.mark_verifying(job, NOW)) for job in jobs]
    await asyncio.sleep(0)
    asked[0].cancel()

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    # Its move was made all the same: as if it had ended right after.
    assert [(await store.get(job.job_id)).state for job in jobs] == [JobState.VERIFYING] * 3
    assert all(isinstance(answer, Job) for answer in answers[1:])


def _unconfirmed() -> Exception:
    problem = {"code": 64, "errmsg": "waiting for replication timed out"}
    return BulkWriteError({"writeErrors": [], "writeConcernErrors": [problem], "nMatched": 3})


def _stopping() -> Exception:
    problem = {"index": 1, "code": 11600, "errmsg": "interrupted at shutdown"}
    return BulkWriteError({"writeErrors": [problem], "writeConcernErrors": [], "nMatched": 2})


@pytest.mark.parametrize(
    ("error", "unsure"), [(_unconfirmed, {0, 1, 2}), (_stopping, {1}), (lambda: AutoReconnect("gone"), {0, 1, 2})]
)
async def test_nobody_takes_for_stored_what_may_not_be(
    queue: MongoJobQueue,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    error: Callable[[], Exception],
    unsure: set[int],
) -> None:
    jobs = held(*[JobState.DIALING] * 3)
    await store.add(*jobs)
    real = queue._moves._jobs.bulk_write

    async def fails(updates: Sequence[Any], **options: Any) -> Any:
        await real(updates, **options)
        raise error()

    monkeypatch.setattr(queue._moves._jobs, "bulk_write", fails)
    answers = await asyncio.gather(*(queue.mark_verifying(job, NOW) for job in jobs), return_exceptions=True)

    assert {number for number in range(3) if isinstance(answers[number], DatabaseUnavailable)} == unsure
    assert {number for number in range(3) if isinstance(answers[number], Job)} == {0, 1, 2} - unsure
