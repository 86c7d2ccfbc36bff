"""A table as a contact list: which row is the header, what its columns hold, and what makes it no list at all."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from app.domain.column_choice import apply_choices, find_chosen_header
from app.domain.column_mapping import ColumnMapping, find_header, looks_like_phone, map_columns
from app.domain.errors import SpreadsheetRejected
from app.domain.messages import Message
from app.domain.tables import (
    MAX_HEADER_CHARS,
    MAX_ROWS,
    Row,
    Table,
    column_letters,
    one_line,
    shown,
)

_SAMPLE_VALUES = 200


def understand(table: Table, choices: Mapping[str, str]) -> tuple[ColumnMapping, Sequence[Row]]:
    """The columns' meaning, corrected by what the client chose, and the rows below the header.

    Raises InvalidInput for choices that do not fit, and SpreadsheetRejected as `import_contacts` says.
    """
    position = find_chosen_header(table.rows, choices) if choices else find_header(table.rows)
    if position is None:
        raise _no_header(table.rows)
    header, data = table.rows[position], table.rows[position + 1 :]
    if len(data) > MAX_ROWS:
        raise SpreadsheetRejected("too_many_rows", limit=MAX_ROWS)
    guessed = map_columns(_headers(header, data), header.number, lambda index: _samples(data, index))
    mapping = apply_choices(guessed, choices)
    if not mapping.phones:
        raise _no_phone_column(column.header for column in mapping.columns)
    if not data:
        raise SpreadsheetRejected("no_rows")
    return _with_hidden_columns(_with_empty_columns(mapping, data), data, table.hidden_columns), data


def shown_rows(table: Table, mapping: ColumnMapping, data: Sequence[Row]) -> tuple[ColumnMapping, Sequence[Row]]:
    """Without the rows that the sheet does not show: whoever filters a list means to call those who are left. The
    mapping's warnings tell of them.

    Raises SpreadsheetRejected if none is shown.
    """
    hidden = [row.number for row in data if row.number in table.hidden]
    if not hidden:
        return mapping, data
    if len(hidden) == len(data):
        raise SpreadsheetRejected("only_hidden_rows", rows=len(hidden))
    warned = _warned(mapping, Message(code="hidden_rows", params={"rows": len(hidden), "first_row": hidden[0]}))
    return warned, [row for row in data if row.number not in table.hidden]


def _no_header(rows: Sequence[Row]) -> SpreadsheetRejected:
    if not rows:
        return SpreadsheetRejected("file_empty")
    first = next((row for row in rows if len(row.cells) > 1), rows[0])
    texts = [text for text in first.cells if text]
    if any(looks_like_phone(text) for text in texts):
        return SpreadsheetRejected("no_header", row=first.number)
    return _no_phone_column(texts)


def _no_phone_column(headers: Iterable[str]) -> SpreadsheetRejected:
    return SpreadsheetRejected("no_phone_column", headers=", ".join(shown(header) for header in headers))


def _headers(header: Row, data: Sequence[Row]) -> list[str]:
    """One text a column; "Columna 5" if only values are there, "" for a column without either."""
    texts = [one_line(text) for text in header.cells]
    for index, text in enumerate(texts):
        if len(text) > MAX_HEADER_CHARS:
            raise SpreadsheetRejected("header_too_long", column=column_letters(index), limit=MAX_HEADER_CHARS)
    width = max((len(row.cells) for row in data), default=0)
    texts += [""] * (width - len(texts))
    return [text or _stand_in(data, index) for index, text in enumerate(texts)]


def _stand_in(data: Sequence[Row], index: int) -> str:
    return "" if _is_empty(data, index) else f"Columna {index + 1}"


def _is_empty(data: Sequence[Row], index: int) -> bool:
    return all(len(row.cells) <= index or not row.cells[index] for row in data)


def _samples(data: Sequence[Row], index: int) -> Iterator[str]:
    texts = (row.cells[index] for row in data if len(row.cells) > index)
    return islice(filter(None, texts), _SAMPLE_VALUES)


def _with_empty_columns(mapping: ColumnMapping, data: Sequence[Row]) -> ColumnMapping:
    """Tell of columns without a value. Calamine reads a formula that was never calculated as blank."""
    empty = [column for column in mapping.columns if _is_empty(data, column.index)]
    if all(phone in empty for phone in mapping.phones):
        raise SpreadsheetRejected("phone_column_empty", headers=", ".join(c.header for c in mapping.phones))
    told = [
        Message(code="column_empty", params={"header": column.header}) for column in empty if column.target != "ignore"
    ]
    return _warned(mapping, *told)


def _with_hidden_columns(mapping: ColumnMapping, data: Sequence[Row], hidden: Collection[int]) -> ColumnMapping:
    """Tell of columns that the sheet does not show: they are used, for whoever hides one has mostly only no use for it
    on the screen, but nobody saw what is in it."""
    used = [column for column in mapping.columns if column.index in hidden and column.target != "ignore"]
    named = [
        f"{column_letters(column.index)} («{shown(column.header)}»)"
        for column in used
        if not _is_empty(data, column.index)
    ]
    return _warned(mapping, Message(code="hidden_columns", params={"columns": ", ".join(named)})) if named else mapping


def _warned(mapping: ColumnMapping, *warnings: Message) -> ColumnMapping:
    return mapping.model_copy(update={"warnings": (*mapping.warnings, *warnings)})
