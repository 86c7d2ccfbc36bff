"""When a contact may be called: wall-clock windows in an IANA time zone.

An instant is allowed if **the wall clock of the called person, at that instant,** shows an allowed time of an
allowed day. Nothing else is asked, so the nights when the clock changes need no rule of their own:

* A missing hour: a window that opens inside it (02:30, when 02:00 is 03:00) opens at the jump, if it is
  still open by then. A window that lies wholly inside it does not occur that day. A day that begins inside it
  (Santiago in September: 00:00 is 01:00) begins at the jump.
* An hour that comes twice: both are allowed or neither. A window that ends inside it therefore ends, and
  opens again when the clock is put back. Nobody is ever called while their clock shows a forbidden time.

Windows are half-open: `start` is in and `end` is not. An `end` before `start` crosses midnight and belongs to
the day it starts on; equal means the whole calendar day.

With `holidays`, a date that is one there has no allowed time: no window starts on it, and one that came over
midnight ends as it begins. The date is the called person's own; a year without data is all holidays.

`is_allowed` says what the clock shows. Whether a call may still be *placed* is asked with `may_call`, which keeps
`CLOSING_MARGIN` clear of the end of the window.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.domain.holiday_calendar import HolidayCalendar
from app.domain.messages import Message
from app.domain.time_zones import is_time_zone

CLOSING_MARGIN = timedelta(seconds=30)
"""No call is placed so shortly before its window closes: the request takes up to 20 s (RETELL_CREATE_TIMEOUT_SECONDS),
and the phone must not begin to ring after the end. Less than a minute, the shortest pause between two windows."""

ASK_AGAIN = timedelta(days=1)
"""Where no time is allowed for as far as one can see: holidays of a year that are not known yet will be, one day."""

_DAY = timedelta(days=1)

# A window comes at least once a week, unless a clock change or holidays swallow it: of one weekday no calendar has
# more than four holidays in a row (Colombian Mondays in summer).
_HORIZON = timedelta(days=50)

# No zone of tzdata changes its clock twice within 167 hours since 1970: looking once a day misses no change.
_LOOK_EVERY = _DAY


class CallingHours(BaseModel):
    """One daily window on some days of the week; immutable and hashable.

    `start` and `end` are wall-clock `HH:MM` in `timezone` (an IANA name). `days_of_week`: 0 is Sunday, 1
    Monday … 6 Saturday; 7 is taken for Sunday and kept as 0. `holidays`: no calls on these; None knows none.
    """

    model_config = ConfigDict(frozen=True)

    start: time
    end: time
    days_of_week: Annotated[
        frozenset[Annotated[int, Field(strict=True, ge=0, le=7)]],
        Field(min_length=1),
    ]
    timezone: str
    holidays: HolidayCalendar | None = None

    @field_validator("start", "end")
    @classmethod
    def _whole_minutes(cls, value: time) -> time:
        if value.tzinfo is not None or value.second or value.microsecond:
            raise ValueError("must be a wall-clock time HH:MM, without seconds or offset")
        return value

    @field_validator("days_of_week")
    @classmethod
    def _sunday_is_zero(cls, value: frozenset[int]) -> frozenset[int]:
        return frozenset(day % 7 for day in value)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if not is_time_zone(value):
            raise ValueError(f"{value!r} is not an IANA time zone, such as America/Santiago")
        return value

    def in_zone(self, timezone: str | None) -> Self:
        """The same hours by the clocks of `timezone`, a name that was checked; None or "" leaves them as they are."""
        if not timezone or timezone == self.timezone:
            return self
        return self.model_copy(update={"timezone": timezone})


def is_allowed(at: datetime, hours: CallingHours) -> bool:
    """Whether a call may be placed at the instant `at`. Raises ValueError if `at` is naive."""
    moment = _Moment.of(at, hours)
    return _day_of_window(moment.wall, hours) is not None


def next_allowed_at(now: datetime, hours: CallingHours) -> datetime | None:
    """The first allowed instant that is not before `now`, in UTC: `now` itself if it is allowed.

    None if there is none within 50 days, which only a year without holiday data is known to cause.
    Raises ValueError if `now` is naive.
    """
    moment = _Moment.of(now, hours)
    deadline = moment.instant + _HORIZON
    while moment.instant < deadline:
        if _day_of_window(moment.wall, hours) is not None:
            return moment.instant
        opens = _next_opening(moment.wall, hours)
        if opens is None:
            return None
        opening = moment.instant + (opens - moment.wall)
        change = moment.next_clock_change(until=opening)
        # Past a change the wall clock shows something else, so the question is asked again from there.
        moment = _Moment(change or opening, moment.zone)
    return None


def may_call(at: datetime, hours: CallingHours) -> bool:
    """Whether a call may be placed at `at` and will still be within the hours when the phone begins to ring."""
    return is_allowed(at, hours) and is_allowed(at + CLOSING_MARGIN, hours)


def next_call_at(now: datetime, hours: CallingHours) -> datetime | None:
    """The first instant, not before `now`, at which `may_call`, in UTC. None as `next_allowed_at`."""
    found = next_allowed_at(now, hours)
    while found is not None and not is_allowed(found + CLOSING_MARGIN, hours):
        found = next_allowed_at(found + CLOSING_MARGIN, hours)
    return found


def why_closed(at: datetime, hours: CallingHours) -> Message:
    """In an operator's words, why nobody may be called at `at`, a moment at which nobody may."""
    if is_holiday(at, hours):
        return Message(code="holiday_today")
    return Message(code="hours_closed")


