"""Sharing out among many who may have less to do than they are offered, by turns that are stored."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from app.domain.fair_turns import Claimant, share_out

T = TypeVar("T")

AT_ONCE = 8
"""Claimants that take side by side: most of a look is waiting for the database."""


class Turns(Protocol):
    async def advance_turns(self, costs: Mapping[str, float], *, since: float, reached: float) -> None: ...


async def take_in_turns(
    items: int, claimants: Mapping[str, Claimant], turns: Turns, take: Callable[[str, int], Awaitable[list[T]]]
) -> list[T]:
    """Offer `items` to the claimants, each its share, until all are used or nobody wants more.

    `take` uses up to so many for one of them, and is asked for several side by side; who used less than it was offered
    is not asked again. A turn is written before it is used, and what was not used given back: a worker that dies
    between the two costs a claimant some of its turn, but one that dies at every claim cannot serve the same one for
    ever.
    """
    taken: list[T] = []
    waiting = dict(claimants)
    alone = len(claimants) == 1
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, share: int) -> list[T]:
        async with at_once:
            return await take(name, share)

    while (shares := share_out(items - len(taken), waiting)).items:
        if not alone:
            costs = {name: share / waiting[name].weight for name, share in shares.items.items()}
            await turns.advance_turns(costs, since=shares.since, reached=shares.reached)
        unused: dict[str, float] = {}
        results = await asyncio.gather(*(one(*item) for item in shares.items.items()), return_exceptions=True)
        for (name, share), used in zip(shares.items.items(), results, strict=True):
            if isinstance(used, BaseException):
                # Only now, that nobody takes any more.
                raise used
            taken += used
            claimant = waiting.pop(name)
            if len(used) == share:
                waiting[name] = Claimant(shares.turn_of(name, claimant), claimant.weight, claimant.most - share)
            else:
                unused[name] = -(share - len(used)) / claimant.weight
        if unused and not alone:
            await turns.advance_turns(unused, since=shares.since, reached=shares.reached)
    return taken
