"""What a batch's live stream shows: its status and the newest lines of its log, looked at together for all who watch.

However many listen, a process looks at a batch at most once in LOOK_SECONDS. Nobody watches in the background: a look
is made by whoever asks first, and shared.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass

from app.domain.batches import LoggedEntry
from app.domain.estimate import Estimate
from app.domain.ports import Batches, Time
from app.services.batches import CLOSED, BatchService, BatchView

LOOK_SECONDS = 1.0
NEWEST = 50
"""Log lines of one look, and those that a listener without a past is sent."""
MOST_MISSED = 500
"""Log lines that are made up for after an interruption; older ones are in the log itself."""
KEPT = 1000


@dataclass(frozen=True)
class Look:
    """A batch as it was a moment ago."""

    view: BatchView
    estimate: Estimate | None
    log: list[LoggedEntry]
    """The newest lines, in the order in which they happened."""
    at: float
    """Monotonic."""
    looks_idle: bool
    """It is over, and no contact of it was seen waiting or being called."""
    is_over: bool
    """Two looks in a row found it so: between counts a job may be on its way from one state to the next."""


class LiveBatches:
    def __init__(self, service: BatchService, batches: Batches, time: Time) -> None:
        self._service = service
        self._batches = batches
        self._time = time
        self._looks: dict[str, Look] = {}
        self._looking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def look(self, batch_id: str) -> Look:
        """The batch as of now or of a moment ago. Raises NotFound, DatabaseUnavailable."""
        if len(self._looking) > KEPT:
            self._looks.clear()
            self._looking.clear()
        async with self._looking[batch_id]:
            known = self._looks.get(batch_id)
            if known is None or self._time.monotonic() - known.at >= LOOK_SECONDS:
                known = self._looks[batch_id] = await self._look(batch_id, known)
            return known

    async def missed(self, batch_id: str, last: str) -> list[LoggedEntry] | None:
        """The log's lines after the one with id `last`; None if there is no such line."""
        return await self._batches.logged_after(batch_id, last, limit=MOST_MISSED)

    async def _look(self, batch_id: str, before: Look | None) -> Look:
        view, estimate = await self._service.status(batch_id)
        lines = await self._batches.newest_logged(batch_id, limit=NEWEST)
        progress = view.progress
        idle = view.batch.status in CLOSED and not progress.pending and not progress.in_progress
        return Look(
            view=view,
            estimate=estimate,
            log=lines,
            at=self._time.monotonic(),
            looks_idle=idle,
            is_over=idle and before is not None and before.looks_idle,
        )
