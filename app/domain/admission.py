"""May this job be dialed at this instant? One pure function, a reason for every refusal.

Whoever calls it treats any error as a refusal (design.md §1.2). What cannot be decided from documents alone, money
and the slot's uniqueness, is decided by the database in the same breath: see services/dialing.py.
"""

from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from app.domain.accounts import Account, AccountStatus
from app.domain.batches import Batch, BatchStatus
from app.domain.calling_hours import is_allowed, next_allowed_at
from app.domain.jobs import Job
from app.domain.messages import Message
from app.domain.retry_policy import next_phone


class RefusalKind(StrEnum):
    CANCELLED = "cancelled"
    BATCH_NOT_RUNNING = "batch_not_running"
    ACCOUNT_SUSPENDED = "account_suspended"
    AT_LIMIT = "at_limit"
    MAX_ATTEMPTS = "max_attempts"
    NO_PHONE_LEFT = "no_phone_left"
    OUTSIDE_HOURS = "outside_hours"
    NO_BALANCE = "no_balance"
    UNDECIDED = "undecided"


class Refusal(BaseModel):
    """Why not, and from when on it is worth asking again (None: not by waiting)."""

    model_config = ConfigDict(frozen=True)

    kind: RefusalKind
    reason: Message
    until: datetime | None = None


def refuse(job: Job, batch: Batch, account: Account, now: datetime) -> Refusal | None:
    """The first reason not to dial `job` at `now`, or None if nothing speaks against it."""
    if job.cancel_requested or batch.status is BatchStatus.CANCELLED:
        return _refusal(RefusalKind.CANCELLED, "cancelled_by_operator")
    if batch.status is not BatchStatus.RUNNING:
        return _refusal(RefusalKind.BATCH_NOT_RUNNING, "batch_not_running", status=batch.status.value)
    if account.status is not AccountStatus.ACTIVE:
        return _refusal(RefusalKind.ACCOUNT_SUSPENDED, "account_suspended")
    if job.slot is None or job.slot >= account.features.max_concurrent_calls:
        # The limit was lowered while the job was being claimed.
        return _refusal(RefusalKind.AT_LIMIT, "at_limit", limit=account.features.max_concurrent_calls)
    maximum = job.max_attempts(batch.call_settings.max_attempts)
    if job.attempts >= maximum:
        return _refusal(RefusalKind.MAX_ATTEMPTS, "max_attempts_reached", attempts=job.attempts)
    if next_phone(job.contact.phones, job.retired_phones, job.next_phone_index) is None:
        return _refusal(RefusalKind.NO_PHONE_LEFT, "no_phone_left")
    return _outside_hours(batch, now)


def _outside_hours(batch: Batch, now: datetime) -> Refusal | None:
    hours = batch.call_settings.hours
    if is_allowed(now, hours):
        return None
    until = next_allowed_at(now, hours)
    if until is None:
        return _refusal(RefusalKind.OUTSIDE_HOURS, "no_allowed_time")
    local = until.astimezone(ZoneInfo(hours.timezone))
    return Refusal(
        kind=RefusalKind.OUTSIDE_HOURS,
        reason=Message(
            code="outside_hours", params={"opens_at": f"{local:%Y-%m-%d %H:%M}", "timezone": hours.timezone}
        ),
        until=until,
    )


def _refusal(kind: RefusalKind, code: str, **params: object) -> Refusal:
    return Refusal(kind=kind, reason=Message(code=code, params=params))
