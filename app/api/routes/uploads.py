"""/batches/excel: contact lists as files."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Response, UploadFile

from app.api.deps import ContainerDep, LanguageDep, PrincipalDep
from app.api.downloads import WORKBOOK, Download, file_reply
from app.api.openapi import problems
from app.api.received_files import received
from app.api.schemas.uploads import PreviewReply, preview_reply
from app.domain.column_choice import LONGEST_CHOICE, parse_choices
from app.domain.contact_files import TEMPLATE_EXAMPLES, TEMPLATE_HEADER, TEMPLATE_SHEETS
from app.domain.tables_written import WrittenSheet, in_one_chunk
from app.domain.variables import LONGEST_SCRIPT

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
) -> PreviewReply:
    """What was understood of an .xlsx, .xls, .ods or .csv, what is wrong with it by row, and an `upload_id`.

    Good rows are kept although others are bad; the bad ones are to be had as a file.
    """
    principal.require_account(account_id)
    choices = parse_choices(column_mapping) if column_mapping else {}
    await container.accounts.get(account_id)
    filename = (file.filename or "")[:200]
    async with received(file, container.settings.max_upload_megabytes) as path:
        found = await container.uploads.preview(account_id, path, filename, choices)
    return preview_reply(found, filename, language, script_content)


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
