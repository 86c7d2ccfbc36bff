"""Use cases of a single job: read, retry, cancel."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from app.domain.batches import Batch, BatchStatus
from app.domain.errors import Conflict, FieldError, InvalidInput, NotFound
from app.domain.explanation import Explanation
from app.domain.jobs import IN_FLIGHT, Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.ports import Accounts, Batches, Jobs, Time
from app.domain.reading import JobFilter, Place
from app.domain.retry_policy import first_phone
from app.domain.searching import MOST_FOUND, AgeSort, Search
from app.domain.timeline import TimelineEvent, told
from app.domain.untold import after_end
from app.services.batch_events import log_event
from app.services.explaining import Explaining
from app.services.repeating import Repeating


class ShownStatus(StrEnum):
    """A job's status as the contract names it; the finer states are ours."""

    PENDING = "pending"
    SCHEDULED = "scheduled"
    SUSPENDED = "suspended"
    """Waits for money: the account's, or the batch's budget."""
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_WAITS: dict[ShownStatus, tuple[WaitingFor, ...]] = {
    ShownStatus.PENDING: (WaitingFor.NEW,),
    ShownStatus.SCHEDULED: (
        WaitingFor.RETRY,
        WaitingFor.CALLBACK,
        WaitingFor.HOURS,
        WaitingFor.PROVIDER,
        WaitingFor.PERSON,
    ),
    ShownStatus.SUSPENDED: (WaitingFor.BALANCE, WaitingFor.BUDGET),
}


@dataclass(frozen=True)
class JobView:
    job: Job
    batch: Batch

    @property
    def status(self) -> ShownStatus:
        if self.job.state in IN_FLIGHT:
            return ShownStatus.IN_PROGRESS
        if self.job.state is not JobState.PENDING:
            return ShownStatus(self.job.state.value)
        waiting_for = self.job.waiting_for or WaitingFor.NEW
        return next(status for status, waits in _WAITS.items() if waiting_for in waits)


@dataclass(frozen=True)
class JobTimeline:
    view: JobView
    events: list[TimelineEvent]
    """Oldest first."""
    now: Explanation
    truncated: bool
    """Whether older events were cut away."""


