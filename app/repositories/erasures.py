"""Erasures and the calls that are to be deleted at the provider, in MongoDB."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from app.domain.privacy import CopiesLeft, Erasure, ErasureStatus, ProviderCopy
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import any_of, from_document, optional, set_or_unset, to_document


class MongoErasures(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._erasures = database.collection("erasures")

    @guarded
    async def insert(self, erasure: Erasure) -> bool:
        try:
            await self._erasures.insert_one(to_document(erasure))
        except DuplicateKeyError:
            return False
        return True

    @guarded
    async def working(self, account_id: str, digest: str) -> Erasure | None:
        match = {"account_id": account_id, "digest": digest, "due_at": {"$exists": True}}
        return optional(Erasure, await self._erasures.find_one(match))

    @guarded
    async def get(self, erasure_id: str) -> Erasure | None:
        return optional(Erasure, await self._erasures.find_one({"_id": erasure_id}))

    @guarded
    async def page(self, *, account_ids: Collection[str] | None, limit: int, skip: int) -> tuple[list[Erasure], int]:
        match: Document = {} if account_ids is None else {"account_id": any_of(account_ids)}
        cursor = self._erasures.find(match).sort([("requested_at", DESCENDING), ("_id", DESCENDING)])
        found = [from_document(Erasure, document) async for document in cursor.skip(skip).limit(limit)]
        return found, await self._erasures.count_documents(match)

    @guarded
    async def take(self, now: datetime, lease_until: datetime) -> Erasure | None:
        free = [{"lease_until": {"$exists": False}}, {"lease_until": {"$lte": now}}]
        document = await self._erasures.find_one_and_update(
            {"due_at": {"$lte": now}, "$or": free},
            {"$set": {"lease_until": lease_until}, "$inc": {"fence": 1}},
            sort=[("due_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return optional(Erasure, document)

    @guarded
    async def never_again(self, erasure_id: str) -> None:
        await self._erasures.update_one({"_id": erasure_id}, {"$set": {"never_call_again": True}})

    @guarded
    async def note_job(self, erasure: Erasure, job_id: str) -> None:
        await self._erasures.update_one({"_id": erasure.erasure_id}, {"$addToSet": {"job_ids": job_id}})

    @guarded
    async def advance(self, erasure: Erasure, changes: dict[str, Any]) -> Erasure | None:
        match = {"_id": erasure.erasure_id, "fence": erasure.fence, "status": ErasureStatus.WORKING.value}
        document = await self._erasures.find_one_and_update(
            match, set_or_unset(changes), return_document=ReturnDocument.AFTER
        )
        return optional(Erasure, document)


class MongoProviderCopies(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._copies = database.collection("provider_copies")

    @guarded
    async def add(self, copies: Sequence[ProviderCopy]) -> None:
        updates = []
        for copy in copies:
            document = to_document(copy)
            updates.append(UpdateOne({"_id": document.pop("_id")}, {"$setOnInsert": document}, upsert=True))
        if updates:
            await self._copies.bulk_write(updates, ordered=False)

    @guarded
    async def due(self, now: datetime, limit: int) -> list[ProviderCopy]:
        cursor = self._copies.find({"due_at": {"$lte": now}}).sort("due_at", ASCENDING).limit(limit)
        return [from_document(ProviderCopy, document) async for document in cursor]

    @guarded
    async def done(self, call_id: str) -> None:
        await self._copies.delete_one({"_id": call_id})

    @guarded
    async def later(self, copy: ProviderCopy, due_at: datetime) -> None:
        match = {"_id": copy.call_id, "tries": copy.tries}
        await self._copies.update_one(match, {"$set": {"due_at": due_at}, "$inc": {"tries": 1}})

    @guarded
    async def elsewhere(self, copy: ProviderCopy, due_at: datetime) -> None:
        match = {"_id": copy.call_id, "tries": copy.tries}
        await self._copies.update_one(match, {"$set": {"due_at": due_at, "elsewhere": True}, "$inc": {"tries": 1}})

    @guarded
    async def left(self, erasure_ids: Sequence[str]) -> dict[str, CopiesLeft]:
        match = {"$match": {"erasure_id": {"$in": list(erasure_ids)}}}
        counts = {"copies": {"$sum": 1}, "elsewhere": {"$sum": {"$cond": ["$elsewhere", 1, 0]}}}
        rows = await self._copies.aggregate([match, {"$group": {"_id": "$erasure_id", **counts}}])
        return {row["_id"]: CopiesLeft(row["copies"], row["elsewhere"]) async for row in rows}
