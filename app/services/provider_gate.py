"""What all workers together may ask of Retell: how many calls at once, how many starts a second, or nothing for now.

The truth is one document in MongoDB. Each worker reads it once a look, so what another worker found out is known here
within a poll; whatever is handed out (starts; slots, by the claim itself) is handed out by the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job
from app.domain.messages import Message
from app.domain.ports import CallProvider, ProviderLimits, Time
from app.domain.provider_errors import NotPlaced, ProviderError
from app.domain.provider_limits import (
    LATEST,
    RETELL_DEFAULT_CONCURRENCY,
    ProviderState,
    Trouble,
    spacing,
    starts_left,
)
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

HOLD_BASE = timedelta(seconds=1)
HOLD_CAP = timedelta(minutes=1)
OVER_LIMIT = "concurrency_limit_reached"
"""How Retell ends a call that it had no room for (retell.md §7.2)."""


@dataclass(frozen=True)
class GateSettings:
    calls_per_second: float
    """0: not limited."""
    max_concurrent: int | None
    """Our own ceiling; None: only Retell's."""


class ProviderGate:
    def __init__(
        self, limits: ProviderLimits, provider: CallProvider, control: WorkerControl, time: Time, settings: GateSettings
    ) -> None:
        self._limits = limits
        self._provider = provider
        self._control = control
        self._time = time
        self._settings = settings
        self._state = ProviderState()
        self._asked = False
        self._starts: dict[str, datetime] = {}

    async def look(self) -> None:
        """Take note of what all workers go by just now."""
        self._state = await self._limits.read()
        if self._state.max_concurrent is None and not self._asked:
            await self.ask_ceiling()

    # Pauses --------------------------------------------------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        return self._state.held(self._time.now()) is not None

    async def not_placed(self, error: NotPlaced) -> None:
        """Retell is away or throttles us: nobody claims for a while."""
        wait = None if error.retry_after is None else timedelta(seconds=error.retry_after)
        await self._hold(Trouble.REFUSED, error.detail, wait)

    async def placed(self) -> None:
        """Retell took a call."""
        await self._well(Trouble.REFUSED)

    async def ended(self, disconnection_reason: str | None) -> None:
        """A call came to its end at Retell: was it one too many?"""
        if disconnection_reason == OVER_LIMIT:
            await self._hold(Trouble.OVER_LIMIT, OVER_LIMIT, None)
        else:
            await self._well(Trouble.OVER_LIMIT)

    async def _hold(self, trouble: Trouble, detail: str, wait: timedelta | None) -> None:
        reason = Message(code="provider_waited_for", params={"detail": detail})
        try:
            hold, is_new = await self._limits.hold(trouble, reason, wait=wait, base=HOLD_BASE, cap=HOLD_CAP)
        except DatabaseUnavailable:
            # Without MongoDB nobody claims anyway, and the caller has something more important to write down.
            return
        self._state = self._state.model_copy(update={"hold": hold})
        if is_new:
            seconds = round((hold.until - self._time.now()).total_seconds(), 1)
            log.warning("retell_waited_for", trouble=trouble.value, detail=detail, wait_seconds=seconds)

    async def _well(self, trouble: Trouble) -> None:
        hold = self._state.hold
        if hold is None or hold.trouble is not trouble or self.is_held:
            # What began before the pause proves nothing: only what follows it does.
            return
        self._state = self._state.model_copy(update={"hold": None})
        try:
            if await self._limits.end_hold(hold.hold_id):
                log.info("retell_answers_again")
        except DatabaseUnavailable:
            return

    # Calls at once -------------------------------------------------------------------------------------------------

    @property
    def ceiling(self) -> int:
        """Calls that all workers together may have in progress."""
        known = [limit for limit in (self._settings.max_concurrent, self._state.max_concurrent) if limit is not None]
        return min(known, default=RETELL_DEFAULT_CONCURRENCY)

    async def ask_ceiling(self) -> None:
        """Ask Retell for its limit. While it does not answer, what it said last stands."""
        self._asked = True
        try:
            maximum = await self._provider.max_concurrent()
        except ProviderError as error:
            log.warning("retell_concurrency_unknown", detail=error.detail, ceiling=self.ceiling)
            return
        if maximum != self._state.max_concurrent:
            await self._limits.set_max_concurrent(maximum)
            self._state = self._state.model_copy(update={"max_concurrent": maximum})
            log.info("retell_concurrency", said=maximum, ceiling=self.ceiling)

    # Calls a second ------------------------------------------------------------------------------------------------

    def startable(self, capacity: int) -> int:
        """How many of `capacity` jobs could start soon enough to be worth taking now."""
        if self.is_held:
            return 0
        if not self._settings.calls_per_second:
            return capacity
        left = starts_left(self._state.next_start_at, self._settings.calls_per_second, self._time.now())
        return min(capacity, left)

    async def schedule(self, jobs: Sequence[Job]) -> None:
        """Take a start for each of `jobs`, which were just claimed."""
        rate = self._settings.calls_per_second
        if not rate or not jobs:
            return
        apart = spacing(rate)
        first = await self._limits.take_starts(len(jobs), apart)
        for number, job in enumerate(jobs):
            self._starts[job.job_id] = first + number * apart

    async def wait_for_start(self, job: Job) -> datetime | None:
        """Return when `job` may be dialed, or the worker stops: the latest moment to ask Retell, None for any."""
        if not self._settings.calls_per_second:
            return None
        if job.job_id not in self._starts:
            await self.schedule([job])
        start = self._starts.pop(job.job_id)
        await self._control.rest((start - self._time.now()).total_seconds())
        return start + LATEST
