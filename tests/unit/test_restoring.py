"""Which calls a restored job has forgotten, and in which order they are taken up."""

from datetime import timedelta
from typing import Any

from app.domain.calls import CallReport, CallStatus
from app.domain.jobs import Job
from app.domain.restoring import PastCall, forgotten, in_order
from tests.builders import NOW, make_attempt, make_job, make_record


def call(attempt_id: str, reason: str | None = "dial_busy", **changes: Any) -> PastCall:
    statuses = {None: CallStatus.ONGOING, "user_hangup": CallStatus.ENDED}
    values = {
        "call_id": f"call-{attempt_id}",
        "attempt_id": attempt_id,
        "disconnection_reason": reason,
        "status": statuses.get(reason, CallStatus.NOT_CONNECTED),
        "started_at": NOW,
        "duration_ms": 60_000 if reason == "user_hangup" else 0,
    }
    return PastCall(report=CallReport.model_validate(values | changes))


def ids(calls: list[PastCall]) -> list[str | None]:
    return [found.report.attempt_id for found in calls]


def job(**changes: Any) -> Job:
    return make_job(**changes)


def test_the_call_that_reached_somebody_is_the_last_that_is_over() -> None:
    """Retell may give a call that never connected no start, and sort it anywhere."""
    assert ids(in_order([call("on", None), call("reached", "user_hangup"), call("busy"), call("again")])) == [
        "busy",
        "again",
        "reached",
        "on",
    ]


def test_what_the_job_knows_is_not_forgotten() -> None:
    known = job(history=[make_record(attempt_id="old", dialed_at=NOW)], attempt=make_attempt(attempt_id="now"))
    assert ids(forgotten(known, [call("old"), call("now"), call("new")])) == ["new"]


def test_what_is_older_than_a_long_history_was_known_once() -> None:
    known = job(history=[make_record(attempt_id="kept", dialed_at=NOW)])
    assert ids(forgotten(known, [call("cut", started_at=NOW - timedelta(hours=1)), call("new")])) == ["new"]


def test_of_two_calls_of_one_attempt_one_is_taken() -> None:
    twice = [call("same", "user_hangup", call_id="talk"), call("same", call_id="busy")]
    (taken,) = forgotten(job(), twice)
    assert taken.report.call_id == "talk"
