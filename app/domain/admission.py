"""May this job be dialed at this instant? One pure function, a reason for every refusal.

Whoever calls it treats any error as a refusal (design.md §1.2), also one while loading the Circumstances. What cannot
be decided from documents alone, money and the slot's uniqueness, is decided by the database in the same breath: see
services/dialing.py.
"""

from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from app.domain.accounts import Account, AccountStatus
from app.domain.batches import Batch, BatchStatus
from app.domain.calling_hours import ASK_AGAIN, is_holiday, may_call, next_call_at
from app.domain.contacts import ID_PREFIX
from app.domain.do_not_call import DoNotCallMatch
from app.domain.from_numbers import Rest
from app.domain.jobs import Job
from app.domain.messages import Message
from app.domain.person_caps import held_back_by
from app.domain.persons import OtherJob
from app.domain.retry_policy import next_phone


class RefusalKind(StrEnum):
    CANCELLED = "cancelled"
    TOO_LATE = "too_late"
    BATCH_NOT_RUNNING = "batch_not_running"
    ACCOUNT_SUSPENDED = "account_suspended"
    AT_LIMIT = "at_limit"
    MAX_ATTEMPTS = "max_attempts"
    NO_PHONE_LEFT = "no_phone_left"
    ON_DO_NOT_CALL_LIST = "on_do_not_call_list"
    PERSON_CAP = "person_cap"
    PERSON_BUSY = "person_busy"
    OUTSIDE_HOURS = "outside_hours"
    FROM_NUMBER_RESTING = "from_number_resting"
    NO_BALANCE = "no_balance"
    UNDECIDED = "undecided"


_FOR_GOOD = frozenset(
    {
        RefusalKind.TOO_LATE,
        RefusalKind.MAX_ATTEMPTS,
        RefusalKind.NO_PHONE_LEFT,
        RefusalKind.ON_DO_NOT_CALL_LIST,
    }
)


class Circumstances(BaseModel):
    """What must be known besides job, batch and account, as it was read just before deciding.

    No field has a default: whoever decides must have looked.
    """

    model_config = ConfigDict(frozen=True)

    do_not_call: dict[str, DoNotCallMatch]
    """Which of the contact's `person_keys` are listed now."""
    others: list[OtherJob]
    """The account's other jobs for the same person that matter now (ports.JobQueue.others_of_person)."""
    from_number_rest: Rest | None
    """A rest of the number that the call would come from."""
    provider_limit: int
    """Simultaneous calls that the provider allows over all accounts."""


class Refusal(BaseModel):
    """Why not, and from when on it is worth asking again (None: not by waiting)."""

    model_config = ConfigDict(frozen=True)

    kind: RefusalKind
    reason: Message
    until: datetime | None = None

    @property
    def is_for_good(self) -> bool:
        """Whether the job is over: no time that passes lets it be dialed."""
        return self.until is None and self.kind in _FOR_GOOD


def refuse(job: Job, batch: Batch, account: Account, circumstances: Circumstances, now: datetime) -> Refusal | None:
    """The first reason not to dial `job` at `now`, or None if nothing speaks against it.

    A job that has an attempt already (its intent is stored, or it is being verified) is judged by that attempt's phone.
    """
    if job.import_id in batch.undone_imports:
        return _refusal(RefusalKind.CANCELLED, "import_was_undone")
    if job.cancel_requested or batch.status is BatchStatus.CANCELLED:
        return _refusal(RefusalKind.CANCELLED, "cancelled_by_operator")
    if batch.is_too_late(now):
        return _refusal(RefusalKind.TOO_LATE, "test_call_too_late")
    if batch.status is not BatchStatus.RUNNING:
        return _refusal(RefusalKind.BATCH_NOT_RUNNING, "batch_not_running", status=batch.status.value)
    if account.status is not AccountStatus.ACTIVE:
        return _refusal(RefusalKind.ACCOUNT_SUSPENDED, "account_suspended")
    if job.slot is None or job.slot >= account.features.max_concurrent_calls:
        # The limit was lowered while the job was being claimed.
        return _refusal(RefusalKind.AT_LIMIT, "at_limit", limit=account.features.max_concurrent_calls)
    if job.provider_slot is None or job.provider_slot >= circumstances.provider_limit:
        return _refusal(RefusalKind.AT_LIMIT, "at_provider_limit", limit=circumstances.provider_limit)
    maximum = job.max_attempts(batch.call_settings.max_attempts)
    if job.attempts >= maximum:
        return _refusal(RefusalKind.MAX_ATTEMPTS, "max_attempts_reached", attempts=job.attempts)
    if job.contact.is_erased:
        return _refusal(RefusalKind.NO_PHONE_LEFT, "person_erased")
    if next_phone(job.contact.phones, job.retired_phones, job.next_phone_index) is None:
        return _refusal(RefusalKind.NO_PHONE_LEFT, "no_phone_left")
    return (
        _on_do_not_call_list(job, batch, circumstances, now)
        or _person_cap(job, batch, account, circumstances, now)
        or outside_hours(job, batch, now)
        or _person_busy(circumstances)
        or _from_number_resting(batch, circumstances)
    )


