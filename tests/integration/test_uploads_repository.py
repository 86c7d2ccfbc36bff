"""Previewed files on a real MongoDB: whole or not at all."""

import json
from datetime import timedelta

import pytest

from app.bootstrap import Container
from app.domain.column_mapping import ColumnMapping
from app.domain.contact_list import ContactPiece, ListSummary
from app.domain.contacts import ContactRow
from app.repositories.uploads import MongoUploads
from tests.builders import NOW, make_contact, phone

DAY = timedelta(days=1)
CHUNK = 100


@pytest.fixture
def uploads(container: Container) -> MongoUploads:
    return MongoUploads(container.database, DAY)


def rows(count: int) -> list[ContactRow]:
    return [
        ContactRow(number + 2, make_contact(phones=[phone(number)], custom_fields={"monto": "12.990"}))
        for number in range(count)
    ]


async def save(uploads: MongoUploads, count: int, upload_id: str = "upload-1") -> list[ContactRow]:
    contacts = rows(count)
    for number, start in enumerate(range(0, count, CHUNK)):
        some = contacts[start : start + CHUNK]
        listed = [(row.row_number, row.contact.model_dump(exclude_none=True)) for row in some]
        piece = ContactPiece([(row.row_number, row.contact.phones) for row in some], json.dumps(listed))
        await uploads.save_contacts(upload_id, number, piece, NOW)
    summary = ListSummary(mapping=ColumnMapping(header_row=1, columns=()), valid_rows=count)
    await uploads.save(upload_id, "acc-1", "base.xlsx", summary, NOW)
    return contacts


async def read(uploads: MongoUploads, upload_id: str = "upload-1") -> list[ContactRow]:
    found: list[ContactRow] = []
    number = 0
    while piece := await uploads.piece(upload_id, number):
        found += piece
        number += 1
    return found


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 50])
async def test_an_upload_gives_back_its_contacts_in_their_order_with_their_rows(
    uploads: MongoUploads, count: int
) -> None:
    saved = await save(uploads, count)
    assert await read(uploads) == saved
    upload = await uploads.get("upload-1")
    assert upload is not None
    assert (upload.contact_count, upload.account_id) == (count, "acc-1")
    assert await uploads.hold("upload-1", NOW) == upload


async def test_an_upload_is_read_in_pieces(uploads: MongoUploads) -> None:
    await save(uploads, 2 * CHUNK + 50)
    sizes = [len(await uploads.piece("upload-1", number) or []) for number in range(4)]
    assert sizes == [CHUNK, CHUNK, 50, 0]


async def test_uploads_do_not_mix(uploads: MongoUploads) -> None:
    await save(uploads, 3)
    await save(uploads, 1, "upload-2")
    assert len(await read(uploads)) == 3
    assert len(await read(uploads, "upload-2")) == 1


async def test_an_upload_whose_saving_was_interrupted_cannot_be_named(
    uploads: MongoUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_args: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(uploads, "save", crash)
    with pytest.raises(ConnectionError):
        await save(uploads, 3)
    assert await uploads.get("upload-1") is None
    assert await uploads.hold("upload-1", NOW) is None


async def test_everything_of_an_upload_expires_after_its_time(uploads: MongoUploads, container: Container) -> None:
    await save(uploads, CHUNK + 1)
    for name in ("uploads", "upload_chunks"):
        collection = container.database.collection(name)
        assert {document["expires_at"] async for document in collection.find()} == {NOW + DAY}
        indexes = await collection.index_information()
        assert indexes["expiry"]["expireAfterSeconds"] == 0


@pytest.mark.parametrize("lost", [0, 1, 2])
async def test_an_upload_of_which_something_expired_is_not_taken_for_a_shorter_one(
    uploads: MongoUploads, container: Container, lost: int
) -> None:
    """The database removes documents one by one, some of them perhaps in the middle of an import."""
    await save(uploads, 3 * CHUNK)
    await container.database.collection("upload_chunks").delete_one({"number": lost})
    assert await uploads.hold("upload-1", NOW) is None


async def test_an_upload_that_is_held_expires_later_but_not_earlier(
    uploads: MongoUploads, container: Container
) -> None:
    await save(uploads, CHUNK + 1)
    for until, expected in ((NOW + 3 * DAY, NOW + 3 * DAY), (NOW, NOW + 3 * DAY)):
        await uploads.hold("upload-1", until)
        for name in ("uploads", "upload_chunks"):
            found = container.database.collection(name).find()
            assert {document["expires_at"] async for document in found} == {expected}
