"""Loads what must be known to explain why batches, and their jobs, are not being called just now."""

from collections.abc import Sequence
from datetime import datetime

from app.domain.batches import Batch, BatchStatus, Block, Progress
from app.domain.estimate import Estimate, estimate_end
from app.domain.explanation import Explanation, Obstacle, batch_obstacle, explain
from app.domain.jobs import Job
from app.domain.ports import Accounts, ProviderLimits, Time


class Explaining:
    def __init__(self, accounts: Accounts, limits: ProviderLimits, time: Time) -> None:
        self._accounts = accounts
        self._limits = limits
        self._time = time

    async def obstacles(self, batches: Sequence[tuple[Batch, Progress]]) -> dict[str, Obstacle | None]:
        """By batch. One question to the accounts, however many batches; none if no batch runs."""
        running = {batch.account_id for batch, _ in batches if batch.status is BatchStatus.RUNNING}
        accounts = await self._accounts.get_many(running) if running else {}
        now = self._time.now()
        hold = await self._hold(now) if running else None
        return {
            batch.batch_id: batch_obstacle(batch, accounts.get(batch.account_id), progress, now, hold=hold)
            for batch, progress in batches
        }

    async def estimate(self, batch: Batch, progress: Progress, obstacle: Obstacle | None) -> Estimate | None:
        """When the batch ends; None for one that is over."""
        if batch.status in {BatchStatus.COMPLETED, BatchStatus.CANCELLED}:
            return None
        account = await self._accounts.get(batch.account_id)
        parallel = 1
        if account is not None:
            # What the account's other batches leave: an attempt has a reservation as long as it holds its line.
            others = max(0, len(account.reservations) - progress.in_progress)
            parallel = max(1, account.features.max_concurrent_calls - others)
        return estimate_end(progress, batch.pace, batch.call_settings, obstacle, self._time.now(), parallel=parallel)

    async def explain(self, job: Job, batch: Batch) -> Explanation:
        return explain(job, batch, await self.obstacle(batch), self._time.now())

    async def obstacle(self, batch: Batch) -> Obstacle | None:
        """For its jobs. Without counting them: whether the account has calls in progress says enough here."""
        account = await self._accounts.get(batch.account_id)
        progress = Progress(pending=1, in_progress=len(account.reservations) if account else 0)
        now = self._time.now()
        return batch_obstacle(batch, account, progress, now, hold=await self._hold(now))

    async def _hold(self, now: datetime) -> Block | None:
        """A pause of all workers is written nowhere but in its own place: it would concern every batch."""
        hold = (await self._limits.read()).held(now)
        return None if hold is None else Block(reason=hold.reason, since=hold.since, until=hold.until)
