"""A worker's `GET /metrics` and `GET /health/live`, on a port of its own: the least HTTP that a scraper needs.

The worker's event loop serves it, so an answer is a sign of life too. One request a connection.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from app.domain.scraping import may_scrape

SECONDS_A_REQUEST = 5.0
TEXT = "text/plain; charset=utf-8"
_NO_REQUEST = (asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class MetricsServer:
    def __init__(
        self, token: str, content_type: str, render: Callable[[], bytes], stalled: Callable[[], list[str]]
    ) -> None:
        """`token`: see domain.scraping; `stalled` names what hangs."""
        self._token = token
        self._content_type = content_type
        self._render = render
        self._stalled = stalled

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve until the block ends; the port. Raises OSError if it cannot be had."""
        server = await asyncio.start_server(self._answer, host, port, limit=8 * 1024)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError, *_NO_REQUEST):
            async with asyncio.timeout(SECONDS_A_REQUEST):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                status, content_type, body = self._reply(head, writer.get_extra_info("peername")[0])
                lines = [
                    f"HTTP/1.1 {status.value} {status.phrase}",
                    f"Content-Type: {content_type}",
                    f"Content-Length: {len(body)}",
                    "Connection: close",
                ]
                writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
                await writer.drain()
        writer.close()

    def _reply(self, head: str, client: str) -> tuple[HTTPStatus, str, bytes]:
        request, *lines = head.splitlines()
        method, target, _ = request.split(" ", 2)
        fields = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        match method, target.partition("?")[0]:
            case "GET", "/health/live":
                stalled = self._stalled()
                status = HTTPStatus.SERVICE_UNAVAILABLE if stalled else HTTPStatus.OK
                return status, TEXT, " ".join(stalled or ["ok"]).encode()
            case "GET", "/metrics" if may_scrape(self._token, client, headers):
                return HTTPStatus.OK, self._content_type, self._render()
            case "GET", "/metrics":
                return HTTPStatus.UNAUTHORIZED, TEXT, b"see METRICS_TOKEN\n"
            case _:
                return HTTPStatus.NOT_FOUND, TEXT, b"GET /metrics, GET /health/live\n"
