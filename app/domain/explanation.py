"""Why is nothing being called just now, and when will it be? Pure; the answer for a batch, and for one of its jobs.

It explains what the workers decided, and decides nothing itself: what a worker wrote down (`Batch.block`) comes before
what is concluded from the documents.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from app.domain.accounts import Account, AccountStatus
from app.domain.batches import Batch, BatchStatus, Block, Progress
from app.domain.calling_hours import may_call, next_call_at, why_closed
from app.domain.funding import shortage_of
from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.timeline import SYSTEM

UNSEEN = timedelta(minutes=1)
"""Workers look at what is due every second or so; what was not looked at for this long has no worker to spare."""
_RECHECKED = frozenset({"no_balance", "account_suspended", "account_unreadable", "budget_exhausted"})
"""Blocks whose `until` only says when it is looked at again: what ends them is somebody who does something."""


class Obstacle(BaseModel):
    """What keeps a batch from calling."""

    model_config = ConfigDict(frozen=True)

    reason: Message
    since: datetime | None = None
    """None: not known."""
    until: datetime | None = None
    """When it is over or looked at again by itself; None: not by waiting, or nobody can say."""

    @property
    def ends_at(self) -> datetime | None:
        """When calling goes on if nobody does anything; None if that cannot be known."""
        return None if self.reason.code in _RECHECKED else self.until


class Explanation(BaseModel):
    """What a job is at now."""

    model_config = ConfigDict(frozen=True)

    why: Message | None
    since: datetime
    next: datetime | None
    """When it is called, if it is and nobody does anything before; None: that cannot be known, or it never is."""


def batch_obstacle(
    batch: Batch, account: Account | None, progress: Progress, now: datetime, *, hold: Block | None = None
) -> Obstacle | None:
    """Why a batch that has contacts to call is not calling; None if it is, or if there is nothing to call.

    `hold` is a pause of all workers, such as when the provider is away.
    """
    if batch.status is not BatchStatus.RUNNING:
        return _by_status(batch, now)
    if progress.pending == 0:
        return None
    return (
        _by_account(batch, account)
        or _by_block(batch, now)
        or _by_hours(batch, now)
        or _by_money(batch, account, now)
        or (_of(hold) if hold is not None else None)
        or (None if progress.in_progress else _idle(batch, account, now))
    )


def explain(job: Job, batch: Batch, obstacle: Obstacle | None, now: datetime) -> Explanation:
    """Where a job stands. `obstacle` is its batch's."""
    if job.state.is_final:
        why = job.reason or Message(code="after_answered")
        return Explanation(why=why, since=job.finished_at or job.updated_at, next=None)
    if job.state is not JobState.PENDING:
        code = "cancel_after_call" if job.cancel_requested else f"job_is_{job.state.value}"
        return Explanation(why=Message(code=code), since=job.updated_at, next=None)
    if batch.status is BatchStatus.CANCELLED:
        return Explanation(why=Message(code="batch_cancelled"), since=batch.finished_at or job.updated_at, next=None)
    if batch.is_too_late(now):
        return Explanation(why=Message(code="test_call_too_late"), since=batch.no_calls_after or now, next=None)
    waits = job.due_at > now
    if obstacle is not None and obstacle.reason.code == "waiting_for_due":
        obstacle = None  # that is about the batch's other jobs
    if obstacle is not None and (not waits or obstacle.ends_at is None or obstacle.ends_at >= job.due_at):
        since = max(obstacle.since or job.updated_at, job.created_at)
        ends_at = obstacle.ends_at
        return Explanation(
            why=obstacle.reason, since=since, next=ends_at and _allowed(max(ends_at, job.due_at, now), job, batch)
        )
    if waits:
        return Explanation(why=_own_reason(job), since=job.updated_at, next=_allowed(job.due_at, job, batch))
    own_hours = batch.call_settings.hours_for(job.contact)
    if not may_call(now, own_hours):
        # Others of the batch, in other time zones, may be called.
        why = why_closed(now, own_hours)
        return Explanation(why=why, since=max(job.due_at, job.created_at), next=_allowed(now, job, batch))
    return Explanation(why=Message(code="waiting_its_turn"), since=max(job.due_at, job.created_at), next=None)


