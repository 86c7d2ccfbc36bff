"""Files that a request carries, put where the readers can open them."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import UploadFile

from app.domain.errors import SpreadsheetRejected


@asynccontextmanager
async def received(file: UploadFile, megabytes: int) -> AsyncIterator[Path]:
    """The received file under a name of its own, as long as it is needed. Raises SpreadsheetRejected if too large."""
    with tempfile.TemporaryDirectory(prefix="cadencia-received-") as folder:
        path = Path(folder) / "file"
        await asyncio.to_thread(_store, file, path)
        if path.stat().st_size > megabytes * 1024**2:
            raise SpreadsheetRejected("file_too_large", limit_mb=megabytes)
        yield path


async def digest_of(path: Path, more: str) -> str:
    """SHA-256 of the file and of `more`, whatever else makes two requests the same."""
    return await asyncio.to_thread(_digest, path, more)


def _digest(path: Path, more: str) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(more.encode())
    return digest.hexdigest()


def _store(file: UploadFile, path: Path) -> None:
    """What the framework holds has no name."""
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target, 1024**2)
