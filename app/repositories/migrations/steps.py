"""What migrations are made of. Every step may be broken off after any statement, repeated, and done by two at once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from pydantic import ValidationError
from pymongo import UpdateOne
from pymongo.errors import OperationFailure

from app.repositories.database import Collection, Database, Document
from app.repositories.indexes import essence, indexes_of

log = structlog.get_logger("migrations")

WINDOW = 10_000
"""Documents that one question goes through at most: it ends long before the driver loses patience."""
BATCH = 500
"""Documents that are written together."""
_GONE = frozenset({26, 27})  # NamespaceNotFound, IndexNotFound


class Progress(Protocol):
    """Where a step stands."""

    @property
    def after(self) -> str | None:
        """What whoever was at it before had done: documents up to this `_id`; None: none."""

    async def note(self, after: str, *, changed: int, skipped: int) -> None:
        """Documents up to `after` are done. Raises whatever ends the run here."""


class Step(Protocol):
    @property
    def name(self) -> str: ...
    def outstanding(self, database: Database) -> AsyncIterator[int]:
        """How many things are still to be done, counted in parts."""

    async def run(self, database: Database, progress: Progress) -> None: ...


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    what: str
    """For the operator: what becomes of the data, and what it is good for."""
    steps: Sequence[Step]
    compatible: bool
    """Whether code that does not know it may go on beside it and after it. If not, all such processes end first."""
    before_versions: bool = False
    """Of a time when data had no version: data without one that has nothing for it to do went through it already."""

    async def is_needed(self, database: Database) -> bool:
        for step in self.steps:
            async for part in step.outstanding(database):
                if part:
                    return True
        return False


@dataclass(frozen=True)
class DropIndexes:
    """Indexes that nothing declares any more, each by collection, name and key: one of another key stays.

    Code that names an index in a hint fails without it, so this is for migrations that are not compatible.
    """

    indexes: Sequence[tuple[str, str, Sequence[tuple[str, int]]]]

    @property
    def name(self) -> str:
        return "indexes"

    async def outstanding(self, database: Database) -> AsyncIterator[int]:
        for collection, index, key in self.indexes:
            yield int(await self._is_there(database, collection, index, key))

    async def run(self, database: Database, progress: Progress) -> None:  # noqa: ARG002 - each is over at once
        for collection, index, key in self.indexes:
            if await self._is_there(database, collection, index, key):
                await self._drop(database, collection, index)

    async def _is_there(self, database: Database, collection: str, index: str, key: Sequence[tuple[str, int]]) -> bool:
        found = (await indexes_of(database, collection)).get(index)
        return found is not None and essence(found)["key"] == list(key)

    async def _drop(self, database: Database, collection: str, index: str) -> None:
        async with database.operation():
            try:
                await database.collection(collection).drop_index(index)
            except OperationFailure as error:
                if error.code not in _GONE:
                    raise


Change = Callable[[Document], Mapping[str, Any]]
"""The fields to be set; raises ValidationError for a document that cannot be read."""


@dataclass(frozen=True)
class Backfill:
    """Fields that documents of `collection` lack, computed from others. Ids must be strings.

    Goes through the collection by `_id`, in windows, and writes only where something is lacking. An update also matches
    `computed_from` as it was read: where a process has changed that meanwhile, it is computed once more.
    """

    collection: str
    fields: Sequence[str]
    computed_from: Sequence[str]
    change: Change
    beforehand: Callable[[Database, Sequence[Document]], Awaitable[None]] | None = None
    """Done with the documents first, repeatable: once their fields are there, it is not done any more."""
    reads: Sequence[str] = ()
    """What `beforehand` needs besides."""
    window: int = WINDOW
    batch: int = BATCH

    @property
    def name(self) -> str:
        return self.collection

    @property
    def _lacking(self) -> Document:
        return {"$or": [{field: {"$exists": False}} for field in self.fields]}

    async def outstanding(self, database: Database) -> AsyncIterator[int]:
        after = None
        while (end := await self._window_end(database, after)) is not None:
            async with database.operation():
                collection = database.collection(self.collection)
                yield await collection.count_documents(_within(after, end) | self._lacking, hint="_id_")
            after = end

    async def run(self, database: Database, progress: Progress) -> None:
        after, before = progress.after, list[str]()
        while (end := await self._window_end(database, after)) is not None:
            while after is None or after < end:
                found = await self._found(database, after, end)
                if not found:
                    await progress.note(end, changed=0, skipped=0)
                    break
                updates, ids = self._updates(found), [document["_id"] for document in found]
                if not await self._write(database, found, updates) and ids != before:
                    before = ids
                    continue  # some of them changed meanwhile: these are found again
                after = ids[-1]
                await progress.note(after, changed=len(updates), skipped=len(found) - len(updates))
            after = end

    async def _window_end(self, database: Database, after: str | None) -> str | None:
        """The last id of the next window; None: there is none."""
        # From the index of ids alone, and only a window's worth of it. Ids that are no strings are nobody's of ours.
        match = {"_id": {"$gt": after or ""}}
        pipeline: list[Document] = [
            {"$match": match},
            {"$sort": {"_id": 1}},
            {"$limit": self.window},
            {"$group": {"_id": None, "end": {"$max": "$_id"}}},
        ]
        async with database.operation():
            cursor = await database.collection(self.collection).aggregate(pipeline, hint="_id_")
            async for last in cursor:
                return str(last["end"])
        return None

    async def _found(self, database: Database, after: str | None, end: str) -> list[Document]:
        async with database.operation():
            wanted = dict.fromkeys([*self.fields, *self.computed_from, *self.reads], True)
            cursor = self._collection(database).find(_within(after, end) | self._lacking, wanted, hint="_id_")
            return await cursor.sort("_id", 1).limit(self.batch).to_list()

    def _updates(self, found: Sequence[Document]) -> list[UpdateOne]:
        updates = []
        for document in found:
            try:
                fields = dict(self.change(document))
            except ValidationError:
                log.error("document_unreadable", collection=self.collection, id=document["_id"])  # noqa: TRY400 - values are private
                continue
            seen = {field: document.get(field) for field in self.computed_from}
            updates.append(UpdateOne({"_id": document["_id"], **seen}, {"$set": fields}))
        return updates

    async def _write(self, database: Database, found: Sequence[Document], updates: list[UpdateOne]) -> bool:
        """Whether all of it was written."""
        if self.beforehand is not None:
            await self.beforehand(database, found)
        if not updates:
            return True
        async with database.operation():
            result = await self._collection(database).bulk_write(updates, ordered=False)
        return result.matched_count == len(updates)

    def _collection(self, database: Database) -> Collection:
        return database.collection(self.collection)


def _within(after: str | None, end: str) -> Document:
    return {"_id": {"$gt": after or "", "$lte": end}}
