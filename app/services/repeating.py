"""Answers that are dear to make and asked for by every open page."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
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


class Repeating(Generic[T]):
    """Repeats an answer for ten times as long as it took to make, so that this process spends no more than a tenth of
    the time on it; one that was cheap is not repeated at all.

    After that it is shown once more while the next one is made, unless it has become old. Only who asks first, or
    after a while without anybody, waits; several who do wait for the one that is being made.
    """

    def __init__(self, time: Time) -> None:
        self._time = time
        self._known: dict[Hashable, tuple[T, float]] = {}
        """The answer, and until when (monotonic) it may be repeated."""
        self._making: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._remaking = Remaking()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        if len(self._making) > KEPT:
            self._making.clear()
            self._known.clear()
        known, now = self._known.get(key), self._time.monotonic()
        if known is None or now >= known[1] + SHOWN_SECONDS:
            return await self._made(key, make)
        if now >= known[1]:
            self._remaking.begin(key, lambda: self._made(key, make))
        return known[0]

    async def _made(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
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
            else:
                self._known.pop(key, None)
            return answer
