"""Reading the ledger, the balances and the jobs side by side, without disturbing anybody and in bounded memory."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

from app.domain.accounts import Account
from app.domain.batches import Batch
from app.domain.jobs import IN_FLIGHT, JobState
from app.domain.reconciliation import Books, Entry, Held, PastAttempt, Sums, Witness
from app.domain.transactions import TransactionType
from app.repositories.database import Collection, Database, Document, Repository, Session, guarded
from app.repositories.documents import from_document
from app.repositories.job_queue import HISTORY_KEPT

CHUNK = 1000

_HELD = {"batch_id": True, "state": True, "attempt_id": True, "attempt": True, "settlement.charge": True}


class MongoReconciliation(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._accounts = database.collection("accounts")
        self._batches = database.collection("batches")
        self._jobs = database.collection("jobs")
        self._transactions = database.collection("transactions")

    @guarded
    async def account_ids(self) -> list[str]:
        """Of every account, and of those that only the ledger knows."""
        ids = {str(value) for value in await self._accounts.distinct("_id")}
        return sorted(ids | {str(value) for value in await self._transactions.distinct("account_id")})

    async def books(self, account_id: str) -> Books | None:
        """The account at one instant, whoever works on it meanwhile; None if it is not there."""
        async with self._database.snapshot() as session:
            document = await self._accounts.find_one({"_id": account_id}, session=session)
            if document is None:
                return None
            account = from_document(Account, document)
            budgeted = {"account_id": account_id, "budget": {"$exists": True}}
            batches = [from_document(Batch, found) async for found in self._batches.find(budgeted, session=session)]
            in_hand = self._jobs.find({"account_id": account_id, "slot": {"$gte": 0}}, _HELD, session=session)
            unposted = [entry.transaction_id for entry in account.unposted]
            return Books(
                account=account,
                budgeted=batches,
                held=[_held(found) async for found in in_hand],
                sums=await self._sums(account, batches, session),
                reserved_entries=await self._entries({"_id": {"$in": list(account.reservations)}}, session),
                posted={entry.attempt_id for entry in await self._entries({"_id": {"$in": unposted}}, session)},
            )

    async def past_attempts(self, account_id: str) -> AsyncIterator[list[PastAttempt]]:
        """What the histories of the account's jobs have, in chunks."""
        match = {"account_id": account_id, "history.0": {"$exists": True}}
        async for jobs in self._chunks(self._jobs, match, {"history.attempt_id": True, "history.cost": True}):
            yield [
                PastAttempt(account_id=account_id, job_id=job["_id"], **record)
                for job in jobs
                for record in job["history"]
            ]

    async def usage(self, account_id: str) -> AsyncIterator[list[Entry]]:
        """The ledger's entries of calls, in chunks."""
        match = {"account_id": account_id, "type": TransactionType.CALL_USAGE.value}
        async for documents in self._chunks(self._transactions, match, None):
            yield [_entry(document) for document in documents]

    @guarded
    async def entries(self, attempt_ids: Sequence[str]) -> dict[str, Entry]:
        found = await self._entries({"_id": {"$in": list(attempt_ids)}}, None)
        return {entry.attempt_id: entry for entry in found}

    @guarded
    async def witnesses(self, job_ids: Sequence[str]) -> dict[str, Witness]:
        """What these jobs say; one that is not there is left out."""
        fields = {"state": True, "attempt_id": True, "history.attempt_id": True, "history.cost": True}
        return {job["_id"]: _witness(job) async for job in self._jobs.find({"_id": {"$in": list(job_ids)}}, fields)}

    @guarded
    async def existing_batches(self, batch_ids: Sequence[str]) -> set[str]:
        cursor = self._batches.find({"_id": {"$in": list(batch_ids)}}, {"_id": True})
        return {document["_id"] async for document in cursor}

    async def _sums(self, account: Account, budgeted: Sequence[Batch], session: Session) -> Sums:
        match = {"account_id": account.account_id, "_id": {"$nin": list(account.reservations)}}
        totals = await self._totals(match, "$type", session)
        used = totals.pop(TransactionType.CALL_USAGE.value, {"amount": Decimal(0), "cost": Decimal(0)})
        batch_costs = {}
        for batch in budgeted:
            settled = {"batch_id": batch.batch_id, "_id": {"$nin": list(batch.budget_reservations)}}
            total = await self._totals(settled, None, session)
            batch_costs[batch.batch_id] = sum((row["cost"] for row in total.values()), Decimal(0))
        return Sums(
            bought={TransactionType(kind): row["amount"] for kind, row in totals.items()},
            units=-used["amount"],
            cost=used["cost"],
            batch_costs=batch_costs,
        )

    async def _totals(self, match: Document, key: str | None, session: Session) -> dict[Any, Document]:
        group = {"_id": key, "amount": {"$sum": "$amount"}, "cost": {"$sum": "$cost"}}
        cursor = await self._transactions.aggregate([{"$match": match}, {"$group": group}], session=session)
        return {row["_id"]: row async for row in cursor}

    async def _entries(self, match: Document, session: Session | None) -> list[Entry]:
        return [_entry(document) async for document in self._transactions.find(match, session=session)]

    async def _chunks(
        self, collection: Collection, match: Document, fields: dict[str, bool] | None
    ) -> AsyncIterator[list[Document]]:
        chunk: list[Document] = []
        async with self._database.operation():
            async for document in collection.find(match, fields, batch_size=CHUNK):
                chunk.append(document)
                if len(chunk) == CHUNK:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk


def _held(job: Document) -> Held:
    charge = job.pop("settlement", {}).get("charge")
    return Held.model_validate({**job, "job_id": job["_id"], "charge": charge})


def _entry(document: Document) -> Entry:
    return Entry.model_validate({**document, "attempt_id": document["_id"], "units": -document["amount"]})


def _witness(job: Document) -> Witness:
    history = job.get("history", [])
    return Witness(
        job_id=job["_id"],
        settling=job.get("attempt_id") if JobState(job["state"]) in IN_FLIGHT else None,
        costs={record["attempt_id"]: record["cost"] for record in history},
        is_complete=len(history) < HISTORY_KEPT,
    )
