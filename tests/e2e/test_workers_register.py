"""Worker processes as operators see them: who runs, who was killed, and draining one for an upgrade."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.repositories.embedded_mongod import EmbeddedMongod
from scripts.dev_stack import SIMULATOR_KEY, Stack, free_port, running_stack
from tests.e2e.conftest import FAST, ROOT, Operator, kill, log_of, until, until_some_are_called, wait_end
from tests.samples import Samples


async def shown(api: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Workers by the name that they were started with."""
    return {worker["worker_id"].partition(":")[0]: worker for worker in (await api.get("/workers")).json()}


def drain(stack: Stack, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "workers.call_worker", "--drain", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=stack.environment, stdout=subprocess.PIPE, text=True)


async def hang_up(operator: Operator) -> None:
    """Everybody who is called hangs up."""
    headers = {"Authorization": f"Bearer {SIMULATOR_KEY}"}
    async with httpx.AsyncClient(base_url=operator.stack.simulator_url, headers=headers) as http:
        for call in (await operator.simulator("calls"))["calls"]:
            (await http.post(f"/v2/stop-call/{call['call_id']}")).raise_for_status()


def is_well(health: Path) -> bool:
    check = [sys.executable, "-m", "workers.health", str(health)]
    return subprocess.run(check, cwd=ROOT, check=False).returncode == 0


async def test_workers_are_seen_lost_and_drained(
    mongod: EmbeddedMongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongod.uri)
    health = tmp_path / "health"
    metrics_port = free_port(0)
    settings = FAST | {"WORKER_HEALTH_FILE": str(health), "WORKER_METRICS_PORT": str(metrics_port)}
    async with (
        running_stack(
            database="cadencia_register", workers=1, speed=30, home=tmp_path, settings=settings, api_port=0,
            simulator_port=0,
        ) as stack,
        stack.client() as api,
    ):  # fmt: skip
        operator = Operator(stack, api)
        phones = [f"+5698{i:07d}" for i in range(3)]
        await operator.script({phone: [{"stuck": "ongoing"}] for phone in phones})
        batch_id = await operator.batch(await operator.account(3), phones)
        await until_some_are_called(operator, batch_id)

        async def is_busy() -> bool:
            worker = (await shown(api)).get("worker-1", {})
            return worker.get("state") == "running" and worker["calls_in_flight"] == worker["in_use"] == 3

        await until(is_busy)
        one = (await shown(api))["worker-1"]
        assert (one["pid"], one["concurrency"]) == (stack.parts["worker-1"].process.pid, 200)
        assert abs(one["clock_offset_seconds"]) < 60
        assert is_well(health)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{metrics_port}") as http:
            samples = Samples((await http.get("/metrics")).content)
            assert (await http.get("/health/live")).status_code == 200
        assert samples("cadencia_worker_calls_in_flight") == samples("cadencia_promptness_seconds_count") == 3
        assert samples("cadencia_worker_concurrency") == 200
        assert samples("cadencia_mongodb_up") == 1

        asked = drain(stack, "--worker-id", "worker-1", "--within", "120")
        await until(lambda: has_state(api, "worker-1", "draining"))
        await hang_up(operator)
        assert wait_end(stack.parts.pop("worker-1"), 120) == 0
        said, _ = asked.communicate(timeout=60)
        assert asked.returncode == 0, said
        assert "stopped" in said
        # Its calls came to their end: nobody had to take them over.
        assert (await operator.status(batch_id))["in_progress_jobs"] == 0
        assert (await shown(api))["worker-1"]["state"] == "stopped"
        assert not health.exists()

        killed = stack.start_worker("worker-2")
        await until(lambda: has_state(api, "worker-2", "running"))
        kill(stack.parts.pop("worker-2"))
        assert wait_end(killed) == -signal.SIGKILL
        await until(lambda: has_state(api, "worker-2", "lost"))

        drained = stack.start_worker("worker-3")
        await until(lambda: has_state(api, "worker-3", "running"))
        worker_id = (await shown(api))["worker-3"]["worker_id"]
        assert (await api.put(f"/workers/{worker_id}/drain")).json()["state"] == "draining"
        assert wait_end(stack.parts.pop("worker-3")) == 0
        assert "worker_asked_to_drain" in log_of(drained)
        unknown = drain(stack, "--worker-id", "worker-9")
        assert unknown.communicate(timeout=60)[0].strip() == "There is no worker of that name."
        assert unknown.returncode == 1
        nobody = drain(stack, "--all")
        assert nobody.communicate(timeout=60)[0].strip() == "No such worker is at work."
        assert nobody.returncode == 0


async def has_state(api: httpx.AsyncClient, name: str, state: str) -> bool:
    worker = (await shown(api)).get(name, {})
    return bool(worker.get("state") == state)
