"""The `timeline` of a job's document: how an update writes its event along, and how reads leave the list out.

It is no field of the model: a page of 500 jobs must not load 100,000 events.
"""

from datetime import datetime
from typing import Any

from app.domain.jobs import JobState
from app.domain.timeline import EVENTS_KEPT, JobEvent
from app.repositories.database import Document
from app.repositories.documents import plain

WITHOUT_TIMELINE = {"timeline": False}


def pushed(event: JobEvent, state: JobState, at: datetime, by: str, **details: Any) -> Document:
    """For the `$push` of an ordinary update. Details that are None are left out."""
    document = {"at": at, "event": event, "state": state, "by": by, **_present(details)}
    return {"timeline": {"$each": [plain(document)], "$slice": -EVENTS_KEPT}}


def appended(event: JobEvent, state: JobState | str, by: str, **expressions: Any) -> Document:
    """For the `$set` of an update pipeline, at the primary's time. `state` and details may be expressions."""
    document = {"at": "$$NOW", "event": event.value, "state": plain(state), "by": {"$literal": by}, **expressions}
    events = {"$concatArrays": [{"$ifNull": ["$timeline", []]}, [document]]}
    return {"$slice": [events, -EVENTS_KEPT]}


def _present(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None}
