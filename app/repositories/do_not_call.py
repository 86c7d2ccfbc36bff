"""The do-not-call lists in MongoDB: one document a number and list."""

from collections.abc import Sequence

from app.domain.do_not_call import DoNotCallEntry
from app.repositories.database import Database, Repository, guarded
from app.repositories.documents import from_document


class MongoDoNotCallList(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._entries = database.collection("do_not_call")

    @guarded
    async def standing(self, account_id: str, phones: Sequence[str]) -> list[DoNotCallEntry]:
        """By the index of phones. An entry that cannot be read raises: it may be the one that forbids the call."""
        match = {"phone": {"$in": list(phones)}, "account_id": {"$in": [account_id, None]}}
        return [from_document(DoNotCallEntry, document) async for document in self._entries.find(match)]
