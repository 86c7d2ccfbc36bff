"""The one document that says which version the data has, who may work with it, and how far a migration is.

Every write of a runner matches its lease, and is repeatable. Times are the primary's.
"""

from datetime import timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from pymongo import ReturnDocument

from app.domain.schema import SchemaState, Stand, Versions
from app.repositories.database import Database, DatabaseUnsuitable, Document, Repository, guarded
from app.repositories.documents import plain

V = TypeVar("V", bound=Versions)

_ID = "schema"
_FREE = {"$not": [{"$gt": ["$lease.until", "$$NOW"]}]}


class MongoSchema(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._schema = database.collection("schema")

    @guarded
    async def versions(self) -> Versions | None:
        """None: nobody has written any. Raises DatabaseUnsuitable if they cannot be read."""
        document = await self._schema.find_one({"_id": _ID}, {"version": True, "min_code_version": True})
        return None if document is None else _read(Versions, document)

    @guarded
    async def state(self) -> SchemaState:
        """Version 0 if there is none. Raises DatabaseUnsuitable."""
        document = await self._schema.find_one({"_id": _ID}, {"history": False})
        return _read(SchemaState, document or {"version": 0, "min_code_version": 0})

    @guarded
    async def record(self, version: int, min_code_version: int, done: Document) -> None:
        """The data is of `version` now; nothing happens if somebody has recorded that, or more.

        `done`: what is told of it in the history.
        """
        told = {**{name: {"$literal": value} for name, value in done.items()}, "version": version, "at": "$$NOW"}
        changed = {
            "version": version,
            "min_code_version": {"$max": ["$min_code_version", min_code_version]},
            "updated_at": "$$NOW",
            "history": {"$concatArrays": [{"$ifNull": ["$history", []]}, [told]]},
        }
        await self._schema.update_one(
            {"_id": _ID, "version": {"$lt": version}}, [{"$set": changed}, {"$unset": "stand"}]
        )

    @guarded
    async def begin(self) -> None:
        """Have the document there."""
        begun = {"version": 0, "min_code_version": 0}
        await self._schema.update_one({"_id": _ID}, {"$setOnInsert": begun}, upsert=True)

    @guarded
    async def begin_again(self) -> bool:
        """Have every migration outstanding; False while one is under way."""
        again = {"$set": {"version": 0}, "$unset": {"stand": ""}}
        return (await self._schema.update_one({"_id": _ID, "$expr": _FREE}, again)).matched_count == 1

    @guarded
    async def take_lease(self, holder: str, span: timedelta) -> SchemaState | None:
        """None: somebody else has it."""
        lease = {"holder": {"$literal": holder}, "until": _from_now(span)}
        document = await self._schema.find_one_and_update(
            {"_id": _ID, "$or": [{"$expr": _FREE}, {"lease.holder": holder}]},
            [{"$set": {"lease": lease}}],
            projection={"history": False},
            return_document=ReturnDocument.AFTER,
        )
        return None if document is None else _read(SchemaState, document)

    @guarded
    async def renew(self, holder: str, span: timedelta) -> bool:
        return await self._held(holder, [{"$set": {"lease.until": _from_now(span)}}])

    @guarded
    async def demand(self, holder: str, min_code_version: int) -> bool:
        """From now on only code of that version or later."""
        raised = {"$lt": ["$min_code_version", min_code_version]}
        changes = {
            "demanded_at": {"$cond": [raised, "$$NOW", "$demanded_at"]},
            "min_code_version": {"$max": ["$min_code_version", min_code_version]},
        }
        return await self._held(holder, [{"$set": changes}])

    @guarded
    async def note(self, holder: str, stand: Stand) -> bool:
        """False: it is somebody else's by now, or over."""
        return await self._held(holder, {"$set": {"stand": plain(stand)}}, version={"$lt": stand.migration})

    @guarded
    async def release(self, holder: str) -> None:
        await self._held(holder, {"$unset": {"lease": ""}})

    async def _held(self, holder: str, update: Any, **match: Any) -> bool:
        held = {"_id": _ID, "lease.holder": holder, **match}
        return (await self._schema.update_one(held, update)).matched_count == 1


def _read(model: type[V], document: Document) -> V:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        fields = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors()}))
        raise DatabaseUnsuitable(
            "The document that says which version the data has (collection `schema`, _id `schema`) cannot be read: "
            f"{fields}. Nothing is done with data of unknown version. Restore that document from a backup, or, if you "
            "know that no migration ever ended halfway, delete it and run python -m scripts.migrate."
        ) from None


def _from_now(span: timedelta) -> Document:
    return {"$add": ["$$NOW", int(span.total_seconds() * 1000)]}
