"""Workbooks (xlsx, xls, ods), read by calamine: ten times as fast as openpyxl, and it reads what openpyxl cannot.

A hostile file makes it allocate without bound and abort the process: call this only in the child.
"""

import re
from collections.abc import Collection, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from app.domain.column_choice import holds_columns
from app.domain.column_mapping import HEADER_SEARCH_ROWS, find_header, map_columns
from app.domain.errors import SpreadsheetRejected
from app.domain.tables import Row, filled_rows

# Error values that are younger than calamine: it gives up the whole sheet for one.
_UNKNOWN_ERROR_VALUE = re.compile(r"cell error value '(#[^']{1,40})'")


class SheetRows(NamedTuple):
    """A sheet and its rows that are not blank."""

    name: str
    rows: Iterator[Row]


def read_sheet(path: Path, columns: Collection[str] = ()) -> SheetRows:
    """The first visible worksheet whose header has one of `columns`, or of telephones if none are named; else the
    first with anything in it.

    `path` must end in the format's own suffix: calamine believes it. Raises CalamineError and its kind.
    """
    workbook = CalamineWorkbook.from_path(path)
    names = _visible_worksheets(workbook)
    if not names:
        raise SpreadsheetRejected("no_visible_sheet")
    fallback: SheetRows | None = None
    for name in names:
        rows = _rows(_sheet(workbook, name))
        head = list(islice(rows, HEADER_SEARCH_ROWS))
        sheet = SheetRows(name, chain(head, rows))
        if holds_columns(head, columns) if columns else _has_phone_column(head):
            return sheet
        if head and fallback is None:
            fallback = sheet
    if fallback is None:
        raise SpreadsheetRejected("sheet_empty")
    return fallback


def _sheet(workbook: CalamineWorkbook, name: str) -> CalamineSheet:
    try:
        return workbook.get_sheet_by_name(name)
    except CalamineError as error:
        unknown = _UNKNOWN_ERROR_VALUE.search(str(error))
        if unknown is None:
            raise
        raise SpreadsheetRejected("sheet_error_value", sheet=name, value=unknown.group(1)) from error


def _visible_worksheets(workbook: CalamineWorkbook) -> list[str]:
    return [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
    ]


def _has_phone_column(head: list[Row]) -> bool:
    position = find_header(head)
    if position is None:
        return False
    header, below = head[position], head[position + 1 :]

    def samples(index: int) -> Iterator[str]:
        return (text for row in below if len(row.cells) > index and (text := row.cells[index]))

    return bool(map_columns(header.cells, header.number, samples).phones)


def _rows(sheet: CalamineSheet) -> Iterator[Row]:
    """Calamine leaves out the columns before the first used one, but not the rows above it."""
    return iter(()) if sheet.start is None else filled_rows(sheet.iter_rows(), blank_columns=sheet.start[1])
