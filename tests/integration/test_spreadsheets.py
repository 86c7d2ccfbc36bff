"""Files as they really come, read in the child process; and the ones that are made to hurt."""

import asyncio
import io
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from app.domain.contact_import import import_contacts
from app.domain.errors import SpreadsheetRejected
from app.domain.tables import Row, SpreadsheetReader, Table, cell_text
from app.integrations.spreadsheets.csv_reader import guess_encoding
from app.integrations.spreadsheets.files import SpreadsheetFiles
from app.integrations.spreadsheets.reader import read_table
from scripts import make_example_spreadsheet

HEADER = ["Nombre", "Teléfono", "Correo"]
OLE2 = bytes.fromhex("D0CF11E0A1B11AE1")


@pytest.fixture
def files() -> SpreadsheetReader:
    return SpreadsheetFiles()


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


def names_in(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


async def rejection(files: SpreadsheetReader, content: bytes | Path, filename: str = "contactos.xlsx") -> str:
    with pytest.raises(SpreadsheetRejected) as caught:
        await files.read(content, filename)
    assert caught.value.message.render("es")
    assert caught.value.message.render("en")
    return caught.value.code


# --- What people upload


async def test_a_workbook(files: SpreadsheetReader) -> None:
    table = await files.read(
        xlsx([*HEADER, "Vence", "Activo"], ["Juan", 987654321, "juan@x.cl", date(2026, 1, 31), True]), "c.xlsx"
    )
    assert table.sheet == "Sheet"
    assert texts(table) == [
        ["Nombre", "Teléfono", "Correo", "Vence", "Activo"],
        ["Juan", "987654321", "juan@x.cl", "2026-01-31", "sí"],
    ]


async def test_a_path_is_read_and_left_alone(files: SpreadsheetReader, tmp_path: Path) -> None:
    path = tmp_path / "anything.bin"
    path.write_bytes(xlsx(HEADER, ["Juan", "987654321"]))
    assert len((await files.read(path, "c.xlsx")).rows) == 2
    assert names_in(tmp_path) == ["anything.bin"]


async def test_the_bytes_decide_not_the_name(files: SpreadsheetReader) -> None:
    content = xlsx(HEADER, ["Juan", "987654321"])
    for name in ("c.xls", "c.csv", "c", "../../c.pdf"):
        assert len((await files.read(content, name)).rows) == 2


async def test_open_document(files: SpreadsheetReader) -> None:
    table = await files.read(ods(HEADER, ["Ñandú", "987654321", "a@x.cl"]), "c.ods")
    assert texts(table) == [HEADER, ["Ñandú", "987654321", "a@x.cl"]]


async def test_the_table_may_start_anywhere(files: SpreadsheetReader) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet["C5"], sheet["D5"] = "Nombre", "Teléfono"
    sheet["C7"], sheet["D7"] = "Juan", 987654321
    table = await files.read(saved(workbook), "c.xlsx")
    assert [row.number for row in table.rows] == [5, 7]
    [(row_number, contact)] = import_contacts(table, country="CL").contacts
    assert (row_number, contact.name, contact.phones) == (7, "Juan", ["+56987654321"])


async def test_a_title_above_the_header(files: SpreadsheetReader) -> None:
    table = await files.read(xlsx(["Campaña noviembre"], [], HEADER, ["Juan", "987654321"]), "c.xlsx")
    result = import_contacts(table, country="CL")
    assert (result.mapping.header_row, result.contacts[0].row_number) == (3, 4)


async def test_hidden_sheets_are_not_called(files: SpreadsheetReader) -> None:
    workbook = openpyxl.Workbook()
    hidden = workbook.active
    assert hidden is not None
    hidden.append(HEADER)
    hidden.append(["No llamar", "987654321"])
    hidden.sheet_state = "hidden"
    notes = workbook.create_sheet("Notas")
    notes.append(["Nota"])
    contacts = workbook.create_sheet("Contactos")
    contacts.append(HEADER)
    contacts.append(["Juan", "987654322"])
    workbook.active = 1
    table = await files.read(saved(workbook), "c.xlsx")
    assert table.sheet == "Contactos"
    assert texts(table)[1][0] == "Juan"


async def test_a_book_without_phones_reads_its_first_sheet_with_anything(files: SpreadsheetReader) -> None:
    workbook = openpyxl.Workbook()
    workbook.create_sheet("Datos").append(["Foo", "Bar"])
    table = await files.read(saved(workbook), "c.xlsx")
    assert (table.sheet, texts(table)) == ("Datos", [["Foo", "Bar"]])


async def test_odd_values_end_up_as_contacts(files: SpreadsheetReader) -> None:
    table = await files.read(
        xlsx(
            ["Nombre", "Teléfono", "Teléfono", "Deuda", "Deuda"],
            ["\u00a0Juan\u200b", 56987654321, None, 1500.5, "x"],
            ["Ana", "\u202a+56\u00a09\u00a08765\u20114322\u202c", None, 10, None],
            ["Luis", "987654323 / 987654324", None, None, None],
            ["Eva", "5,69123E+10", None, None, None],
        ),
        "c.xlsx",
    )
    result = import_contacts(table, country="CL")
    assert [row.contact.phones for row in result.contacts] == [
        ["+56987654321"],
        ["+56987654322"],
        ["+56987654323", "+56987654324"],
    ]
    assert result.contacts[0].contact.name == "Juan"
    assert result.contacts[0].contact.custom_fields == {"deuda": "1500.5", "deuda_2": "x"}
    assert [(row.row_number, row.issues[0].message.code) for row in result.row_errors] == [(5, "phone_scientific")]


async def test_formulas_that_were_never_calculated(files: SpreadsheetReader) -> None:
    table = await files.read(xlsx(["Nombre", "Teléfono"], ["Juan", '="9"&"87654321"']), "c.xlsx")
    with pytest.raises(SpreadsheetRejected) as caught:
        import_contacts(table, country="CL")
    assert caught.value.code == "phone_column_empty"


async def test_controls_in_a_cell(files: SpreadsheetReader) -> None:
    row = text_cell("A2", "Ju_x0000_an_x000D_") + text_cell("B2", "987654321")
    content = raw_xlsx(f'<row r="1">{text_cell("A1", "Nombre")}{text_cell("B1", "Fono")}</row><row r="2">{row}</row>')
    assert texts(await files.read(content, "c.xlsx"))[1] == ["Juan", "987654321"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp850", "mac_roman"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
async def test_csv(files: SpreadsheetReader, encoding: str, delimiter: str) -> None:
    lines = [HEADER, ["José Muñoz Núñez", "987654321", "a@x.cl"], ["", "", ""], ["Ángel Íñiguez", "987654322", ""]]
    text = "\r\n".join(delimiter.join(line) for line in lines)
    table = await files.read(text.encode(encoding), "c.csv")
    assert table == Table(
        None,
        [
            Row(1, ("Nombre", "Teléfono", "Correo")),
            Row(2, ("José Muñoz Núñez", "987654321", "a@x.cl")),
            Row(4, ("Ángel Íñiguez", "987654322")),
        ],
    )


def test_windows_quotes_are_not_taken_for_the_macintosh() -> None:
    assert guess_encoding("Libertador B. O’Higgins – Región".encode("cp1252")) == "cp1252"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("sep=|\nNombre|Fono\nPérez, Juan; hijo|987654321", [["Nombre", "Fono"], ["Pérez, Juan; hijo", "987654321"]]),
        ('Nombre;Fono\n"Pérez; Juan";987654321', [["Nombre", "Fono"], ["Pérez; Juan", "987654321"]]),
        ("Nombre;Fono\nPérez, Juan;1\nDíaz, Ana;2", [["Nombre", "Fono"], ["Pérez, Juan", "1"], ["Díaz, Ana", "2"]]),
        ("Fono\n987654321\n987654322", [["Fono"], ["987654321"], ["987654322"]]),
        ('Nombre,Nota\nJuan,"dos\nlíneas"', [["Nombre", "Nota"], ["Juan", "dos\nlíneas"]]),
    ],
)
async def test_csv_dialects(files: SpreadsheetReader, text: str, rows: list[list[str]]) -> None:
    assert texts(await files.read(text.encode(), "c.csv")) == rows


