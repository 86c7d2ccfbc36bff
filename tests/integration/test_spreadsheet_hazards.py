"""The rows of shared/excel.md's tables that no other test has, each file made here; from the bytes to the contact."""

import io
import zipfile
from datetime import date, time

import openpyxl
import pytest

from app.domain.contact_import import import_contacts
from tests.spreadsheets import raw_xlsx, saved, table_of, text_cell, zipped

HEAD = f'<row r="1">{text_cell("A1", "Nombre")}{text_cell("B1", "Fono")}{text_cell("C1", "Dato")}</row>'


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
        ('<c r="C2" t="b"><v>1</v></c>', "sí"),
        ('<c r="C2" t="e"><v>#N/A</v></c>', None),
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


def test_a_dimension_that_is_too_small_hides_no_row() -> None:
    """openpyxl reads one row, and says nothing."""
    with zipfile.ZipFile(io.BytesIO(sheet_with(""))) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace("<sheetData>", '<dimension ref="A1"/><sheetData>')
    assert len(table_of(zipped(parts)).rows) == 2


def test_parts_in_another_case_and_with_backslashes() -> None:
    with zipfile.ZipFile(io.BytesIO(sheet_with(""))) as archive:
        parts = {name.replace("/", "\\"): archive.read(name).decode() for name in archive.namelist()}
    assert len(table_of(zipped(parts)).rows) == 2
