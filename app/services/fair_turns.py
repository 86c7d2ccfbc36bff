"""Whose turn is it? Stride scheduling: everybody gets in proportion to a weight, and nobody starves.

Each id has a virtual time that advances by 1/weight with every item it is given; the smallest is next. One process's
view is enough: all processes converge to the same shares.
"""

from collections.abc import Iterable


class FairTurns:
    KEPT = 10_000
    """Ids remembered; forgetting one only makes it a newcomer."""

    def __init__(self) -> None:
        self._passed: dict[str, float] = {}
        self._now = 0.0

    def in_turn(self, ids: Iterable[str]) -> list[str]:
        """`ids`, whoever has waited longest for its share first; equals stay in the order given."""
        ordered = sorted(ids, key=self._time_of)
        if ordered:
            # A newcomer, or one that had nothing to do for a while, starts here: it has nothing to catch up on.
            self._now = max(self._now, self._time_of(ordered[0]))
        return ordered

    def give(self, id_: str, items: int, weight: float) -> None:
        """Note that `id_` got `items`."""
        if not items:
            return
        passed = self._time_of(id_) + items / weight
        self._passed.pop(id_, None)
        self._passed[id_] = passed
        if len(self._passed) > self.KEPT:
            # The one that was served longest ago.
            del self._passed[next(iter(self._passed))]

    def _time_of(self, id_: str) -> float:
        return max(self._passed.get(id_, 0.0), self._now)
