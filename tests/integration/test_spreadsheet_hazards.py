"""Odd files that are read all the same (shared/excel.md §2a and §2b), each made here; from the bytes to the contact."""

import io
import re
import zipfile
from datetime import date, datetime, time

import openpyxl
import pytest

from app.domain.contact_import import import_contacts
from app.domain.contact_list import ListOrder
from app.integrations.spreadsheets.files import SpreadsheetFiles
from tests.spreadsheets import (
    Taken,
    heard,
    ods,
    parts_of,
    raw_xlsx,
    saved,
    table_of,
    text_cell,
    with_part,
    without_part,
    xls,
    zipped,
)

HEAD = f'<row r="1">{text_cell("A1", "Nombre")}{text_cell("B1", "Fono")}{text_cell("C1", "Dato")}</row>'


ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!")


def sheet_with(cell: str) -> bytes:
    """A list of one contact whose third cell, C2, is `cell`."""
    return raw_xlsx(f'{HEAD}<row r="2">{text_cell("A2", "Ana")}{text_cell("B2", "987654321")}{cell}</row>')


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('<c r="C2"><v>5.6912345678E+10</v></c>', "56912345678"),
        ('<c r="C2"><v>56912345678</v></c>', "56912345678"),
        ('<c r="C2"><v>0.195</v></c>', "0.195"),
        ('<c r="C2"><v>0.30000000000000004</v></c>', "0.3"),
        ('<c r="C2"><v>12345678901234567890</v></c>', "12345678901234567168"),
        ('<c r="C2" t="b"><v>1</v></c>', "sí"),
        ('<c r="C2" t="b"><v>true</v></c>', "sí"),
        *((f'<c r="C2" t="e"><v>{error}</v></c>', None) for error in ERRORS),
        ('<c r="C2"><f>1+1</f></c>', None),
        ('<c r="C2"><f>1+1</f><v>2</v></c>', "2"),
        ('<c r="C2" t="d"><v>2026-01-31T10:30:00Z</v></c>', "2026-01-31T10:30:00Z"),
        ('<c r="C2" t="inlineStr"><is><t>a&#1;b</t></is></c>', "ab"),
        ('<c r="C2" t="str"><f>A1</f><v>hola</v></c>', "hola"),
        ('<c r="C2" t="d"><v>2026-01-31</v></c>', "2026-01-31"),
        ('<c r="C2" t="inlineStr"><is><r><t>Juan </t></r><r><t xml:space="preserve">P.</t></r></is></c>', None),
        ('<c r="C2" t="inlineStr"><is><t>a_x0000_b</t></is></c>', "ab"),
        ('<c r="C2"/>', None),
    ],
)
def test_a_value(cell: str, shown: str | None) -> None:
    table = table_of(sheet_with(cell))
    (row,) = import_contacts(table, country="CL").contacts
    found = row.contact.custom_fields.get("dato")
    if "<r>" in cell:
        assert found is not None
        assert found.replace(" ", "") == "JuanP."
    else:
        assert found == shown


@pytest.mark.parametrize(
    ("cell", "e164"),
    [
        ('<c r="B2"><v>987654321</v></c>', "+56987654321"),
        ('<c r="B2"><v>5.6987654321E+10</v></c>', "+56987654321"),
        (text_cell("B2", "987654321.0"), "+56987654321"),
        (text_cell("B2", "\u202a+56\u00a09 8765\u20114321\u202c"), "+56987654321"),
        (text_cell("B2", "912345678"), "+56912345678"),
        (text_cell("B2", "0221234567"), "+56221234567"),
        ('<c r="B2"><v>221234567</v></c>', "+56221234567"),
    ],
)
def test_a_phone(cell: str, e164: str) -> None:
    content = raw_xlsx(f'{HEAD}<row r="2">{text_cell("A2", "Ana")}{cell}</row>')
    (row,) = import_contacts(table_of(content), country="CL").contacts
    assert row.contact.phones == [e164]


