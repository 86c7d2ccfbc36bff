"""The register of worker processes in MongoDB. Its times are the primary's."""

from collections.abc import Sequence
from datetime import timedelta

from pymongo import DESCENDING, ReturnDocument

from app.domain.workers import KEPT_FOR, Vitals, Worker, WorkerState
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import from_document, optional, plain


class MongoWorkers(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._workers = database.collection("workers")

    @guarded
    async def note(self, worker_id: str, vitals: Vitals) -> Worker:
        said = {name: {"$literal": value} for name, value in plain(vitals).items()}
        times = {
            "started_at": {"$ifNull": ["$started_at", "$$NOW"]},
            "last_seen_at": "$$NOW",
            "expires_at": _from_now(KEPT_FOR),
        }
        document = await self._workers.find_one_and_update(
            {"_id": worker_id}, [{"$set": said | times}], upsert=True, return_document=ReturnDocument.AFTER
        )
        assert document is not None  # noqa: S101 - an upsert leaves one
        return from_document(Worker, document)

    @guarded
    async def get(self, worker_id: str) -> Worker | None:
        return optional(Worker, await self._workers.find_one({"_id": worker_id}))

    @guarded
    async def all(self) -> Sequence[Worker]:
        # The bound is no bound: it has MongoDB go by the index.
        cursor = self._workers.find({"started_at": {"$exists": True}}).sort(
            [("started_at", DESCENDING), ("_id", DESCENDING)]
        )
        return [from_document(Worker, document) async for document in cursor]

    @guarded
    async def ask_to_drain(self, worker_id: str, within: timedelta, by: str) -> Worker | None:
        asked = {
            "drain_until": {"$min": ["$drain_until", _from_now(within)]},
            "drain_requested_by": {"$ifNull": ["$drain_requested_by", {"$literal": by}]},
        }
        document = await self._workers.find_one_and_update(
            {"_id": worker_id, "state": {"$ne": WorkerState.STOPPED.value}},
            [{"$set": asked}],
            return_document=ReturnDocument.AFTER,
        )
        return optional(Worker, document)


def _from_now(span: timedelta) -> Document:
    return {"$add": ["$$NOW", int(span.total_seconds() * 1000)]}
