"""Whose turn is it? Stride scheduling: everybody gets in proportion to a weight, and nobody starves. Pure.

Each claimant has a virtual time that advances by 1/weight with every item; whoever is furthest behind is next. It is
stored with the batch or account that it belongs to, so all worker processes, however many and however short their
lives, share one order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from pydantic import BaseModel, ConfigDict


class Turn(BaseModel):
    """How far somebody was served, in virtual time."""

    model_config = ConfigDict(frozen=True)

    at: float = 0
    floor: float = 0
    """The virtual time of all, when this one was last served."""


@dataclass(frozen=True)
class Claimant:
    turn: Turn
    weight: float
    most: int
    """It can use no more items than this."""


@dataclass(frozen=True)
class Shares:
    items: dict[str, int]
    """How many each gets, whoever is first in turn first."""
    since: float
    """The virtual time of all before: where a newcomer starts, or one that had nothing to do for a while. Such a one
    has nothing to catch up on, but pays what it owes."""
    reached: float
    """The same afterwards."""

    def turn_of(self, name: str, claimant: Claimant) -> Turn:
        """Its turn once it used its share."""
        served = self.items.get(name, 0) / claimant.weight
        return Turn(at=max(claimant.turn.at, self.since) + served, floor=self.reached)


def share_out(items: int, claimants: Mapping[str, Claimant]) -> Shares:
    """Give `items` one by one to whoever is furthest behind; to equals in the order of `claimants`."""
    able = {name: claimant for name, claimant in claimants.items() if claimant.most > 0}
    known = max((claimant.turn.floor for claimant in able.values()), default=0.0)
    at = {name: max(claimant.turn.at, known) for name, claimant in able.items()}
    since = min(at.values(), default=0.0)
    queue = [(at[name], place, name) for place, name in enumerate(able)]
    heapify(queue)
    shares: dict[str, int] = {}
    while queue and items > 0:
        _, place, name = heappop(queue)
        shares[name] = shares.get(name, 0) + 1
        at[name] += 1 / able[name].weight
        items -= 1
        if shares[name] < able[name].most:
            heappush(queue, (at[name], place, name))
    return Shares(shares, since, reached=min(at.values(), default=0.0))
