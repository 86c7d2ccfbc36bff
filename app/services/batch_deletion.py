"""Deleting a batch. One update deletes it; what is removed after that, whoever is at it may stop and another goes on.

A deleted batch stands as cancelled with a `deleted_at`. Nobody is shown it, nothing opens it again, and its
idempotency key stays taken: a create that is repeated must not call everybody once more. Jobs that called somebody
always stay, for caps are counted in them (docs/adr/0009), and so do figures, past calls and the ledger's checks.
"""

from datetime import timedelta

import structlog

from app.domain.batches import Batch, BatchStatus
from app.domain.errors import Conflict, NotFound
from app.domain.jobs import IN_FLIGHT
from app.domain.messages import Message
from app.domain.ports import Batches, Jobs, Time
from app.domain.reading import JobFilter
from app.domain.timeline import SYSTEM
from app.services.test_calls import cancel_test_calls

log = structlog.get_logger("batches")

CHUNK = 5000
CLEARING_SECONDS = 3.0
"""After so long in a request, or in one look over all batches, the clearing goes on in a worker's next look: nobody is
kept waiting, nor are other batches' calls."""
RECHECK = timedelta(minutes=1)
_DELETABLE = frozenset({BatchStatus.DRAFT, BatchStatus.COMPLETED, BatchStatus.CANCELLED})


class BatchDeletion:
    def __init__(self, batches: Batches, jobs: Jobs, time: Time) -> None:
        self._batches = batches
        self._jobs = jobs
        self._time = time

    async def delete(self, batch_id: str, *, delete_jobs: bool, user: str) -> None:
        """For good; repeating it is harmless. `delete_jobs`: remove the jobs that never called anybody, too.

        Raises NotFound, or Conflict for a batch that is not over, or of which calls are in progress.
        """
        batch = await self._batches.get(batch_id)
        if batch is None:
            raise NotFound("batch_not_found", batch_id=batch_id)
        changes: dict[str, object] = {}
        if batch.deleted_at is None:
            await self._refuse_unless_over(batch)
            now = self._time.now()
            changes = {"status": BatchStatus.CANCELLED, "deleted_at": now, "block": None, "updated_at": now}
        if delete_jobs and batch.clear_jobs_after is None:
            changes["clear_jobs_after"] = ""
        if changes:
            deleted = await self._batches.revise(batch, {**changes, "wake_at": self._time.now()})
            if deleted is None:
                raise Conflict("batch_changed_meanwhile")
            log.info("batch_deleted", batch_id=batch_id, user=user, delete_jobs=delete_jobs)
            batch = deleted
        await cancel_test_calls(self._batches, self._jobs, self._time, batch, user=user)
        until = self._time.monotonic() + CLEARING_SECONDS
        await clear_deleted(self._batches, self._jobs, self._time, batch, until=until)

    async def _refuse_unless_over(self, batch: Batch) -> None:
        """Once a batch is cancelled no call of it begins, so calls in progress are asked for after."""
        if batch.current_import is not None:
            raise Conflict("import_in_progress", import_id=batch.current_import.import_id)
        if batch.status not in _DELETABLE:
            raise Conflict("batch_not_deletable", status=batch.status.value)
        if count := await _in_flight(self._jobs, batch.batch_id):
            raise Conflict("batch_has_calls", count=count)
        if batch.recurrence is not None:
            for run in await self._batches.unfinished_runs(batch.batch_id):
                if run.status not in _DELETABLE:
                    raise Conflict("batch_has_runs", run=run.batch_id)


async def clear_deleted(batches: Batches, jobs: Jobs, time: Time, batch: Batch, *, until: float) -> bool:
    """Remove what a deleted batch leaves and nobody needs. False: the time (monotonic) was up; the batch stays due till
    it is done."""
    reason = Message(code="batch_cancelled")
    await jobs.cancel_pending(batch.batch_id, reason, time.now(), by=SYSTEM)
    if await _in_flight(jobs, batch.batch_id):
        # A worker took a job before it could know; it will put it back as cancelled.
        await batches.sleep(batch, time.now() + RECHECK, None)
        return True
    await batches.delete_contacts(batch.batch_id)
    left: Batch | None = batch
    while left is not None and left.clear_jobs_after is not None:
        after = await jobs.delete_uncalled(left.batch_id, left.clear_jobs_after, CHUNK)
        left = await batches.revise(left, {"clear_jobs_after": after})
        if after is not None and time.monotonic() > until:
            return False
    if left is not None:
        await batches.sleep(left, None, None)
    return True


async def _in_flight(jobs: Jobs, batch_id: str) -> int:
    return await jobs.count(JobFilter(batch_id=batch_id, states=tuple(IN_FLIGHT)))
