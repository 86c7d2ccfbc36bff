"""The loop beside the calls that tells customers' systems what happened. A dependency that is away is waited for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from app.domain.errors import Unavailable
from app.services.delivering import Delivering
from app.services.telling import Telling

log = structlog.get_logger("worker")

ROUND_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 15.0


@dataclass(frozen=True)
class Outgoing:
    telling: Telling
    delivering: Delivering

    async def round(self) -> int:
        """Once through what there is to tell and to send. Raises Unavailable."""
        return await self.telling.round() + await self.delivering.round()

    async def keep(self, ended: asyncio.Event, *, finish: Callable[[], bool] = lambda: False) -> None:
        """Until `ended`; and then, as long as `finish` says so, until what is due has been sent."""
        wait = ROUND_SECONDS
        while not ended.is_set():
            try:
                await self.round()
                wait = ROUND_SECONDS
            except Unavailable as error:
                wait = min(wait * 2, LONGEST_BACKOFF_SECONDS)
                log.warning("dependency_waited_for", loop="outgoing", reason=error.code, wait_seconds=wait)
            except Exception:
                log.exception("loop_failed", loop="outgoing")
                wait = LONGEST_BACKOFF_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await ended.wait()
            except TimeoutError:
                continue
        await self._finish(finish)
        await self.delivering.end()

    async def _finish(self, goes_on: Callable[[], bool]) -> None:
        try:
            while goes_on() and await self.round():
                await self.delivering.turns_end()
        except Unavailable as error:
            log.warning("outgoing_left", reason=error.code)
