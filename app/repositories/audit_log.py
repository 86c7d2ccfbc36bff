"""The audit log in MongoDB: only ever added to."""

from pymongo import DESCENDING

from app.domain.access import AuditEntry
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import plain


class MongoAuditLog(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._entries = database.collection("audit_log")

    @guarded
    async def add(self, entry: AuditEntry) -> None:
        await self._entries.insert_one(plain(entry))

    @guarded
    async def page(
        self, *, account_id: str | None, user: str | None, limit: int, skip: int
    ) -> tuple[list[AuditEntry], int]:
        wanted = {"account_id": account_id, "user": user}
        match: Document = {name: value for name, value in wanted.items() if value is not None}
        cursor = self._entries.find(match, {"_id": False}).sort([("at", DESCENDING), ("_id", DESCENDING)])
        found = [AuditEntry.model_validate(document) async for document in cursor.skip(skip).limit(limit)]
        return found, await self._entries.count_documents(match)
