"""What the provider tells by itself about calls, and what is kept of it until the job's holder takes it.

Such news is a hint: it may come late, twice, out of order or never (retell.md §8). It says where to look; what is true
of a call is what the provider answers when it is asked.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.calls import CallReport


class CallEventKind(StrEnum):
    """Retell's events that concern us; a newer or unwanted one is no event at all."""

    CALL_STARTED = "call_started"
    CALL_ENDED = "call_ended"
    CALL_ANALYZED = "call_analyzed"


@dataclass(frozen=True)
class CallEvent:
    """One event. Without `job_id` and `attempt_id` the call was placed by somebody else under the same key."""

    kind: CallEventKind
    call_id: str
    job_id: str | None
    attempt_id: str | None
    report: CallReport | None
    """The call as the event shows it; None if that cannot be read."""


@dataclass(frozen=True)
class Hint:
    """What was heard of an attempt and not yet taken by the worker that holds it."""

    job_id: str
    attempt_id: str
    call_ids: list[str]
    heard_at: datetime
