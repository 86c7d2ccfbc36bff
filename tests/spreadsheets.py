"""Spreadsheets for tests: written here part by part, and read as the application reads them."""

import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from pydantic import TypeAdapter

from app.domain.contact_list import ContactPiece, ListOrder, ListSummary, RejectedRow
from app.domain.contacts import ContactRow
from app.domain.errors import SpreadsheetRejected
from app.domain.tables import Table, cell_text
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


def zipped(parts: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
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
    return [[cell_text(cell) for cell in row.cells] for row in table.rows]
