"""Listening to server-sent events as a browser does, over a real socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from scripts.retell_simulator.server import bind, url_of

PATIENCE_SECONDS = 30


@dataclass
class Said:
    """One event."""

    name: str
    data: Any
    event_id: str | None = None


@dataclass
class Served:
    app: FastAPI
    url: str
    server: uvicorn.Server
    logs: list[str] = field(default_factory=list)

    @property
    def under_way(self) -> int:
        return len(self.server.server_state.tasks)


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[Served]:
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment] # signals are pytest's
    task = asyncio.create_task(server.serve(sockets=[listener]))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not server.started:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.02)
    try:
        yield Served(app, url_of(listener), server)
    finally:
        server.should_exit = True
        await task


class Listener:
    """Reads one stream, event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()
        self.comments = 0
        self.retry: int | None = None

    async def next(self) -> Said | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    return Said(fields["event"], json.loads(fields["data"]), fields.get("id"))
                elif "retry" in fields:
                    self.retry = int(fields.pop("retry"))
        return None

    async def until(self, name: str) -> list[Said]:
        """Everything up to the next event of that name."""
        heard = []
        while (said := await self.next()) is not None:
            heard.append(said)
            if said.name == name:
                return heard
        raise AssertionError(f"the stream ({self.answer.status_code}) ended before {name}: {heard}")

    async def rest(self) -> list[Said]:
        return [said async for said in self]

    async def __aiter__(self) -> AsyncIterator[Said]:
        while (said := await self.next()) is not None:
            yield said


@contextlib.asynccontextmanager
async def listening(url: str, **request: Any) -> AsyncIterator[Listener]:
    """A stream at `url`; httpx's arguments, such as `headers` and `params`."""
    async with (
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as client,
        client.stream("GET", url, **request) as answer,
    ):
        yield Listener(answer)
