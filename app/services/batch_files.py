"""A batch from a file in one request: read it, leave out who is called anyway, create the batch from the rest."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from app.domain.batches import Batch
from app.domain.contact_import import RowIssues
from app.domain.contact_list import SHOWN_ROWS, ListOrder, ListSummary
from app.domain.errors import FieldError, InvalidInput
from app.domain.imports import LeftOutRow
from app.domain.ports import Imports
from app.services.batch_creation import BatchCreation, NewBatch
from app.services.uploads import UploadService


class ContactFile(NamedTuple):
    """What was sent, and how it is to be read."""

    path: Path
    name: str
    order: ListOrder


class FileBatch(NamedTuple):
    """`summary.skipped_rows` counts duplicates of every kind; of those in active batches, `active` names the first."""

    batch: Batch
    summary: ListSummary
    active: list[LeftOutRow]

    @property
    def warnings(self) -> list[RowIssues]:
        return _warnings(self.summary, self.active)


class BatchFiles:
    def __init__(self, uploads: UploadService, creation: BatchCreation, imports: Imports) -> None:
        self._uploads = uploads
        self._imports = imports
        self._creation = creation

    async def create(self, new: NewBatch, file: ContactFile, *, user: str) -> FileBatch:
        """The batch of everybody in the file who can be called, and is not yet to be; or nothing.

        With an `idempotency_key` that was used before, the batch of that time is answered. Raises NotFound (account),
        SpreadsheetRejected, InvalidInput (every wrong field; every row, if none is left), Conflict (the key belongs to
        another request).
        """
        before = await self._creation.created_before(new)
        if before is not None:
            return await self._as_before(before, new, file)
        found = await self._uploads.preview(new.account_id, file.path, file.name, file.order)
        if found.summary.valid_rows:
            batch = await self._creation.create(replace(new, upload_id=found.upload_id), user=user)
            return FileBatch(batch, found.summary, found.active)
        # The same request may have been here meanwhile, so that everybody is in its batch.
        before = await self._creation.created_before(new)
        if before is not None:
            return await self._as_before(before, new, file)
        raise InvalidInput(_nobody_left(found.summary, found.active))

    async def _as_before(self, batch: Batch, new: NewBatch, file: ContactFile) -> FileBatch:
        """The file says what it said; who was left out for being in an active batch, the batch's first import."""
        summary = await self._uploads.read_again(new.account_id, file.path, file.name, file.order)
        # The batch was read first: its import is in it until the copy is saved.
        current = batch.current_import
        is_first = current is not None and current.first_number == 1
        work = current if is_first else await self._imports.first(batch.batch_id)
        planned = batch.total_jobs if work is None else work.total
        left_out = max(summary.valid_rows - planned, 0)
        kept, skipped = summary.valid_rows - left_out, summary.skipped_rows + left_out
        active = [
            LeftOutRow(row, left.batch_id, left.import_id)
            for left in (work.left_out if work is not None else ())
            for row in left.first_rows
        ]
        return FileBatch(batch, replace(summary, valid_rows=kept, skipped_rows=skipped), active)


def _warnings(summary: ListSummary, active: list[LeftOutRow]) -> list[RowIssues]:
    """Of the first rows, in their order: what is odd, and why they are left out."""
    by_row = {row.row_number: list(row.issues) for row in summary.row_warnings}
    for row_number, batch_id, _ in active:
        error = FieldError.of(("contact",), "person_in_active_batch", batch_id=batch_id)
        by_row[row_number] = [error, *by_row.get(row_number, [])]
    return [RowIssues(row_number, issues) for row_number, issues in sorted(by_row.items())][:SHOWN_ROWS]


def _nobody_left(summary: ListSummary, active: list[LeftOutRow]) -> list[FieldError]:
    """Say of each row why."""
    errors = [FieldError.of(("file",), "no_callable_contact")]
    for row in sorted([*summary.row_errors, *_warnings(summary, active)], key=lambda row: row.row_number):
        errors += [FieldError(loc=("file", row.row_number, *issue.loc), message=issue.message) for issue in row.issues]
    return errors