class JobService:
    def __init__(self, accounts: Accounts, batches: Batches, jobs: Jobs, explaining: Explaining, time: Time) -> None:
        self._accounts = accounts
        self._batches = batches
        self._explaining = explaining
        self._jobs = jobs
        self._time = time
        self._totals: Repeating[int] = Repeating(time, int)

    async def get(self, job_id: str) -> JobView:
        """Raises NotFound."""
        job = await self._jobs.get(job_id)
        if job is None:
            raise NotFound("job_not_found", job_id=job_id)
        return await self._view(job)

    async def timeline(self, job_id: str) -> JobTimeline:
        """Raises NotFound."""
        found = await self._jobs.timeline(job_id)
        if found is None:
            raise NotFound("job_not_found", job_id=job_id)
        job, stored = found
        events, truncated = told(job, stored)
        view = await self._view(job)
        return JobTimeline(view, events, await self._explaining.explain(job, view.batch), truncated)

    async def page(
        self,
        *,
        account_ids: Collection[str] | None,
        batch_id: str | None,
        status: ShownStatus | None,
        limit: int,
        skip: int,
        after: Place | None = None,
        phone: str | None = None,
        search: Search | None = None,
        sort: AgeSort = AgeSort.NEWEST,
    ) -> tuple[list[JobView], int | None]:
        """From behind `after`, and without it how many there are in all.

        `phone`: E.164; only contacts that have it. `search`: only those that it finds. Either needs `account_ids`, a
        search exactly one. Raises InvalidInput for a search that finds too many.
        """
        states, waiting_for = stored_as(status)
        if search is not None and account_ids:
            (account_id,) = account_ids
            if await self._jobs.count_found(account_id, search, MOST_FOUND + 1) > MOST_FOUND:
                raise InvalidInput([FieldError.of(("query", "q"), "search_too_wide", limit=MOST_FOUND)])
        if account_ids is not None and batch_id is not None:
            batch = await self._batches.get(batch_id)
            if batch is None or batch.account_id not in account_ids:
                return [], 0
            # All its jobs are the account's; to ask each of them would cost as much as reading them all.
            account_ids = None if phone is None and search is None else [batch.account_id]
        wanted = JobFilter(
            account_ids=None if account_ids is None else frozenset(account_ids),
            batch_id=batch_id,
            states=states,
            waiting_for=waiting_for,
            person_key=phone,
            search=search,
        )
        jobs = await self._jobs.page(wanted, limit=limit, skip=skip, after=after, sort=sort)
        total = None if after else await self._totals.get(wanted, lambda: self._jobs.count(wanted))
        batches = {batch_id: await self._batches.get(batch_id) for batch_id in {job.batch_id for job in jobs}}
        # A job without its batch is what an import that is being undone has left for a moment.
        views = [JobView(job, batch) for job in jobs if (batch := batches[job.batch_id]) is not None]
        return views, total

    async def retry(self, job_id: str, *, user: str) -> JobView:
        """One more attempt, due at once.

        A failed or cancelled job gets one attempt more than it had; a pending one only comes forward. Raises
        Conflict for a job in progress, or one whose contact was reached: that phone shall not ring again.
        """
        view = await self.get(job_id)
        job, batch = view.job, view.batch
        if job.state not in {JobState.PENDING, JobState.FAILED, JobState.CANCELLED}:
            raise Conflict("job_not_retryable", status=view.status.value)
        if job.erased_at is not None:
            raise Conflict("job_erased")
        if job.test_of is not None:
            raise Conflict("test_call_happens_once")
        if batch.status is BatchStatus.CANCELLED:
            raise Conflict("batch_not_changeable", status=batch.status.value)
        if job.import_id in batch.undone_imports:
            raise Conflict("import_was_undone")
        needed = max(job.attempts + 1 - batch.call_settings.max_attempts, 0)
        now = self._time.now()
        # Before and after: should this stop half-way, a batch that runs for nothing completes again by itself.
        await self._reopen_batch(batch)
        extra_attempts = max(job.extra_attempts, needed)
        reopened = await self._jobs.reopen(
            job, now, extra_attempts=extra_attempts, next_phone_index=first_phone(job), by=user
        )
        if reopened is None:
            raise Conflict("job_changed_meanwhile")
        await self._reopen_batch(batch)
        after = await self._view(reopened)
        if after.batch.status is BatchStatus.CANCELLED:
            # Meanwhile, and perhaps no worker looks at it any more.
            await self._jobs.cancel(job_id, Message(code="batch_cancelled"), now, by=user)
            raise Conflict("batch_not_changeable", status=after.batch.status.value)
        await log_event(self._batches, self._time, batch.batch_id, "job_retried", user, job_id=job_id)
        return after

    async def cancel(self, job_id: str, *, user: str) -> JobView:
        """Not to be called any more. Repeating it is harmless; raises Conflict if the job ended otherwise."""
        view = await self.get(job_id)
        if view.job.state is JobState.CANCELLED:
            return view
        reason, now = Message(code="cancelled_by_operator"), self._time.now()
        account = await self._accounts.get(view.job.account_id)
        untold = after_end(job_id, JobState.CANCELLED, reason, account.webhook_events if account else [], now)
        job = await self._jobs.cancel(job_id, reason, now, by=user, untold=untold)
        if job is None:
            raise Conflict("job_not_cancellable", status=(await self.get(job_id)).status.value)
        await self._batches.wake(job.batch_id, self._time.now())
        await log_event(self._batches, self._time, job.batch_id, "job_cancelled", user, job_id=job_id)
        return await self._view(job)

    async def _reopen_batch(self, batch: Batch) -> None:
        now = self._time.now()
        changes = {"wake_at": now, "finished_at": None, "updated_at": now}
        # A completion decided on what was before fails once the batch is woken; one that came first is undone.
        await self._batches.wake(batch.batch_id, now)
        await self._batches.move(batch.batch_id, [BatchStatus.COMPLETED], BatchStatus.RUNNING, changes)

    async def _view(self, job: Job) -> JobView:
        return JobView(job, await self._batch(job.batch_id))

    async def _batch(self, batch_id: str) -> Batch:
        batch = await self._batches.get(batch_id)
        if batch is None:
            raise NotFound("batch_not_found", batch_id=batch_id)
        return batch


def stored_as(status: ShownStatus | None) -> tuple[tuple[JobState, ...] | None, tuple[WaitingFor, ...] | None]:
    """The states and waits that are shown as `status`; None: any."""
    if status is None:
        return None, None
    if status is ShownStatus.IN_PROGRESS:
        return tuple(sorted(IN_FLIGHT)), None
    if status in _WAITS:
        return (JobState.PENDING,), _WAITS[status]
    return (JobState(status.value),), None
