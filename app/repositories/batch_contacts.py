"""The contacts of recurring batches in MongoDB: kept apart from jobs, for nobody calls them until a run is made."""

from collections.abc import Sequence

from pymongo import ASCENDING
from pymongo.errors import BulkWriteError

from app.domain.contacts import Contact, ContactRow
from app.repositories.database import Database, Repository, guarded
from app.repositories.documents import plain
from app.repositories.jobs import only_duplicates


class MongoBatchContacts(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._contacts = database.collection("batch_contacts")

    @guarded
    async def insert_many(self, batch_id: str, rows: Sequence[ContactRow], *, first_number: int) -> None:
        documents = [
            {
                "_id": f"{batch_id}-{number:06d}",
                "batch_id": batch_id,
                "number": number,
                "row": row.row_number,
                "contact": plain(row.contact),
            }
            for number, row in enumerate(rows, first_number)
        ]
        try:
            await self._contacts.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise

    @guarded
    async def after(self, batch_id: str, number: int, limit: int) -> list[ContactRow]:
        cursor = self._contacts.find({"batch_id": batch_id, "number": {"$gt": number}})
        return [
            ContactRow(document["row"], Contact.model_validate(document["contact"]))
            async for document in cursor.sort("number", ASCENDING).limit(limit)
        ]
