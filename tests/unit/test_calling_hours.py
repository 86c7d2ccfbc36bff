"""Calling hours: awkward exact nights, and properties near clock changes against an independent oracle."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.calling_hours import (
    CLOSING_MARGIN,
    CallingHours,
    is_allowed,
    is_holiday,
    may_call,
    next_allowed_at,
    next_call_at,
    window_closes_at,
)
from app.domain.holiday_calendar import HolidayCalendar, year_days
from app.domain.time_zones import time_zone_of

MINUTE = timedelta(minutes=1)
MOMENT = timedelta(microseconds=1)
EVERY_DAY = {0, 1, 2, 3, 4, 5, 6}
SUN, MON, TUE, WED, THU, FRI, SAT = 0, 1, 2, 3, 4, 5, 6

# The first instant of the new offset, and what makes it awkward.
CLOCK_CHANGES = [
    ("America/Santiago", "2026-04-05T03:00Z"),  # 24:00 is 23:00 again
    ("America/Santiago", "2026-09-06T04:00Z"),  # 00:00 is 01:00
    ("America/Punta_Arenas", "2016-08-14T04:00Z"),  # the last change of all
    ("Pacific/Easter", "2026-09-06T04:00Z"),  # the same instant as Santiago, 22:00 on Saturday
    ("America/Asuncion", "2024-03-24T03:00Z"),  # 24:00 is 23:00 again
    ("America/Asuncion", "2024-10-06T04:00Z"),  # 00:00 is 01:00
    ("America/New_York", "2026-03-08T07:00Z"),  # 02:00 is 03:00
    ("America/New_York", "2026-11-01T06:00Z"),  # 02:00 is 01:00
    ("America/Havana", "2025-03-09T05:00Z"),  # 00:00 is 01:00
    ("America/Havana", "2025-11-02T05:00Z"),  # 01:00 is 00:00
    ("America/Sao_Paulo", "2018-11-04T03:00Z"),  # 00:00 is 01:00
    ("America/St_Johns", "2010-11-07T02:31Z"),  # 00:01 is 23:01 of the day before
    ("America/Caracas", "2016-05-01T07:00Z"),  # half an hour forward
    ("America/Nuuk", "2026-03-29T01:00Z"),  # 23:00 on Saturday is 24:00
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),  # half an hour back
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),  # half an hour forward
    ("Pacific/Apia", "2011-12-30T10:00Z"),  # a Friday that never was
]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def make(window: str, days: set[int], zone: str = "America/Santiago") -> CallingHours:
    start, end = window.split("-")
    return CallingHours.model_validate({"start": start, "end": end, "days_of_week": days, "timezone": zone})


# ---------------------------------------------------------------------------------------- exact examples

IS_ALLOWED = [
    # window, days, zone, local time with offset, expected
    ("09:00-18:00", {MON}, "America/Santiago", "2026-06-01T09:00-04:00", True),
    ("09:00-18:00", {MON}, "America/Santiago", "2026-06-01T08:59:59.999999-04:00", False),
    ("09:00-18:00", {MON}, "America/Santiago", "2026-06-01T17:59:59.999999-04:00", True),
    ("09:00-18:00", {MON}, "America/Santiago", "2026-06-01T18:00-04:00", False),
    ("09:00-18:00", {TUE}, "America/Santiago", "2026-06-01T12:00-04:00", False),
    ("09:00-18:00", {SUN}, "America/Santiago", "2026-06-07T12:00-04:00", True),
    # It is still Sunday in Santiago when it is Monday in UTC.
    ("09:00-22:00", {SUN}, "America/Santiago", "2026-06-08T01:30+00:00", True),
    # Overnight: Friday's window goes on into Saturday, and Saturday has none of its own.
    ("22:00-02:00", {FRI}, "America/Santiago", "2026-06-05T22:00-04:00", True),
    ("22:00-02:00", {FRI}, "America/Santiago", "2026-06-06T01:59-04:00", True),
    ("22:00-02:00", {FRI}, "America/Santiago", "2026-06-06T02:00-04:00", False),
    ("22:00-02:00", {FRI}, "America/Santiago", "2026-06-06T22:30-04:00", False),
    ("22:00-02:00", {FRI}, "America/Santiago", "2026-06-05T01:00-04:00", False),
    ("22:00-00:00", {FRI}, "America/Santiago", "2026-06-05T23:59-04:00", True),
    ("22:00-00:00", {FRI}, "America/Santiago", "2026-06-06T00:00-04:00", False),
    # Equal: the whole calendar day, wherever the equal times lie.
    ("09:00-09:00", {WED}, "America/Santiago", "2026-06-03T00:00-04:00", True),
    ("09:00-09:00", {WED}, "America/Santiago", "2026-06-03T23:59-04:00", True),
    ("09:00-09:00", {WED}, "America/Santiago", "2026-06-04T00:00-04:00", False),
    # Santiago, 24:00 on Saturday is 23:00 again: both hours are Saturday's.
    ("23:00-23:30", {SAT}, "America/Santiago", "2026-04-04T23:15-03:00", True),
    ("23:00-23:30", {SAT}, "America/Santiago", "2026-04-04T23:45-03:00", False),
    ("23:00-23:30", {SAT}, "America/Santiago", "2026-04-04T23:15-04:00", True),
    # New York, the hour from 01:00 comes twice.
    ("01:00-01:30", {SUN}, "America/New_York", "2026-11-01T01:29-04:00", True),
    ("01:00-01:30", {SUN}, "America/New_York", "2026-11-01T01:30-04:00", False),
    ("01:00-01:30", {SUN}, "America/New_York", "2026-11-01T01:00-05:00", True),
    # St. John's: one minute of Sunday, then 59 of Saturday again.
    ("00:00-06:00", {SUN}, "America/St_Johns", "2010-11-07T00:00:30-02:30", True),
    ("00:00-06:00", {SUN}, "America/St_Johns", "2010-11-06T23:30-03:30", False),
    ("00:00-06:00", {SUN}, "America/St_Johns", "2010-11-07T00:00-03:30", True),
]


@pytest.mark.parametrize(("window", "days", "zone", "at", "expected"), IS_ALLOWED)
def test_is_allowed(window: str, days: set[int], zone: str, at: str, expected: bool) -> None:
    assert is_allowed(instant(at), make(window, days, zone)) is expected


NEXT_ALLOWED = [
    # window, days, zone, now, the next allowed instant
    ("09:00-18:00", {MON, FRI}, "America/Santiago", "2026-06-01T10:00-04:00", "2026-06-01T10:00-04:00"),
    ("09:00-18:00", {MON, FRI}, "America/Santiago", "2026-06-01T18:00-04:00", "2026-06-05T09:00-04:00"),
    ("09:00-18:00", {MON}, "America/Santiago", "2026-06-01T18:00-04:00", "2026-06-08T09:00-04:00"),
    ("22:00-02:00", {FRI}, "America/Santiago", "2026-06-06T02:00-04:00", "2026-06-12T22:00-04:00"),
    # Over a change of the clock, in hours by the wall.
    ("09:00-18:00", {MON}, "America/Santiago", "2026-04-03T20:00-03:00", "2026-04-06T09:00-04:00"),
    ("09:00-18:00", {MON}, "America/Santiago", "2026-09-04T20:00-04:00", "2026-09-07T09:00-03:00"),
    # Santiago: Sunday begins at 01:00.
    ("00:00-00:00", {SUN}, "America/Santiago", "2026-09-05T12:00-04:00", "2026-09-06T01:00-03:00"),
    ("00:30-08:00", {SUN}, "America/Santiago", "2026-09-05T23:59-04:00", "2026-09-06T01:00-03:00"),
    # A window wholly inside the missing hour comes a week later; one that ends with it too.
    ("00:15-00:45", {SUN}, "America/Santiago", "2026-09-05T12:00-04:00", "2026-09-13T00:15-03:00"),
    ("00:15-01:00", {SUN}, "America/Santiago", "2026-09-05T12:00-04:00", "2026-09-13T00:15-03:00"),
    ("02:00-03:00", {SUN}, "America/New_York", "2026-03-07T12:00-05:00", "2026-03-15T02:00-04:00"),
    ("02:00-03:00", EVERY_DAY, "America/New_York", "2026-03-08T00:00-05:00", "2026-03-09T02:00-04:00"),
    ("02:30-04:00", {SUN}, "America/New_York", "2026-03-08T01:59-05:00", "2026-03-08T03:00-04:00"),
    ("02:15-04:00", {SUN}, "Australia/Lord_Howe", "2026-10-04T01:00+10:30", "2026-10-04T02:30+11:00"),
    # Asunción: the part of Saturday's overnight window that lies after midnight is missing.
    ("22:00-00:30", {SAT}, "America/Asuncion", "2024-10-06T01:00-03:00", "2024-10-12T22:00-03:00"),
    # The hour that comes twice: the end of the first pass, then the second pass.
    ("23:00-23:30", {SAT}, "America/Santiago", "2026-04-04T23:30-03:00", "2026-04-04T23:00-04:00"),
    ("01:00-01:30", {SUN}, "America/New_York", "2026-11-01T01:30-04:00", "2026-11-01T01:00-05:00"),
    ("01:30-01:45", {SUN}, "Australia/Lord_Howe", "2026-04-05T01:50+11:00", "2026-04-05T01:30+10:30"),
    # Two changes within a week, that cancel each other: the window still opens by the wall.
    ("23:00-23:30", {SAT}, "America/Boa_Vista", "2000-10-07T23:45-04:00", "2000-10-14T23:00-03:00"),
    # The Friday that never was in Samoa.
    ("09:00-18:00", {FRI}, "Pacific/Apia", "2011-12-29T18:00-10:00", "2012-01-06T09:00+14:00"),
]


@pytest.mark.parametrize(("window", "days", "zone", "now", "expected"), NEXT_ALLOWED)
def test_next_allowed_at(window: str, days: set[int], zone: str, now: str, expected: str) -> None:
    found = next_allowed_at(instant(now), make(window, days, zone))
    assert found == instant(expected)
    assert found.utcoffset() == timedelta(0)


WINDOW_CLOSES = [
    ("09:00-18:00", {MON}, "America/Santiago", "2026-06-01T09:00-04:00", "2026-06-01T18:00-04:00"),
    ("09:00-18:00", {MON}, "America/Santiago", "2026-06-01T18:00-04:00", None),
    ("22:00-02:00", {FRI}, "America/Santiago", "2026-06-06T00:30-04:00", "2026-06-06T02:00-04:00"),
    # Whole days in a row touch; each closes at its own midnight.
    ("00:00-00:00", EVERY_DAY, "America/Santiago", "2026-06-01T12:00-04:00", "2026-06-02T00:00-04:00"),
    # A Saturday of 25 hours, and a Sunday of 23.
    ("00:00-00:00", {SAT}, "America/Santiago", "2026-04-04T12:00-03:00", "2026-04-05T00:00-04:00"),
    ("00:00-00:00", {SUN}, "America/Santiago", "2026-09-06T01:00-03:00", "2026-09-07T00:00-03:00"),
    # Overnight across a change: the wall clock decides when it ends.
    ("22:00-02:00", {SAT}, "America/Santiago", "2026-04-04T22:00-03:00", "2026-04-05T02:00-04:00"),
    ("22:00-03:30", {SAT}, "America/New_York", "2026-03-07T23:00-05:00", "2026-03-08T03:30-04:00"),
    # The end is inside the missing hour: closed from the jump on.
    ("22:00-02:30", {SAT}, "America/New_York", "2026-03-07T23:00-05:00", "2026-03-08T03:00-04:00"),
    # The end comes twice: closed from the first time on, though it opens once more.
    ("22:00-23:30", {SAT}, "America/Santiago", "2026-04-04T22:00-03:00", "2026-04-04T23:30-03:00"),
    ("22:00-23:30", {SAT}, "America/Santiago", "2026-04-04T23:00-04:00", "2026-04-04T23:30-04:00"),
    # The clock is put back out of the window.
    ("01:50-03:00", {SUN}, "Australia/Lord_Howe", "2026-04-05T01:55+11:00", "2026-04-05T01:30+10:30"),
]


@pytest.mark.parametrize(("window", "days", "zone", "at", "expected"), WINDOW_CLOSES)
def test_window_closes_at(window: str, days: set[int], zone: str, at: str, expected: str | None) -> None:
    closes = window_closes_at(instant(at), make(window, days, zone))
    assert closes == (None if expected is None else instant(expected))


def test_time_zone_of_the_argument_does_not_matter() -> None:
    hours = make("09:00-18:00", {MON})
    at = datetime(2026, 6, 1, 22, 30, tzinfo=ZoneInfo("Asia/Tokyo"))  # 09:30 in Santiago
    assert is_allowed(at, hours)
    assert next_allowed_at(at, hours) == at


@pytest.mark.parametrize("function", [is_allowed, next_allowed_at, window_closes_at])
def test_naive_datetimes_are_refused(function: Any) -> None:
    with pytest.raises(ValueError, match="naive"):
        function(datetime(2026, 6, 1, 12, 0), make("09:00-18:00", {MON}))  # noqa: DTZ001  naive is the point


# ------------------------------------------------------------------------------------------------- model


def test_seven_is_sunday() -> None:
    assert make("09:00-18:00", {7, 0, 1}).days_of_week == {SUN, MON}


def test_equal_hours_are_equal_and_hashable() -> None:
    one, other = make("09:00-18:00", {1, 2}), make("09:00-18:00", {2, 1})
    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(ValidationError, match="frozen"):
        one.start = time(8)  # type: ignore[misc]  # frozen is the point


def test_survives_json() -> None:
    hours = make("22:00-02:30", {5, 6})
    assert CallingHours.model_validate_json(hours.model_dump_json()) == hours


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("days_of_week", []),
        ("days_of_week", [8]),
        ("days_of_week", [-1]),
        ("days_of_week", [True]),
        ("days_of_week", ["1"]),
        ("start", "24:00"),
        ("start", "9"),
        ("start", "09:00:30"),
        ("end", "18:00:00.5"),
        ("end", "18:00Z"),
        ("end", None),
        ("timezone", "America/Santiago_de_Chile"),
        ("timezone", "America"),
        ("timezone", "../etc/passwd"),
        ("timezone", "/etc/localtime"),
        ("timezone", "localtime"),
        ("timezone", "right/America/Santiago"),
        ("timezone", "Factory"),
        ("timezone", "america/santiago"),
        ("timezone", "UTC-4"),
        ("timezone", ""),
        ("timezone", "America/Santiago\0"),
    ],
)
def test_bad_hours_are_refused_and_the_field_is_named(field: str, value: object) -> None:
    good = {"start": "09:00", "end": "18:00", "days_of_week": [1], "timezone": "America/Santiago"}
    CallingHours.model_validate(good)
    with pytest.raises(ValidationError) as caught:
        CallingHours.model_validate(good | {field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


# ---------------------------------------------------------------------------------------------- holidays

CHILE = HolidayCalendar(country="CL")


def on_working_days(window: str, days: set[int], zone: str = "America/Santiago") -> CallingHours:
    return make(window, days, zone).model_copy(update={"holidays": CHILE})


HOLIDAYS = [
    # window, days, zone, local time, the next allowed instant (the time itself if it is allowed)
    # Friday 18 and Saturday 19 September 2026, the national days.
    ("09:00-18:00", EVERY_DAY, "America/Santiago", "2026-09-17T17:59-03:00", "2026-09-17T17:59-03:00"),
    ("09:00-18:00", EVERY_DAY, "America/Santiago", "2026-09-18T12:00-03:00", "2026-09-20T09:00-03:00"),
    ("09:00-18:00", {FRI}, "America/Santiago", "2026-09-17T12:00-03:00", "2026-09-25T09:00-03:00"),
    # A window that came over midnight ends with the working day, and none starts on the holiday to go on after it.
    ("22:00-02:00", EVERY_DAY, "America/Santiago", "2026-09-17T23:59-03:00", "2026-09-17T23:59-03:00"),
    ("22:00-02:00", EVERY_DAY, "America/Santiago", "2026-09-18T00:00-03:00", "2026-09-20T22:00-03:00"),
    ("22:00-02:00", EVERY_DAY, "America/Santiago", "2026-09-20T01:00-03:00", "2026-09-20T22:00-03:00"),
    # The end of the year: New Year's Eve until midnight, then the day after New Year's Day.
    (
        "00:00-00:00",
        EVERY_DAY,
        "America/Santiago",
        "2026-12-31T23:59:59.999999-03:00",
        "2026-12-31T23:59:59.999999-03:00",
    ),
    ("00:00-00:00", EVERY_DAY, "America/Santiago", "2027-01-01T00:00-03:00", "2027-01-02T00:00-03:00"),
    ("22:00-02:00", EVERY_DAY, "America/Santiago", "2027-01-01T00:00-03:00", "2027-01-02T22:00-03:00"),
    # It is the date of the called person: Madrid has New Year's Day four hours before Santiago.
    ("00:00-00:00", EVERY_DAY, "Europe/Madrid", "2026-12-31T20:00-03:00", "2027-01-02T00:00+01:00"),
    ("00:00-00:00", EVERY_DAY, "America/Los_Angeles", "2027-01-01T03:30-03:00", "2027-01-01T03:30-03:00"),
]


@pytest.mark.parametrize(("window", "days", "zone", "now", "expected"), HOLIDAYS)
def test_nobody_is_called_on_a_holiday(window: str, days: set[int], zone: str, now: str, expected: str) -> None:
    hours = on_working_days(window, days, zone)
    assert next_allowed_at(instant(now), hours) == instant(expected)
    assert is_allowed(instant(now), hours) is (instant(now) == instant(expected))


def test_a_window_closes_as_a_holiday_begins() -> None:
    overnight = on_working_days("22:00-02:00", EVERY_DAY)
    assert window_closes_at(instant("2026-12-31T22:30-03:00"), overnight) == instant("2027-01-01T00:00-03:00")
    assert window_closes_at(instant("2026-12-30T22:30-03:00"), overnight) == instant("2026-12-31T02:00-03:00")


def test_a_holiday_is_one_on_the_called_persons_date() -> None:
    at = instant("2027-01-01T00:30-03:00")
    assert is_holiday(at, on_working_days("09:00-18:00", {FRI}))
    assert not is_holiday(at, on_working_days("09:00-18:00", {FRI}, "America/Los_Angeles"))
    assert not is_holiday(at, make("09:00-18:00", {FRI}))


def test_a_subdivision_adds_its_own_days() -> None:
    arica = HolidayCalendar(country="CL", subdivision="AP")
    assert arica.is_holiday(date(2026, 6, 7))  # the assault on the Morro
    assert not CHILE.is_holiday(date(2026, 6, 7))
    assert arica.is_holiday(date(2026, 9, 18))


def test_a_year_without_data_has_no_allowed_time() -> None:
    hours = on_working_days("09:00-18:00", EVERY_DAY)
    beyond = instant("2101-06-01T12:00-04:00")
    assert not is_allowed(beyond, hours)
    assert next_allowed_at(beyond, hours) is None
    assert next_call_at(beyond, hours) is None


@pytest.mark.parametrize("wrong", [{"country": "XX"}, {"country": "cl"}, {"country": "CL", "subdivision": "SP"}, {}])
def test_unknown_calendars_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        HolidayCalendar.model_validate(wrong)


# ------------------------------------------------------------------------------------- the closing margin


def test_no_call_is_placed_as_the_window_is_about_to_close() -> None:
    hours = make("09:00-18:00", {MON})
    closing = instant("2026-06-01T18:00-04:00")
    assert may_call(closing - CLOSING_MARGIN - MOMENT, hours)
    assert not may_call(closing - CLOSING_MARGIN, hours)
    assert next_call_at(closing - CLOSING_MARGIN, hours) == instant("2026-06-08T09:00-04:00")
    assert next_call_at(instant("2026-06-01T08:00-04:00"), hours) == instant("2026-06-01T09:00-04:00")


def test_windows_that_touch_have_no_closing_between_them() -> None:
    midnight = instant("2026-06-02T00:00-04:00")
    assert may_call(midnight - MOMENT, make("00:00-00:00", EVERY_DAY))
    assert not may_call(midnight - MOMENT, make("00:00-00:00", {MON}))


# ------------------------------------------------------------------------------------------------- zones


def test_hours_in_another_zone_keep_everything_else() -> None:
    hours = on_working_days("09:00-18:00", {MON})
    moved = hours.in_zone("America/Bogota")
    assert moved == hours.model_copy(update={"timezone": "America/Bogota"})
    assert hours.in_zone(None) is hours
    assert hours.in_zone("") is hours


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("America/Santiago", "America/Santiago"),
        (" america/mexico city ", "America/Mexico_City"),
        ("UTC", "UTC"),
        ("utc", "UTC"),
        ("", None),
        ("Santiago", None),
        ("GMT-4", None),
        ("-04:00", None),
    ],
)
def test_time_zones_as_people_write_them(text: str, name: str | None) -> None:
    assert time_zone_of(text) == name


# -------------------------------------------------------------------------------------------- properties


class Closed(HolidayCalendar):
    """A calendar of the days that a test likes."""

    country: str = "CL"
    days: frozenset[date] = frozenset()

    def is_holiday(self, day: date) -> bool:
        return day in self.days


class Oracle:
    """Says what the contract says, another way: the minutes of each day's window, looked up by the wall clock."""

    def __init__(self, hours: CallingHours) -> None:
        start, end = (t.hour * 60 + t.minute for t in (hours.start, hours.end))
        first, length = (0, 1440) if start == end else (start, (end - start) % 1440)
        self.zone = ZoneInfo(hours.timezone)
        self.days_of_week = hours.days_of_week
        self.holidays = hours.holidays.days if isinstance(hours.holidays, Closed) else frozenset[date]()
        self.minutes = frozenset(range(first, first + length))

    def allows(self, at: datetime) -> bool:
        wall = at.astimezone(self.zone)
        minute, today = wall.hour * 60 + wall.minute, wall.date()
        return today not in self.holidays and (
            (self.opens_on(today) and minute in self.minutes)
            or (self.opens_on(today - timedelta(days=1)) and minute + 1440 in self.minutes)
        )

    def opens_on(self, day: date) -> bool:
        return day.isoweekday() % 7 in self.days_of_week and day not in self.holidays


