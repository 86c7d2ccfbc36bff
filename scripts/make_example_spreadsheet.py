"""Write examples/contactos.xlsx, the contact list of the demo and the tests.

Run `python -m scripts.make_example_spreadsheet`.

48 rows: 44 contacts in the styles people mix (numbers as text, as numeric cells, with spaces) and 4 rows that are
wrong in the usual ways. All persons are invented. The numbers are too, but they have the form of assigned ones and
may be somebody's: never load this file into an installation that places real calls.
The same bytes come out every time, so that the file in the repository changes only when its contents do.
"""

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import openpyxl
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "contactos.xlsx"

_HEADERS = (
    "Nombre",
    "RUT",
    "Teléfono 1",
    "Teléfono 2",
    "Correo",
    "Empresa",
    "Monto deuda",
    "Fecha vencimiento",
)
_WIDTHS = (26, 14, 18, 18, 34, 22, 14, 18)
_MONEY_COLUMN, _DATE_COLUMN = 7, 8

_GIVEN_NAMES = (
    "María José",
    "Juan",
    "Camila",
    "Diego",
    "Francisca",
    "Matías",
    "Valentina",
    "Sebastián",
    "Javiera",
    "Felipe",
    "Constanza",
    "Nicolás",
)
_FIRST_SURNAMES = ("González", "Muñoz", "Rojas", "Díaz", "Pérez", "Soto", "Contreras")
_SECOND_SURNAMES = ("Silva", "Martínez", "Sepúlveda", "Morales", "Fuentes")
_COMPANIES = ("Comercial Andina", "Créditos del Sur", "Servicios Ñuble")

# Ranges that are assigned as a whole (phonenumbers 9.0).
_MOBILE_PREFIXES = ("98", "92", "95", "94")

_CONTACTS = 44
# Everybody's sample number: it has the right length, but its range is not assigned.
_SAMPLE_NUMBER = "+56 9 1234 5678"
_SAMPLE_NUMBER_ROW = 10
_BAD_ROWS = {
    8: None,
    19: "no tiene",
    30: "98765",
    41: "5,69875E+10",
}

_FIRST_DUE = date(2026, 1, 5)
_ZIP_TIME = (2026, 1, 1, 0, 0, 0)
_DOCUMENT_TIME = b"2026-01-01T00:00:00Z"

_Value = str | int | date | None


def write(path: Path) -> None:
    """Write the workbook to `path`."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None  # noqa: S101 - a new workbook has one
    sheet.title = "Contactos"
    sheet.append(_HEADERS)
    for row in _rows():
        sheet.append(row)
    for number, width in enumerate(_WIDTHS, start=1):
        letter = get_column_letter(number)
        sheet.column_dimensions[letter].width = width
        sheet.cell(1, number).font = Font(bold=True)
    for number in range(2, sheet.max_row + 1):
        sheet.cell(number, _MONEY_COLUMN).number_format = "#,##0"
        sheet.cell(number, _DATE_COLUMN).number_format = "DD/MM/YYYY"
    sheet.freeze_panes = "A2"
    buffer = io.BytesIO()
    workbook.save(buffer)
    path.write_bytes(_without_times(buffer.getvalue()))


def _rows() -> Iterator[tuple[_Value, ...]]:
    """The rows below the header; `_BAD_ROWS` names theirs by the number that the spreadsheet shows."""
    contact = 0
    for row_number in range(2, _CONTACTS + len(_BAD_ROWS) + 2):
        person = row_number - 2
        if row_number in _BAD_ROWS:
            yield _row(person, _BAD_ROWS[row_number], None)
            continue
        second = _written(_mobile(_CONTACTS + contact), contact + 2) if contact % 2 else None
        yield _row(
            person,
            _written(_mobile(contact), contact),
            _SAMPLE_NUMBER if row_number == _SAMPLE_NUMBER_ROW else second,
        )
        contact += 1


def _row(person: int, first_phone: _Value, second_phone: _Value) -> tuple[_Value, ...]:
    given = _GIVEN_NAMES[person % len(_GIVEN_NAMES)]
    surname = _FIRST_SURNAMES[person % len(_FIRST_SURNAMES)]
    second_surname = _SECOND_SURNAMES[person % len(_SECOND_SURNAMES)]
    return (
        f"{given} {surname} {second_surname}",
        _rut(9_100_000 + 317_411 * person),
        first_phone,
        second_phone,
        f"{_plain(given)}.{_plain(surname)}{person + 1}@example.com",
        _COMPANIES[person % len(_COMPANIES)],
        25_000 + 13_570 * (person * 7 % 31),
        _FIRST_DUE + timedelta(days=person * 3 % 60),
    )


def _mobile(index: int) -> str:
    """Nine digits, another number for each index."""
    return f"{_MOBILE_PREFIXES[index % len(_MOBILE_PREFIXES)]}{3_104_527 + 61_981 * index:07}"


def _written(mobile: str, style: int) -> _Value:
    spaced = f"{mobile[0]} {mobile[1:5]} {mobile[5:]}"
    return (f"+56 {spaced}", int(mobile), f"+56{mobile}", spaced)[style % 4]


def _rut(number: int) -> str:
    """With dots and the check digit (modulo 11)."""
    total = sum(int(digit) * factor for digit, factor in zip(str(number)[::-1], (2, 3, 4, 5, 6, 7) * 2, strict=False))
    check = "0123456789K"[-total % 11]
    return f"{number:,}".replace(",", ".") + f"-{check}"


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("áéíóúñü ", "aeiounu."))


def _without_times(content: bytes) -> bytes:
    """The same workbook as if written at a fixed moment: openpyxl stores the present one in two places.

    Uncompressed, because compressors differ between machines.
    """
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(buffer, "w") as target,
    ):
        for name in source.namelist():
            part = source.read(name)
            if name == "docProps/core.xml":
                part = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", _DOCUMENT_TIME, part)
            target.writestr(zipfile.ZipInfo(name, _ZIP_TIME), part)
    return buffer.getvalue()


if __name__ == "__main__":
    destination = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE
    write(destination)
    print(f"Wrote {destination}")
