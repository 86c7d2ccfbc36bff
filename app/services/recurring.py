"""Recurring batches. The batch itself is a *series*: it keeps its contacts and is never called; at each occurrence a
*run* is made of it, a batch of its own with jobs of its own.

    run inserted (its id is the series' and the occurrence's number: once, whoever else tries) → series moves on to the
    next occurrence → contacts copied in chunks under the run's import lease → run opened

A crash anywhere is taken up by the next look: the run exists, or its lease runs out and another worker goes on where
the copying stopped. Jobs have ids made of their contacts' numbers, so copying one twice writes it once.
"""

from datetime import datetime
from typing import Any

import structlog

from app.domain.batches import Batch, BatchStatus, ScheduleType
from app.domain.imports import IMPORT_LEASE
from app.domain.messages import Message
from app.domain.ports import BatchContacts, Batches, Jobs, Time
from app.domain.recurrence import Occurrence, due_between, first_after
from app.domain.timeline import SYSTEM
from app.domain.untold import batch_finished
from app.services.batch_events import log_event
from app.services.importing import job_of
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

CHUNK = 1000
SECONDS_A_LOOK = 3.0
"""Copying a large series takes turns with claiming: after so long it goes on in the next look, of whichever worker."""

SETTINGS = (
    "account_id",
    "description",
    "script_content",
    "voice_settings",
    "call_settings",
    "priority",
    "budget",
    "budget_used",
    "contact_timezones",
    "retell_agent_id",
    "retell_from_number",
)
"""What a run has of its series; a test asks of every other field whether it belongs here."""
CANCELLABLE = (
    BatchStatus.IMPORTING,
    BatchStatus.DRAFT,
    BatchStatus.SCHEDULED,
    BatchStatus.RUNNING,
    BatchStatus.PAUSED,
)


class Recurring:
    def __init__(
        self, batches: Batches, jobs: Jobs, contacts: BatchContacts, control: WorkerControl, time: Time
    ) -> None:
        self._batches = batches
        self._jobs = jobs
        self._contacts = contacts
        self._control = control
        self._time = time

    async def attend(self, batch: Batch, now: datetime) -> Batch | None:
        """Do what is due with a series, or with a run that is being made.

        Answers the run if it is open now, None if there is nothing to call, and every other batch as it is.
        """
        if batch.parent_batch_id is not None and batch.status is BatchStatus.IMPORTING:
            return await self._fill(batch)
        if batch.recurrence is None:
            return batch
        if batch.status is BatchStatus.SCHEDULED:
            return await self._run_due(batch, now)
        if batch.status is BatchStatus.CANCELLED:
            await cancel_runs(self._batches, self._jobs, self._time, batch, user=SYSTEM)
            if batch.current_import is not None:
                # As of any batch (services/claiming.py): whoever writes contacts stops, and wakes it.
                await self._batches.sleep(batch, now + IMPORT_LEASE, None)
                return None
            await self._batches.close(batch, now, [batch_finished(batch, now)])
            return None
        return batch

    async def _run_due(self, series: Batch, now: datetime) -> Batch | None:
        """Of the occurrences that are due the latest is run, unless the run before it still goes on."""
        if series.recurrence is None or series.next_run_at is None:
            await self._advance(series, None, now)
            return None
        due = due_between(series.recurrence, series.next_run_at, now)
        if not due:
            await self._batches.sleep(series, series.next_run_at, None)
            return None
        occurrence = due[-1]
        run_id = f"{series.batch_id}-r{occurrence.number}"
        made = await self._batches.get(run_id) is not None
        goes_on = [] if made else await self._batches.unfinished_runs(series.batch_id)
        if any(other.batch_id == run_id for other in goes_on):
            # Another worker has just made it.
            made, goes_on = True, []
        run = None if made or goes_on else _run_of(series, run_id, occurrence, now)
        if run is not None and not await self._batches.insert(run):
            return None  # another worker was quicker
        if await self._advance(series, None if goes_on else occurrence, now):
            await self._log_left_out(series, len(due) - 1, goes_on)
        return await self._fill(run) if run is not None else None

    async def _log_left_out(self, series: Batch, missed: int, goes_on: list[Batch]) -> None:
        if missed:
            await log_event(self._batches, self._time, series.batch_id, "runs_missed", SYSTEM, count=missed)
        if goes_on:
            run_id = goes_on[0].batch_id
            await log_event(self._batches, self._time, series.batch_id, "run_skipped", SYSTEM, run=run_id)

    async def _advance(self, series: Batch, started: Occurrence | None, now: datetime) -> bool:
        """To the next occurrence after now, or to the end; False if something has changed since it was read."""
        following = first_after(series.recurrence, now) if series.recurrence and series.next_run_at else None
        at = following.at if following else None
        changes: dict[str, Any] = {"next_run_at": at, "wake_at": at, "updated_at": now}
        if started is not None:
            changes["runs_started"] = series.runs_started + 1
        if at is None:
            changes |= {"status": BatchStatus.COMPLETED, "finished_at": now}
            changes |= {"untold": [batch_finished(series, now)], "untold_at": now}
        if await self._batches.revise(series, changes) is None:
            return False
        if at is None:
            await log_event(self._batches, self._time, series.batch_id, "series_completed")
        return True

    async def _fill(self, run: Batch) -> Batch | None:
        """Copy the series' contacts into the run, from where the copying stopped; the run once it is open."""
        series = await self._batches.get(run.parent_batch_id or "")
        left_out = _left_out(series)
        held = await self._extend(run, run.total_jobs, run.numbers_used)
        began = self._time.monotonic()
        while held is not None:
            contacts = await self._contacts.after(
                held.parent_batch_id or "", held.numbers_used, CHUNK, without=left_out
            )
            if not contacts:
                return await self._open(held)
            now = self._time.now()
            await self._jobs.insert_many(
                [job_of(held, contact, now, import_id=contact.import_id) for contact in contacts]
            )
            tired = self._control.stopping.is_set() or self._time.monotonic() - began > SECONDS_A_LOOK
            copied = held.total_jobs + len(contacts)
            held = await self._extend(held, copied, contacts[-1].number, let_go=tired)
            if tired and held is not None:
                return None
        await self._cancel_what_was_copied(run)
        return None

    async def _extend(self, run: Batch, copied: int, last_number: int, *, let_go: bool = False) -> Batch | None:
        """Note how far the copying is and take the run for another lease; None if it is no longer ours."""
        now = self._time.now()
        until = now if let_go else now + IMPORT_LEASE
        changes = {"total_jobs": copied, "numbers_used": last_number, "import_expires_at": until, "wake_at": until}
        return await self._batches.revise(run, changes)

    async def _open(self, run: Batch) -> Batch | None:
        """Running, unless the series was cancelled: whoever cancels it sees this run, or this sees the cancellation."""
        series = await self._batches.get(run.parent_batch_id or "")
        now = self._time.now()
        if series is None or series.status is BatchStatus.CANCELLED:
            await cancel_run(self._batches, self._jobs, self._time, run.batch_id, user=SYSTEM)
            return None
        changes = {
            "status": BatchStatus.RUNNING,
            "started_at": now,
            "updated_at": now,
            "wake_at": now,
            "import_expires_at": None,
        }
        opened = await self._batches.revise(run, changes)
        if opened is None:
            await self._cancel_what_was_copied(run)
            return None
        jobs = opened.total_jobs
        log.info("run_started", batch_id=series.batch_id, run=run.batch_id, jobs=jobs)
        await log_event(self._batches, self._time, series.batch_id, "run_started", SYSTEM, run=run.batch_id, jobs=jobs)
        await log_event(self._batches, self._time, run.batch_id, "batch_created", SYSTEM, jobs=jobs)
        await log_event(self._batches, self._time, run.batch_id, "batch_started", SYSTEM)
        return opened

    async def _cancel_what_was_copied(self, run: Batch) -> None:
        """Another worker has it, or somebody cancelled it: then jobs written since must not stay."""
        current = await self._batches.get(run.batch_id)
        if current is not None and current.status is BatchStatus.CANCELLED:
            await self._jobs.cancel_pending(run.batch_id, Message(code="batch_cancelled"), self._time.now(), by=SYSTEM)


