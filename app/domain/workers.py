"""The worker processes as everybody may see them: each writes down itself, and reads there what it was asked to do.

Nothing is decided by this register: who may take a job is decided by leases, so a worker that cannot write itself down,
or that is taken for lost, does no harm and suffers none.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict

KEPT_FOR = timedelta(days=1)
"""How long a worker that says nothing any more is remembered."""


class WorkerState(StrEnum):
    RUNNING = "running"
    DRAINING = "draining"
    """Takes nothing new: asked to, or told to stop."""
    STOPPED = "stopped"
    LOST = "lost"
    """Never said goodbye, and has not been heard of for a whole lease: others have taken over what it held."""


class Vitals(BaseModel):
    """What a worker says of itself, again and again."""

    model_config = ConfigDict(frozen=True)

    host: str
    pid: int
    version: str
    schema_version: int = 0
    """The version of data that its code works with; 0 of code older than this field."""
    state: WorkerState
    """Never LOST: that is for others to see."""
    concurrency: int
    in_use: int
    """Places taken: jobs in hand, at whatever step."""
    calls_in_flight: int
    """Those of them whose phone rings, talks, or perhaps does."""
    clock_offset_seconds: float
    """How far its machine's clock is behind the MongoDB primary's. Nothing is decided by the machine's clock."""
    lease_seconds: float


class Worker(Vitals):
    """One start of one process."""

    worker_id: str
    started_at: datetime
    last_seen_at: datetime
    """The primary's time, as all times here."""
    drain_until: datetime | None = None
    """Asked to take nothing new, to see its calls to their end until then, and to stop."""
    drain_requested_by: str | None = None

    def state_at(self, now: datetime) -> WorkerState:
        if self.state is WorkerState.STOPPED:
            return WorkerState.STOPPED
        if now - self.last_seen_at > timedelta(seconds=self.lease_seconds):
            return WorkerState.LOST
        return self.state if self.drain_until is None else WorkerState.DRAINING

    def is_at_work(self, now: datetime) -> bool:
        return self.state_at(now) in {WorkerState.RUNNING, WorkerState.DRAINING}

    @property
    def name(self) -> str:
        """What it was started as; the rest of its id tells its starts apart."""
        return self.worker_id.rpartition(":")[0] or self.worker_id


class Workers(Protocol):
    async def note(self, worker_id: str, vitals: Vitals) -> Worker:
        """Write down what the worker says of itself; what others asked of it is in the answer."""

    async def get(self, worker_id: str) -> Worker | None: ...
    async def all(self) -> Sequence[Worker]:
        """Those of the last KEPT_FOR, newest first."""

    async def ask_to_drain(self, worker_id: str, within: timedelta, by: str) -> Worker | None:
        """Repeatable; the earliest end that was asked for counts. None: no such worker, or it has stopped."""
