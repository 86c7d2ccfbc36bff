"""What makes calls in a benchmark: the Retell simulator and worker processes, each a process of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.config import inherited_environment
from benchmarks.site import HOME, Site
from scripts.dev_stack import SIMULATOR_KEY, Part, free_port, start

STARTS_WITHIN = 60.0


@dataclass(frozen=True)
class Telephony:
    """A simulator that answers, and how a worker is started that calls through it."""

    simulator: Part
    http: httpx.AsyncClient
    """To the simulator's own endpoints."""
    environment: dict[str, str]
    parts: list[Part]

    async def worker(self, name: str, concurrency: int, **settings: str) -> Part:
        """One more worker, once it has started; `settings` are environment variables."""
        options = ["--worker-id", name, "--concurrency", str(concurrency)]
        command = [sys.executable, "-m", "workers.call_worker", *options]
        part = start(name, command, self.environment | settings, HOME)
        self.parts.append(part)
        while "worker_started" not in part.log.read_text("utf-8"):
            check(part)
            await asyncio.sleep(0.2)
        return part

    async def ask(self, path: str, **query: Any) -> dict[str, Any]:
        response = await self.http.get(f"/simulator/{path}", params=query)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


@asynccontextmanager
async def telephony(
    site: Site, database: str, *, speed: float = 1, script: dict[str, Any] | None = None
) -> AsyncIterator[Telephony]:
    """`script` is the simulator's: what becomes of calls. Nobody and nothing limits how many there are."""
    port = free_port(0)
    path = HOME / "simulator.json"
    given = script or {}
    path.write_text(json.dumps(given | {"knobs": given.get("knobs", {}) | {"concurrency_limit": 0}}))
    environment = inherited_environment() | {
        "MONGODB_URI": site.uri,
        "MONGODB_DATABASE": database,
        "RETELL_BASE_URL": f"http://127.0.0.1:{port}",
        "RETELL_API_KEY": SIMULATOR_KEY,
        "RETELL_FROM_NUMBER": "+56226000000",
        "RETELL_CALLS_PER_SECOND": "0",
        "LOG_FORMAT": "json",
    }
    options = ["--port", str(port), "--speed", str(speed), "--api-key", SIMULATOR_KEY, "--seed", "1"]
    command = [sys.executable, "-m", "scripts.retell_simulator", *options, "--script", str(path)]
    simulator = start("simulator", command, environment, HOME)
    parts = [simulator]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            await _until_it_answers(simulator, http)
            yield Telephony(simulator, http, environment, parts)
    finally:
        for part in reversed(parts):
            if part.alive:
                part.process.terminate()
            await asyncio.to_thread(part.process.wait)


def check(part: Part) -> None:
    """Raises RuntimeError with the end of its log if a part has died."""
    if not part.alive:
        raise RuntimeError(f"{part.name} ended; its log said: {part.log.read_text('utf-8', 'replace')[-2000:]}")


def memory(pid: int, what: str = "VmHWM") -> float:
    """Megabytes of a living process: the most that it ever held, or `VmRSS` what it holds now. Linux."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


async def _until_it_answers(simulator: Part, http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(STARTS_WITHIN):
        while True:
            check(simulator)
            with suppress(httpx.TransportError):
                (await http.get("/simulator/health")).raise_for_status()
                return
            await asyncio.sleep(0.1)
