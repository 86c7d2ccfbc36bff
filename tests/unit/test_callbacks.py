"""When somebody wants to be called: what agents write, and whatever else may stand there."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.callbacks import DATES, LATEST, NAMES, TIMES, callback_time, parse_time
from tests.builders import NOW, make_report

SANTIAGO = ZoneInfo("America/Santiago")
ZONES = [SANTIAGO, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/Asuncion")]
SIX = datetime(2026, 6, 4, 22, 0, tzinfo=UTC)
"""18:00 in Santiago, tomorrow."""


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-04T18:00", SIX),
        ("2026-06-04T18:00:00", SIX),
        ("2026-06-04T18:00:00.000", SIX),
        ("2026-06-04t18:00", SIX),
        ("2026-06-04 18:00", SIX),
        ("  2026-06-04   18:00 ", SIX),
        ("2026-6-4 18:00", SIX),
        ("2026-06-04T22:00Z", SIX),
        ("2026-06-04T22:00:00+00:00", SIX),
        ("2026-06-04T17:00-0500", SIX),
        ("2026-06-05T03:30+05:30", SIX),
        ("04/06/2026 18:00", SIX),
        ("4/6/2026 18:00:00", SIX),
        # The time alone is the next one: it is 11:00 now.
        ("18:00", SIX - timedelta(days=1)),
        ("9:30", instant("2026-06-04T09:30-04:00")),
        ("11:00", instant("2026-06-04T11:00-04:00")),
        ("11:01", instant("2026-06-03T11:01-04:00")),
        ("00:00", instant("2026-06-04T00:00-04:00")),
        # The furthest away.
        ("03/07/2026 11:00", NOW + LATEST),
        # Over, too far, or now.
        ("03/07/2026 11:01", None),
        ("2026-06-03T11:00", None),
        ("2026-06-02 18:00", None),
        ("2025-06-04 18:00", None),
        ("9999-12-31T23:59-12:00", None),
        ("0001-01-01T00:00+14:00", None),
        # Nothing that can be relied on.
        ("", None),
        ("mañana a las 6", None),
        ("2026-06-04", None),
        ("06/04/26 18:00", None),
        ("13/13/2026 18:00", None),
        ("2026-02-30 18:00", None),
        ("24:00", None),
        ("18:60", None),
        ("18", None),
        ("18:00 o 19:00", None),
        ("2026-06-04T18:00+99:99", None),
        ("٢٠٢٦-٠٦-٠٤ ١٨:٠٠", None),
        ("0" * 100_000, None),
    ],
)
def test_what_a_text_means(text: str, expected: datetime | None) -> None:
    assert parse_time(text, SANTIAGO, NOW) == expected


@pytest.mark.parametrize(
    ("zone", "now", "text", "expected"),
    [
        # 02:30 is skipped: an hour later on the clock, as if it had not been put forward.
        ("America/New_York", "2026-03-07T20:00-05:00", "2026-03-08 02:30", "2026-03-08T03:30-04:00"),
        ("America/Santiago", "2026-09-05T20:00-04:00", "00:30", "2026-09-06T01:30-03:00"),
        # 01:30 comes twice: the first, and after that the second.
        ("America/New_York", "2026-10-31T20:00-04:00", "01:30", "2026-11-01T01:30-04:00"),
        ("America/New_York", "2026-11-01T01:45-04:00", "01:30", "2026-11-01T01:30-05:00"),
        ("America/New_York", "2026-11-01T01:30-05:00", "01:30", "2026-11-02T01:30-05:00"),
        ("America/Santiago", "2026-04-04T23:30-03:00", "23:15", "2026-04-04T23:15-04:00"),
        # New Year's Eve.
        ("America/Santiago", "2026-12-31T23:59-03:00", "00:01", "2027-01-01T00:01-03:00"),
    ],
)
def test_nights_when_the_clock_jumps(zone: str, now: str, text: str, expected: str) -> None:
    assert parse_time(text, ZoneInfo(zone), instant(now)) == instant(expected)


@given(text=st.text() | st.from_regex(r"[0-9TZ:/ +.-]{0,40}", fullmatch=True), zone=st.sampled_from(ZONES))
@example(text="0000-00-00 00:00", zone=SANTIAGO)
@example(text="9999-12-31 23:59", zone=SANTIAGO)
def test_whatever_stands_there_is_a_usable_time_or_none(text: str, zone: ZoneInfo) -> None:
    found = parse_time(text, zone, NOW)
    assert found is None or NOW < found <= NOW + LATEST
    assert found is None or found.utcoffset() == timedelta(0)


@given(
    minutes=st.integers(1, 30 * 24 * 60),
    zone=st.sampled_from(ZONES),
    form=st.sampled_from(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%d/%m/%Y %H:%M", "%Y-%m-%dT%H:%M%z", "%H:%M"]),
)
def test_a_time_that_is_written_is_read_as_it_was_meant(minutes: int, zone: ZoneInfo, form: str) -> None:
    meant = NOW + timedelta(minutes=minutes)
    if form == "%H:%M" and minutes >= 24 * 60 - 60:
        meant = NOW + timedelta(minutes=minutes % (23 * 60) + 1)
    assert parse_time(f"{meant.astimezone(zone):{form}}", zone, NOW) == meant


# Where it stands ------------------------------------------------------------------------------------------------------


def found_in(collected: dict[str, str], analysis: Any = None) -> datetime | None:
    report = make_report("user_requested_callback", collected_variables=collected, analysis=analysis)
    return callback_time(report, "America/Santiago", NOW)


@pytest.mark.parametrize("name", NAMES)
def test_every_documented_name_is_looked_at_in_variables_and_in_the_analysis(name: str) -> None:
    assert found_in({name: "2026-06-04 18:00"}) == SIX
    assert found_in({}, {"custom_analysis_data": {name: "2026-06-04 18:00"}}) == SIX


@pytest.mark.parametrize("time_name", TIMES)
@pytest.mark.parametrize("date_name", DATES)
def test_date_and_time_may_stand_apart(date_name: str, time_name: str) -> None:
    for day in ("2026-06-04", "04/06/2026"):
        assert found_in({date_name: day, time_name: "18:00"}) == SIX
    # The date is not understood: nobody agreed on the next such time.
    assert found_in({date_name: "pasado mañana", time_name: "18:00"}) is None


def test_what_the_agent_collected_comes_before_the_analysis_and_a_bad_text_hinders_no_good_one() -> None:
    analysis = {"custom_analysis_data": {"callback_at": "2026-06-05 10:00"}}
    assert found_in({"callback_at": "2026-06-04 18:00"}, analysis) == SIX
    assert found_in({"callback_at": "más tarde", "fecha_hora_llamada_cliente": "2026-06-04 18:00"}, analysis) == SIX
    assert found_in({"callback_at": "2026-06-01 18:00"}, analysis) == instant("2026-06-05T10:00-04:00")


@pytest.mark.parametrize(
    "analysis",
    [None, {}, {"custom_analysis_data": None}, {"custom_analysis_data": "18:00"}, {"custom_analysis_data": [1]}],
)
def test_odd_analyses_are_none(analysis: Any) -> None:
    assert found_in({}, analysis) is None
    assert found_in({}, {"custom_analysis_data": {"callback_at": 1800, "callback_time": None}}) is None
    assert callback_time(None, "America/Santiago", NOW) is None
