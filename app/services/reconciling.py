"""Proving that the ledger, the balances and the jobs agree, also while calls are made.

A difference counts only if it is there at two looks: between two writes of a worker that lives, or of one that died
and has not been replaced yet, a reservation may stand for a moment without its job.
"""

import asyncio
from dataclasses import dataclass, field

from app.domain.errors import NotFound
from app.domain.ports import ReconciliationReader
from app.domain.reconciliation import Difference, Entry, PastAttempt, compare_books, compare_entries, compare_history

MOST_DIFFERENCES = 1000
"""After so many no more are looked for: whoever reads the report has enough to do."""


@dataclass
class Report:
    """What was compared, and what does not agree."""

    accounts: int = 0
    entries: int = 0
    """Of calls in the ledger."""
    attempts: int = 0
    """In the histories of jobs."""
    in_progress: int = 0
    """Calls whose charge was on its way from the ledger to the balance."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_cut_short(self) -> bool:
        return len(self.differences) >= MOST_DIFFERENCES


class Reconciling:
    def __init__(self, reader: ReconciliationReader) -> None:
        self._reader = reader

    async def check(self, account_id: str | None = None, *, second_look_after: float = 3.0) -> Report:
        """Compare everything, or one account's share of it. `second_look_after`: seconds.

        Raises NotFound, DatabaseUnavailable.
        """
        known = await self._reader.account_ids()
        if account_id is not None and account_id not in known:
            raise NotFound("account_not_found", account_id=account_id)
        report = Report()
        for checked in known if account_id is None else [account_id]:
            report.accounts += 1
            await self._check(checked, report, second_look_after)
            if report.is_cut_short:
                break
        return report

    async def _check(self, account_id: str, report: Report, second_look_after: float) -> None:
        found = await self._look_at_books(account_id, report)
        if found:
            await asyncio.sleep(second_look_after)
            again = {difference.identity for difference in await self._look_at_books(account_id, None)}
            report.differences += [difference for difference in found if difference.identity in again]
        async for past in self._reader.past_attempts(account_id):
            report.attempts += len(past)
            report.differences += await self._compare(past)
            if report.is_cut_short:
                return
        async for entries in self._reader.usage(account_id):
            report.entries += len(entries)
            report.differences += await self._trace(entries)
            if report.is_cut_short:
                return

    async def _look_at_books(self, account_id: str, report: Report | None) -> list[Difference]:
        books = await self._reader.books(account_id)
        if books is None:
            rule = "entries_without_account"
            return [
                Difference(rule=rule, account_id=account_id, subject=account_id, expected="an account", found="none")
            ]
        if report is not None:
            report.in_progress += len(books.reserved_entries)
        return compare_books(books)

    async def _compare(self, past: list[PastAttempt]) -> list[Difference]:
        """Exact without a second look: an attempt comes into the ledger before it comes into its job's history."""
        return compare_history(past, await self._reader.entries([attempt.attempt_id for attempt in past]))

    async def _trace(self, entries: list[Entry]) -> list[Difference]:
        """Exact likewise: from the ledger's entry to the history the job is `settling`."""
        witnesses = await self._reader.witnesses([entry.job_id for entry in entries if entry.job_id is not None])
        named = {entry.batch_id for entry in entries if entry.batch_id is not None and entry.job_id not in witnesses}
        gone = named - await self._reader.existing_batches(sorted(named)) if named else set()
        return compare_entries(entries, witnesses, gone)
