"""Loads what must be known to explain why batches, and their jobs, are not being called just now."""

from collections.abc import Sequence

from app.domain.batches import Batch, Progress
from app.domain.explanation import Explanation, Obstacle, batch_obstacle, explain
from app.domain.jobs import Job
from app.domain.ports import Accounts, Time


class Explaining:
    def __init__(self, accounts: Accounts, time: Time) -> None:
        self._accounts = accounts
        self._time = time

    async def obstacles(self, batches: Sequence[tuple[Batch, Progress]]) -> dict[str, Obstacle | None]:
        """By batch. One question to the accounts, however many batches."""
        accounts = await self._accounts.get_many({batch.account_id for batch, _ in batches})
        now = self._time.now()
        return {
            batch.batch_id: batch_obstacle(batch, accounts.get(batch.account_id), progress, now)
            for batch, progress in batches
        }

    async def explain(self, job: Job, batch: Batch) -> Explanation:
        """Without counting the batch's jobs: whether the account has calls in progress says enough here."""
        account = await self._accounts.get(batch.account_id)
        progress = Progress(pending=1, in_progress=len(account.reservations) if account else 0)
        now = self._time.now()
        return explain(job, batch, batch_obstacle(batch, account, progress, now), now)
