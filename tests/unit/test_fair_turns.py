"""Shares by weight, and nobody starves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.services.fair_turns import FairTurns


def shares(weights: dict[str, float], rounds: int, turns: FairTurns | None = None) -> Counter[str]:
    """Who got how many of `rounds` single items."""
    turns = turns or FairTurns()
    given_to: Counter[str] = Counter()
    for _ in range(rounds):
        first = turns.in_turn(weights)[0]
        turns.give(first, 1, weights[first])
        given_to[first] += 1
    return given_to


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.sampled_from([2.0, 4.0, 8.0, 16.0]), min_size=1, max_size=6))
def test_everybody_gets_in_proportion_to_the_weight(weights: dict[str, float]) -> None:
    total = sum(weights.values())
    got = shares(weights, rounds=1000)
    assert all(abs(got[name] - 1000 * weight / total) <= len(weights) for name, weight in weights.items())


def test_equals_take_turns_in_the_order_given() -> None:
    turns = FairTurns()
    order = []
    for _ in range(6):
        order.append(turns.in_turn(["a", "b", "c"])[0])
        turns.give(order[-1], 1, 1)
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_a_newcomer_has_nothing_to_catch_up_on() -> None:
    turns = FairTurns()
    shares({"old": 1.0}, 1000, turns)
    got = shares({"old": 1.0, "new": 1.0}, 100, turns)
    assert abs(got["old"] - got["new"]) <= 2


def test_what_is_forgotten_is_bounded() -> None:
    turns = FairTurns()
    for number in range(FairTurns.KEPT + 10):
        turns.give(str(number), 1, 1)
    assert len(turns._passed) == FairTurns.KEPT
