"""Batches whose time is over, in MongoDB: how far each is erased stands in its own document (`aged`), which is no field
of the model.

`aged.level` is what is erased: nothing (absent), RECORDINGS or EVERYTHING. Whatever sets `finished_at` takes `aged`
away (repositories/batches.py): a batch that ends once more is erased once more.
"""

from datetime import datetime

from pymongo import ASCENDING, ReturnDocument

from app.domain.batches import BatchStatus
from app.domain.privacy import AgedBatch
from app.repositories.database import Database, Document, Repository, guarded

RECORDINGS, EVERYTHING = 1, 2
_OVER = {"$in": [BatchStatus.COMPLETED.value, BatchStatus.CANCELLED.value]}


class MongoAgedBatches(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._accounts = database.collection("accounts")
        self._batches = database.collection("batches")

    @guarded
    async def account_ids(self, *, only_who_chose: bool) -> list[str]:
        chosen = [{name: {"$gt": 0}} for name in ("retention_days", "recording_retention_days")]
        match: Document = {"$or": chosen} if only_who_chose else {}
        return [document["_id"] async for document in self._accounts.find(match, {"_id": True})]

    @guarded
    async def oldest(self, account_id: str, before: datetime, *, everything: bool) -> datetime | None:
        match = _aged(account_id, before, everything=everything)
        document = await self._batches.find_one(
            match, {"finished_at": True}, sort=[("finished_at", ASCENDING)], hint="aged"
        )
        return None if document is None else document["finished_at"]

    @guarded
    async def take(
        self, account_id: str, before: datetime, now: datetime, lease_until: datetime, *, everything: bool
    ) -> AgedBatch | None:
        match = {
            **_aged(account_id, before, everything=everything),
            "$or": [{"aged.due_at": {"$exists": False}}, {"aged.due_at": {"$lte": now}}],
        }
        document = await self._batches.find_one_and_update(
            match,
            {"$set": {"aged.due_at": lease_until}},
            {"aged": True},
            sort=[("finished_at", ASCENDING)],
            hint="aged",
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            return None
        aged = document["aged"]
        # How far the links are says nothing of the rest.
        after = aged.get("after", "") if aged.get("everything") == everything else ""
        return AgedBatch(document["_id"], account_id, everything, after)

    @guarded
    async def later(self, batch: AgedBatch, after: str, due_at: datetime) -> None:
        how_far = {"aged.after": after, "aged.everything": batch.everything, "aged.due_at": due_at}
        await self._batches.update_one(_taken(batch), {"$set": how_far})

    @guarded
    async def done(self, batch: AgedBatch) -> bool:
        level = EVERYTHING if batch.everything else RECORDINGS
        result = await self._batches.update_one(_taken(batch), {"$set": {"aged": {"level": level}}})
        return result.modified_count == 1

    @guarded
    async def count(self, account_id: str, now: datetime, *, jobs: int = 0, recordings: int = 0) -> None:
        if jobs or recordings:
            counts = {"erased_by_age.jobs": jobs, "erased_by_age.recordings": recordings}
            update = {"$inc": counts, "$set": {"erased_by_age.last_at": now}}
            await self._accounts.update_one({"_id": account_id}, update)


def _aged(account_id: str, before: datetime, *, everything: bool) -> Document:
    return {
        "account_id": account_id,
        "aged.level": {"$in": [None, RECORDINGS]} if everything else None,
        "finished_at": {"$lt": before},
        "status": _OVER,
    }


def _taken(batch: AgedBatch) -> Document:
    """Unless it was opened again meanwhile, or somebody was quicker."""
    left = {"$in": [None, RECORDINGS]} if batch.everything else None
    return {"_id": batch.batch_id, "status": _OVER, "aged.due_at": {"$exists": True}, "aged.level": left}
