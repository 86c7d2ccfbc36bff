"""Batches and their logs in MongoDB."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from app.domain.batches import Batch, BatchStatus, Block, LogEntry, LoggedEntry, Pace, Shortage
from app.domain.searching import NameSort, Search
from app.domain.untold import Untold
from app.repositories.bulk import get_each, write_each
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import (
    any_of,
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
from app.repositories.together import Each
from app.repositories.turns import advance_turns
from app.repositories.untold import pushed_untold, to_be_told
from app.repositories.wakings import WITH_WORK, Wake, WakeOfBlocked, unblocked, woken

PUT_ASIDE = timedelta(minutes=10)

DELETED: Document = {"deleted_at": {"$exists": True}}
TESTS: Document = {"test_of": {"$exists": True}, "deleted_at": {"$exists": False}}
_SHOWN: Document = {"deleted_at": {"$exists": False}, "test_of": {"$exists": False}}


class MongoBatches(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._batches = database.collection("batches")
        self._logs = database.collection("batch_logs")
        self._contacts = database.collection("batch_contacts")
        self._gets: Each[str, Batch | None] = Each(self._get)
        self._wakes: Each[Wake, None] = Each(self._wake)
        self._wakes_of_blocked: Each[WakeOfBlocked, None] = Each(self._wake_blocked)

    @guarded
    async def insert(self, batch: Batch) -> bool:
        try:
            await self._batches.insert_one(to_document(batch))
        except DuplicateKeyError:
            return False
        return True

    async def get(self, batch_id: str) -> Batch | None:
        return await self._gets.ask(batch_id)

    @guarded
    async def _get(self, batch_ids: Sequence[str]) -> list[Batch | Exception | None]:
        return await get_each(Batch, self._batches, batch_ids)

    @guarded
    async def by_idempotency_key(self, account_id: str, key: str) -> Batch | None:
        return optional(Batch, await self._batches.find_one({"account_id": account_id, "idempotency_key": key}))

    @guarded
    async def delete(self, batch_id: str) -> None:
        await self._logs.delete_many({"batch_id": batch_id})
        await self._batches.delete_one({"_id": batch_id})

    @guarded
    async def page(
        self,
        *,
        account_ids: Collection[str] | None,
        statuses: Sequence[BatchStatus] | None,
        limit: int,
        skip: int,
        parent_batch_id: str | None = None,
        sort: NameSort = NameSort.NEWEST,
        search: Search | None = None,
    ) -> tuple[list[Batch], int]:
        match: Document = {}
        if parent_batch_id is not None:
            match["parent_batch_id"] = parent_batch_id
        if account_ids is not None:
            match["account_id"] = any_of(account_ids)
        if statuses is not None:
            match["status"] = {"$in": [status.value for status in statuses]}
        match |= {} if search is None else found_by(search)
        # Runs of one batch, and what is found by name, are few: sorted in memory.
        by_name = "by_name" if account_ids is None else "by_name_of_account"
        index = "names" if search else by_name if sort.by_name and not parent_batch_id else None
        # Those not shown are few, and looked through; counted by themselves the rest is counted from an index.
        cursor = self._batches.find(match | _SHOWN, hint=index)
        cursor = cursor.sort(order_of(sort, "sort_name" if sort.by_name else "created_at", "_id"))
        found = [from_document(Batch, document) async for document in cursor.skip(skip).limit(limit)]
        deleted = await self._batches.count_documents(match | DELETED, hint="deleted")
        tests = await self._batches.count_documents(match | TESTS, hint="tests")
        return found, await self._count(match, index) - deleted - tests

    async def _count(self, match: Document, index: str | None) -> int:
        if match:
            hint: dict[str, Any] = {"hint": index} if index else {}
            return await self._batches.count_documents(match, **hint)
        return await self._batches.estimated_document_count()

    @guarded
    async def ids_of_account(self, account_id: str) -> dict[str, BatchStatus | None]:
        match = {"account_id": account_id, "test_of": {"$exists": False}}
        cursor = self._batches.find(match, {"status": True, "deleted_at": True})
        return {
            document["_id"]: None if "deleted_at" in document else BatchStatus(document["status"])
            async for document in cursor
        }

    @guarded
    async def delete_contacts(self, batch_id: str) -> None:
        await self._contacts.delete_many({"batch_id": batch_id})

    @guarded
    async def move(
        self, batch_id: str, expected: Iterable[BatchStatus], to: BatchStatus, changes: dict[str, Any]
    ) -> Batch | None:
        match = {"_id": batch_id, "status": {"$in": [status.value for status in expected]}}
        return await self._changed(match, {"status": to, **changes})

    @guarded
    async def revise(self, batch: Batch, changes: dict[str, Any]) -> Batch | None:
        match = {"_id": batch.batch_id, "status": batch.status.value, "revision": batch.revision}
        return await self._changed(match, changes)

    @guarded
    async def unfinished_runs(self, batch_id: str) -> list[Batch]:
        over = [BatchStatus.COMPLETED.value, BatchStatus.CANCELLED.value]
        match = {
            "parent_batch_id": batch_id,
            "$or": [
                {"status": {"$nin": over}},
                # Its calls in progress may not have ended.
                {"status": BatchStatus.CANCELLED.value, "wake_at": {"$exists": True}},
            ],
        }
        return [from_document(Batch, document) async for document in self._batches.find(match)]

    @guarded
    async def complete(self, batch: Batch, now: datetime, untold: Sequence[Untold] = ()) -> bool:
        match = {
            "_id": batch.batch_id,
            "status": BatchStatus.RUNNING.value,
            "revision": batch.revision,
            "current_import": {"$exists": False},
        }
        changes = {
            "status": BatchStatus.COMPLETED,
            "finished_at": now,
            "updated_at": now,
            "wake_at": None,
            "block": None,
            **to_be_told(untold, now),
        }
        return await self._changed(match, changes, pushed_untold(untold)) is not None

    @guarded
    async def update(self, batch_id: str, changes: dict[str, Any]) -> Batch | None:
        return await self._changed({"_id": batch_id}, changes)

    @guarded
    async def due(self, now: datetime, limit: int) -> list[Batch]:
        cursor = self._batches.find({"wake_at": {"$lte": now}}, batch_size=limit).sort("wake_at", ASCENDING)
        cursor = cursor.limit(limit)
        found = [(document["_id"], readable(Batch, document)) async for document in cursor]
        unreadable = [batch_id for batch_id, batch in found if batch is None]
        if unreadable:
            # Out of the way of the others, but not forgotten.
            await self._batches.update_many({"_id": {"$in": unreadable}}, {"$set": {"wake_at": now + PUT_ASIDE}})
        return [batch for _, batch in found if batch is not None]

    @guarded
    async def next_wake(self, after: datetime) -> datetime | None:
        # By the index alone.
        document = await self._batches.find_one(
            {"wake_at": {"$gt": after}}, {"wake_at": True, "_id": False}, sort=[("wake_at", ASCENDING)]
        )
        return None if document is None else document["wake_at"]

    @guarded
    async def close(self, batch: Batch, now: datetime, untold: Sequence[Untold]) -> bool:
        match = {"_id": batch.batch_id, "status": batch.status.value, "revision": batch.revision}
        changes = {"wake_at": None, "block": None, **to_be_told(untold, now)}
        return await self._changed(match, changes, pushed_untold(untold)) is not None

    @guarded
    async def sleep(self, batch: Batch, until: datetime | None, block: Block | None) -> bool:
        # The revision rises here too: of two sleeps decided on the same facts only the first counts.
        document = await self._batches.find_one_and_update(
            {"_id": batch.batch_id, "revision": batch.revision, "status": batch.status.value},
            {**set_or_unset({"wake_at": until, "block": block}), "$inc": {"revision": 1}},
            projection={"_id": True},
        )
        return document is not None

    @guarded
    async def to_the_back(self, batch_ids: Sequence[str], now: datetime) -> None:
        # Whatever came in meanwhile stands: a batch that no longer is due does not match, and one that is stays so.
        await self._batches.update_many(
            {"_id": {"$in": list(batch_ids)}, "wake_at": {"$lte": now}}, {"$set": {"wake_at": now}}, hint="_id_"
        )

    @guarded
    async def advance_turns(self, costs: Mapping[str, float], *, since: float, reached: float) -> None:
        await advance_turns(self._batches, costs, since=since, reached=reached)

    @guarded
    async def unblock(self, batch: Batch) -> bool:
        # Only the block that was seen, and only of a batch that is awake: another may have been written since.
        match = {"_id": batch.batch_id, "revision": batch.revision, "block": {"$exists": True}}
        return (await self._batches.update_one(match, {"$unset": {"block": ""}})).modified_count == 1

    async def wake(self, batch_id: str, at: datetime, call: Pace | None = None) -> None:
        await self._wakes.ask(Wake(batch_id, at, call))

    @guarded
    async def _wake(self, wakes: Sequence[Wake]) -> list[Exception | None]:
        failed = (await write_each(self._batches, woken(wakes))).failed
        return [failed.get(wake.batch_id) for wake in wakes]

    async def wake_blocked(self, account_id: str, code: str, at: datetime) -> None:
        await self._wakes_of_blocked.ask(WakeOfBlocked(account_id, code, at))

    @guarded
    async def _wake_blocked(self, wakes: Sequence[WakeOfBlocked]) -> list[Exception | None]:
        failed = (await write_each(self._batches, unblocked(wakes))).failed
        return [failed.get(wake.code) for wake in wakes]

    @guarded
    async def wake_resting(self, from_number: str, at: datetime) -> None:
        # Rare, and of all accounts: by what sleeps, which is an index.
        await self._batches.update_many(
            {
                "wake_at": {"$gt": at},
                "block.reason.code": "from_number_resting",
                "block.reason.params.from_number": from_number,
            },
            # The block stays until the next look, which tells the batch's log that it is over.
            {"$set": {"wake_at": at}, "$inc": {"revision": 1}},
        )

    @guarded
    async def wake_account(self, account_id: str, at: datetime) -> None:
        await self._batches.update_many(
            {
                "account_id": account_id,
                "wake_at": {"$exists": True},
                "status": {"$in": WITH_WORK},
            },
            # What blocked them may be over; the next look says so.
            {"$min": {"wake_at": at}, "$inc": {"revision": 1}},
        )

    @guarded
    async def note_shortage(self, batch_id: str, shortage: Shortage) -> bool:
        match = {"_id": batch_id, "shortage.code": {"$ne": shortage.code}}
        return (await self._batches.update_one(match, {"$set": {"shortage": plain(shortage)}})).modified_count == 1

    @guarded
    async def forget_shortage(self, batch_id: str, shortage: Shortage) -> bool:
        match = {"_id": batch_id, "shortage": plain(shortage)}
        return (await self._batches.update_one(match, {"$unset": {"shortage": ""}})).modified_count == 1

    @guarded
    async def log(self, batch_id: str, entry: LogEntry) -> None:
        await self._logs.insert_one({"batch_id": batch_id, **plain(entry)})

    @guarded
    async def logs(self, batch_id: str, *, limit: int, skip: int) -> tuple[list[LogEntry], int]:
        match = {"batch_id": batch_id}
        cursor = self._logs.find(match, {"_id": False, "batch_id": False})
        cursor = cursor.sort([("timestamp", DESCENDING), ("_id", DESCENDING)]).skip(skip).limit(limit)
        found = [LogEntry.model_validate(document) async for document in cursor]
        return found, await self._logs.count_documents(match)

    @guarded
    async def newest_logged(self, batch_id: str, *, limit: int) -> list[LoggedEntry]:
        cursor = self._logs.find({"batch_id": batch_id}, {"batch_id": False})
        cursor = cursor.sort([("timestamp", DESCENDING), ("_id", DESCENDING)]).limit(limit)
        return [_logged(document) async for document in cursor][::-1]

    @guarded
    async def logged_after(self, batch_id: str, entry_id: str, *, limit: int) -> list[LoggedEntry] | None:
        if not ObjectId.is_valid(entry_id):
            return None
        last = await self._logs.find_one({"_id": ObjectId(entry_id), "batch_id": batch_id})
        if last is None:
            return None
        # As two ranges of the index, so that what came before is not gone through.
        later = [
            {"timestamp": last["timestamp"], "_id": {"$gt": last["_id"]}},
            {"timestamp": {"$gt": last["timestamp"]}},
        ]
        cursor = self._logs.find({"batch_id": batch_id, "$or": later}, {"batch_id": False})
        cursor = cursor.sort([("timestamp", ASCENDING), ("_id", ASCENDING)]).limit(limit)
        return [_logged(document) async for document in cursor]

    async def _changed(self, match: Document, changes: dict[str, Any], push: Document | None = None) -> Batch | None:
        update = set_or_unset(with_names(changes, "name"))
        update["$inc"] = {"revision": 1}
        if "finished_at" in changes:
            # What was erased of it by age was erased up to its last end (repositories/aged_batches.py).
            update["$unset"] = {**update.get("$unset", {}), "aged": ""}
        if push:
            update["$push"] = push
        return optional(
            Batch, await self._batches.find_one_and_update(match, update, return_document=ReturnDocument.AFTER)
        )


def _logged(document: Document) -> LoggedEntry:
    return LoggedEntry.model_validate({**document, "entry_id": str(document["_id"])})
