"""Where a benchmark runs: a mongod of its own, the real wiring, and what processes use of the CPU."""

import os
import platform
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.bootstrap import Container, open_container
from app.clock import Clock
from app.config import Settings
from app.repositories.embedded_mongod import start_embedded_mongod
from app.services.worker_control import WorkerControl

HOME = Path(__file__).parents[1] / ".cadencia" / "bench"
UNTIL: ContextVar[float | None] = ContextVar("UNTIL", default=None)
"""When what is measured is broken off, by the monotonic clock."""
CACHE_GB = 1.0
"""WiredTiger's cache; its default would be half of the machine's memory."""


@dataclass(frozen=True)
class Site:
    """A mongod that a benchmark has for itself."""

    uri: str
    mongod_pid: int
    kept: Path | None = None
    """Where data stay for another run, which need not be made then."""

    @asynccontextmanager
    async def container(self, database: str, **settings: Any) -> AsyncIterator[Container]:
        """The wired application on the database of that name, indexes and all."""
        values = {
            "mongodb_uri": self.uri,
            "mongodb_database": database,
            "retell_base_url": "http://127.0.0.1:9",
            "retell_api_key": "key_simulator",
            "retell_from_number": "+56226000000",
            # Retell is away; what it allows is not what is measured.
            "retell_calls_per_second": 0,
            "retell_max_concurrent_calls": 10_000,
        }
        async with open_container(Settings.model_validate(values | settings)) as container:
            await container.prepare_database()
            yield container


@asynccontextmanager
async def own_mongod(kept: Path | None = None) -> AsyncIterator[Site]:
    """A mongod with an empty data folder, which is removed afterwards, or with one that is `kept`."""
    shutil.rmtree(HOME, ignore_errors=True)
    try:
        async with await start_embedded_mongod((kept or HOME) / "mongod", cache_gb=CACHE_GB) as mongod:
            HOME.mkdir(parents=True, exist_ok=True)
            yield Site(mongod.uri, mongod.pid, kept)
    finally:
        shutil.rmtree(HOME, ignore_errors=True)


def control(container: Container, worker_id: str = "bench") -> WorkerControl:
    """Of a worker whose leases outlast the benchmark."""
    return WorkerControl(worker_id=worker_id, time=container.clock, lease=timedelta(hours=1))


def cpu_seconds(pid: int) -> float:
    """User and system time of a living process, all threads. Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def server_status(container: Container) -> dict[str, Any]:
    database = container.database.collection("jobs").database
    status: dict[str, Any] = await database.command("serverStatus")
    return status


async def circumstances(container: Container, cache_gb: float = CACHE_GB) -> str:
    """Machine, versions, date and load, as a line of Markdown."""
    status = await server_status(container)
    packages = ", ".join(f"{name} {version(name)}" for name in ("pymongo", "pydantic"))
    return (
        f"{Clock().now():%Y-%m-%d %H:%M} UTC, {os.cpu_count()} × {_processor()}, Python {platform.python_version()}, "
        f"{packages}, MongoDB {status['version']} with {cache_gb:g} GB of cache, load {load()}."
    )


def load() -> str:
    """The machine's load average of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def say(text: str) -> None:
    """Progress, apart from the results: with the time that is left, where there is a limit."""
    until = UNTIL.get()
    left = "" if until is None else f"[{max(0, until - Clock().monotonic()) / 60:4.1f} min left] "
    print(left + text, file=sys.stderr, flush=True)
