"""Rows that a sheet does not show, because somebody hid them or a filter does. Calamine does not tell; the XML does.

In an .xls the mark is in a binary record that nobody here reads: its hidden rows are rows like others.
"""

import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from app.integrations.spreadsheets.sniffing import Kind, part_name

_CHUNK_BYTES = 64 * 1024
_LAST_ROW = 1_048_576

_ROW = re.compile(rb"<(?:\w+:)?row\s[^<>]*>")
_HIDDEN = re.compile(rb"""\shidden\s*=\s*["'](?:1|true)["']""")
_NUMBER = re.compile(rb"""\sr\s*=\s*["'](\d{1,7})["']""")

_ODS_TAG = re.compile(rb"<table:table(-row)?(\s[^<>]*)?>")
_ODS_NAME = re.compile(rb"""\stable:name\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ODS_REPEATED = re.compile(rb"""\stable:number-rows-repeated\s*=\s*["'](\d{1,7})["']""")
_ODS_HIDDEN = re.compile(rb"""\stable:visibility\s*=\s*["'](?:collapse|filter)["']""")


def hidden_rows(path: Path, kind: Kind, sheet: str) -> frozenset[int]:
    """The numbers (1-based) of the rows of `sheet` that are not shown; some of them may be blank.

    None of a workbook whose parts are not where everybody's are: to calamine, which finds them, it is a list.
    """
    if kind not in ("xlsx", "ods"):
        return frozenset()
    with zipfile.ZipFile(path) as archive:
        try:
            return frozenset(_in_ods(archive, sheet) if kind == "ods" else _in_xlsx(archive, sheet))
        except (KeyError, ElementTree.ParseError):
            return frozenset()


def _in_xlsx(archive: zipfile.ZipFile, sheet: str) -> Iterator[int]:
    """Looking for a word in all of it takes a tenth of what reading its rows does, and mostly that is all."""
    with archive.open(_part_of(archive, sheet)) as part:
        for text in _whole_tags(part):
            for row in _ROW.findall(text) if b"hidden" in text else ():
                if _HIDDEN.search(row) and (number := _NUMBER.search(row)):
                    yield int(number[1])


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


def _in_ods(archive: zipfile.ZipFile, sheet: str) -> Iterator[int]:
    with archive.open("content.xml") as part:
        if not any(b"table:visibility" in text for text in _whole_tags(part)):
            return
    current, row = "", 0
    with archive.open("content.xml") as part:
        for tag in (tag for text in _whole_tags(part) for tag in _ODS_TAG.finditer(text)):
            is_row, attributes = tag[1], tag[2] or b""
            if not is_row:
                name = _ODS_NAME.search(attributes)
                current, row = unescape((name[1] or name[2] or b"").decode()) if name else "", 0
            elif current == sheet and row < _LAST_ROW:
                repeated = _ODS_REPEATED.search(attributes)
                first, row = row + 1, min(row + (int(repeated[1]) if repeated else 1), _LAST_ROW)
                if _ODS_HIDDEN.search(attributes):
                    yield from range(first, row + 1)


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
