"""What an uploaded file really is, by its bytes: names and content types lie, and the parsers differ."""

import mmap
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from app.domain.errors import SpreadsheetRejected

Kind = Literal["xlsx", "xls", "ods", "csv"]

_HEAD_BYTES = 65_536

_ZIP = b"PK\x03\x04"
_OLE2 = bytes.fromhex("D0CF11E0A1B11AE1")
_MARKUP = ("<html", "<table", "<!doctype", "<?xml", "<head", "<body", "<meta", "<style", "<div", "mime-version:")
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")

_TEXT_CONTROLS = frozenset(b"\t\n\r\x0b\x0c\x1a\x1b")
_MOST_CONTROLS = 0.01

# A real list of 300,000 rows by 8 columns declares 118 MB in 12 parts.
_MOST_ENTRIES = 2_000
_MOST_DECLARED_BYTES = 600 * 1024 * 1024
_SHEETS = "xl/worksheets/"
_PARTS_READ = (
    "xl/workbook",
    "xl/sharedstrings",
    "xl/styles",
    _SHEETS,
    "content.xml",
    "styles.xml",
)
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def sniff(path: Path) -> Kind:
    """The format of the file.

    Raises SpreadsheetRejected, with a code of its own for each thing that is often mistaken for a spreadsheet.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        raise SpreadsheetRejected("file_empty")
    if head.startswith(_ZIP):
        return _sniff_zip(path)
    if head.startswith(_OLE2):
        return _sniff_ole2(path)
    return _sniff_text(head)


def check_parts(path: Path) -> None:
    """Refuse a zip that says it unpacks to more than a contact list can be, and sheets that calamine takes for empty.

    The sum of the sizes bounds what is unpacked: calamine stops at a part that is larger than it declares.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            raise SpreadsheetRejected("file_too_complex_or_corrupt")
        read = [entry for entry in entries if part_name(entry.filename).startswith(_PARTS_READ)]
        if sum(entry.file_size for entry in read) > _MOST_DECLARED_BYTES:
            raise SpreadsheetRejected("file_unpacks_too_large", limit_mb=_MOST_DECLARED_BYTES // 1024**2)
        if any(entry.compress_type not in _METHODS for entry in read):
            raise SpreadsheetRejected("file_unreadable")
        if any(_is_utf16(archive, entry) for entry in read if part_name(entry.filename).startswith(_SHEETS)):
            raise SpreadsheetRejected("file_unreadable")


def _is_utf16(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """With or without a byte order mark, one of the first characters has a byte that is zero."""
    try:
        with archive.open(entry) as part:
            return b"\0" in part.read(4)
    except (RuntimeError, zlib.error, EOFError) as error:  # encrypted, damaged, cut off
        raise SpreadsheetRejected("file_unreadable") from error


def part_name(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _sniff_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {part_name(name) for name in archive.namelist()}
            mimetype = archive.read("mimetype") if "mimetype" in archive.namelist() else b""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, KeyError, ValueError) as error:
        raise SpreadsheetRejected("file_unreadable") from error
    if "xl/workbook.bin" in names:
        raise SpreadsheetRejected("file_is_xlsb")
    if "xl/workbook.xml" in names:
        return "xlsx"
    if mimetype.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        return "ods"
    raise SpreadsheetRejected("file_format_unknown")


def _sniff_ole2(path: Path) -> Kind:
    """Old Excel, or the envelope of an encrypted new one: the streams' names tell, in UTF-16."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find("EncryptedPackage".encode("utf-16-le")) >= 0:
            raise SpreadsheetRejected("file_password_protected")
        if any(content.find(name.encode("utf-16-le")) >= 0 for name in ("Workbook", "Book")):
            return "xls"
    raise SpreadsheetRejected("file_format_unknown")


def _sniff_text(head: bytes) -> Kind:
    if head.lstrip().startswith(b"%PDF"):
        raise SpreadsheetRejected("file_is_pdf")
    wide = head.startswith(_UTF16_BOMS)
    text = head.decode("utf-16" if wide else "latin-1", errors="replace")
    if text.lstrip("\ufeff\u00ef\u00bb\u00bf \t\r\n").lower().startswith(_MARKUP):
        raise SpreadsheetRejected("file_is_html")
    controls = sum(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in head)
    if not wide and (b"\0" in head or controls > len(head) * _MOST_CONTROLS):
        raise SpreadsheetRejected("file_format_unknown")
    return "csv"
