"""How long contacts wait who might be called: from there to the request, and nothing that they wait for on purpose.

A contact might be called from the latest of: its `due_at`; the end of what blocked its batch (hours, money, a resting
number …); the last change of the batch by its operators; the last look at its batch that left it behind (no free line,
no turn, no start at Retell, its zone closed); the start of this worker, for before that nobody may have run.

A batch that sleeps too long is not looked at, and its contacts' wait grows: this is meant to be seen.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from app.domain.batches import Batch
from app.domain.jobs import Job
from app.domain.metrics import Metrics
from app.domain.ports import Time


class Promptness:
    def __init__(self, metrics: Metrics, time: Time) -> None:
        self._metrics = metrics
        self._time = time
        self._started_at = time.now()
        self._looked_at: dict[str, datetime] = {}
        self._callable_since: dict[str, datetime] = {}

    def claimed(self, batch: Batch, jobs: Sequence[Job]) -> None:
        """`jobs` were taken; `batch` as it was when this look began."""
        since = max(self._looked_at.get(batch.batch_id, self._started_at), batch.updated_at)
        if batch.block is not None and batch.wake_at is not None:
            since = max(since, batch.wake_at)
        for job in jobs:
            self._callable_since[job.job_id] = max(since, job.due_at)

    def looked(self, batches: Iterable[Batch], now: datetime) -> None:
        """A look at `batches` that began `now` has taken all that it could. What is not among them slept."""
        self._looked_at = {batch.batch_id: now for batch in batches}

    def asked(self, job: Job) -> None:
        """The provider is being asked for the call."""
        since = self._callable_since.get(job.job_id)
        if since is not None:
            self._metrics.call_requested(max(0.0, (self._time.now() - since).total_seconds()))

    def forget(self, job: Job) -> None:
        self._callable_since.pop(job.job_id, None)
