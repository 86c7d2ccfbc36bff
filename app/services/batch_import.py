"""Writing a batch's jobs: all of them or none.

The batch stands as `importing` while its jobs are written, with a lease that its importer extends. If the importer
dies, the lease runs out and a worker undoes the import: nothing is left half-created.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Any

from app.domain.batches import MAX_TIME_ZONES, Batch, BatchStatus
from app.domain.contacts import ContactRow
from app.domain.errors import Conflict, FieldError, InvalidInput
from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.ports import BatchContacts, Batches, Jobs, Time

IMPORT_LEASE = timedelta(minutes=2)
EXTEND_EVERY = timedelta(seconds=30)


async def import_jobs(
    batches: Batches,
    jobs: Jobs,
    time: Time,
    batch: Batch,
    chunks: AsyncIterator[list[ContactRow]],
    opened: dict[str, Any],
    contacts: BatchContacts | None = None,
) -> Batch:
    """Write a job for every contact, then move the batch out of `importing` with the changes `opened`.

    Of a recurring batch the contacts themselves are written, into `contacts`.

    `batch` is in the database as `importing`. Raises Conflict if a worker undid the import meanwhile (the importer
    was frozen past its lease), InvalidInput if the contacts are of too many time zones. On any error the import is
    undone as far as the database can be reached.
    """
    written = 0
    zones = set(batch.contact_timezones)
    extended_at = time.now()
    try:
        async for chunk in chunks:
            now = time.now()
            if now - extended_at > EXTEND_EVERY:
                await _extend(batches, batch, now)
                extended_at = now
            zones |= {row.contact.timezone for row in chunk if row.contact.timezone}
            if len(zones) > MAX_TIME_ZONES:
                raise InvalidInput([FieldError.of(("contacts",), "too_many_time_zones", limit=MAX_TIME_ZONES)])
            if contacts is None:
                await jobs.insert_many(list(jobs_of(batch, chunk, first_number=written + 1, now=now)))
            else:
                await contacts.insert_many(batch.batch_id, chunk, first_number=written + 1)
            written += len(chunk)
        changes = {
            "total_jobs": written,
            "contact_timezones": sorted(zones),
            "import_expires_at": None,
            "updated_at": time.now(),
            **opened,
        }
        status = changes.pop("status")
        finished = await batches.move(batch.batch_id, [BatchStatus.IMPORTING], status, changes)
    except BaseException:
        await undo_import(batches, jobs, batch)
        raise
    if finished is None:
        await undo_import(batches, jobs, batch)
        raise Conflict("import_undone")
    return finished


async def undo_import(batches: Batches, jobs: Jobs, batch: Batch) -> None:
    """Remove a batch that is being imported, with its jobs, unless the import was finished.

    The batch is closed first, so that an importer that is only slow cannot finish what is being removed, and removed
    last, so that a crash here is repeated: until then it stands as `cancelled` with an `import_expires_at`. If it is
    gone, the importer may have written more jobs since.
    """
    current = await batches.move(batch.batch_id, [BatchStatus.IMPORTING], BatchStatus.CANCELLED, {})
    if current is None:
        current = await batches.get(batch.batch_id)
    if current is not None and not is_being_undone(current):
        return
    await jobs.delete_of_batch(batch.batch_id)
    await batches.delete(batch.batch_id)


def is_being_undone(batch: Batch) -> bool:
    """Whether this is what an undone import left when it was interrupted."""
    return batch.status is BatchStatus.CANCELLED and batch.import_expires_at is not None


async def in_chunks(contacts: list[ContactRow], size: int = 1000) -> AsyncIterator[list[ContactRow]]:
    """Contacts that are in memory already, as `import_jobs` takes them."""
    for start in range(0, len(contacts), size):
        yield contacts[start : start + size]


async def _extend(batches: Batches, batch: Batch, now: datetime) -> None:
    until = now + IMPORT_LEASE
    changes = {"import_expires_at": until, "wake_at": until}
    if await batches.move(batch.batch_id, [BatchStatus.IMPORTING], BatchStatus.IMPORTING, changes) is None:
        raise Conflict("import_undone")


def jobs_of(batch: Batch, chunk: list[ContactRow], *, first_number: int, now: datetime) -> Iterable[Job]:
    """Jobs with ids made of the batch's and the contact's place, so that writing one twice writes it once."""
    for number, row in enumerate(chunk, first_number):
        yield Job(
            job_id=f"{batch.batch_id}-{number:06d}",
            account_id=batch.account_id,
            batch_id=batch.batch_id,
            row=row.row_number,
            state=JobState.PENDING,
            waiting_for=WaitingFor.NEW,
            due_at=batch.scheduled_at or now,
            contact=row.contact,
            created_at=now,
            updated_at=now,
        )
