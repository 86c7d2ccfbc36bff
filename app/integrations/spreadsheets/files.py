"""SpreadsheetFiles: reads an upload in a process apart, and turns whatever happens there into a clear refusal."""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog

from app.domain.errors import SpreadsheetRejected
from app.domain.tables import MAX_UPLOAD_BYTES, Row, Table

_log = structlog.get_logger(__name__)

_PROJECT = Path(__file__).resolve().parents[3]
_WALL_SECONDS = 60.0

# Each may take 1 GiB and a core.
_AT_ONCE = 2

# Rows are decoded on the event loop, one chunk between two turns: a few milliseconds.
_CHUNK_BYTES = 256 * 1024

# The reader's own limits keep below this; it is there so that a broken child cannot fill this process.
_MOST_OUTPUT_BYTES = 1024**3


class SpreadsheetFiles:
    """A SpreadsheetReader (app.domain.tables) for files of unknown origin.

    One object a process: it limits how many are read at once, and the others wait their turn.
    """

    def __init__(self, *, wall_seconds: float = _WALL_SECONDS, at_once: int = _AT_ONCE) -> None:
        self._wall_seconds = wall_seconds
        self._turns = asyncio.Semaphore(at_once)

    async def read(self, content: bytes | Path, filename: str) -> Table:
        """The table of contacts in a file; `filename` goes to the log only.

        Raises SpreadsheetRejected with a code that says why.
        """
        await asyncio.to_thread(_check_size, content)
        async with self._turns:
            with tempfile.TemporaryDirectory(prefix="cadencia-upload-") as folder:
                path = Path(folder) / "upload"
                await asyncio.to_thread(_place, content, path)
                return await self._read_apart(path, filename)

    async def _read_apart(self, path: Path, filename: str) -> Table:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-B",  # it may write no file, so not even compiled modules
            "-m",
            "app.integrations.spreadsheets.child",
            str(path),
            cwd=_PROJECT,
            env={"PYTHONUTF8": "1"},  # our secrets are none of its business
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_CHUNK_BYTES,
        )
        try:
            async with asyncio.timeout(self._wall_seconds):
                table = await _collect(child)
                status = await child.wait()
        except TimeoutError:
            table, status = None, None
        finally:
            await _end(child)
        if table is None or status != 0:
            _log.warning("spreadsheet_reader_broke", exit_status=status, filename=filename, timed_out=status is None)
            raise SpreadsheetRejected("file_too_complex_or_corrupt")
        return table


def _check_size(content: bytes | Path) -> None:
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size == 0:
        raise SpreadsheetRejected("file_empty")
    if size > MAX_UPLOAD_BYTES:
        raise SpreadsheetRejected("file_too_large", limit_mb=MAX_UPLOAD_BYTES // 1024**2)


def _place(content: bytes | Path, path: Path) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.symlink_to(content.resolve())


async def _collect(child: asyncio.subprocess.Process) -> Table | None:
    """What the child sent; None if it stopped in the middle."""
    sheet: str | None = None
    rows: list[Row] = []
    async for value in _values(child):
        if isinstance(value, list):
            rows.append(Row(value[0], tuple(value[1])))
        elif "rejected" in value:
            raise SpreadsheetRejected(value["rejected"]["code"], **value["rejected"]["params"])
        elif "end" in value:
            return Table(sheet, rows)
        else:
            sheet = value["sheet"]
    return None


async def _values(child: asyncio.subprocess.Process) -> AsyncIterator[Any]:
    assert child.stdout is not None  # noqa: S101 - asked for above
    unfinished, total = b"", 0
    while chunk := await child.stdout.read(_CHUNK_BYTES):
        total += len(chunk)
        if total > _MOST_OUTPUT_BYTES:
            child.kill()
            return
        *lines, unfinished = (unfinished + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            child.kill()
        await child.wait()
