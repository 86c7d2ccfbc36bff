"""Writing down what already happened to a phone: the write is repeated, never the call."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from app.domain.errors import DatabaseUnavailable

log = structlog.get_logger("worker")

R = TypeVar("R")

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 5.0


async def persist(write: Callable[[], Awaitable[R]]) -> R:
    """Do `write` until MongoDB took it. It must be guarded by the fence, so that a late success changes nothing."""
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            return await write()
        except DatabaseUnavailable:
            log.warning("mongodb_waited_for", wait_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)
