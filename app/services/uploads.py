"""Previewing a spreadsheet: read it once, say what is in it, keep its contacts for `POST /batches`."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from app.domain.contact_files import errors_header, errors_row
from app.domain.contact_list import SHOWN_ROWS, ContactListReader, ContactPiece, ListOrder, ListSummary, ListTaker
from app.domain.errors import NotFound
from app.domain.imports import LeftOut, LeftOutRow, with_left_out
from app.domain.messages import Language, render
from app.domain.ports import Accounts, Jobs, Time, Uploads
from app.domain.uploads import Upload
from app.services.ids import new_id

SECONDS_FOR_ACTIVE = 5.0
"""So long the database is asked who is in an active batch already; a list it does not suffice for is told so."""


class Preview(NamedTuple):
    """`active` holds the first SHOWN_ROWS of `active_rows`, whose persons an active batch is to call anyway;
    `active_checked` callable rows were compared, which is fewer than all if the time was up."""

    upload_id: str
    summary: ListSummary
    active: list[LeftOutRow]
    active_rows: int
    active_checked: int


class _Reading(ListTaker):
    """Takes a list and keeps nothing of it."""

    async def take_contacts(self, piece: ContactPiece) -> None: ...
    async def take_rejected(self, rows: str) -> None: ...


class UploadService:
    def __init__(self, accounts: Accounts, uploads: Uploads, jobs: Jobs, reader: ContactListReader, time: Time) -> None:
        self._accounts = accounts
        self._uploads = uploads
        self._jobs = jobs
        self._reader = reader
        self._time = time

    async def preview(self, account_id: str, content: bytes | Path, filename: str, order: ListOrder) -> Preview:
        """Read the list and keep it. `order` without a country has the account's.

        With `skip_duplicates` whoever is in an active batch of the account is not kept either. Raises NotFound
        (account), SpreadsheetRejected (unreadable, or no contact list) or InvalidInput (choices).
        """
        order = await self._at_home(account_id, order)
        keeper = _Keeper(self._uploads, self._jobs, self._time, account_id, skip_active=order.skip_duplicates)
        summary = await self._reader.read_list(content, filename, order, keeper)
        if order.skip_duplicates:
            summary = replace(
                summary,
                valid_rows=summary.valid_rows - keeper.active_rows,
                skipped_rows=summary.skipped_rows + keeper.active_rows,
            )
        await self._uploads.save(
            keeper.upload_id, account_id, filename, summary, self._time.now(), left_out=keeper.left_out
        )
        return Preview(keeper.upload_id, summary, keeper.active, keeper.active_rows, keeper.active_checked)

    async def read_again(self, account_id: str, content: bytes | Path, filename: str, order: ListOrder) -> ListSummary:
        """What the list itself says, as when it was read before; nothing is kept. Raises as `preview` does."""
        order = await self._at_home(account_id, order)
        return await self._reader.read_list(content, filename, order, _Reading())

    async def _at_home(self, account_id: str, order: ListOrder) -> ListOrder:
        account = await self._accounts.get(account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=account_id)
        return order.model_copy(update={"country": order.country or account.country})

    async def get(self, upload_id: str) -> Upload:
        """Raises NotFound, also when it has expired."""
        upload = await self._uploads.get(upload_id)
        if upload is None:
            raise NotFound("upload_not_found", upload_id=upload_id)
        return upload

    async def rejected_rows(self, upload: Upload, language: Language) -> AsyncGenerator[list[list[str]], None]:
        """The file of errors, in chunks of rows; the first is the header alone."""
        width = len(upload.headers)
        yield [errors_header(upload.headers, language)]
        given = 0
        async for chunk in self._uploads.rejected(upload.upload_id):
            yield [errors_row(row, width, language) for row in chunk]
            given += len(chunk)
        if given < upload.rejected_count:
            yield [[render("errors_file_more", language, more=upload.rejected_count - given)]]


class _Keeper:
    """Takes a list piece by piece: keeps it, and looks its persons up; with `skip_active` all of them, to keep only who
    is in no active batch."""

    def __init__(self, uploads: Uploads, jobs: Jobs, time: Time, account_id: str, *, skip_active: bool) -> None:
        self.upload_id = new_id("upload")
        self.active: list[LeftOutRow] = []
        self.left_out: list[LeftOut] = []
        self.active_rows = self.active_checked = 0
        self._uploads = uploads
        self._jobs = jobs
        self._time = time
        self._account_id = account_id
        self._contact_pieces = self._rejected_pieces = 0
        self._skip_active = skip_active
        self._seconds_left = math.inf if skip_active else SECONDS_FOR_ACTIVE

    async def take_contacts(self, piece: ContactPiece) -> None:
        if self._seconds_left > 0:
            since = self._time.monotonic()
            active = await self._look_up(piece.persons)
            self._seconds_left -= self._time.monotonic() - since
            if active and self._skip_active:
                self.left_out = with_left_out(self.left_out, active)
                piece = piece.without({row.row_number for row in active})
        if piece.persons:
            await self._uploads.save_contacts(self.upload_id, self._contact_pieces, piece, self._time.now())
            self._contact_pieces += 1

    async def take_rejected(self, rows: str) -> None:
        await self._uploads.save_rejected(self.upload_id, self._rejected_pieces, rows, self._time.now())
        self._rejected_pieces += 1

    async def _look_up(self, persons: Sequence[tuple[int, list[str]]]) -> list[LeftOutRow]:
        """The rows whose persons are in an active batch."""
        active = await self._jobs.active_of_persons(self._account_id, [key for _, keys in persons for key in keys])
        found: list[LeftOutRow] = []
        for row_number, keys in persons if active else ():
            place = next((active[key] for key in keys if key in active), None)
            if place is not None:
                found.append(LeftOutRow(row_number, *place))
        self.active += found[: SHOWN_ROWS - len(self.active)]
        self.active_rows += len(found)
        self.active_checked += len(persons)
        return found
