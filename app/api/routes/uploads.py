"""/batches/excel: contact lists as files."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Response, UploadFile

from app.api.deps import ContainerDep, IdempotencyKey, LanguageDep, PrincipalDep
from app.api.downloads import WORKBOOK, Download, file_reply
from app.api.openapi import problems
from app.api.received_files import digest_of, received
from app.api.schemas.batch_files import CreateFromFile, FileBatchReply, file_batch_reply
from app.api.schemas.uploads import IncludeHiddenRows, PreviewReply, preview_reply
from app.domain.column_choice import LONGEST_CHOICE, parse_choices
from app.domain.contact_files import TEMPLATE_EXAMPLES, TEMPLATE_HEADER, TEMPLATE_SHEETS
from app.domain.contact_list import ListOrder
from app.domain.tables_written import WrittenSheet, in_one_chunk
from app.domain.variables import LONGEST_SCRIPT
from app.services.batch_files import ContactFile

router = APIRouter(prefix="/batches/excel", tags=["batches"])


@router.post("/preview", summary="Read a contact list without calling anybody", responses=problems(400, 404, 413))
async def preview_contacts(
    file: UploadFile,
    account_id: Annotated[str, Form(min_length=1, max_length=200)],
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    column_mapping: Annotated[
        str | None,
        Form(
            max_length=LONGEST_CHOICE,
            description=(
                "A JSON object that corrects what the columns were taken for, by header or by the key that the preview "
                'showed: `{"contacto": "phone_1", "rut": "dni", "nota": "ignore"}`. Columns left out keep their '
                "meaning. Also `name`, `first_name`, `last_name`, `email`, `timezone`, `country`, `area_code` and "
                "`custom`."
            ),
        ),
    ] = None,
    script_content: Annotated[
        str | None,
        Form(max_length=LONGEST_SCRIPT, description="The names that it uses are looked for in the columns."),
    ] = None,
    include_hidden_rows: IncludeHiddenRows = False,
) -> PreviewReply:
    """What was understood of an .xlsx, .xls, .ods or .csv, what is wrong with it by row, and an `upload_id`.

    Good rows are kept although others are bad; the bad ones are to be had as a file.
    """
    principal.require_account(account_id)
    choices = parse_choices(column_mapping) if column_mapping else {}
    await container.accounts.get(account_id)
    filename = (file.filename or "")[:200]
    async with received(file, container.settings.max_upload_megabytes) as path:
        order = ListOrder(choices=choices, include_hidden_rows=include_hidden_rows)
        found = await container.uploads.preview(account_id, path, filename, order)
    return preview_reply(found, filename, language, script_content)


@router.post(
    "/create",
    status_code=HTTPStatus.CREATED,
    summary="Create a batch from a contact list",
    responses={
        HTTPStatus.CREATED: {"headers": {"Location": {"$ref": "#/components/headers/Location"}}},
        **problems(400, 404, 409, 413),
    },
)
async def create_batch_from_file(
    file: UploadFile,
    form: Annotated[CreateFromFile, Depends()],
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> FileBatchReply:
    """`POST /batches/excel/preview` and `POST /batches` in one: with everybody in the list who can be called.

    Rows that cannot be called are told and left out. If none is left, or a variable of the script has no value in some
    row, nothing is created (422, with the rows). It starts at once; a long list is written after the answer.
    """
    principal.require_account(form.account_id)
    choices = parse_choices(form.column_mapping) if form.column_mapping else {}
    account = await container.accounts.get(form.account_id)
    filename = (file.filename or "")[:200]
    body = form.to_create_batch(account, filename)
    new = body.to_new_batch(idempotency_key)
    async with received(file, container.settings.max_upload_megabytes) as path:
        new = replace(
            new,
            request_digest=await digest_of(path, new.request_digest + form.besides) if idempotency_key else "",
            extra_fields=form.extra_fields(body.call_settings, container.clock.now()),
        )
        order = ListOrder(
            choices=choices,
            skip_duplicates=not form.allow_duplicates,
            include_hidden_rows=form.include_hidden_rows,
        )
        found = await container.batch_files.create(new, ContactFile(path, filename, order), user=principal.name)
    response.headers["Location"] = f"/api/v1/batches/{found.batch.batch_id}"
    return file_batch_reply(found, language)


@router.get(
    "/template.xlsx",
    summary="A workbook to fill in",
    response_class=Response,
    responses={**file_reply(WORKBOOK), **problems(429)},
)
async def download_template(container: ContainerDep) -> Response:
    """An empty sheet under the usual headers, its columns formatted as text, and examples on a second sheet."""
    tables: list[list[Sequence[str]]] = [[TEMPLATE_HEADER], [TEMPLATE_HEADER, *TEMPLATE_EXAMPLES]]
    sheets = [WrittenSheet(name, in_one_chunk(rows)) for name, rows in zip(TEMPLATE_SHEETS, tables, strict=True)]
    return Download("plantilla-contactos.xlsx", WORKBOOK, container.workbooks.blocks(sheets))


@router.get(
    "/{upload_id}/errors.xlsx",
    summary="The rows of a previewed list that are not called, and why",
    response_class=Response,
    responses={**file_reply(WORKBOOK), **problems(404, 429)},
)
async def download_errors(upload_id: str, container: ContainerDep, language: LanguageDep) -> Response:
    """The rejected rows as they were, every cell a text, with the number and the reasons of each: to be mended and
    uploaded again. Kept as long as the upload."""
    upload = await container.uploads.get(upload_id)
    errors = WrittenSheet("Errores", container.uploads.rejected_rows(upload, language))
    return Download("errores.xlsx", WORKBOOK, container.workbooks.blocks([errors]))
