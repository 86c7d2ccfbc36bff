"""A spreadsheet's cells, free of file formats; and the limits of files.

A limit exceeded is an error that names the limit: a list silently cut short would look complete.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

MAX_UPLOAD_BYTES = 50 * 1024 * 1024
MAX_ROWS = 500_000
MAX_COLUMNS = 256
MAX_CELL_CHARS = 2_000
MAX_HEADER_CHARS = 100

Cell = str | int | float | bool | date | datetime | time | timedelta | None

_SHOWN_CHARS = 40

# Beyond 15 significant digits a spreadsheet number is rounding noise, and Excel shows none of it.
_SIGNIFICANT_DIGITS = 15

# Controls (a database text may refuse NUL), zero-width and bidirectional marks; line breaks and tabs stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
)
_ODD_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


class Row(NamedTuple):
    """A row that is not blank: its number in the spreadsheet (1-based) and its cells from column A on, as `cell_text`
    has them."""

    number: int
    cells: Sequence[str]


class Table(NamedTuple):
    """One sheet. `sheet` is its name, None in a CSV; blank rows are left out. `hidden` are the numbers of those that
    it does not show, `hidden_columns` the indexes of such columns."""

    sheet: str | None
    rows: list[Row]
    hidden: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()


def cell_text(value: Cell) -> str:
    """What a person sees in the cell, trimmed; line breaks inside are kept.

    A number is never `str(float)`: "912345678.0" would be taken for a telephone number of ten digits.
    """
    if isinstance(value, str):
        return clean_text(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "sí" if value else "no"
    if isinstance(value, int | float):
        return _number_text(value)
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, timedelta):
        return _duration_text(value)
    return value.isoformat()


def clean_text(text: str) -> str:
    """The text without what nobody sees: controls, bidirectional marks, outer blanks."""
    if not text.isprintable():
        text = _ODD_SPACES.sub(" ", _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    return text.strip()


def one_line(text: str) -> str:
    """The text without line breaks and tabs."""
    return " ".join(text.split()) if "\n" in text or "\t" in text else text


def shown(text: str) -> str:
    """A value short enough for a message."""
    text = one_line(text)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def filled_rows(rows: Iterable[Sequence[Cell]], blank_columns: int = 0) -> Iterator[Row]:
    """The rows that are not blank, numbered from 1, without the blank cells at their end.

    `blank_columns` are missing on the left of each.
    """
    before = [""] * blank_columns
    for number, cells in enumerate(rows, start=1):
        # A call less for nearly all cells, of which a list has millions.
        texts = [cell.strip() if type(cell) is str and cell.isprintable() else cell_text(cell) for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        if texts:
            yield Row(number, before + texts)


def column_letters(index: int) -> str:
    """The spreadsheet's name of a column counted from 0: A, B, ... Z, AA."""
    letters = ""
    index += 1
    while index:
        index, remainder = divmod(index - 1, 26)
        letters = chr(ord("A") + remainder) + letters
    return letters


def _number_text(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if not isfinite(value):
        return ""
    if value.is_integer():
        return str(int(value))
    return format(Decimal(format(value, f".{_SIGNIFICANT_DIGITS}g")), "f")


def _duration_text(value: timedelta) -> str:
    sign, total = ("-", -value) if value < timedelta() else ("", value)
    minutes, seconds = divmod(int(total.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02}:{seconds:02}"
