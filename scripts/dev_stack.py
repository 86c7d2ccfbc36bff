"""The whole of Cadencia on this machine, each part a process of its own: mongod, simulator, API, workers.

Everything it writes is below `.cadencia/` (ignored by git): the database, and one log a process. The processes run in
sessions of their own, so that Ctrl-C reaches only this one, which then stops them in order.
"""

import asyncio
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.bootstrap import open_container
from app.child_processes import dying_with_parent
from app.config import Settings, inherited_environment
from app.domain.access import Role
from app.domain.errors import DatabaseUnavailable
from app.repositories.database import DatabaseUnsuitable
from app.repositories.embedded_mongod import start_embedded_mongod
from app.services.api_keys import NewApiKey
from app.services.users import NewUser

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".cadencia"
API_PORT = 8000
SIMULATOR_PORT = 8800
START_SECONDS = 40
STOP_SECONDS = 15
SIMULATOR_KEY = "key_simulator"


class StackError(RuntimeError):
    """A part did not start or died; the text says which, and where its log is."""


@dataclass
class Part:
    """One child process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


@dataclass(frozen=True)
class Credentials:
    """An administrator's, and a key for programs. Made anew for each stack."""

    email: str
    password: str
    api_key: str


@dataclass
class Stack:
    """A running stack: where its parts answer, who may use it, and its processes."""

    mongodb_uri: str
    simulator_url: str
    api_url: str
    home: Path
    credentials: Credentials
    parts: dict[str, Part] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def client(self) -> httpx.AsyncClient:
        """A client of the API that may do everything."""
        headers = {"Authorization": f"Bearer {self.credentials.api_key}"}
        return httpx.AsyncClient(base_url=f"{self.api_url}/api/v1", headers=headers, timeout=30)

    def start_worker(self, name: str) -> Part:
        """One more call worker."""
        command = [sys.executable, "-m", "workers.call_worker", "--worker-id", name]
        self.parts[name] = start(name, command, self.environment, self.home)
        return self.parts[name]

    def check(self) -> None:
        """Raises StackError if a part has died."""
        for part in self.parts.values():
            if not part.alive:
                raise StackError(f"{part.name} ended unexpectedly; its log is {part.log}\n{_tail(part.log)}")


@asynccontextmanager
async def running_stack(
    *,
    database: str,
    workers: int,
    speed: float,
    script: Path | None = None,
    home: Path = HOME,
    settings: dict[str, str] | None = None,
    api_port: int = API_PORT,
    simulator_port: int = SIMULATOR_PORT,
) -> AsyncIterator[Stack]:
    """Start everything, wait until it answers, and stop it all at the end.

    `database` is emptied first: jobs that an earlier run left would be called now. A port that is taken is replaced
    by a free one. `MONGODB_URI`, if set, is used instead of an embedded mongod. Raises StackError.
    """
    environment = inherited_environment()
    async with AsyncExitStack() as stopping:
        uri = environment.get("MONGODB_URI")
        if not uri:
            mongod = await stopping.enter_async_context(await start_embedded_mongod(home / "mongod"))
            uri = mongod.uri
        simulator_url = f"http://127.0.0.1:{free_port(simulator_port)}"
        api_url = f"http://127.0.0.1:{free_port(api_port)}"
        credentials = await _begin(uri, database)
        environment |= _settings(uri, database, simulator_url, api_url) | (settings or {})
        stack = Stack(uri, simulator_url, api_url, home, credentials, environment=environment)
        stopping.callback(_stop_all, stack)
        stack.parts["simulator"] = start("simulator", _simulator(simulator_url, speed, script), environment, home)
        stack.parts["api"] = start("api", _api(api_url), environment, home)
        await _until_answers(stack, f"{simulator_url}/simulator/health")
        await _until_answers(stack, f"{api_url}/health")
        for number in range(1, workers + 1):
            stack.start_worker(f"worker-{number}")
        yield stack


def start(name: str, command: Sequence[str], environment: dict[str, str], home: Path) -> Part:
    """Start a part with its output in `logs/<name>.log`, which is begun anew."""
    log = home / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            dying_with_parent(command),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Part(name, process, log)


def free_port(wanted: int) -> int:
    """`wanted` if it is free on the loopback interface, else some free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError("no free port on 127.0.0.1")


async def _begin(uri: str, database: str) -> Credentials:
    """Empty the database, and let somebody in."""
    settings = Settings.model_validate({"mongodb_uri": uri, "mongodb_database": database})
    try:
        async with open_container(settings) as container:
            await container.database.check()
            await container.database.drop()
            await container.prepare_database()
            email, password = "admin@cadencia.example", secrets.token_urlsafe(12)
            await container.access.users.create(NewUser(email, "Admin", Role.ADMIN, password))
            _, api_key = await container.access.api_keys.create(NewApiKey("stack", Role.ADMIN, None, None), user=email)
            return Credentials(email, password, api_key)
    except (DatabaseUnavailable, DatabaseUnsuitable) as error:
        raise StackError(f"MongoDB cannot be used: {error}") from None


def _settings(uri: str, database: str, simulator_url: str, api_url: str) -> dict[str, str]:
    return {
        "MONGODB_URI": uri,
        "MONGODB_DATABASE": database,
        "RETELL_BASE_URL": simulator_url,
        "RETELL_API_KEY": SIMULATOR_KEY,
        "RETELL_WEBHOOK_URL": f"{api_url}/api/v1/webhooks/retell",
        "RETELL_FROM_NUMBER": "+56226000000",
        "RETELL_AGENT_ID": "agent_simulator",
        "RETELL_CALLS_PER_SECOND": "0",
        "LOG_FORMAT": "console",
        "PYTHONUNBUFFERED": "1",
    }


def _simulator(url: str, speed: float, script: Path | None) -> list[str]:
    command = [sys.executable, "-m", "scripts.retell_simulator", "--port", _port(url), "--speed", str(speed)]
    return [*command, "--api-key", SIMULATOR_KEY, *(["--script", str(script)] if script else [])]


def _api(url: str) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "app.main:app", "--host", "127.0.0.1", "--port", _port(url)]


def _port(url: str) -> str:
    return url.rpartition(":")[2]


async def _until_answers(stack: Stack, url: str) -> None:
    try:
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(timeout=2) as http:
            while not await _answers(http, url):
                stack.check()
                await asyncio.sleep(0.1)
    except TimeoutError:
        logs = ", ".join(str(part.log) for part in stack.parts.values())
        raise StackError(f"{url} does not answer after {START_SECONDS} s; see {logs}") from None


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx.HTTPError:
        return False


def _stop_all(stack: Stack) -> None:
    """Workers first, so that they can hand over; the database is stopped by its own context, last."""
    for names in ([n for n in stack.parts if n not in {"api", "simulator"}], ["api"], ["simulator"]):
        parts = [stack.parts[name] for name in names if name in stack.parts]
        for part in parts:
            part.process.terminate()
        for part in parts:
            try:
                part.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                part.process.kill()
                part.process.wait()


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
