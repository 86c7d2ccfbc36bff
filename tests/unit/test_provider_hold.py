"""While Retell is away or throttles us, nothing is claimed; how long, and what ends it."""

from datetime import timedelta

from app.services.worker_control import ProviderHold
from tests.builders import FakeTime


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_without_trouble_nothing_is_held() -> None:
    hold = ProviderHold(FakeTime())
    assert not hold.active
    assert hold.well() is False


def test_a_trouble_holds_for_its_time_and_no_longer() -> None:
    time = FakeTime()
    hold = ProviderHold(time)
    assert hold.trouble() == 1
    time.advance(seconds(0.999))
    assert hold.active
    time.advance(seconds(0.001))
    assert not hold.active


def test_each_trouble_after_another_holds_twice_as_long_up_to_a_minute() -> None:
    time = FakeTime()
    hold = ProviderHold(time)
    held = []
    for _ in range(9):
        held.append(hold.trouble())
        time.advance(seconds(held[-1]))
    assert held == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_hundred_failures_at_once_are_one_trouble() -> None:
    time = FakeTime()
    hold = ProviderHold(time)
    assert {hold.trouble() for _ in range(100)} == {1}
    time.advance(seconds(1))
    assert not hold.active
    assert hold.trouble() == 2


def test_what_the_provider_asks_for_is_kept() -> None:
    time = FakeTime()
    hold = ProviderHold(time)
    assert hold.trouble(retry_after=17) == 17
    time.advance(seconds(16))
    assert hold.active
    time.advance(seconds(1))
    assert not hold.active


def test_a_shorter_hold_never_cuts_a_longer_one() -> None:
    time = FakeTime()
    hold = ProviderHold(time)
    hold.trouble(retry_after=30)
    hold.trouble()
    time.advance(seconds(29))
    assert hold.active


def test_a_success_ends_the_hold_and_forgets_the_troubles() -> None:
    time = FakeTime()
    hold = ProviderHold(time)
    hold.trouble(retry_after=30)
    assert hold.well() is True
    assert not hold.active
    assert hold.well() is False
    assert hold.trouble() == 1
