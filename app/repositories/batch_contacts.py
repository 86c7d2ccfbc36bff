"""The contacts of recurring batches in MongoDB: kept apart from jobs, for nobody calls them until a run is made."""

from collections.abc import Collection, Sequence

from pymongo import ASCENDING
from pymongo.errors import BulkWriteError

from app.domain.contacts import Contact, ContactRow, person_keys
from app.domain.imports import KnownPerson, NumberedContact
from app.repositories.database import Database, Repository, guarded
from app.repositories.documents import plain
from app.repositories.jobs import only_duplicates


class MongoBatchContacts(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._contacts = database.collection("batch_contacts")

    @guarded
    async def insert_many(self, batch_id: str, import_id: str, contacts: Sequence[NumberedContact]) -> None:
        documents = [
            {
                "_id": f"{batch_id}-{number:06d}",
                "batch_id": batch_id,
                "import_id": import_id,
                "number": number,
                "row": row.row_number,
                "contact": plain(row.contact),
                "person_keys": person_keys(row.contact),
            }
            for number, row, _ in contacts
        ]
        try:
            await self._contacts.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise

    @guarded
    async def after(
        self, batch_id: str, number: int, limit: int, *, without: Collection[str] = ()
    ) -> list[NumberedContact]:
        match = {"batch_id": batch_id, "number": {"$gt": number}, "import_id": {"$nin": list(without)}}
        cursor = self._contacts.find(match).sort("number", ASCENDING).limit(limit)
        return [
            NumberedContact(
                document["number"],
                ContactRow(document["row"], Contact.model_validate(document["contact"])),
                document.get("import_id"),
            )
            async for document in cursor
        ]

    @guarded
    async def known(self, batch_id: str, keys: Sequence[str], *, without: Collection[str]) -> list[KnownPerson]:
        match = {"batch_id": batch_id, "person_keys": {"$in": list(keys)}, "import_id": {"$nin": list(without)}}
        wanted = {"_id": False, "number": True, "import_id": True, "person_keys": True}
        return [KnownPerson(**document) async for document in self._contacts.find(match, wanted)]

    @guarded
    async def count(self, batch_id: str, import_id: str) -> int:
        return await self._contacts.count_documents({"batch_id": batch_id, "import_id": import_id})

    @guarded
    async def remove(self, batch_id: str, import_id: str, first: int, last: int) -> None:
        numbers = {"$gte": first, "$lte": last}
        await self._contacts.delete_many({"batch_id": batch_id, "import_id": import_id, "number": numbers})
