"""Broken files of every format: whatever they do to the child, this process gets a list or a refusal, and goes on."""

import csv
import io
import random
from pathlib import Path

import openpyxl
import pytest

from app.domain.contact_list import ListOrder, ListSummary
from app.domain.errors import SpreadsheetRejected
from app.domain.messages import CATALOGUE
from app.integrations.spreadsheets.files import SpreadsheetFiles
from tests.spreadsheets import OLE2, ods

ROWS = [["Nombre", "Teléfono", "Nota"], *([f"Año {n}", f"+5698765{n:04}", "x" * n] for n in range(30))]
KNOWN = frozenset(CATALOGUE)


class Nowhere:
    """A taker that keeps nothing."""

    async def take_contacts(self, rows: object) -> None: ...
    async def take_rejected(self, rows: object) -> None: ...


def xlsx() -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Hoja1")
    for row in ROWS:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def csv_file() -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows(ROWS)
    return text.getvalue().encode("cp1252")


SOUND = {"xlsx": xlsx(), "ods": ods(*ROWS), "csv": csv_file()}
ROUNDS = 6


async def outcome(content: bytes | Path) -> ListSummary | str:
    try:
        return await SpreadsheetFiles(wall_seconds=30).read_list(content, "x", ListOrder(country="CL"), Nowhere())
    except SpreadsheetRejected as rejected:
        return rejected.code if rejected.message.render("es") else "silent"


@pytest.mark.parametrize("kind", SOUND)
async def test_the_sound_file_is_read(kind: str) -> None:
    found = await outcome(SOUND[kind])
    assert isinstance(found, ListSummary)
    assert (found.valid_rows, found.invalid_rows) == (30, 0)


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_cut_off(kind: str, seed: int) -> None:
    content = SOUND[kind]
    found = await outcome(content[: random.Random(seed).randrange(1, len(content))])
    assert isinstance(found, ListSummary) or found in KNOWN
    if kind != "csv":
        assert isinstance(found, str), "half a workbook passed for a whole one"


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_flipped_bits(kind: str, seed: int) -> None:
    chance = random.Random(1000 + seed)
    content = bytearray(SOUND[kind])
    for _ in range(1 + seed * 4):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    found = await outcome(bytes(content))
    assert isinstance(found, ListSummary) or found in KNOWN


@pytest.mark.parametrize(
    "head", [b"", b"PK\x03\x04", OLE2, OLE2 + "Workbook".encode("utf-16-le"), b"\xff\xfe", b"sep=;"]
)
async def test_noise(head: bytes) -> None:
    found = await outcome(head + random.Random(len(head)).randbytes(20_000))
    assert isinstance(found, str), "noise passed for a list"
    assert found in KNOWN
