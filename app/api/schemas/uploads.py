"""The preview of a contact list."""

from itertools import islice

from pydantic import Field

from app.api.schemas.common import Reply, is_off
from app.domain.column_mapping import ColumnMapping
from app.domain.contact_import import ContactImport, RowIssues
from app.domain.contacts import Contact
from app.domain.messages import Language

SHOWN_CONTACTS = 20
SHOWN_ROWS = 200
"""Rows with errors or warnings that are spelled out; the counts tell of the rest."""


class ContactReply(Reply):
    name: str
    phones: list[str]
    email: str | None
    timezone: str | None = Field(default=None, exclude_if=is_off, description="Absent: the batch's.")
    custom_fields: dict[str, str]


class FieldIssue(Reply):
    field: str
    code: str
    message: str


class RowIssue(Reply):
    row_index: int = Field(serialization_alias="rowIndex", description="As the spreadsheet numbers it.")
    errors: list[FieldIssue]


class RowWarning(Reply):
    row_index: int = Field(serialization_alias="rowIndex")
    warnings: list[FieldIssue]


class ColumnWarning(Reply):
    code: str
    message: str


class DuplicateReply(Reply):
    row_index: int = Field(serialization_alias="rowIndex")
    first_row_index: int = Field(serialization_alias="firstRowIndex")
    phone: str


class Column(Reply):
    header: str
    key: str
    meaning: str


class ListPreview(Reply):
    total_rows: int
    sample_rows: list[ContactReply]
    detected_columns: list[Column]
    country_format: str | None = Field(description="Where numbers without a country code were taken to be from.")


class PreviewReply(Reply):
    success: bool
    upload_id: str = Field(description="For `POST /batches`, so that the file is sent once.")
    filename: str
    sheet: str | None
    total_rows: int
    valid_rows: int
    invalid_rows: int
    contacts_preview: list[ContactReply]
    column_mapping: dict[str, str]
    errors: list[RowIssue]
    warnings: list[RowWarning]
    warning_rows: int
    column_warnings: list[ColumnWarning]
    duplicates: list[DuplicateReply]
    duplicate_rows: int
    preview: ListPreview


def preview_reply(upload_id: str, filename: str, found: ContactImport, language: Language) -> PreviewReply:
    shown = [_contact(row.contact) for row in found.contacts[:SHOWN_CONTACTS]]
    return PreviewReply(
        success=bool(found.contacts),
        upload_id=upload_id,
        filename=filename,
        sheet=found.sheet,
        total_rows=found.total_rows,
        valid_rows=len(found.contacts),
        invalid_rows=len(found.row_errors),
        contacts_preview=shown,
        column_mapping=found.mapping.targets(),
        errors=row_issues(found.row_errors, language),
        warnings=[
            RowWarning(row_index=row.row_number, warnings=_issues(row, language)) for row in _first(found.row_warnings)
        ],
        warning_rows=len(found.row_warnings),
        column_warnings=[
            ColumnWarning(code=warning.code, message=warning.render(language)) for warning in found.mapping.warnings
        ],
        duplicates=[
            DuplicateReply(row_index=double.row_number, first_row_index=double.first_row_number, phone=double.phone)
            for double in islice(found.duplicates, SHOWN_ROWS)
        ],
        duplicate_rows=len(found.duplicates),
        preview=ListPreview(
            total_rows=found.total_rows,
            sample_rows=shown,
            detected_columns=_columns(found.mapping),
            country_format=found.country,
        ),
    )


def row_issues(rows: list[RowIssues], language: Language) -> list[RowIssue]:
    """The first SHOWN_ROWS of `rows`."""
    return [RowIssue(row_index=row.row_number, errors=_issues(row, language)) for row in _first(rows)]


def _first(rows: list[RowIssues]) -> list[RowIssues]:
    return rows[:SHOWN_ROWS]


def _contact(contact: Contact) -> ContactReply:
    return ContactReply(
        name=contact.name,
        phones=contact.phones,
        email=contact.email,
        timezone=contact.timezone,
        custom_fields=contact.custom_fields,
    )


def _issues(row: RowIssues, language: Language) -> list[FieldIssue]:
    return [
        FieldIssue(
            field=".".join(str(part) for part in issue.loc),
            code=issue.message.code,
            message=issue.message.render(language),
        )
        for issue in row.issues
    ]


def _columns(mapping: ColumnMapping) -> list[Column]:
    return [Column(header=column.header, key=column.key, meaning=column.target) for column in mapping.columns]
