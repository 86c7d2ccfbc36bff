"""Accounts in MongoDB. The money moves here are each one conditional update on the account's own document."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from app.domain.accounts import Account
from app.domain.money import Charge, Plan, Unit
from app.domain.searching import NameSort, Search
from app.domain.transactions import Transaction
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import (
    found_by,
    from_document,
    optional,
    order_of,
    plain,
    readable,
    set_or_unset,
    to_document,
    with_names,
)
from app.repositories.together import Together
from app.repositories.turns import advance_turns


class MongoAccounts(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._accounts = database.collection("accounts")
        self._together: Together[str, None, Account | None] = Together(self._get)

    @guarded
    async def insert(self, account: Account) -> bool:
        try:
            await self._accounts.insert_one(to_document(account))
        except DuplicateKeyError:
            return False
        return True

    async def get(self, account_id: str) -> Account | None:
        return await self._together.ask(account_id, None)

    @guarded
    async def _get(self, account_id: str, _: Sequence[None]) -> Account | None:
        return optional(Account, await self._accounts.find_one({"_id": account_id}))

    @guarded
    async def get_many(self, account_ids: Iterable[str]) -> dict[str, Account]:
        cursor = self._accounts.find({"_id": {"$in": list(account_ids)}})
        accounts = [readable(Account, document) async for document in cursor]
        return {account.account_id: account for account in accounts if account is not None}

    @guarded
    async def page(
        self,
        *,
        account_ids: Collection[str] | None,
        limit: int,
        skip: int,
        sort: NameSort = NameSort.NEWEST,
        search: Search | None = None,
    ) -> tuple[list[Account], int]:
        match: Document = {} if account_ids is None else {"_id": {"$in": list(account_ids)}}
        match |= {} if search is None else found_by(search)
        # Few are found, and few are somebody's: sorted in memory.
        index = "names" if search else "by_name" if sort.by_name else "newest"
        cursor = self._accounts.find(match, hint=index if search or account_ids is None else "_id_")
        cursor = cursor.sort(order_of(sort, "sort_name" if sort.by_name else "created_at", "_id"))
        found = [from_document(Account, document) async for document in cursor.skip(skip).limit(limit)]
        if not match:
            return found, await self._accounts.estimated_document_count()
        return found, await self._accounts.count_documents(match)

    @guarded
    async def update(self, account_id: str, changes: dict[str, Any]) -> Account | None:
        return await self._changed({"_id": account_id}, set_or_unset(with_names(changes, "account_name")))

    @guarded
    async def reserve(self, account_id: str, attempt_id: str, units: Decimal) -> bool:
        reservation = f"reservations.{attempt_id}"
        result = await self._accounts.update_one(
            {"_id": account_id, "funds.free": {"$gte": units}, reservation: {"$exists": False}},
            {"$inc": {"funds.free": -units}, "$set": {reservation: units}},
        )
        if result.matched_count:
            return True
        return await self._accounts.find_one({"_id": account_id, reservation: {"$exists": True}}) is not None

    @guarded
    async def settle(self, account_id: str, attempt_id: str, plan: Plan, charge: Charge) -> bool:
        reservation = f"reservations.{attempt_id}"
        used = "funds.credits_used" if plan.unit is Unit.CREDITS else "funds.minutes_used"
        given_back = {"$subtract": [f"${reservation}", charge.units]}
        result = await self._accounts.update_one(
            {"_id": account_id, reservation: {"$exists": True}},
            [
                {
                    "$set": {
                        "funds.free": {"$add": ["$funds.free", given_back]},
                        used: {"$add": [f"${used}", charge.units]},
                        "funds.total_spent": {"$add": ["$funds.total_spent", charge.cost]},
                    }
                },
                {"$unset": reservation},
            ],
        )
        return result.modified_count == 1

    @guarded
    async def release(self, account_id: str, attempt_id: str) -> bool:
        reservation = f"reservations.{attempt_id}"
        result = await self._accounts.update_one(
            {"_id": account_id, reservation: {"$exists": True}},
            [
                {"$set": {"funds.free": {"$add": ["$funds.free", f"${reservation}"]}}},
                {"$unset": reservation},
            ],
        )
        return result.modified_count == 1

    @guarded
    async def reserved(self) -> dict[str, list[str]]:
        # Greater than the empty document: has at least one. The index holds only such accounts.
        cursor = self._accounts.find({"reservations": {"$gt": {}}}, {"reservations": True}, hint="reserving")
        return {document["_id"]: list(document["reservations"]) async for document in cursor}

    @guarded
    async def advance_turns(self, costs: Mapping[str, float], *, since: float, reached: float) -> None:
        await advance_turns(self._accounts, costs, since=since, reached=reached)

    @guarded
    async def top_up(self, account: Account, entry: Transaction) -> Account | None:
        bought = "funds.credits_purchased" if account.plan_type.unit is Unit.CREDITS else "funds.minutes_purchased"
        return await self._changed(
            # An account of before there was the field has none.
            {"_id": account.account_id, "topups": account.topups or {"$in": [0, None]}},
            {
                "$inc": {bought: entry.amount, "funds.free": entry.amount, "topups": 1},
                "$push": {"unposted": plain(entry)},
            },
        )

    @guarded
    async def posted(self, account_id: str, transaction_id: str) -> None:
        await self._accounts.update_one(
            {"_id": account_id}, {"$pull": {"unposted": {"transaction_id": transaction_id}}}
        )

    @guarded
    async def unposted(self) -> list[Account]:
        cursor = self._accounts.find({"unposted.transaction_id": {"$exists": True}})
        accounts = [readable(Account, document) async for document in cursor]
        return [account for account in accounts if account is not None]

    async def _changed(self, match: Document, update: Document) -> Account | None:
        document = await self._accounts.find_one_and_update(match, update, return_document=ReturnDocument.AFTER)
        return optional(Account, document)
