"""A file's rows, whatever its format, within the limits. This is what the child runs."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from app.domain.column_mapping import HEADER_SEARCH_ROWS
from app.domain.errors import SpreadsheetRejected
from app.domain.tables import MAX_CELL_CHARS, MAX_COLUMNS, MAX_ROWS, Cell, Row, Table, column_letters, is_blank
from app.integrations.spreadsheets import calamine_reader, csv_reader
from app.integrations.spreadsheets.sniffing import check_declared_sizes, sniff


class OpenTable(NamedTuple):
    """A table whose rows are still to be read; `sheet` is None in a CSV."""

    sheet: str | None
    rows: Iterator[Row]


def open_table(path: Path, columns: Collection[str] = ()) -> OpenTable:
    """Open a file by what its bytes say. It is renamed: calamine needs the right suffix. The sheet that holds
    `columns`, if they are named, goes before others.

    Raises SpreadsheetRejected for what can be told before reading; reading raises it too.
    """
    kind = sniff(path)
    if kind == "csv":
        return OpenTable(None, _within_limits(csv_reader.read_rows(path)))
    if kind != "xls":
        check_declared_sizes(path)
    sheet = calamine_reader.read_sheet(path.rename(path.with_suffix(f".{kind}")), columns)
    return OpenTable(sheet.name, _within_limits(sheet.rows))


def read_table(path: Path, columns: Collection[str] = ()) -> Table:
    """The whole table at once, in this process: for the child, and for files that are trusted."""
    table = open_table(path, columns)
    return Table(table.sheet, list(table.rows))


def _within_limits(rows: Iterator[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows):
        if count >= MAX_ROWS + HEADER_SEARCH_ROWS:
            raise SpreadsheetRejected("too_many_rows", limit=MAX_ROWS)
        cells = _trimmed(row.cells)
        if len(cells) > MAX_COLUMNS:
            cell = f"{column_letters(len(cells) - 1)}{row.number}"
            raise SpreadsheetRejected("too_many_columns", cell=cell, limit=MAX_COLUMNS)
        yield Row(row.number, cells)


def _trimmed(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Without the blank end. A text over the limit keeps one character too many: enough to be refused by."""
    end = len(cells)
    while end and is_blank(cells[end - 1]):
        end -= 1
    return tuple(
        cell[: MAX_CELL_CHARS + 1] if isinstance(cell, str) and len(cell) > MAX_CELL_CHARS else cell
        for cell in cells[:end]
    )
