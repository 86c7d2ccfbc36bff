"""Workbooks written row by row with openpyxl in its write-only mode: memory does not grow with the rows.

openpyxl takes a text that begins with "=" for a formula, one such as "#N/A" for an error, and refuses control
characters. So every cell is told what it is: a text is stored as one, and nothing in it can run when the file is
opened.
"""

import re
from collections.abc import Generator, Sequence
from datetime import datetime
from types import TracebackType
from typing import IO, Self, cast

from openpyxl import Workbook
from openpyxl.cell.cell import Cell
from openpyxl.styles import Font
from openpyxl.worksheet.dimensions import ColumnDimension
from openpyxl.worksheet.worksheet import Worksheet

from app.domain.tables_written import WrittenCell, WrittenRow

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS = 1_048_576
"""Of a sheet, its header included."""
_MOST_CHARS = 32_767
"""Of a cell; openpyxl would cut a longer text without a word."""
_WIDTH = 22

_TEXT, _TIME, _NUMBER = "@", "yyyy-mm-dd hh:mm:ss", "General"

# What XML 1.0 cannot carry; and texts that Excel would read as the escape of a character.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


class WorkbookWriter:
    """A workbook of sheets, one after the other: `begin_sheet`, then `add_rows`. It is in `file` after a good end.

    A sheet that is full goes on as another one, under the same header. Columns have the format "text", so that Excel
    leaves a telephone that is typed into them as it is.
    """

    def __init__(self, file: IO[bytes], *, most_rows: int = MOST_ROWS) -> None:
        self._file = file
        self._most_rows = most_rows
        self._book = Workbook(write_only=True)
        self._sheet: _Sheet | None = None
        self._name, self._header = "", list[str]()
        self._part = self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._book.save(self._file)

    def begin_sheet(self, name: str, header: WrittenRow) -> None:
        """The next sheet; its `header` is bold and stays in sight."""
        self._name, self._header, self._part = name, [str(text) for text in header], 0
        self._begin_part()

    def add_rows(self, rows: Sequence[WrittenRow]) -> None:
        for row in rows:
            if self._rows == self._most_rows:
                self._begin_part()
            assert self._sheet is not None  # noqa: S101 - begin_sheet comes first
            self._sheet.add(row)
            self._rows += 1

    def _begin_part(self) -> None:
        self._part += 1
        name = self._name if self._part == 1 else f"{self._name} {self._part}"
        self._sheet, self._rows = _Sheet(self._book, name, self._header), 1


class _Sheet:
    def __init__(self, book: Workbook, name: str, header: list[str]) -> None:
        # A WriteOnlyWorksheet, which borrows from Worksheet whatever is used here; its own type does not say so.
        sheet = cast("Worksheet", book.create_sheet(name))
        sheet.freeze_panes = "A2"
        columns = ColumnDimension(sheet, index="A", min=1, max=max(len(header), 1), width=_WIDTH)
        columns.number_format = _TEXT
        sheet.column_dimensions["A"] = columns
        self._sheet = sheet
        self._text, self._time, self._number = _Cell(sheet, _TEXT), _Cell(sheet, _TIME), _Cell(sheet, _NUMBER)
        sheet.append([_Cell(sheet, _TEXT, Font(bold=True)).holding(text) if text else None for text in header])

    def add(self, row: WrittenRow) -> None:
        self._sheet.append(self._cells(row))  # type: ignore[arg-type] # a generator it is; the stub names its class

    def _cells(self, row: WrittenRow) -> Generator[Cell | None, None, None]:
        """Each is written before the next is asked for."""
        for value in row:
            if value is None or value == "":
                yield None
            elif isinstance(value, str):
                yield self._text.holding(value)
            else:
                yield (self._time if isinstance(value, datetime) else self._number).holding(value)


class _Cell(Cell):
    """A cell of one format that is written again and again, each time with another value in it.

    With one for each value openpyxl takes half as long again: it looks up the style of each, and describes each for the
    text of an error that it catches itself.
    """

    has_style = True

    def __init__(self, sheet: Worksheet, number_format: str, font: Font | None = None) -> None:
        super().__init__(sheet, row=1, column=1)
        self.number_format = number_format
        if font is not None:
            self.font = font
        self._known_style = super().style_id

    @property
    def style_id(self) -> int:
        return self._known_style

    def __repr__(self) -> str:
        return "a cell"

    def holding(self, value: WrittenCell) -> Self:
        if isinstance(value, str):
            self._value = _text(value)
            self.data_type = "s"  # whatever openpyxl would conclude
        else:
            self.value = value
        return self


def _text(text: str) -> str:
    text = _LOOKS_ESCAPED.sub("_x005F_", _NO_XML.sub("", text))
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"
