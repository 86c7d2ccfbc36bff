"""The rivals' packages, in environments of their own below a cache folder, and their servers from Debian packages."""

import asyncio
import os
import pwd
import shutil
import subprocess
import venv
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.config import inherited_environment
from benchmarks.site import say
from scripts.dev_stack import ROOT, Part, free_port, start

HOME = (ROOT / ".cadencia" / "rivals").resolve()
INSTALLED = HOME / "installed"
START_SECONDS = 120
"""Redis reads all that it has first."""
REDIS_DATABASES = 16_384
"""One a backlog, chosen by its name."""
POSTGRES_USER = "postgres"
POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
"""Debian keeps its programs off the PATH."""


class Missing(Exception):
    """What a rival needs is not here and cannot be had; the text says what."""


@dataclass(frozen=True)
class Server:
    address: str
    pid: int


def python_with(name: str, requirements: Sequence[str]) -> Path:
    """An interpreter of an environment that has exactly these. Raises Missing."""
    folder = INSTALLED / name
    python = folder / "bin" / "python"
    if not _is_complete(folder, requirements):
        say(f"installing {', '.join(requirements)}")
        venv.create(folder, clear=True, with_pip=True)
        _install([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements], folder)
        _complete(folder, requirements)
    return python


def node_folder_with(name: str, requirements: Sequence[str]) -> Path:
    """A folder in which node finds exactly these packages. Raises Missing."""
    folder = INSTALLED / name
    npm = found("npm")
    if not _is_complete(folder, requirements):
        say(f"installing {', '.join(requirements)}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text("{}")
        _install([npm, "install", "--silent", "--no-audit", *requirements], folder)
        _complete(folder, requirements)
    return folder


def found(program: str, *folders: Path) -> str:
    """Where a program is: on the PATH, or in one of the folders. Raises Missing."""
    path = shutil.which(program) or next((str(one / program) for one in folders if (one / program).exists()), None)
    if path is None:
        raise Missing(f"not installed: {program}")
    return path


@asynccontextmanager
async def redis_server(folder: Path) -> AsyncIterator[Server]:
    """Its append-only file is synced once a second, the usual setting: a crash may lose a second of what it said."""
    program, port = found("redis-server"), free_port(0)
    _make(folder)
    durability = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    durability += ["--auto-aof-rewrite-percentage", "0"]  # whoever fills it has it rewritten, once
    where = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--databases", str(REDIS_DATABASES)]
    command = [program, *where, *durability]
    async with _running("redis", command, ready="Ready to accept connections") as part:
        yield Server(f"redis://127.0.0.1:{port}/", part.process.pid)


@asynccontextmanager
async def postgres_server(folder: Path) -> AsyncIterator[Server]:
    """As Debian sets it up, with a buffer as large as MongoDB's cache: what it says is on the disk."""
    postgres, initdb = found("postgres", *POSTGRES_FOLDERS), found("initdb", *POSTGRES_FOLDERS)
    port, lower = free_port(0), _not_as_root()
    if not (folder / "PG_VERSION").exists():
        _make(folder)
        if lower:
            shutil.chown(folder, POSTGRES_USER, POSTGRES_USER)
        options = ["--username", POSTGRES_USER, "--auth", "trust", "--encoding", "UTF8", "--pgdata", str(folder)]
        _install([*lower, initdb, *options], folder)
    settings = {"shared_buffers": "1GB", "max_wal_size": "4GB", "listen_addresses": "127.0.0.1"}
    given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [*lower, postgres, "-D", str(folder), "-p", str(port), "-k", "", *given]
    async with _running("postgres", command, ready="ready to accept connections") as part:
        yield Server(f"postgresql://{POSTGRES_USER}@127.0.0.1:{port}/", part.process.pid)


def cpu_seconds(pid: int) -> float:
    """Of a process and all that it started, also what has ended meanwhile."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            used = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return float(total)


async def stop(parts: Sequence[Part]) -> None:
    """SIGTERM to all, and SIGKILL to whoever is not gone after ten seconds."""
    for part in parts:
        if part.alive:
            part.process.terminate()
    for part in parts:
        try:
            await asyncio.to_thread(part.process.wait, 10)
        except subprocess.TimeoutExpired:
            part.process.kill()
            part.process.wait()


@asynccontextmanager
async def _running(name: str, command: Sequence[str], *, ready: str) -> AsyncIterator[Part]:
    part = start(name, command, inherited_environment(), HOME)
    try:
        await _until_it_says(part, ready)
        yield part
    finally:
        await stop([part])


async def _until_it_says(part: Part, words: str) -> None:
    for _ in range(START_SECONDS * 10):
        said = part.log.read_text(errors="replace")
        if words in said:
            return
        if not part.alive:
            raise Missing(f"{part.name} does not start: {' '.join(said.split())[-300:]}")
        await asyncio.sleep(0.1)
    raise Missing(f"{part.name} is not ready after {START_SECONDS} s; its log is {part.log}")


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _not_as_root() -> list[str]:
    """PostgreSQL refuses to run as root: the words that make it run as the user of its package."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(POSTGRES_USER)
    except KeyError:
        raise Missing(f"there is no user {POSTGRES_USER}, and PostgreSQL does not run as root") from None
    user = [f"--reuid={POSTGRES_USER}", f"--regid={POSTGRES_USER}", "--clear-groups"]
    # Changing the user forgets that it is to end with us.
    return [found("setpriv"), *user, "--pdeathsig=TERM"]


def _install(command: Sequence[str], folder: Path) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise Missing(f"not installed: {' '.join((ended.stderr or ended.stdout).split())[-200:]}")


def _is_complete(folder: Path, requirements: Sequence[str]) -> bool:
    mark = folder / "installed.txt"
    return mark.exists() and mark.read_text() == "\n".join(requirements)


def _complete(folder: Path, requirements: Sequence[str]) -> None:
    (folder / "installed.txt").write_text("\n".join(requirements))
