"""Rows and columns that a sheet does not show, because somebody hid them or a filter does. Calamine does not tell; the
XML does, and in an .xls the records of its rows and columns.
"""

import re
import struct
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import IO, Literal, NamedTuple
from xml.etree import ElementTree

from app.domain.tables import MAX_COLUMNS
from app.integrations.spreadsheets.sniffing import Kind, part_name
from app.integrations.spreadsheets.xls_records import records_of

_CHUNK_BYTES = 64 * 1024
_LAST_ROW = 1_048_576

_ROW = re.compile(rb"<(?:\w+:)?row\s[^<>]*>")
_COLUMNS = re.compile(rb"<(?:\w+:)?col\s[^<>]*>")
_FIRST = re.compile(rb"""\smin\s*=\s*["'](\d{1,7})["']""")
_LAST = re.compile(rb"""\smax\s*=\s*["'](\d{1,7})["']""")
_HIDDEN = re.compile(rb"""\shidden\s*=\s*["'](?:1|true)["']""")
_NUMBER = re.compile(rb"""\sr\s*=\s*["'](\d{1,7})["']""")

Run = tuple[Literal["row", "column"], int, int]
"""The first and the last of some that are hidden, counted from 1."""

_ODS_TAG = re.compile(rb"<table:table(-row|-column)?(\s[^<>]*)?/?>")
_ODS_NAME = re.compile(rb"""\stable:name\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ODS_REPEATED = re.compile(rb"""\stable:number-(?:rows|columns)-repeated\s*=\s*["'](\d{1,7})["']""")
_ODS_HIDDEN = re.compile(rb"""\stable:visibility\s*=\s*["'](?:collapse|filter)["']""")


# Of an .xls: what it is, where its mark is, and which bit that is.
_XLS_ROW, _XLS_COLUMNS = 0x0208, 0x007D
_XLS_ROW_HIDDEN, _XLS_COLUMNS_HIDDEN = (12, 0x20), (8, 0x01)


class Hidden(NamedTuple):
    """Rows by their numbers (1-based), some of them perhaps blank, and columns by their indexes (A is 0)."""

    rows: frozenset[int] = frozenset()
    columns: frozenset[int] = frozenset()


def hidden_in(path: Path, kind: Kind, sheet: str) -> Hidden:
    """What is not shown of `sheet`.

    Nothing of a workbook whose parts are not where everybody's are: to calamine, which finds them, it is a list.
    """
    rows, columns = set[int](), set[int]()
    try:
        for of, first, last in _runs(path, kind, sheet):
            if of == "row":
                rows.update(range(first, last + 1))
            else:
                columns.update(range(first, min(last, MAX_COLUMNS) + 1))
    except (KeyError, ElementTree.ParseError):
        return Hidden()
    except (ValueError, IndexError, struct.error):
        if kind == "xls":
            return Hidden()
        raise
    return Hidden(frozenset(rows), frozenset(number - 1 for number in columns))


def _runs(path: Path, kind: Kind, sheet: str) -> Iterator[Run]:
    if kind == "xls":
        yield from _in_xls(path, sheet)
    elif kind in ("xlsx", "ods"):
        with zipfile.ZipFile(path) as archive:
            yield from _in_ods(archive, sheet) if kind == "ods" else _in_xlsx(archive, sheet)


def _in_xls(path: Path, sheet: str) -> Iterator[Run]:
    for kind, data in records_of(path, sheet):
        if kind == _XLS_ROW and _is_marked(data, *_XLS_ROW_HIDDEN):
            (number,) = struct.unpack_from("<H", data)
            yield "row", number + 1, number + 1
        elif kind == _XLS_COLUMNS and _is_marked(data, *_XLS_COLUMNS_HIDDEN):
            first, last = struct.unpack_from("<HH", data)
            yield "column", first + 1, last + 1


def _is_marked(data: bytes, at: int, bit: int) -> bool:
    return len(data) > at and bool(data[at] & bit)


def _in_xlsx(archive: zipfile.ZipFile, sheet: str) -> Iterator[Run]:
    """Looking for a word in all of it takes a tenth of what reading its rows does, and mostly that is all."""
    with archive.open(_part_of(archive, sheet)) as part:
        for text in _whole_tags(part):
            if b"hidden" not in text:
                continue
            for row in _ROW.findall(text):
                if _HIDDEN.search(row) and (number := _NUMBER.search(row)):
                    yield "row", int(number[1]), int(number[1])
            for column in _COLUMNS.findall(text):
                if _HIDDEN.search(column) and (first := _FIRST.search(column)) and (last := _LAST.search(column)):
                    yield "column", int(first[1]), int(last[1])


def _part_of(archive: zipfile.ZipFile, sheet: str) -> zipfile.ZipInfo:
    """Raises KeyError."""
    parts = {part_name(entry.filename): entry for entry in archive.infolist()}
    sheets = _attributes(archive, parts["xl/workbook.xml"], "sheet")
    relations = _attributes(archive, parts["xl/_rels/workbook.xml.rels"], "Relationship")
    ids = [value for found in sheets if found.get("name") == sheet for key, value in found.items() if key[-3:] == "}id"]
    target = next((relation["Target"] for relation in relations if relation["Id"] in ids), "")
    return parts[part_name(target if target.startswith("/") else f"xl/{target}")]


def _attributes(archive: zipfile.ZipFile, part: zipfile.ZipInfo, name: str) -> list[dict[str, str]]:
    root = ElementTree.fromstring(archive.read(part))  # noqa: S314 - in the child, and calamine has read it before
    return [element.attrib for element in root.iter() if element.tag.rpartition("}")[2] == name]


def _in_ods(archive: zipfile.ZipFile, sheet: str) -> Iterator[Run]:
    with archive.open("content.xml") as part:
        if not any(b"table:visibility" in text for text in _whole_tags(part)):
            return
    current = ""
    passed: dict[Literal["row", "column"], int] = {}
    with archive.open("content.xml") as part:
        for tag in (tag for text in _whole_tags(part) for tag in _ODS_TAG.finditer(text)):
            what, attributes = tag[1], tag[2] or b""
            if not what:
                name = _ODS_NAME.search(attributes)
                current, passed = unescape((name[1] or name[2] or b"").decode()) if name else "", {}
                continue
            of: Literal["row", "column"] = "row" if what == b"-row" else "column"
            before = passed.get(of, 0)
            if current == sheet and before < _LAST_ROW:
                repeated = _ODS_REPEATED.search(attributes)
                passed[of] = min(before + (int(repeated[1]) if repeated else 1), _LAST_ROW)
                if _ODS_HIDDEN.search(attributes):
                    yield of, before + 1, passed[of]


def _whole_tags(part: IO[bytes]) -> Iterator[bytes]:
    """The text in pieces that end between two tags.

    What is longer than a piece is no tag but a comment, or a bomb: joined together it would take quadratic time.
    """
    rest = b""
    while chunk := part.read(_CHUNK_BYTES):
        whole, begin, rest = (rest + chunk).rpartition(b"<")
        yield whole
        rest = begin + rest if len(rest) < _CHUNK_BYTES else b""
    yield rest
