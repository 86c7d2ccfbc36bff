"""Days as a time zone has them: not all are 24 hours long, and not all begin at 00:00."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.domain.calling_hours import next_clock_change
from app.domain.reading import Stretch


def start_of_day(at: datetime, timezone: str) -> datetime:
    """The first instant of the date that `timezone` has at `at`, in UTC."""
    return day_start(at.astimezone(ZoneInfo(timezone)).date(), timezone)


def day_start(day: date, timezone: str) -> datetime:
    """The first instant of `day` in `timezone`, in UTC.

    Where the clock jumps over midnight it is the jump; where midnight comes twice, the first of the two.
    """
    # A wall time that does not exist is taken with the offset before the jump, which makes the very instant of it.
    return datetime.combine(day, time.min, ZoneInfo(timezone)).astimezone(UTC)


def day_span(first: date, last: date, timezone: str) -> tuple[datetime, datetime]:
    """From the first instant of `first` to the end of `last`."""
    return day_start(first, timezone), day_start(last + timedelta(days=1), timezone)


def stretches(since: datetime, until: datetime, timezone: str) -> list[Stretch]:
    """[since, until) cut where the clocks of `timezone` change; times in UTC."""
    zone, found = ZoneInfo(timezone), []
    while since < until:
        end = next_clock_change(since, until, timezone) or until
        found.append(Stretch(since, end, since.astimezone(zone).utcoffset() or timedelta(0)))
        since = end
    return found
