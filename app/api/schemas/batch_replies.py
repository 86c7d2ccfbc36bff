"""Response bodies of /batches."""

from typing import Any

from pydantic import Field

from app.api.schemas.call_settings import CallSettingsReply, call_settings_reply
from app.api.schemas.common import Instant, Number, Reason, Reply, reason_of
from app.domain.batches import Batch, BatchStatus, LogEntry, Progress, ScheduleType, VoiceSettings
from app.domain.estimate import Estimate
from app.domain.explanation import Obstacle
from app.domain.imports import Import, ImportStatus
from app.domain.messages import Language
from app.domain.recurrence import Frequency, Recurrence
from app.domain.script_check import Warned, warnings_of
from app.domain.voice import Effect, voice_notes
from app.services.batches import BatchView


class BlockedBy(Reply):
    """Why a batch that has contacts to call does not call just now."""

    code: str
    message: str
    since: Instant | None = Field(description="Null if that is not known.")
    until: Instant | None = Field(
        description="When it is over, or is looked at again, by itself; null: not by waiting, or nobody can say."
    )


class ImportProgress(Reply):
    """An import that is under way in a batch. All of them: `GET /batches/{batch_id}/imports`."""

    import_id: str
    status: ImportStatus
    total: int = Field(description="Contacts of the list.")
    written: int
    skipped: int = Field(description="Left out because they are in the batch already.")
    percent: float
    started_at: Instant


class BatchState(Reply):
    """What changes while a batch runs."""

    id_: str = Field(serialization_alias="_id")
    batch_id: str
    account_id: str
    status: BatchStatus
    is_active: bool
    total_jobs: int
    pending_jobs: int
    in_progress_jobs: int
    completed_jobs: int
    failed_jobs: int
    cancelled_jobs: int
    progress_percent: float
    import_: ImportProgress | None = Field(
        serialization_alias="import", description="Contacts that are being written or taken out; null: none."
    )
    total_cost: Number
    total_minutes: Number
    budget: Number | None = Field(description="The most that its calls may cost; null: no bound but the balance.")
    budget_used: Number | None = Field(description="Of the budget, what calls have cost.")
    budget_reserved: Number | None = Field(description="Of the budget, what calls in progress may cost at worst.")
    pause_reason: Reason | None = Field(description="Of a batch that the system paused.")
    blocked_by: BlockedBy | None
    next_window_opens_at: Instant | None = Field(description="Null while its hours are open, or if it does not run.")
    scheduled_at: Instant | None
    started_at: Instant | None
    finished_at: Instant | None
    updated_at: Instant


class EstimateReply(Reply):
    """What `estimated_end_at` is concluded from."""

    calls_left: int = Field(description="Probably, retries included.")
    seconds_per_call: float = Field(description="Ringing, talking and writing down; assumed until calls have ended.")
    parallel_calls: int = Field(description="What the account's limit and its other batches leave.")
    reason: Reason | None = Field(description="Why the end cannot be known.")


class BatchStatusReply(BatchState):
    """How far a batch is."""

    estimated_end_at: Instant | None = Field(description="If it goes on as it did; null if that cannot be known.")
    estimate: EstimateReply | None = Field(description="Null for a batch that is over.")


PASSING = frozenset({"estimated_end_at", "estimate"})
"""Of a status, what changes with the time alone."""


class RecurringConfigReply(Reply):
    frequency: Frequency
    interval: int
    until: Instant | None
    count: int | None


class BatchReply(BatchState):
    """The whole batch. Its contacts are its jobs: `GET /jobs?batch_id=`."""

    name: str
    description: str | None
    script_content: str
    voice_settings: VoiceSettings
    call_settings: CallSettingsReply
    schedule_type: ScheduleType
    recurring_config: RecurringConfigReply | None
    next_run_at: Instant | None = Field(description="Of a recurring batch, when its next run starts.")
    runs_started: int | None = Field(description="Of a recurring batch. Its runs: `GET /batches?parent_batch_id=`.")
    parent_batch_id: str | None = Field(description="Of a run, the recurring batch that it was made of.")
    priority: str
    retell_agent_id: str | None
    retell_from_number: str | None
    created_at: Instant


class AcceptedWarning(Reply):
    """Something that was accepted but will not do what one may think."""

    loc: list[str]
    code: str
    message: str


class VoiceNoteReply(Reply):
    """What becomes of one of the `voice_settings`."""

    field: str
    asked: str | float
    sent: str | float | None = Field(description="What the voice provider gets; null: nothing.")
    effect: Effect
    message: str


class CreatedBatchReply(BatchReply):
    warnings: list[AcceptedWarning]
    voice: list[VoiceNoteReply]


class LogEntryReply(Reply):
    timestamp: Instant
    event: str
    message: str
    user: str


class LogsReply(Reply):
    batch_id: str
    logs: list[LogEntryReply] = Field(description="The newest `limit` entries, in the order in which they happened.")


