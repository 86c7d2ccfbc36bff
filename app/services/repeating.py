"""Answers that are dear to make and asked for by every open page."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from app.domain.errors import Unavailable
from app.domain.ports import Time

log = structlog.get_logger("reading")

T = TypeVar("T")

CHEAP_SECONDS = 0.05
REPEATED_TIMES = 10
SHOWN_SECONDS = 60.0
"""A dear answer may be this much older while the next one is being made: a page that polls is never kept waiting."""
KEPT = 1000


class Remaking:
    """Makes answers anew behind the back of those who got the last one; each at most once at a time."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def begin(self, key: Hashable, make: Callable[[], Awaitable[object]]) -> None:
        if key in self._tasks:
            return
        task = asyncio.create_task(_quietly(make))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))


async def _quietly(make: Callable[[], Awaitable[object]]) -> None:
    """Nobody waits for it. Who asks after the last answer has become too old is told what is wrong."""
    try:
        await make()
    except Unavailable:
        pass
    except Exception:
        log.exception("answer_not_remade")


@dataclass(frozen=True)
class _Made(Generic[T]):
    answer: T
    begun_at: float
    ended_at: float
    """Monotonic."""

    @property
    def was_dear(self) -> bool:
        return self.ended_at - self.begun_at > CHEAP_SECONDS

    @property
    def good_until(self) -> float:
        return self.ended_at + REPEATED_TIMES * (self.ended_at - self.begun_at)


class Repeating(Generic[T]):
    """Repeats an answer for ten times as long as it took to make, so that this process spends no more than a tenth of
    the time on it; one that was cheap is given only to those who had asked before it was begun.

    After that it is shown once more while the next one is made, unless it has become old. Only who asks first, or
    after a while without anybody, waits; several who do wait for the one that is being made.
    """

    def __init__(self, time: Time) -> None:
        self._time = time
        self._known: dict[Hashable, _Made[T]] = {}
        self._making: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._remaking = Remaking()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        if len(self._making) > KEPT:
            self._making.clear()
            self._known.clear()
        known, now = self._known.get(key), self._time.monotonic()
        if known is None or not known.was_dear or now >= known.good_until + SHOWN_SECONDS:
            return await self._made(key, make)
        if now >= known.good_until:
            self._remaking.begin(key, lambda: self._made(key, make))
        return known.answer

    async def _made(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        asked_at = self._time.monotonic()
        async with self._making[key]:
            known = self._known.get(key)
            begun_at = self._time.monotonic()
            if known is not None and (known.begun_at > asked_at or (known.was_dear and begun_at < known.good_until)):
                return known.answer
            answer = await make()
            ended_at = self._time.monotonic()
            self._known[key] = _Made(answer, begun_at, ended_at)
            return answer
