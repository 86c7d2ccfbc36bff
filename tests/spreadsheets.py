"""Spreadsheets for tests: written here part by part, and read as the application reads them."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt  # type: ignore[import-untyped] # it has no types
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from app.domain.contact_list import ContactPiece, ListOrder, ListSummary, RejectedRow
from app.domain.contacts import ContactRow
from app.domain.errors import SpreadsheetRejected
from app.domain.tables import Table
from app.integrations.spreadsheets import child
from app.integrations.spreadsheets.files import SpreadsheetFiles
from app.integrations.spreadsheets.reader import read_table

HEADER = ["Nombre", "Teléfono", "Correo"]
OLE2 = bytes.fromhex("D0CF11E0A1B11AE1")


class Taken:
    """A ListTaker that keeps everything."""

    def __init__(self) -> None:
        self.contacts: list[ContactRow] = []
        self.rejected: list[RejectedRow] = []
        self.pieces: list[ContactPiece] = []

    async def take_contacts(self, piece: ContactPiece) -> None:
        self.pieces.append(piece)
        self.contacts += TypeAdapter(list[ContactRow]).validate_json(piece.rows)

    async def take_rejected(self, rows: str) -> None:
        self.rejected += [RejectedRow.model_validate(row) for row in json.loads(rows)]


def table_of(content: bytes) -> Table:
    """The table in a harmless file, read in this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        return read_table(path)


def heard(content: bytes, *, country: str | None = "CL") -> tuple[dict[str, Any], list[ContactRow]]:
    """The last thing the child would say of a file that is no bomb, and the contacts: its work done in this process."""
    said: list[dict[str, Any]] = []
    contacts: list[ContactRow] = []

    def send(message: dict[str, Any], rows: bytes = b"") -> None:
        said.append(from_json(to_json(message)))
        if "contacts" in message:
            contacts.extend(TypeAdapter(list[ContactRow]).validate_json(rows))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        child.answer("contacts", path, ListOrder(country=country), send)
    return said[-1], contacts


async def listed(content: bytes | Path, *, country: str | None = "CL") -> tuple[ListSummary, Taken]:
    """The list in any file, read in a process of its own."""
    taken = Taken()
    return await SpreadsheetFiles().read_list(content, "lista", ListOrder(country=country), taken), taken


async def refusal(content: bytes | Path, files: SpreadsheetFiles | None = None) -> SpreadsheetRejected:
    """How a file is refused, before anything of it was taken."""
    taken = Taken()
    with pytest.raises(SpreadsheetRejected) as caught:
        await (files or SpreadsheetFiles()).read_list(content, "lista", ListOrder(country="CL"), taken)
    assert caught.value.message.render("es")
    assert caught.value.message.render("en")
    assert not taken.contacts
    assert not taken.rejected
    return caught.value


def saved(workbook: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def xlsx(*rows: Sequence[object]) -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    return saved(workbook)


def zipped(parts: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def raw_xlsx(sheet_data: str, shared_strings: str = "") -> bytes:
    """A minimal workbook around the given XML, for what openpyxl would not write."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    strings = (
        f'<Relationship Id="rId2" Type="{relation}/sharedStrings" Target="sharedStrings.xml"/>'
        if shared_strings
        else ""
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="xml" '
        'ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets>'
        '<sheet name="Hoja1" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{relation}/worksheet" Target="worksheets/sheet1.xml"/>{strings}</Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet_data}</sheetData></worksheet>',
    }
    if shared_strings:
        parts["xl/sharedStrings.xml"] = f'<sst xmlns="{main}">{shared_strings}</sst>'
    return zipped(parts)


def parts_of(content: bytes) -> dict[str, str]:
    return {name: part.decode() for name, part in bytes_of_parts(content).items()}


def bytes_of_parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_part(content: bytes, name: str, change: Callable[[str], str | bytes]) -> bytes:
    """The workbook with one part changed."""
    parts = parts_of(content)
    return zipped({**parts, name: change(parts[name])})


def without_part(content: bytes, name: str) -> bytes:
    return zipped({known: text for known, text in parts_of(content).items() if known != name})


def xls(*rows: Sequence[object]) -> bytes:
    """A workbook in the format of Excel 97."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Hoja1")
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if value is not None:
                sheet.write(row, column, value)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def text_cell(reference: str, text: str) -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'


def ods(*rows: list[str]) -> bytes:
    office = "urn:oasis:names:tc:opendocument:xmlns:"
    body = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>' for text in row
        )
        + "</table:table-row>"
        for row in rows
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{office}manifest:1.0"/>',
            "content.xml": f'<office:document-content xmlns:office="{office}office:1.0" '
            f'xmlns:table="{office}table:1.0" xmlns:text="{office}text:1.0"><office:body><office:spreadsheet>'
            f'<table:table table:name="Hoja1">{body}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        }
    )


def texts(table: Table) -> list[list[str]]:
    return [list(row.cells) for row in table.rows]