def status_reply(view: BatchView, estimate: Estimate | None, language: Language) -> BatchStatusReply:
    return BatchStatusReply(
        **_status_fields(view, language),
        estimated_end_at=estimate.ends_at if estimate else None,
        estimate=estimate
        and EstimateReply(
            calls_left=estimate.calls_left,
            seconds_per_call=estimate.seconds_per_call,
            parallel_calls=estimate.parallel_calls,
            reason=reason_of(estimate.reason, language),
        ),
    )


def batch_reply(view: BatchView, language: Language) -> BatchReply:
    return BatchReply(**_status_fields(view, language), **_batch_fields(view.batch))


def created_batch_reply(view: BatchView, language: Language) -> CreatedBatchReply:
    warned = warnings_of(view.batch.script_content, view.batch.voice_settings)
    return CreatedBatchReply(
        **_status_fields(view, language),
        **_batch_fields(view.batch),
        warnings=accepted_warnings(warned, language),
        voice=voice_replies(view.batch.voice_settings, language),
    )


def logs_reply(batch_id: str, newest_first: list[LogEntry], language: Language) -> LogsReply:
    return LogsReply(
        batch_id=batch_id,
        logs=[
            LogEntryReply(
                timestamp=entry.timestamp,
                event=entry.event,
                message=entry.message.render(language),
                user=entry.user,
            )
            for entry in reversed(newest_first)
        ],
    )


def _status_fields(view: BatchView, language: Language) -> dict[str, Any]:
    batch, progress = view.batch, view.progress
    return {
        "id_": batch.batch_id,
        "batch_id": batch.batch_id,
        "account_id": batch.account_id,
        "status": batch.status,
        "is_active": batch.is_active,
        "total_jobs": batch.total_jobs,
        "pending_jobs": progress.pending,
        "in_progress_jobs": progress.in_progress,
        "completed_jobs": progress.completed,
        "failed_jobs": progress.failed,
        "cancelled_jobs": progress.cancelled,
        "progress_percent": _percent(batch, progress),
        "import_": _import_progress(batch.current_import),
        "total_cost": view.usage.cost,
        "total_minutes": view.usage.minutes,
        "budget": batch.budget,
        "budget_used": None if batch.budget is None else view.usage.cost,
        "budget_reserved": None if batch.budget is None else batch.budget_reserved,
        "pause_reason": reason_of(batch.pause_reason, language),
        "blocked_by": _blocked_by(view.obstacle, language),
        "next_window_opens_at": view.next_window_opens_at,
        "scheduled_at": batch.scheduled_at,
        "started_at": batch.started_at,
        "finished_at": batch.finished_at,
        "updated_at": batch.updated_at,
    }


def _batch_fields(batch: Batch) -> dict[str, Any]:
    return {
        "name": batch.name,
        "description": batch.description,
        "script_content": batch.script_content,
        "voice_settings": batch.voice_settings,
        "call_settings": call_settings_reply(batch.call_settings),
        "schedule_type": batch.schedule_type,
        "recurring_config": _recurring(batch.recurrence),
        "next_run_at": batch.next_run_at,
        "runs_started": None if batch.recurrence is None else batch.runs_started,
        "parent_batch_id": batch.parent_batch_id,
        "priority": batch.priority.name.lower(),
        "retell_agent_id": batch.retell_agent_id,
        "retell_from_number": batch.retell_from_number,
        "created_at": batch.created_at,
    }


def _recurring(recurrence: Recurrence | None) -> RecurringConfigReply | None:
    if recurrence is None:
        return None
    names = RecurringConfigReply.model_fields
    return RecurringConfigReply(**{name: getattr(recurrence, name) for name in names})


def _percent(batch: Batch, progress: Progress) -> float:
    # Jobs may be more than counted: a moment before an import that was undone is gone.
    return min(round(100 * progress.finished / batch.total_jobs, 1), 100.0) if batch.total_jobs else 0.0


def _import_progress(work: Import | None) -> ImportProgress | None:
    if work is None:
        return None
    return ImportProgress(**{name: getattr(work, name) for name in ImportProgress.model_fields})


def _blocked_by(obstacle: Obstacle | None, language: Language) -> BlockedBy | None:
    if obstacle is None:
        return None
    reason = obstacle.reason
    return BlockedBy(code=reason.code, message=reason.render(language), since=obstacle.since, until=obstacle.until)


def accepted_warnings(warned: list[Warned], language: Language) -> list[AcceptedWarning]:
    return [
        AcceptedWarning(loc=list(one.loc), code=one.message.code, message=one.message.render(language))
        for one in warned
    ]


def voice_replies(voice: VoiceSettings, language: Language) -> list[VoiceNoteReply]:
    return [
        VoiceNoteReply(
            field=note.field,
            asked=note.asked,
            sent=note.sent,
            effect=note.effect,
            message=note.message.render(language),
        )
        for note in voice_notes(voice)
    ]
