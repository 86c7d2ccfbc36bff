"""Contacts added to a batch that exists."""

from collections.abc import Sequence

from pydantic import Field

from app.api.schemas.common import Instant, Reason, Reply, reason_of
from app.api.schemas.uploads import (
    ColumnWarning,
    HiddenRows,
    RowIssue,
    RowWarning,
    column_warnings,
    row_issues,
    row_warnings,
)
from app.domain.contact_list import ListSummary
from app.domain.imports import LEFT_OUT_ROWS, Import, ImportStatus
from app.domain.messages import Language


class SkippedForReply(Reply):
    """Rows of a list that were skipped because their persons had come into a batch with another import."""

    batch_id: str
    import_id: str | None
    rows: int
    first_rows: list[int] = Field(
        description=f"As the spreadsheet numbers them; the first {LEFT_OUT_ROWS} of all that were skipped."
    )


class SkippedByReply(Reply):
    """Another list that skipped rows because their persons had come with this import."""

    batch_id: str
    import_id: str
    filename: str
    status: ImportStatus
    rows: int
    first_rows: list[int]


class BatchImportReply(Reply):
    """An import of contacts into a batch."""

    id_: str = Field(serialization_alias="_id")
    import_id: str
    batch_id: str
    status: ImportStatus
    filename: str = Field(description="Empty for contacts that came in a request.")
    user: str
    contacts_planned: int = Field(description="Callable contacts of the list.")
    contacts_added: int = Field(description="So far, while it is `importing`.")
    duplicates_skipped: int
    skipped_for: list[SkippedForReply] = Field(
        description="Which imports rows of this list were skipped for; not those that were twice in the list itself."
    )
    skipped_by: list[SkippedByReply] = Field(
        description=(
            "Lists that skipped rows for this one. If it is undone, their persons are in neither: upload those lists "
            "to their batches again, with another `Idempotency-Key`; only who is not there is added."
        )
    )
    percent: float = Field(description="How far it is; while it is `undoing`, how far that is.")
    jobs_removed: int | None = Field(description="Of one that was undone, contacts that nobody had called.")
    jobs_kept: int | None = Field(
        description="Of one that was undone, contacts that were called: they stay, and are not called again."
    )
    reason: Reason | None = Field(description="Why it failed.")
    undone_by: str | None
    started_at: Instant
    finished_at: Instant | None


class UploadedReply(BatchImportReply):
    """What became of the list. If `status` is `importing`, its contacts are still being written."""

    success: bool
    total_rows: int
    valid_rows: int
    invalid_rows: int
    hidden_rows: HiddenRows
    errors: list[RowIssue]
    warnings: list[RowWarning]
    column_warnings: list[ColumnWarning]
    errors_url: str | None = Field(description="Where the rejected rows can be downloaded; null if there are none.")


def batch_import_reply(work: Import, skipped_by: Sequence[Import], language: Language) -> BatchImportReply:
    return BatchImportReply.model_validate(_fields(work, skipped_by, language))


def uploaded_reply(work: Import, summary: ListSummary, language: Language) -> UploadedReply:
    errors_url = f"/api/v1/batches/excel/{work.upload_id}/errors.xlsx" if summary.invalid_rows else None
    return UploadedReply.model_validate(
        {
            **_fields(work, (), language),
            "success": work.status is not ImportStatus.FAILED,
            "total_rows": summary.total_rows,
            "valid_rows": summary.valid_rows,
            "invalid_rows": summary.invalid_rows,
            "hidden_rows": summary.hidden_rows,
            "errors": row_issues(summary.row_errors, language),
            "warnings": row_warnings(summary.row_warnings, language),
            "column_warnings": column_warnings(summary.mapping, language),
            "errors_url": errors_url,
        }
    )


def _fields(work: Import, skipped_by: Sequence[Import], language: Language) -> dict[str, object]:
    return {
        "id_": work.import_id,
        "import_id": work.import_id,
        "batch_id": work.batch_id,
        "status": work.status,
        "filename": work.filename,
        "user": work.user,
        "contacts_planned": work.total,
        "contacts_added": work.written,
        "duplicates_skipped": work.skipped,
        "skipped_for": [left.model_dump() for left in work.left_out],
        "skipped_by": [
            {
                "batch_id": later.batch_id,
                "import_id": later.import_id,
                "filename": later.filename,
                "status": later.status,
                "rows": left.rows,
                "first_rows": left.first_rows,
            }
            for later in skipped_by
            for left in later.left_out
            if left.import_id == work.import_id
        ],
        "percent": work.percent,
        "jobs_removed": work.removed,
        "jobs_kept": None if work.removed is None else work.kept,
        "reason": reason_of(work.reason, language),
        "undone_by": work.undone_by,
        "started_at": work.started_at,
        "finished_at": work.finished_at,
    }
