"""One API process, as it is served, for benchmarks that ask it over HTTP."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from subprocess import TimeoutExpired
from typing import Any

import httpx

from app.bootstrap import Container
from app.config import inherited_environment
from benchmarks.site import HOME, Site
from scripts.dev_stack import STOP_SECONDS, Part, free_port, start


@asynccontextmanager
async def served(
    site: Site, container: Container, database: str, *, connections: int
) -> AsyncIterator[tuple[Part, httpx.AsyncClient]]:
    """The process and a client of it, once it answers. Nobody has to log in."""
    port = free_port(0)
    environment: dict[str, Any] = inherited_environment() | {
        "MONGODB_URI": site.uri,
        "MONGODB_DATABASE": database,
        "AUTHENTICATION": "false",
        "REQUESTS_PER_MINUTE": "1000000",
        "LOG_FORMAT": "json",
    }
    api = start("api", [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port)], environment, HOME)
    try:
        limits = httpx.Limits(max_connections=connections)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits) as http:
            await _until_it_answers(container, api, http)
            yield api, http
    finally:
        await asyncio.shield(asyncio.to_thread(_end, api))


def _end(api: Part) -> None:
    if api.alive:
        api.process.terminate()
    try:
        api.process.wait(STOP_SECONDS)
    except TimeoutExpired:
        # It waits for an answer of a mongod that is gone, or that counts a million jobs.
        api.process.kill()
        api.process.wait()


async def _until_it_answers(container: Container, api: Part, http: httpx.AsyncClient) -> None:
    until = container.clock.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            if (await http.get("/health")).status_code == httpx.codes.OK:
                return
        if not api.alive or container.clock.monotonic() > until:
            raise RuntimeError(api.log.read_text("utf-8", "replace")[-2000:])
        await asyncio.sleep(0.1)
