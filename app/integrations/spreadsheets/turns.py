"""How many files are written at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.domain.errors import TooManyRequests

_RETRY_SECONDS = 15


class Turns:
    """Whoever does not get one within `patience_seconds` is told to come again."""

    def __init__(self, at_once: int, patience_seconds: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._patience_seconds = patience_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Raises TooManyRequests."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise TooManyRequests("too_many_files", _RETRY_SECONDS) from None
        try:
            yield
        finally:
            self._free.release()
