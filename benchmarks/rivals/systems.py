"""The systems that are measured: how each is filled, and how its workers are started."""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from app.config import inherited_environment
from benchmarks.rivals.figures import OURS, Case
from benchmarks.rivals.installed import (
    HOME,
    REDIS_DATABASES,
    Missing,
    Server,
    found,
    node_folder_with,
    postgres_server,
    python_with,
    redis_server,
    stop,
)
from benchmarks.rivals.our_engine import CallWorkers, fill, working
from benchmarks.site import Site
from scripts.dev_stack import Part, start

HERE = Path(__file__).parent
PROCESSES = 2
LOOK_SECONDS = 0.05
UVLOOP = "uvloop==0.23.0"
"""Our workers use it, so theirs do."""


@dataclass(frozen=True)
class Kind:
    """A rival: its packages, exact versions, and the server that it needs."""

    packages: tuple[str, ...]
    server: str
    processes: int = PROCESSES
    node: bool = False


RIVALS: Mapping[str, Kind] = {
    "arq": Kind(("arq==0.28.0", "redis==5.3.1", UVLOOP), "redis"),
    "procrastinate": Kind(("procrastinate==3.10.0", "psycopg[binary,pool]==3.3.9", UVLOOP), "postgres"),
    "taskiq": Kind(("taskiq==0.12.6", "taskiq-mongodb==0.1.0", "pymongo==4.20.0", UVLOOP), "mongod"),
    "beanie": Kind(
        (
            "beanie-batteries-queue==0.4.0",
            "beanie==1.23.6",
            "motor==3.3.2",
            "pymongo==4.6.3",
            "pydantic==2.8.2",
            UVLOOP,
        ),
        "mongod",
    ),
    # One process of Node is what it is made for: its jobs are claimed one after the other.
    "agenda": Kind(
        ("agenda@6.2.6", "@agendajs/mongo-backend@4.0.3", "mongodb@7.9.0"), "mongod", processes=1, node=True
    ),
}
SYSTEMS = (OURS, *RIVALS)


@dataclass
class Counted:
    """Workers that count their jobs in files."""

    parts: list[Part]
    counters: list[Path]
    pids: list[int] = field(default_factory=list)

    def done(self) -> int:
        return sum(_number(path) for path in self.counters)

    def check(self) -> None:
        for part in self.parts:
            if not part.alive:
                raise RuntimeError(f"{part.name} ended: {part.log.read_text(errors='replace')[-1000:]}")


@dataclass(frozen=True)
class Rival:
    name: str
    server: Server
    command: list[str]
    folder: Path | None
    processes: int

    async def fill(self, case: Case, due: int) -> None:
        others = 0 if case.mix == "due" else case.size
        command = [*self.command, "fill", self._address(case), str(due), str(others), case.mix]
        part = self._started("fill", command)
        try:
            while part.alive:  # noqa: ASYNC110 - waiting in a thread could not be broken off
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await stop([part])
        if part.process.returncode != 0:
            raise RuntimeError(f"{self.name} is not filled: {part.log.read_text(errors='replace')[-1000:]}")

    @asynccontextmanager
    async def working(self, case: Case) -> AsyncIterator[Counted]:
        parts, counters = [], []
        for number in range(self.processes):
            counter = HOME / f"{self.name}-{number}.count"
            counter.write_bytes(bytes(8))
            command = [*self.command, "work", self._address(case), case.mix, str(counter)]
            parts.append(self._started(str(number), command))
            counters.append(counter)
        try:
            yield Counted(parts, counters, [part.process.pid for part in parts])
        finally:
            await stop(parts)

    def _started(self, suffix: str, command: list[str]) -> Part:
        if self.folder is not None:
            command = ["/usr/bin/env", f"--chdir={self.folder}", *command]
        return start(f"{self.name}-{suffix}", command, inherited_environment(), HOME)

    def _address(self, case: Case) -> str:
        """Of a database for this backlog alone, which is kept beside those of the others."""
        address, name = self.server.address, f"{self.name}_{case.key}"
        if address.startswith("redis:"):
            return f"{address}{crc32(name.encode()) % REDIS_DATABASES}"
        return address.replace("/?", f"/{name}?") if "/?" in address else address + name


@dataclass(frozen=True)
class Ours:
    site: Site
    server: Server
    name: str = OURS

    async def fill(self, case: Case, due: int) -> None:
        await fill(self.site, case, due)

    @asynccontextmanager
    async def working(self, case: Case) -> AsyncIterator[CallWorkers]:
        async with working(self.site, case, PROCESSES) as workers:
            yield workers


@asynccontextmanager
async def opened(
    names: Sequence[str], site: Site, data: Path
) -> AsyncIterator[tuple[list[Ours | Rival], dict[str, str]]]:
    """Those of the systems that can be had, their servers running on `data`; and why the others cannot."""
    async with AsyncExitStack() as stack:
        servers = {"mongod": Server(site.uri, site.mongod_pid)}
        systems: list[Ours | Rival] = []
        missing: dict[str, str] = {}
        for name in names:
            if name == OURS:
                systems.append(Ours(site, servers["mongod"]))
                continue
            try:
                kind, (command, folder) = RIVALS[name], await asyncio.to_thread(_command, name)
                if kind.server not in servers:
                    starting = redis_server if kind.server == "redis" else postgres_server
                    opening = starting(data / kind.server)
                    servers[kind.server] = await stack.enter_async_context(opening)
            except Missing as problem:
                missing[name] = str(problem)
                continue
            systems.append(Rival(name, servers[kind.server], command, folder, kind.processes))
        yield systems, missing


def _command(name: str) -> tuple[list[str], Path | None]:
    """What fills and works, up to its verb, and the folder to start it in. Raises Missing."""
    kind = RIVALS[name]
    if kind.node:
        node = found("node", Path(sys.prefix) / "lib")
        folder = node_folder_with(name, kind.packages)
        return [node, str(HERE / f"{name}_rival.mjs")], folder
    return [str(python_with(name, kind.packages)), str(HERE / "python_rivals.py"), name], None


def _number(path: Path) -> int:
    content = path.read_bytes()
    return int(struct.unpack("<Q", content)[0]) if len(content) == 8 else 0
