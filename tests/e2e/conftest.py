"""Real processes: mongod, simulator, API and workers, each its own, as an operator runs them."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from scripts.dev_stack import Part, Stack

ROOT = Path(__file__).parents[2]
FAST = {
    "CALL_POLL_SECONDS": "0.2",
    "CALL_DETAILS_GRACE_SECONDS": "1",
    "WORKER_POLL_SECONDS": "0.2",
    "WORKER_LEASE_SECONDS": "3",
    "RETELL_CREATE_TIMEOUT_SECONDS": "1",
    "WORKER_HEARTBEAT_SECONDS": "0.7",
    "MONGODB_TIMEOUT_SECONDS": "1",
}
WHOLE_DAY = {
    "allowed_hours": {"start": "00:00", "end": "00:00"},
    "days_of_week": [0, 1, 2, 3, 4, 5, 6],
    "retry_delay_hours": 0.0003,
    "max_call_duration": 120,
    "max_attempts": 3,
}


@dataclass
class Operator:
    """Somebody who has only HTTP and the processes' signals."""

    stack: Stack
    api: httpx.AsyncClient

    async def account(self, limit: int) -> str:
        reply = await self.api.post(
            "/accounts",
            json={
                "account_name": "Empresa XYZ",
                "contact_name": "María",
                "contact_email": "maria@example.com",
                "plan_type": "credit_based",
                "initial_credits": 5000,
                "features": {"max_concurrent_calls": limit},
            },
        )
        assert reply.status_code == 201, reply.text
        return str(reply.json()["account_id"])

    async def batch(self, account_id: str, phones: list[str]) -> str:
        contacts = [{"name": f"Contacto {phone}", "phones": [phone]} for phone in phones]
        reply = await self.api.post(
            "/batches",
            json={"account_id": account_id, "name": "Prueba", "contacts": contacts, "call_settings": WHOLE_DAY},
        )
        assert reply.status_code == 201, reply.text
        return str(reply.json()["batch_id"])

    async def status(self, batch_id: str) -> dict[str, Any]:
        reply = await self.api.get(f"/batches/{batch_id}/status")
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def jobs(self, batch_id: str) -> list[dict[str, Any]]:
        """Every job of the batch, with its history."""
        listed = (await self.api.get("/jobs", params={"batch_id": batch_id, "limit": 500})).json()
        return [(await self.api.get(f"/jobs/{job['job_id']}")).json() for job in listed]

    async def simulator(self, path: str) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.stack.simulator_url, timeout=30) as http:
            return dict((await http.get(f"/simulator/{path}")).json())

    async def script(self, numbers: dict[str, list[Any]]) -> None:
        async with httpx.AsyncClient(base_url=self.stack.simulator_url, timeout=30) as http:
            (await http.put("/simulator/numbers", json=numbers)).raise_for_status()


def kill(part: Part, number: signal.Signals = signal.SIGKILL) -> None:
    part.process.send_signal(number)


def wait_end(part: Part, seconds: float = 20) -> int:
    """Its exit code."""
    return part.process.wait(seconds)


def log_of(part: Part) -> str:
    return part.log.read_text("utf-8", "replace")


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 90) -> None:
    """Wait for a fact; fail, naming it, if it does not come true in `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - the fact is in another process
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{condition.__qualname__} is not true after {seconds} s") from None


async def until_some_are_called(operator: Operator, batch_id: str) -> None:
    async def some() -> bool:
        status = await operator.status(batch_id)
        return bool(status["in_progress_jobs"] or status["status"] == "completed")

    await until(some)


async def is_completed(operator: Operator, batch_id: str) -> bool:
    """Fails if a part of the stack has died."""
    operator.stack.check()
    status = await operator.status(batch_id)
    return str(status["status"]) == "completed"


def processes_with(text: str) -> list[str]:
    """The command lines of living processes that contain `text`."""
    found = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    own = str(os.getpid())
    return [line for line in found.splitlines() if text in line and line.split()[0] != own and "ps -eo" not in line]