def minutes_between(start: datetime, end: datetime, most: timedelta = timedelta(days=2)) -> Iterator[datetime]:
    """`start`, the whole minutes in (start, end), and the last moment before `end`.

    All offsets used here are whole minutes, so nothing changes within a minute. Of long stretches, `most` at
    either end is looked at, and every hour between.
    """
    at = start
    while at < end:
        yield at
        near_an_end = at - start < most or end - at < most
        at = at.replace(second=0, microsecond=0) + (MINUTE if near_an_end else 60 * MINUTE)
    if start < end:
        yield end - MOMENT


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[datetime, str]:
    """An instant within four days of a clock change of a zone, most often within hours, on whole minutes."""
    zone, change = draw(st.sampled_from(CLOCK_CHANGES))
    spread = draw(st.sampled_from([150, 60 * 26, 60 * 96]))
    minutes = draw(st.integers(-spread, spread))
    rest = draw(st.sampled_from([timedelta(0), MOMENT, timedelta(seconds=59, microseconds=999_999)]))
    return instant(change) + minutes * MINUTE + rest, zone


@st.composite
def cases(draw: st.DrawFn) -> tuple[datetime, CallingHours]:
    at, zone = draw(near_a_change())
    # Windows around midnight and the small hours meet the clock changes; any other is drawn too.
    awkward = st.sampled_from([0, 1, 30, 60, 90, 119, 120, 150, 179, 180, 1380, 1410, 1439])
    minute = st.one_of(awkward, st.integers(0, 1439))
    start, end = (time(*divmod(draw(minute), 60)) for _ in range(2))
    days = draw(st.one_of(st.sampled_from([{SUN}, {SAT}, EVERY_DAY]), st.sets(st.integers(0, 6), min_size=1)))
    # Most holidays near the instant, and sometimes none at all.
    closed = draw(st.frozensets(st.integers(-3, 8), max_size=6))
    return at, CallingHours(
        start=start,
        end=end,
        days_of_week=frozenset(days),
        timezone=zone,
        holidays=Closed(days=frozenset(at.date() + timedelta(days=n) for n in closed)) if closed else None,
    )


