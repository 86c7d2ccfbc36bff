"""Writing an import's contacts into their batch, and taking them out again, from where whoever was at it stopped.

    the batch's numbers are set aside → piece by piece: contacts written, progress noted → the copy is saved → closed

A contact's job has an id made of its number, so writing one twice writes it once. Every note and the closing match the
import's fence, so of two that work on it only one goes on. What one that was frozen writes late was written already, or
is of an import that was undone, whose jobs nobody dials (`Batch.undone_imports`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog

from app.domain.batches import Batch, BatchStatus, LogEntry
from app.domain.contacts import ContactRow, person_keys
from app.domain.errors import DatabaseUnavailable
from app.domain.imports import (
    IMPORT_LEASE,
    Import,
    ImportStatus,
    KnownPerson,
    LeftOutRow,
    NumberedContact,
    with_left_out,
)
from app.domain.jobs import Job, JobState, WaitingFor, job_id, of_erased_contact
from app.domain.messages import Message
from app.domain.ports import BatchContacts, Batches, Imports, Jobs, Time, Uploads
from app.domain.recurrence import first_after
from app.domain.timeline import SYSTEM
from app.domain.variables import RESERVED_PREFIX, reserved_names
from app.services.batch_events import log_event
from app.services.left_out import tell_left_out

log = structlog.get_logger("imports")

CHUNK = 250
"""Contacts written together: some 10 ms of computation, during which nobody else in the process gets a turn."""
EXPIRED_A_LOOK = 10
SECONDS_A_LOOK = 60.0
"""A worker that does one thing for much longer is taken for dead (workers/health.py); the next look goes on."""
_FORGOTTEN = (
    "wake_at",
    "block",
    "next_run_at",
    "started_at",
    "finished_at",
    "pause_reason",
    "paused_at",
    "paused_by",
)
"""What a batch has no more that has no contacts any more."""


class UploadGone(Exception):
    """The upload expired, or never was whole."""


class Importing:
    def __init__(
        self,
        batches: Batches,
        imports: Imports,
        jobs: Jobs,
        contacts: BatchContacts,
        uploads: Uploads,
        time: Time,
    ) -> None:
        self._batches = batches
        self._imports = imports
        self._jobs = jobs
        self._contacts = contacts
        self._uploads = uploads
        self._time = time

    async def resume_expired(self, stopping: Callable[[], bool]) -> int:
        """Go on with imports that nobody works on any more, for a while; how many. Raises DatabaseUnavailable."""
        until = self._time.monotonic() + SECONDS_A_LOOK

        def enough() -> bool:
            return stopping() or self._time.monotonic() > until

        resumed = 0
        for found in await self._imports.expired(self._time.now(), EXPIRED_A_LOOK):
            left = found.current_import
            batch = None if left is None or enough() else await self._imports.adopt(left, self._lease())
            if left is not None and batch is not None:
                log.warning("import_resumed", batch_id=batch.batch_id, import_id=left.import_id, handled=left.handled)
                await self.carry_on(batch, enough)
                resumed += 1
        return resumed

    async def carry_on(self, batch: Batch, stopping: Callable[[], bool]) -> None:
        """Work on the batch's import until it is over, or in other hands, or the process is `stopping`.

        Keeps its troubles to itself: without MongoDB the lease runs out, and whoever finds it so goes on.
        """
        try:
            try:
                await self._carry_on(batch, stopping)
            except UploadGone:
                await self._give_up(batch, Message(code="upload_gone"), stopping)
            except DatabaseUnavailable:
                raise
            except Exception:
                log.exception("import_failed", batch_id=batch.batch_id)
                await self._give_up(batch, Message(code="import_broke"), stopping)
        except DatabaseUnavailable:
            log.warning("import_let_go", batch_id=batch.batch_id, reason="mongodb_unavailable")
        except Exception:
            log.exception("import_let_go", batch_id=batch.batch_id, reason="error")

    async def _carry_on(self, batch: Batch, stopping: Callable[[], bool]) -> None:
        work = batch.current_import
        if work is None:
            return
        await self._imports.save(work)
        if work.status is ImportStatus.UNDOING:
            await self._take_out(batch, work, stopping)
        else:
            await self._write(batch, work, stopping)

    async def _give_up(self, batch: Batch, reason: Message, stopping: Callable[[], bool]) -> None:
        """Take out what was written of an import that cannot be completed."""
        current = await self._batches.get(batch.batch_id)
        work = current.current_import if current else None
        ours = batch.current_import
        if (
            current is None
            or work is None
            or ours is None
            or (work.import_id, work.fence) != (ours.import_id, ours.fence)
        ):
            return
        if work.status is ImportStatus.UNDOING:
            return  # the lease runs out, and it is tried again
        undoing = undoing_of(work, self._lease()).model_copy(update={"reason": reason})
        turned = await self._imports.begin_undo(current, undoing, work)
        if turned is not None:
            await self._carry_on(turned, stopping)

    # Writing ------------------------------------------------------------------------------------------------------

    async def _write(self, batch: Batch, work: Import, stopping: Callable[[], bool]) -> None:
        held: Batch | None = batch
        while held is not None and held.current_import is not None:
            work = held.current_import
            over = held.status is BatchStatus.CANCELLED or work.handled >= work.total
            if over:
                if await (self._stop if held.status is BatchStatus.CANCELLED else self._complete)(held, work):
                    return
                held = await self._imports.advance(work, {"lease_until": self._lease()})
                continue
            if stopping():
                await self._imports.advance(work, {"lease_until": self._time.now()})
                return
            held = await self._write_piece(held, work)
        await self._clear(work)

    async def _write_piece(self, batch: Batch, work: Import) -> Batch | None:
        """One piece of the upload; the batch as it is then, None if the import is not ours any more."""
        rows = await self._uploads.piece(work.upload_id, work.piece)
        if not rows:
            raise UploadGone
        number = work.first_number + work.handled
        written, left_out = 0, work.left_out
        for start in range(0, len(rows), CHUNK):
            chunk = [
                NumberedContact(place, _with_fields(row, work.extra_fields))
                for place, row in enumerate(rows[start : start + CHUNK], number + start)
            ]
            new = chunk
            if work.skip_duplicates:
                new, known = await self._without_duplicates(batch, work, chunk)
                left_out = with_left_out(left_out, known)
            await self._put(batch, work, new)
            written += len(new)
        now = self._time.now()
        changes = {
            "piece": work.piece + 1,
            "handled": work.handled + len(rows),
            "written": work.written + written,
            "skipped": work.skipped + len(rows) - written,
            "left_out": left_out,
            "lease_until": now + IMPORT_LEASE,
        }
        noted = await self._imports.advance(work, changes)
        if noted is not None and noted.status is BatchStatus.RUNNING:
            await self._batches.wake(batch.batch_id, now)
        return noted

    async def _put(self, batch: Batch, work: Import, contacts: Sequence[NumberedContact]) -> None:
        if not contacts:
            return
        if batch.recurrence is not None:
            await self._contacts.insert_many(batch.batch_id, work.import_id, contacts)
        else:
            pattern = _waiting_job(batch, contacts[0], self._time.now(), import_id=work.import_id)
            await self._jobs.insert_contacts(pattern, contacts)

    async def _without_duplicates(
        self, batch: Batch, work: Import, chunk: list[NumberedContact]
    ) -> tuple[list[NumberedContact], list[LeftOutRow]]:
        """Those whose persons are not in the batch yet, and those that are with another import. Whoever asks again gets
        the same: of what the import itself wrote, only what is before the chunk counts."""
        keys = [key for contact in chunk for key in person_keys(contact.row.contact)]
        if batch.recurrence is None:
            known = await self._jobs.known(batch, keys)
        else:
            known = await self._contacts.known(batch.batch_id, keys, without=batch.undone_imports)
        new, left_out = _new_ones(chunk, work, known)
        # Of an import that was undone only those are known who were called: they are not missing.
        return new, [row for row in left_out if row.import_id not in batch.undone_imports]

    async def _complete(self, batch: Batch, work: Import) -> bool:
        """False if the batch was changed meanwhile."""
        now = self._time.now()
        done = _over(work, ImportStatus.COMPLETED, now, counted=work.written)
        # Before it leaves the batch: a request that is repeated finds it in one of the two.
        await self._imports.save(done)
        opened = _opening(batch, now)
        closed = await self._close(batch, done, opened)
        if closed is None:
            return False
        log.info("import_completed", batch_id=batch.batch_id, import_id=work.import_id, written=work.written)
        if batch.status is BatchStatus.IMPORTING:
            await log_event(
                self._batches, self._time, batch.batch_id, "batch_created", work.user, jobs=closed.total_jobs
            )
        else:
            counts = {"added": work.written, "skipped": work.skipped}
            await log_event(self._batches, self._time, batch.batch_id, "contacts_added", work.user, **counts)
        await self._log_renamed(closed, work)
        await tell_left_out(self._batches, self._imports, self._time, done)
        if batch.status is BatchStatus.IMPORTING and closed.status is BatchStatus.RUNNING:
            await log_event(self._batches, self._time, batch.batch_id, "batch_started")
        return True

    async def _log_renamed(self, batch: Batch, work: Import) -> None:
        """Say which of the contacts' fields go to the agent under another name."""
        upload = await self._uploads.get(work.upload_id)
        known = upload.variables.names() if upload is not None and upload.variables is not None else []
        renamed = reserved_names(known)
        if renamed:
            params = {"names": ", ".join(sorted(renamed)), "prefix": RESERVED_PREFIX}
            await log_event(self._batches, self._time, batch.batch_id, "variables_renamed", **params)

    async def _stop(self, batch: Batch, work: Import) -> bool:
        """The batch was cancelled: what was written stays, cancelled; what was not is not."""
        now = self._time.now()
        reason = Message(code="batch_cancelled")
        await self._jobs.cancel_pending(batch.batch_id, reason, now, by=SYSTEM)
        # Whoever was killed may have written more than was noted.
        written = await self._present(batch, work)
        stopped = _over(work.model_copy(update={"written": written}), ImportStatus.STOPPED, now, counted=written)
        await self._imports.save(stopped)
        return await self._close(batch, stopped, {"wake_at": now}) is not None

    async def _clear(self, work: Import) -> None:
        """It is in other hands. If they undid it or the batch was cancelled, what was written last must not stay."""
        batch = await self._batches.get(work.batch_id)
        if batch is None:
            return
        now = self._time.now()
        first = work.first_number + work.handled
        last = work.first_number + work.total - 1
        if work.import_id in batch.undone_imports:
            rows = await self._uploads.piece(work.upload_id, work.piece)
            last = min(last, first + len(rows or []) - 1)
            await self._remove(batch, work, first, last)
        if batch.status is BatchStatus.CANCELLED:
            await self._jobs.cancel_pending(batch.batch_id, Message(code="batch_cancelled"), now, by=SYSTEM)

    # Taking out ---------------------------------------------------------------------------------------------------

    async def _take_out(self, batch: Batch, work: Import, stopping: Callable[[], bool]) -> None:
        held: Batch | None = batch
        if batch.recurrence is not None:
            await self._take_out_of_runs(batch, work)
        if work.kept is None:
            # Before the first is gone.
            held = await self._imports.advance(work, {"written": await self._present(batch, work), "kept": 0})
        while held is not None and held.current_import is not None:
            work = held.current_import
            if work.handled >= work.total:
                if await self._undone(held, work):
                    return
                held = await self._imports.advance(work, {"lease_until": self._lease()})
                continue
            if stopping():
                await self._imports.advance(work, {"lease_until": self._time.now()})
                return
            first = work.first_number + work.handled
            handled = min(work.handled + CHUNK, work.total)
            await self._remove(held, work, first, work.first_number + handled - 1)
            changes = {"handled": handled, "lease_until": self._lease()}
            held = await self._imports.advance(work, changes)

    async def _take_out_of_runs(self, series: Batch, work: Import) -> None:
        """In the runs that go on nobody of it is called any more. One that is being copied begins anew, without it."""
        reason, now = Message(code="import_was_undone"), self._time.now()
        for run in await self._batches.unfinished_runs(series.batch_id):
            await self._imports.name_undone(run.batch_id, work.import_id)
            await self._jobs.cancel_of_import(run.batch_id, work.import_id, reason, now, by=work.undone_by or SYSTEM)
            await self._batches.wake(run.batch_id, now)

    async def _present(self, batch: Batch, work: Import) -> int:
        if batch.recurrence is not None:
            return await self._contacts.count(batch.batch_id, work.import_id)
        return await self._jobs.count_of_import(batch.batch_id, work.import_id)

    async def _remove(self, batch: Batch, work: Import, first: int, last: int) -> None:
        if batch.recurrence is not None:
            await self._contacts.remove(batch.batch_id, work.import_id, first, last)
        else:
            reason = Message(code="import_was_undone")
            await self._jobs.take_out(work, first, last, reason, self._time.now(), by=work.undone_by or SYSTEM)

    async def _undone(self, batch: Batch, work: Import) -> bool:
        """False if the batch was changed meanwhile."""
        now = self._time.now()
        kept = 0 if batch.recurrence is not None else await self._jobs.count_kept(batch.batch_id, work.import_id)
        status = ImportStatus.UNDONE if work.reason is None else ImportStatus.FAILED
        undone = _over(work, status, now, counted=kept).model_copy(update={"kept": kept})
        await self._imports.save(undone)
        is_empty = batch.total_jobs + kept == work.counted
        changes: dict[str, Any] = {"wake_at": now} if batch.status is BatchStatus.RUNNING else {}
        if batch.status is BatchStatus.IMPORTING or (is_empty and batch.status is not BatchStatus.CANCELLED):
            changes = {**dict.fromkeys(_FORGOTTEN), "status": BatchStatus.DRAFT}
        if await self._close(batch, undone, changes) is None:
            return False
        counts = {"removed": undone.removed, "kept": kept}
        await log_event(
            self._batches, self._time, batch.batch_id, "contacts_removed", work.undone_by or SYSTEM, **counts
        )
        if work.reason is not None:
            entry = LogEntry(timestamp=now, event="import_failed", message=work.reason, user=SYSTEM)
            await self._batches.log(batch.batch_id, entry)
        await tell_left_out(self._batches, self._imports, self._time, undone)
        return True

    async def _close(self, batch: Batch, over: Import, changes: dict[str, Any]) -> Batch | None:
        """None: somebody was quicker, or changed the batch's status; whoever looks next closes it."""
        changes = {"updated_at": self._time.now(), **changes}
        closed = await self._imports.close(batch, over, changes.pop("status", batch.status), changes)
        if closed is not None:
            await self._uploads.release(over.upload_id, self._time.now())
        return closed

    def _lease(self) -> datetime:
        return self._time.now() + IMPORT_LEASE


