"""Nights on which clocks change, or a date does that matters; and what a clock on the wall says of hours and holidays,
worked out minute by minute and without the code under test."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.calling_hours import CallingHours
from app.domain.holiday_calendar import HolidayCalendar

MINUTE = timedelta(minutes=1)
ALL_WEEK = range(7)


@dataclass(frozen=True)
class Night:
    zone: str
    change: datetime
    """The first instant of the new offset; where none changes, midnight."""

    def __str__(self) -> str:
        return f"{self.zone} {self.change:%Y-%m-%d}"


def night(zone: str, change: str) -> Night:
    return Night(zone, datetime.fromisoformat(change).astimezone(UTC))


NIGHTS = [
    night("America/Santiago", "2026-04-05T03:00Z"),  # 24:00 is 23:00 again
    night("America/Santiago", "2026-09-06T04:00Z"),  # 00:00 is 01:00
    night("America/Asuncion", "2024-03-24T03:00Z"),  # 24:00 is 23:00 again
    night("America/Asuncion", "2024-10-06T04:00Z"),  # 00:00 is 01:00, the last change
    night("America/Asuncion", "2026-03-22T03:00Z"),  # where a change would have been: nothing happens
    night("America/Asuncion", "2026-10-04T03:00Z"),
    night("America/New_York", "2026-03-08T07:00Z"),  # 02:00 is 03:00
    night("America/New_York", "2026-11-01T06:00Z"),  # 02:00 is 01:00
    night("Australia/Lord_Howe", "2026-04-04T15:00Z"),  # 02:00 is 01:30
    night("Australia/Lord_Howe", "2026-10-03T15:30Z"),  # 02:00 is 02:30
    night("America/Santiago", "2027-01-01T03:00Z"),  # New Year
]
WINDOWS = [
    "00:15-00:45",  # wholly inside Santiago's missing hour
    "02:10-02:25",  # wholly inside Lord Howe's and New York's
    "00:30-03:30",  # opens inside the missing hour
    "01:15-01:45",  # inside the hour that comes twice
    "23:15-23:45",  # inside Santiago's
    "22:00-02:15",  # overnight
    "23:00-01:00",  # overnight, ends where the clock changes
    "00:00-00:00",
]


def hours_of(night: Night, window: str, *, holidays: bool = False) -> CallingHours:
    start, end = window.split("-")
    return CallingHours.model_validate(
        {
            "start": start,
            "end": end,
            "days_of_week": ALL_WEEK,
            "timezone": night.zone,
            "holidays": HolidayCalendar(country="CL") if holidays else None,
        }
    )


class WallClock:
    """Says of whole minutes whether a call may be placed, by looking at the wall clock of the zone."""

    CHILEAN_HOLIDAYS = frozenset({date(2026, 4, 3), date(2026, 4, 4), date(2027, 1, 1)})

    def __init__(self, hours: CallingHours) -> None:
        self._zone = ZoneInfo(hours.timezone)
        self._first = hours.start.hour * 60 + hours.start.minute
        last = hours.end.hour * 60 + hours.end.minute
        self._length = (last - self._first) % 1440 or 1440
        if self._length == 1440:
            self._first = 0
        self._known: dict[datetime, bool] = {}
        self._closed = self.CHILEAN_HOLIDAYS if hours.holidays else frozenset()

    def allows(self, at: datetime) -> bool:
        wall = at.astimezone(self._zone)
        today, minute = wall.date(), wall.hour * 60 + wall.minute
        if today in self._closed:
            return False
        if self._first <= minute < self._first + self._length:
            return True
        yesterday = today - timedelta(days=1)
        return yesterday not in self._closed and minute + 1440 < self._first + self._length

    def next_allowed(self, at: datetime) -> datetime:
        """`at` is a whole minute; all windows and clock changes are."""
        while not self._allows_minute(at):
            at += MINUTE
        return at

    def _allows_minute(self, at: datetime) -> bool:
        if at not in self._known:
            self._known[at] = self.allows(at)
        return self._known[at]
