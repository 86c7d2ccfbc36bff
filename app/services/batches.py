"""Use cases of a batch that exists: read, pause, resume, edit, cancel."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from app.domain.batches import Batch, BatchStatus, LogEntry, Progress
from app.domain.errors import Conflict, NotFound
from app.domain.estimate import Estimate
from app.domain.explanation import Obstacle
from app.domain.jobs import FINAL, IN_FLIGHT, JobState
from app.domain.messages import Message
from app.domain.ports import Batches, Jobs, Time, Transactions
from app.domain.recurrence import first_after
from app.domain.searching import NameSort, Search
from app.domain.transactions import Usage
from app.services.batch_events import log_event
from app.services.explaining import Explaining
from app.services.recurring import cancel_runs
from app.services.repeating import CHEAP_SECONDS, FEW, REPEATED_TIMES, SHOWN_SECONDS, Remaking
from app.services.test_calls import cancel_test_calls

CLOSED = (BatchStatus.COMPLETED, BatchStatus.CANCELLED)
OPEN = (BatchStatus.DRAFT, BatchStatus.SCHEDULED, BatchStatus.RUNNING, BatchStatus.PAUSED)


@dataclass(frozen=True)
class BatchView:
    """A batch with what its jobs and the ledger say of it."""

    batch: Batch
    progress: Progress
    usage: Usage
    next_window_opens_at: datetime | None
    """When its hours open next; None if they are open, or it does not run."""
    obstacle: Obstacle | None
    """Why it does not call just now, though it has contacts to call."""


class Figures(NamedTuple):
    """What the jobs and the ledger said of a batch, and how long that may be repeated."""

    progress: Progress
    usage: Usage
    revision: int
    good_until: float
    shown_until: float
    """Monotonic; while the next ones are being counted."""


class BatchFigures:
    """Counts batches' jobs and sums their costs, and repeats itself where that was dear.

    Counting a million jobs takes MongoDB about two seconds, and every open page asks every five. An answer is repeated
    for ten times as long as it took, so this process never spends more than a tenth of the time on a batch; one of few
    jobs is not repeated at all. After that it is shown while the next count is made, as services/repeating.py does. Of
    a batch that is over, the figures stand until something opens it again.
    """

    KEPT = 2000

    def __init__(self, jobs: Jobs, transactions: Transactions, time: Time) -> None:
        self._jobs = jobs
        self._transactions = transactions
        self._time = time
        self._known: dict[str, Figures] = {}
        self._counting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._remaking = Remaking()

    async def of(self, batches: Sequence[Batch]) -> dict[str, Figures]:
        """The figures of each. One question to the jobs and one to the ledger, however many batches."""
        if len(self._counting) > self.KEPT:
            self._counting.clear()
        if len(batches) == 1:
            # Many pages may show one batch: they wait for one count instead of each making its own.
            async with self._counting[batches[0].batch_id]:
                return await self._of(batches)
        return await self._of(batches)

    def forget(self, batch_id: str) -> None:
        """Somebody changed the batch here, and wants to see it."""
        self._known.pop(batch_id, None)

    async def _of(self, batches: Sequence[Batch]) -> dict[str, Figures]:
        now = self._time.monotonic()
        found = {batch.batch_id: known for batch in batches if (known := self._repeatable(batch, now))}
        found |= {batch.batch_id: figures for batch in batches if (figures := _of_import(batch, now))}
        passed = [batch for batch in batches if batch.batch_id in found and self._has_passed(batch, now)]
        if passed:
            # All of a page in one question, as the page itself asks.
            ids = tuple(sorted(batch.batch_id for batch in passed))
            self._remaking.begin(ids, lambda: self._count(passed))
        unknown = [batch for batch in batches if batch.batch_id not in found]
        return found | await self._count(unknown) if unknown else found

    def _repeatable(self, batch: Batch, now: float) -> Figures | None:
        known = self._known.get(batch.batch_id)
        if known is None:
            return None
        until = known.good_until if batch.status in CLOSED else known.shown_until
        return known if _stands(batch, known) or now < until else None

    def _has_passed(self, batch: Batch, now: float) -> bool:
        """What is known may still be shown, but is to be counted anew."""
        known = self._known.get(batch.batch_id)
        return known is not None and now >= known.good_until and not _stands(batch, known)

    async def _count(self, batches: list[Batch]) -> dict[str, Figures]:
        ids = [batch.batch_id for batch in batches]
        started_at = self._time.monotonic()
        counts, usage = await self._jobs.counts(ids), await self._transactions.batch_usage(ids)
        now = self._time.monotonic()
        took = now - started_at
        good_until = now + REPEATED_TIMES * took
        counted = {
            batch.batch_id: Figures(
                progress=progress_of(counts.get(batch.batch_id, {})),
                usage=usage.get(batch.batch_id, Usage()),
                revision=batch.revision,
                good_until=good_until,
                shown_until=good_until + (SHOWN_SECONDS if took > CHEAP_SECONDS else 0),
            )
            for batch in batches
        }
        if sum(one.progress.total + one.usage.calls for one in counted.values()) > FEW:
            if len(self._known) > self.KEPT:
                self._known.clear()
            self._known |= counted
        else:
            for batch in batches:
                self.forget(batch.batch_id)
        return counted


def _stands(batch: Batch, known: Figures) -> bool:
    """The batch is over, and nothing opened it again since."""
    is_over = batch.status in CLOSED and known.progress.finished >= batch.total_jobs
    return is_over and known.revision == batch.revision


def _of_import(batch: Batch, now: float) -> Figures | None:
    """Of a batch whose first contacts are being written: nobody is called yet, so there is nothing to count."""
    work = batch.current_import
    if batch.status is not BatchStatus.IMPORTING or work is None:
        return None
    return Figures(Progress(pending=work.written), Usage(), batch.revision, now, now)


class BatchService:
    def __init__(
        self, batches: Batches, jobs: Jobs, transactions: Transactions, explaining: Explaining, time: Time
    ) -> None:
        self._batches = batches
        self._explaining = explaining
        self._jobs = jobs
        self._figures = BatchFigures(jobs, transactions, time)
        self._time = time

    async def get(self, batch_id: str) -> Batch:
        """Raises NotFound, also when it was deleted."""
        batch = await self._batches.get(batch_id)
        if batch is None or batch.deleted_at is not None:
            raise NotFound("batch_not_found", batch_id=batch_id)
        return batch

    async def account_of(self, batch_id: str) -> str:
        """Whose it is, or was before it was deleted. Raises NotFound."""
        batch = await self._batches.get(batch_id)
        if batch is None:
            raise NotFound("batch_not_found", batch_id=batch_id)
        return batch.account_id

    async def view(self, batch_id: str) -> BatchView:
        return (await self.views([await self.get(batch_id)]))[0]

    async def status(self, batch_id: str) -> tuple[BatchView, Estimate | None]:
        """How far it is, and when it will be done."""
        view = await self.view(batch_id)
        return view, await self._explaining.estimate(view.batch, view.progress, view.obstacle)

    async def views(self, batches: list[Batch]) -> list[BatchView]:
        """Cheap to poll; see BatchFigures."""
        figures = await self._figures.of(batches)
        obstacles = await self._explaining.obstacles([(batch, figures[batch.batch_id].progress) for batch in batches])
        now = self._time.now()
        return [
            BatchView(
                batch=batch,
                progress=figures[batch.batch_id].progress,
                usage=figures[batch.batch_id].usage,
                next_window_opens_at=_next_window(batch, now),
                obstacle=obstacles[batch.batch_id],
            )
            for batch in batches
        ]

    async def page(
        self,
        *,
        account_ids: Collection[str] | None,
        status: BatchStatus | None,
        is_active: bool | None,
        limit: int,
        skip: int,
        parent_batch_id: str | None = None,
        sort: NameSort = NameSort.NEWEST,
        search: Search | None = None,
    ) -> tuple[list[BatchView], int]:
        batches, total = await self._batches.page(
            account_ids=account_ids,
            statuses=_statuses(status, is_active),
            parent_batch_id=parent_batch_id,
            limit=limit,
            skip=skip,
            sort=sort,
            search=search,
        )
        return await self.views(batches), total

    async def logs(self, batch_id: str, *, limit: int, skip: int) -> tuple[list[LogEntry], int]:
        await self.get(batch_id)
        return await self._batches.logs(batch_id, limit=limit, skip=skip)

    async def change(self, batch_id: str, changes: dict[str, Any], *, is_active: bool | None, user: str) -> BatchView:
        """Edit, pause (`is_active` False) or resume (True), in one step. Takes effect at the next claim."""
        batch = await self.get(batch_id)
        if batch.test_of is not None:
            raise Conflict("test_call_happens_once")
        if batch.status not in OPEN and (is_active is not None or changes):
            raise Conflict("batch_not_changeable", status=batch.status.value)
        target = self._target(batch, is_active)
        now = self._time.now()
        everything = {**changes, **_wake(batch, target, now), "updated_at": now}
        if "budget" in changes:
            everything["block"] = None
            if changes["budget"] is None:
                # Calls are settled without it from now on: another one is counted anew.
                everything["budget_used"] = None
        if target is not batch.status:
            paused = target is BatchStatus.PAUSED
            everything |= {"pause_reason": None, "block": None}
            everything |= {"paused_at": now if paused else None, "paused_by": user if paused else None}
            if target is BatchStatus.RUNNING and batch.started_at is None:
                everything["started_at"] = now
            if batch.recurrence is not None:
                # Occurrences that passed in the pause are not made up for. Without any left, a worker completes it.
                following = None if paused else first_after(batch.recurrence, now)
                everything["next_run_at"] = following and following.at
                everything["wake_at"] = None if paused else following.at if following else now
        if await self._batches.move(batch_id, [batch.status], target, everything) is None:
            raise Conflict("batch_changed_meanwhile")
        self._figures.forget(batch_id)
        for event, params in _events(batch, target, changes):
            await log_event(self._batches, self._time, batch_id, event, user, **params)
        return await self.view(batch_id)

    async def cancel(self, batch_id: str, *, user: str) -> BatchView:
        """For good. Repeating it is harmless; a call in progress ends by itself and is its contact's last."""
        batch = await self.get(batch_id)
        if batch.status is not BatchStatus.CANCELLED:
            now = self._time.now()
            changes = {"wake_at": now, "block": None, "finished_at": now, "updated_at": now}
            # Whoever writes contacts into it finds it cancelled, and stops; what a run is made of has no such writer.
            expected = OPEN if batch.current_import is None else (*OPEN, BatchStatus.IMPORTING)
            if await self._batches.move(batch_id, expected, BatchStatus.CANCELLED, changes) is None:
                raise Conflict("batch_not_changeable", status=(await self.get(batch_id)).status.value)
            await log_event(self._batches, self._time, batch_id, "batch_cancelled", user)
        # The batch says no from here on; should this stop half-way, a worker goes on with it.
        if batch.recurrence is not None:
            await cancel_runs(self._batches, self._jobs, self._time, batch, user=user)
        await self._jobs.cancel_pending(batch_id, Message(code="batch_cancelled"), self._time.now(), by=user)
        await cancel_test_calls(self._batches, self._jobs, self._time, batch, user=user)
        self._figures.forget(batch_id)
        return await self.view(batch_id)

    def _target(self, batch: Batch, is_active: bool | None) -> BatchStatus:
        if is_active is None or is_active == batch.is_active:
            return batch.status
        if not is_active:
            if batch.status is BatchStatus.DRAFT:
                raise Conflict("batch_not_changeable", status=batch.status.value)
            return BatchStatus.PAUSED
        later = batch.scheduled_at is not None and batch.scheduled_at > self._time.now()
        return BatchStatus.SCHEDULED if later or batch.recurrence is not None else BatchStatus.RUNNING


