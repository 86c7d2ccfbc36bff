"""Rows that somebody hid or filtered out of a sheet are not called, but by request."""

import io
import random
import struct
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt  # type: ignore[import-untyped] # it has no types

from app.domain.contact_list import ListOrder, ListSummary
from app.domain.do_not_call_import import NumberSummary
from app.integrations.spreadsheets import hidden_rows, xls_records
from app.integrations.spreadsheets.files import SpreadsheetFiles
from tests.spreadsheets import (
    Taken,
    listed,
    ods,
    raw_xlsx,
    refusal,
    saved,
    table_of,
    text_cell,
    with_part,
    xls,
    xlsx,
    zipped,
)
from tests.spreadsheets import parts_of as parts

HEADER = ["Nombre", "Teléfono"]
PEOPLE = [[f"Persona {number}", f"98765432{number}"] for number in range(2, 8)]
"""In the rows 2 to 7."""
SHEET = "xl/worksheets/sheet1.xml"


def filtered() -> bytes:
    """As Excel leaves a list of which a filter shows the rows 2, 5 and 7."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (HEADER, *PEOPLE):
        sheet.append(row)
    sheet.auto_filter.ref = "A1:B7"
    for number in (3, 4, 6):
        sheet.row_dimensions[number].hidden = True
    return saved(book)


def row(number: int, attributes: str) -> str:
    name, phone = text_cell(f"A{number}", "Eva"), text_cell(f"B{number}", f"98765432{number}")
    return f'<row r="{number}"{attributes}>{name}{phone}</row>'


HEAD = f'<row r="1">{text_cell("A1", "Nombre")}{text_cell("B1", "Fono")}</row>'


async def understood(content: bytes, **order: Any) -> tuple[ListSummary, list[int]]:
    """The list, and the rows of its contacts."""
    taken = Taken()
    wanted = ListOrder(country="CL", **order)
    summary = await SpreadsheetFiles().read_list(content, "lista", wanted, taken)
    assert summary.total_rows == summary.valid_rows + summary.invalid_rows + summary.hidden_rows
    return summary, [contact.row_number for contact in taken.contacts]


async def test_only_the_rows_that_a_filter_shows_are_called() -> None:
    summary, rows = await understood(filtered())
    assert rows == [2, 5, 7]
    assert (summary.total_rows, summary.hidden_rows) == (6, 3)
    [warning] = summary.mapping.warnings
    assert (warning.code, warning.params) == ("hidden_rows", {"rows": 3, "first_row": 3})


async def test_all_of_them_by_request() -> None:
    summary, rows = await understood(filtered(), include_hidden_rows=True)
    assert rows == [2, 3, 4, 5, 6, 7]
    assert (summary.hidden_rows, summary.mapping.warnings) == (0, ())


async def test_a_number_that_shall_not_be_called_counts_in_a_hidden_row_too() -> None:
    numbers: list[str] = []

    async def take(piece: list[str]) -> None:
        numbers.extend(piece)

    found: NumberSummary = await SpreadsheetFiles().read_numbers(filtered(), "lista", "CL", take)
    assert found.numbers == len(numbers) == len(PEOPLE)


@pytest.mark.parametrize(
    ("attributes", "is_hidden"),
    [
        (' hidden="1"', True),
        (" hidden='1'", True),
        (' spans="1:2" hidden = "true" outlineLevel="1"', True),
        (' hidden="0"', False),
        (' hidden="false"', False),
        (' customFormat="1" x:hidden="1"', False),
        ("", False),
    ],
)
def test_how_a_row_says_that_it_is_hidden(attributes: str, is_hidden: bool) -> None:
    table = table_of(raw_xlsx(HEAD + row(2, "") + row(3, attributes)))
    assert table.hidden == ({3} if is_hidden else set())


def test_what_else_is_hidden_is_no_row() -> None:
    columns = '<sheetFormatPr zeroHeight="0"/><cols><col min="1" max="1" hidden="1"/></cols><sheetData>'
    content = raw_xlsx(HEAD + row(2, "") + row(3, "").replace("Eva", "hidden=&quot;1&quot;"))
    table = table_of(with_part(content, SHEET, lambda text: text.replace("<sheetData>", columns)))
    assert (len(table.rows), table.hidden) == (3, frozenset())


def test_a_tag_that_lies_across_two_pieces_of_the_file() -> None:
    """Rows so long that every boundary of a piece is in another place of them."""
    rows = "".join(row(number, ' hidden="1"' * (number % 3 == 0) + f' x="{"y" * 97}"') for number in range(2, 3000))
    assert table_of(raw_xlsx(HEAD + rows)).hidden == set(range(3, 3000, 3))


def test_a_comment_of_megabytes_is_not_put_together() -> None:
    """Piece by piece that would take quadratic time."""
    comment = b"<!--" + b" " * 4_000_000 + b"-->"
    pieces = list(hidden_rows._whole_tags(io.BytesIO(b'<row r="1">' + comment + b'<row r="2" hidden="1"/>')))
    assert max(map(len, pieces)) < 200_000
    assert sum(b"hidden" in piece for piece in pieces) == 1
    content = raw_xlsx(HEAD + row(2, "") + comment.decode() + row(3, ' hidden="1"'))
    assert table_of(content).hidden == {3}


def test_rows_of_the_sheet_that_is_read() -> None:
    book = openpyxl.Workbook()
    notes = book.active
    assert notes is not None
    notes.append(["Nota"])
    notes.row_dimensions[2].hidden = True
    people = book.create_sheet("Años «2» & más")
    for values in (HEADER, *PEOPLE):
        people.append(values)
    people.row_dimensions[4].hidden = True
    assert table_of(saved(book)).hidden == {4}


def test_parts_that_are_named_otherwise() -> None:
    """Calamine reads a workbook whose paths begin at the root, in capitals and with backslashes."""
    renamed = {
        name.replace("xl/worksheets/sheet1.xml", "xl\\Worksheets\\Sheet1.xml"): text.replace(
            'Target="worksheets', 'Target="/xl/worksheets'
        )
        for name, text in parts(raw_xlsx(HEAD + row(2, "") + row(3, ' hidden="1"'))).items()
    }
    assert table_of(zipped(renamed)).hidden == {3}


async def test_a_list_of_which_nothing_is_shown() -> None:
    error = await refusal(raw_xlsx(HEAD + row(2, ' hidden="1"') + row(3, ' hidden="1"')))
    assert (error.code, error.message.params) == ("only_hidden_rows", {"rows": 2})


@pytest.mark.parametrize(
    ("attributes", "hidden"),
    [
        ('table:visibility="collapse"', {3}),
        ('table:style-name="ro1" table:visibility="filter"', {3}),
        ('table:visibility="visible"', set()),
        ('table:visibility="filter" table:number-rows-repeated="2"', {3, 4}),
        ('table:number-rows-repeated="3"', set()),
    ],
)
def test_ods(attributes: str, hidden: set[int]) -> None:
    """Also the rows that are hidden below the one in question, which is the third."""
    rows = [HEADER, *PEOPLE[:2], ["Final", "987654329"]]
    content = with_part(ods(*rows), "content.xml", lambda text: _in_row(_in_row(text, 4, LAST), 3, attributes))
    shift = len(hidden) - 1 if hidden else 2 * ("repeated" in attributes)
    assert table_of(content).hidden == hidden | {4 + shift}


LAST = 'table:visibility="collapse"'


def _in_row(text: str, number: int, attributes: str) -> str:
    before = text.split("<table:table-row")
    before[number] = f" {attributes}{before[number]}"
    return "<table:table-row".join(before)


def test_ods_rows_of_another_sheet() -> None:
    other = (
        f'<table:table table:name="A &amp; B"><table:table-row {LAST}/></table:table>'
        f'<table:table table:name="Vacía"><table:table-row {LAST}><table:table-cell/></table:table-row></table:table>'
    )
    content = with_part(
        ods(HEADER, *PEOPLE),
        "content.xml",
        lambda text: _in_row(text, 5, LAST).replace("<table:table table", f"{other}<table:table table"),
    )
    assert table_of(content).hidden == {5}


def old_book(
    *, sheets: Sequence[str] = ("Hoja1",), hidden: Collection[int] = (), columns: Collection[int] = ()
) -> bytes:
    """An .xls whose last sheet is the list, with these rows and columns hidden; what others hide says nothing of it."""
    book = xlwt.Workbook()
    for name in sheets:
        sheet = book.add_sheet(name)
        is_list = name == sheets[-1]
        for number, values in enumerate([HEADER, *PEOPLE] if is_list else [["Nota"], ["Otra"]], start=1):
            for column, value in enumerate(values):
                sheet.write(number - 1, column, value)
            sheet.row(number - 1).hidden = number in hidden if is_list else True
        for column in columns if is_list else (0,):
            sheet.col(column).hidden = True
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("sheets", [["Hoja1"], ["Notas", "Años «2» & más"], ["Notas", "Контакты 名前"]])
def test_xls(sheets: list[str]) -> None:
    table = table_of(old_book(sheets=sheets, hidden=[3, 6], columns=[1]))
    assert table.sheet == sheets[-1]
    assert {"rows": table.hidden, "columns": table.hidden_columns} == {"rows": {3, 6}, "columns": {1}}
    table = table_of(old_book(sheets=sheets))
    assert not table.hidden | table.hidden_columns


def test_xls_of_many_rows() -> None:
    """Whose records lie in hundreds of sectors."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Hoja1")
    for number in range(1, 3001):
        for column, value in enumerate(
            [*HEADER, "Nota"] if number == 1 else [f"P{number}", 900000000 + number, "n" * 100]
        ):
            sheet.write(number - 1, column, f"{value}{number}" if column == 2 else value)
        sheet.row(number - 1).hidden = number > 1 and number % 3 == 0
    buffer = io.BytesIO()
    book.save(buffer)
    assert table_of(buffer.getvalue()).hidden == set(range(3, 3001, 3))


