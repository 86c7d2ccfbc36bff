"""/batches/{batch_id}: contacts that are added to a batch that exists, and taken back."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response, UploadFile

from app.api.deps import ContainerDep, IdempotencyKey, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.received_files import digest_of, received
from app.api.schemas.imports import BatchImportReply, UploadedReply, batch_import_reply, uploaded_reply
from app.api.schemas.uploads import IncludeHiddenRows
from app.domain.column_choice import LONGEST_CHOICE, parse_choices
from app.domain.contact_list import ListOrder, ListSummary
from app.domain.errors import FieldError, InvalidInput
from app.services.imports import NewContacts

router = APIRouter(prefix="/batches/{batch_id}", tags=["batches"])


@router.post(
    "/upload",
    status_code=HTTPStatus.CREATED,
    summary="Add contacts to a batch",
    responses=problems(400, 404, 409, 413),
)
async def upload_contacts(
    batch_id: str,
    file: UploadFile,
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    response: Response,
    allow_duplicates: Annotated[
        bool,
        Form(
            description=(
                "Add persons (by national id or phone) also if they are in the batch already, or twice in the list; "
                "else they are skipped."
            )
        ),
    ] = False,
    allow_missing_variables: Annotated[
        bool, Form(description="Also contacts that have no value for a variable of the script.")
    ] = False,
    column_mapping: Annotated[
        str | None, Form(max_length=LONGEST_CHOICE, description="As in `POST /batches/excel/preview`.")
    ] = None,
    include_hidden_rows: IncludeHiddenRows = False,
    idempotency_key: IdempotencyKey = None,
) -> UploadedReply:
    """From a list as in `POST /batches/excel/preview`, also while the batch runs: then they are called as they come in.

    A draft starts with its first contacts, a completed batch goes on, a paused one stays paused, and of a recurring one
    the later runs have them. A long list is written after the answer (`status: importing`), which `GET
    /batches/{batch_id}/status` shows under `import`.
    """
    choices = parse_choices(column_mapping) if column_mapping else {}
    filename = (file.filename or "")[:200]
    async with received(file, container.settings.max_upload_megabytes) as path:
        hidden = " hidden" * include_hidden_rows  # nothing, for the digests that are older than it
        wishes = f"{allow_duplicates} {allow_missing_variables} {sorted(choices.items())}{hidden}"
        digest = await digest_of(path, wishes) if idempotency_key else ""
        # What would be refused anyway need not be read first.
        await container.imports.added_before(batch_id, idempotency_key, digest)
        batch = await container.batches.get(batch_id)
        order = ListOrder(choices=choices, include_hidden_rows=include_hidden_rows)
        found = await container.uploads.preview(batch.account_id, path, filename, order)
    _refuse_empty(found.summary)
    new = NewContacts(
        upload_id=found.upload_id,
        allow_duplicates=allow_duplicates,
        allow_missing_variables=allow_missing_variables,
        idempotency_key=idempotency_key,
        request_digest=digest,
    )
    work = await container.imports.add(batch_id, new, user=principal.name)
    response.headers["Location"] = f"/api/v1/batches/{batch_id}/imports/{work.import_id}"
    return uploaded_reply(work, found.summary, language)


@router.get("/imports", summary="What was imported into a batch", responses=problems(404))
async def list_imports(
    batch_id: str, container: ContainerDep, language: LanguageDep, page: PageDep, request: Request, response: Response
) -> list[BatchImportReply]:
    """Newest first; the batch's first contacts are an import too. Runs of a recurring batch have none of their own."""
    found, total = await container.imports.page(batch_id, limit=page.limit, skip=page.skip)
    announce(request, response, page, total)
    skipped_by = await container.imports.skipped_by(found)
    return [batch_import_reply(work, skipped_by[work.import_id], language) for work in found]


@router.get("/imports/{import_id}", summary="Read an import", responses=problems(404))
async def get_import(batch_id: str, import_id: str, container: ContainerDep, language: LanguageDep) -> BatchImportReply:
    work = await container.imports.get(batch_id, import_id)
    skipped_by = await container.imports.skipped_by([work])
    return batch_import_reply(work, skipped_by[import_id], language)


@router.delete("/imports/{import_id}", summary="Undo an import", responses=problems(404, 409))
async def undo_import(
    batch_id: str, import_id: str, container: ContainerDep, language: LanguageDep, principal: PrincipalDep
) -> BatchImportReply:
    """Takes its contacts out of the batch: those that nobody was called for are removed; the others stay, and are not
    called again. Nobody of it is called from now on, also if the removing goes on after the answer (`status: undoing`).

    A batch without any contact left is a draft again. Whom another list skipped as being in this one is not added by
    itself: `skipped_by`, and the log of that list's batch, say which rows these are. Repeating it is harmless.
    """
    work = await container.imports.undo(batch_id, import_id, user=principal.name)
    skipped_by = await container.imports.skipped_by([work])
    return batch_import_reply(work, skipped_by[import_id], language)


def _refuse_empty(summary: ListSummary) -> None:
    """Nothing to add: say of each row why."""
    if summary.valid_rows:
        return
    errors = [FieldError.of(("file",), "no_callable_contact")]
    for row in summary.row_errors:
        errors += [FieldError(loc=("file", row.row_number, *issue.loc), message=issue.message) for issue in row.issues]
    raise InvalidInput(errors)
