"""Events that were not told yet, in the documents of the jobs and batches that they happened to.

`untold` is the list, `untold_at` (only while there are any) when somebody should see to it, `untold_by` the worker
that made them happen. They are no fields of the models: nobody else is to load them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from pymongo import ASCENDING, UpdateOne

from app.domain.batches import Batch
from app.domain.jobs import Job
from app.domain.untold import Untold
from app.domain.webhook_ports import Source, UntoldBatch, UntoldJob
from app.repositories.bulk import write_each
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import plain, readable
from app.repositories.timelines import WITHOUT_TIMELINE

log = structlog.get_logger("repositories")

M = TypeVar("M", bound=BaseModel)

PUT_ASIDE = timedelta(minutes=10)


def pushed_untold(events: Sequence[Untold]) -> Document:
    """For the `$push` of the update that makes them true."""
    return {"untold": {"$each": plain(events)}} if events else {}


def to_be_told(events: Sequence[Untold], now: datetime, by: str | None = None) -> Document:
    """For its `$set`."""
    return {"untold_at": now, **({"untold_by": by} if by else {})} if events else {}


class MongoUntold(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._collections = {"jobs": database.collection("jobs"), "batches": database.collection("batches")}

    @guarded
    async def jobs(self, worker_id: str, now: datetime, left_before: datetime, limit: int) -> list[UntoldJob]:
        mine_or_left = [{"untold_by": worker_id, "untold_at": {"$lte": now}}, {"untold_at": {"$lte": left_before}}]
        match: Document = {"untold_at": {"$lte": now}, "$or": mine_or_left}
        cursor = (
            self._collections["jobs"]
            .find(match, WITHOUT_TIMELINE)
            .sort("untold_at", ASCENDING)
            .limit(limit)
            .hint("untold")
        )
        found = [_read(Job, document) async for document in cursor]
        await self._set_unreadable_aside("jobs", [job_id for _, job_id, job in found if job is None], now)
        return [UntoldJob(job, events) for events, _, job in found if job is not None]

    @guarded
    async def batches(self, now: datetime, limit: int) -> list[UntoldBatch]:
        cursor = self._collections["batches"].find({"untold_at": {"$lte": now}}).sort("untold_at", ASCENDING)
        cursor = cursor.limit(limit)
        found = [_read(Batch, document) async for document in cursor]
        await self._set_unreadable_aside("batches", [batch_id for _, batch_id, batch in found if batch is None], now)
        return [UntoldBatch(batch, events) for events, _, batch in found if batch is not None]

    @guarded
    async def told(self, source: Source, event_ids: Mapping[str, Collection[str]]) -> None:
        written = await write_each(
            self._collections[source], {object_id: _told(object_id, ids) for object_id, ids in event_ids.items()}
        )
        for error in written.failed.values():
            raise error

    async def _set_unreadable_aside(self, source: Source, ids: list[str], now: datetime) -> None:
        if ids:
            # Out of the way of the others, but not forgotten.
            match = {"_id": {"$in": ids}, "untold_at": {"$exists": True}}
            await self._collections[source].update_many(match, {"$set": {"untold_at": now + PUT_ASIDE}})

    @guarded
    async def put_aside(self, source: Source, object_id: str, until: datetime) -> None:
        await self._collections[source].update_one(
            {"_id": object_id, "untold_at": {"$exists": True}}, {"$set": {"untold_at": until}}
        )


def _read(model: type[M], document: Document) -> tuple[list[Untold], str, M | None]:
    """The events, the id and what they happened to; None if that, or one of them, cannot be read."""
    document_id = document["_id"]
    try:
        events = [Untold.model_validate(event) for event in document.get("untold", [])]
    except ValidationError as error:
        log.error("events_unreadable", kind=model.__name__, id=document_id, problems=error.error_count())  # noqa: TRY400 - values are private
        return [], document_id, None
    return events, document_id, readable(model, document)


def _told(object_id: str, event_ids: Collection[str]) -> UpdateOne:
    left = {"$filter": {"input": "$untold", "cond": {"$not": {"$in": ["$$this.event_id", list(event_ids)]}}}}
    return UpdateOne(
        {"_id": object_id, "untold": {"$exists": True}},
        [
            {"$set": {"untold": left}},
            {"$set": {name: _while_any(name) for name in ("untold_at", "untold_by", "untold")}},
        ],
    )


def _while_any(name: str) -> Any:
    return {"$cond": [{"$eq": ["$untold", []]}, "$$REMOVE", f"${name}"]}
