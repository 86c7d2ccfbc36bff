"""Imports in MongoDB: under way in their batches' documents, and a copy of each in a collection of their own."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from app.domain.batches import Batch, BatchStatus
from app.domain.imports import Import
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import from_document, optional, plain, readable, set_or_unset, to_document

_CURRENT = "current_import"


class MongoImports(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._batches = database.collection("batches")
        self._imports = database.collection("imports")

    @guarded
    async def begin(self, batch: Batch, work: Import, status: BatchStatus, changes: dict[str, Any]) -> Batch | None:
        match = {
            "_id": batch.batch_id,
            "status": batch.status.value,
            # Every import raises it; batches older than the field have none.
            "numbers_used": batch.numbers_used or {"$in": [0, None]},
            _CURRENT: {"$exists": False},
        }
        last_number = work.first_number + work.total - 1
        update = set_or_unset({"status": status, _CURRENT: work, "numbers_used": last_number, **changes})
        return await self._changed(match, update | {"$inc": {"revision": 1, "total_jobs": work.total}})

    @guarded
    async def begin_undo(self, batch: Batch, work: Import, before: Import | None) -> Batch | None:
        match: Document = {"_id": batch.batch_id, "undone_imports": {"$ne": work.import_id}}
        match |= {_CURRENT: {"$exists": False}} if before is None else _held(before)
        update = set_or_unset({_CURRENT: work})
        return await self._changed(
            match, update | {"$inc": {"revision": 1}, "$push": {"undone_imports": work.import_id}}
        )

    @guarded
    async def name_undone(self, batch_id: str, import_id: str) -> None:
        await self._changed({"_id": batch_id}, {"$addToSet": {"undone_imports": import_id}, "$inc": {"revision": 1}})

    @guarded
    async def advance(self, work: Import, changes: dict[str, Any]) -> Batch | None:
        # The revision stays: that an import goes on is no news for a claimer.
        update = set_or_unset({f"{_CURRENT}.{name}": value for name, value in changes.items()})
        return await self._changed({"_id": work.batch_id, **_held(work)}, update)

    @guarded
    async def adopt(self, work: Import, lease_until: datetime) -> Batch | None:
        match = {"_id": work.batch_id, **_held(work), f"{_CURRENT}.lease_until": work.lease_until}
        return await self._changed(
            match, {"$set": {f"{_CURRENT}.lease_until": lease_until}, "$inc": {f"{_CURRENT}.fence": 1}}
        )

    @guarded
    async def close(self, batch: Batch, work: Import, status: BatchStatus, changes: dict[str, Any]) -> Batch | None:
        held = batch.current_import
        if held is None:
            return None
        match = {"_id": batch.batch_id, "status": batch.status.value, **_held(held)}
        update = set_or_unset({"status": status, _CURRENT: None, **changes})
        return await self._changed(match, update | {"$inc": {"revision": 1, "total_jobs": work.counted - held.counted}})

    @guarded
    async def expired(self, now: datetime, limit: int) -> list[Batch]:
        cursor = self._batches.find({f"{_CURRENT}.lease_until": {"$lte": now}}, hint="importing").limit(limit)
        found = [readable(Batch, document) async for document in cursor]
        return [batch for batch in found if batch is not None]

    @guarded
    async def save(self, work: Import) -> None:
        document = to_document(work)
        # Somebody who was frozen does not write over what whoever went on with it has saved.
        match = {"_id": document["_id"], "fence": {"$lte": work.fence}}
        with suppress(DuplicateKeyError):
            await self._imports.replace_one(match, document, upsert=True)

    @guarded
    async def get(self, import_id: str) -> Import | None:
        return optional(Import, await self._imports.find_one({"_id": import_id}))

    @guarded
    async def by_key(self, batch_id: str, key: str) -> Import | None:
        return optional(Import, await self._imports.find_one({"batch_id": batch_id, "idempotency_key": key}))

    @guarded
    async def page(self, batch_id: str, *, limit: int, skip: int) -> tuple[list[Import], int]:
        match = {"batch_id": batch_id}
        cursor = self._imports.find(match).sort([("first_number", DESCENDING)]).skip(skip).limit(limit)
        found = [from_document(Import, document) async for document in cursor]
        return found, await self._imports.count_documents(match)

    @guarded
    async def first(self, batch_id: str) -> Import | None:
        order = [("first_number", ASCENDING)]
        return optional(Import, await self._imports.find_one({"batch_id": batch_id}, sort=order))

    @guarded
    async def get_many(self, import_ids: Sequence[str]) -> list[Import]:
        cursor = self._imports.find({"_id": {"$in": list(import_ids)}})
        return [from_document(Import, document) async for document in cursor]

    @guarded
    async def that_left_out(self, import_ids: Sequence[str]) -> list[Import]:
        if not import_ids:
            return []
        match = {"left_out.import_id": {"$in": list(import_ids)}}
        cursor = self._imports.find(match, hint="left_out").sort("started_at", ASCENDING)
        return [from_document(Import, document) async for document in cursor]

    async def _changed(self, match: Document, update: Document) -> Batch | None:
        after = ReturnDocument.AFTER
        return optional(Batch, await self._batches.find_one_and_update(match, update, return_document=after))


def _held(work: Import) -> Document:
    """Matches the batch as long as nobody else took the import up, ended it, or turned it round."""
    held = {"import_id": work.import_id, "fence": work.fence, "status": work.status}
    return {f"{_CURRENT}.{name}": plain(value) for name, value in held.items()}