def test_a_phone_in_a_cell_formatted_as_a_date() -> None:
    """openpyxl reads "#VALUE!" there."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Nombre", "Fono", "Vence", "Hora"])
    sheet.append(["Ana", 987654321, date(2026, 1, 31), time(9, 30)])
    sheet["B2"].number_format = "dd/mm/yyyy"
    (row,) = import_contacts(table_of(saved(book)), country="CL").contacts
    assert row.contact.phones == ["+56987654321"]
    assert row.contact.custom_fields == {"vence": "2026-01-31", "hora": "09:30:00"}


# Formats that look like dates to a careless reader; and dates that do not.
FORMATS = {
    "percent": ("0.0%", "0.195"),
    "money": ("[$$-340A]#,##0", "0.195"),
    "accounting": ('_ "$"* #,##0_ ;_ "$"* -#,##0_ ', "0.195"),
    "days": ('#,##0 "dias"', "0.195"),
    "leading zeros": ("0000000000", "0.195"),
    "text": ("@", "0.195"),
    "time": ("hh:mm", "04:40:48"),
    "duration": ("[h]:mm", "4:40:48"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format(name: str) -> None:
    number_format, shown = FORMATS[name]
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Nombre", "Fono", "Dato"])
    sheet.append(["Ana", 987654321, 0.195])
    sheet["C2"].number_format = number_format
    (row,) = import_contacts(table_of(saved(book)), country="CL").contacts
    assert row.contact.custom_fields == {"dato": shown}


def test_dates_counted_from_1904() -> None:
    book = openpyxl.Workbook()
    book.epoch = datetime(1904, 1, 1)  # noqa: DTZ001 - cells know no zone
    sheet = book.active
    assert sheet is not None
    sheet.append(["Nombre", "Fono", "Vence"])
    sheet.append(["Ana", 987654321, date(2026, 1, 31)])
    (row,) = import_contacts(table_of(saved(book)), country="CL").contacts
    assert row.contact.custom_fields == {"vence": "2026-01-31"}


@pytest.mark.parametrize("serial", ["60", "0", "-5", "2958466", "1E+30"])
def test_a_date_that_is_none_breaks_nothing(serial: str) -> None:
    content = sheet_with(f'<c r="C2" s="1"><v>{serial}</v></c>')
    styled = with_part(content, "xl/_rels/workbook.xml.rels", add_styles)
    parts = {**parts_of(styled), "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{DATE_STYLES}</styleSheet>'}
    (row,) = import_contacts(table_of(zipped(parts)), country="CL").contacts
    assert row.contact.phones == ["+56987654321"]


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
DATE_STYLES = '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs>'


def add_styles(relations: str) -> str:
    styles = f'<Relationship Id="rId9" Type="{OFFICE}/styles" Target="styles.xml"/>'
    return relations.replace("</Relationships>", f"{styles}</Relationships>")


def person(row: int, name: str, phone: str, attributes: str = "") -> str:
    return f'<row r="{row}"{attributes}>{text_cell(f"A{row}", name)}{text_cell(f"B{row}", phone)}</row>'


ANA = person(2, "Ana", "987654321")
EVA = person(5, "Eva", "987654325")
LUIS = person(3, "Luis", "987654323")
SOUND = raw_xlsx(HEAD + ANA)
SHEET = "xl/worksheets/sheet1.xml"


def before_rows(xml: str) -> bytes:
    return with_part(SOUND, SHEET, lambda text: text.replace("<sheetData>", f"{xml}<sheetData>"))


def merged() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Campaña", None], ["Nombre", "Fono"], ["Ana", "987654321"], [None, "987654322"]):
        sheet.append(row)
    sheet.merge_cells("A1:B1")
    sheet.merge_cells("A3:A4")
    return saved(book)


def text_after_a_thousand_numbers() -> bytes:
    numbers = "".join(
        f'<row r="{n}">{text_cell(f"A{n}", "x")}<c r="B{n}"><v>987650000</v></c></row>' for n in range(2, 1202)
    )
    return raw_xlsx(HEAD + numbers + person(1202, "Eva", "+56 9 8765 4325"))


def strict() -> bytes:
    names = {
        MAIN: "http://purl.oclc.org/ooxml/spreadsheetml/main",
        OFFICE: "http://purl.oclc.org/ooxml/officeDocument/relationships",
    }
    parts = parts_of(SOUND)
    for transitional, of_the_standard in names.items():
        parts = {part: text.replace(transitional, of_the_standard) for part, text in parts.items()}
    return zipped(parts)


def ods_with(rows: str) -> bytes:
    content = ods(["Nombre", "Fono"], ["Ana", "987654321"])
    return with_part(content, "content.xml", lambda text: text.replace("</table:table>", f"{rows}</table:table>"))


def twice() -> bytes:
    buffer = io.BytesIO(SOUND)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(SHEET, parts_of(raw_xlsx(HEAD + EVA))[SHEET])
    return buffer.getvalue()


NO_REFERENCES = re.compile(' r="[A-Z0-9]+"')
ODS_EMPTY = (
    '<table:table-row table:number-rows-repeated="1048573">'
    '<table:table-cell table:number-columns-repeated="1024"/></table:table-row>'
)

# What the file is → the file → the rows and names of its contacts.
LAYOUTS: dict[str, tuple[bytes, dict[int, str]]] = {
    "Strict OOXML (openpyxl sees no sheet)": (strict(), {2: "Ana"}),
    "rows out of order (openpyxl loses one)": (raw_xlsx(HEAD + EVA + LUIS), {3: "Luis", 5: "Eva"}),
    "two rows of one number: the last is it": (raw_xlsx(HEAD + person(5, "Ana", "987654321") + EVA), {5: "Eva"}),
    "hidden rows are left out": (
        raw_xlsx(HEAD + ANA + person(3, "Luis", "987654323", ' hidden="1"')),
        {2: "Ana"},
    ),
    "hidden columns are columns": (
        before_rows('<cols><col min="2" max="2" hidden="1"/></cols>'),
        {2: "Ana"},
    ),
    "merged cells have their value in the first": (merged(), {3: "Ana", 4: ""}),
    "cells without references": (with_part(SOUND, SHEET, lambda text: NO_REFERENCES.sub("", text)), {2: "Ana"}),
    "references in small letters": (with_part(SOUND, SHEET, lambda text: text.replace('"B2"', '"b2"')), {2: "Ana"}),
    "a prefix for every element": (
        with_part(SOUND, SHEET, lambda text: re.sub("<(/?)", r"<\1x:", text).replace("xmlns=", "xmlns:x=")),
        {2: "Ana"},
    ),
    "targets from the root": (
        with_part(SOUND, "xl/_rels/workbook.xml.rels", lambda text: text.replace('"worksheets', '"/xl/worksheets')),
        {2: "Ana"},
    ),
    "a dimension of the whole sheet": (
        before_rows('<dimension ref="A1:XFD1048576"/>'),
        {2: "Ana"},
    ),
    "a dimension of one cell (openpyxl reads one row)": (
        before_rows('<dimension ref="A1"/>'),
        {2: "Ana"},
    ),
    "backslashes in the parts' names": (
        zipped({name.replace("/", "\\"): text for name, text in parts_of(SOUND).items()}),
        {2: "Ana"},
    ),
    "50,000 empty rows with a style": (
        raw_xlsx(HEAD + ANA + "".join(f'<row r="{n}"><c r="A{n}" s="1"/></row>' for n in range(3, 50_000))),
        {2: "Ana"},
    ),
    "a row after Excel's last": (
        raw_xlsx(HEAD + ANA + person(2_000_000, "Eva", "987654325")),
        {2: "Ana", 2_000_000: "Eva"},
    ),
    "no [Content_Types].xml": (without_part(SOUND, "[Content_Types].xml"), {2: "Ana"}),
    "one part twice: the last is it": (twice(), {5: "Eva"}),
    "a sheet that says ISO-8859-1, of plain letters": (
        with_part(SOUND, SHEET, lambda text: '<?xml version="1.0" encoding="ISO-8859-1"?>' + text),
        {2: "Ana"},
    ),
    "a million elements inside each other": (
        before_rows("<a>" * 1_000_000),
        {2: "Ana"},
    ),
    "100,000 attributes": (
        before_rows("<a " + " ".join(f'a{n}="1"' for n in range(100_000)) + "/>"),
        {2: "Ana"},
    ),
    "fonts, colours and fills that Excel lets pass (openpyxl raises)": (
        zipped(
            {
                **parts_of(with_part(SOUND, "xl/_rels/workbook.xml.rels", add_styles)),
                "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><fonts><font><family val="34"/><color rgb="x"/></font>'
                f'</fonts><fills><fill><patternFill patternType="nothing"/></fill></fills>{DATE_STYLES}</styleSheet>',
            }
        ),
        {2: "Ana"},
    ),
    "Excel 97": (xls(["Nombre", "Fono"], ["Peña", 987654321.0], ["Eva", "+56987654325"]), {2: "Peña", 3: "Eva"}),
    "Excel 97, header at C5": (
        xls([], [], [], [], [None, None, "Nombre", "Fono"], [None, None, "Ana", 987654321]),
        {6: "Ana"},
    ),
    "OpenDocument with LibreOffice's million empty rows": (ods_with(ODS_EMPTY), {2: "Ana"}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout(name: str) -> None:
    content, contacts = LAYOUTS[name]
    said, rows = heard(content)
    assert "list" in said, said
    assert {row.row_number: row.contact.name for row in rows} == contacts
    assert said["list"]["invalid_rows"] == 0


def test_text_below_a_thousand_numbers_is_read() -> None:
    """Readers that guess a column's type by its first rows lose it."""
    _, rows = heard(text_after_a_thousand_numbers())
    assert (len(rows), rows[-1].contact.phones) == (1201, ["+56987654325"])


async def test_whatever_the_name_says_the_bytes_decide() -> None:
    order = ListOrder(country="CL")
    for content, filename in ((LAYOUTS["Excel 97"][0], "lista.xlsx"), (SOUND, "lista.xls"), (SOUND, "lista.csv")):
        found = await SpreadsheetFiles().read_list(content, filename, order, Taken())
        assert found.valid_rows > 0
