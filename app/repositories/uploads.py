"""Previewed files in MongoDB, as contacts in chunks, so that a large file is sent and parsed once.

Documents remove themselves when they expire.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from pydantic_core import from_json

from app.domain.contact_list import ContactPiece, ListSummary, RejectedRow
from app.domain.contacts import ContactRow
from app.domain.imports import LeftOut
from app.domain.uploads import Upload
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import optional, to_document

# Rows are kept as the JSON that the reader sent: passed on unread, and validated once, in use. Older pieces are none.
_JSON = {"$type": "string"}
_CONTACTS = TypeAdapter(list[ContactRow])
_AT_ONCE = 100
_REJECTED = TypeAdapter(list[RejectedRow])


class MongoUploads(Repository):
    def __init__(self, database: Database, retention: timedelta) -> None:
        super().__init__(database)
        self._uploads = database.collection("uploads")
        self._chunks = database.collection("upload_chunks")
        self._rejected = database.collection("upload_rejected")
        self._retention = retention

    @guarded
    async def save_contacts(self, upload_id: str, number: int, piece: ContactPiece, now: datetime) -> None:
        about = {"first_row": piece.persons[0][0], "last_row": piece.persons[-1][0], "count": len(piece.persons)}
        await self._chunks.insert_one({**self._piece(upload_id, number, now), **about, "rows": piece.rows})

    @guarded
    async def save_rejected(self, upload_id: str, number: int, rows: str, now: datetime) -> None:
        await self._rejected.insert_one({**self._piece(upload_id, number, now), "rows": rows})

    @guarded
    async def save(
        self,
        upload_id: str,
        account_id: str,
        filename: str,
        summary: ListSummary,
        now: datetime,
        *,
        left_out: Sequence[LeftOut] = (),
    ) -> None:
        upload = Upload(
            upload_id=upload_id,
            account_id=account_id,
            filename=filename,
            contact_count=summary.valid_rows,
            rejected_count=summary.invalid_rows,
            headers=summary.mapping.headers(),
            variables=summary.variables,
            time_zones=sorted(summary.time_zones),
            left_out=list(left_out),
        )
        await self._insert(upload, now)

    @guarded
    async def insert(self, upload: Upload, now: datetime) -> None:
        await self._insert(upload, now)

    @guarded
    async def get(self, upload_id: str) -> Upload | None:
        return optional(Upload, await self._uploads.find_one({"_id": upload_id}, {"expires_at": False}))

    @guarded
    async def hold(self, upload_id: str, until: datetime) -> Upload | None:
        later = {"$max": {"expires_at": until}}
        upload = optional(
            Upload, await self._uploads.find_one_and_update({"_id": upload_id}, later, projection={"expires_at": False})
        )
        await self._chunks.update_many({"upload_id": upload_id}, later)
        if upload is None:
            return None
        sizes = {"$group": {"_id": None, "contacts": {"$sum": "$count"}}}
        async for found in await self._chunks.aggregate([{"$match": {"upload_id": upload_id}}, sizes]):
            return upload if found["contacts"] == upload.contact_count else None
        return upload if upload.contact_count == 0 else None

    @guarded
    async def release(self, upload_id: str, now: datetime) -> None:
        usual = {"$set": {"expires_at": now + self._retention}}
        await self._uploads.update_one({"_id": upload_id}, usual)
        await self._chunks.update_many({"upload_id": upload_id}, usual)

    @guarded
    async def piece(self, upload_id: str, number: int) -> list[ContactRow] | None:
        return await self._contacts_of(upload_id, number)

    @guarded
    async def some_contacts(self, upload_id: str, rows: Sequence[int], *, first: int) -> list[ContactRow]:
        if not rows:
            return ((await self._contacts_of(upload_id, 0)) or [])[:first]
        holding = [{"first_row": {"$lte": row}, "last_row": {"$gte": row}} for row in rows]
        match = {"upload_id": upload_id, "rows": _JSON, "$or": holding}
        found = [row async for document in self._chunks.find(match).sort("number") for row in _contacts(document)]
        wanted = set(rows)
        return [row for row in found if row.row_number in wanted]

    async def rejected(self, upload_id: str) -> AsyncIterator[list[RejectedRow]]:
        """The rejected rows that were kept."""
        number = 0
        while rows := await self._rejected_chunk(upload_id, number):
            yield rows
            number += 1

    def _piece(self, upload_id: str, number: int, now: datetime) -> Document:
        return {"upload_id": upload_id, "number": number, "expires_at": now + self._retention}

    async def _insert(self, upload: Upload, now: datetime) -> None:
        await self._uploads.insert_one({**to_document(upload), "expires_at": now + self._retention})

    async def _contacts_of(self, upload_id: str, number: int) -> list[ContactRow] | None:
        document = await self._chunks.find_one({"upload_id": upload_id, "number": number, "rows": _JSON})
        if document is None:
            return None
        # A piece takes some 15 ms of computation; whoever else has something to do gets his turn in between.
        raw, contacts = from_json(document["rows"]), list[ContactRow]()
        for start in range(0, len(raw), _AT_ONCE):
            contacts += _CONTACTS.validate_python(raw[start : start + _AT_ONCE])
            await asyncio.sleep(0)
        return contacts

    @guarded
    async def _rejected_chunk(self, upload_id: str, number: int) -> list[RejectedRow]:
        document = await self._rejected.find_one({"upload_id": upload_id, "number": number, "rows": _JSON})
        return [] if document is None else _REJECTED.validate_json(document["rows"])


def _contacts(document: Document) -> list[ContactRow]:
    return _CONTACTS.validate_json(document["rows"])
