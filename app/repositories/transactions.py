"""The ledger in MongoDB: documents are added and never changed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pymongo import InsertOne
from pymongo.errors import DuplicateKeyError

from app.domain.reading import Place
from app.domain.searching import AgeSort
from app.domain.transactions import Transaction, TransactionType, Usage
from app.repositories.bulk import write_each
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import from_document, optional, order_of, parts_behind, to_document
from app.repositories.together import Each


class MongoTransactions(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._transactions = database.collection("transactions")
        self._adds: Each[Transaction, bool] = Each(self._add)

    async def add(self, transaction: Transaction) -> bool:
        return await self._adds.ask(transaction)

    @guarded
    async def _add(self, transactions: Sequence[Transaction]) -> list[bool | Exception]:
        # Of several with one id the first is written, as it would be if they came one by one.
        first = {transaction.transaction_id: transaction for transaction in reversed(transactions)}
        inserts = {key: InsertOne(to_document(transaction)) for key, transaction in first.items()}
        failed = (await write_each(self._transactions, inserts)).failed

        def added(transaction: Transaction) -> bool | Exception:
            error = failed.get(transaction.transaction_id)
            if error is None or isinstance(error, DuplicateKeyError):
                return error is None and first[transaction.transaction_id] is transaction
            return error

        return [added(transaction) for transaction in transactions]

    @guarded
    async def get(self, transaction_id: str) -> Transaction | None:
        document = await self._transactions.find_one({"_id": transaction_id})
        return optional(Transaction, document)

    @guarded
    async def page(
        self,
        account_id: str,
        type_: TransactionType | None = None,
        *,
        limit: int,
        skip: int,
        after: Place | None = None,
        sort: AgeSort = AgeSort.NEWEST,
    ) -> list[Transaction]:
        match, index = _listed(account_id, type_)
        found: list[Transaction] = []
        for part in parts_behind(after, sort):
            cursor = self._transactions.find(match | part, hint=index).sort(order_of(sort, "created_at", "_id"))
            cursor = cursor.skip(skip).limit(limit - len(found))
            found += [from_document(Transaction, document) async for document in cursor]
            if len(found) == limit:
                break
        return found

    @guarded
    async def count(self, account_id: str, type_: TransactionType | None = None) -> int:
        match, index = _listed(account_id, type_)
        return await self._transactions.count_documents(match, hint=index)

    @guarded
    async def usage(self, account_id: str, since: datetime, until: datetime) -> Usage:
        match = {
            "account_id": account_id,
            "type": TransactionType.CALL_USAGE.value,
            "created_at": {"$gte": since, "$lt": until},
        }
        sums = await self._sums(match, None, index="usage", first_at={"$min": "$created_at"})
        return sums.get(None, Usage())

    @guarded
    async def batch_cost(self, batch_id: str, without: Collection[str]) -> Decimal:
        match: Document = {"batch_id": batch_id}
        if without:
            match["_id"] = {"$nin": list(without)}
        return (await self._sums(match, None)).get(None, Usage()).cost

    @guarded
    async def batch_usage(self, batch_ids: Sequence[str]) -> dict[str, Usage]:
        return await self._sums({"batch_id": {"$in": list(batch_ids)}}, "$batch_id")

    async def _sums(
        self, match: Document, key: str | None, *, index: str | None = None, **more: Any
    ) -> dict[Any, Usage]:
        totals = {
            "calls": {"$sum": 1},
            "units": {"$sum": {"$multiply": ["$amount", -1]}},
            "minutes": {"$sum": "$minutes"},
            "cost": {"$sum": "$cost"},
            **more,
        }
        hint: dict[str, Any] = {} if index is None else {"hint": index}
        cursor = await self._transactions.aggregate([{"$match": match}, {"$group": {"_id": key, **totals}}], **hint)
        return {group.pop("_id"): Usage.model_validate(group) async for group in cursor}


def _listed(account_id: str, type_: TransactionType | None) -> tuple[Document, str]:
    """What the entries of a list match, and the index that finds them in its order."""
    if type_ is None:
        return {"account_id": account_id}, "newest_of_account"
    return {"account_id": account_id, "type": type_.value}, "newest_of_type"
