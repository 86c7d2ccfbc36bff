"""Entries of do-not-call lists whose time is long over, in MongoDB."""

from datetime import datetime

from pymongo import ASCENDING

from app.repositories.database import Database, Document, Repository, guarded


class MongoAgedEntries(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._entries = database.collection("do_not_call")

    @guarded
    async def forget(self, account_id: str | None, before: datetime, limit: int) -> int:
        # Of everybody's list the field is missing. What stands for good has no end.
        over: Document = {"account_id": account_id, "expires_at": {"$lte": before}}
        found = self._entries.find(over, {"_id": True}, hint="ended").sort("expires_at", ASCENDING).limit(limit)
        ids = [entry["_id"] async for entry in found]
        # Only if it is over still: it may have been listed anew since it was read.
        return (await self._entries.delete_many({"_id": {"$in": ids}, **over})).deleted_count if ids else 0
