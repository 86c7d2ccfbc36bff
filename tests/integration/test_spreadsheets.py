"""Files as they really come, read in the child process; and the ones that are made to hurt."""

import asyncio
import io
import zipfile
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from app.domain.contact_import import import_contacts
from app.domain.contact_list import ListOrder
from app.domain.errors import SpreadsheetRejected
from app.domain.tables import Row, Table
from app.integrations.spreadsheets.csv_reader import guess_encoding
from app.integrations.spreadsheets.files import SpreadsheetFiles
from app.integrations.spreadsheets.reader import read_table
from scripts import make_example_spreadsheet
from tests.spreadsheets import (
    HEADER,
    OLE2,
    Taken,
    listed,
    ods,
    raw_xlsx,
    refusal,
    saved,
    table_of,
    text_cell,
    texts,
    xlsx,
    zipped,
)


def names_in(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


# --- What people upload


async def test_a_workbook() -> None:
    table = table_of(xlsx([*HEADER, "Vence", "Activo"], ["Juan", 987654321, "juan@x.cl", date(2026, 1, 31), True]))
    assert table.sheet == "Sheet"
    assert texts(table) == [
        ["Nombre", "Teléfono", "Correo", "Vence", "Activo"],
        ["Juan", "987654321", "juan@x.cl", "2026-01-31", "sí"],
    ]


async def test_a_path_is_read_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "anything.bin"
    path.write_bytes(xlsx(HEADER, ["Juan", "987654321"]))
    assert (await listed(path))[0].valid_rows == 1
    assert names_in(tmp_path) == ["anything.bin"]


async def test_the_bytes_decide_not_the_name() -> None:
    content = xlsx(HEADER, ["Juan", "987654321"])
    for name in ("c.xls", "c.csv", "c", "../../c.pdf"):
        found = await SpreadsheetFiles().read_list(content, name, ListOrder(country="CL"), Taken())
        assert found.valid_rows == 1


async def test_open_document() -> None:
    table = table_of(ods(HEADER, ["Ñandú", "987654321", "a@x.cl"]))
    assert texts(table) == [HEADER, ["Ñandú", "987654321", "a@x.cl"]]


async def test_the_table_may_start_anywhere() -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet["C5"], sheet["D5"] = "Nombre", "Teléfono"
    sheet["C7"], sheet["D7"] = "Juan", 987654321
    table = table_of(saved(workbook))
    assert [row.number for row in table.rows] == [5, 7]
    [(row_number, contact)] = import_contacts(table, country="CL").contacts
    assert (row_number, contact.name, contact.phones) == (7, "Juan", ["+56987654321"])


async def test_a_title_above_the_header() -> None:
    table = table_of(xlsx(["Campaña noviembre"], [], HEADER, ["Juan", "987654321"]))
    result = import_contacts(table, country="CL")
    assert (result.mapping.header_row, result.contacts[0].row_number) == (3, 4)


async def test_hidden_sheets_are_not_called() -> None:
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
    table = table_of(saved(workbook))
    assert table.sheet == "Contactos"
    assert texts(table)[1][0] == "Juan"


async def test_a_book_without_phones_reads_its_first_sheet_with_anything() -> None:
    workbook = openpyxl.Workbook()
    workbook.create_sheet("Datos").append(["Foo", "Bar"])
    table = table_of(saved(workbook))
    assert (table.sheet, texts(table)) == ("Datos", [["Foo", "Bar"]])


async def test_odd_values_end_up_as_contacts() -> None:
    table = table_of(
        xlsx(
            ["Nombre", "Teléfono", "Teléfono", "Deuda", "Deuda"],
            ["\u00a0Juan\u200b", 56987654321, None, 1500.5, "x"],
            ["Ana", "\u202a+56\u00a09\u00a08765\u20114322\u202c", None, 10, None],
            ["Luis", "987654323 / 987654324", None, None, None],
            ["Eva", "5,69123E+10", None, None, None],
        )
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


async def test_formulas_that_were_never_calculated() -> None:
    table = table_of(xlsx(["Nombre", "Teléfono"], ["Juan", '="9"&"87654321"']))
    with pytest.raises(SpreadsheetRejected) as caught:
        import_contacts(table, country="CL")
    assert caught.value.code == "phone_column_empty"


async def test_controls_in_a_cell() -> None:
    row = text_cell("A2", "Ju_x0000_an_x000D_") + text_cell("B2", "987654321")
    content = raw_xlsx(f'<row r="1">{text_cell("A1", "Nombre")}{text_cell("B1", "Fono")}</row><row r="2">{row}</row>')
    assert texts(table_of(content))[1] == ["Juan", "987654321"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp850", "mac_roman"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
async def test_csv(encoding: str, delimiter: str) -> None:
    lines = [HEADER, ["José Muñoz Núñez", "987654321", "a@x.cl"], ["", "", ""], ["Ángel Íñiguez", "987654322", ""]]
    text = "\r\n".join(delimiter.join(line) for line in lines)
    table = table_of(text.encode(encoding))
    assert table == Table(
        None,
        [
            Row(1, ["Nombre", "Teléfono", "Correo"]),
            Row(2, ["José Muñoz Núñez", "987654321", "a@x.cl"]),
            Row(4, ["Ángel Íñiguez", "987654322"]),
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
async def test_csv_dialects(text: str, rows: list[list[str]]) -> None:
    assert texts(table_of(text.encode())) == rows


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
async def test_refused_with_a_reason_of_its_own(content: bytes, code: str) -> None:
    assert (await refusal(content)).code == code


async def test_only_hidden_sheets() -> None:
    content = zipfile.ZipFile(io.BytesIO(xlsx(HEADER)))
    parts = {name: content.read(name).decode() for name in content.namelist()}
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace('state="visible"', 'state="hidden"')
    assert (await refusal(zipped(parts))).code == "no_visible_sheet"


# --- What is made to hurt


HEADER_XML = f'<row r="1">{text_cell("A1", "Nombre")}{text_cell("B1", "Fono")}</row>'


async def test_a_stray_cell_in_the_last_corner() -> None:
    """2 KB of file for which calamine would allocate 549 GB and abort the process."""
    content = raw_xlsx(HEADER_XML + f'<row r="1048576">{text_cell("XFD1048576", "x")}</row>')
    assert len(content) < 4096
    assert (await refusal(content)).code == "file_too_complex_or_corrupt"


async def test_a_long_shared_string_in_every_cell() -> None:
    cells = "".join(f'<row r="{row}"><c r="A{row}" t="s"><v>0</v></c></row>' for row in range(2, 60_000))
    content = raw_xlsx(HEADER_XML + cells, f"<si><t>{'x' * 32_000}</t></si>")
    assert (await refusal(content)).code == "file_too_complex_or_corrupt"


async def test_a_zip_that_declares_too_much() -> None:
    content = zipped({"xl/workbook.xml": "", "xl/worksheets/sheet1.xml": " " * (601 * 1024**2)})
    assert (await refusal(content)).code == "file_unpacks_too_large"


async def test_a_zip_of_very_many_parts() -> None:
    parts = {"xl/workbook.xml": ""} | {f"part{number}": "" for number in range(2_001)}
    assert (await refusal(zipped(parts))).code == "file_too_complex_or_corrupt"


async def test_entities_are_not_expanded() -> None:
    parts = {"xl/workbook.xml": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><workbook>&a;</workbook>'}
    assert (await refusal(zipped(parts))).code == "file_unreadable"


async def test_too_many_columns_names_the_cell() -> None:
    content = raw_xlsx(HEADER_XML + f'<row r="2">{text_cell("IW2", "x")}</row>')
    assert (await refusal(content)).message.params == {"cell": "IW2", "limit": 256}


async def test_too_many_rows() -> None:
    content = b"Nombre,Fono\n" + b"Juan,987654321\n" * 500_020
    assert (await refusal(content)).code == "too_many_rows"


async def test_a_row_far_below_costs_no_memory_here() -> None:
    content = raw_xlsx(HEADER_XML + f'<row r="1048576">{text_cell("A1048576", "x")}</row>')
    assert [row.number for row in (table_of(content)).rows] == [1, 1_048_576]


async def test_a_cell_over_the_limit_is_refused_and_kept_only_in_part() -> None:
    summary, taken = await listed(xlsx(HEADER, ["x" * 30_000, "987654321"], ["Ana", "987654322"]))
    assert summary.row_errors[0].issues[0].message.code == "cell_too_long"
    assert [len(row.cells[0]) for row in taken.rejected] == [2_001]


async def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.integrations.spreadsheets.files.MAX_UPLOAD_BYTES", 10)
    assert (await refusal(b"Nombre,Fono\n")).code == "file_too_large"


async def test_a_reader_that_takes_too_long_is_stopped() -> None:
    assert (await refusal(xlsx(HEADER), SpreadsheetFiles(wall_seconds=0.001))).code == "file_too_complex_or_corrupt"


async def test_a_cancelled_upload_leaves_no_process_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reading = asyncio.create_task(listed(xlsx(HEADER, ["Juan", "987654321"])))
    async with asyncio.timeout(30):
        while not names_in(tmp_path):  # noqa: ASYNC110 - the upload is on the disk, and a process will read it
            await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert names_in(tmp_path) == []


async def test_uploads_wait_for_their_turn() -> None:
    content = xlsx(HEADER, ["Juan", "987654321"])
    files, order = SpreadsheetFiles(), ListOrder(country="CL")
    lists = await asyncio.gather(*(files.read_list(content, "c.xlsx", order, Taken()) for _ in range(6)))
    assert [found.valid_rows for found in lists] == [1] * 6


# --- The example of the repository

EXAMPLE = Path(__file__).parents[2] / "examples" / "contactos.xlsx"


async def test_the_example_spreadsheet() -> None:
    result = import_contacts(read_table(EXAMPLE), country="CL")
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