def undoing_of(work: Import, lease_until: datetime, *, by: str = SYSTEM) -> Import:
    """The import, to be taken out from its first contact on."""
    return work.model_copy(
        update={
            "status": ImportStatus.UNDOING,
            "fence": work.fence + 1,
            "handled": 0,
            "lease_until": lease_until,
            "finished_at": None,
            "kept": None,
            "undone_by": by,
        }
    )


def _over(work: Import, status: ImportStatus, now: datetime, *, counted: int) -> Import:
    changes = {"status": status, "counted": counted, "lease_until": None, "finished_at": now}
    return work.model_copy(update=changes)


def job_of(batch: Batch, contact: NumberedContact, now: datetime, *, import_id: str | None = None) -> Job:
    """The job that calls the contact; of one whose data were erased meanwhile, a job that is over.

    It is written all the same: an importer that was frozen and still knows the data finds the number taken.
    """
    job = _waiting_job(batch, contact, now, import_id=import_id)
    if not contact.row.contact.is_erased:
        return job
    return job.model_copy(update={"waiting_for": None, **of_erased_contact(now)})


def _waiting_job(batch: Batch, contact: NumberedContact, now: datetime, *, import_id: str | None = None) -> Job:
    return Job(
        job_id=job_id(batch.batch_id, contact.number),
        account_id=batch.account_id,
        batch_id=batch.batch_id,
        row=contact.row.row_number,
        import_id=import_id,
        state=JobState.PENDING,
        waiting_for=WaitingFor.NEW,
        due_at=batch.scheduled_at or now,
        contact=contact.row.contact,
        created_at=now,
        updated_at=now,
    )


