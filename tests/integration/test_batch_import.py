"""Importing a batch's jobs: all of them or none, whoever dies, freezes or fails in the middle."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.batches import Batch, BatchStatus
from app.domain.contacts import ContactRow
from app.domain.errors import Conflict, DatabaseUnavailable
from app.domain.jobs import Job, JobState, WaitingFor
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import from_document
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.services.batch_import import EXTEND_EVERY, IMPORT_LEASE, import_jobs, in_chunks, undo_import
from tests.builders import NOW, FakeTime, make_batch, make_contact, make_job, phone
from tests.integration.wiring import make_claiming

OPENED = {"status": BatchStatus.RUNNING, "started_at": NOW, "wake_at": NOW}
MOMENT = timedelta(milliseconds=1)


class Importing:
    """A batch that stands as `importing`, and what its importer and the workers do to it."""

    def __init__(self, container: Container) -> None:
        self.batches, self.jobs = MongoBatches(container.database), MongoJobs(container.database)
        self.accounts, self.queue = MongoAccounts(container.database), MongoJobQueue(container.database)
        self.database = container.database
        self.collection = container.database.collection("jobs")
        self.time = FakeTime()
        expires = NOW + IMPORT_LEASE
        self.batch = make_batch(status=BatchStatus.IMPORTING, import_expires_at=expires, wake_at=expires)

    async def run(self, chunks: AsyncIterator[list[ContactRow]], **opened: Any) -> Batch:
        return await import_jobs(self.batches, self.jobs, self.time, self.batch, chunks, {**OPENED, **opened})

    async def claim(self) -> None:
        """A worker looks for work, and does what is to be done with batches instead."""
        claiming = make_claiming(
            self.database, self.accounts, self.batches, self.jobs, self.queue, self.time, timedelta(days=1)
        )
        assert await claiming.claim(10) == []

    async def all_jobs(self) -> list[Job]:
        return [from_document(Job, document) async for document in self.collection.find().sort("_id", 1)]

    async def stored(self) -> Batch | None:
        return await self.batches.get("batch-1")

    async def nothing_is_left(self) -> bool:
        return await self.stored() is None and await self.collection.count_documents({}) == 0


@pytest.fixture
async def importing(container: Container) -> Importing:
    importing = Importing(container)
    assert await importing.batches.insert(importing.batch)
    return importing


def rows(count: int) -> list[ContactRow]:
    return [ContactRow(number + 2, make_contact(phones=[phone(number)])) for number in range(count)]


def make_job_of(batch: Batch, number: int) -> Job:
    return make_job(job_id=f"{batch.batch_id}-{number:06d}", batch_id=batch.batch_id)


async def chunks_with(between: Callable[[int], Any], count: int = 3, size: int = 10) -> AsyncIterator[list[ContactRow]]:
    """`count` chunks; before giving each, `between` happens."""
    contacts = rows(count * size)
    for number in range(count):
        happening = between(number)
        if happening is not None:
            await happening
        yield contacts[number * size : (number + 1) * size]


# All --------------------------------------------------------------------------------------------------------------


async def test_2500_contacts_become_2500_jobs_and_a_batch_that_runs(importing: Importing) -> None:
    contacts = rows(2500)
    batch = await importing.run(in_chunks(contacts))
    assert (batch.status, batch.total_jobs, batch.import_expires_at) == (BatchStatus.RUNNING, 2500, None)
    assert (batch.wake_at, batch.started_at) == (NOW, NOW)
    assert batch == await importing.stored()
    jobs = await importing.all_jobs()
    assert [job.contact for job in jobs] == [row.contact for row in contacts]
    assert [job.row for job in jobs] == [row.row_number for row in contacts]
    assert jobs[0].job_id == "batch-1-000001"
    assert {(job.state, job.waiting_for, job.due_at) for job in jobs} == {(JobState.PENDING, WaitingFor.NEW, NOW)}
    assert {(job.account_id, job.batch_id) for job in jobs} == {("acc-1", "batch-1")}


async def test_the_jobs_of_a_scheduled_batch_are_due_when_it_starts(container: Container) -> None:
    importing = Importing(container)
    later = NOW + timedelta(days=1)
    importing.batch = importing.batch.model_copy(update={"scheduled_at": later})
    await importing.batches.insert(importing.batch)
    batch = await importing.run(in_chunks(rows(3)), status=BatchStatus.SCHEDULED, wake_at=later)
    assert (batch.status, batch.wake_at) == (BatchStatus.SCHEDULED, later)
    assert {job.due_at for job in await importing.all_jobs()} == {later}


async def test_a_chunk_that_was_written_already_is_not_written_twice(importing: Importing) -> None:
    contacts = rows(20)
    await importing.run(in_chunks(contacts))
    jobs = await importing.all_jobs()
    touched = jobs[3].model_copy(update={"contact": make_contact(name="Otra")})
    await importing.jobs.insert_many([touched, *jobs[4:8]])
    assert await importing.all_jobs() == jobs


async def test_a_long_import_extends_its_lease_so_that_no_worker_undoes_it(importing: Importing) -> None:
    expiries: list[Any] = []

    async def time_goes_by() -> None:
        importing.time.advance(EXTEND_EVERY + MOMENT)
        batch = await importing.stored()
        assert batch is not None
        expiries.append(batch.import_expires_at)
        assert batch.wake_at == batch.import_expires_at
        await importing.claim()

    batch = await importing.run(chunks_with(lambda _: time_goes_by(), count=8))
    assert batch.total_jobs == 80
    assert importing.time.now() > NOW + IMPORT_LEASE
    assert expiries[-1] > NOW + IMPORT_LEASE


# Or none ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("broken"), DatabaseUnavailable(), asyncio.CancelledError()])
async def test_a_failure_in_the_middle_leaves_nothing(importing: Importing, error: BaseException) -> None:
    def fail(number: int) -> None:
        if number == 2:
            raise error

    with pytest.raises(type(error)):
        await importing.run(chunks_with(fail))
    assert await importing.nothing_is_left()


async def test_a_request_that_is_cut_off_leaves_nothing(importing: Importing) -> None:
    waiting = asyncio.Event()

    async def wait_for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(importing.run(chunks_with(lambda number: wait_for_ever() if number == 2 else None)))
    async with asyncio.timeout(10):
        await waiting.wait()
    assert len(await importing.all_jobs()) == 20
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await importing.nothing_is_left()


async def test_what_a_dead_importer_left_is_undone_by_a_worker_once_its_lease_ran_out(importing: Importing) -> None:
    await importing.jobs.insert_many([make_job_of(importing.batch, number) for number in range(10)])
    await importing.claim()
    assert not await importing.nothing_is_left()
    importing.time.advance(IMPORT_LEASE)
    await importing.claim()
    assert await importing.nothing_is_left()


@pytest.mark.parametrize("frozen_before", [1, 2])
@pytest.mark.parametrize("clock_notices", [True, False])
async def test_an_importer_frozen_past_its_lease_is_told_and_leaves_nothing(
    importing: Importing, frozen_before: int, clock_notices: bool
) -> None:
    """A clock that did not notice the freeze lets it write on to the last step: that one tells."""

    async def freeze() -> None:
        importing.time.advance(IMPORT_LEASE)
        await importing.claim()
        assert await importing.nothing_is_left()
        if not clock_notices:
            importing.time.advance(-IMPORT_LEASE)

    with pytest.raises(Conflict, match="import_undone"):
        await importing.run(chunks_with(lambda number: freeze() if number == frozen_before else None))
    assert await importing.nothing_is_left()


async def test_an_importer_frozen_in_a_write_does_not_leave_the_jobs_of_that_write(
    importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_many = importing.jobs.insert_many
    writes: list[int] = []

    async def frozen_in_the_second(jobs: list[Job]) -> None:
        writes.append(len(jobs))
        if len(writes) == 2:
            importing.time.advance(IMPORT_LEASE)
            await importing.claim()
            assert await importing.nothing_is_left()
        await insert_many(jobs)

    monkeypatch.setattr(importing.jobs, "insert_many", frozen_in_the_second)
    with pytest.raises(Conflict, match="import_undone"):
        await importing.run(chunks_with(lambda _: None))
    assert await importing.nothing_is_left()


async def test_an_importer_frozen_before_its_last_step_is_told_and_leaves_nothing(
    importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = importing.batches.move

    async def frozen(*arguments: Any) -> Batch | None:
        monkeypatch.undo()
        importing.time.advance(IMPORT_LEASE)
        await importing.claim()
        return await move(*arguments)

    monkeypatch.setattr(importing.batches, "move", frozen)
    with pytest.raises(Conflict, match="import_undone"):
        await importing.run(in_chunks(rows(5)))
    assert await importing.nothing_is_left()


async def test_an_importer_cannot_finish_while_its_import_is_being_undone(
    importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a batch that its user was told of would lose its jobs, perhaps with calls in progress."""
    delete_of_batch = importing.jobs.delete_of_batch
    finished: list[Batch | None] = []

    async def importer_wakes_up(batch_id: str) -> None:
        finished.append(await importing.batches.move(batch_id, [BatchStatus.IMPORTING], BatchStatus.RUNNING, {}))
        await delete_of_batch(batch_id)

    monkeypatch.setattr(importing.jobs, "delete_of_batch", importer_wakes_up)
    await undo_import(importing.batches, importing.jobs, importing.batch)
    assert finished == [None]
    assert await importing.nothing_is_left()


