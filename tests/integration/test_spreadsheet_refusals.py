"""Files that are refused, each with its own reason (shared/excel.md §2c): made here, and read in this process but for
those that could break it."""

import struct
import zipfile

import pytest

from app.domain.errors import SpreadsheetRejected
from app.domain.messages import Message
from tests.integration.test_spreadsheet_hazards import ANA, HEAD, SHEET, SOUND, ods_with, sheet_with
from tests.spreadsheets import heard, listed, parts_of, raw_xlsx, text_cell, with_part, without_part, xls, zipped


def changed_entries(content: bytes, local: int, central: int, value: int) -> bytes:
    """The zip with four bytes of every entry, at these places of its two headers, set to `value`."""
    changed = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        place = changed.find(mark)
        while place >= 0:
            struct.pack_into("<I", changed, place + offset, value)
            place = changed.find(mark, place + 4)
    return bytes(changed)


def in_utf_16(mark: bool) -> bytes:
    declaration = '<?xml version="1.0" encoding="UTF-16"?>'
    return with_part(SOUND, SHEET, lambda text: (declaration + text).encode("utf-16" if mark else "utf-16-be"))


def in_latin_1() -> bytes:
    sheet = parts_of(raw_xlsx(HEAD + ANA.replace("Ana", "Peña")))[SHEET]
    return with_part(SOUND, SHEET, lambda _: f'<?xml version="1.0" encoding="ISO-8859-1"?>{sheet}'.encode("latin-1"))


def encrypted_envelope() -> bytes:
    """As Excel saves a workbook with a password: an OLE2 file whose streams have these names."""
    plain, encrypted = ("Workbook".encode("utf-16-le"), "EncryptedPackage".encode("utf-16-le"))
    return xls(["Fono"]).replace(plain.ljust(len(encrypted), b"\0"), encrypted)


def xls_with_password() -> bytes:
    """The second record, which says the code page, becomes the one that says that the rest is encrypted."""
    content = xls(["Nombre", "Fono"], ["Ana", 987654321])
    place = content.index(b"\x09\x08\x10\x00") + 20
    return content[:place] + b"\x2f\x00" + content[place + 2 :]


ENTITIES = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE l [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
SHARED = raw_xlsx(
    HEAD + '<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2"><v>987654321</v></c></row>', "<si><t>&b;</t></si>"
)
STRINGS = "xl/sharedStrings.xml"
XML_2003 = (
    '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet/></Workbook>'
)
ODS_FULL = (
    '<table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="1024" '
    'office:value-type="string"><text:p>x</text:p></table:table-cell></table:table-row>'
)

# What the file is → the file → the code it is refused with.
REFUSED: dict[str, tuple[bytes, str]] = {
    "a sheet in UTF-16 (calamine reads it as empty)": (in_utf_16(mark=True), "file_unreadable"),
    "a sheet in UTF-16 without a mark": (in_utf_16(mark=False), "file_unreadable"),
    "a sheet in ISO-8859-1": (in_latin_1(), "file_unreadable"),
    "an error value of later Excels": (sheet_with('<c r="C2" t="e"><v>#SPILL!</v></c>'), "sheet_error_value"),
    "another": (sheet_with('<c r="C2" t="e"><v>#CALC!</v></c>'), "sheet_error_value"),
    "formulas without values for telephones": (
        raw_xlsx(HEAD + f'<row r="2">{text_cell("A2", "Ana")}<c r="B2"><f>1</f></c></row>'),
        "phone_column_empty",
    ),
    "no sheet": (without_part(SOUND, SHEET), "file_unreadable"),
    "no relations": (without_part(SOUND, "xl/_rels/workbook.xml.rels"), "file_unreadable"),
    "no shared strings": (without_part(SHARED, STRINGS), "file_unreadable"),
    "a shared string that is not there": (
        raw_xlsx(HEAD + '<row r="2"><c r="A2" t="s"><v>99</v></c></row>', "<si/>"),
        "file_unreadable",
    ),
    "a column after Excel's last": (raw_xlsx(HEAD + f'<row r="3">{text_cell("ZZZZ3", "x")}</row>'), "too_many_columns"),
    "a value far to the right": (raw_xlsx(HEAD + f'<row r="2">{text_cell("XFD2", "x")}</row>'), "too_many_columns"),
    "wrong check sums": (changed_entries(SOUND, 14, 16, 1), "file_unreadable"),
    "sizes declared too small": (changed_entries(SOUND, 22, 24, 10), "file_unreadable"),
    "a password in the zip": (changed_entries(SOUND, 6, 8, 1), "file_unreadable"),
    "bzip2": (zipped(parts_of(SOUND), zipfile.ZIP_BZIP2), "file_unreadable"),
    "lzma": (zipped(parts_of(SOUND), zipfile.ZIP_LZMA), "file_unreadable"),
    "entities in a sheet": (
        with_part(raw_xlsx(HEAD + ANA.replace("Ana", "&b;")), SHEET, lambda text: ENTITIES + text),
        "file_unreadable",
    ),
    "entities in the strings": (
        with_part(SHARED, STRINGS, lambda text: ENTITIES + text),
        "file_unreadable",
    ),
    "entities from elsewhere": (
        with_part(SHARED, STRINGS, lambda text: OUTSIDE + text),
        "file_unreadable",
    ),
    "a workbook with a password": (encrypted_envelope(), "file_password_protected"),
    "Excel 97 with a password": (xls_with_password(), "file_password_protected"),
    "XML of Excel 2003, as banks' systems export": (XML_2003.encode(), "file_is_html"),
    "HTML, as banks' systems export": (b"\r\n<HTML><BODY><TABLE><TR><TD>RUT</TD></TR></TABLE>", "file_is_html"),
    "a table without a page around it": ("<table><tr><td>Año</td></tr></table>".encode("latin-1"), "file_is_html"),
    "a binary workbook (.xlsb)": (
        zipped({"xl/workbook.bin": b"\x83\x01\x00", "xl/worksheets/sheet1.bin": b"\x81\x01\x00"}),
        "file_is_xlsb",
    ),
    "OpenDocument of a thousand million values": (ods_with(ODS_FULL), "file_unreadable"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal(name: str) -> None:
    content, code = REFUSED[name]
    said, rows = heard(content)
    assert "rejected_file" in said, said
    message = Message.model_validate(said["rejected_file"])
    assert (message.code, rows) == (code, [])
    assert message.render("es")
    assert message.render("en")


def test_an_error_value_is_named_with_its_sheet() -> None:
    said, _ = heard(sheet_with('<c r="C2" t="e"><v>#SPILL!</v></c>'))
    assert said["rejected_file"]["params"] == {"sheet": "Hoja1", "value": "#SPILL!"}


async def test_a_cell_in_excel_97s_last_corner_ends_with_an_answer() -> None:
    """65,536 by 256 cells for two: a gigabyte in calamine."""
    content = xls(["Nombre", "Fono"], ["Ana", "987654321"], *[[]] * 65_533, [*[None] * 255, "x"])
    try:
        summary, _ = await listed(content)
    except SpreadsheetRejected as rejected:
        assert rejected.code == "file_too_complex_or_corrupt"  # noqa: PT017 - the other outcome is as good
    else:
        assert (summary.valid_rows, summary.invalid_rows) == (1, 1)
