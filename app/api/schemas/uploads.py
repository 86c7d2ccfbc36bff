"""The preview of a contact list."""

from typing import Annotated

from fastapi import Form
from pydantic import Field

from app.api.schemas.common import Reply, is_off
from app.domain.available_variables import FIRST_ROWS, MissingVariable
from app.domain.column_mapping import ColumnMapping
from app.domain.contact_import import RowIssues
from app.domain.contact_list import SHOWN_ROWS
from app.domain.contacts import Contact
from app.domain.messages import Language
from app.services.uploads import Preview

IncludeHiddenRows = Annotated[
    bool,
    Form(description="Also the rows that the sheet does not show (hidden, or filtered out); else they are left out."),
]
HiddenRows = Annotated[int, Field(description="Left out because the sheet does not show them.")]


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
    """About the columns, or the sheet as a whole."""

    code: str
    message: str


class DuplicateReply(Reply):
    row_index: int = Field(serialization_alias="rowIndex")
    first_row_index: int = Field(serialization_alias="firstRowIndex")
    phone: str


class ActiveReply(Reply):
    row_index: int = Field(serialization_alias="rowIndex")
    batch_id: str


class Column(Reply):
    header: str
    key: str
    meaning: str


class VariableGap(Reply):
    name: str
    rows: int = Field(description="How many valid rows have no value.")
    first_rows: list[int] = Field(description=f"The first {FIRST_ROWS} of them, as the spreadsheet numbers them.")


class MissingVariableReply(VariableGap):
    """A name of the script that not every contact has a value for."""

    code: str
    message: str
    suggestion: str | None = Field(default=None, exclude_if=is_off, description="The name that was probably meant.")


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
    hidden_rows: HiddenRows
    contacts_preview: list[ContactReply]
    column_mapping: dict[str, str]
    errors: list[RowIssue]
    warnings: list[RowWarning]
    warning_rows: int
    column_warnings: list[ColumnWarning]
    duplicates: list[DuplicateReply]
    duplicate_rows: int
    active_duplicates: list[ActiveReply] = Field(
        description="Rows whose person (national id or phone) an active batch of the account is to call anyway."
    )
    active_duplicate_rows: int
    active_checked_rows: int = Field(
        description="How many valid rows were compared with active batches; fewer than all of a list that is very long."
    )
    errors_url: str | None = Field(
        default=None, exclude_if=is_off, description="Where the rejected rows can be downloaded; absent if none."
    )
    available_variables: list[str] = Field(
        description="What a script may use, as it is written between `{{` and `}}`, whether or not every row has it."
    )
    variable_gaps: list[VariableGap] = Field(description="Those of them that some valid rows have no value for.")
    missing_variables: list[MissingVariableReply] | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="With `script_content`: what `POST /batches` would refuse it for with these contacts.",
    )
    preview: ListPreview


def preview_reply(found: Preview, filename: str, language: Language, script: str | None = None) -> PreviewReply:
    summary, variables = found.summary, found.summary.variables
    shown = [_contact(row.contact) for row in summary.contacts]
    return PreviewReply(
        success=summary.valid_rows > 0,
        upload_id=found.upload_id,
        filename=filename,
        sheet=summary.sheet,
        total_rows=summary.total_rows,
        valid_rows=summary.valid_rows,
        invalid_rows=summary.invalid_rows,
        hidden_rows=summary.hidden_rows,
        contacts_preview=shown,
        column_mapping=summary.mapping.targets(),
        errors=row_issues(summary.row_errors, language),
        warnings=row_warnings(summary.row_warnings, language),
        warning_rows=summary.warning_rows,
        column_warnings=column_warnings(summary.mapping, language),
        duplicates=[
            DuplicateReply(row_index=double.row_number, first_row_index=double.first_row_number, phone=double.phone)
            for double in summary.duplicates
        ],
        duplicate_rows=summary.duplicate_rows,
        active_duplicates=[ActiveReply(row_index=row.row_number, batch_id=row.batch_id) for row in found.active],
        active_duplicate_rows=found.active_rows,
        active_checked_rows=found.active_checked,
        errors_url=f"/api/v1/batches/excel/{found.upload_id}/errors.xlsx" if summary.invalid_rows else None,
        available_variables=variables.names(),
        variable_gaps=[
            VariableGap(name=name, rows=gap.rows, first_rows=gap.first_rows)
            for name, gap in variables.gaps.items()
            if gap.rows
        ],
        missing_variables=None if script is None else missing_variables(variables.missing(script), language),
        preview=ListPreview(
            total_rows=summary.total_rows,
            sample_rows=shown,
            detected_columns=_columns(summary.mapping),
            country_format=summary.country,
        ),
    )


def column_warnings(mapping: ColumnMapping, language: Language) -> list[ColumnWarning]:
    return [ColumnWarning(code=warning.code, message=warning.render(language)) for warning in mapping.warnings]


def missing_variables(missing: list[MissingVariable], language: Language) -> list[MissingVariableReply]:
    return [
        MissingVariableReply(
            name=variable.name,
            rows=variable.rows,
            first_rows=variable.first_rows,
            code=variable.message.code,
            message=variable.message.render(language),
            suggestion=variable.suggestion,
        )
        for variable in missing
    ]


def row_issues(rows: list[RowIssues], language: Language) -> list[RowIssue]:
    """The first SHOWN_ROWS of `rows`."""
    return [RowIssue(row_index=row.row_number, errors=_issues(row, language)) for row in rows[:SHOWN_ROWS]]


def row_warnings(rows: list[RowIssues], language: Language) -> list[RowWarning]:
    return [RowWarning(row_index=row.row_number, warnings=_issues(row, language)) for row in rows]


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
