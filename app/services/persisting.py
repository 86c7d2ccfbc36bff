"""Writing down what already happened to a phone: the write is repeated, never the call."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from app.domain.errors import DatabaseUnavailable
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

R = TypeVar("R")

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 5.0


async def persist(control: WorkerControl, write: Callable[[], Awaitable[R]]) -> R:
    """Do `write` until MongoDB took it. It must be guarded by the fence, so that a late success changes nothing.

    Raises DatabaseUnavailable only when the worker must end: then whoever adopts the job finds out what happened.
    """
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            return await write()
        except DatabaseUnavailable:
            if control.ending.is_set():
                raise
            log.warning("mongodb_waited_for", wait_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)