def callable_phone(job: Job, circumstances: Circumstances) -> int | None:
    """The index of the phone to dial: the next one that is neither retired nor on a do-not-call list."""
    return next_phone(job.contact.phones, [*job.retired_phones, *circumstances.do_not_call], job.next_phone_index)


def _on_do_not_call_list(job: Job, batch: Batch, circumstances: Circumstances, now: datetime) -> Refusal | None:
    """Refused if the person is listed, or every phone that could be dialed; until the first comes off, if ever."""
    ends = _ends_of_peace(job, circumstances.do_not_call)
    if not ends:
        return None
    expiries = [end for end in ends if end is not None]
    if not expiries:
        return _refusal(RefusalKind.ON_DO_NOT_CALL_LIST, "on_do_not_call_list")
    hours = batch.call_settings.hours_for(job.contact)
    until = next_call_at(max(min(expiries), now), hours) or min(expiries)
    return Refusal(
        kind=RefusalKind.ON_DO_NOT_CALL_LIST,
        reason=Message(
            code="on_do_not_call_list_until",
            params={"until": _wall_clock(until, hours.timezone), "timezone": hours.timezone},
        ),
        until=until,
    )


def _ends_of_peace(job: Job, listed: dict[str, DoNotCallMatch]) -> list[datetime | None]:
    """When each phone that could be dialed comes off the list (None: never); empty if one is not on it."""
    person = next((match for key, match in listed.items() if key.startswith(ID_PREFIX)), None)
    if person is not None:
        return [person.until]
    left = [phone for phone in job.contact.phones if phone not in job.retired_phones]
    found = [listed.get(phone) for phone in (left if job.attempt is None else [job.attempt.phone])]
    return [] if None in found else [match.until for match in found if match is not None]


def _person_cap(
    job: Job, batch: Batch, account: Account, circumstances: Circumstances, now: datetime
) -> Refusal | None:
    hours = batch.call_settings.hours_for(job.contact)
    calls = [*job.history, *(record for other in circumstances.others for record in other.history)]
    held = held_back_by(account.person_caps, calls, now, hours.timezone)
    if held is None:
        return None
    cap, allowed_at = held
    until = next_call_at(allowed_at, hours) or allowed_at
    return Refusal(
        kind=RefusalKind.PERSON_CAP,
        reason=Message(
            code="person_cap_reached",
            params={
                "max": cap.max,
                "counts": cap.counts.value,
                "days": cap.days or 1,
                "period": cap.period.value,
                "until": _wall_clock(until, hours.timezone),
                "timezone": hours.timezone,
            },
        ),
        until=until,
    )


def _person_busy(circumstances: Circumstances) -> Refusal | None:
    if any(other.is_calling for other in circumstances.others):
        return _refusal(RefusalKind.PERSON_BUSY, "person_in_another_call")
    return None


def _from_number_resting(batch: Batch, circumstances: Circumstances) -> Refusal | None:
    rest = circumstances.from_number_rest
    if rest is None:
        return None
    reason = rest.reason(batch.call_settings.hours.timezone)
    return Refusal(kind=RefusalKind.FROM_NUMBER_RESTING, reason=reason, until=rest.until)


def outside_hours(job: Job, batch: Batch, now: datetime) -> Refusal | None:
    """Refused unless a call placed at `now` is within the hours by the contact's own clock."""
    hours = batch.call_settings.hours_for(job.contact)
    if may_call(now, hours):
        return None
    until = next_call_at(now, hours)
    if until is None:
        reason = Message(code="no_allowed_time")
        return Refusal(kind=RefusalKind.OUTSIDE_HOURS, reason=reason, until=now + ASK_AGAIN)
    params = {"opens_at": _wall_clock(until, hours.timezone), "timezone": hours.timezone}
    closed, holiday = Message(code="outside_hours", params=params), Message(code="on_holiday", params=params)
    reason = holiday if is_holiday(now, hours) else closed
    return Refusal(kind=RefusalKind.OUTSIDE_HOURS, reason=reason, until=until)


def _wall_clock(at: datetime, timezone: str) -> str:
    return f"{at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"


def _refusal(kind: RefusalKind, code: str, **params: object) -> Refusal:
    return Refusal(kind=kind, reason=Message(code=code, params=params))
