"""Whether the contacts of an upload can be imported into a batch, found out before anything is written."""

from collections.abc import Collection, Iterator
from datetime import datetime

from pydantic import TypeAdapter

from app.domain.available_variables import AvailableVariables, missing_errors
from app.domain.batches import MAX_TIME_ZONES
from app.domain.contact_list import ContactPiece
from app.domain.contacts import ContactRow, person_keys
from app.domain.errors import FieldError, InvalidInput, NotFound
from app.domain.ports import Uploads
from app.domain.uploads import Upload
from app.domain.variables import placeholders
from app.services.contact_requests import MAX_ERRORS
from app.services.upload_variables import counted

_ROWS = TypeAdapter(list[ContactRow])
PIECE_ROWS = 1000
PIECE_CHARS = 1024 * 1024
"""A piece is one document, which MongoDB wants to be of less than 16 MB."""


async def named_upload(uploads: Uploads, upload_id: str, account_id: str) -> Upload:
    """The account's upload, with what is known of its contacts. Raises NotFound, InvalidInput (no contact)."""
    upload = await uploads.get(upload_id)
    if upload is None or upload.account_id != account_id:
        raise NotFound("upload_not_found", upload_id=upload_id)
    if upload.contact_count == 0:
        raise InvalidInput([FieldError.of(("upload_id",), "no_callable_contact")])
    return await counted(uploads, upload)


def upload_of(upload_id: str, account_id: str, rows: list[ContactRow]) -> Upload:
    """The upload that contacts of a request make, not stored yet. Takes a while."""
    return Upload(
        upload_id=upload_id,
        account_id=account_id,
        filename="",
        contact_count=len(rows),
        variables=AvailableVariables.of(rows),
        time_zones=sorted({row.contact.timezone for row in rows if row.contact.timezone}),
    )


async def store_upload(uploads: Uploads, upload: Upload, rows: list[ContactRow], now: datetime) -> None:
    """So that whoever goes on with an import finds its contacts."""
    for number, piece in enumerate(_pieces(rows)):
        persons = [(row.row_number, person_keys(row.contact)) for row in piece]
        rows_as_json = _ROWS.dump_json(piece, exclude_none=True).decode()
        await uploads.save_contacts(upload.upload_id, number, ContactPiece(persons, rows_as_json), now)
    await uploads.insert(upload, now)


def refuse_missing_variables(upload: Upload, script: str, given: Collection[str]) -> None:
    """A `{{variable}}` without value would be spoken as nothing: InvalidInput names the rows. `given`: names that each
    contact gets besides its own."""
    missing = upload.variables.missing(script, given) if upload.variables and placeholders(script) else []
    if missing:
        raise InvalidInput(missing_errors(missing, MAX_ERRORS))


def zones_with(upload: Upload, zones: Collection[str], loc: str) -> list[str]:
    """A batch's `zones` and those of the upload. Raises InvalidInput for too many."""
    found = sorted({*zones, *upload.time_zones})
    if len(found) > MAX_TIME_ZONES:
        raise InvalidInput([FieldError.of((loc,), "too_many_time_zones", limit=MAX_TIME_ZONES)])
    return found


def _pieces(rows: list[ContactRow]) -> Iterator[list[ContactRow]]:
    piece: list[ContactRow] = []
    chars = 0
    for row in rows:
        piece.append(row)
        chars += sum(map(len, row.contact.custom_fields.values())) + len(row.contact.name)
        if len(piece) == PIECE_ROWS or chars >= PIECE_CHARS:
            yield piece
            piece, chars = [], 0
    if piece:
        yield piece
