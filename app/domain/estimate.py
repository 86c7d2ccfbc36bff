"""When a batch will be done, if it goes on as it did. Pure; a guess for people, on which nothing is decided."""

import math
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from app.domain.batches import CallSettings, Pace, Progress
from app.domain.calling_hours import CallingHours, next_allowed_at, window_closes_at
from app.domain.explanation import Obstacle
from app.domain.messages import Message

ASSUMED_TALK_SECONDS = 60
"""Of a call that somebody answers, as long as the batch has no calls to learn from."""
MOST_WINDOWS = 366
"""Looked through for the end; a year of days."""


class Estimate(BaseModel):
    """When it ends, and what that is concluded from."""

    model_config = ConfigDict(frozen=True)

    ends_at: datetime | None
    reason: Message | None = None
    """Why the end cannot be known."""
    calls_left: int
    seconds_per_call: float
    """From the asking to the next free line: ringing, talking and writing down."""
    parallel_calls: int


def estimate_end(
    progress: Progress,
    pace: Pace,
    settings: CallSettings,
    obstacle: Obstacle | None,
    now: datetime,
    *,
    parallel: int,
) -> Estimate:
    """The end of a batch of which `parallel` calls can be in progress at once."""
    left = progress.pending + progress.in_progress
    seconds = _seconds_per_call(pace, settings)
    calls = _calls_left(left, progress, pace, settings)
    lines = max(1, min(parallel, left))
    start, reason = _start(left, obstacle, now)
    ends_at = None if start is None else _end(start, left, calls, lines, seconds, progress, pace, settings)
    return Estimate(
        ends_at=ends_at,
        reason=reason or (Message(code="no_window") if ends_at is None else None),
        calls_left=calls,
        seconds_per_call=round(seconds, 1),
        parallel_calls=lines,
    )


def _start(left: int, obstacle: Obstacle | None, now: datetime) -> tuple[datetime | None, Message | None]:
    """When calling goes on, or why nobody can say."""
    if left == 0:
        return None, obstacle.reason if obstacle else Message(code="nothing_left")
    if obstacle is None or obstacle.reason.code == "at_limit":
        return now, None
    if obstacle.ends_at is None:
        return None, obstacle.reason
    return max(now, obstacle.ends_at), None


def _end(
    start: datetime,
    left: int,
    calls: int,
    lines: int,
    seconds: float,
    progress: Progress,
    pace: Pace,
    settings: CallSettings,
) -> datetime | None:
    """The last of: all calls one after another on all lines, and the last retry that must be waited for."""
    hours, delay = settings.hours, timedelta(hours=settings.retry_delay_hours)
    work_end = _after(start, calls * seconds / lines, hours)
    rounds = _rounds_left(left, pace, settings)
    unluckiest = _after_retries(start, rounds, delay, seconds, hours)
    # First calls come before retries, and somebody among the last to be called first is called again.
    uncalled = max(0, progress.total - progress.cancelled - pace.calls)
    last_first = _after(start, uncalled * seconds / lines, hours)
    last_again = last_first and _after_retries(last_first, min(rounds, 1), delay, seconds, hours)
    if work_end is None or unluckiest is None or last_again is None:
        return None
    return max(work_end, unluckiest, last_again)


def _seconds_per_call(pace: Pace, settings: CallSettings) -> float:
    if pace.calls:
        return max(1.0, pace.seconds / pace.calls)
    return settings.ring_timeout / 2 + min(ASSUMED_TALK_SECONDS, settings.max_call_duration)


def _ends(pace: Pace) -> float:
    """How likely a call is its contact's last for another reason than that the attempts are used up; in (0, 1)."""
    return (pace.ended + 1) / (pace.calls + 2)


def _calls_left(left: int, progress: Progress, pace: Pace, settings: CallSettings) -> int:
    """At least one for each contact that is left, at most all of its attempts."""
    ends, attempts = _ends(pace), settings.max_attempts
    a_contact = (1 - (1 - ends) ** attempts) / ends
    expected = math.ceil((progress.total - progress.cancelled) * a_contact) - pace.calls
    return min(max(left, expected), left * attempts)


def _rounds_left(left: int, pace: Pace, settings: CallSettings) -> int:
    """How often the contact with the worst luck still has to wait for a retry."""
    if left == 0:
        return 0
    needed = 1 + math.ceil(math.log(2 * left) / -math.log(1 - _ends(pace)))
    made = max(0, pace.calls - pace.calls_of_finished) // left
    return max(0, min(needed, settings.max_attempts) - 1 - made)


def _after_retries(
    start: datetime, rounds: int, delay: timedelta, seconds: float, hours: CallingHours
) -> datetime | None:
    """When the last of `rounds` retries, each put off by `delay`, is over; `start` if there is none."""
    at: datetime | None = start
    for _ in range(rounds):
        at = at and next_allowed_at(at + delay, hours)
    return _after(at, seconds, hours) if at and rounds else at


def _after(start: datetime, seconds: float, hours: CallingHours) -> datetime | None:
    """The instant at which `seconds` within the hours have passed since `start`; None if that takes over a year."""
    left = timedelta(seconds=seconds)
    at = start
    for _ in range(MOST_WINDOWS):
        opens = next_allowed_at(at, hours)
        closes = opens and window_closes_at(opens, hours)
        if opens is None or closes is None:
            return None
        if opens + left <= closes:
            return opens + left
        left -= closes - opens
        at = closes
    return None