def _by_status(batch: Batch, now: datetime) -> Obstacle | None:
    match batch.status:
        case BatchStatus.DRAFT:
            return Obstacle(reason=Message(code="batch_is_draft"), since=batch.created_at)
        case BatchStatus.IMPORTING:
            return Obstacle(reason=Message(code="batch_is_importing"), since=batch.created_at)
        case BatchStatus.SCHEDULED:
            starts_at = batch.starts_at or now
            if starts_at + UNSEEN < now:
                return Obstacle(reason=Message(code="no_worker"), since=starts_at)
            return Obstacle(reason=Message(code="batch_is_scheduled"), since=batch.created_at, until=starts_at)
        case BatchStatus.PAUSED:
            return Obstacle(reason=_pause(batch), since=batch.paused_at)
        case _:
            return None


def _pause(batch: Batch) -> Message:
    if batch.pause_reason is not None:
        return batch.pause_reason
    if batch.paused_by is None or batch.paused_by == SYSTEM:
        return Message(code="batch_is_paused")
    return Message(code="batch_is_paused_by", params={"user": batch.paused_by})


def _by_account(batch: Batch, account: Account | None) -> Obstacle | None:
    if account is None:
        reason = Message(code="account_unreadable")
    elif account.status is not AccountStatus.ACTIVE:
        reason = Message(code="account_suspended")
    else:
        return None
    return Obstacle(reason=reason, since=_known_since(batch, reason.code))


def _by_block(batch: Batch, now: datetime) -> Obstacle | None:
    """What a worker wrote down when it put the batch to sleep; once it is woken, that is to be found out again."""
    block = batch.block
    if block is None or block.until <= now or (batch.wake_at is not None and batch.wake_at <= now):
        return None
    return _of(block)


def _of(block: Block) -> Obstacle:
    return Obstacle(reason=block.reason, since=block.since, until=block.until)


def _by_money(batch: Batch, account: Account | None, now: datetime) -> Obstacle | None:
    """While it sleeps nothing is due, so nothing waits for money that calls in progress may give back."""
    asleep = batch.wake_at is not None and batch.wake_at > now
    shortage = None if asleep or account is None else shortage_of(batch, account)
    if shortage is None:
        return None
    return Obstacle(reason=Message(code=shortage.code), since=_known_since(batch, shortage.code))


def _by_hours(batch: Batch, now: datetime) -> Obstacle | None:
    if batch.open_zones(now):
        return None
    reason = why_closed(now, batch.call_settings.hours)
    return Obstacle(reason=reason, since=_known_since(batch, reason.code), until=batch.opens_at(now))


def _idle(batch: Batch, account: Account | None, now: datetime) -> Obstacle | None:
    """Nothing speaks against calling, and yet no call is in progress."""
    if batch.wake_at is not None and batch.wake_at > now:
        return Obstacle(reason=Message(code="waiting_for_due"), until=batch.wake_at)
    limit = account.features.max_concurrent_calls if account else 0
    # An attempt has a reservation from before it is dialed until it is settled, also one that costs nothing.
    if account is not None and len(account.reservations) >= limit:
        return Obstacle(reason=Message(code="at_limit", params={"limit": limit}))
    if _awake_since(batch, now) > UNSEEN:
        return Obstacle(reason=Message(code="no_worker"), since=batch.wake_at)
    return None


def _awake_since(batch: Batch, now: datetime) -> timedelta:
    """For how long the batch has been waiting to be looked at; not positive while it sleeps."""
    return now - batch.wake_at if batch.wake_at is not None else timedelta(0)


def _known_since(batch: Batch, code: str) -> datetime | None:
    return batch.block.since if batch.block is not None and batch.block.reason.code == code else None


def _own_reason(job: Job) -> Message:
    """Why it waits for its own time. What only waits for a better one has no reason stored."""
    return job.reason or Message(code=f"waiting_for_{(job.waiting_for or WaitingFor.NEW).value}")


def _allowed(at: datetime, job: Job, batch: Batch) -> datetime | None:
    allowed = next_call_at(at, batch.call_settings.hours_for(job.contact))
    return None if allowed is None or batch.is_too_late(allowed) else allowed
