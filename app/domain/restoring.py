"""After a backup was restored: the calls that Retell knows and the database has forgotten.

Whoever was called since the backup waits in it as if nobody had called, and would be called again. Retell keeps our ids
with every call (`metadata`), so each call finds its job; there it is made an attempt like any other, and settled.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from app.domain.batches import Batch
from app.domain.calls import CallReport
from app.domain.jobs import Attempt, Job
from app.domain.outcomes import Effect, outcome_of

HELD = "after_restore: not to be called before forgotten calls are found"
"""The `suspension_reason` of accounts that were suspended because a backup was restored."""


class PastCall(BaseModel):
    """A call as Retell's list has it, with what we had told Retell of it."""

    model_config = ConfigDict(frozen=True)

    report: CallReport
    """Without what was said: lists leave that out."""
    job_id: str | None = None
    batch_id: str | None = None
    account_id: str | None = None
    to_number: str = ""
    from_number: str | None = None

    @property
    def at(self) -> datetime | None:
        return self.report.started_at or self.report.ended_at


class CallArchive(Protocol):
    """Retell's list of calls. Raises a ProviderError."""

    def calls_of_batch(self, batch_id: str) -> AsyncIterator[PastCall]:
        """All calls that carry the batch's id."""

    def calls_since(self, since: datetime) -> AsyncIterator[PastCall]:
        """Our calls that began or ended since then; one may come twice."""


class RestoredDatabase(Protocol):
    async def hold_accounts(self, now: datetime) -> int:
        """Suspend every active account, and say why (HELD); how many that were."""

    async def note_recovery(self, begun_at: datetime, finished_at: datetime | None) -> None:
        """`finished_at` None: it is not known any more, or not yet, whether everything was found."""

    async def recovered_at(self) -> datetime | None:
        """When the last recovery ended with nothing left to be found; None: it did not, or there was none."""

    async def active_accounts(self) -> int: ...
    async def held_accounts(self) -> list[str]: ...
    async def unfinished_batches(self) -> list[Batch]:
        """Hidden ones, too."""

    async def has_calls(self, batch_ids: Sequence[str]) -> bool:
        """Whether somebody was called in any of these batches."""

    async def existing_jobs(self, job_ids: Sequence[str]) -> set[str]: ...
    async def job(self, job_id: str) -> Job | None: ...
    async def take_up(self, job: Job, attempt: Attempt, report: CallReport, *, by: str, lease: timedelta) -> Job | None:
        """Whatever the state of the job: it is `in_call` with this attempt. None: it changed, or somebody holds it."""


def in_order(calls: Iterable[PastCall]) -> list[PastCall]:
    """As Retell has them, which may be off by what it knows of their times: but the call that completed its job was the
    last that is over, and only after it may one go on. In another order somebody who was reached would be called again.
    """
    return sorted(calls, key=lambda call: (not call.report.is_over, outcome_of(call.report).effect is Effect.FINISH))


def forgotten(job: Job, calls: Iterable[PastCall]) -> list[PastCall]:
    """Those of the job's calls that it knows nothing of, in order."""
    known = {record.attempt_id for record in job.history} | ({job.attempt.attempt_id} if job.attempt else set())
    # A history keeps its newest records only: what is older than the oldest of them was known once.
    oldest = min((record.dialed_at for record in job.history), default=None)
    unknown = [
        call
        for call in in_order(calls)
        if call.report.attempt_id not in known and (oldest is None or call.at is None or call.at >= oldest)
    ]
    # Of several calls of one attempt, which must never be, the one that says most.
    return list({call.report.attempt_id: call for call in unknown}.values())


def attempt_again(
    job: Job, batch: Batch, call: PastCall, now: datetime, *, reserved: Decimal, reserved_cost: Decimal | None
) -> Attempt:
    """The attempt that `call` was, as far as it can be told."""
    phones = job.contact.phones
    return Attempt(
        attempt_id=call.report.attempt_id or "",
        number=job.attempts + 1,
        phone=call.to_number,
        phone_index=phones.index(call.to_number) if call.to_number in phones else job.next_phone_index,
        from_number=call.from_number,
        max_duration_seconds=batch.call_settings.max_call_duration,
        ring_seconds=batch.call_settings.ring_timeout,
        reserved=reserved,
        reserved_cost=reserved_cost,
        request_body="",
        intent_at=call.at or now,
        call_id=call.report.call_id,
    )
