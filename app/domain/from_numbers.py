"""Is one of our own numbers still fit to call from? A circuit breaker for each, over how its last calls ended. Pure.

A number that carriers label as spam, or a trunk that is set up wrong, fails every call the same way, whoever is called
(retell.md §10, §11.6, §11.7): going on burns contacts and the number's name. So it rests, and is tried again with one
call at a time.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from app.domain.messages import Message
from app.domain.outcomes import BLOCKED, HUMAN, NOBODY
from app.domain.retry_policy import backoff

ENDS_KEPT = 50
REST = timedelta(minutes=30)
LONGEST_REST = timedelta(days=1)
PROBE_FOR = timedelta(minutes=5)
"""How long the one call of a number that is tried again is waited for; one that lasts longer was answered."""

INVALID, FAILED = "invalid_destination", "dial_failed"
INVALID_IN_A_ROW = 10
BLOCKED_OF = (3, 20)
FAILED_OF = (27, 30)
"""So many of the last so many calls."""


class Sign(StrEnum):
    """What the end of a call says of the number it came from."""

    GOOD = "good"
    """The network took it to somebody, or to nobody's phone: it works."""
    BAD = "bad"
    NEUTRAL = "neutral"


class CallEnd(BaseModel):
    model_config = ConfigDict(frozen=True)

    attempt_id: str
    phone: str
    reason: str
    """Retell's `disconnection_reason`."""
    at: datetime


class Probe(BaseModel):
    """The one call that a rested number is tried with."""

    model_config = ConfigDict(frozen=True)

    attempt_id: str
    until: datetime


class FromNumber(BaseModel):
    """A number under suspicion. One that is not has no document."""

    model_config = ConfigDict(frozen=True)

    number: str
    ends: list[CallEnd] = []
    """The last ones that say something, oldest first."""
    rests: int = 0
    """Rests in a row."""
    rests_until: datetime | None = None
    """Once passed, the number is tried with one call at a time, until one succeeds."""
    reason: Message | None = None
    probe: Probe | None = None
    revision: int = 0

    def is_tried(self, now: datetime) -> bool:
        """Whether one call at a time may go out, to see."""
        return self.rests_until is not None and now >= self.rests_until

    def rest(self, now: datetime) -> "Rest | None":
        """Until when no call may go out; while it is tried, until the one call that does should be over."""
        if self.rests_until is not None and now < self.rests_until:
            return Rest(number=self.number, until=self.rests_until)
        if self.rests_until is not None and self.probe is not None and now < self.probe.until:
            return Rest(number=self.number, until=self.probe.until)
        return None


class Rest(BaseModel):
    """A number from which nothing may be called before `until`."""

    model_config = ConfigDict(frozen=True)

    number: str
    until: datetime

    def reason(self, timezone: str) -> Message:
        """Why a batch or a job waits, in the batch's own time."""
        local = self.until.astimezone(ZoneInfo(timezone))
        params = {"from_number": self.number, "until": f"{local:%Y-%m-%d %H:%M}", "timezone": timezone}
        return Message(code="from_number_resting", params=params)


class Verdict(StrEnum):
    UNCHANGED = "unchanged"
    REST = "rest"
    TRY_ON = "try_on"
    """The try said nothing: let another call try."""
    WELL = "well"


def sign_of(reason: str | None) -> Sign:
    if reason in BLOCKED or reason in {INVALID, FAILED}:
        return Sign.BAD
    if reason in HUMAN or reason in NOBODY or reason == "user_requested_dnc":
        return Sign.GOOD
    return Sign.NEUTRAL


def breaker(number: FromNumber, attempt_id: str, reason: str | None) -> Verdict:
    """What follows from the end of `attempt_id`, which is among `number.ends` unless its sign is neutral."""
    sign = sign_of(reason)
    if number.rests_until is not None:
        if number.probe is None or number.probe.attempt_id != attempt_id:
            # Placed before the number rested: it tells what is known.
            return Verdict.UNCHANGED
        return {Sign.GOOD: Verdict.WELL, Sign.BAD: Verdict.REST, Sign.NEUTRAL: Verdict.TRY_ON}[sign]
    if suspicion(number) is not None:
        return Verdict.REST
    last = number.ends[-FAILED_OF[1] :]
    return Verdict.WELL if all(sign_of(end.reason) is Sign.GOOD for end in last) else Verdict.UNCHANGED


def suspicion(number: FromNumber) -> Message | None:
    """Why the number should rest, by how its last calls ended; None if they are nothing out of the way."""
    ends = number.ends
    in_a_row: set[str] = set()
    for end in reversed(ends):
        if end.reason != INVALID:
            break
        in_a_row.add(end.phone)
    if len(in_a_row) >= INVALID_IN_A_ROW:
        return _because("from_number_suspect_trunk", number, len(in_a_row), len(in_a_row))
    blocked = [end for end in ends[-BLOCKED_OF[1] :] if end.reason in BLOCKED]
    if len(blocked) >= BLOCKED_OF[0]:
        return _because("from_number_blocked", number, len(blocked), BLOCKED_OF[1])
    last = ends[-FAILED_OF[1] :]
    failed = [end for end in last if end.reason == FAILED]
    if len(last) == FAILED_OF[1] and len(failed) >= FAILED_OF[0]:
        return _because("from_number_failing", number, len(failed), len(last))
    return None


def rested(number: FromNumber, now: datetime) -> FromNumber:
    """The number as it rests from now on, twice as long as the last time in a row."""
    return number.model_copy(
        update={
            "rests": number.rests + 1,
            "rests_until": now + backoff(number.rests + 1, REST, LONGEST_REST),
            # After a try that failed, what it failed of first is still the reason.
            "reason": number.reason or suspicion(number),
            "probe": None,
        }
    )


def _because(code: str, number: FromNumber, count: int, of: int) -> Message:
    return Message(code=code, params={"from_number": number.number, "count": count, "of": of})
