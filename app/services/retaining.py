"""Use case: erase by age. Whole batches that are over for long enough, some jobs at a time, whoever does it.

    taken by one worker for a minute → calls noted for deleting at the provider → jobs erased → how far it is → …
    → the batch's own contacts → done, counted and audited

and then entries of do-not-call lists that have forbidden nothing for as long.

Each step is safe to repeat, and what a killed worker left is taken up when its minute is over. A batch that is opened
again and ends once more is looked at once more.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from app.domain.access import AuditEntry, PrincipalKind
from app.domain.access_ports import AuditLog
from app.domain.metrics import Metrics
from app.domain.ports import Accounts, Time
from app.domain.privacy import LEASE, AgedBatch, Erased, Retention, copies_of, in_force
from app.domain.privacy_ports import AgedBatches, AgedData, AgedEntries, ProviderCopies
from app.domain.timeline import SYSTEM

log = structlog.get_logger("privacy")

JOBS_A_ROUND = 100
ACCOUNTS_A_ROUND = 20
CONTACTS_A_ROUND = 1000
ENTRIES_A_ROUND = 1000
SWEEP = timedelta(minutes=10)
"""From one look over all accounts to the next."""
LATER = timedelta(hours=1)
"""When a batch is looked at again of which something is still to be told."""


class Retaining:
    def __init__(
        self,
        accounts: Accounts,
        batches: AgedBatches,
        data: AgedData,
        entries: AgedEntries,
        copies: ProviderCopies,
        audit_log: AuditLog,
        time: Time,
        defaults: Retention,
        metrics: Metrics,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._data = data
        self._entries = entries
        self._copies = copies
        self._audit_log = audit_log
        self._time = time
        self._defaults = defaults
        self._metrics = metrics
        self._late: dict[str, timedelta] = {}
        """Of accounts with batches that are past their time, by how much the first of them is."""
        self._waiting: list[str | None] = []
        """Whom to look at; None: everybody's do-not-call list."""
        self._next_sweep = time.now()

    async def round(self) -> int:
        """Some jobs of one batch, or some entries, if there are any; whether there were. Raises DatabaseUnavailable."""
        now = self._time.now()
        if not self._waiting and now >= self._next_sweep:
            all_accounts = self._defaults != Retention()
            account_ids = await self._batches.account_ids(only_who_chose=not all_accounts)
            self._waiting = [*account_ids, None]
            self._next_sweep = now + SWEEP
            self._late = {account_id: self._late[account_id] for account_id in account_ids if account_id in self._late}
        for _ in range(min(ACCOUNTS_A_ROUND, len(self._waiting))):
            account_id = self._waiting[-1]
            days = await self._days_of(account_id)
            batch = None if account_id is None else await self._take(account_id, days)
            self._metrics.by_age_is_late(max(self._late.values(), default=timedelta(0)).total_seconds())
            if batch is not None:
                await self._erase_some(batch)
                return 1
            if await self._forget_entries(account_id, days):
                return 1
            self._waiting.pop()
        return 0

    async def _days_of(self, account_id: str | None) -> Retention:
        if account_id is None:
            return self._defaults
        account = await self._accounts.get(account_id)
        if account is None:
            return Retention()
        return in_force(account.retention_days, account.recording_retention_days, account.person_caps, self._defaults)

    async def _forget_entries(self, account_id: str | None, days: Retention) -> int:
        if days.personal_days is None:
            return 0
        before = self._time.now() - timedelta(days=days.personal_days)
        forgotten = await self._entries.forget(account_id, before, ENTRIES_A_ROUND)
        if forgotten:
            self._metrics.erased(Erased.DO_NOT_CALL, forgotten)
            log.info("erased_by_age", what="do_not_call", account_id=account_id, count=forgotten)
        return forgotten

    async def _take(self, account_id: str, days: Retention) -> AgedBatch | None:
        self._late.pop(account_id, None)
        now = self._time.now()
        for limit, everything in ((days.personal_days, True), (days.recording_days, False)):
            if limit is not None:
                before = now - timedelta(days=limit)
                oldest = await self._batches.oldest(account_id, before, everything=everything)
                if oldest is None:
                    continue
                self._late[account_id] = max(before - oldest, self._late.get(account_id, timedelta(0)))
                batch = await self._batches.take(account_id, before, now, now + LEASE, everything=everything)
                if batch is not None:
                    return batch
        return None

    async def _erase_some(self, batch: AgedBatch) -> None:
        now = self._time.now()
        jobs = await self._data.jobs_behind(batch.batch_id, batch.after, JOBS_A_ROUND)
        job_ids = [job_id for job_id, _ in jobs]
        if await self._data.is_untold(job_ids):
            await self._batches.later(batch, batch.after, now + LATER)
            return
        calls = {call_id: key_mark for _, calls in jobs for call_id, key_mark in calls.items()}
        await self._copies.add(copies_of(calls, batch.account_id, now))
        if batch.everything:
            erased = await self._data.erase_jobs(job_ids, now)
            self._metrics.erased(Erased.DELIVERIES, await self._data.erase_deliveries(job_ids))
            if await self._data.are_left(job_ids):
                # Somebody moved one just now. It is begun anew, for what came before is erased already.
                await self._batches.later(batch, "", now + LATER)
                return
            self._metrics.erased(Erased.JOBS, erased)
            await self._batches.count(batch.account_id, now, jobs=erased)
        else:
            recordings = await self._data.erase_recordings(job_ids)
            self._metrics.erased(Erased.RECORDINGS, recordings)
            await self._batches.count(batch.account_id, now, recordings=recordings)
        await self._go_on(batch, job_ids)

    async def _go_on(self, batch: AgedBatch, job_ids: Sequence[str]) -> None:
        now = self._time.now()
        if len(job_ids) == JOBS_A_ROUND:
            await self._batches.later(batch, job_ids[-1], now)
            return
        if batch.everything and await self._data.erase_contacts_of(batch.batch_id, CONTACTS_A_ROUND):
            await self._batches.later(batch, job_ids[-1] if job_ids else batch.after, now)
            return
        if await self._batches.done(batch):
            what = "personal_data" if batch.everything else "recordings"
            log.info("erased_by_age", what=what, batch_id=batch.batch_id, account_id=batch.account_id)
            await self._audit_log.add(
                AuditEntry(
                    at=now,
                    user=SYSTEM,
                    kind=PrincipalKind.SYSTEM,
                    operation="erase_by_age",
                    path=f"/api/v1/batches/{batch.batch_id}",
                    status=200,
                    account_id=batch.account_id,
                    fields=[what],
                    request_id="",
                )
            )