async def cancel_runs(batches: Batches, jobs: Jobs, time: Time, series: Batch, *, user: str) -> None:
    """Cancel the runs of a series that go on. Repeating it is harmless."""
    for run in await batches.unfinished_runs(series.batch_id):
        await cancel_run(batches, jobs, time, run.batch_id, user=user)


async def cancel_run(batches: Batches, jobs: Jobs, time: Time, run_id: str, *, user: str) -> None:
    """For good, also while its contacts are being copied: the copier is told, or a later look cancels the rest."""
    now = time.now()
    changes = {
        "wake_at": now + IMPORT_LEASE,
        "import_expires_at": None,
        "block": None,
        "finished_at": now,
        "updated_at": now,
    }
    if await batches.move(run_id, CANCELLABLE, BatchStatus.CANCELLED, changes) is not None:
        await log_event(batches, time, run_id, "batch_cancelled", user)
    await jobs.cancel_pending(run_id, Message(code="batch_cancelled"), now, by=user)


def _left_out(series: Batch | None) -> list[str]:
    """The imports whose contacts a run does not get: what is still being written is for the next one, as a whole."""
    if series is None:
        return []
    current = [series.current_import.import_id] if series.current_import is not None else []
    return [*series.undone_imports, *current]


def _run_of(series: Batch, run_id: str, occurrence: Occurrence, now: datetime) -> Batch:
    """The batch of one occurrence, with the series' settings as they are now."""
    expires_at = now + IMPORT_LEASE
    return Batch(
        **{name: getattr(series, name) for name in SETTINGS},
        batch_id=run_id,
        parent_batch_id=series.batch_id,
        name=f"{series.name} #{occurrence.number}",
        schedule_type=ScheduleType.SCHEDULED,
        scheduled_at=occurrence.at,
        status=BatchStatus.IMPORTING,
        import_expires_at=expires_at,
        wake_at=expires_at,
        created_at=now,
        updated_at=now,
    )
