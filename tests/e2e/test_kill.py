"""Workers that are killed in mid-campaign: every contact ends final, and no attempt is dialed twice."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from app.repositories.embedded_mongod import EmbeddedMongod
from scripts.dev_stack import running_stack
from tests.e2e.conftest import (
    FAST,
    ROOT,
    Operator,
    is_completed,
    kill,
    log_of,
    until,
    until_some_are_called,
    wait_end,
)

CONTACTS = 60
LIMIT = 8


async def test_kill_9_in_mid_campaign(mongod: EmbeddedMongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", mongod.uri)
    async with (
        running_stack(
            database="cadencia_kill", workers=2, speed=30, home=tmp_path, settings=FAST, api_port=0, simulator_port=0
        ) as stack,
        stack.client() as api,
    ):
        operator = Operator(stack, api)
        phones = [f"+5698{i:07d}" for i in range(CONTACTS)]
        await operator.script({phone: ["dial_busy", "user_hangup"] for phone in phones[::3]})
        account_id = await operator.account(LIMIT)
        batch_id = await operator.batch(account_id, phones)

        for victim in range(1, 6):
            await until_some_are_called(operator, batch_id)
            await asyncio.sleep(random.uniform(0.1, 0.8))  # any point of the protocol
            part = stack.parts.pop(f"worker-{victim}")
            kill(part)
            assert wait_end(part) == -signal.SIGKILL
            stack.start_worker(f"worker-{victim + 2}")
        await until(lambda: is_completed(operator, batch_id))

        jobs = await operator.jobs(batch_id)
        assert {job["status"] for job in jobs} == {"completed"}
        assert Counter(job["attempts"] for job in jobs) == {1: CONTACTS - len(phones[::3]), 2: len(phones[::3])}
        creates = [c for c in (await operator.simulator("creates"))["creates"] if c["call_created"]]
        attempts = Counter(create["metadata"]["attempt_id"] for create in creates)
        assert max(attempts.values()) == 1
        assert set(attempts) == {attempt["attempt_id"] for job in jobs for attempt in job["history"]}
        summary = await operator.simulator("summary")
        assert summary["peak_simultaneous_by_account"][account_id] <= LIMIT
        await until(lambda: _money_adds_up("cadencia_kill"))
        logs = [log.read_text("utf-8", "replace") for log in (tmp_path / "logs").glob("worker-*.log")]
        assert sum(log.count("job_rescued") for log in logs) > 0, "nobody was killed at work"


async def test_sigterm_hands_over_and_ends_well(
    mongod: EmbeddedMongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongod.uri)
    async with (
        running_stack(
            database="cadencia_term", workers=1, speed=10, home=tmp_path, settings=FAST, api_port=0, simulator_port=0
        ) as stack,
        stack.client() as api,
    ):
        operator = Operator(stack, api)
        batch_id = await operator.batch(await operator.account(3), [f"+5698{i:07d}" for i in range(6)])
        await until_some_are_called(operator, batch_id)

        first = stack.parts.pop("worker-1")
        kill(first, signal.SIGTERM)
        assert wait_end(first) == 0
        assert "worker_handed_over" in log_of(first)
        stack.start_worker("worker-2")
        await until(lambda: is_completed(operator, batch_id))

        summary = await operator.simulator("summary")
        assert summary["calls_created"] == 6


async def _money_adds_up(database: str) -> bool:
    """Ledger, balances and jobs agree, as an operator would ask."""
    check = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scripts.check_ledger",
        cwd=ROOT,
        env=os.environ | {"MONGODB_DATABASE": database},
        stdout=asyncio.subprocess.DEVNULL,
    )
    return await check.wait() == 0
