"""The figures of the dashboard, over one account or all that somebody sees."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.accounts import AccountStatus
from app.domain.batches import BatchStatus, Progress
from app.domain.errors import NotFound
from app.domain.jobs import JobState
from app.domain.local_days import start_of_day
from app.domain.ports import Time
from app.domain.reading import AccountInBrief, Milestone, Statistics
from app.domain.transactions import Usage
from app.services.batches import progress_of
from app.services.repeating import Repeating


@dataclass(frozen=True)
class Today:
    """Since midnight where each account is."""

    created: int = 0
    completed: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)

    def __add__(self, other: "Today") -> "Today":
        return Today(
            self.created + other.created,
            self.completed + other.completed,
            self.failed + other.failed,
            self.cost + other.cost,
        )


@dataclass(frozen=True)
class Dashboard:
    total_accounts: int
    active_accounts: int
    total_batches: int
    active_batches: int
    jobs: Progress
    usage: Usage
    today: Today


class DashboardService:
    def __init__(self, statistics: Statistics, time: Time) -> None:
        self._statistics = statistics
        self._time = time
        self._repeating: Repeating[Dashboard] = Repeating(time, lambda found: found.jobs.total + found.usage.calls)

    async def of(self, account_ids: Collection[str] | None, *, named: str | None = None) -> Dashboard:
        """Of these accounts, None: of all. Raises NotFound if the one that was `named` is not there."""
        key = None if account_ids is None else frozenset(account_ids)
        found = await self._repeating.get(key, lambda: self._count(account_ids))
        if named is not None and not found.total_accounts:
            raise NotFound("account_not_found", account_id=named)
        return found

    async def _count(self, account_ids: Collection[str] | None) -> Dashboard:
        accounts = await self._statistics.accounts(account_ids)
        ids = [account.account_id for account in accounts]
        batches = await self._statistics.batches(ids)
        return Dashboard(
            total_accounts=len(accounts),
            active_accounts=sum(account.status is AccountStatus.ACTIVE for account in accounts),
            total_batches=sum(batches.values()),
            active_batches=batches.get(BatchStatus.RUNNING, 0) + batches.get(BatchStatus.SCHEDULED, 0),
            jobs=progress_of(await self._statistics.jobs(ids)),
            usage=await self._statistics.usage(ids),
            today=await self._today(accounts),
        )

    async def _today(self, accounts: list[AccountInBrief]) -> Today:
        today, now = Today(), self._time.now()
        # Accounts with one midnight are counted together.
        by_midnight: defaultdict[datetime, list[str]] = defaultdict(list)
        for account in accounts:
            by_midnight[start_of_day(now, account.timezone)].append(account.account_id)
        for midnight, ids in by_midnight.items():
            created = await self._statistics.jobs_since(ids, midnight, Milestone.CREATED)
            finished = await self._statistics.jobs_since(ids, midnight, Milestone.FINISHED)
            today += Today(
                created=sum(created.values()),
                completed=finished.get(JobState.COMPLETED, 0),
                failed=finished.get(JobState.FAILED, 0),
                cost=(await self._statistics.usage(ids, midnight)).cost,
            )
        return today
