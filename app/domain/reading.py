"""What is only read: figures over many jobs, and the calls of the past. Nothing here is a second truth: every number
is counted from the jobs and the ledger when it is asked for.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from app.domain.accounts import AccountStatus
from app.domain.batches import BatchStatus
from app.domain.calls import CallReport
from app.domain.jobs import AttemptRecord, JobState, WaitingFor
from app.domain.outcomes import Disposition
from app.domain.searching import AgeSort, Search
from app.domain.transactions import Usage

PICKED_UP = frozenset({Disposition.ANSWERED, Disposition.OPTED_OUT})
"""A person was on the line."""


def percent(part: int, whole: int) -> float:
    """To two places; 0 of nothing is 0."""
    return round(100 * part / whole, 2) if whole else 0.0


class Place(NamedTuple):
    """Where a page of a list ended, newest first: what comes after it is older, or of the same time and a lower id."""

    at: datetime
    id: str


@dataclass(frozen=True)
class JobFilter:
    """Which jobs a list is of; None: any. `person_key` (contacts.person_keys) and `search` need `account_ids`, and find
    few (`Jobs.count_found`)."""

    account_ids: frozenset[str] | None = None
    batch_id: str | None = None
    states: tuple[JobState, ...] | None = None
    waiting_for: tuple[WaitingFor, ...] | None = None
    person_key: str | None = None
    search: Search | None = None


class AccountInBrief(BaseModel):
    model_config = ConfigDict(frozen=True)

    account_id: str
    timezone: str
    status: AccountStatus


class PastCall(BaseModel):
    """One finished attempt, with what the list of calls shows of its job."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    account_id: str
    batch_id: str
    contact_name: str
    record: AttemptRecord
    report: CallReport | None = None
    """The provider's word on this call; kept for the last call of a job only."""


class CallScope(NamedTuple):
    """Which attempts: those dialed in [since, until)."""

    account_ids: Collection[str]
    batch_id: str | None
    since: datetime
    until: datetime


class Stretch(NamedTuple):
    """A span in which the clocks of a zone do not change."""

    since: datetime
    until: datetime
    offset: timedelta


class Slot(NamedTuple):
    """Of counted attempts: when on the wall clock, on which phone of the contact, and the how-manieth."""

    hour: int
    weekday: int
    """0 is Sunday."""
    phone: int
    """1 is the contact's first."""
    attempt: int


class Answered(NamedTuple):
    calls: int
    answered: int


class Milestone(StrEnum):
    """Which instant of a job a span is of."""

    CREATED = "created_at"
    FINISHED = "finished_at"


class Statistics(Protocol):
    """Figures, each from an index alone."""

    async def accounts(self, account_ids: Collection[str] | None) -> list[AccountInBrief]: ...
    async def batches(self, account_ids: Collection[str]) -> dict[BatchStatus, int]: ...
    async def jobs(self, account_ids: Collection[str]) -> dict[JobState, int]: ...
    async def jobs_since(
        self, account_ids: Collection[str], since: datetime, milestone: Milestone
    ) -> dict[JobState, int]:
        """By the state they are in now."""

    async def usage(self, account_ids: Collection[str], since: datetime | None = None) -> Usage: ...


class CallHistory(Protocol):
    """Finished attempts, from the histories of the jobs."""

    async def page(self, scope: CallScope, *, after: Place | None, limit: int, sort: AgeSort) -> list[PastCall]:
        """What it reads is in proportion to what it finds, not to what is stored."""

    async def count(self, scope: CallScope, at_most: int) -> int:
        """It stops counting at `at_most`."""

    async def activity(self, account_id: str, stretches: Sequence[Stretch]) -> dict[Slot, Answered]: ...
