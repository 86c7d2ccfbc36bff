"""The overview of the whole system, kept fresh for whoever monitors it: at most one look every few seconds, of all
processes together, however many ask and however often."""

import asyncio

import structlog

from app.domain.errors import Unavailable
from app.domain.overview import Overview, Overviews
from app.domain.ports import Time

log = structlog.get_logger("api")

EVERY_SECONDS = 15.0
TIMES_ITS_COST = 100
"""A look that took long is repeated the less often: at most a hundredth of the database's time is spent on this."""
PATIENCE_SECONDS = 2.0
"""Whoever asks is answered by then, with what was known before if need be."""


class OverviewService:
    def __init__(self, overviews: Overviews, time: Time) -> None:
        self._overviews = overviews
        self._time = time
        self._known: Overview | None = None
        self._next_at = 0.0
        self._looking = asyncio.Lock()

    async def latest(self) -> Overview | None:
        """What was seen last, here or by another process; None if nobody could look yet."""
        if self._time.monotonic() >= self._next_at and not self._looking.locked():
            async with self._looking:
                await self._refresh()
        return self._known

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if await self._overviews.take_turn(EVERY_SECONDS):
                    await self._look()
                else:
                    self._known = await self._overviews.stored() or self._known
            self._next_at = self._time.monotonic() + EVERY_SECONDS / 3
        except (Unavailable, TimeoutError) as error:
            log.warning("overview_not_taken", reason=type(error).__name__)

    async def _look(self) -> None:
        began_at = self._time.monotonic()
        self._known = await self._overviews.look(self._time.now())
        took = self._time.monotonic() - began_at
        await self._overviews.store(self._known, max(EVERY_SECONDS, TIMES_ITS_COST * took))
