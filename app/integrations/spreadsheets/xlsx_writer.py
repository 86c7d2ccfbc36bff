"""Workbooks written row by row, as plain as can be: one font, and every cell a text.

An inline string is never a formula, whatever it begins with, so nothing in it can run when the file is opened; and the
columns have the format "text", so that Excel leaves a telephone that is typed into them as it is. Ten lines of XML do
here what openpyxl takes five times as long for (shared/excel.md §7).
"""

import re
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from html import escape
from types import TracebackType
from typing import IO, Self

from app.domain.tables import column_letters

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SPREADSHEET_ML = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

_TEXT, _BOLD = 1, 2
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)

# What XML 1.0 cannot carry; and texts that Excel would read as the escape of a character.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


class XlsxWriter:
    """A workbook of the sheets `names`, which are written one after the other: `begin_sheet`, then `add_rows`."""

    def __init__(self, file: IO[bytes], names: Sequence[str]) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self._open = ExitStack()
        self._sheet: IO[bytes] | None = None
        self._sheets = self._rows = 0
        for path, text in _frame(names).items():
            self._archive.writestr(path, _DECLARATION + text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._end_sheet()
        self._open.close()
        self._archive.close()

    def begin_sheet(self, header: Sequence[str], width: float = 22) -> None:
        """The next sheet; its `header` is bold, its columns are `width` characters wide."""
        self._end_sheet()
        self._sheets, self._rows = self._sheets + 1, 0
        self._sheet = self._open.enter_context(self._archive.open(f"xl/worksheets/sheet{self._sheets}.xml", "w"))
        columns = (
            f'<cols><col min="1" max="{max(len(header), 1)}" width="{width}" style="{_TEXT}" customWidth="1"/></cols>'
        )
        self._write(f'{_DECLARATION}<worksheet xmlns="{_MAIN}">{columns}<sheetData>')
        self._add(header, _BOLD)

    def add_rows(self, rows: Iterable[Sequence[str]]) -> None:
        for row in rows:
            self._add(row, _TEXT)

    def _add(self, texts: Sequence[str], style: int) -> None:
        self._rows += 1
        cells = "".join(
            f'<c r="{column_letters(index)}{self._rows}" s="{style}" t="inlineStr">'
            f'<is><t xml:space="preserve">{_xml(text)}</t></is></c>'
            for index, text in enumerate(texts)
            if text
        )
        self._write(f'<row r="{self._rows}">{cells}</row>')

    def _end_sheet(self) -> None:
        if self._sheet is not None:
            self._write("</sheetData></worksheet>")
            self._open.close()
            self._sheet = None

    def _write(self, text: str) -> None:
        assert self._sheet is not None  # noqa: S101 - begin_sheet comes first
        self._sheet.write(text.encode())


def _xml(text: str) -> str:
    return escape(_LOOKS_ESCAPED.sub("_x005F_", _NO_XML.sub("", text)), quote=True)


def _frame(names: Sequence[str]) -> dict[str, str]:
    """The parts that every workbook has, by their paths."""
    numbers = range(1, len(names) + 1)
    sheets = "".join(
        f'<sheet name="{_xml(name)}" sheetId="{number}" r:id="rId{number}"/>'
        for number, name in zip(numbers, names, strict=True)
    )
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{_SPREADSHEET_ML}.worksheet+xml"/>'
        for number in numbers
    )
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    return {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SPREADSHEET_ML}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_SPREADSHEET_ML}.styles+xml"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}'
        f'<Relationship Id="rId{len(names) + 1}" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": _STYLES,
    }
