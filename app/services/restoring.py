"""After a backup was restored: nobody is called before every call that Retell knows is in its job again.

    all accounts suspended → of every batch that is not over: Retell's calls that its jobs know nothing of, each made
    the job's attempt (`in_call`, with a reservation) and settled as a worker would; occurrences of series that passed
    are left out → what is Retell's but no job's is named

Stopped anywhere, it is run again: a call that is in its job is not forgotten any more. A call that goes on, or whose
end Retell does not tell just now, stays `in_call`; workers follow it, for suspended accounts too.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus
from app.domain.calls import CallReport
from app.domain.jobs import CALLING, Attempt, Job, JobState
from app.domain.money import charge_for
from app.domain.outcomes import outcome_of
from app.domain.ports import Accounts, Batches, JobQueue, Time
from app.domain.recurrence import first_after
from app.domain.restoring import CallArchive, PastCall, RestoredDatabase, attempt_again, forgotten
from app.domain.workers import Workers
from app.services.attempt_calls import AttemptCalls
from app.services.funding import Funding
from app.services.hints import Heard
from app.services.settling import Settling
from app.services.worker_control import WorkerControl

log = structlog.get_logger("restoring")

AT_ONCE = 8
LOOKS = 3
LEASE = timedelta(minutes=1)
COMPLETE_FOR = timedelta(days=1)
"""A backup may have in it that an earlier one was recovered."""
LATE_DETAILS = timedelta(minutes=15)
"""After so long nothing is added to a call that is over."""


class NoCallsListed(Exception):
    """Retell's list has none of the calls that the backup has: it is another workspace's, or not to be relied on."""


class WorkersAtWork(Exception):
    """These may be calling at this moment, from the restored database."""


@dataclass
class Restored:
    """What was found, and what was done about it."""

    held_accounts: int = 0
    batches: int = 0
    listed: int = 0
    """Calls of these batches in Retell's list, forgotten or not."""
    settled: int = 0
    """Calls that are attempts of their jobs again."""
    left_to_workers: int = 0
    """That go on, or whose end is not known yet: run this again when they are over."""
    not_covered: int = 0
    """Those of `settled` that the restored balance, or budget, did not cover: they were not charged."""
    importing: list[str] = field(default_factory=list)
    """Batches whose contacts are not all there: run this again when they are."""
    series: list[str] = field(default_factory=list)
    """Recurring batches of which occurrences were left out."""
    strays: list[PastCall] = field(default_factory=list)
    """Calls to contacts that the backup does not have."""

    @property
    def is_done(self) -> bool:
        return not (self.left_to_workers or self.importing)


