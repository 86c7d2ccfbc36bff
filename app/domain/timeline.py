"""What happened to a job, event by event.

Every event is written by the very update that makes it true, so the timeline can neither lag behind the job nor
disagree with it. Its order is the order of those updates; its times are the primary's, or of a process that tells
the time by the primary (docs/adr/0003-the-primarys-clock.md), so two of them may be milliseconds off.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.outcomes import Disposition

EVENTS_SHOWN = 200
EVENTS_KEPT = EVENTS_SHOWN + 1
"""One more than is shown, by which one knows that older ones were cut."""
SYSTEM = "system"


class JobEvent(StrEnum):
    CREATED = "created"
    """Not stored: a job's `created_at` tells."""
    CLAIMED = "claimed"
    REFUSED = "refused"
    """Admission said "not now"; `reason` and perhaps `due_at` say more."""
    PUT_BACK = "put_back"
    """Nobody refused it, and nothing was sent."""
    INTENT_STORED = "intent_stored"
    """From here on the phone may ring."""
    WITHDRAWN = "withdrawn"
    """The intent was taken back: surely nothing was placed."""
    IN_CALL = "in_call"
    VERIFYING = "verifying"
    FOUND = "found"
    """The call that nobody was sure of exists."""
    UNCERTAIN = "uncertain"
    SETTLING = "settling"
    """The call is over: what came of it, and what it costs."""
    RETRY_SCHEDULED = "retry_scheduled"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ADOPTED = "adopted"
    """Somebody took it over from `left_by`, or the same worker took it up again."""
    HANDED_OVER = "handed_over"
    CANCEL_REQUESTED = "cancel_requested"
    RETRIED = "retried"
    """An operator wants it called once more."""


class TimelineEvent(BaseModel):
    """One event; what does not belong to its kind is None."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    event: JobEvent
    state: JobState
    """The job's state from here on."""
    by: str
    """A worker's id, a user, or `system`."""
    reason: Message | None = None
    fence: int | None = None
    attempt: int | None = None
    phone_index: int | None = None
    call_id: str | None = None
    waiting_for: WaitingFor | None = None
    due_at: datetime | None = None
    disposition: Disposition | None = None
    cost: Decimal | None = None
    left_by: str | None = None

    @property
    def message(self) -> Message:
        """What happened, in the catalogue's words."""
        if self.event is JobEvent.INTENT_STORED:
            # The place in the list of phones as people count.
            params = {"attempt": self.attempt, "phone": (self.phone_index or 0) + 1}
            return Message(code="timeline_intent_stored", params=params)
        if self.event is JobEvent.ADOPTED:
            unsure = "_unsure" if self.state is JobState.VERIFYING else ""
            if self.left_by == self.by:
                return Message(code=f"timeline_resumed{unsure}")
            return Message(code=f"timeline_adopted{unsure}", params={"left_by": self.left_by})
        return Message(code=f"timeline_{self.event.value}")


def told(job: Job, stored: list[TimelineEvent]) -> tuple[list[TimelineEvent], bool]:
    """The whole story, oldest first, and whether its beginning was cut away."""
    if len(stored) > EVENTS_SHOWN:
        return stored[-EVENTS_SHOWN:], True
    created = TimelineEvent(at=job.created_at, event=JobEvent.CREATED, state=JobState.PENDING, by=SYSTEM)
    return [created, *stored], False
