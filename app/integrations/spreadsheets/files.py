"""SpreadsheetFiles: reads an upload in a process apart, and turns whatever happens there into a clear refusal."""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter

from app.domain.contact_list import ContactPiece, ListOrder, ListSummary, ListTaker
from app.domain.do_not_call_import import NumberSummary
from app.domain.errors import FieldError, InvalidInput, SpreadsheetRejected
from app.domain.tables import MAX_UPLOAD_BYTES

T = TypeVar("T")

_Message = tuple[dict[str, Any], str]
"""What the child says, and the rows to be passed on."""

_SUMMARY = TypeAdapter(ListSummary)

_log = structlog.get_logger(__name__)

_PROJECT = Path(__file__).resolve().parents[3]
_WALL_SECONDS = 90.0

# Each may take 1.5 GiB and a core.
_AT_ONCE = 2

# What the child says is decoded on the event loop, one line between two turns: a few milliseconds.
_CHUNK_BYTES = 256 * 1024

# The reader's own limits keep below this; it is there so that a broken child cannot fill this process.
_MOST_OUTPUT_BYTES = 1024**3


class SpreadsheetFiles:
    """A ContactListReader (app.domain.contact_list) and NumberListReader (app.domain.do_not_call_import) for files of
    unknown origin.

    One object a process: it limits how many are read at once, and the others wait their turn.
    """

    def __init__(self, *, wall_seconds: float = _WALL_SECONDS, at_once: int = _AT_ONCE) -> None:
        self._wall_seconds = wall_seconds
        self._turns = asyncio.Semaphore(at_once)

    async def read_list(self, content: bytes | Path, filename: str, order: ListOrder, taker: ListTaker) -> ListSummary:
        """See ContactListReader."""
        summary: ListSummary | None = None
        async with aclosing(self._messages("contacts", content, filename, order)) as messages:
            async for said, rows in messages:
                if "contacts" in said:
                    await taker.take_contacts(ContactPiece(said["contacts"], rows))
                elif "rejected" in said:
                    await taker.take_rejected(rows)
                elif "list" in said:
                    summary = _SUMMARY.validate_python(said["list"])
        assert summary is not None  # noqa: S101 - _messages ends well only after the last line
        return summary

    async def read_numbers(
        self, content: bytes | Path, filename: str, country: str | None, take: Callable[[list[str]], Awaitable[None]]
    ) -> NumberSummary:
        """See NumberListReader."""
        summary: NumberSummary | None = None
        async with aclosing(self._messages("numbers", content, filename, ListOrder(country=country))) as messages:
            async for said, _ in messages:
                if "numbers" in said:
                    await take(said["numbers"])
                elif "list" in said:
                    summary = NumberSummary.model_validate(said["list"])
        assert summary is not None  # noqa: S101 - as above
        return summary

    async def _messages(
        self, kind: str, content: bytes | Path, filename: str, order: ListOrder
    ) -> AsyncGenerator[_Message, None]:
        """What the child says; ends without an error only if it said its last line and ended well."""
        await asyncio.to_thread(_check_size, content)
        async with self._turns:
            with tempfile.TemporaryDirectory(prefix="cadencia-upload-") as folder:
                path = Path(folder) / "upload"
                await asyncio.to_thread(_place, content, path)
                reading = _Reading(await _start_child(kind, path, order), self._wall_seconds)
                async with aclosing(reading.messages()) as messages:
                    async for message in messages:
                        yield message
                if not reading.ended_well:
                    _log.warning("spreadsheet_reader_broke", exit_status=reading.status, filename=filename)
                    raise SpreadsheetRejected("file_too_complex_or_corrupt")


async def _start_child(kind: str, path: Path, order: ListOrder) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-B",  # it may write no file, so not even compiled modules
        "-m",
        "app.integrations.spreadsheets.child",
        kind,
        str(path),
        order.model_dump_json(),
        cwd=_PROJECT,
        env={"PYTHONUTF8": "1"},  # our secrets are none of its business
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_CHUNK_BYTES,
    )


class _Reading:
    """What one child says, until it ends or its time is up. The time that the listener takes does not count."""

    def __init__(self, child: asyncio.subprocess.Process, wall_seconds: float) -> None:
        self._child = child
        self._seconds_left = wall_seconds
        self._was_last = False
        self.status: int | None = None

    @property
    def ended_well(self) -> bool:
        return self._was_last and self.status == 0

    async def messages(self) -> AsyncGenerator[_Message, None]:
        """Raises what the child refuses the file with."""
        try:
            async with aclosing(self._lines()) as lines:
                async for line in lines:
                    head, _, rows = line.partition(b"\t")
                    said = json.loads(head)
                    _raise_refusal(said)
                    self._was_last = "list" in said
                    yield said, rows.decode()
            self.status = await self._within_time(self._child.wait())
        except TimeoutError:
            self._was_last = False
        finally:
            await _end(self._child)

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        assert self._child.stdout is not None  # noqa: S101 - asked for above
        unfinished: list[bytes] = []
        total = 0
        while chunk := await self._within_time(self._child.stdout.read(_CHUNK_BYTES)):
            total += len(chunk)
            if total > _MOST_OUTPUT_BYTES:
                self._child.kill()
                return
            first, *others = chunk.split(b"\n")
            unfinished.append(first)
            for other in others:
                yield b"".join(unfinished)
                unfinished = [other]

    async def _within_time(self, waiting: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        since = loop.time()
        async with asyncio.timeout(self._seconds_left):
            found = await waiting
        self._seconds_left -= loop.time() - since
        return found


def _raise_refusal(said: dict[str, Any]) -> None:
    if "rejected_file" in said:
        message = said["rejected_file"]
        raise SpreadsheetRejected(message["code"], **message["params"])
    if "invalid" in said:
        raise InvalidInput([FieldError.model_validate(error) for error in said["invalid"]])


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


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            child.kill()
        await child.wait()
