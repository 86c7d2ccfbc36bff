"""A batch's jobs for its export, in pieces, each from the index of `_id` alone.

A job's id is its batch's and its number (services/importing.py), and never changes: an index on what workers change
would show a job that moves meanwhile twice, or not at all.
"""

from collections.abc import Sequence

from pymongo import ASCENDING

from app.domain.jobs import FINAL, Job, JobState, WaitingFor
from app.domain.results import ShapePart
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import from_document

SHAPE_JOBS = 5_000
"""So many are looked at for the columns in one go; a second or so, however large their documents."""
_NOT_SHOWN = {"timeline": False, "report.transcript": False, "attempt.request_body": False}


class MongoResults(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._jobs = database.collection("jobs")

    @guarded
    async def shape(self, batch_id: str, after: str | None) -> ShapePart | None:
        pipeline: list[Document] = [
            {"$match": _behind(batch_id, after)},
            {"$sort": {"_id": ASCENDING}},
            {"$limit": SHAPE_JOBS},
            {
                "$group": {
                    "_id": {
                        "custom": _names("$contact.custom_fields"),
                        "collected": _names("$report.collected_variables"),
                    },
                    "phones": {"$max": {"$size": "$contact.phones"}},
                    "last": {"$max": "$_id"},
                    "grows": {"$max": {"$not": [{"$in": ["$state", sorted(FINAL)]}]}},
                }
            },
        ]
        groups = [group async for group in await self._jobs.aggregate(pipeline, hint="_id_")]
        if not groups:
            return None
        return ShapePart(
            last=max(group["last"] for group in groups),
            phones=max(group["phones"] for group in groups),
            custom_fields=[group["_id"]["custom"] for group in groups],
            collected=[group["_id"]["collected"] for group in groups],
            grows=any(group["grows"] for group in groups),
        )

    @guarded
    async def page(
        self,
        batch_id: str,
        *,
        states: Sequence[JobState] | None,
        waiting_for: Sequence[WaitingFor] | None,
        after: str | None,
        until: str,
        limit: int,
    ) -> list[Job]:
        match = _behind(batch_id, after)
        match["_id"] |= {"$lte": until}
        if states is not None:
            match["state"] = {"$in": [state.value for state in states]}
        if waiting_for is not None:
            match["waiting_for"] = {"$in": [reason.value for reason in waiting_for]}
        cursor = self._jobs.find(match, _NOT_SHOWN, hint="_id_").sort("_id", ASCENDING).limit(limit)
        return [_job(document) async for document in cursor]


def _behind(batch_id: str, after: str | None) -> Document:
    # "." comes right after "-".
    return {"_id": {"$gt": after or f"{batch_id}-", "$lt": f"{batch_id}."}, "batch_id": batch_id}


def _names(of: str) -> Document:
    return {"$map": {"input": {"$objectToArray": {"$ifNull": [of, {}]}}, "in": "$$this.k"}}


def _job(document: Document) -> Job:
    if "attempt" in document:
        document["attempt"]["request_body"] = ""
    return from_document(Job, document)
