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

FEW = 2000
"""An answer made of so few documents is never repeated, however slow the machine was just then: who changes something
sees it at once."""
REPEATED_TIMES = 10
CHEAP_SECONDS = 0.05
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
    is_repeatable: bool

    def is_good(self, now: float) -> bool:
        return self.is_repeatable and now < self._good_until

    def is_shown(self, now: float) -> bool:
        """While the next one is made."""
        was_dear = self.ended_at - self.begun_at > CHEAP_SECONDS
        return self.is_repeatable and was_dear and now < self._good_until + SHOWN_SECONDS

    @property
    def _good_until(self) -> float:
        return self.ended_at + REPEATED_TIMES * (self.ended_at - self.begun_at)


class Repeating(Generic[T]):
    """Repeats an answer for ten times as long as it took to make, so that this process spends no more than a tenth of
    the time on it; one that was made of few documents is given only to those who had asked before it was begun.

    After that a dear one is shown once more while the next one is made, unless it has become old. Only who asks first,
    or after a while without anybody, waits; several who do wait for the one that is being made.
    """

    def __init__(self, time: Time, made_of: Callable[[T], int]) -> None:
        """`made_of`: how many documents an answer is made of, about."""
        self._time = time
        self._made_of = made_of
        self._known: dict[Hashable, _Made[T]] = {}
        self._making: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._remaking = Remaking()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        if len(self._making) > KEPT:
            self._making.clear()
            self._known.clear()
        known, now = self._known.get(key), self._time.monotonic()
        if known is not None and known.is_good(now):
            return known.answer
        if known is not None and known.is_shown(now):
            self._remaking.begin(key, lambda: self._made(key, make))
            return known.answer
        return await self._made(key, make)

    async def _made(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        asked_at = self._time.monotonic()
        async with self._making[key]:
            known = self._known.get(key)
            begun_at = self._time.monotonic()
            if known is not None and (known.begun_at > asked_at or known.is_good(begun_at)):
                return known.answer
            answer = await make()
            ended_at = self._time.monotonic()
            self._known[key] = _Made(answer, begun_at, ended_at, self._made_of(answer) > FEW)
            return answer
