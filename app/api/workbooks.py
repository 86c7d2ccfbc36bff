"""Answers that are .xlsx files, written to a temporary file first: a problem is still a problem, not half a file."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import IO, Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from app.integrations.spreadsheets.xlsx_writer import MEDIA_TYPE, XlsxWriter

_IN_MEMORY = 1024**2
_BLOCK = 64 * 1024

RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The workbook.", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}
}


async def workbook(filename: str, sheet: str, chunks: AsyncIterator[Sequence[Sequence[str]]]) -> Response:
    """The rows as one sheet; the first of them is its header. `filename` is plain ASCII."""
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it was sent
    try:
        with XlsxWriter(file, [sheet]) as book:
            header, *rows = await anext(chunks)
            book.begin_sheet(header)
            book.add_rows(rows)
            async for chunk in chunks:
                await asyncio.to_thread(book.add_rows, chunk)
    except BaseException:
        file.close()
        raise
    return attachment(filename, file)


def attachment(filename: str, file: IO[bytes]) -> Response:
    """`file` as a download; it is closed when it was sent."""
    file.seek(0)
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingResponse(_blocks(file), media_type=MEDIA_TYPE, headers=headers)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
