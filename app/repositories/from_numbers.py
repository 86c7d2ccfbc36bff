"""Our own numbers that are under suspicion, in MongoDB."""

from datetime import datetime

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from app.domain.from_numbers import ENDS_KEPT, CallEnd, FromNumber, Probe
from app.repositories.database import Database, Repository, guarded
from app.repositories.documents import from_document, optional, plain, set_or_unset


class MongoFromNumbers(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._numbers = database.collection("from_numbers")

    @guarded
    async def suspects(self) -> list[FromNumber]:
        # The bound is no bound: it has MongoDB go by the index that every collection has.
        cursor = self._numbers.find({"_id": {"$gte": ""}}).sort("_id")
        return [from_document(FromNumber, document) async for document in cursor]

    @guarded
    async def note(self, number: str, end: CallEnd, *, first: bool) -> FromNumber | None:
        push = {"ends": {"$each": [plain(end)], "$slice": -ENDS_KEPT}}
        try:
            document = await self._numbers.find_one_and_update(
                {"_id": number, "ends.attempt_id": {"$ne": end.attempt_id}},
                {"$push": push, "$inc": {"revision": 1}},
                upsert=first,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            document = None
        return optional(FromNumber, document or await self._numbers.find_one({"_id": number}))

    @guarded
    async def get(self, number: str) -> FromNumber | None:
        return optional(FromNumber, await self._numbers.find_one({"_id": number}))

    @guarded
    async def change(self, number: FromNumber) -> bool:
        fields = ("rests", "rests_until", "reason", "probe")
        result = await self._numbers.update_one(
            {"_id": number.number, "revision": number.revision},
            {**set_or_unset({field: getattr(number, field) for field in fields}), "$inc": {"revision": 1}},
        )
        return result.modified_count == 1

    @guarded
    async def take_probe(self, number: str, probe: Probe, now: datetime) -> bool:
        free = [
            {"probe": {"$exists": False}},
            {"probe.until": {"$lte": now}},
            {"probe.attempt_id": probe.attempt_id},
        ]
        result = await self._numbers.update_one(
            {"_id": number, "rests_until": {"$lte": now}, "$or": free}, {"$set": {"probe": plain(probe)}}
        )
        return result.matched_count == 1

    @guarded
    async def let_go(self, number: str, attempt_id: str) -> None:
        await self._numbers.update_one({"_id": number, "probe.attempt_id": attempt_id}, {"$unset": {"probe": ""}})

    @guarded
    async def forget(self, number: str, revision: int | None = None) -> bool:
        match = {"_id": number} if revision is None else {"_id": number, "revision": revision}
        return (await self._numbers.delete_one(match)).deleted_count == 1
