"""What dead or stopped workers left: their jobs are adopted, each handed to the handler of its state."""

from collections.abc import Container

import structlog

from app.domain.jobs import Job, JobState
from app.domain.metrics import Metrics
from app.domain.ports import Batches, JobQueue, Time
from app.services.funding import Funding, Reservation
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

EXPIRED_A_LOOK = 100


class Rescuing:
    def __init__(
        self, batches: Batches, queue: JobQueue, funding: Funding, control: WorkerControl, time: Time, metrics: Metrics
    ) -> None:
        self._batches = batches
        self._queue = queue
        self._funding = funding
        self._control = control
        self._time = time
        self._metrics = metrics
        self._seen_orphans: set[Reservation] = set()

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
            self._metrics.job_rescued(expired.state)
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
        reservations = await self._funding.reservations()
        held = {
            account_id: await self._queue.held_attempts(account_id)
            for account_id in {reservation.account_id for reservation in reservations}
        }
        orphans = {r for r in reservations if r.attempt_id not in held[r.account_id]}
        lasting = orphans & self._seen_orphans
        self._metrics.reservations_without_jobs(len(lasting))
        for orphan in lasting:
            if await self._funding.give_back(orphan):
                log.warning("orphaned_reservation_released", **orphan._asdict())
        self._seen_orphans = orphans

    async def post_left_over(self) -> None:
        """Write what is missing in the ledger of money that accounts have already."""
        await self._funding.post_left_over()

    async def _put_back(self, job: Job) -> None:
        now = self._time.now()
        waiting_for, reason = job.own_wait
        await self._queue.release(job, now, waiting_for=waiting_for, reason=reason, due_at=None)
        await self._batches.wake(job.batch_id, now)
