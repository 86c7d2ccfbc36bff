"""Previewing a spreadsheet: read it once, say what is in it, keep its contacts for `POST /batches`."""

import asyncio
from pathlib import Path

from app.domain.contact_import import ContactImport, import_contacts
from app.domain.errors import NotFound
from app.domain.ports import Accounts, Time, Uploads
from app.domain.tables import SpreadsheetReader
from app.services.ids import new_id


class UploadService:
    def __init__(self, accounts: Accounts, uploads: Uploads, reader: SpreadsheetReader, time: Time) -> None:
        self._accounts = accounts
        self._uploads = uploads
        self._reader = reader
        self._time = time

    async def preview(self, account_id: str, content: bytes | Path, filename: str) -> tuple[str, ContactImport]:
        """The new upload's id and everything found in the file.

        Raises NotFound (account) or SpreadsheetRejected (unreadable, or no contact list).
        """
        account = await self._accounts.get(account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=account_id)
        table = await self._reader.read(content, filename)
        # Seconds of pure computation for a large file: not on the event loop.
        imported = await asyncio.to_thread(import_contacts, table, country=account.country)
        upload_id = new_id("upload")
        await self._uploads.save(upload_id, account_id, filename, imported, self._time.now())
        return upload_id, imported