async def test_an_import_that_was_finished_is_not_undone(importing: Importing) -> None:
    batch = await importing.run(in_chunks(rows(5)))
    await undo_import(importing.batches, importing.jobs, importing.batch)
    assert await importing.stored() == batch
    assert len(await importing.all_jobs()) == 5


async def test_a_batch_that_an_operator_cancelled_is_not_undone(importing: Importing) -> None:
    await importing.run(in_chunks(rows(5)))
    await importing.batches.move("batch-1", [BatchStatus.RUNNING], BatchStatus.CANCELLED, {"wake_at": NOW})
    await importing.claim()
    assert {job.state for job in await importing.all_jobs()} == {JobState.CANCELLED}


@pytest.mark.parametrize("step", ["delete_of_batch", "delete"])
async def test_an_undoing_that_is_interrupted_is_done_by_the_next_worker(
    importing: Importing, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await importing.jobs.insert_many([make_job_of(importing.batch, 1)])
    importing.time.advance(IMPORT_LEASE)

    async def crash(_self: object, _batch_id: str) -> None:
        raise ConnectionError

    monkeypatch.setattr(MongoJobs if step == "delete_of_batch" else MongoBatches, step, crash)
    with pytest.raises(ConnectionError):
        await importing.claim()
    assert not await importing.nothing_is_left()
    monkeypatch.undo()
    await importing.claim()
    assert await importing.nothing_is_left()
