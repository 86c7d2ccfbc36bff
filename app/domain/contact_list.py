"""A contact list on its way from the process that reads it to the database: in pieces, so that nobody holds it whole.

The pieces are JSON: they cross a pipe and are stored as they are. Whoever uses a stored one validates it.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import BaseModel

from app.domain.available_variables import AvailableVariables
from app.domain.column_mapping import ColumnMapping
from app.domain.contact_import import Duplicate, ReadRow, RowIssues
from app.domain.contacts import ContactRow
from app.domain.errors import FieldError
from app.domain.tables import MAX_CELL_CHARS
from app.domain.variables import variables_of

SHOWN_CONTACTS = 20
SHOWN_ROWS = 200
"""Rows with errors, warnings or duplicates that are spelled out; the counts tell of the rest."""


class ListOrder(BaseModel):
    """How a list is to be read. `country` is where numbers without a country code are from, `choices` what the client
    says of the columns (column_choice)."""

    country: str | None = None
    choices: dict[str, str] = {}
    skip_duplicates: bool = False
    """Leave out whose national id or phone an earlier row has."""
    include_hidden_rows: bool = False
    """Take also the rows that the sheet does not show."""


@dataclass(slots=True, kw_only=True)
class ListSummary:
    """A whole list in short. `total_rows` = `valid_rows` + `invalid_rows` + `skipped_rows` + `hidden_rows`; blank rows
    are not counted.

    No pydantic model, for the reason that AvailableVariables is none.
    """

    sheet: str | None = None
    country: str | None = None
    mapping: ColumnMapping
    total_rows: int = 0
    valid_rows: int = 0
    invalid_rows: int = 0
    skipped_rows: int = 0
    """Callable, but left out as duplicates."""
    hidden_rows: int = 0
    """Left out, whatever is in them, because the sheet does not show them."""
    warning_rows: int = 0
    duplicate_rows: int = 0
    contacts: list[ContactRow] = field(default_factory=list)
    row_errors: list[RowIssues] = field(default_factory=list)
    row_warnings: list[RowIssues] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    variables: AvailableVariables = field(default_factory=AvailableVariables)
    time_zones: set[str] = field(default_factory=set)
    """Which of their own the contacts have."""

    def count(self, read: ReadRow, twin: int | None = None) -> None:
        """Take one more row into account; it is left out for `twin`, an earlier row, if there is one."""
        self.total_rows += 1
        warnings = read.warnings
        if twin is not None:
            self.skipped_rows += 1
            warnings = [FieldError.of(("contact",), "row_is_duplicate", first_row=twin), *warnings]
        elif fields := read.fields:
            self.valid_rows += 1
            self.variables.count(read.row.number, variables_of(fields))
            if zone := fields.get("timezone"):
                self.time_zones.add(zone)
            if self.valid_rows <= SHOWN_CONTACTS and (contact := read.contact()):
                self.contacts.append(contact)
        else:
            self.invalid_rows += 1
            if self.invalid_rows <= SHOWN_ROWS:
                self.row_errors.append(RowIssues(read.row.number, read.errors))
        if warnings:
            self.warning_rows += 1
            if self.warning_rows <= SHOWN_ROWS:
                self.row_warnings.append(RowIssues(read.row.number, warnings))
        if read.duplicate:
            self.duplicate_rows += 1
            if self.duplicate_rows <= SHOWN_ROWS:
                self.duplicates.append(read.duplicate)


class ContactPiece(NamedTuple):
    """Some callable rows of a list, in order."""

    persons: list[tuple[int, list[str]]]
    """Each row's number and what its person is known by (contacts.person_keys)."""
    rows: str
    """ContactRows as JSON, without the fields that are None: `[[4, {"name": "Ana", "phones": [...]}], ...]`."""

    def without(self, numbers: Collection[int]) -> "ContactPiece":
        """The piece without these rows."""
        persons = [person for person in self.persons if person[0] not in numbers]
        rows = [row for row in json.loads(self.rows) if row[0] not in numbers]
        return ContactPiece(persons, json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


class RejectedRow(BaseModel):
    """A row that is not called: its cells as they are shown, and why."""

    row_number: int
    cells: list[str]
    issues: list[FieldError]

    @classmethod
    def of(cls, read: ReadRow) -> "RejectedRow":
        cells = [text[: MAX_CELL_CHARS + 1] for text in read.row.cells]
        return cls(row_number=read.row.number, cells=cells, issues=read.errors)


class ListTaker(Protocol):
    """Who gets the pieces, in the order of the rows, each when the one before was taken."""

    async def take_contacts(self, piece: ContactPiece) -> None: ...
    async def take_rejected(self, rows: str) -> None:
        """RejectedRows as JSON."""


class ContactListReader(Protocol):
    async def read_list(self, content: bytes | Path, filename: str, order: ListOrder, taker: ListTaker) -> ListSummary:
        """Read an uploaded contact list of any supported format; `filename` is only for the log.

        Nothing is given to `taker` before the list was understood. Raises SpreadsheetRejected and, for `choices`
        that do not fit the file, InvalidInput.
        """
        ...