async def test_only_the_shown_rows_of_an_xls_are_called() -> None:
    summary, rows = await understood(old_book(hidden=[3, 4, 6], columns=[0]))
    assert (rows, summary.hidden_rows) == ([2, 5, 7], 3)
    assert [warning.code for warning in summary.mapping.warnings] == ["hidden_columns", "hidden_rows"]


def test_where_the_table_of_sectors_goes_on() -> None:
    """In a file of more than 7 MB: 109 of its sectors are named in the header, then 127 in each of others."""
    header = bytes(0x44) + struct.pack("<II", 0, 2) + struct.pack("<109I", *range(1000, 1109))
    more = struct.pack("<128I", *range(2000, 2127), 1), struct.pack("<128I", 3000, *[0xFFFFFFFF] * 126, 0xFFFFFFFE)
    found = list(xls_records._table_sectors(header + b"".join(more), 512))
    assert found == [*range(1000, 1109), *range(2000, 2127), 3000]
    again = struct.pack("<128I", *range(2000, 2127), 0)
    assert len(list(xls_records._table_sectors(header + again * 9, 512))) == 109 + 10 * 127, "it ends"


def in_small_sectors(content: bytes) -> bytes:
    """The same book in a file that keeps streams of up to 64 KB in small sectors, as one of a few hundred bytes is."""
    stream = xls_records._workbook(content)
    small = -(-len(stream) // 64)
    chain = [*range(1, small), 0xFFFFFFFE]

    def sectors(part: bytes) -> bytes:
        return part + b"\xff" * (-len(part) % 512)

    def entry(name: str, kind: int, first: int, size: int) -> bytes:
        text = name.encode("utf-16-le")
        head = text.ljust(64, b"\0") + struct.pack("<HBB", len(text) + 2, kind, 1) + b"\xff" * 12 + bytes(36)
        return head + struct.pack("<IQ", first, size)

    container, table = sectors(stream), sectors(struct.pack(f"<{small}I", *chain))
    many, few = len(container) // 512, len(table) // 512
    # The table of sectors in 0, the directory in 1, then the table of small sectors, then these.
    of_table = [*range(3, 2 + few), 0xFFFFFFFE]
    of_container = [*range(3 + few, 2 + few + many), 0xFFFFFFFE]
    fat = sectors(struct.pack(f"<{2 + few + many}I", 0xFFFFFFFD, 0xFFFFFFFE, *of_table, *of_container))
    assert len(fat) == 512
    directory = entry("Root Entry", 5, 2 + few, len(stream)) + entry("Workbook", 2, 0, len(stream)) + bytes(256)
    head = content[:0x2C] + struct.pack("<IIIIIIIII", 1, 1, 0, 65536, 2, few, 0xFFFFFFFE, 0, 0)
    return head + b"\xff" * (512 - len(head)) + fat + directory + table + container


def test_xls_in_small_sectors(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(in_small_sectors(old_book(hidden=[5])))
    assert hidden_rows.hidden_in(path, "xls", "Hoja1").rows == {5}


@pytest.mark.parametrize("seed", range(40))
def test_an_xls_that_is_damaged_anywhere_hides_something_or_nothing(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    content = bytearray(old_book(hidden=[3]))
    for _ in range(draw.choice([1, 5, 50])):
        place = draw.randrange(len(content)) if seed % 2 else draw.randrange(512)
        content[place] = draw.choice([0, 0xFF, draw.randrange(256)])
    path = tmp_path / "a.xls"
    path.write_bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
    assert hidden_rows.hidden_in(path, "xls", "Hoja1").rows <= set(range(1, 65_537))


def test_a_chain_of_sectors_that_bites_its_tail(tmp_path: Path) -> None:
    content = bytearray(old_book(hidden=[3]))
    (table,) = struct.unpack_from("<I", content, 0x4C)
    (directory,) = struct.unpack_from("<I", content, 0x30)
    struct.pack_into("<I", content, 512 * (table + 1) + 4 * directory, directory)
    path = tmp_path / "a.xls"
    path.write_bytes(content)
    assert hidden_rows.hidden_in(path, "xls", "Hoja1") == (frozenset(), frozenset())


COLUMNS = (
    '<cols><col min="1" max="1" width="9"/><col min="2" max="3" hidden="1"/>'
    '<col min="5" max="16384" hidden="1"/></cols>'
)


def with_hidden_columns() -> bytes:
    header, person = ["Nombre", "Fono", "Deuda", "Ciudad", "Vacía"], ["Ana", "987654321", "5", "Lota"]
    return with_part(xlsx(header, person), SHEET, lambda text: text.replace("<sheetData>", f"{COLUMNS}<sheetData>"))


async def test_hidden_columns_are_used_and_told() -> None:
    """Not those in which there is nothing."""
    summary, taken = await listed(with_hidden_columns())
    (warning,) = [warning for warning in summary.mapping.warnings if warning.code == "hidden_columns"]
    assert warning.params == {"columns": "B («Fono»), C («Deuda»)"}
    assert taken.contacts[0].contact.phones == ["+56987654321"]
    assert taken.contacts[0].contact.custom_fields["deuda"] == "5"
    ignored = await SpreadsheetFiles().read_list(
        with_hidden_columns(), "lista", ListOrder(country="CL", choices={"Deuda": "ignore"}), Taken()
    )
    (warning,) = [warning for warning in ignored.mapping.warnings if warning.code == "hidden_columns"]
    assert warning.params == {"columns": "B («Fono»)"}


def test_hidden_columns_of_an_ods() -> None:
    columns = (
        '<table:table-column table:number-columns-repeated="2"/><table:table-column table:visibility="collapse" '
        'table:number-columns-repeated="2"/><table:table-column/><table:table-column table:visibility="filter"/>'
    )
    content = with_part(
        ods(HEADER, *PEOPLE),
        "content.xml",
        lambda text: _in_row(text, 4, LAST).replace(
            'table:name="Hoja1">', f'table:name="Hoja1">{columns}<table:table-row/>'
        ),
    )
    table = table_of(content)
    assert {"rows": table.hidden, "columns": table.hidden_columns} == {"rows": {5}, "columns": {2, 3, 5}}


def test_formats_that_do_not_tell() -> None:
    assert table_of(xls(HEADER, *PEOPLE)).hidden == set()
    assert table_of("Nombre;Teléfono\nAna;987654321\n".encode()).hidden == set()
    assert table_of(xlsx(HEADER, *PEOPLE)).hidden == set()
