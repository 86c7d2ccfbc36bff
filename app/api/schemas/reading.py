"""Response bodies of what is only read: the dashboard, past calls, and when people answer."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date

from pydantic import Field

from app.api.schemas.batch_replies import BatchReply
from app.api.schemas.common import Instant, Number, Reply
from app.api.schemas.jobs import CallResult, JobReply, past_call_result
from app.domain.outcomes import Disposition
from app.domain.reading import Answered, PastCall, Slot, percent
from app.services.batches import BatchView
from app.services.dashboard import Dashboard
from app.services.past_calls import Activity


class DashboardReply(Reply):
    """`today` is since midnight in each account's own time zone."""

    total_accounts: int
    active_accounts: int
    total_batches: int
    active_batches: int = Field(description="Running or scheduled.")
    total_jobs: int
    pending_jobs: int
    in_progress_jobs: int
    completed_jobs: int
    failed_jobs: int
    success_rate: float = Field(description="Percent of the finished jobs that completed.")
    total_revenue: Number = Field(description="What all calls have cost the accounts.")
    total_minutes_used: Number
    total_jobs_today: int = Field(description="Added today.")
    completed_jobs_today: int
    failed_jobs_today: int
    revenue_today: Number


def dashboard_reply(found: Dashboard) -> DashboardReply:
    jobs, today = found.jobs, found.today
    return DashboardReply(
        total_accounts=found.total_accounts,
        active_accounts=found.active_accounts,
        total_batches=found.total_batches,
        active_batches=found.active_batches,
        total_jobs=jobs.total,
        pending_jobs=jobs.pending,
        in_progress_jobs=jobs.in_progress,
        completed_jobs=jobs.completed,
        failed_jobs=jobs.failed,
        success_rate=percent(jobs.completed, jobs.completed + jobs.failed),
        total_revenue=found.usage.cost,
        total_minutes_used=found.usage.minutes,
        total_jobs_today=today.created,
        completed_jobs_today=today.completed,
        failed_jobs_today=today.failed,
        revenue_today=today.cost,
    )


class PastCallReply(Reply):
    """One attempt that is over."""

    id_: str = Field(serialization_alias="_id")
    attempt_id: str
    job_id: str
    account_id: str
    batch_id: str
    contact_name: str
    phone: str
    attempt: int = Field(description="1 is the contact's first.")
    status: Disposition
    duration: float = Field(description="Seconds of connection; 0 if there was none.")
    cost: Number
    timestamp: Instant = Field(description="When it was dialed.")
    ended_at: Instant
    call_id: str | None
    call_result: CallResult = Field(description="Recording and transcript: of a contact's last call only.")


def past_call_reply(call: PastCall) -> PastCallReply:
    record = call.record
    return PastCallReply(
        id_=record.attempt_id,
        attempt_id=record.attempt_id,
        job_id=call.job_id,
        account_id=call.account_id,
        batch_id=call.batch_id,
        contact_name=call.contact_name,
        phone=record.phone,
        attempt=record.number,
        status=record.disposition,
        duration=record.duration_seconds,
        cost=record.cost,
        timestamp=record.dialed_at,
        ended_at=record.ended_at,
        call_id=record.call_id,
        call_result=past_call_result(record, call.report),
    )


class SummaryStats(Reply):
    total_jobs: int
    pending: int
    in_progress: int
    completed: int
    failed: int
    cancelled: int


class SummaryReply(Reply):
    batch: BatchReply
    stats: SummaryStats
    jobs_sample: list[JobReply] = Field(description="A few of its jobs, as `GET /jobs?batch_id=` lists them.")


def summary_reply(view: BatchView, batch: BatchReply, sample: list[JobReply]) -> SummaryReply:
    counts = view.progress
    stats = SummaryStats(
        total_jobs=view.batch.total_jobs,
        pending=counts.pending,
        in_progress=counts.in_progress,
        completed=counts.completed,
        failed=counts.failed,
        cancelled=counts.cancelled,
    )
    return SummaryReply(batch=batch, stats=stats, jobs_sample=sample)


class ActivityFigures(Reply):
    calls: int = Field(description="Attempts that counted: not those that the provider failed to place.")
    answered: int = Field(description="A person was on the line.")
    answer_rate: float = Field(description="Percent.")


class ActivityPart(ActivityFigures):
    key: int


class ActivityReply(Reply):
    account_id: str
    timezone: str
    start_date: date
    end_date: date
    total: ActivityFigures
    by_hour: list[ActivityPart] = Field(description="All 24 hours of the account's clock.")
    by_weekday: list[ActivityPart] = Field(description="0 is Sunday … 6 Saturday, as in `days_of_week`.")
    by_phone: list[ActivityPart] = Field(description="1 is a contact's first phone.")
    by_attempt: list[ActivityPart] = Field(description="1 is a contact's first attempt.")


def activity_reply(activity: Activity) -> ActivityReply:
    slots = activity.slots
    return ActivityReply(
        account_id=activity.account_id,
        timezone=activity.timezone,
        start_date=activity.first,
        end_date=activity.last,
        total=ActivityFigures(**_figures(list(slots.values()))),
        by_hour=_parts(slots, lambda slot: slot.hour, range(24)),
        by_weekday=_parts(slots, lambda slot: slot.weekday, range(7)),
        by_phone=_parts(slots, lambda slot: slot.phone),
        by_attempt=_parts(slots, lambda slot: slot.attempt),
    )


def _parts(slots: dict[Slot, Answered], key_of: Callable[[Slot], int], keys: range = range(0)) -> list[ActivityPart]:
    """The figures by key; those of `keys` also if there is nothing."""
    parts: defaultdict[int, list[Answered]] = defaultdict(list, {key: [] for key in keys})
    for slot, answered in slots.items():
        parts[key_of(slot)].append(answered)
    return [ActivityPart(key=key, **_figures(parts[key])) for key in sorted(parts)]


def _figures(parts: list[Answered]) -> dict[str, float]:
    calls, answered = sum(part.calls for part in parts), sum(part.answered for part in parts)
    return {"calls": calls, "answered": answered, "answer_rate": percent(answered, calls)}
