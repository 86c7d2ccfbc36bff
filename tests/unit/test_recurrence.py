"""Occurrences: at one wall-clock time, through every change of the clock, numbered for good."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.recurrence import Frequency, Recurrence, due_between, first_after, occurrences

SANTIAGO = "America/Santiago"
ZONES = [SANTIAGO, "Europe/Madrid", "Australia/Lord_Howe", "UTC", "Asia/Kolkata", "America/Asuncion", "Pacific/Apia"]


def make(starts_at: str, frequency: str = "daily", timezone: str = SANTIAGO, **changes: Any) -> Recurrence:
    """`starts_at` on the wall clock of `timezone`."""
    local = datetime.fromisoformat(starts_at).replace(tzinfo=ZoneInfo(timezone))
    values = {"frequency": frequency, "interval": 1, "starts_at": local.astimezone(UTC), "timezone": timezone}
    return Recurrence.model_validate(values | changes)


def walls(recurrence: Recurrence, count: int) -> list[str]:
    zone = ZoneInfo(recurrence.timezone)
    return [f"{found.at.astimezone(zone):%Y-%m-%d %H:%M}" for found in itertools.islice(occurrences(recurrence), count)]


CASES = [
    # Chile's clock goes back on 4 April 2026 at 24:00 and forward on 5 September at 24:00
    (make("2026-04-03T09:00"), ["2026-04-03 09:00", "2026-04-04 09:00", "2026-04-05 09:00"]),
    (make("2026-09-04T09:00"), ["2026-09-04 09:00", "2026-09-05 09:00", "2026-09-06 09:00"]),
    # 00:30 on 6 September does not exist
    (make("2026-09-05T00:30"), ["2026-09-05 00:30", "2026-09-06 01:30", "2026-09-07 00:30"]),
    (make("2026-06-01T09:00", interval=3), ["2026-06-01 09:00", "2026-06-04 09:00", "2026-06-07 09:00"]),
    (make("2026-06-03T09:00", "weekly", interval=2), ["2026-06-03 09:00", "2026-06-17 09:00", "2026-07-01 09:00"]),
    (make("2026-01-15T09:00", "monthly"), ["2026-01-15 09:00", "2026-02-15 09:00", "2026-03-15 09:00"]),
    (
        make("2027-12-31T09:00", "monthly"),
        ["2027-12-31 09:00", "2028-01-31 09:00", "2028-02-29 09:00", "2028-03-31 09:00", "2028-04-30 09:00"],
    ),
    (make("2026-01-30T09:00", "monthly"), ["2026-01-30 09:00", "2026-02-28 09:00", "2026-03-30 09:00"]),
    (make("2026-01-31T09:00", "monthly", interval=3), ["2026-01-31 09:00", "2026-04-30 09:00", "2026-07-31 09:00"]),
    # Samoa had no 30 December 2011
    (
        make("2011-12-29T09:00", timezone="Pacific/Apia"),
        ["2011-12-29 09:00", "2011-12-31 09:00", "2012-01-01 09:00"],
    ),
]


@pytest.mark.parametrize(("recurrence", "expected"), CASES)
def test_occurrences_on_the_wall_clock(recurrence: Recurrence, expected: list[str]) -> None:
    assert walls(recurrence, len(expected)) == expected


def test_a_first_start_in_the_second_of_two_equal_hours_is_kept() -> None:
    starts_at = datetime(2026, 4, 5, 3, 30, tzinfo=UTC)  # 23:30 for the second time
    recurrence = make("2026-04-04T23:30").model_copy(update={"starts_at": starts_at})
    assert walls(recurrence, 2) == ["2026-04-04 23:30", "2026-04-05 23:30"]
    assert next(occurrences(recurrence)).at == starts_at


def test_until_is_the_last_instant_and_count_the_last_number() -> None:
    until = make("2026-06-03T09:00").starts_at
    assert len(list(occurrences(make("2026-06-01T09:00", until=until)))) == 3
    assert len(list(occurrences(make("2026-06-01T09:00", until=until - timedelta(seconds=1))))) == 2
    assert [found.number for found in occurrences(make("2026-06-01T09:00", count=4))] == [1, 2, 3, 4]


def test_what_is_due_and_what_follows() -> None:
    recurrence = make("2026-06-01T09:00", count=5)
    at = [found.at for found in occurrences(recurrence)]
    assert [found.number for found in due_between(recurrence, at[1], at[3])] == [2, 3, 4]
    assert due_between(recurrence, at[1], at[1] - timedelta(seconds=1)) == []
    following = first_after(recurrence, at[1])
    assert following is not None
    assert following.number == 3
    assert first_after(recurrence, at[4]) is None


@given(
    seconds=st.integers(0, 40 * 365 * 86_400),
    zone=st.sampled_from(ZONES),
    frequency=st.sampled_from(Frequency),
    interval=st.integers(1, 40),
)
def test_occurrences_rise_and_keep_the_wall_clock(seconds: int, zone: str, frequency: Frequency, interval: int) -> None:
    start = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    recurrence = Recurrence(
        frequency=frequency, interval=interval, starts_at=start, timezone=zone, until=start + timedelta(days=1500)
    )
    found = list(occurrences(recurrence))
    assert found[0] == (1, start)
    assert [occurrence.number for occurrence in found] == list(range(1, len(found) + 1))
    assert all(one.at < other.at for one, other in itertools.pairwise(found))
    first = start.astimezone(ZoneInfo(zone))
    for occurrence in found:
        local = occurrence.at.astimezone(ZoneInfo(zone))
        if local.time() != first.time():
            # Only where the clock jumped over the time: then that wall-clock time does not exist on the day.
            wanted = local.replace(hour=first.hour, minute=first.minute, second=first.second, fold=0)
            assert wanted.astimezone(UTC).astimezone(ZoneInfo(zone)).time() != first.time()
        if frequency is Frequency.MONTHLY and local.time() == first.time():
            assert local.day == first.day or (local + timedelta(days=1)).day == 1
