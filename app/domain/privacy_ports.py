"""What erasing needs from outside. Repository methods raise DatabaseUnavailable."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from app.domain.jobs import JobState
from app.domain.privacy import AgedBatch, Calls, CopiesLeft, Erasure, Found, ProviderCopy, Sought


class JobOfPerson(NamedTuple):
    job_id: str
    batch_id: str
    state: JobState


class PersonalData(Protocol):
    """Wherever it is stored. Everything that erases is safe to repeat."""

    async def keys_of(self, account_id: str, sought: Sought) -> list[list[str]]:
        """The person keys of every contact that is meant."""

    async def count(self, account_id: str, sought: Sought) -> Found: ...
    async def jobs_of(self, account_id: str, sought: Sought) -> list[JobOfPerson]: ...
    async def test_calls_about(self, account_id: str, sought: Sought) -> list[JobOfPerson]:
        """Whose words are of the person, though somebody else is called."""

    async def imports_begun(self, account_id: str, until: datetime) -> int:
        """How many that began not later go on: they may have in memory what was erased since."""

    async def calls_of(self, job_id: str) -> Calls:
        """Calls of a job that is not erased yet."""

    async def erase_job(self, job_id: str, now: datetime) -> bool:
        """False if it is not final, has changed since it was read, or is erased already."""

    async def erase_contacts(self, account_id: str, sought: Sought) -> int: ...
    async def erase_upload_rows(self, account_id: str, sought: Sought) -> int: ...
    async def erase_deliveries(self, job_ids: Sequence[str]) -> int: ...
    async def erase_mentions(self, batch_ids: Collection[str], hidden: dict[str, str]) -> None:
        """What others said of calls in these batches and may quote a number; `hidden` by each key of the person."""


class AgedData(Protocol):
    async def jobs_behind(self, batch_id: str, after: str, limit: int) -> list[tuple[str, Calls]]:
        """The batch's jobs in their order, with their calls (of one that is not final: none); "" begins."""

    async def is_untold(self, job_ids: Sequence[str]) -> bool:
        """Whether a webhook is still to be told of one of them."""

    async def erase_jobs(self, job_ids: Sequence[str], now: datetime) -> int: ...
    async def are_left(self, job_ids: Sequence[str]) -> bool:
        """Whether one of them is not erased."""

    async def erase_recordings(self, job_ids: Sequence[str]) -> int: ...
    async def erase_deliveries(self, job_ids: Sequence[str]) -> int: ...
    async def erase_contacts_of(self, batch_id: str, limit: int) -> int: ...


class AgedBatches(Protocol):
    async def account_ids(self, *, only_who_chose: bool) -> list[str]:
        """Of all accounts, or of those that say themselves how long."""

    async def oldest(self, account_id: str, before: datetime, *, everything: bool) -> datetime | None:
        """When the first of those ended that `take` may find now or later; None: there is none."""

    async def take(
        self, account_id: str, before: datetime, now: datetime, lease_until: datetime, *, everything: bool
    ) -> AgedBatch | None:
        """One that ended before then and of which something is left to be erased."""

    async def later(self, batch: AgedBatch, after: str, due_at: datetime) -> None: ...
    async def done(self, batch: AgedBatch) -> bool:
        """False if somebody was quicker, or it goes on again."""

    async def count(self, account_id: str, now: datetime, *, jobs: int = 0, recordings: int = 0) -> None: ...


class AgedEntries(Protocol):
    async def forget(self, account_id: str | None, before: datetime, limit: int) -> int:
        """Remove entries of the do-not-call list of an account, or of everybody's, that have forbidden nothing since
        then or longer; how many. Not one that somebody makes stand again meanwhile."""


class PersonalDataReader(Protocol):
    def everything(self, account_id: str, sought: Sought) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Each stored document, or part of one, under the name of where it is; one name after another."""


class Erasures(Protocol):
    async def insert(self, erasure: Erasure) -> bool:
        """False if there is one of the same person that works."""

    async def working(self, account_id: str, digest: str) -> Erasure | None: ...
    async def get(self, erasure_id: str) -> Erasure | None: ...
    async def page(self, *, account_ids: Collection[str] | None, limit: int, skip: int) -> tuple[list[Erasure], int]:
        """Newest first, and how many there are in all."""

    async def take(self, now: datetime, lease_until: datetime) -> Erasure | None:
        """One that is due and that nobody works on."""

    async def never_again(self, erasure_id: str) -> None: ...
    async def note_job(self, erasure: Erasure, job_id: str) -> None: ...
    async def advance(self, erasure: Erasure, changes: dict[str, Any]) -> Erasure | None:
        """Set `changes` (None removes); None: it is in other hands."""


class ProviderCopies(Protocol):
    """Calls that are to be deleted at the provider."""

    async def add(self, copies: Sequence[ProviderCopy]) -> None:
        """Those that are not there yet."""

    async def due(self, now: datetime, limit: int) -> list[ProviderCopy]: ...
    async def done(self, call_id: str) -> None: ...
    async def later(self, copy: ProviderCopy, due_at: datetime) -> None: ...
    async def elsewhere(self, copy: ProviderCopy, due_at: datetime) -> None:
        """As `later`, and that it may lie in another workspace."""

    async def left(self, erasure_ids: Sequence[str]) -> dict[str, CopiesLeft]:
        """How many of each erasure; without any it is left out."""
