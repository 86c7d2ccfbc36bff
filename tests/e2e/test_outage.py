"""MongoDB goes away and comes back under running processes: the API says 503, the worker waits, nothing is lost."""

from pathlib import Path

import pytest

from app.repositories.embedded_mongod import start_embedded_mongod
from scripts.dev_stack import free_port, running_stack
from tests.e2e.conftest import FAST, Operator, is_completed, log_of, until, until_some_are_called


async def test_a_mongod_restart_in_mid_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port(0)
    mongod = await start_embedded_mongod(tmp_path / "mongod", port)
    monkeypatch.setenv("MONGODB_URI", mongod.uri)
    try:
        async with (
            running_stack(
                database="cadencia_outage",
                workers=1,
                speed=20,
                home=tmp_path,
                settings=FAST,
                api_port=0,
                simulator_port=0,
            ) as stack,
            stack.client() as api,
        ):
            operator = Operator(stack, api)
            account_id = await operator.account(4)
            batch_id = await operator.batch(account_id, [f"+5698{i:07d}" for i in range(12)])
            await until_some_are_called(operator, batch_id)

            await mongod.stop()
            away = await api.get(f"/batches/{batch_id}/status")
            assert (away.status_code, away.json()["code"]) == (503, "database_unavailable")
            health = await api.get(f"{stack.api_url}/health")
            assert health.status_code == 503

            async def worker_says_so() -> bool:
                return "dependency_waited_for" in log_of(stack.parts["worker-1"])

            await until(worker_says_so)
            mongod = await start_embedded_mongod(tmp_path / "mongod", port)
            await until(lambda: _completes(operator, batch_id))

            summary = await operator.simulator("summary")
            assert summary["calls_created"] == 12
            assert not summary["duplicate_attempt_ids"]
            assert {job["status"] for job in await operator.jobs(batch_id)} == {"completed"}
            assert "Traceback" not in log_of(stack.parts["worker-1"]), log_of(stack.parts["worker-1"])
    finally:
        await mongod.stop()


async def _completes(operator: Operator, batch_id: str) -> bool:
    """Whether the batch is completed, while the API may still be answering 503."""
    reply = await operator.api.get(f"/batches/{batch_id}/status")
    return reply.status_code == 200 and await is_completed(operator, batch_id)
