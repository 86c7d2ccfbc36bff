"""What dead or stopped workers left: their jobs are adopted, each handed to the handler of its state."""

from collections.abc import Container

import structlog

from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.ports import Accounts, Batches, JobQueue, Time
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

EXPIRED_A_LOOK = 100


class Rescuing:
    def __init__(
        self, accounts: Accounts, batches: Batches, queue: JobQueue, control: WorkerControl, time: Time
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._queue = queue
        self._control = control
        self._time = time
        self._seen_orphans: set[tuple[str, str]] = set()

    async def adopt(self, in_hand: Container[str]) -> list[Job]:
        """Take over jobs whose lease ran out, but none of those `in_hand`, on which this very process works.

        More than the worker's concurrency if need be: live calls and unsure ones wait for nobody. Nothing was sent
        for a `leased` one, so it goes back to `pending` instead.
        """
        adopted: list[Job] = []
        for expired in await self._queue.expired(self._time.now(), EXPIRED_A_LOOK):
            if expired.job_id in in_hand:
                continue
            job = await self._queue.adopt(expired, worker_id=self._control.worker_id, lease=self._control.lease)
            if job is None:
                continue
            log.warning("job_rescued", job_id=job.job_id, state=expired.state.value, left_by=expired.worker_id)
            if job.state is JobState.LEASED:
                await self._put_back(job)
            else:
                adopted.append(job)
        return adopted

    async def release_orphans(self) -> None:
        """Give back reservations whose attempt no job can make any more.

        A reservation is made only for a job that holds the attempt's id, and a job that lets go of the id never takes
        it up again. Seen without a job twice in a row, it is an orphan.
        """
        orphans: set[tuple[str, str]] = set()
        for account_id, attempt_ids in (await self._accounts.reserved()).items():
            held = await self._queue.held_attempts(account_id)
            orphans |= {(account_id, attempt_id) for attempt_id in attempt_ids if attempt_id not in held}
        for account_id, attempt_id in orphans & self._seen_orphans:
            if await self._accounts.release(account_id, attempt_id):
                log.warning("orphaned_reservation_released", account_id=account_id, attempt_id=attempt_id)
        self._seen_orphans = orphans

    async def _put_back(self, job: Job) -> None:
        now = self._time.now()
        waiting_for = WaitingFor.RETRY if job.attempts else WaitingFor.NEW
        await self._queue.release(job, now, waiting_for=waiting_for, reason=None, due_at=None)
        await self._batches.wake(job.batch_id, now)
