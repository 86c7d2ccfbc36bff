"""/batches/excel: contact lists as files."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, UploadFile

from app.api.deps import ContainerDep, LanguageDep
from app.api.openapi import problems
from app.api.schemas.uploads import PreviewReply, preview_reply
from app.domain.errors import SpreadsheetRejected

router = APIRouter(prefix="/batches/excel", tags=["batches"])


@router.post("/preview", summary="Read a contact list without calling anybody", responses=problems(400, 404, 413))
async def preview_contacts(
    file: UploadFile,
    account_id: Annotated[str, Form(min_length=1, max_length=200)],
    container: ContainerDep,
    language: LanguageDep,
) -> PreviewReply:
    """What was understood of an .xlsx, .xls, .ods or .csv, what is wrong with it by row, and an `upload_id`."""
    await container.accounts.get(account_id)
    filename = (file.filename or "")[:200]
    with tempfile.TemporaryDirectory(prefix="cadencia-received-") as folder:
        path = Path(folder) / "file"
        await asyncio.to_thread(_store, file, path)
        megabytes = container.settings.max_upload_megabytes
        if path.stat().st_size > megabytes * 1024**2:
            raise SpreadsheetRejected("file_too_large", limit_mb=megabytes)
        upload_id, found = await container.uploads.preview(account_id, path, filename)
    return preview_reply(upload_id, filename, found, language)


def _store(file: UploadFile, path: Path) -> None:
    """The received file under a name; what the framework holds has none."""
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target, 1024**2)
