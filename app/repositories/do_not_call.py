"""The do-not-call lists in MongoDB: one document for a key and list, under an id made of both.

Whoever asks by a key finds the entries that stand for its keyed hash, too. The secret of the hashes stands in the
database, beside what it protects: were it lost, so would be who is not to be called.
"""

from collections.abc import Sequence
from datetime import datetime
from secrets import token_urlsafe
from typing import Any, NamedTuple

from pymongo import DESCENDING, ReturnDocument, UpdateOne

from app.domain.do_not_call import DoNotCallEntry, DoNotCallSource, entry_id_of, hidden_key
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import from_document, to_document
from app.repositories.together import Together


class _Asked(NamedTuple):
    account_id: str
    keys: Sequence[str]


class MongoDoNotCallList(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._entries = database.collection("do_not_call")
        self._together: Together[None, _Asked, list[Document]] = Together(self._standing)
        self._secrets = database.collection("secrets")
        self._secret: bytes | None = None

    async def standing(self, account_id: str, keys: Sequence[str]) -> list[DoNotCallEntry]:
        """An entry that cannot be read raises: it may be the one that forbids the call."""
        known = await self._known_as(keys)
        found = await self._together.ask(None, _Asked(account_id, list(known)))
        # Those who asked together may be of several accounts: none gets to see what is another's.
        theirs = [entry for entry in found if entry["key"] in known and entry.get("account_id") in (account_id, None)]
        return [from_document(DoNotCallEntry, {**entry, "key": known[entry["key"]]}) for entry in theirs]

    @guarded
    async def _standing(self, _: None, asked: Sequence[_Asked]) -> list[Document]:
        keys = {key for each in asked for key in each.keys}
        accounts = {each.account_id for each in asked}
        match = {"key": {"$in": list(keys)}, "account_id": {"$in": [*accounts, None]}}
        return await self._entries.find(match).to_list()

    async def hidden(self, key: str) -> str:
        return hidden_key(await self._hash_secret(), key)

    async def hide(self, account_ids: Sequence[str | None], keys: Sequence[str]) -> int:
        return await self._hide(account_ids, keys, await self._hash_secret())

    @guarded
    async def _hide(self, account_ids: Sequence[str | None], keys: Sequence[str], secret: bytes) -> int:
        match = {"key": {"$in": list(keys)}, "account_id": {"$in": list(account_ids)}}
        entries = [from_document(DoNotCallEntry, document) async for document in self._entries.find(match)]
        for entry in entries:
            # The new one first: at every moment one of the two forbids the call.
            key = hidden_key(secret, entry.key)
            changes = {"entry_id": entry_id_of(entry.account_id, key), "key": key, "reason": None}
            hidden = entry.model_copy(update={**changes, "source": DoNotCallSource.ERASURE})
            await self._entries.bulk_write([_unless_it_stands_as_long(to_document(hidden))])
            # Not one that somebody, or the person in a call, has made stand longer meanwhile: it is hidden next time.
            await self._entries.delete_one({"_id": entry.entry_id, "expires_at": entry.expires_at})
        return len(entries)

    @guarded
    async def count(self, account_ids: Sequence[str | None], keys: Sequence[str]) -> int:
        match = {"key": {"$in": list(keys)}, "account_id": {"$in": list(account_ids)}}
        return await self._entries.count_documents(match)

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

    async def page(
        self, *, account_id: str | None, key: str | None, limit: int, skip: int
    ) -> tuple[list[DoNotCallEntry], int]:
        match: Document = {}
        if account_id is not None:
            match["account_id"] = account_id
        if key is not None:
            match["key"] = {"$in": list(await self._known_as([key]))}
        return await self._page(match, limit, skip)

    @guarded
    async def _page(self, match: Document, limit: int, skip: int) -> tuple[list[DoNotCallEntry], int]:
        cursor = self._entries.find(match).sort([("created_at", DESCENDING), ("_id", DESCENDING)])
        entries = [from_document(DoNotCallEntry, found) async for found in cursor.skip(skip).limit(limit)]
        return entries, await self._entries.count_documents(match)

    @guarded
    async def remove(self, entry_id: str) -> bool:
        return (await self._entries.delete_one({"_id": entry_id})).deleted_count == 1

    async def _known_as(self, keys: Sequence[str]) -> dict[str, str]:
        """Each key by itself and by its hash."""
        secret = await self._hash_secret()
        return {known: key for key in keys for known in (key, hidden_key(secret, key))}

    async def _hash_secret(self) -> bytes:
        if self._secret is None:
            self._secret = await self._stored_secret()
        return self._secret

    @guarded
    async def _stored_secret(self) -> bytes:
        made = {"$setOnInsert": {"value": token_urlsafe(32)}}
        document = await self._secrets.find_one_and_update(
            {"_id": "hidden_keys"}, made, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert document is not None  # noqa: S101 - an upsert answers what it made
        return str(document["value"]).encode()


def _unless_it_stands_as_long(document: Document) -> UpdateOne:
    """Put `document` where there is none, or in the place of one that ends earlier; otherwise change nothing."""
    absent: Any = {"$eq": [{"$type": "$key"}, "missing"]}
    expires_at: datetime | None = document.get("expires_at")
    ends = {"$ne": [{"$type": "$expires_at"}, "missing"]}
    earlier: Any = ends if expires_at is None else {"$and": [ends, {"$lt": ["$expires_at", expires_at]}]}
    kept = {"$cond": [{"$or": [absent, earlier]}, {"$literal": document}, "$$ROOT"]}
    return UpdateOne({"_id": document["_id"]}, [{"$replaceWith": kept}], upsert=True)
