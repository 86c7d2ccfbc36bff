"""How often an account may call one person, over all its batches and phones. Pure.

The laws count two things apart (field.md §3), and so does a cap: attempts, that is, whenever the phone rang or may
have; and conversations, that is, whenever a human answered.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.domain.jobs import AttemptRecord
from app.domain.outcomes import HEARD

MAX_CAPS = 10
CONVERSATIONS = HEARD
_DAY = timedelta(days=1)
_DAYS_ANYWHERE = 2 * _DAY
"""A calendar day, seen from any zone and lengthened by a clock change, began less than this ago."""


class CapCounts(StrEnum):
    ATTEMPTS = "attempts"
    CONVERSATIONS = "conversations"


class CapPeriod(StrEnum):
    DAY = "day"
    """The calendar day of the person's time zone."""
    ROLLING = "rolling"
    """`days` times 24 hours, from the end of a call on."""


class PersonCap(BaseModel):
    """At most `max` of what it counts in one period; `days` belongs to `rolling`, and only to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    counts: CapCounts
    max: int = Field(ge=1, le=50)
    period: CapPeriod
    days: int | None = Field(default=None, ge=1, le=365)

    @model_validator(mode="after")
    def _days_if_rolling(self) -> Self:
        if (self.days is None) is (self.period is CapPeriod.ROLLING):
            raise ValueError("a rolling cap has days, and no other has")
        return self

    @property
    def reach(self) -> timedelta:
        """Calls that ended longer ago than this do not matter to it."""
        return _DAYS_ANYWHERE if self.days is None else self.days * _DAY

    def full_until(self, calls: Iterable[AttemptRecord], at: datetime, zone: ZoneInfo) -> datetime | None:
        """If one call more at `at` would be too many: the first instant at which it no longer is; else None."""
        counted = [call for call in calls if self._is_counted(call)]
        if self.days is None:
            return self._full_until_midnight(counted, at, zone)
        ends = sorted((call.ended_at + self.days * _DAY for call in counted), reverse=True)
        full = len(ends) >= self.max and ends[self.max - 1] > at
        return ends[self.max - 1] if full else None

    def _full_until_midnight(self, counted: list[AttemptRecord], at: datetime, zone: ZoneInfo) -> datetime | None:
        today = at.astimezone(zone).date()
        calls_today = sum(today in _days_of(call, zone) for call in counted)
        return _midnight_after(today, zone) if calls_today >= self.max else None

    def _is_counted(self, call: AttemptRecord) -> bool:
        """Not what surely rang nowhere: a number that was refused, or trouble before the call."""
        rang = call.counted or call.duration_seconds > 0
        return rang and (self.counts is CapCounts.ATTEMPTS or call.disposition in CONVERSATIONS)


def reach_of(caps: Iterable[PersonCap]) -> timedelta | None:
    """How far back calls matter to any of `caps`; None if there are none."""
    return max((cap.reach for cap in caps), default=None)


def held_back_by(
    caps: Sequence[PersonCap], calls: Sequence[AttemptRecord], now: datetime, timezone: str
) -> tuple[PersonCap, datetime] | None:
    """The cap that allows another call last, and the first instant, in UTC, at which all of them do.

    None if they do now. `calls` are all calls of the person that end within the caps' reach, in any order; `timezone`
    (IANA) is the person's.
    """
    zone = ZoneInfo(timezone)
    held: tuple[PersonCap, datetime] | None = None
    at = now
    while True:
        ends = [(cap, end) for cap in caps if (end := cap.full_until(calls, at, zone)) is not None]
        if not ends:
            return held
        held = max(ends, key=lambda found: found[1])
        at = held[1]


def _days_of(call: AttemptRecord, zone: ZoneInfo) -> set[date]:
    """A call over midnight counts for both days: which of them it rang on is not known for sure."""
    return {moment.astimezone(zone).date() for moment in (call.dialed_at, call.ended_at)}


def _midnight_after(day: date, zone: ZoneInfo) -> datetime:
    """When the next day begins, in UTC.

    Where the clock jumps over midnight that is at the jump; where midnight comes twice, at the second, after which the
    day stays (PEP 495: the later of both folds in either case).
    """
    midnight = datetime.combine(day + _DAY, time.min, zone)
    return max(midnight.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