class Restoring:
    def __init__(
        self,
        database: RestoredDatabase,
        archive: CallArchive,
        calls: AttemptCalls,
        accounts: Accounts,
        batches: Batches,
        workers: Workers,
        queue: JobQueue,
        funding: Funding,
        settling: Settling,
        control: WorkerControl,
    ) -> None:
        self._database = database
        self._archive = archive
        self._calls = calls
        self._accounts = accounts
        self._batches = batches
        self._workers = workers
        self._queue = queue
        self._funding = funding
        self._settling = settling
        self._control = control
        self._time: Time = control.time

    async def recover(self, since: datetime) -> Restored:
        """Hold all accounts, and find what was forgotten. `since`: when the backup was taken, or earlier.

        Raises WorkersAtWork, NoCallsListed, a ProviderError, or DatabaseUnavailable.
        """
        await self._require_silence()
        begun_at = self._time.now()
        await self._database.note_recovery(begun_at, None)
        done = Restored(held_accounts=await self._database.hold_accounts(begun_at))
        batches = await self._database.unfinished_batches()
        try:
            for batch in batches:
                await self._attend(batch, done)
        finally:
            await self._queue.hand_over(self._control.worker_id)
        if not done.listed and await self._database.has_calls([batch.batch_id for batch in batches]):
            raise NoCallsListed
        await self._find_strays(since, done)
        if done.is_done:
            await self._database.note_recovery(begun_at, self._time.now())
        return done

    async def _attend(self, batch: Batch, done: Restored) -> None:
        done.batches += 1
        if batch.status is BatchStatus.IMPORTING or batch.current_import is not None:
            done.importing.append(batch.batch_id)
        if batch.recurrence is None:
            await self._recover_batch(batch, done)
        elif await self._leave_out(batch):
            done.series.append(batch.batch_id)

    async def held_accounts(self) -> list[str]:
        """The accounts that `recover` suspended, and nobody has activated since."""
        return await self._database.held_accounts()

    async def is_complete(self) -> bool:
        """Whether the last recovery found everything, and is so recent that it was of this restoring."""
        recovered_at = await self._database.recovered_at()
        return recovered_at is not None and self._time.now() - recovered_at < COMPLETE_FOR

    async def _require_silence(self) -> None:
        """Workers do no harm once every account is held."""
        now = self._time.now()
        at_work = [worker.name for worker in await self._workers.all() if worker.is_at_work(now)]
        if at_work and await self._database.active_accounts():
            raise WorkersAtWork(", ".join(at_work))

    async def _leave_out(self, series: Batch) -> bool:
        """Which of the occurrences that passed were run is forgotten, so none of them is."""
        now = self._time.now()
        if series.status is not BatchStatus.SCHEDULED or series.next_run_at is None or series.next_run_at > now:
            return False
        following = first_after(series.recurrence, now) if series.recurrence else None
        changes = {"next_run_at": following and following.at, "wake_at": following.at if following else now}
        return await self._batches.revise(series, {**changes, "updated_at": now}) is not None

    async def _recover_batch(self, batch: Batch, done: Restored) -> None:
        of_job: defaultdict[str, list[PastCall]] = defaultdict(list)
        async for call in self._archive.calls_of_batch(batch.batch_id):
            # Retell's filters are not documented to the last (retell.md §5).
            if call.batch_id == batch.batch_id and call.job_id is not None and call.report.attempt_id:
                of_job[call.job_id].append(call)
                done.listed += 1
        account = await self._accounts.get(batch.account_id)
        if account is None or not of_job:
            return
        jobs = list(of_job)
        for first in range(0, len(jobs), AT_ONCE):
            together = [
                self._recover_job(job_id, of_job[job_id], batch, account, done)
                for job_id in jobs[first : first + AT_ONCE]
            ]
            for ended in await asyncio.gather(*together, return_exceptions=True):
                if ended is not None:
                    raise ended

    async def _recover_job(
        self, job_id: str, calls: list[PastCall], batch: Batch, account: Account, done: Restored
    ) -> None:
        job = await self._database.job(job_id)
        unknown = forgotten(job, calls) if job is not None else []
        if job is None or not unknown:
            return
        if job.state in CALLING:
            # The attempt that the backup shows came before all that it has forgotten.
            before = [call for call in calls if job.attempt and call.report.attempt_id == job.attempt.attempt_id]
            unknown = before + unknown
            if job.state is JobState.SETTLING:
                await self._settling.apply(job)
                unknown = unknown[len(before) :]
        for call in unknown:
            current = await self._database.job(job_id)
            if current is None or not await self._take_up(current, call, batch, account, done):
                done.left_to_workers += 1
                return

    async def _take_up(self, job: Job, call: PastCall, batch: Batch, account: Account, done: Restored) -> bool:
        """Whether the call is settled, so that the next one may be looked at."""
        attempt = job.attempt
        is_known = attempt is not None and attempt.attempt_id == call.report.attempt_id
        if attempt is None or not is_known:
            attempt = await self._reserved(job, call, batch, account)
        attempt = attempt.model_copy(update={"call_id": call.report.call_id})
        taken = await self._database.take_up(job, attempt, call.report, by=self._control.worker_id, lease=LEASE)
        if taken is None:
            if not is_known:
                await self._funding.release(job, attempt)
            return False
        log.info("forgotten_call_found", job_id=job.job_id, attempt_id=attempt.attempt_id, call_id=attempt.call_id)
        report = await self._end_of(call)
        if report is None:
            return False
        decided = await self._settling.decide(taken, outcome_of(report), report)
        if decided is None:
            return False
        await self._settling.apply(decided)
        done.settled += 1
        if report.seconds > 0 and decided.settlement and not decided.settlement.charge.units:
            done.not_covered += 1
        return True

    async def _reserved(self, job: Job, call: PastCall, batch: Batch, account: Account) -> Attempt:
        """The attempt, with money for the longest call, for this one, or for none: it was made, paid for or not."""
        counted = await self._funding.counted(batch)
        for seconds in (batch.call_settings.max_call_duration, call.report.billed_seconds or call.report.seconds):
            price = charge_for(seconds, account.plan_type, account.pricing)
            cost = None if counted.budget is None else price.cost
            attempt = attempt_again(job, batch, call, self._time.now(), reserved=price.units, reserved_cost=cost)
            if await self._funding.reserve(job, attempt):
                return attempt
        return attempt.model_copy(update={"reserved": Decimal(0), "reserved_cost": Decimal(0)})

    async def _end_of(self, call: PastCall) -> CallReport | None:
        """The call with all that was said, if it is over and nothing more will be added."""
        for _ in range(LOOKS):
            answer = await self._calls.look(call.report.call_id, Heard(), urgent=False)
            if not answer.given:
                continue
            report = answer.call
            if report is None or not report.is_over:
                return None
            late = report.ended_at is None or self._time.now() - report.ended_at > LATE_DETAILS
            return report if report.is_complete or late else None
        return None

    async def _find_strays(self, since: datetime, done: Restored) -> None:
        found = {call.report.call_id: call async for call in self._archive.calls_since(since)}
        ours = [call for call in found.values() if call.job_id]
        for first in range(0, len(ours), 1000):
            calls = ours[first : first + 1000]
            there: Collection[str] = await self._database.existing_jobs([call.job_id or "" for call in calls])
            done.strays += [call for call in calls if call.job_id not in there]
