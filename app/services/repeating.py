"""Answers that are dear to make and asked for by every open page."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from app.domain.ports import Time

T = TypeVar("T")

CHEAP_SECONDS = 0.05
REPEATED_TIMES = 10
KEPT = 1000


class Repeating(Generic[T]):
    """Repeats an answer for ten times as long as it took to make, so that this process spends no more than a tenth of
    the time on it; one that was cheap is not repeated at all. Who asks meanwhile waits for the one that is being made.
    """

    def __init__(self, time: Time) -> None:
        self._time = time
        self._known: dict[Hashable, tuple[T, float]] = {}
        """The answer, and until when (monotonic) it may be repeated."""
        self._making: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        if len(self._making) > KEPT:
            self._making.clear()
            self._known.clear()
        async with self._making[key]:
            known = self._known.get(key)
            started_at = self._time.monotonic()
            if known is not None and started_at < known[1]:
                return known[0]
            answer = await make()
            now = self._time.monotonic()
            took = now - started_at
            if took > CHEAP_SECONDS:
                self._known[key] = (answer, now + REPEATED_TIMES * took)
            return answer
