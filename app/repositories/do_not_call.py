"""The do-not-call lists in MongoDB: one document for a key and list, under an id made of both."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import DESCENDING, UpdateOne

from app.domain.do_not_call import DoNotCallEntry
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import from_document, to_document
from app.repositories.together import Together


class MongoDoNotCallList(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._entries = database.collection("do_not_call")
        self._together: Together[str, Sequence[str], list[Document]] = Together(self._standing)

    async def standing(self, account_id: str, keys: Sequence[str]) -> list[DoNotCallEntry]:
        """An entry that cannot be read raises: it may be the one that forbids the call."""
        found = await self._together.ask(account_id, keys)
        return [from_document(DoNotCallEntry, {**entry}) for entry in found if entry["key"] in keys]

    @guarded
    async def _standing(self, account_id: str, asked: Sequence[Sequence[str]]) -> list[Document]:
        keys = {key for each in asked for key in each}
        match = {"key": {"$in": list(keys)}, "account_id": {"$in": [account_id, None]}}
        return await self._entries.find(match).to_list()

    @guarded
    async def add(self, entries: Sequence[DoNotCallEntry]) -> int:
        if not entries:
            return 0
        updates = [_unless_it_stands_as_long(to_document(entry)) for entry in entries]
        result = await self._entries.bulk_write(updates, ordered=False)
        return int(result.upserted_count + result.modified_count)

    @guarded
    async def get_many(self, entry_ids: Sequence[str]) -> list[DoNotCallEntry]:
        cursor = self._entries.find({"_id": {"$in": list(entry_ids)}})
        return [from_document(DoNotCallEntry, document) async for document in cursor]

    @guarded
    async def page(
        self, *, account_id: str | None, key: str | None, limit: int, skip: int
    ) -> tuple[list[DoNotCallEntry], int]:
        match: Document = {}
        if account_id is not None:
            match["account_id"] = account_id
        if key is not None:
            match["key"] = key
        cursor = self._entries.find(match).sort([("created_at", DESCENDING), ("_id", DESCENDING)])
        entries = [from_document(DoNotCallEntry, found) async for found in cursor.skip(skip).limit(limit)]
        return entries, await self._entries.count_documents(match)

    @guarded
    async def remove(self, entry_id: str) -> bool:
        return (await self._entries.delete_one({"_id": entry_id})).deleted_count == 1


def _unless_it_stands_as_long(document: Document) -> UpdateOne:
    """Put `document` where there is none, or in the place of one that ends earlier; otherwise change nothing."""
    absent: Any = {"$eq": [{"$type": "$key"}, "missing"]}
    expires_at: datetime | None = document.get("expires_at")
    ends = {"$ne": [{"$type": "$expires_at"}, "missing"]}
    earlier: Any = ends if expires_at is None else {"$and": [ends, {"$lt": ["$expires_at", expires_at]}]}
    kept = {"$cond": [{"$or": [absent, earlier]}, {"$literal": document}, "$$ROOT"]}
    return UpdateOne({"_id": document["_id"]}, [{"$replaceWith": kept}], upsert=True)
