"""What the parts of a worker share: whether it is stopping, whether it may still dial, and who it is."""

import asyncio
import math
import random
from dataclasses import dataclass, field
from datetime import timedelta

from app.domain.ports import Time
from app.domain.retry_policy import backoff


@dataclass
class WorkerControl:
    """One worker process. `worker_id` is unique to this start of it, so that no successor is taken for it."""

    worker_id: str
    time: Time
    lease: timedelta
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Told to stop: nothing new is begun."""
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Out of patience: even what should be finished is left as it stands."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Asked to take nothing new, and to stop once what is in hand is over, or `drain_until` (monotonic) is."""
    drain_until: float = math.inf
    renewed_at: float = field(init=False)
    """Monotonic time of the start of the last heartbeat that reached the database."""

    def __post_init__(self) -> None:
        self.renewed_at = self.time.monotonic()

    def may_dial(self) -> bool:
        """False once the worker stops, or can no longer be sure that its leases hold.

        The limit of two thirds leaves the time for a request under way to end before another worker may adopt the job.
        """
        fresh = self.time.monotonic() - self.renewed_at < self.lease.total_seconds() * 2 / 3
        return fresh and not self.stopping.is_set()

    @property
    def leaves(self) -> bool:
        """Whether nothing new is taken any more."""
        return self.draining.is_set() or self.stopping.is_set()

    def drain(self, seconds: float) -> None:
        """Leave, patiently: at most `seconds` from now. Asked again, the earlier end counts."""
        self.drain_until = min(self.drain_until, self.time.monotonic() + seconds)
        self.draining.set()

    async def pause(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        """Sleep `seconds` ± 20 %, or until `wake`, or until the worker is told to stop."""
        await self.rest(seconds * random.uniform(0.8, 1.2), wake)  # noqa: S311 - jitter, not a secret

    async def rest(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        """Sleep exactly `seconds`, or until `wake`, or until the worker is told to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.told(*([wake] if wake else []))
        except TimeoutError:
            return

    async def told(self, *events: asyncio.Event) -> None:
        """Wait for any of `events`, or for the worker to be told to stop."""
        waits = [asyncio.create_task(event.wait()) for event in (self.stopping, *events)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


class ProviderHold:
    """While Retell throttles its questions, this process asks none. Calls wait by services/provider_gate.py instead."""

    BASE = timedelta(seconds=1)
    CAP = timedelta(minutes=1)

    def __init__(self, time: Time) -> None:
        self._time = time
        self._until = 0.0
        self._troubles = 0

    @property
    def active(self) -> bool:
        return self._time.monotonic() < self._until

    def trouble(self, retry_after: float | None = None) -> float:
        """Note one more failure in a row; the seconds that nothing is claimed from now on."""
        if not self.active:
            # Those under way together when Retell went away are one trouble, not a hundred.
            self._troubles += 1
        seconds = retry_after or backoff(self._troubles, self.BASE, self.CAP).total_seconds()
        self._until = max(self._until, self._time.monotonic() + seconds)
        return seconds

    def well(self) -> bool:
        """Note a success; whether it ends a trouble."""
        ended = self._troubles > 0
        self._troubles, self._until = 0, 0.0
        return ended
