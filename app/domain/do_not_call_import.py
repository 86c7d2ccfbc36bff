"""A registry of numbers not to call, as a spreadsheet: read by the rules of contact lists."""

from dataclasses import dataclass

from app.domain.column_mapping import looks_like_phone
from app.domain.contact_import import RowIssues, import_contacts
from app.domain.errors import FieldError
from app.domain.tables import Row, Table, cell_text, is_blank

_HEADER = "telefono"


@dataclass(frozen=True, slots=True)
class NumberList:
    """`phones` are E.164, each once; `invalid` names what is no number, by row."""

    phones: list[str]
    invalid: list[RowIssues]
    total_rows: int


def numbers_of(table: Table, *, country: str | None) -> NumberList:
    """Every number of every telephone column of `table`; if it has one column only, that one, whatever heads it.

    Raises SpreadsheetRejected as `import_contacts` does.
    """
    found = import_contacts(_with_header(table), country=country)
    phones = dict.fromkeys(phone for row in found.contacts for phone in row.contact.phones)
    # A number that cannot be read beside a good one only warns in a contact list. Here it is one that might ring.
    beside = [RowIssues(row.row_number, _no_numbers(row)) for row in found.row_warnings]
    invalid = [*found.row_errors, *(row for row in beside if row.issues)]
    return NumberList(list(phones), sorted(invalid, key=lambda row: row.row_number), found.total_rows)


def _no_numbers(row: RowIssues) -> list[FieldError]:
    """The issues that tell of an unreadable number; those of a readable one say as what it was read."""
    return [
        issue for issue in row.issues if issue.message.code.startswith("phone_") and "e164" not in issue.message.params
    ]


def _with_header(table: Table) -> Table:
    """A lone column needs no header that is understood, or none at all."""
    if any(sum(not is_blank(cell) for cell in row.cells) > 1 for row in table.rows):
        return table
    values = [Row(row.number, (cell,)) for row in table.rows for cell in row.cells if not is_blank(cell)]
    if values and not looks_like_phone(cell_text(values[0].cells[0])):
        values = values[1:]
    return Table(table.sheet, [Row(0, (_HEADER,)), *values])