def progress_of(counts: dict[JobState, int]) -> Progress:
    """The counts by state as an operator reads them."""
    return Progress(
        pending=counts.get(JobState.PENDING, 0),
        in_progress=sum(counts.get(state, 0) for state in IN_FLIGHT),
        **{state.value: counts.get(state, 0) for state in FINAL},
    )


def _wake(batch: Batch, target: BatchStatus, now: datetime) -> dict[str, Any]:
    """When a worker should look at the batch after the change."""
    if target is BatchStatus.RUNNING:
        return {"wake_at": now}
    if target is BatchStatus.SCHEDULED:
        return {"wake_at": batch.starts_at or now}
    return {"wake_at": None}


def _events(batch: Batch, target: BatchStatus, changes: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    events: list[tuple[str, dict[str, Any]]] = []
    if changes:
        fields = sorted({name.partition(".")[0] for name in changes})
        events.append(("batch_edited", {"fields": ", ".join(fields)}))
    if target is not batch.status:
        events.append(("batch_paused_by_user" if target is BatchStatus.PAUSED else "batch_resumed", {}))
    return events


def _next_window(batch: Batch, now: datetime) -> datetime | None:
    if batch.status not in {BatchStatus.RUNNING, BatchStatus.SCHEDULED}:
        return None
    start = max(now, batch.starts_at) if batch.starts_at else now
    opens = batch.opens_at(start)
    return opens if opens != now else None


def _statuses(status: BatchStatus | None, is_active: bool | None) -> list[BatchStatus] | None:
    if status is None and is_active is None:
        return None
    return [s for s in BatchStatus if status in {None, s} and is_active in {None, s.is_active}]
