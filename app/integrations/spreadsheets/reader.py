"""A file's rows, whatever its format, within the limits. This is what the child runs."""

from collections.abc import Collection, Iterator
from pathlib import Path

from app.domain.column_mapping import HEADER_SEARCH_ROWS
from app.domain.errors import SpreadsheetRejected
from app.domain.tables import MAX_COLUMNS, MAX_ROWS, Row, Table, column_letters
from app.integrations.spreadsheets import calamine_reader, csv_reader
from app.integrations.spreadsheets.hidden_rows import hidden_in
from app.integrations.spreadsheets.sniffing import check_parts, sniff


def read_table(path: Path, columns: Collection[str] = ()) -> Table:
    """The table in a file of any supported format, by what its bytes say: for the child and for trusted files.

    The file is renamed: calamine needs the right suffix. The sheet that holds `columns`, if they are named, goes before
    others. Raises SpreadsheetRejected.
    """
    kind = sniff(path)
    if kind == "csv":
        return Table(None, list(_within_limits(csv_reader.read_rows(path))))
    if kind != "xls":
        check_parts(path)
    path = path.rename(path.with_suffix(f".{kind}"))
    sheet = calamine_reader.read_sheet(path, columns)
    return Table(sheet.name, list(_within_limits(sheet.rows)), *hidden_in(path, kind, sheet.name))


def _within_limits(rows: Iterator[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows):
        if count >= MAX_ROWS + HEADER_SEARCH_ROWS:
            raise SpreadsheetRejected("too_many_rows", limit=MAX_ROWS)
        if len(row.cells) > MAX_COLUMNS:
            cell = f"{column_letters(len(row.cells) - 1)}{row.number}"
            raise SpreadsheetRejected("too_many_columns", cell=cell, limit=MAX_COLUMNS)
        yield row
