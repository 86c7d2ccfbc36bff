"""Shares by weight, and nobody starves."""

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from app.domain.fair_turns import Claimant, Turn, share_out

WEIGHTS = st.dictionaries(
    st.text(min_size=1, max_size=3), st.sampled_from([2.0, 4.0, 8.0, 16.0]), min_size=1, max_size=6
)
PLENTY = 10_000


def claimants(weights: Mapping[str, float], turns: Mapping[str, Turn] | None = None) -> dict[str, Claimant]:
    known = turns or {}
    return {name: Claimant(known.get(name, Turn()), weight, PLENTY) for name, weight in weights.items()}


def rounds(weights: Mapping[str, float], sizes: list[int], turns: dict[str, Turn]) -> Counter[str]:
    """Who got how much in rounds of so many items; `turns` goes on."""
    got: Counter[str] = Counter()
    for size in sizes:
        everybody = claimants(weights, turns)
        shares = share_out(size, everybody)
        for name, share in shares.items.items():
            turns[name] = shares.turn_of(name, everybody[name])
            got[name] += share
    return got


@given(WEIGHTS, st.lists(st.integers(1, 50), min_size=20, max_size=60))
def test_everybody_gets_in_proportion_to_the_weight_whatever_the_size_of_the_rounds(
    weights: dict[str, float], sizes: list[int]
) -> None:
    got = rounds(weights, sizes, {})
    fair = {name: sum(sizes) * weight / sum(weights.values()) for name, weight in weights.items()}
    assert sum(got.values()) == sum(sizes)
    assert all(abs(got[name] - fair[name]) <= len(weights) for name in weights)


@given(WEIGHTS)
def test_nobody_waits_longer_than_for_one_turn_of_each_share(weights: dict[str, float]) -> None:
    """One item a round: the lightest is served at least once while the others get their shares once."""
    lightest = min(weights, key=lambda name: weights[name])
    cycle = round(sum(weights.values()) / weights[lightest])
    turns: dict[str, Turn] = {}
    for _ in range(5):
        assert rounds(weights, [1] * (cycle + len(weights)), turns)[lightest] >= 1


def test_equals_take_turns_in_the_order_given() -> None:
    turns: dict[str, Turn] = {}
    order = [next(iter(rounds({"a": 1, "b": 1, "c": 1}, [1], turns))) for _ in range(6)]
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_a_newcomer_has_nothing_to_catch_up_on() -> None:
    turns: dict[str, Turn] = {}
    rounds({"old": 1.0, "older": 1.0}, [1000], turns)
    got = rounds({"old": 1.0, "older": 1.0, "new": 1.0}, [1] * 90, turns)
    assert all(29 <= share <= 31 for share in got.values())


def test_one_that_slept_has_nothing_to_catch_up_on_either() -> None:
    turns: dict[str, Turn] = {}
    weights = {"day": 1.0, "night": 1.0, "always": 1.0}
    rounds(weights, [30], turns)
    rounds({"day": 1.0, "always": 1.0}, [5] * 200, turns)
    got = rounds(weights, [1] * 90, turns)
    assert all(29 <= share <= 31 for share in got.values())


def test_one_that_comes_and_goes_pays_what_it_owes() -> None:
    """Or it would be first at every return, and the others would wait for ever."""
    turns: dict[str, Turn] = {}
    got: Counter[str] = Counter()
    for _ in range(100):
        got += rounds({"restless": 1.0, "steady": 1.0}, [1], turns)
        got += rounds({"steady": 1.0, "other": 1.0}, [1], turns)
    assert got["steady"] >= 60


def test_nobody_gets_more_than_it_can_use() -> None:
    few = {"a": Claimant(Turn(), 1, 2), "b": Claimant(Turn(at=50), 1, 100), "none": Claimant(Turn(), 16, 0)}
    assert share_out(10, few).items == {"a": 2, "b": 8}
    assert share_out(1000, few).items == {"a": 2, "b": 100}
    assert share_out(0, few).items == {}