def is_holiday(at: datetime, hours: CallingHours) -> bool:
    """Whether it is a holiday, by these hours, on the called person's date at the instant `at`."""
    return _is_holiday(_Moment.of(at, hours).wall.date(), hours)


def window_closes_at(at: datetime, hours: CallingHours) -> datetime | None:
    """The first instant after `at`, in UTC, not in the window that `at` is in; None if `at` is not allowed.

    That instant is not allowed, unless the window of the next day begins there (whole days in a row). Raises
    ValueError if `at` is naive.
    """
    moment = _Moment.of(at, hours)
    day = _day_of_window(moment.wall, hours)
    if day is None:
        return None
    while _day_of_window(moment.wall, hours) == day:
        _, end = _bounds(day, hours)
        close = moment.instant + (end - moment.wall)
        change = moment.next_clock_change(until=close)
        if change is None:
            return close
        moment = _Moment(change, moment.zone)
    return moment.instant


def next_clock_change(at: datetime, until: datetime, timezone: str) -> datetime | None:
    """The first instant in (at, until] from which `timezone` has another offset, in UTC; None if it stays."""
    return _Moment(at.astimezone(UTC), ZoneInfo(timezone)).next_clock_change(until.astimezone(UTC))


class _Moment:
    """An instant, and what the wall clock of a zone shows then (naive: to compare with other wall times)."""

    __slots__ = ("instant", "offset", "wall", "zone")

    def __init__(self, instant: datetime, zone: ZoneInfo) -> None:
        self.instant = instant
        self.zone = zone
        self.offset = _offset(instant, zone)
        self.wall = instant.replace(tzinfo=None) + self.offset

    @classmethod
    def of(cls, at: datetime, hours: CallingHours) -> Self:
        if at.utcoffset() is None:
            raise ValueError("a naive datetime names no instant; pass an aware one")
        return cls(at.astimezone(UTC), ZoneInfo(hours.timezone))

    def next_clock_change(self, until: datetime) -> datetime | None:
        """The first instant in (self, until] from which the zone has another offset; None if it stays."""
        before = self.instant
        while before < until:
            after = min(before + _LOOK_EVERY, until)
            if _offset(after, self.zone) != self.offset:
                return self._bisect(before, after)
            before = after
        return None

    def _bisect(self, before: datetime, after: datetime) -> datetime:
        # Clocks change at whole seconds, so the offset of an instant is that of the second it lies in.
        low, high = before.replace(microsecond=0), after.replace(microsecond=0)
        while (seconds := (high - low) // timedelta(seconds=1)) > 1:
            middle = low + timedelta(seconds=seconds // 2)
            if _offset(middle, self.zone) == self.offset:
                low = middle
            else:
                high = middle
        return high


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101  a ZoneInfo always knows the offset of an instant
    return offset


def _weekday(day: date) -> int:
    """0 is Sunday … 6 Saturday, as `days_of_week` counts."""
    return day.isoweekday() % 7


def _day_of_window(wall: datetime, hours: CallingHours) -> date | None:
    """The date on which the window that shows `wall` starts; None if `wall` is in no window."""
    for day in (wall.date(), wall.date() - _DAY):
        start, end = _bounds(day, hours)
        if start <= wall < end and _opens_on(day, hours):
            return day
    return None


def _opens_on(day: date, hours: CallingHours) -> bool:
    return _weekday(day) in hours.days_of_week and not _is_holiday(day, hours)


def _is_holiday(day: date, hours: CallingHours) -> bool:
    return hours.holidays is not None and hours.holidays.is_holiday(day)


def _bounds(day: date, hours: CallingHours) -> tuple[datetime, datetime]:
    """Start and end, on the wall clock, of the window that starts on `day`."""
    if hours.start == hours.end:
        midnight = datetime.combine(day, time.min)
        return midnight, midnight + _DAY
    start = datetime.combine(day, hours.start)
    if hours.start < hours.end:
        return start, datetime.combine(day, hours.end)
    morrow = day + _DAY
    return start, datetime.combine(morrow, time.min if _is_holiday(morrow, hours) else hours.end)


def _next_opening(wall: datetime, hours: CallingHours) -> datetime | None:
    """The first start of a window after `wall`, as if the clock never changed; None if none is near."""
    starts = (
        _bounds(day, hours)[0]
        for day in (wall.date() + n * _DAY for n in range(_HORIZON.days + 1))
        if _opens_on(day, hours)
    )
    return next((start for start in starts if start > wall), None)