@pytest.mark.parametrize(("zone", "change"), CLOCK_CHANGES)
def test_the_known_changes_are_changes(zone: str, change: str) -> None:
    at = instant(change).astimezone(ZoneInfo(zone))
    assert at.utcoffset() != (instant(change) - MOMENT).astimezone(ZoneInfo(zone)).utcoffset()


def test_the_rules_are_those_of_the_locked_package() -> None:
    """Not of the machine, whose rules may be years older."""
    assert zoneinfo.TZPATH == ()


@given(cases())
@settings(max_examples=500, deadline=None)
def test_is_allowed_says_what_the_wall_clock_says(case: tuple[datetime, CallingHours]) -> None:
    at, hours = case
    assert is_allowed(at, hours) is Oracle(hours).allows(at)


@given(cases())
@settings(max_examples=300, deadline=None)
def test_next_allowed_is_the_first_allowed_instant(case: tuple[datetime, CallingHours]) -> None:
    now, hours = case
    oracle = Oracle(hours)
    found = next_allowed_at(now, hours)
    assert found is not None
    assert found >= now
    assert oracle.allows(found)
    assert not any(oracle.allows(at) for at in minutes_between(now, found))
    assert next_allowed_at(found, hours) == found


@given(cases())
@settings(max_examples=300, deadline=None)
def test_a_window_is_open_until_it_closes(case: tuple[datetime, CallingHours]) -> None:
    at, hours = case
    oracle = Oracle(hours)
    closes = window_closes_at(at, hours)
    assert (closes is not None) is oracle.allows(at)
    if closes is None:
        return
    assert at < closes <= at + timedelta(hours=25)
    assert all(oracle.allows(moment) for moment in minutes_between(at, closes))
    if oracle.allows(closes):  # only where the next window touches: whole days, or a pause that a jump swallows
        jumped = closes.astimezone(oracle.zone).utcoffset() != (closes - MOMENT).astimezone(oracle.zone).utcoffset()
        assert hours.start == hours.end or jumped


