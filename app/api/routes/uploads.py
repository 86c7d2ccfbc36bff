"""/batches/excel: contact lists as files."""

from typing import Annotated

from fastapi import APIRouter, Form, UploadFile

from app.api.deps import ContainerDep, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.received_files import received
from app.api.schemas.uploads import PreviewReply, preview_reply

router = APIRouter(prefix="/batches/excel", tags=["batches"])


@router.post("/preview", summary="Read a contact list without calling anybody", responses=problems(400, 404, 413))
async def preview_contacts(
    file: UploadFile,
    account_id: Annotated[str, Form(min_length=1, max_length=200)],
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
) -> PreviewReply:
    """What was understood of an .xlsx, .xls, .ods or .csv, what is wrong with it by row, and an `upload_id`."""
    principal.require_account(account_id)
    await container.accounts.get(account_id)
    filename = (file.filename or "")[:200]
    async with received(file, container.settings.max_upload_megabytes) as path:
        upload_id, found = await container.uploads.preview(account_id, path, filename)
    return preview_reply(upload_id, filename, found, language)
