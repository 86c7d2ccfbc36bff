"""Domain objects for tests: valid as they are, each field replaceable."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.accounts import Account
from app.domain.admission import Circumstances
from app.domain.batches import Batch, BatchStatus, CallSettings
from app.domain.calling_hours import CallingHours
from app.domain.calls import CallReport, CallStatus
from app.domain.contacts import Contact
from app.domain.jobs import Attempt, AttemptRecord, Job, JobState
from app.domain.money import Plan, Pricing
from app.domain.outcomes import Disposition

NOW = datetime(2026, 6, 3, 15, 0, tzinfo=UTC)
"""A Wednesday, 11:00 in Santiago."""

ALWAYS = CallingHours.model_validate(
    {"start": "00:00", "end": "00:00", "days_of_week": range(7), "timezone": "America/Santiago"}
)
OFFICE = CallingHours.model_validate(
    {"start": "09:00", "end": "18:00", "days_of_week": [1, 2, 3, 4, 5], "timezone": "America/Santiago"}
)


class FakeTime:
    """A Time that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, span: timedelta) -> None:
        self._now += span
        self._monotonic += span.total_seconds()


def phone(number: int) -> str:
    return f"+569{number:08d}"


def make_contact(phones: int | list[str] = 1, **changes: Any) -> Contact:
    """`phones`: the numbers, or how many."""
    numbers = [phone(n) for n in range(1, phones + 1)] if isinstance(phones, int) else phones
    return Contact.model_validate({"name": "Ana", "phones": numbers, **changes})


def make_settings(**changes: Any) -> CallSettings:
    return CallSettings.model_validate({"hours": ALWAYS, **changes})


def make_batch(**changes: Any) -> Batch:
    values: dict[str, Any] = {
        "batch_id": "batch-1",
        "account_id": "acc-1",
        "name": "Prueba",
        "status": BatchStatus.RUNNING,
        "call_settings": make_settings(),
        "wake_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Batch.model_validate(values | changes)


def make_account(**changes: Any) -> Account:
    values: dict[str, Any] = {
        "account_id": "acc-1",
        "account_name": "Empresa XYZ",
        "contact_name": "María",
        "contact_email": "maria@example.com",
        "plan_type": Plan.CREDIT_BASED,
        "timezone": "America/Santiago",
        "pricing": Pricing(cost_per_minute=Decimal("0.15"), credits_per_minute=Decimal(1)),
        "funds": {},
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Account.model_validate(values | changes)


def make_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "job_id": "job-1",
        "account_id": "acc-1",
        "batch_id": "batch-1",
        "state": JobState.PENDING,
        "due_at": NOW,
        "contact": make_contact(),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Job.model_validate(values | changes)


def make_circumstances(**changes: Any) -> Circumstances:
    """Nothing known against anybody."""
    values: dict[str, Any] = {"do_not_call": {}, "others": [], "from_number_rest": None, "provider_limit": 20}
    return Circumstances.model_validate(values | changes)


def make_attempt(number: int = 1, phone_index: int = 0, **changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "attempt_id": f"attempt-{number}",
        "number": number,
        "phone": phone(phone_index + 1),
        "phone_index": phone_index,
        "max_duration_seconds": 120,
        "ring_seconds": 20,
        "reserved": Decimal(2),
        "request_body": "{}",
        "intent_at": NOW,
    }
    return Attempt.model_validate(values | changes)


def make_record(ended_at: datetime = NOW, **changes: Any) -> AttemptRecord:
    """An attempt that rang, was not answered, and ended then."""
    values: dict[str, Any] = {
        "attempt_id": "attempt-0",
        "number": 1,
        "phone": phone(1),
        "disposition": Disposition.NO_ANSWER,
        "counted": True,
        "dialed_at": ended_at - timedelta(seconds=30),
        "ended_at": ended_at,
        "duration_seconds": 0,
        "billed_seconds": 0,
        "cost": Decimal(0),
    }
    return AttemptRecord.model_validate(values | changes)


def make_report(reason: str | None = None, status: CallStatus = CallStatus.ENDED, **changes: Any) -> CallReport:
    values: dict[str, Any] = {"call_id": "call-1", "status": status, "disconnection_reason": reason}
    return CallReport.model_validate(values | changes)
