"""A server that does with each request what a test says, to the byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    """By names in small letters."""
    body: bytes


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def write(self, text: bytes) -> None:
        self._writer.write(text)

    async def close(self) -> None:
        """Once this returns, the other side can know it."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        """Without a farewell."""
        self._writer.transport.abort()

    async def next_request(self) -> Request | None:
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        except (OSError, asyncio.IncompleteReadError):
            return None
        method, target, _ = first.split(" ")
        return Request(method, target, headers, body)


@dataclass
class RawServer:
    url: str
    requests: list[Request] = field(default_factory=list)
    """In the order of their coming, over all connections."""
    wires: list[Wire] = field(default_factory=list)


@contextlib.asynccontextmanager
async def serving_raw(handle: Callable[[Wire, Request], Awaitable[None]]) -> AsyncIterator[RawServer]:
    """Serve until the end of the block; what is still connected then is cut off."""
    raw, tasks = RawServer(""), set[asyncio.Task[None]]()

    async def serve(wire: Wire) -> None:
        try:
            while (request := await wire.next_request()) is not None:
                raw.requests.append(request)
                await handle(wire, request)
        finally:
            wire.reset()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        raw.wires.append(wire)
        tasks.add(asyncio.create_task(serve(wire)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reply(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """An answer as HTTP has it: without a body where none may be."""
    lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
    if status in {204, 304}:
        body = b""
    else:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"HTTP/1.1 {status} Said", *lines, "", ""]).encode("latin-1") + body
