"""Days and stretches of time zones, near the nights when the clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.domain.local_days import day_span, day_start, start_of_day, stretches

ZONES = ("America/Santiago", "America/Havana", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "UTC")
INSTANTS = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - see there


def test_a_day_whose_midnight_is_missing_begins_at_the_jump() -> None:
    assert day_start(date(2026, 9, 6), "America/Santiago") == datetime(2026, 9, 6, 4, tzinfo=UTC)


def test_a_day_whose_midnight_comes_twice_begins_at_the_first() -> None:
    # In Havana 01:00 was 00:00 again.
    assert day_start(date(2025, 11, 2), "America/Havana") == datetime(2025, 11, 2, 4, tzinfo=UTC)
    since, until = day_span(date(2025, 11, 2), date(2025, 11, 2), "America/Havana")
    assert until - since == timedelta(hours=25)


@given(at=INSTANTS, zone=st.sampled_from(ZONES))
def test_a_day_has_its_date_from_its_start_on_and_not_before(at: datetime, zone: str) -> None:
    there = ZoneInfo(zone)
    begin = start_of_day(at, zone)
    assert begin <= at
    assert begin.astimezone(there).date() == at.astimezone(there).date()
    assert (begin - timedelta(seconds=1)).astimezone(there).date() < at.astimezone(there).date()


@given(since=INSTANTS, days=st.integers(0, 500), zone=st.sampled_from(ZONES))
def test_stretches_cover_the_span_and_have_one_offset_each(since: datetime, days: int, zone: str) -> None:
    until = since + timedelta(days=days)
    found = stretches(since, until, zone)
    edges = [since, *(stretch.until for stretch in found)]
    assert edges[-1] == until
    assert [stretch.since for stretch in found] == edges[:-1]
    for stretch in found:
        last = stretch.until - timedelta(microseconds=1)
        middle = stretch.since + (stretch.until - stretch.since) / 2
        for at in (stretch.since, middle, last):
            assert at.astimezone(ZoneInfo(zone)).utcoffset() == stretch.offset
