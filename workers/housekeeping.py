"""The loop beside the calls that erases what is to be erased. In small steps: calls never wait for it."""

import asyncio
from dataclasses import dataclass

import structlog

from app.domain.errors import Unavailable
from app.domain.metrics import Metrics
from app.domain.privacy import ErasingStep
from app.services.erasing import Erasing
from app.services.provider_copies import DeletingCopies
from app.services.retaining import Retaining

log = structlog.get_logger("worker")

ROUND_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 60.0


@dataclass(frozen=True)
class Housekeeping:
    erasing: Erasing
    deleting: DeletingCopies
    retaining: Retaining
    metrics: Metrics

    async def round(self) -> int:
        """One step of each kind; whether there was any. Raises Unavailable."""
        done = 0
        steps = {
            ErasingStep.PERSON: self.erasing.resume,
            ErasingStep.PROVIDER: self.deleting.round,
            ErasingStep.AGE: self.retaining.round,
        }
        for step, go in steps.items():
            try:
                done += await go()
            except Unavailable:
                raise
            except Exception:
                # It is come upon again as soon as its lease is over: all that is due behind it, or of another kind,
                # would never be erased.
                self.metrics.erasing_failed(step)
                log.exception("loop_failed", loop="housekeeping", step=step.value)
        return done

    async def keep(self, ended: asyncio.Event) -> None:
        """Until `ended`."""
        wait = ROUND_SECONDS
        while not ended.is_set():
            try:
                await self.round()
                wait = ROUND_SECONDS
            except Unavailable as error:
                wait = min(wait * 2, LONGEST_BACKOFF_SECONDS)
                log.warning("dependency_waited_for", loop="housekeeping", reason=error.code, wait_seconds=wait)
            try:
                async with asyncio.timeout(wait):
                    await ended.wait()
            except TimeoutError:
                continue
