"""What happened and its webhooks have not been told yet: written into the job or batch by the very update that made it
true, so that a crash loses nothing, and taken out once it is on its way (services/telling.py).
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.domain.batches import Batch
from app.domain.calls import CallReport
from app.domain.jobs import Job, JobState
from app.domain.messages import Message
from app.domain.retry_policy import NextStep
from app.domain.webhooks import EventType


class Untold(BaseModel):
    """One event, with what the job might not know any more when it is told."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    type: EventType
    at: datetime
    state: JobState | None = None
    """Of the job from then on."""
    reason: Message | None = None
    attempt_id: str | None = None
    """The call that it ends with; None: there was none."""
    report: CallReport | None = None
    """What the provider said of that call."""


def after_call(job: Job, step: NextStep, wanted: Collection[EventType], now: datetime) -> list[Untold]:
    """What there is to tell when a job that is `settling` moves on to `step`."""
    if job.attempt is None:
        return []
    call = {"attempt_id": job.attempt.attempt_id, "report": job.report}
    told: list[Untold] = []
    if EventType.CALL_FINISHED in wanted:
        event_id = f"call_finished_{job.attempt.attempt_id}"
        finished = Untold(event_id=event_id, type=EventType.CALL_FINISHED, at=now, state=step.state, reason=step.reason)
        told.append(finished.model_copy(update=call))
    if step.state.is_final:
        ends = after_end(job.job_id, step.state, step.reason, wanted, now)
        told += [event.model_copy(update=call) for event in ends]
    return told


def after_end(
    job_id: str, state: JobState, reason: Message | None, wanted: Collection[EventType], now: datetime
) -> list[Untold]:
    """What there is to tell when a job becomes final without a call."""
    if EventType.CONTACT_FINAL not in wanted:
        return []
    event_id = f"contact_final_{job_id}_{_milliseconds(now)}"
    final = EventType.CONTACT_FINAL
    return [Untold(event_id=event_id, type=final, at=now, state=state, reason=reason)]


def batch_finished(batch: Batch, now: datetime) -> Untold:
    """A batch can be finished more than once: an operator's retry opens it again."""
    event_id = f"batch_finished_{batch.batch_id}_{_milliseconds(now)}"
    return Untold(event_id=event_id, type=EventType.BATCH_FINISHED, at=now)


def as_it_was(job: Job, event: Untold) -> Job:
    """The job at the moment of the event, as far as it is known: it may have gone on since."""
    changes: dict[str, Any] = {"attempt": None, "reason": event.reason, "state": event.state or job.state}
    attempts = [record.attempt_id for record in job.history]
    if event.attempt_id in attempts:
        changes |= {"report": event.report, "history": job.history[: attempts.index(event.attempt_id) + 1]}
    return job.model_copy(update=changes)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
