"""CSV that no spreadsheet program takes for formulas, and that telephones and numbers survive."""

import csv
import io
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.tables_written import WrittenRow, WrittenSheet, in_one_chunk
from app.integrations.spreadsheets.csv_writer import CsvFiles, Separator, harmless

CALCULATES = "=+-@＝＋－＠"
CONTROLS = "\t\r\n"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("＋１", "'＋１"),
        ("+１２３", "'+１２３"),
        ("\t=1", "'\t'=1"),
        ("\rhola", "'\rhola"),
        ("\nhola", "'\nhola"),
        (" =1", " '=1"),
        ('"=1', "\"'=1"),
        ("+56912345678;=1", "+56912345678;'=1"),
        ("hola,=1", "hola,'=1"),
        ("hola\n=1", "hola\n'=1"),
        ('x;"=1', "x;\"'=1"),
        ("+56912345678 =1", "'+56912345678 =1"),
        ("-", "'-"),
        ("a\x00b\x1fc\x7f", "abc"),
        ("\x00=1", "'=1"),
        ("+56912345678", "+56912345678"),
        ("+56912345678,+56987654321", "+56912345678,+56987654321"),
        ("-5", "-5"),
        ("+5,50", "+5,50"),
        ("-1.5", "-1.5"),
        ("12345678-9", "12345678-9"),
        ("juan@email.com", "juan@email.com"),
        ("1+1=2", "1+1=2"),
        ("O'Higgins", "O'Higgins"),
        ("", ""),
    ],
)
def test_an_apostrophe_where_a_formula_would_begin(text: str, written: str) -> None:
    assert harmless(text) == written


@given(st.text(alphabet=[*CALCULATES, *CONTROLS, *"0129.,;|\"' aA(é\x00"], max_size=12), st.sampled_from(";,\t|"))
def test_no_field_is_a_formula_whatever_it_is_split_at(text: str, separator: str) -> None:
    """As its own field, and where the program splits at another separator than ours."""
    for line in harmless(text).replace("\r", "\n").split("\n"):
        for piece in [line, *line.split(separator)]:
            bare = piece.lstrip(' "\t\u00a0')
            if bare[:1] and bare[0] in CALCULATES:
                number = bare[1:].replace(",", ".", 1).replace(".", "", 1)
                rest = bare[1:]
                first = rest.split(",")[0].split(";")[0].split("|")[0].split("\t")[0]
                assert (number.isascii() and number.isdigit()) or first.replace(".", "", 1).isdigit(), (text, piece)


async def written(rows: list[WrittenRow], separator: Separator) -> bytes:
    file = CsvFiles(at_once=1).separated_by(separator)
    return b"".join([block async for block in file.blocks([WrittenSheet("x", in_one_chunk(rows))])])


ROW: WrittenRow = ["Ñandú", 7, Decimal("1.50"), datetime(2026, 11, 23, 9, 5), None, 'a "b"; c, d', "dos\nlíneas"]  # noqa: DTZ001 - on some wall


async def test_as_excel_in_spanish_wants_it() -> None:
    content = await written([["Nombre"], ROW], ";")
    assert content.startswith("\ufeffNombre\r\n".encode())
    text = content.decode("utf-8-sig")
    assert text.endswith('Ñandú;7;1,50;2026-11-23 09:05:00;;"a ""b""; c, d";"dos\nlíneas"\r\n')


async def test_with_commas_the_decimal_sign_is_a_point() -> None:
    text = (await written([["Nombre"], ROW], ",")).decode("utf-8-sig")
    _, row = csv.reader(io.StringIO(text, newline=""))
    assert row == ["Ñandú", "7", "1.50", "2026-11-23 09:05:00", "", 'a "b"; c, d', "dos\nlíneas"]


async def test_numbers_are_no_formulas_and_no_exponents() -> None:
    text = (await written([["A"], [Decimal("-0.00000001"), -5, Decimal("1E+3")]], ",")).decode("utf-8-sig")
    assert text.splitlines()[1] == "-0.00000001,-5,1000"