def _with_fields(row: ContactRow, fields: dict[str, str]) -> ContactRow:
    if not fields:
        return row
    if row.contact.is_erased:
        return row
    custom = {**row.contact.custom_fields, **fields}
    return ContactRow(row.row_number, row.contact.model_copy(update={"custom_fields": custom}))


def _new_ones(
    chunk: list[NumberedContact], work: Import, known: list[KnownPerson]
) -> tuple[list[NumberedContact], list[LeftOutRow]]:
    first = chunk[0].number
    taken = {
        key: person.import_id
        for person in known
        if person.import_id != work.import_id or person.number < first
        for key in person.person_keys
    }
    new: list[NumberedContact] = []
    left_out: list[LeftOutRow] = []
    for contact in chunk:
        keys = person_keys(contact.row.contact)
        twin = next((key for key in keys if key in taken), None)
        if twin is None:
            new.append(contact)
            taken.update(dict.fromkeys(keys, work.import_id))
        elif taken[twin] != work.import_id:
            left_out.append(LeftOutRow(contact.row.row_number, work.batch_id, taken[twin]))
    return new, left_out


def _opening(batch: Batch, now: datetime) -> dict[str, Any]:
    """What the batch becomes when its contacts are there."""
    if batch.status is not BatchStatus.IMPORTING:
        return {"wake_at": now} if batch.status is BatchStatus.RUNNING else {}
    if batch.recurrence is not None:
        first = batch.recurrence.starts_at
        if batch.runs_started:
            # It was emptied. Occurrences that passed are not made up for; without any left, a worker completes it.
            following = first_after(batch.recurrence, now)
            at = following.at if following else None
            return {"status": BatchStatus.SCHEDULED, "wake_at": at or now, "next_run_at": at}
        return {"status": BatchStatus.SCHEDULED, "wake_at": first, "next_run_at": first}
    if batch.scheduled_at is not None and batch.scheduled_at > now:
        return {"status": BatchStatus.SCHEDULED, "wake_at": batch.scheduled_at}
    return {"status": BatchStatus.RUNNING, "started_at": now, "wake_at": now}
