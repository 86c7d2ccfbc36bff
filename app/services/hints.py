"""What webhooks tell about the jobs in this process's hands, on its way from the database to whoever follows a call."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from app.domain.jobs import Job
from app.domain.ports import CallHints
from app.services.worker_control import WorkerControl


@dataclass
class Heard:
    """What was heard of one attempt."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by news; whoever looks at the call clears it first."""
    at: datetime | None = None
    """When the last news came."""
    call_ids: list[str] = field(default_factory=list)
    """Every call that was named for the attempt, in the order of hearing."""

    def add(self, call_ids: Iterable[str]) -> None:
        self.call_ids += [call_id for call_id in call_ids if call_id not in self.call_ids]


class Hints:
    def __init__(self, store: CallHints, control: WorkerControl) -> None:
        self._store = store
        self._control = control
        self._open: dict[str, Heard] = {}

    @contextmanager
    def listening(self, job: Job) -> Iterator[None]:
        """For as long as `job` is in hand: what is heard of its attempt is kept."""
        if job.attempt_id is None:
            yield
            return
        self._open[job.attempt_id] = Heard()
        try:
            yield
        finally:
            del self._open[job.attempt_id]

    def of(self, job: Job) -> Heard:
        """What was heard of the job's attempt, here or by those who held it before."""
        heard = self._open.get(job.attempt_id or "") or Heard()
        heard.add(job.heard_call_ids)
        return heard

    async def take(self) -> None:
        """Pass on what the API has stored since the last time: one query, whatever the number of calls."""
        # What came for a job whose handling is just about to begin waits for the next time.
        hints = [hint for hint in await self._store.of_worker(self._control.worker_id) if hint.attempt_id in self._open]
        for hint in hints:
            heard = self._open[hint.attempt_id]
            heard.add(hint.call_ids)
            heard.at = self._control.time.now()
            heard.news.set()
        await self._store.take(hints)
