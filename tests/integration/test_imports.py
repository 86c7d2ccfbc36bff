"""Imports: every contact once, whoever dies, freezes or fails in the middle; and out again the same way."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

import pytest

from app.bootstrap import Container
from app.domain.batches import MAX_TIME_ZONES, Batch, BatchStatus, Priority, ScheduleType, VoiceSettings
from app.domain.column_mapping import ColumnMapping
from app.domain.contact_list import ContactPiece, ListSummary
from app.domain.contacts import ContactRow, person_keys
from app.domain.errors import Conflict, DatabaseUnavailable, InvalidInput
from app.domain.imports import IMPORT_LEASE, Import, ImportStatus, LeftOut, NumberedContact
from app.domain.jobs import IN_FLIGHT, Job, JobState, WaitingFor
from app.domain.recurrence import Frequency, RecurrenceRule
from app.domain.variables import own_variables
from app.repositories.accounts import MongoAccounts
from app.repositories.batch_contacts import MongoBatchContacts
from app.repositories.batches import MongoBatches
from app.repositories.documents import from_document, plain
from app.repositories.imports import MongoImports
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.repositories.uploads import MongoUploads
from app.services import importing
from app.services.batch_creation import BatchCreation, NewBatch
from app.services.import_tasks import ImportTasks
from app.services.importing import Importing, job_of
from app.services.imports import HOLD, ImportService, NewContacts
from app.services.recurring import Recurring
from app.services.worker_control import WorkerControl
from tests.builders import NOW, FakeTime, make_account, make_contact, make_record, make_settings, phone
from tests.integration.wiring import make_claiming, make_importing
from tests.profiling import profiled

DAY = timedelta(days=1)
PIECE = 10
CONTACTS = 25
RUNNING, DRAFT, PAUSED = BatchStatus.RUNNING, BatchStatus.DRAFT, BatchStatus.PAUSED
ADDABLE = [DRAFT, BatchStatus.SCHEDULED, RUNNING, PAUSED, BatchStatus.COMPLETED]


class Killed(BaseException):
    """Stands for kill -9: nobody catches it."""


class Nobody(ImportTasks):
    """Of a process that dies with the plan stored and not a contact written."""

    async def run(self, batch: Batch) -> None:
        pass


def never() -> bool:
    return False


class Site:
    """A database, operators, and any number of processes that write imports; at a time of the test's own."""

    def __init__(self, container: Container) -> None:
        self.database = container.database
        self.time = FakeTime()
        self.batches, self.jobs = MongoBatches(self.database), MongoJobs(self.database)
        self.imports, self.uploads = MongoImports(self.database), MongoUploads(self.database, DAY)
        self.accounts = MongoAccounts(self.database)
        self.collection = self.database.collection("jobs")
        self.tasks = ImportTasks(self.importer(), waited_for=1000)
        self.nobody = Nobody(self.importer(), waited_for=1000)

    def importer(self) -> Importing:
        """With repositories of its own, so that one process can be broken."""
        return make_importing(self.database, self.time)

    def service(self, tasks: ImportTasks | None = None) -> ImportService:
        return ImportService(self.batches, self.imports, self.uploads, tasks or self.tasks, self.time)

    async def upload(self, *numbers: int, upload_id: str = "upload-1", **changes: Any) -> str:
        """A list of contacts with these phones, in pieces of PIECE."""
        summary = ListSummary(mapping=ColumnMapping(header_row=1, columns=()), valid_rows=len(numbers))
        for piece, start in enumerate(range(0, len(numbers), PIECE)):
            rows = [
                (place + 2, make_contact(phones=[phone(number)], **changes))
                for place, number in enumerate(numbers[start : start + PIECE], start)
            ]
            for row, contact in rows:
                summary.variables.count(row, own_variables(contact))
                summary.time_zones |= {contact.timezone} if contact.timezone else set()
            listed = [(row, contact.model_dump(exclude_none=True)) for row, contact in rows]
            persons = [(row, person_keys(contact)) for row, contact in rows]
            await self.uploads.save_contacts(
                upload_id, piece, ContactPiece(persons, json.dumps(listed)), self.time.now()
            )
        await self.uploads.save(upload_id, "acc-1", "base.xlsx", summary, self.time.now())
        return upload_id

    async def create(
        self, upload_id: str | None = "upload-1", *, tasks: ImportTasks | None = None, **changes: Any
    ) -> Batch:
        values: dict[str, Any] = {
            "account_id": "acc-1",
            "name": "Cobranza",
            "description": None,
            "script_content": "",
            "voice_settings": VoiceSettings(),
            "call_settings": make_settings(),
            "schedule_type": ScheduleType.IMMEDIATE,
            "scheduled_at": None,
            "recurring": None,
            "priority": Priority.NORMAL,
            "budget": None,
            "retell_agent_id": None,
            "retell_from_number": None,
            "contacts": None,
            "upload_id": upload_id,
            "allow_missing_variables": False,
            "idempotency_key": None,
            "request_digest": "",
        }
        creation = BatchCreation(self.accounts, self.batches, self.uploads, tasks or self.tasks, self.time)
        return await creation.create(NewBatch(**{**values, **changes}), user="ana")

    async def batch_in(self, status: BatchStatus) -> Batch:
        """A batch of one contact, phone 0, or a draft."""
        if status is DRAFT:
            return await self.create(None)
        await self.upload(0, upload_id="upload-0")
        changes: dict[str, Any] = {}
        if status is BatchStatus.SCHEDULED:
            changes = {"schedule_type": ScheduleType.SCHEDULED, "scheduled_at": NOW + DAY}
        batch = await self.create("upload-0", **changes)
        if status is BatchStatus.COMPLETED:
            await self.end_jobs()
            await self.claim()
        elif status is not batch.status:
            await self.batches.move(batch.batch_id, [batch.status], status, {"wake_at": None})
        stored = await self.stored(batch)
        assert stored.status is status
        return stored

    async def end_jobs(self, state: JobState = JobState.COMPLETED) -> None:
        """Everybody was called."""
        done = {"state": state.value, "attempts": 1, "history": [plain(make_record())]}
        await self.collection.update_many({}, {"$set": done})

    async def claim(self) -> list[Job]:
        return await make_claiming(
            self.database, self.accounts, self.batches, self.jobs, MongoJobQueue(self.database), self.time, DAY
        ).claim(100)

    async def resume(self, stopping: Callable[[], bool] = never) -> None:
        """What every worker does once a second."""
        await self.importer().resume_expired(stopping)

    async def resume_all(self) -> None:
        """Once the leases of the dead are over."""
        self.time.advance(IMPORT_LEASE)
        await self.resume()

    async def stored(self, batch: Batch) -> Batch:
        found = await self.batches.get(batch.batch_id)
        assert found is not None
        return found

    async def all_jobs(self) -> list[Job]:
        return [from_document(Job, document) async for document in self.collection.find().sort("_id", 1)]

    async def phones(self) -> list[str]:
        return [job.contact.phones[0] for job in await self.all_jobs()]

    async def only_import(self, batch: Batch) -> Import:
        ((found,), total) = await self.service().page(batch.batch_id, limit=10, skip=0)
        assert total == 1
        return found

    async def events(self, batch: Batch) -> list[str]:
        entries, _ = await self.batches.logs(batch.batch_id, limit=100, skip=0)
        return [entry.event for entry in reversed(entries)]


