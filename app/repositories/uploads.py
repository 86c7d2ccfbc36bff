"""Previewed files in MongoDB, as contacts in chunks, so that a large file is sent and parsed once.

Documents remove themselves when they expire.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from pymongo import ASCENDING

from app.domain.contact_import import ContactImport
from app.domain.contacts import Contact, ContactRow
from app.domain.errors import NotFound
from app.repositories.database import Database, Repository, guarded
from app.repositories.documents import plain

CHUNK = 1000
"""Contacts a document: some 300 kB of the 16 MB that one may hold, even with long custom fields."""


class MongoUploads(Repository):
    def __init__(self, database: Database, retention: timedelta) -> None:
        super().__init__(database)
        self._uploads = database.collection("uploads")
        self._chunks = database.collection("upload_chunks")
        self._retention = retention

    async def save(
        self, upload_id: str, account_id: str, filename: str, imported: ContactImport, now: datetime
    ) -> None:
        """Store the contacts first and the upload last: an upload that can be named is whole."""
        expires_at = now + self._retention
        contacts = imported.contacts
        for number, start in enumerate(range(0, len(contacts), CHUNK)):
            await self._save_chunk(upload_id, number, contacts[start : start + CHUNK], expires_at)
        await self._save_upload(upload_id, account_id, filename, len(contacts), expires_at)

    @guarded
    async def contact_count(self, upload_id: str, account_id: str) -> int | None:
        """How many contacts the account's upload holds; None if there is no such upload."""
        document = await self._uploads.find_one({"_id": upload_id, "account_id": account_id})
        return None if document is None else int(document["contact_count"])

    async def contacts(self, upload_id: str) -> AsyncIterator[list[ContactRow]]:
        """Raises NotFound if the upload is not there, or expires while it is being read: never only some of it."""
        expected = await self._count(upload_id)
        number = given = 0
        while given < expected:
            chunk = await self._chunk(upload_id, number)
            if chunk is None:
                raise NotFound("upload_not_found", upload_id=upload_id)
            yield chunk
            number, given = number + 1, given + len(chunk)

    @guarded
    async def _count(self, upload_id: str) -> int:
        document = await self._uploads.find_one({"_id": upload_id}, {"contact_count": True})
        if document is None:
            raise NotFound("upload_not_found", upload_id=upload_id)
        return int(document["contact_count"])

    @guarded
    async def _save_chunk(self, upload_id: str, number: int, contacts: list[ContactRow], expires_at: datetime) -> None:
        rows = [{"row": row.row_number, "contact": plain(row.contact)} for row in contacts]
        await self._chunks.insert_one(
            {"upload_id": upload_id, "number": number, "contacts": rows, "expires_at": expires_at}
        )

    @guarded
    async def _save_upload(
        self, upload_id: str, account_id: str, filename: str, contact_count: int, expires_at: datetime
    ) -> None:
        await self._uploads.insert_one(
            {
                "_id": upload_id,
                "account_id": account_id,
                "filename": filename,
                "contact_count": contact_count,
                "expires_at": expires_at,
            }
        )

    @guarded
    async def _chunk(self, upload_id: str, number: int) -> list[ContactRow] | None:
        document = await self._chunks.find_one({"upload_id": upload_id, "number": number}, sort=[("number", ASCENDING)])
        if document is None:
            return None
        return [ContactRow(row["row"], Contact.model_validate(row["contact"])) for row in document["contacts"]]
