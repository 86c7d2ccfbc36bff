"""When a batch will be done: never in the past, never outside the hours, later with more to do."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.batches import CallSettings, Pace, Progress
from app.domain.calling_hours import is_allowed
from app.domain.estimate import Estimate, estimate_end
from app.domain.explanation import Obstacle
from app.domain.messages import Message
from tests.builders import NOW, OFFICE, make_settings

MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
ONE_TRY = make_settings(max_attempts=1)
OFFICE_HOURS = make_settings(hours=OFFICE, max_attempts=1)
MINUTE_CALLS = Pace(calls=10, seconds=600, ended=10, calls_of_finished=10)


def end(
    pending: int = 60, settings: CallSettings = ONE_TRY, obstacle: Obstacle | None = None, **changes: Any
) -> Estimate:
    given_: dict[str, Any] = {"pace": MINUTE_CALLS, "parallel": 1, "completed": 10, **changes}
    progress = Progress(pending=pending, completed=given_["completed"])
    return estimate_end(progress, given_["pace"], settings, obstacle, NOW, parallel=given_["parallel"])


def block(code: str, until: datetime | None = None) -> Obstacle:
    return Obstacle(reason=Message(code=code), until=until)


def test_so_many_calls_of_a_minute_take_so_many_minutes() -> None:
    assert end(60) == Estimate(ends_at=NOW + HOUR, calls_left=60, seconds_per_call=60, parallel_calls=1)


def test_more_lines_take_less_and_no_more_lines_are_used_than_there_are_contacts() -> None:
    assert end(60, parallel=4).ends_at == NOW + HOUR / 4
    assert end(2, parallel=50).parallel_calls == 2


def test_without_calls_to_learn_from_it_assumes_some() -> None:
    assumed = end(settings=make_settings(max_attempts=1, ring_timeout=30), pace=Pace(), completed=0)
    assert assumed.seconds_per_call == 75
    short = make_settings(max_attempts=1, ring_timeout=30, max_call_duration=60)
    assert end(settings=short, pace=Pace(), completed=0).seconds_per_call == 75


def test_what_does_not_fit_into_a_day_goes_on_when_the_hours_open() -> None:
    # 11:00 on a Wednesday; seven hours are left until 18:00, nine more make Thursday's, and one on Friday.
    assert end(17 * 60, OFFICE_HOURS).ends_at == NOW.replace(day=5, hour=14)


def test_calls_that_reach_nobody_are_made_again() -> None:
    unlucky = Pace(calls=98, seconds=98 * 60, ended=49, calls_of_finished=49)
    left = end(100, make_settings(max_attempts=3), pace=unlucky, completed=49).calls_left
    # Half of the calls end a contact: 1 + 1/2 + 1/4 calls a contact, for 149 contacts, 98 of which were made.
    assert left == 163


def test_the_last_retry_is_waited_for() -> None:
    settings = make_settings(max_attempts=2, retry_delay_hours=24)
    assert (end(1, settings, pace=Pace(), completed=0).ends_at or NOW) > NOW + timedelta(days=1)
    made = Pace(calls=1, seconds=60)
    assert (end(1, settings, pace=made, completed=0).ends_at or NOW) < NOW + HOUR


@pytest.mark.parametrize("code", ["batch_is_paused_by", "batch_is_draft", "no_balance", "account_suspended"])
def test_where_somebody_must_do_something_nobody_knows(code: str) -> None:
    found = end(obstacle=block(code, NOW + HOUR if code in {"no_balance", "account_suspended"} else None))
    assert found.ends_at is None
    assert found.reason == Message(code=code)


def test_what_ends_by_itself_is_waited_for() -> None:
    assert end(60, obstacle=block("batch_is_scheduled", NOW + HOUR)).ends_at == NOW + 2 * HOUR
    assert end(60, obstacle=block("at_limit")).ends_at == NOW + HOUR


def test_nothing_left_has_no_end() -> None:
    assert end(0).ends_at is None
    assert end(0).reason == Message(code="nothing_left")


def test_what_would_take_over_a_year_has_no_end() -> None:
    assert end(1_000_000, OFFICE_HOURS).reason == Message(code="no_window")


paces = st.integers(0, 500).flatmap(
    lambda calls: st.builds(
        Pace,
        calls=st.just(calls),
        seconds=st.just(calls).flatmap(lambda n: st.floats(0, 300).map(lambda mean: mean * n)),
        ended=st.integers(0, calls),
        calls_of_finished=st.integers(0, calls),
    )
)
settings_ = st.builds(
    lambda attempts, delay, hours: make_settings(max_attempts=attempts, retry_delay_hours=delay, **hours),
    st.integers(1, 6),
    st.floats(0.1, 100),
    st.sampled_from([{}, {"hours": OFFICE}]),
)


@given(
    pending=st.integers(0, 3000),
    more=st.integers(0, 500),
    pace=paces,
    settings=settings_,
    parallel=st.integers(1, 50),
    offset=st.timedeltas(timedelta(0), timedelta(days=10)),
)
def test_an_end_is_never_past_nor_forbidden_and_later_with_more_to_do(
    pending: int, more: int, pace: Pace, settings: CallSettings, parallel: int, offset: timedelta
) -> None:
    now = NOW + offset

    def estimate(count: int) -> Estimate:
        # One line more or less would be another question.
        progress = Progress(pending=count, completed=pace.ended)
        return estimate_end(progress, pace, settings, None, now, parallel=min(parallel, max(pending, 1)))

    found, later = estimate(pending), estimate(pending + more)
    assert pending <= found.calls_left <= pending * settings.max_attempts
    assert found.calls_left <= later.calls_left
    assert (found.ends_at is None) == (found.reason is not None)
    if found.ends_at is not None:
        assert found.ends_at > now
        assert is_allowed(found.ends_at - MOMENT, settings.hours)
        if later.ends_at is not None:
            assert later.ends_at >= found.ends_at
