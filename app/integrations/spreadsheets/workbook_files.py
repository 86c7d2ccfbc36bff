"""Workbooks for downloads: the rows go to a process apart as they come, and the finished file is read in blocks."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO

import structlog

from app.domain.errors import Unavailable
from app.domain.tables_written import WrittenSheet
from app.integrations.spreadsheets.turns import Turns
from app.integrations.spreadsheets.workbook_child import line_of

_log = structlog.get_logger(__name__)

_PROJECT = Path(__file__).resolve().parents[3]
_BLOCK_BYTES = 256 * 1024


class Workbooks:
    """A TableFile (app.domain.tables_written): .xlsx.

    One object a process and purpose: so many are written at once, each on a core of its own; more are refused after
    `patience_seconds`.
    """

    def __init__(self, *, at_once: int, patience_seconds: float = 10) -> None:
        self._turns = Turns(at_once, patience_seconds)

    async def blocks(self, sheets: Sequence[WrittenSheet]) -> AsyncGenerator[bytes, None]:
        """See TableFile. The first block comes when the whole workbook is written."""
        # It has no name: nothing is left of it, however this process ends.
        with tempfile.TemporaryFile(prefix="cadencia-workbook-") as file:
            async with self._turns.turn():
                await _write(file, sheets)
            await asyncio.to_thread(file.seek, 0)
            while block := await asyncio.to_thread(file.read, _BLOCK_BYTES):
                yield block


async def _write(file: IO[bytes], sheets: Sequence[WrittenSheet]) -> None:
    with tempfile.TemporaryDirectory(prefix="cadencia-workbook-") as folder:
        child = await _start_child(file, folder)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its exit status says more
                await _send(child, sheets)
            status = await child.wait()
        finally:
            await _end(child)
    if status != 0:
        _log.error("workbook_writer_broke", exit_status=status)
        raise Unavailable("file_not_written")


async def _start_child(file: IO[bytes], folder: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.integrations.spreadsheets.workbook_child",
        cwd=_PROJECT,
        # Our secrets are none of its business; openpyxl keeps the unpacked sheets in the folder.
        env={"PYTHONUTF8": "1", "TMPDIR": folder},
        stdin=asyncio.subprocess.PIPE,
        stdout=file,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _send(child: asyncio.subprocess.Process, sheets: Sequence[WrittenSheet]) -> None:
    """Never more on the way than the pipe holds: the rows are asked for as fast as they are written."""
    assert child.stdin is not None  # noqa: S101 - asked for above
    for sheet in sheets:
        async with aclosing(sheet.chunks) as chunks:
            header, *rows = await anext(chunks)
            child.stdin.write(line_of({"sheet": sheet.name, "header": header}) + line_of(rows))
            async for chunk in chunks:
                child.stdin.write(line_of(chunk))
                await child.stdin.drain()
    child.stdin.write(line_of({"end": True}))
    await child.stdin.drain()
    child.stdin.close()


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            child.kill()
        await child.wait()
    if child.stdin is not None:
        child.stdin.close()
