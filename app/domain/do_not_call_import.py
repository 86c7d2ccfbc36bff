"""A registry of numbers not to call, as a spreadsheet: read by the rules of contact lists."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import BaseModel

from app.domain.column_mapping import looks_like_phone
from app.domain.contact_import import RowIssues, read_rows
from app.domain.contact_list import SHOWN_ROWS
from app.domain.contact_sheet import understand
from app.domain.errors import FieldError
from app.domain.tables import Row, Table

_HEADER = "telefono"


class NumberRow(NamedTuple):
    """The numbers of a row (E.164), and what in it is no number."""

    row_number: int
    phones: list[str]
    issues: list[FieldError]


class NumberSummary(BaseModel):
    """`numbers` different ones were found; of the rows with something that is none, SHOWN_ROWS are spelled out."""

    total_rows: int = 0
    numbers: int = 0
    invalid_rows: int = 0
    invalid: list[RowIssues] = []

    def count(self, row: NumberRow) -> None:
        """Take one more row into account."""
        self.total_rows += 1
        if row.issues:
            self.invalid_rows += 1
            if self.invalid_rows <= SHOWN_ROWS:
                self.invalid.append(RowIssues(row.row_number, row.issues))


class NumberListReader(Protocol):
    async def read_numbers(
        self, content: bytes | Path, filename: str, country: str | None, take: Callable[[list[str]], Awaitable[None]]
    ) -> NumberSummary:
        """Give every number of a file (E.164, each once) to `take`, in pieces; `filename` is only for the log.

        Raises SpreadsheetRejected, for a file that holds no list before any number was given.
        """
        ...


def read_numbers(table: Table, *, country: str | None) -> Iterator[NumberRow]:
    """Every number of every telephone column of `table`; if it has one column only, that one, whatever heads it.

    Raises SpreadsheetRejected as `import_contacts` does.
    """
    mapping, data = understand(_with_header(table), {})
    for read in read_rows(mapping, data, country):
        # A number that cannot be read beside a good one only warns in a contact list. Here it is one that might ring.
        issues = _no_numbers(read.warnings) if read.fields else read.errors
        yield NumberRow(read.row.number, read.fields["phones"] if read.fields else [], issues)


def _no_numbers(issues: list[FieldError]) -> list[FieldError]:
    """The issues that tell of an unreadable number; those of a readable one say as what it was read."""
    return [issue for issue in issues if issue.message.code.startswith("phone_") and "e164" not in issue.message.params]


def _with_header(table: Table) -> Table:
    """A lone column needs no header that is understood, or none at all."""
    if any(sum(map(bool, row.cells)) > 1 for row in table.rows):
        return table
    values = [Row(row.number, (cell,)) for row in table.rows for cell in row.cells if cell]
    if values and not looks_like_phone(values[0].cells[0]):
        values = values[1:]
    return Table(table.sheet, [Row(0, (_HEADER,)), *values])
