"""Bodies of /workers."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from app.api.schemas.common import Instant, Reply, Request
from app.domain.workers import Worker, WorkerState

LONGEST_DRAIN_SECONDS = 4 * 3600


class DrainWorker(Request):
    within_seconds: Annotated[int, Field(ge=0, le=LONGEST_DRAIN_SECONDS)] = Field(
        default=600, description="Calls that are not over by then are handed over to other workers; 0: all, at once."
    )

    @property
    def within(self) -> timedelta:
        return timedelta(seconds=self.within_seconds)


class WorkerReply(Reply):
    worker_id: str = Field(description="Of this start of it: a successor has another.")
    state: WorkerState = Field(
        description="draining: takes nothing new, and stops; lost: not heard of for a whole lease, others have taken "
        "over what it held."
    )
    host: str
    pid: int
    version: str = Field(description="Of the release that it runs.")
    schema_version: int = Field(
        description="Of the data that its code works with (docs/operations.md, Upgrades); 0: of code that does not say."
    )
    is_older: bool = Field(
        description="Whether its code is older than that of the API that answers: after an upgrade, whoever is at work "
        "and still has to hand over."
    )
    started_at: Instant
    last_seen_at: Instant
    concurrency: int = Field(description="Calls that it handles at once, at most.")
    in_use: int = Field(description="How many of these places are taken.")
    calls_in_flight: int = Field(description="Of the jobs in hand, those whose phone rings, talks, or perhaps does.")
    clock_offset_seconds: float = Field(
        description="How far its machine's clock is behind the database's. Calls are placed by the database's."
    )
    drain_until: Instant | None = Field(description="When what is left of a drain is handed over.")
    drain_requested_by: str | None


def worker_reply(worker: Worker, now: datetime, code_version: int) -> WorkerReply:
    """`code_version`: of whoever answers."""
    shown = worker.model_dump(exclude={"state", "lease_seconds"})
    return WorkerReply(state=worker.state_at(now), is_older=worker.schema_version < code_version, **shown)
