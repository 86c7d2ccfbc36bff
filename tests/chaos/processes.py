"""Real processes for the proofs: workers and APIs that can be told where to die, simulators, and what kills them."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.config import inherited_environment
from app.repositories.embedded_mongod import EmbeddedMongod
from scripts.dev_stack import SIMULATOR_KEY, Part, free_port, start
from tests.chaos.deaths import NAME, SIGNAL
from tests.e2e.conftest import FAST

PATIENCE_SECONDS = 90
"""How long a fact is waited for. Generous: machines that test are busy."""


@dataclass
class Processes:
    """Starts parts that share a folder for their logs, and ends what is left of them."""

    home: Path
    parts: list[Part] = field(default_factory=list)
    _names: dict[str, int] = field(default_factory=dict)

    def simulator(self, speed: float, *options: str) -> str:
        """Its address; whoever needs it waits for `answers`."""
        url = f"http://127.0.0.1:{free_port(0)}"
        command = [sys.executable, "-m", "scripts.retell_simulator", "--port", url.rpartition(":")[2]]
        command += ["--speed", str(speed), "--api-key", SIMULATOR_KEY, *options]
        self._start("simulator", command, inherited_environment())
        return url

    def worker(self, name: str, environment: dict[str, str], death: str = "", by: str = "KILL") -> Part:
        command = [sys.executable, "-m", "tests.chaos.crashing_worker", "--worker-id", name]
        return self._start(name, command, environment | {NAME: death, SIGNAL: by})

    def api(self, name: str, environment: dict[str, str], death: str = "") -> tuple[Part, str]:
        """The process and its address."""
        url = f"http://127.0.0.1:{free_port(0)}"
        command = [sys.executable, "-m", "uvicorn", "tests.chaos.crashing_api:app", "--port", url.rpartition(":")[2]]
        return self._start(name, command, environment | {NAME: death}), url

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> Part:
        # A log is begun anew by each process of its name: those of the dead are wanted too.
        number = self._names[name] = self._names.get(name, 0) + 1
        part = start(name if number == 1 else f"{name}.{number}", command, environment, self.home)
        self.parts.append(part)
        return part

    async def end(self) -> None:
        """SIGKILL: whatever is to be proved has been."""
        for part in self.parts:
            if part.alive:
                part.process.kill()
        for part in self.parts:
            await asyncio.to_thread(part.process.wait)


def environment_for(mongodb_uri: str, database: str, simulator_url: str, **more: str) -> dict[str, str]:
    return {
        **inherited_environment(),
        **FAST,
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": database,
        "MONGODB_POOL_SIZE": "8",
        "RETELL_BASE_URL": simulator_url,
        "RETELL_API_KEY": SIMULATOR_KEY,
        "RETELL_FROM_NUMBER": "+56226000000",
        "RETELL_AGENT_ID": "agent_simulator",
        "RETELL_CALLS_PER_SECOND": "0",
        "PROVIDER_RETRY_SECONDS": "1",
        "BALANCE_RECHECK_SECONDS": "5",
        "LOG_FORMAT": "json",
        # Deaths are what is proved here, not who may ask.
        "AUTHENTICATION": "false",
        "PYTHONUNBUFFERED": "1",
        **more,
    }


async def answers(url: str) -> None:
    """Wait until something answers at `url`."""

    async def does() -> bool:
        try:
            async with httpx.AsyncClient(timeout=5) as http:
                return (await http.get(url)).is_success
        except httpx.HTTPError:
            return False

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await does():  # noqa: ASYNC110 - the fact is in another process
            await asyncio.sleep(0.1)


async def dies(part: Part, by: signal.Signals = signal.SIGKILL) -> None:
    """Wait for the end of a process; fail if it was another one than asked for."""
    await _fact(lambda: not part.alive, f"{part.name} dies", part)
    assert part.process.returncode == -by, f"{part.name} ended with {part.process.returncode}; see {part.log}"


async def stands_still(part: Part) -> None:
    """Wait until a process is stopped (SIGSTOP)."""
    await _fact(lambda: _state(part) == "T", f"{part.name} stands still", part)


def kill(part: Part) -> None:
    os.kill(part.process.pid, signal.SIGKILL)


def freeze(part: Part) -> None:
    os.kill(part.process.pid, signal.SIGSTOP)


def thaw(part: Part) -> None:
    os.kill(part.process.pid, signal.SIGCONT)


async def kill_mongod(mongod: EmbeddedMongod) -> None:
    """As a power cut would: no goodbye, no flush. `stop` then only lets go of the folder."""
    os.kill(mongod.pid, signal.SIGKILL)
    await mongod.stop()


def _state(part: Part) -> str:
    """One letter, from Linux: R, S, T, …"""
    return Path(f"/proc/{part.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]


async def _fact(is_so: Callable[[], bool], what: str, part: Part) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so():  # noqa: ASYNC110 - the fact is in another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not true after {PATIENCE_SECONDS} s: {what}; see {part.log}") from None
