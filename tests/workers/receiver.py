"""A customer's receiver of webhooks behind real HTTP, which verifies what it gets by the specification alone.

It shares no code with the sender: Standard Webhooks 1.0.0, as a customer would implement it from docs/webhooks.md.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from scripts.retell_simulator.server import bind, url_of


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def is_signed_with(self, secret: str) -> bool:
        signed = f"{self.event_id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        key = b64decode(secret.removeprefix("whsec_"))
        expected = "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(expected, one) for one in self.headers["webhook-signature"].split(" "))


@dataclass
class Receiver:
    """Answers each path as `answers` says; 200 where it says nothing."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    """Paths that do not answer until `released`."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)

    def of(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    def ids(self, path: str) -> list[str]:
        return [one.event_id for one in self.of(path)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, body, more = scope["path"], b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.append(Received(path, headers, body))
        self.at_once[path] += 1
        self.most_at_once[path] = max(self.most_at_once[path], self.at_once[path])
        try:
            if path in self.hanging:
                await self.released.wait()
            else:
                await asyncio.sleep(0.01)
        finally:
            self.at_once[path] -= 1
        status, own, text = self.answers.get(path, (200, {}, b"ok"))
        sent = [(name.encode(), value.encode()) for name, value in own.items()]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": text})


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    listener = bind("127.0.0.1", 0)
    receiver.url = url_of(listener)
    config = uvicorn.Config(
        receiver, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment] # signals are pytest's
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.should_exit = True
        await task
