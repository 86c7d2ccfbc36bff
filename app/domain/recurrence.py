"""When a recurring batch runs: at the wall-clock time of its first start, in the time zone it was created with. Pure.

Where the clock jumps over that time, the run is as much later as the clock jumped; where it comes twice, it is at the
first. A month without the day of the first start runs on its last day (the 31st: on 28 February).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule
from pydantic import BaseModel, ConfigDict, Field

_IN_EVERY_MONTH = 28


class Frequency(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


_FREQUENCIES: dict[Frequency, Any] = {
    Frequency.DAILY: DAILY,
    Frequency.WEEKLY: WEEKLY,
    Frequency.MONTHLY: MONTHLY,
}


class RecurrenceRule(BaseModel):
    """Every `interval` days, weeks or months; not after `until`, and at most `count` times, missed ones included."""

    model_config = ConfigDict(frozen=True)

    frequency: Frequency
    interval: int = Field(ge=1)
    until: datetime | None = None
    count: int | None = Field(default=None, ge=1)


class Recurrence(RecurrenceRule):
    """A rule with the start and the zone that it is counted from: none of them changes, so numbers stay."""

    starts_at: datetime
    """In whole seconds."""
    timezone: str


class Occurrence(NamedTuple):
    number: int
    """1 for the first start."""
    at: datetime
    """UTC."""


def occurrences(recurrence: Recurrence) -> Iterator[Occurrence]:
    """All of them, in order; without `until` and `count`, until the year 9999."""
    zone = ZoneInfo(recurrence.timezone)
    first = recurrence.starts_at.astimezone(zone).replace(tzinfo=None, fold=0)
    days: dict[str, Any] = {}
    if recurrence.frequency is Frequency.MONTHLY and first.day > _IN_EVERY_MONTH:
        days = {"bymonthday": range(_IN_EVERY_MONTH, first.day + 1), "bysetpos": -1}
    rule = rrule(_FREQUENCIES[recurrence.frequency], dtstart=first, interval=recurrence.interval, **days)
    number, latest = 0, None
    for local in rule:
        # The first is the start itself, also where its wall-clock time comes twice.
        at = recurrence.starts_at.astimezone(UTC) if latest is None else local.replace(tzinfo=zone).astimezone(UTC)
        if latest is not None and at <= latest:
            continue  # a day that a zone has skipped (Samoa, 30 December 2011)
        number, latest = number + 1, at
        if recurrence.until is not None and at > recurrence.until:
            return
        if recurrence.count is not None and number > recurrence.count:
            return
        yield Occurrence(number, at)


def first_after(recurrence: Recurrence, instant: datetime) -> Occurrence | None:
    """The first occurrence after `instant`; None if there is none any more."""
    return next((occurrence for occurrence in occurrences(recurrence) if occurrence.at > instant), None)


def due_between(recurrence: Recurrence, since: datetime, until: datetime) -> list[Occurrence]:
    """The occurrences from `since` to `until`, both included."""
    found: list[Occurrence] = []
    for occurrence in occurrences(recurrence):
        if occurrence.at > until:
            break
        if occurrence.at >= since:
            found.append(occurrence)
    return found