@pytest.fixture
async def site(container: Container) -> Site:
    site = Site(container)
    await site.accounts.insert(make_account(funds={"credits_purchased": 100, "free": 100}))
    return site


ALL = [phone(n) for n in range(CONTACTS)]


def killed_at(subject: object, method: str, call: int, *, after: bool) -> None:
    """Let whoever uses `subject` die at that call of `method`, before or after it is carried out."""
    real, calls = getattr(subject, method), 0

    async def killed(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls < call:
            return await real(*args, **kwargs)
        if after:
            await real(*args, **kwargs)
        raise Killed

    setattr(subject, method, killed)


# Written ----------------------------------------------------------------------------------------------------------


async def test_an_upload_becomes_a_batch_that_runs(site: Site) -> None:
    batch = await site.create(await site.upload(*range(CONTACTS), custom_fields={"monto": "5"}))
    assert (batch.status, batch.total_jobs, batch.numbers_used) == (RUNNING, CONTACTS, CONTACTS)
    assert (batch.current_import, batch.wake_at, batch.started_at) == (None, NOW, NOW)
    jobs = await site.all_jobs()
    assert [job.contact for job in jobs] == [
        make_contact(phones=[number], custom_fields={"monto": "5"}) for number in ALL
    ]
    assert [job.row for job in jobs] == list(range(2, CONTACTS + 2))
    assert jobs[0].job_id == f"{batch.batch_id}-000001"
    assert {(job.state, job.waiting_for, job.due_at) for job in jobs} == {(JobState.PENDING, WaitingFor.NEW, NOW)}
    work = await site.only_import(batch)
    assert {job.import_id for job in jobs} == {work.import_id}
    assert (work.status, work.written, work.skipped, work.percent) == (ImportStatus.COMPLETED, CONTACTS, 0, 100)
    assert await site.events(batch) == ["batch_created", "batch_started"]


async def test_the_jobs_of_a_scheduled_batch_are_due_when_it_starts(site: Site) -> None:
    await site.upload(1, 2)
    batch = await site.create(schedule_type=ScheduleType.SCHEDULED, scheduled_at=NOW + DAY)
    assert (batch.status, batch.wake_at) == (BatchStatus.SCHEDULED, NOW + DAY)
    assert {job.due_at for job in await site.all_jobs()} == {NOW + DAY}


async def test_documents_of_imported_jobs_are_what_the_model_makes_of_them(site: Site) -> None:
    """They are made without it."""
    await site.upload(1, timezone="America/Lima", dni="12345678-9", email="ana@correo.cl")
    await site.create()
    stored = await site.collection.find_one({})
    assert stored is not None
    (job,) = await site.all_jobs()
    again = plain(job)
    again["_id"] = again.pop("job_id")
    assert stored == again
    assert (job.zone, job.person_keys) == ("America/Lima", ["id:123456789", phone(1)])


async def test_every_contact_gets_the_fields_that_come_with_the_order(site: Site) -> None:
    await site.upload(1, custom_fields={"monto": "5", "fecha_limite": "?"})
    script = "{{fecha_limite}} {{fecha_maxima}}"
    fields = {"fecha_limite": "01/02/2026", "fecha_maxima": "03/02/2026"}
    await site.create(extra_fields=fields, script_content=script)
    (job,) = await site.all_jobs()
    assert job.contact.custom_fields == {"monto": "5", **fields}


async def test_nobody_is_called_before_all_contacts_are_there(site: Site) -> None:
    batch = await site.create(await site.upload(*range(CONTACTS)), tasks=site.nobody)
    assert batch.status is BatchStatus.IMPORTING
    doomed = site.importer()
    killed_at(doomed._jobs, "insert_contacts", 2, after=True)
    with pytest.raises(Killed):
        await doomed.carry_on(batch, never)
    assert len(await site.all_jobs()) == 2 * PIECE
    assert await site.claim() == []
    await site.batches.wake(batch.batch_id, NOW)
    assert await site.claim() == []


async def test_the_zones_of_its_contacts_are_known_before_any_is_there(site: Site) -> None:
    """The claim looks only into zones that the batch has: a job of another one would never be called."""
    await site.upload(1, timezone="America/Lima")
    batch = await site.create(tasks=site.nobody)
    assert batch.contact_timezones == ["America/Lima"]
    await site.upload(2, timezone="America/Tijuana", upload_id="upload-2")
    await site.resume_all()
    await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-2"), user="ana")
    assert (await site.stored(batch)).zones == ["", "America/Lima", "America/Tijuana"]


async def test_contacts_of_too_many_zones_are_refused_and_nothing_is_left_of_them(site: Site) -> None:
    zones = sorted(zone for zone in available_timezones() if zone.startswith("America/"))
    contacts = [
        {"name": "Ana", "phones": [phone(n)], "timezone": zone} for n, zone in enumerate(zones[: MAX_TIME_ZONES + 1])
    ]
    with pytest.raises(InvalidInput) as refused:
        await site.create(None, contacts=contacts)
    assert refused.value.errors[0].message.code == "too_many_time_zones"
    for name in ("batches", "jobs", "uploads", "upload_chunks"):
        assert await site.database.collection(name).count_documents({}) == 0


# Killed -----------------------------------------------------------------------------------------------------------

STEPS = {
    ("_imports", "save"): 2,
    ("_uploads", "piece"): 3,
    ("_jobs", "insert_contacts"): 3,
    ("_imports", "advance"): 3,
    ("_imports", "close"): 1,
}
"""What an import of 25 contacts in pieces of 10 is made of, and how often each is called."""
MOMENTS = [(*step, call, after) for step, calls in STEPS.items() for call in range(1, calls + 1) for after in (0, 1)]


@pytest.mark.parametrize(("repository", "method", "call", "after"), MOMENTS)
async def test_whoever_is_killed_a_worker_goes_on_where_it_stopped(
    site: Site, repository: str, method: str, call: int, after: int
) -> None:
    """Also with duplicates, which the second one must judge as the first did."""
    draft = await site.create(None)
    twice = NewContacts(await site.upload(*range(CONTACTS - 2), 3, 12))
    await site.service(site.nobody).add(draft.batch_id, twice, user="ana")
    batch = await site.stored(draft)
    doomed = site.importer()
    killed_at(getattr(doomed, repository), method, call, after=bool(after))
    with pytest.raises(Killed):
        await doomed.carry_on(batch, never)

    await site.resume()
    is_over = (repository, method, after) == ("_imports", "close", 1)
    assert (await site.stored(batch)).status is (RUNNING if is_over else BatchStatus.IMPORTING), "its lease runs on"
    await site.resume_all()
    done = await site.stored(batch)
    assert (done.status, done.total_jobs, done.current_import) == (RUNNING, CONTACTS - 2, None)
    assert await site.phones() == ALL[:-2]
    work = await site.only_import(batch)
    assert (work.status, work.written, work.skipped) == (ImportStatus.COMPLETED, CONTACTS - 2, 2)


async def test_two_workers_that_find_it_at_once_finish_it_once(site: Site) -> None:
    batch = await site.create(await site.upload(*range(CONTACTS)), tasks=site.nobody)
    site.time.advance(IMPORT_LEASE)
    await asyncio.gather(*(site.resume() for _ in range(4)))
    assert await site.phones() == ALL
    assert ((await site.stored(batch)).status, await site.events(batch)) == (
        RUNNING,
        ["batch_created", "batch_started"],
    )


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize(("repository", "method"), [("_jobs", "insert_contacts"), ("_imports", "advance")])
async def test_one_that_was_frozen_past_its_lease_finds_it_done_and_does_no_harm(
    site: Site, repository: str, method: str, call: int
) -> None:
    batch = await site.create(await site.upload(*range(CONTACTS)), tasks=site.nobody)
    frozen = site.importer()
    subject = getattr(frozen, repository)
    real, calls = getattr(subject, method), 0

    async def freezes(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            site.time.advance(IMPORT_LEASE)
            await site.resume()
            assert (await site.stored(batch)).status is RUNNING
        return await real(*args, **kwargs)

    setattr(subject, method, freezes)
    await frozen.carry_on(batch, never)
    assert await site.phones() == ALL
    done = await site.stored(batch)
    assert (done.total_jobs, done.current_import) == (CONTACTS, None)
    assert await site.events(batch) == ["batch_created", "batch_started"]


async def test_one_that_was_frozen_does_not_go_on_beside_the_one_that_took_over(site: Site) -> None:
    batch = await site.create(await site.upload(*range(5 * PIECE)), tasks=site.nobody)
    frozen = site.importer()
    real_advance, real_insert, thawed = frozen._imports.advance, frozen._jobs.insert_contacts, list[int]()

    async def freezes(*args: Any) -> Batch | None:
        site.time.advance(IMPORT_LEASE)
        asked = iter([False, False, False, False, True])
        await site.importer().resume_expired(lambda: next(asked))
        thawed.append(len(await site.all_jobs()))
        return await real_advance(*args)

    async def counted(*args: Any) -> None:
        assert not thawed, "it goes on"
        await real_insert(*args)

    frozen._imports.advance = freezes  # type: ignore[method-assign, assignment] # the freeze
    frozen._jobs.insert_contacts = counted  # type: ignore[method-assign, assignment] # what it does afterwards
    await frozen.carry_on(batch, never)
    work = (await site.stored(batch)).current_import
    assert work is not None
    assert PIECE < work.handled == thawed[0] < 5 * PIECE
    assert len(await site.all_jobs()) == thawed[0]
    await site.resume()
    assert len(await site.all_jobs()) == (await site.stored(batch)).total_jobs == 5 * PIECE


async def test_a_long_import_keeps_its_lease(site: Site) -> None:
    batch = await site.create(await site.upload(*range(3 * CONTACTS)), tasks=site.nobody)
    slow = site.importer()
    real = slow._jobs.insert_contacts

    async def takes_long(*args: Any) -> None:
        site.time.advance(IMPORT_LEASE - timedelta(seconds=1))
        await site.resume()
        await real(*args)

    slow._jobs.insert_contacts = takes_long  # type: ignore[method-assign, assignment] # a slow machine
    await slow.carry_on(batch, never)
    assert (await site.stored(batch)).status is RUNNING
    assert (await site.only_import(batch)).fence == 1


async def test_a_process_that_stops_leaves_it_to_the_others_at_once(site: Site) -> None:
    batch = await site.create(await site.upload(*range(CONTACTS)), tasks=site.nobody)
    asked = iter([False, True])
    await site.importer().carry_on(batch, lambda: next(asked))
    assert len(await site.all_jobs()) == PIECE
    await site.resume()
    assert (await site.stored(batch)).status is RUNNING
    assert await site.phones() == ALL


async def test_its_upload_is_kept_as_long_as_it_is_needed_and_no_longer(site: Site) -> None:
    await site.create(await site.upload(*range(CONTACTS)), tasks=site.nobody)

    async def expiries() -> set[Any]:
        found = [site.database.collection(name).find() for name in ("uploads", "upload_chunks")]
        return {document["expires_at"] for cursor in found async for document in cursor}

    assert await expiries() == {NOW + HOLD}
    await site.resume_all()
    assert await expiries() == {NOW + IMPORT_LEASE + DAY}


async def test_a_look_for_imports_left_behind_reads_no_other_batch(site: Site) -> None:
    for number in range(20):
        await site.upload(number, upload_id=f"upload-{number}")
        await site.create(f"upload-{number}")
    async with profiled(site.database) as operations:
        await site.resume()
    (look,) = operations
    assert (look.keys, look.docs) == (0, 0)


# Not completed ----------------------------------------------------------------------------------------------------


async def test_without_mongodb_it_waits_for_whoever_goes_on(site: Site) -> None:
    batch = await site.create(await site.upload(*range(CONTACTS)), tasks=site.nobody)
    unlucky = site.importer()
    calls = 0

    async def away(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise DatabaseUnavailable

    unlucky._jobs.insert_contacts = away  # type: ignore[method-assign, assignment] # MongoDB is away
    await unlucky.carry_on(batch, never)
    assert calls == 1
    await site.resume_all()
    assert ((await site.stored(batch)).status, await site.phones()) == (RUNNING, ALL)


@pytest.mark.parametrize("status", [DRAFT, RUNNING])
@pytest.mark.parametrize("trouble", ["upload_gone", "import_broke"])
async def test_what_cannot_be_completed_is_taken_out_again(site: Site, status: BatchStatus, trouble: str) -> None:
    batch = await site.batch_in(status)
    before = await site.phones()
    await site.upload(*range(1, CONTACTS))
    await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    importer = site.importer()
    if trouble == "upload_gone":
        await site.database.collection("upload_chunks").delete_one({"upload_id": "upload-1", "number": 2})
    else:
        killed_at(importer._uploads, "piece", 3, after=False)
        real = importer._uploads.piece

        async def breaks(upload_id: str, number: int) -> Any:
            try:
                return await real(upload_id, number)
            except Killed:
                raise ValueError("broken") from None

        importer._uploads.piece = breaks  # type: ignore[method-assign] # an error of ours
    await importer.carry_on(await site.stored(batch), never)
    left = await site.stored(batch)
    assert (left.status, left.total_jobs, left.current_import) == (status, len(before), None)
    assert await site.phones() == before
    work = next(w for w in (await site.service().page(batch.batch_id, limit=5, skip=0))[0] if w.upload_id == "upload-1")
    assert (work.status, work.reason and work.reason.code) == (ImportStatus.FAILED, trouble)
    assert (await site.events(batch))[-2:] == ["contacts_removed", "import_failed"]


@pytest.mark.parametrize("status", [BatchStatus.IMPORTING, RUNNING])
async def test_an_import_into_a_batch_that_is_cancelled_stops(site: Site, status: BatchStatus) -> None:
    batch = await site.batch_in(DRAFT if status is BatchStatus.IMPORTING else status)
    await site.upload(*range(1, CONTACTS))
    await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    importer = site.importer()
    real = importer._jobs.insert_contacts

    async def meanwhile(*args: Any) -> None:
        await site.batches.move(batch.batch_id, [status], BatchStatus.CANCELLED, {})
        await real(*args)

    importer._jobs.insert_contacts = meanwhile  # type: ignore[method-assign, assignment] # an operator is quicker
    await importer.carry_on(await site.stored(batch), never)
    jobs = await site.all_jobs()
    left = await site.stored(batch)
    assert left.current_import is None
    assert left.total_jobs == len(jobs) < CONTACTS
    assert {job.state for job in jobs} == {JobState.CANCELLED}


# Into a batch that exists -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ADDABLE)
async def test_contacts_are_added_to_a_batch_whatever_it_is_at(site: Site, status: BatchStatus) -> None:
    batch = await site.batch_in(status)
    await site.upload(*range(1, CONTACTS))
    work = await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    assert (work.status, work.written) == (ImportStatus.COMPLETED, CONTACTS - 1)
    after = await site.stored(batch)
    goes_on = {DRAFT: RUNNING, BatchStatus.COMPLETED: RUNNING}
    assert after.status is goes_on.get(status, status)
    assert await site.phones() == (ALL[1:] if status is DRAFT else ALL)
    assert after.total_jobs == len(await site.all_jobs())
    assert (after.finished_at, after.wake_at is None) == (None, status is PAUSED)
    claimed = await site.claim()
    assert bool(claimed) is (after.status is RUNNING)


@pytest.mark.parametrize("status", [BatchStatus.CANCELLED, BatchStatus.IMPORTING])
async def test_some_batches_take_no_contacts(site: Site, status: BatchStatus) -> None:
    batch = await site.batch_in(RUNNING)
    await site.batches.move(batch.batch_id, [RUNNING], status, {})
    await site.upload(1)
    with pytest.raises(Conflict, match="batch_not_changeable"):
        await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    assert await site.phones() == [phone(0)]


async def test_of_two_imports_into_a_batch_the_second_is_refused(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(1)
    await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    await site.upload(2, upload_id="upload-2")
    with pytest.raises(Conflict, match="import_in_progress"):
        await site.service().add(batch.batch_id, NewContacts("upload-2"), user="ana")


async def test_a_running_batch_is_not_completed_while_contacts_come_in(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(1)
    await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    await site.end_jobs()
    await site.batches.wake(batch.batch_id, NOW)
    await site.claim()
    assert (await site.stored(batch)).status is RUNNING
    assert (await site.stored(batch)).total_jobs == 2
    # Nor if it were miscounted.
    await site.database.collection("batches").update_one({}, {"$set": {"total_jobs": 1}})
    await site.batches.wake(batch.batch_id, NOW)
    await site.claim()
    assert (await site.stored(batch)).status is RUNNING
    await site.database.collection("batches").update_one({}, {"$set": {"total_jobs": 2}})
    await site.resume_all()
    assert len(await site.claim()) == 1


async def test_they_are_called_as_they_come_in(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    await site.claim()
    await site.upload(*range(1, CONTACTS))
    await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    importer = site.importer()
    killed_at(importer._jobs, "insert_contacts", 2, after=False)
    with pytest.raises(Killed):
        await importer.carry_on(await site.stored(batch), never)
    assert len(await site.claim()) > 0


async def test_who_is_in_the_batch_already_is_skipped(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(7, dni="12345678-5", upload_id="upload-id")
    await site.service().add(batch.batch_id, NewContacts("upload-id"), user="ana")
    await site.upload(0, 1, 2, 1, 3)
    work = await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    assert (work.written, work.skipped) == (3, 2)
    await site.upload(20, dni="12.345.678-5", upload_id="upload-2")
    work = await site.service().add(batch.batch_id, NewContacts("upload-2"), user="ana")
    assert (work.written, work.skipped) == (0, 1), "the same person under another number"
    assert (await site.stored(batch)).total_jobs == len(await site.all_jobs()) == 5
    work = await site.service().add(batch.batch_id, NewContacts("upload-2", allow_duplicates=True), user="ana")
    assert (work.written, work.skipped) == (1, 0)
    assert len({job.job_id for job in await site.all_jobs()}) == 6


async def test_who_is_in_another_batch_is_not_skipped(site: Site) -> None:
    await site.batch_in(RUNNING)
    other = await site.create(None)
    await site.upload(0)
    work = await site.service().add(other.batch_id, NewContacts("upload-1"), user="ana")
    assert (work.written, work.skipped) == (1, 0)


async def test_one_key_adds_once_however_often_and_at_the_same_time(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    for number in range(5):
        await site.upload(1, 2, upload_id=f"upload-{number + 1}")
    orders = [
        NewContacts(f"upload-{n + 1}", allow_duplicates=True, idempotency_key="k", request_digest="d") for n in range(5)
    ]
    adds = [site.service().add(batch.batch_id, order, user="ana") for order in orders]
    found = await asyncio.gather(*adds, return_exceptions=True)
    added = {work.import_id for work in found if isinstance(work, Import)}
    assert len(added) == 1
    again = await site.service().add(batch.batch_id, orders[0], user="ana")
    assert {again.import_id} == added
    assert await site.phones() == [phone(0), phone(1), phone(2)]
    other = NewContacts("upload-1", idempotency_key="k", request_digest="other")
    with pytest.raises(Conflict, match="idempotency_key_reused"):
        await site.service().add(batch.batch_id, other, user="ana")


async def test_one_key_adds_once_though_the_first_request_is_over_before_the_second_begins(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(1)
    order = NewContacts("upload-1", allow_duplicates=True, idempotency_key="k", request_digest="d")
    slow, first = MongoImports(site.database), list[Import]()
    real = slow.begin

    async def overtaken(*args: Any) -> Batch | None:
        if not first:
            first.append(await site.service().add(batch.batch_id, order, user="ana"))
        return await real(*args)

    slow.begin = overtaken  # type: ignore[method-assign, assignment] # the race
    second = ImportService(site.batches, slow, site.uploads, site.tasks, site.time)
    assert await second.add(batch.batch_id, order, user="ana") == first[0]
    assert await site.phones() == [phone(0), phone(1)]


@pytest.mark.parametrize("method", ["save", "close"])
@pytest.mark.parametrize("after", [False, True])
async def test_a_request_repeated_after_a_kill_adds_nothing_twice(site: Site, method: str, after: bool) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(1, 2)
    order = NewContacts("upload-1", allow_duplicates=True, idempotency_key="k", request_digest="d")
    first = await site.service(site.nobody).add(batch.batch_id, order, user="ana")
    doomed = site.importer()
    killed_at(doomed._imports, method, 2 if method == "save" else 1, after=after)
    with pytest.raises(Killed):
        await doomed.carry_on(await site.stored(batch), never)
    assert (await site.service().add(batch.batch_id, order, user="ana")).import_id == first.import_id
    await site.resume_all()
    assert (await site.service().add(batch.batch_id, order, user="ana")).import_id == first.import_id
    assert await site.phones() == [phone(0), phone(1), phone(2)]


# Undone -----------------------------------------------------------------------------------------------------------


async def test_an_import_that_is_undone_is_gone_and_the_batch_as_before(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(*range(1, CONTACTS))
    work = await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    undone = await site.service().undo(batch.batch_id, work.import_id, user="eva")
    assert (undone.status, undone.removed, undone.kept) == (ImportStatus.UNDONE, CONTACTS - 1, 0)
    after = await site.stored(batch)
    assert (after.status, after.total_jobs, after.undone_imports) == (RUNNING, 1, [work.import_id])
    assert await site.phones() == [phone(0)]
    assert await site.service().undo(batch.batch_id, work.import_id, user="eva") == undone
    assert (await site.events(batch))[-1] == "contacts_removed"


async def test_of_an_import_that_is_undone_who_was_called_stays_and_is_called_no_more(site: Site) -> None:
    await site.upload(*range(6))
    batch = await site.create()
    jobs = await site.all_jobs()
    called: dict[str, Any] = {"attempts": 1, "history": [plain(make_record())]}
    not_counted: dict[str, Any] = {"attempts": 0, "history": [plain(make_record(counted=False))]}
    states = {
        0: {"state": "completed", **called},
        1: {"state": "pending", "waiting_for": "retry", **called},
        2: {"state": "in_call", "attempts": 0},
        3: {"state": "pending", **not_counted},
        4: {"state": "failed", "attempts": 0},
    }
    for place, changes in states.items():
        await site.collection.update_one({"_id": jobs[place].job_id}, {"$set": changes})
    work = await site.only_import(batch)
    undone = await site.service().undo(batch.batch_id, work.import_id, user="eva")
    assert (undone.removed, undone.kept) == (2, 4)
    left = await site.all_jobs()
    assert [job.job_id for job in left] == [job.job_id for job in jobs[:4]]
    assert [job.state.value for job in left] == ["completed", "cancelled", "in_call", "cancelled"]
    assert left[2].cancel_requested
    assert (await site.stored(batch)).total_jobs == 4


async def test_a_batch_without_contacts_left_is_a_draft_that_starts_once_it_has_some(site: Site) -> None:
    await site.upload(1)
    batch = await site.create()
    await site.service().undo(batch.batch_id, (await site.only_import(batch)).import_id, user="eva")
    draft = await site.stored(batch)
    assert (draft.status, draft.total_jobs, draft.started_at, draft.wake_at) == (DRAFT, 0, None, None)
    await site.upload(1, upload_id="upload-2")
    await site.service().add(batch.batch_id, NewContacts("upload-2"), user="ana")
    after = await site.stored(batch)
    assert (after.status, after.total_jobs) == (RUNNING, 1)
    assert [job.job_id for job in await site.all_jobs()] == [f"{batch.batch_id}-000002"], "no number is used twice"


UNDO_STEPS = {
    ("_imports", "save"): 2,
    ("_imports", "advance"): 4,
    ("_jobs", "take_out"): 3,
    ("_jobs", "count_of_import"): 1,
    ("_jobs", "count_kept"): 1,
    ("_imports", "close"): 1,
}
UNDO_MOMENTS = [
    (*step, call, after) for step, calls in UNDO_STEPS.items() for call in range(1, calls + 1) for after in (0, 1)
]


@pytest.mark.parametrize(("repository", "method", "call", "after"), UNDO_MOMENTS)
async def test_an_undoing_that_is_killed_is_done_by_a_worker_with_the_same_numbers(
    site: Site, monkeypatch: pytest.MonkeyPatch, repository: str, method: str, call: int, after: int
) -> None:
    monkeypatch.setattr(importing, "CHUNK", 10)
    await site.upload(*range(CONTACTS))
    batch = await site.create()
    first = (await site.all_jobs())[0]
    called = {"state": "completed", "attempts": 1, "history": [plain(make_record())]}
    await site.collection.update_one({"_id": first.job_id}, {"$set": called})
    work = await site.only_import(batch)
    await site.service(site.nobody).undo(batch.batch_id, work.import_id, user="eva")
    doomed = site.importer()
    killed_at(getattr(doomed, repository), method, call, after=bool(after))
    with pytest.raises(Killed):
        await doomed.carry_on(await site.stored(batch), never)
    site.time.advance(IMPORT_LEASE)
    await asyncio.gather(site.resume(), site.resume())
    undone = await site.only_import(batch)
    assert (undone.status, undone.removed, undone.kept) == (ImportStatus.UNDONE, CONTACTS - 1, 1)
    assert await site.phones() == [phone(0)]
    after_all = await site.stored(batch)
    assert (after_all.total_jobs, after_all.current_import) == (1, None)


@pytest.mark.parametrize("call", [1, 2, 3])
async def test_an_importer_frozen_while_its_import_is_undone_leaves_nothing(site: Site, call: int) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(*range(1, CONTACTS))
    work = await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    frozen = site.importer()
    real, calls = frozen._jobs.insert_contacts, 0
    claimed: list[Job] = []

    async def freezes(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            undone = await site.service().undo(batch.batch_id, work.import_id, user="eva")
            assert undone.status is ImportStatus.UNDONE
            assert await site.phones() == [phone(0)]
        await real(*args)
        if calls == call:
            claimed.extend(await site.claim())

    frozen._jobs.insert_contacts = freezes  # type: ignore[method-assign, assignment] # the freeze
    await frozen.carry_on(await site.stored(batch), never)
    after = await site.stored(batch)
    # What a worker took before it could be removed is refused when it is to be dialed (unit/test_admission.py).
    taken = {job.job_id for job in claimed if job.import_id == work.import_id}
    assert {job.job_id for job in await site.all_jobs() if job.import_id == work.import_id} == taken
    assert set(after.undone_imports) == {work.import_id}


@pytest.mark.parametrize("status", [BatchStatus.IMPORTING, RUNNING])
async def test_what_a_late_importer_writes_while_its_import_is_undone_does_not_count(
    site: Site, status: BatchStatus
) -> None:
    """It lives, and will remove it itself; a batch must not stand as `importing` for ever because of it."""
    batch = await site.batch_in(DRAFT if status is BatchStatus.IMPORTING else status)
    await site.upload(*range(1, CONTACTS))
    work = await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    assert (await site.stored(batch)).status is status
    await site.service(site.nobody).undo(batch.batch_id, work.import_id, user="eva")
    undoing, late = site.importer(), NumberedContact(work.first_number, ContactRow(2, make_contact()))
    real = undoing._jobs.take_out

    async def meanwhile(*args: Any, **kwargs: Any) -> None:
        await real(*args, **kwargs)
        await site.jobs.insert_contacts(job_of(batch, late, NOW, import_id=work.import_id), [late])

    undoing._jobs.take_out = meanwhile  # type: ignore[method-assign] # the race
    await undoing.carry_on(await site.stored(batch), never)
    after = await site.stored(batch)
    assert (after.status, after.total_jobs) == ((DRAFT, 0) if status is BatchStatus.IMPORTING else (RUNNING, 1))
    undone = await site.service().get(batch.batch_id, work.import_id)
    assert (undone.status, undone.kept) == (ImportStatus.UNDONE, 0)


async def test_while_one_import_is_under_way_another_cannot_be_undone(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    first = await site.only_import(batch)
    await site.upload(1)
    await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    with pytest.raises(Conflict, match="import_in_progress"):
        await site.service().undo(batch.batch_id, first.import_id, user="eva")


async def test_who_was_only_in_an_import_that_was_undone_can_be_added_again(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(1, 2)
    work = await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    # A worker holds one of them, and will find that it may not call.
    await site.collection.update_one({"contact.phones": phone(1)}, {"$set": {"state": "leased"}})
    await site.service().undo(batch.batch_id, work.import_id, user="eva")
    await site.upload(1, 2, upload_id="upload-2")
    again = await site.service().add(batch.batch_id, NewContacts("upload-2"), user="ana")
    assert (again.written, again.skipped) == (2, 0)


@pytest.mark.parametrize("is_series", [False, True])
async def test_rows_that_were_left_out_for_an_import_are_named_when_it_is_undone(site: Site, is_series: bool) -> None:
    batch = await (series_of(site, 0) if is_series else site.batch_in(RUNNING))
    await site.upload(1, 2, 3)
    first = await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    await site.upload(5, 2, 3, 3, 0, upload_id="upload-2")
    later = await site.service().add(batch.batch_id, NewContacts("upload-2"), user="ana")
    assert (later.written, later.skipped) == (1, 4)
    assert [(left.rows, left.first_rows) for left in later.left_out] == [(3, [3, 4, 5]), (1, [6])]
    await site.service().undo(batch.batch_id, first.import_id, user="eva")
    entries, _ = await site.batches.logs(batch.batch_id, limit=100, skip=0)
    (told,) = [entry.message.params for entry in entries if entry.event == "left_out_for_undone"]
    assert (told["rows"], told["numbers"]) == (3, "3, 4, 5")
    skipped_by = await site.service().skipped_by([first, later])
    assert [work.import_id for work in skipped_by[first.import_id]] == [later.import_id]
    assert skipped_by[later.import_id] == []
    await site.upload(5, 2, 3, 3, 0, upload_id="upload-3")
    again = await site.service().add(batch.batch_id, NewContacts("upload-3"), user="ana")
    assert (again.written, again.skipped) == (2, 3)
    await site.upload(5, 2, 3, 3, 0, upload_id="upload-4")
    once_more = await site.service().add(batch.batch_id, NewContacts("upload-4"), user="ana")
    assert (once_more.written, once_more.skipped) == (0, 5)


@pytest.mark.parametrize(("method", "call", "after"), [("advance", 1, 0), ("advance", 1, 1), ("advance", 2, 0)])
async def test_rows_that_are_left_out_are_counted_once_whoever_is_killed(
    site: Site, method: str, call: int, after: int
) -> None:
    batch = await site.batch_in(RUNNING)
    await site.upload(*range(1, CONTACTS))
    await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    await site.upload(*range(1, CONTACTS), 30, upload_id="upload-2")
    begun = await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-2"), user="ana")
    doomed = site.importer()
    killed_at(doomed._imports, method, call, after=bool(after))
    with pytest.raises(Killed):
        await doomed.carry_on(await site.stored(batch), never)
    await site.resume_all()
    (left,) = (await site.service().get(batch.batch_id, begun.import_id)).left_out
    assert (left.rows, left.first_rows) == (CONTACTS - 1, [*range(2, CONTACTS + 1)])


async def test_a_list_that_is_still_being_written_tells_itself_that_what_it_left_rows_out_for_was_undone(
    site: Site,
) -> None:
    """The other batch's import cannot know how the later one ends."""
    batch = await site.batch_in(RUNNING)
    await site.upload(1, 2)
    first = await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    left_out = [LeftOut(batch_id=batch.batch_id, import_id=first.import_id, rows=2, first_rows=[4, 7])]
    summary = ListSummary(mapping=ColumnMapping(header_row=1, columns=()), valid_rows=1)
    rows = [(2, make_contact(phones=[phone(9)]).model_dump(exclude_none=True))]
    await site.uploads.save_contacts("upload-2", 0, ContactPiece([(2, [])], json.dumps(rows)), site.time.now())
    await site.uploads.save("upload-2", "acc-1", "b.xlsx", summary, site.time.now(), left_out=left_out)
    other = await site.create("upload-2", tasks=site.nobody)
    await site.service().undo(batch.batch_id, first.import_id, user="eva")
    assert "left_out_for_undone" not in await site.events(other)
    await site.resume_all()
    assert "left_out_for_undone" in await site.events(other)
    assert (await site.stored(other)).status is RUNNING


# Recurring --------------------------------------------------------------------------------------------------------


async def series_of(site: Site, *numbers: int) -> Batch:
    await site.upload(*numbers, upload_id="upload-series")
    rule = RecurrenceRule(frequency=Frequency.DAILY, interval=1)
    return await site.create(
        "upload-series", schedule_type=ScheduleType.RECURRING, scheduled_at=NOW + DAY, recurring=rule
    )


async def run_phones(site: Site, series: Batch, day: int) -> list[str]:
    """The run of that day is made, and done with."""
    site.time.advance(NOW + day * DAY - site.time.now())
    control = WorkerControl("worker", site.time, timedelta(days=1000))
    recurring = Recurring(site.batches, site.jobs, MongoBatchContacts(site.database), control, site.time)
    for batch in await site.batches.due(site.time.now(), 100):
        await recurring.attend(batch, site.time.now())
    run_id = f"{series.batch_id}-r{day}"
    run = await site.batches.get(run_id)
    assert run is not None
    jobs = [
        from_document(Job, document) async for document in site.collection.find({"batch_id": run_id}).sort("_id", 1)
    ]
    assert run.total_jobs == len(jobs)
    await site.batches.move(run_id, [RUNNING], BatchStatus.COMPLETED, {"wake_at": None})
    return [job.contact.phones[0] for job in jobs]


async def test_later_runs_of_a_series_have_what_was_added_to_it_and_not_what_was_undone(site: Site) -> None:
    series = await series_of(site, *range(5))
    assert (series.status, series.total_jobs) == (BatchStatus.SCHEDULED, 5)
    assert await run_phones(site, series, 1) == ALL[:5]
    await site.upload(3, 4, 5, 6)
    work = await site.service().add(series.batch_id, NewContacts("upload-1"), user="ana")
    assert (work.written, work.skipped) == (2, 2)
    await site.upload(7, upload_id="upload-2")
    await site.service().add(series.batch_id, NewContacts("upload-2"), user="ana")
    assert await run_phones(site, series, 2) == ALL[:8]
    undone = await site.service().undo(series.batch_id, work.import_id, user="eva")
    assert (undone.removed, undone.kept) == (2, 0)
    assert (await site.stored(series)).total_jobs == 6
    assert await run_phones(site, series, 3) == [*ALL[:5], ALL[7]]


async def test_a_run_has_nothing_of_an_import_that_is_still_being_written(site: Site) -> None:
    series = await series_of(site, *range(5))
    await site.upload(*range(5, CONTACTS))
    await site.service(site.nobody).add(series.batch_id, NewContacts("upload-1"), user="ana")
    importer = site.importer()
    killed_at(importer._contacts, "insert_many", 2, after=True)
    with pytest.raises(Killed):
        await importer.carry_on(await site.stored(series), never)
    assert await run_phones(site, series, 1) == ALL[:5]
    await site.resume()
    assert (await site.stored(series)).status is BatchStatus.SCHEDULED
    assert await run_phones(site, series, 2) == ALL


async def test_a_series_that_was_emptied_waits_for_contacts(site: Site) -> None:
    series = await series_of(site, 1)
    await site.service().undo(series.batch_id, (await site.only_import(series)).import_id, user="eva")
    assert (await site.stored(series)).status is DRAFT
    await site.upload(2)
    await site.service().add(series.batch_id, NewContacts("upload-1"), user="ana")
    assert await run_phones(site, series, 1) == [phone(2)]


async def test_each_is_an_import_of_its_own(site: Site) -> None:
    batch = await site.batch_in(RUNNING)
    for number in (1, 2):
        await site.upload(number, upload_id=f"upload-{number}")
        await site.service().add(batch.batch_id, NewContacts(f"upload-{number}"), user="ana")
    found, total = await site.service().page(batch.batch_id, limit=2, skip=0)
    assert (total, [work.upload_id for work in found]) == (3, ["upload-2", "upload-1"])
    counts = Counter(job.import_id for job in await site.all_jobs())
    assert set(counts.values()) == {1}


# Undone while others are at it ------------------------------------------------------------------------------------


async def test_a_job_that_was_counted_stays_whoever_undoes_once_more(site: Site) -> None:
    """A worker held it when the first counted what stays, and has let it go as cancelled since."""
    batch = await site.batch_in(RUNNING)
    await site.upload(*range(1, CONTACTS))
    work = await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    job_id = f"{batch.batch_id}-000003"
    await site.collection.update_one({"_id": job_id}, {"$set": {"state": "leased", "fence": 1}})
    await site.service(site.nobody).undo(batch.batch_id, work.import_id, user="eva")
    begun = await site.stored(batch)
    frozen = site.importer()
    real = frozen._jobs.take_out

    async def freezes(*args: Any, **kwargs: Any) -> None:
        site.time.advance(IMPORT_LEASE)
        await site.resume()
        await site.collection.update_one({"_id": job_id}, {"$set": {"state": "cancelled"}})
        await real(*args, **kwargs)

    frozen._jobs.take_out = freezes  # type: ignore[method-assign] # past its lease
    await frozen.carry_on(begun, never)
    assert (await site.stored(batch)).total_jobs == len(await site.all_jobs()) == 2


@pytest.mark.parametrize("state", sorted(IN_FLIGHT - {JobState.LEASED}))
async def test_who_is_perhaps_being_called_by_an_undone_import_is_not_added_again(site: Site, state: JobState) -> None:
    """The phone would ring once for each."""
    batch = await site.batch_in(RUNNING)
    await site.upload(1, 2)
    work = await site.service().add(batch.batch_id, NewContacts("upload-1"), user="ana")
    await site.collection.update_one({"contact.phones": phone(1)}, {"$set": {"state": state.value}})
    await site.service().undo(batch.batch_id, work.import_id, user="eva")
    await site.upload(1, 2, upload_id="upload-2")
    again = await site.service().add(batch.batch_id, NewContacts("upload-2"), user="ana")
    assert (again.written, again.skipped) == (1, 1)


@pytest.mark.parametrize("call", [1, 2])
async def test_what_is_told_of_an_import_is_what_its_last_holder_said(site: Site, call: int) -> None:
    batch = await site.create(await site.upload(1, 2), tasks=site.nobody)
    frozen = site.importer()
    real, calls = frozen._imports.save, 0

    async def freezes(work: Import) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            await site.resume_all()
            await site.service().undo(batch.batch_id, work.import_id, user="eva")
        await real(work)

    frozen._imports.save = freezes  # type: ignore[method-assign] # past its lease
    await frozen.carry_on(batch, never)
    assert (await site.only_import(batch)).status is ImportStatus.UNDONE
    assert await site.all_jobs() == []


async def test_an_import_of_a_series_is_undone_in_the_run_that_goes_on_too(site: Site) -> None:
    series = await series_of(site, 1)
    await site.upload(2, 3, 4)
    work = await site.service().add(series.batch_id, NewContacts("upload-1"), user="ana")
    site.time.advance(DAY)
    claimed = await site.claim()
    assert len(claimed) == 4
    called = claimed[1]
    assert called.import_id == work.import_id
    waits = claimed[2].job_id
    await site.collection.update_one({"_id": waits}, {"$set": {"state": "pending"}})
    await site.service().undo(series.batch_id, work.import_id, user="eva")
    run = await site.batches.get(called.batch_id)
    assert run is not None
    assert (run.undone_imports, run.total_jobs) == ([work.import_id], 4)
    jobs = {job.job_id: job for job in await site.all_jobs()}
    assert (jobs[waits].state, jobs[called.job_id].cancel_requested) == (JobState.CANCELLED, True)
    assert not jobs[claimed[0].job_id].cancel_requested


async def test_a_run_that_is_being_made_while_an_import_is_undone_calls_nobody_of_it(site: Site) -> None:
    series = await series_of(site, 1)
    await site.upload(2, 3, 4)
    work = await site.service().add(series.batch_id, NewContacts("upload-1"), user="ana")
    site.time.advance(DAY)
    control = WorkerControl("worker", site.time, timedelta(days=1000))
    recurring = Recurring(site.batches, site.jobs, MongoBatchContacts(site.database), control, site.time)
    real = recurring._contacts.after

    async def meanwhile(*args: Any, **kwargs: Any) -> Any:
        found = await real(*args, **kwargs)
        await site.service().undo(series.batch_id, work.import_id, user="eva")
        return found

    recurring._contacts.after = meanwhile  # type: ignore[method-assign] # an operator is quicker
    assert await recurring.attend(await site.stored(series), site.time.now()) is None
    site.time.advance(IMPORT_LEASE)
    await site.claim()
    run = await site.batches.get(f"{series.batch_id}-r1")
    assert run is not None
    assert (run.status, run.total_jobs) == (RUNNING, 1)
    callable_ = [job for job in await site.all_jobs() if job.import_id not in run.undone_imports]
    assert [job.contact.phones[0] for job in callable_] == [phone(1)]


async def test_of_a_cancelled_batch_all_that_was_written_is_counted(site: Site) -> None:
    """Also what a process wrote that was killed before it could say so."""
    draft = await site.create(None)
    await site.upload(*range(CONTACTS))
    await site.service(site.nobody).add(draft.batch_id, NewContacts("upload-1"), user="ana")
    doomed = site.importer()
    killed_at(doomed._jobs, "insert_contacts", 2, after=True)
    with pytest.raises(Killed):
        await doomed.carry_on(await site.stored(draft), never)
    await site.batches.move(draft.batch_id, [BatchStatus.IMPORTING], BatchStatus.CANCELLED, {})
    await site.resume_all()
    left, jobs = await site.stored(draft), await site.all_jobs()
    assert {job.state for job in jobs} == {JobState.CANCELLED}
    assert (left.current_import, left.total_jobs, len(jobs)) == (None, 2 * PIECE, 2 * PIECE)
    assert (await site.only_import(draft)).written == 2 * PIECE


async def test_a_series_that_is_filled_again_makes_up_for_no_occurrence_that_passed(site: Site) -> None:
    series = await series_of(site, 1)
    assert await run_phones(site, series, 1) == [phone(1)]
    await site.service().undo(series.batch_id, (await site.only_import(series)).import_id, user="eva")
    site.time.advance(2 * DAY + timedelta(hours=1))
    await site.upload(2)
    await site.service().add(series.batch_id, NewContacts("upload-1"), user="ana")
    refilled = await site.stored(series)
    assert (refilled.status, refilled.next_run_at, refilled.wake_at) == (
        BatchStatus.SCHEDULED,
        NOW + 4 * DAY,
        NOW + 4 * DAY,
    )


@pytest.mark.parametrize("recurring", [False, True])
async def test_a_batch_cancelled_during_an_import_is_told_as_finished_once(site: Site, recurring: bool) -> None:
    batch = await series_of(site, 0) if recurring else await site.batch_in(RUNNING)
    await site.upload(*range(1, CONTACTS))
    await site.service(site.nobody).add(batch.batch_id, NewContacts("upload-1"), user="ana")
    importing_batch = await site.stored(batch)
    changes = {"wake_at": site.time.now(), "finished_at": site.time.now()}
    await site.batches.move(batch.batch_id, [batch.status], BatchStatus.CANCELLED, changes)
    assert await site.claim() == []
    await site.importer().carry_on(importing_batch, never)
    for _ in range(2):
        site.time.advance(IMPORT_LEASE)
        assert await site.claim() == []
    stored = await site.database.collection("batches").find_one({"_id": batch.batch_id})
    assert stored is not None
    assert [event["type"] for event in stored["untold"]] == ["batch.finished"]
    assert (stored.get("wake_at"), stored.get("current_import")) == (None, None)
