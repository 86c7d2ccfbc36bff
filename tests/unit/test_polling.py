"""When a call is looked at again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.polling import look_again_in
from tests.builders import NOW

BASE, LONGEST = timedelta(seconds=5), timedelta(seconds=20)
LATEST_END = NOW + timedelta(seconds=330)
SECONDS = st.floats(min_value=0, max_value=100_000)


def wait(quiet: float, *, heard: float = 0, base: timedelta = BASE, longest: timedelta = LONGEST) -> float:
    """The wait in seconds for a call placed at NOW that must be over after 330 s, `quiet` seconds after NOW."""
    heard_at, now = NOW + timedelta(seconds=heard), NOW + timedelta(seconds=quiet)
    return look_again_in(now, heard_at=heard_at, latest_end=LATEST_END, base=base, longest=longest).total_seconds()


@pytest.mark.parametrize(
    ("quiet", "seconds"),
    [
        (0, 5),  # it may be ringing
        (40, 5),
        (80, 10),
        (160, 20),
        (300, 20),
        (315, 15),  # when it must be over, it is looked at
        (328, 5),
        (331, 5),  # and closely watched after that
        (430, 12.5),
        (90_000, 20),
    ],
)
def test_a_call_is_watched_less_the_longer_it_lasts_until_it_must_be_over(quiet: float, seconds: float) -> None:
    assert wait(quiet) == seconds


def test_news_brings_the_attention_back() -> None:
    assert wait(200) == 20
    assert wait(200, heard=199) == 5


@given(quiet=SECONDS, heard=SECONDS, base=st.floats(0.1, 60), longest=st.floats(0.1, 600))
def test_a_wait_is_bounded_and_does_not_sleep_through_the_end(
    quiet: float, heard: float, base: float, longest: float
) -> None:
    span = wait(quiet, heard=min(heard, quiet), base=timedelta(seconds=base), longest=timedelta(seconds=longest))
    slack = 1e-6
    assert base - slack <= span <= max(base, longest) + slack
    if quiet < 330:
        assert quiet + span <= max(330, quiet + base) + slack


@given(one=st.floats(0, 300), other=st.floats(0, 300))
def test_the_older_the_longer(one: float, other: float) -> None:
    """As long as the end is far."""
    young, old = sorted((one, other))
    assert wait(young) <= wait(old)


def test_a_call_of_five_minutes_costs_a_third_of_the_looks() -> None:
    looks, at = 0, 0.0
    while at < 300:
        looks += 1
        at += wait(at)
    assert looks <= 30 < 300 / 5
