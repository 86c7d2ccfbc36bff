"""What the doctor wants to know of MongoDB. Only reads, and needs no right that calling does not need."""

import asyncio
from typing import Any

from pymongo.errors import OperationFailure

from app.domain.accounts import AccountStatus
from app.domain.diagnosis import DatabaseFacts, Line
from app.domain.schema import why_refused
from app.repositories.database import NOT_LET_IN, Database, DatabaseUnsuitable, Document
from app.repositories.indexes import INDEXES, essence, indexes_of
from app.repositories.migrations import CODE_VERSION
from app.repositories.schema_document import MongoSchema

MAJORITY_LOOKS = 20
MAJORITY_LOOK_SECONDS = 0.25


class MongoInspection:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self) -> DatabaseFacts | str:
        try:
            await self._database.check()
            return await self._look()
        except DatabaseUnsuitable as error:
            return str(error)
        except OperationFailure as error:
            if error.code in NOT_LET_IN:
                return "MongoDB lets us in, but not read what is needed: give the user readWrite on MONGODB_DATABASE."
            raise

    async def lines(self) -> list[Line]:
        groups: list[Document] = [
            {"$match": {"status": AccountStatus.ACTIVE.value}},
            {
                "$group": {
                    "_id": {"number": "$retell_from_number", "agent": "$retell_agent_id"},
                    "limits": {"$sum": "$features.max_concurrent_calls"},
                    "countries": {"$addToSet": "$country"},
                }
            },
        ]
        async with self._database.operation():
            cursor = await self._database.collection("accounts").aggregate(groups)
            found = await cursor.to_list()
        return [
            Line(
                number=group["_id"].get("number"),
                agent_id=group["_id"].get("agent"),
                limits=group["limits"],
                countries=frozenset(country for country in group["countries"] if country),
            )
            for group in found
        ]

    async def _look(self) -> DatabaseFacts:
        versions = await MongoSchema(self._database).versions()
        refused = why_refused(versions, CODE_VERSION) if versions else None
        if refused:
            raise DatabaseUnsuitable(refused)
        hello = await self._database.server_says("hello")
        build = await self._database.server_says("buildInfo")
        there = {name: await indexes_of(self._database, name) for name in INDEXES}
        wanted = {
            f"{name}.{index.document['name']}": index.document for name, all_ in INDEXES.items() for index in all_
        }
        found = {f"{name}.{index}": spec for name, specs in there.items() for index, spec in specs.items()}
        return DatabaseFacts(
            version=build["version"],
            replica_set=hello["setName"],
            members=len(hello.get("hosts", [])),
            arbiters=len(hello.get("arbiters", [])),
            write_concern=self._database.write_concern,
            majority_keeps_up=await self._majority_has(hello["lastWrite"]["opTime"]["ts"]),
            is_new=not any(there.values()),
            data_version=versions.version if versions else None,
            code_version=CODE_VERSION,
            missing_indexes=sorted(wanted.keys() - found.keys()),
            different_indexes=sorted(
                name for name in wanted.keys() & found.keys() if essence(wanted[name]) != essence(found[name])
            ),
        )

    async def _majority_has(self, written: Any) -> bool:
        """`written`: how far the primary was (a Timestamp). An idle set is level at the first look."""
        for _ in range(MAJORITY_LOOKS):
            hello = await self._database.server_says("hello")
            if hello["lastWrite"]["majorityOpTime"]["ts"] >= written:
                return True
            await asyncio.sleep(MAJORITY_LOOK_SECONDS)
        return False
