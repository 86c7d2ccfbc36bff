"""A test call: one call to one number, to hear what a batch would say. It is a batch of its own, with one contact.

Pure: what that batch is, and when there are too many.
"""

from collections.abc import Iterable
from datetime import datetime, time, timedelta

from app.domain.batches import Batch, BatchStatus, CallSettings, Priority
from app.domain.calling_hours import CallingHours
from app.domain.contacts import Contact, person_keys
from app.domain.jobs import Job, JobState, WaitingFor, job_id

BATCH_PREFIX = "test"
PATIENCE = timedelta(minutes=10)
"""No call begins later than this: by then nobody stands beside the phone, or expects it to ring."""
MOST_AT_ONCE = 3
MOST_A_DAY = 50
DAY = timedelta(hours=24)
"""An account has so many test calls that are not over, and so many within 24 hours: this is no dialer."""
_NAME_CHARS = 200
_WHOLE_DAY = time(0)

COPIED = (
    "account_id",
    "script_content",
    "voice_settings",
    "retell_agent_id",
    "retell_from_number",
)
"""What a test call has of its batch, besides the call settings. Not the budget, which is for the batch's contacts."""


def batch_of_test_call(of: Batch, batch_id: str, now: datetime, *, outside_hours: bool, expires_at: datetime) -> Batch:
    """The batch of one test call, being made under a lease until `expires_at`."""
    return Batch(
        **{name: getattr(of, name) for name in COPIED},
        batch_id=batch_id,
        test_of=of.batch_id,
        name=f"Test · {of.name}"[:_NAME_CHARS],
        call_settings=_settings(of.call_settings, outside_hours=outside_hours),
        priority=Priority.URGENT,
        status=BatchStatus.IMPORTING,
        no_calls_after=now + PATIENCE,
        import_expires_at=expires_at,
        wake_at=expires_at,
        created_at=now,
        updated_at=now,
    )


def job_of_test_call(batch: Batch, contact: Contact, spoken_of: Contact | None, now: datetime) -> Job:
    """`contact` is who picks up, and is called by the batch's clocks: of whom the call speaks, only the name and the
    custom fields are taken."""
    return Job(
        job_id=job_id(batch.batch_id, 1),
        account_id=batch.account_id,
        batch_id=batch.batch_id,
        test_of=batch.test_of,
        speaks_of=person_keys(spoken_of) if spoken_of else [],
        row=1,
        state=JobState.PENDING,
        waiting_for=WaitingFor.NEW,
        due_at=now,
        contact=contact.model_copy(update={"dni": None, "timezone": None}),
        created_at=now,
        updated_at=now,
    )


def unfinished(calls: Iterable[Job], now: datetime) -> list[Job]:
    """Those that go on, or may still begin."""
    return [
        job
        for job in calls
        if not job.state.is_final and (job.state is not JobState.PENDING or now < job.created_at + PATIENCE)
    ]


def _settings(settings: CallSettings, *, outside_hours: bool) -> CallSettings:
    hours = settings.hours
    if outside_hours:
        everyday = frozenset(range(7))
        hours = CallingHours(start=_WHOLE_DAY, end=_WHOLE_DAY, days_of_week=everyday, timezone=hours.timezone)
    return settings.model_copy(update={"max_attempts": 1, "retry_rules": {}, "hours": hours})