# --- What is no spreadsheet


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_empty"),
        (b"  \r\n ", "file_empty"),
        (b"%PDF-1.7 ...", "file_is_pdf"),
        (b"<html><table><tr><td>Nombre</td></tr></table></html>", "file_is_html"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "file_is_html"),
        ("<table><tr>".encode("utf-16"), "file_is_html"),
        (OLE2 + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "file_password_protected"),
        (OLE2 + b"\0" * 600 + "WordDocument".encode("utf-16-le"), "file_format_unknown"),
        (OLE2 + b"\0" * 600 + "Workbook".encode("utf-16-le"), "file_unreadable"),
        (zipped({"xl/workbook.bin": ""}), "file_is_xlsb"),
        (zipped({"word/document.xml": ""}), "file_format_unknown"),
        (zipped({"xl/workbook.xml": "<workbook"}), "file_unreadable"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "file_format_unknown"),
        (b'Nombre,Fono\nJuan,"' + b"x" * 200_000, "csv_malformed"),
        (xlsx(), "sheet_empty"),
        (xlsx(HEADER, ["Juan", "987654321"])[:-300], "file_unreadable"),
        (xlsx(HEADER, ["Juan", "987654321"])[:1000], "file_unreadable"),
    ],
)
async def test_refused_with_a_reason_of_its_own(files: SpreadsheetReader, content: bytes, code: str) -> None:
    assert await rejection(files, content, "contactos.xls") == code


