"""Sharing out among claimants that take side by side."""

import asyncio
from collections.abc import Mapping

import pytest

from app.domain.errors import DatabaseUnavailable
from app.domain.fair_turns import Claimant, Turn
from app.services.turn_taking import take_in_turns

CLAIMANTS = {name: Claimant(Turn(), 1.0, most=2) for name in ("a", "b", "c")}


class Turns:
    async def advance_turns(self, costs: Mapping[str, float], *, since: float, reached: float) -> None: ...


async def test_they_do_not_wait_for_one_another() -> None:
    waiting: set[str] = set()
    all_there = asyncio.Event()

    async def take(name: str, items: int) -> list[str]:
        waiting.add(name)
        if len(waiting) == len(CLAIMANTS):
            all_there.set()
        await all_there.wait()
        return [name] * items

    async with asyncio.timeout(60):
        taken = await take_in_turns(6, CLAIMANTS, Turns(), take)
    assert sorted(taken) == ["a", "a", "b", "b", "c", "c"]


async def test_a_database_that_goes_away_is_told_once_nobody_takes_any_more() -> None:
    ended: list[str] = []

    async def take(name: str, _: int) -> list[str]:
        if name == "a":
            raise DatabaseUnavailable
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append(name)
        return []

    with pytest.raises(DatabaseUnavailable):
        await take_in_turns(3, CLAIMANTS, Turns(), take)
    assert sorted(ended) == ["b", "c"]