@given(cases())
@settings(max_examples=300, deadline=None)
def test_a_call_that_may_be_placed_begins_to_ring_within_the_hours(case: tuple[datetime, CallingHours]) -> None:
    now, hours = case
    oracle = Oracle(hours)
    found = next_call_at(now, hours)
    assert found is not None
    assert found >= now
    assert may_call(found, hours)
    seconds = range(int(CLOSING_MARGIN.total_seconds()) + 1)
    assert all(oracle.allows(found + timedelta(seconds=n)) for n in seconds)
    assert may_call(now, hours) is (found == now)


def test_the_holidays_of_a_year_are_computed_once() -> None:
    """It takes about a millisecond, and every decision asks."""
    year_days.cache_clear()
    hours = on_working_days("09:00-18:00", EVERY_DAY)
    for day in range(1, 29):
        next_allowed_at(datetime(2026, 9, day, 12, tzinfo=UTC), hours)
    assert year_days.cache_info().misses == 1


def test_it_is_fast() -> None:
    """Stepping through a week minute by minute takes about 10 ms; this has to be far from it."""
    hours = make("09:00-18:00", {MON})
    now = instant("2026-06-01T18:00-04:00")
    started = perf_counter()
    for _ in range(100):
        next_allowed_at(now, hours)
    assert perf_counter() - started < 0.1
