"""Rows that somebody hid or filtered out of a sheet are not called, but by request."""

import io
from typing import Any

import openpyxl
import pytest

from app.domain.contact_list import ListOrder, ListSummary
from app.domain.do_not_call_import import NumberSummary
from app.integrations.spreadsheets import hidden_rows
from app.integrations.spreadsheets.files import SpreadsheetFiles
from tests.spreadsheets import (
    Taken,
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


def test_formats_that_do_not_tell() -> None:
    assert table_of(xls(HEADER, *PEOPLE)).hidden == set()
    assert table_of("Nombre;Teléfono\nAna;987654321\n".encode()).hidden == set()
    assert table_of(xlsx(HEADER, *PEOPLE)).hidden == set()
