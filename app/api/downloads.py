"""Answers that are files."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.domain.errors import CadenciaError

log = structlog.get_logger("api")

WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
STALLED_SECONDS = 60
"""Whoever takes no block for so long has gone, though the connection stands."""


def file_reply(media_type: str) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of a route that answers a file."""
    return {200: {"description": "The file.", "content": {media_type: {"schema": {"type": "string"}}}}}


def download_headers(filename: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{filename}"'}


class Download(StreamingResponse):
    """`blocks` as a file called `filename` (plain ASCII).

    Headers go out with the first block: what goes wrong before it is a problem like any other; what goes wrong later
    breaks the connection, for half a file must not look whole. A client that goes away ends `blocks` at once.
    """

    def __init__(self, filename: str, media_type: str, blocks: AsyncGenerator[bytes, None]) -> None:
        super().__init__(blocks, headers=download_headers(filename), media_type=media_type)
        self._blocks = blocks
        self._filename = filename

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        tasks = [asyncio.create_task(self.stream_response(send))]
        tasks.append(asyncio.create_task(self.listen_for_disconnect(receive)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(kind: str, **fields: Any) -> None:
            async with asyncio.timeout(STALLED_SECONDS):
                await send({"type": f"http.response.{kind}", **fields})

        async with aclosing(self._blocks) as blocks:
            first = await anext(blocks, b"")
            try:
                await send_in_time("start", status=self.status_code, headers=self.raw_headers)
                await send_in_time("body", body=first, more_body=True)
                async for block in blocks:
                    await send_in_time("body", body=block, more_body=True)
                await send_in_time("body", body=b"", more_body=False)
            except (CadenciaError, TimeoutError) as error:
                # The server breaks the connection of an answer that has no end.
                log.warning("download_broken_off", filename=self._filename, error=repr(error))
