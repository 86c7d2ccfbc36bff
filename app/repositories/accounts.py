"""Accounts in MongoDB. The money moves here are each one conditional update on the account's own document."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from app.domain.accounts import Account
from app.domain.money import Charge, Plan, Unit
from app.domain.searching import NameSort, Search
from app.domain.transactions import Transaction
from app.repositories.bulk import get_each, write_each
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
from app.repositories.reservations import Key, Reserving, Settling, reservation, settlement
from app.repositories.together import Each
from app.repositories.turns import advance_turns

T = TypeVar("T", Reserving, Settling)


class MongoAccounts(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._accounts = database.collection("accounts")
        self._gets: Each[str, Account | None] = Each(self._get)
        self._reserves: Each[Reserving, bool] = Each(self._reserve)
        self._settles: Each[Settling, None] = Each(self._settle)

    @guarded
    async def insert(self, account: Account) -> bool:
        try:
            await self._accounts.insert_one(to_document(account))
        except DuplicateKeyError:
            return False
        return True

    async def get(self, account_id: str) -> Account | None:
        return await self._gets.ask(account_id)

    @guarded
    async def _get(self, account_ids: Sequence[str]) -> list[Account | Exception | None]:
        return await get_each(Account, self._accounts, account_ids)

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

    async def reserve(self, account_id: str, attempt_id: str, units: Decimal) -> bool:
        return await self._reserves.ask(Reserving(account_id, attempt_id, units))

    @guarded
    async def _reserve(self, asked: Sequence[Reserving]) -> list[bool | Exception]:
        fitted, failed = await self._move(asked, reservation)
        if fitted:
            return [True] * len(asked)
        of_accounts = {"_id": {"$in": list({each.account_id for each in asked})}}
        cursor = self._accounts.find(of_accounts, {"reservations": True})
        there = {document["_id"]: document.get("reservations", {}) async for document in cursor}
        return [failed.get(each.key) or each.attempt_id in there.get(each.account_id, {}) for each in asked]

    async def settle(self, account_id: str, attempt_id: str, plan: Plan, charge: Charge) -> None:
        await self._settles.ask(Settling(account_id, attempt_id, plan.unit, charge))

    @guarded
    async def _settle(self, asked: Sequence[Settling]) -> list[Exception | None]:
        _, failed = await self._move(asked, settlement)
        return [failed.get(each.key) for each in asked]

    async def _move(
        self, asked: Sequence[T], update: Callable[[Sequence[T]], UpdateOne]
    ) -> tuple[bool, dict[Key, Exception]]:
        """Each of these once: all of an account in one update, or one by one where not all of them can be done.

        Whether all could be done, and what went wrong with which.
        """
        of_accounts: defaultdict[str, dict[Key, T]] = defaultdict(dict)
        for each in asked:
            of_accounts[each.account_id].setdefault(each.key, each)
        groups = [list(of_account.values()) for of_account in of_accounts.values()]
        written = await write_each(self._accounts, {_keys(group): update(group) for group in groups})
        fitted = written.matched == len(groups)
        if not fitted and any(len(group) > 1 for group in groups):
            # Those that were done already do not match again.
            singles = [[each] for group in groups for each in group]
            written = await write_each(self._accounts, {_keys(single): update(single) for single in singles})
        return fitted, {key: error for keys, error in written.failed.items() for key in keys}

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


def _keys(moves: Sequence[Reserving] | Sequence[Settling]) -> tuple[Key, ...]:
    return tuple(move.key for move in moves)