async def test_only_hidden_sheets(files: SpreadsheetReader) -> None:
    content = zipfile.ZipFile(io.BytesIO(xlsx(HEADER)))
    parts = {name: content.read(name).decode() for name in content.namelist()}
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace('state="visible"', 'state="hidden"')
    assert await rejection(files, zipped(parts)) == "no_visible_sheet"


# --- What is made to hurt


HEADER_XML = f'<row r="1">{text_cell("A1", "Nombre")}{text_cell("B1", "Fono")}</row>'


async def test_a_stray_cell_in_the_last_corner(files: SpreadsheetReader) -> None:
    """2 KB of file for which calamine would allocate 549 GB and abort the process."""
    content = raw_xlsx(HEADER_XML + f'<row r="1048576">{text_cell("XFD1048576", "x")}</row>')
    assert len(content) < 4096
    assert await rejection(files, content) == "file_too_complex_or_corrupt"


async def test_a_long_shared_string_in_every_cell(files: SpreadsheetReader) -> None:
    cells = "".join(f'<row r="{row}"><c r="A{row}" t="s"><v>0</v></c></row>' for row in range(2, 60_000))
    content = raw_xlsx(HEADER_XML + cells, f"<si><t>{'x' * 32_000}</t></si>")
    assert await rejection(files, content) == "file_too_complex_or_corrupt"


async def test_a_zip_that_declares_too_much(files: SpreadsheetReader) -> None:
    content = zipped({"xl/workbook.xml": "", "xl/worksheets/sheet1.xml": " " * (601 * 1024**2)})
    assert await rejection(files, content) == "file_unpacks_too_large"


async def test_a_zip_of_very_many_parts(files: SpreadsheetReader) -> None:
    parts = {"xl/workbook.xml": ""} | {f"part{number}": "" for number in range(2_001)}
    assert await rejection(files, zipped(parts)) == "file_too_complex_or_corrupt"


