"""The next times at which calling hours are open, and what lies between: for whoever sets them up."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.domain.calling_hours import CallingHours, next_allowed_at, window_closes_at
from app.domain.local_days import stretches
from app.domain.reading import Stretch


class Window(NamedTuple):
    """Half-open, in UTC."""

    opens_at: datetime
    closes_at: datetime


def next_windows(start: datetime, hours: CallingHours, count: int) -> list[Window]:
    """The next `count` windows from `start` on; if that lies inside of one, its rest is the first.

    Fewer where nothing is allowed for as far as holidays are known. Raises ValueError if `start` is naive.
    """
    found: list[Window] = []
    opens = next_allowed_at(start, hours)
    while opens is not None and len(found) < count:
        closes = window_closes_at(opens, hours)
        assert closes is not None  # noqa: S101 - `opens` is allowed
        found.append(Window(opens, closes))
        opens = next_allowed_at(closes, hours)
    return found


def skipped_holidays(since: datetime, until: datetime, hours: CallingHours) -> list[date]:
    """The dates from `since` to `until` on which a window would open if they were no holidays."""
    if hours.holidays is None:
        return []
    zone = ZoneInfo(hours.timezone)
    first, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day.isoweekday() % 7 in hours.days_of_week and hours.holidays.is_holiday(day)]


def clock_changes(since: datetime, until: datetime, timezone: str) -> list[tuple[Stretch, Stretch]]:
    """What the clocks of `timezone` showed before and after each of their changes."""
    return list(pairwise(stretches(since, until, timezone)))