async def test_entities_are_not_expanded(files: SpreadsheetReader) -> None:
    parts = {"xl/workbook.xml": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><workbook>&a;</workbook>'}
    assert await rejection(files, zipped(parts)) == "file_unreadable"


async def test_too_many_columns_names_the_cell(files: SpreadsheetReader) -> None:
    content = raw_xlsx(HEADER_XML + f'<row r="2">{text_cell("IW2", "x")}</row>')
    with pytest.raises(SpreadsheetRejected) as caught:
        await files.read(content, "c.xlsx")
    assert caught.value.message.params == {"cell": "IW2", "limit": 256}


async def test_too_many_rows(files: SpreadsheetReader) -> None:
    content = b"Nombre,Fono\n" + b"Juan,987654321\n" * 500_020
    assert await rejection(files, content) == "too_many_rows"


async def test_a_row_far_below_costs_no_memory_here(files: SpreadsheetReader) -> None:
    content = raw_xlsx(HEADER_XML + f'<row r="1048576">{text_cell("A1048576", "x")}</row>')
    assert [row.number for row in (await files.read(content, "c.xlsx")).rows] == [1, 1_048_576]


async def test_a_cell_over_the_limit_is_cut_only_to_be_refused(files: SpreadsheetReader) -> None:
    table = await files.read(xlsx(HEADER, ["x" * 30_000, "987654321"]), "c.xlsx")
    assert len(texts(table)[1][0]) == 2_001
    assert import_contacts(table, country="CL").row_errors[0].issues[0].message.code == "cell_too_long"


async def test_too_large(files: SpreadsheetReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.integrations.spreadsheets.files.MAX_UPLOAD_BYTES", 10)
    assert await rejection(files, b"Nombre,Fono\n") == "file_too_large"


async def test_a_reader_that_takes_too_long_is_stopped() -> None:
    assert await rejection(SpreadsheetFiles(wall_seconds=0.001), xlsx(HEADER)) == "file_too_complex_or_corrupt"


async def test_a_cancelled_upload_leaves_no_process_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reading = asyncio.create_task(SpreadsheetFiles().read(xlsx(HEADER, ["Juan", "987654321"]), "c.xlsx"))
    async with asyncio.timeout(30):
        while not names_in(tmp_path):  # noqa: ASYNC110 - the upload is on the disk, and a process will read it
            await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert names_in(tmp_path) == []


async def test_uploads_wait_for_their_turn(files: SpreadsheetReader) -> None:
    content = xlsx(HEADER, ["Juan", "987654321"])
    tables = await asyncio.gather(*(files.read(content, "c.xlsx") for _ in range(6)))
    assert [len(table.rows) for table in tables] == [2] * 6


def test_reading_without_a_child(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(xlsx(HEADER, ["Juan", "987654321"]))
    assert len(read_table(path).rows) == 2


# --- The example of the repository

EXAMPLE = Path(__file__).parents[2] / "examples" / "contactos.xlsx"


async def test_the_example_spreadsheet(files: SpreadsheetReader) -> None:
    result = import_contacts(await files.read(EXAMPLE, EXAMPLE.name), country="CL")
    assert result.total_rows == 48
    assert len(result.contacts) == 44
    assert sorted(row.issues[0].message.code for row in result.row_errors) == [
        "phone_missing",
        "phone_not_a_number",
        "phone_scientific",
        "phone_too_short",
    ]
    assert [issue.message.code for row in result.row_warnings for issue in row.issues] == ["phone_unassigned_range"]
    assert result.duplicates == []
    phones = [phone for row in result.contacts for phone in row.contact.phones]
    assert len(set(phones)) == len(phones) == 66
    assert result.mapping.targets() == {
        "nombre": "name",
        "rut": "custom",
        "telefono_1": "phone_1",
        "telefono_2": "phone_2",
        "correo": "email",
        "empresa": "custom",
        "monto_deuda": "custom",
        "fecha_vencimiento": "custom",
    }


def test_the_example_is_what_its_script_writes(tmp_path: Path) -> None:
    path = tmp_path / "contactos.xlsx"
    make_example_spreadsheet.write(path)
    assert path.read_bytes() == EXAMPLE.read_bytes()
