"""Migrating beside workers that call, by processes that are killed; and processes of older code, which end."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from bson import json_util

from app.repositories.database import Database, connect
from app.repositories.embedded_mongod import EmbeddedMongod
from app.repositories.migrations import CODE_VERSION
from scripts.dev_stack import SIMULATOR_KEY, Stack, running_stack
from tests.e2e.conftest import (
    FAST,
    ROOT,
    Operator,
    is_completed,
    log_of,
    until,
    until_some_are_called,
    wait_end,
)

NEWER = CODE_VERSION + 1


KILLED = """
import os, signal
from app.repositories.schema_document import MongoSchema
from scripts.migrate import cli

noted, note = 0, MongoSchema.note

async def note_or_die(self, holder, stand):
    global noted
    noted += 1
    if noted == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return await note(self, holder, stand)

MongoSchema.note = note_or_die
cli()
"""
"""`python -m scripts.migrate`, killed when the third piece is written, before that is noted."""


@pytest.fixture
async def database(mongod: EmbeddedMongod) -> AsyncIterator[Database]:
    database = connect(mongod.uri, "cadencia_migrating", pool_size=8, timeout_seconds=10)
    await database.drop()
    try:
        yield database
    finally:
        await database.drop()
        await database.close()


def migrate(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scripts.migrate", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def output_of(process: subprocess.Popen[str]) -> str:
    """What it said until its end."""
    try:
        return process.communicate(timeout=120)[0]
    finally:
        process.kill()
        process.wait()


async def belongs_to(database: Database, *, min_code_version: int) -> None:
    versions = {"version": max(CODE_VERSION, min_code_version), "min_code_version": min_code_version}
    await database.collection("schema").update_one({"_id": "schema"}, {"$set": versions})


async def assert_each_attempt_was_dialed_once(operator: Operator, batch_id: str, phones: list[str]) -> None:
    """And nobody was left out. Who hangs up at once is called again, as another attempt."""
    creates = [create for create in (await operator.simulator("creates"))["creates"] if create["call_created"]]
    ours = [create for create in creates if create["to_number"] in phones]
    dialed = Counter(create["metadata"]["attempt_id"] for create in ours)
    assert max(dialed.values()) == 1
    assert {create["to_number"] for create in ours} == set(phones)
    jobs = await operator.jobs(batch_id)
    assert set(dialed) == {attempt["attempt_id"] for job in jobs for attempt in job["history"]}


async def test_beside_a_worker_that_calls_and_when_newer_data_comes(
    mongod: EmbeddedMongod, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongod.uri)
    async with (
        running_stack(
            database="cadencia_migrating", workers=1, speed=30, home=tmp_path, settings=FAST, api_port=0,
            simulator_port=0,
        ) as stack,
        stack.client() as api,
    ):  # fmt: skip
        operator = Operator(stack, api)
        phones = [f"+5698{i:07d}" for i in range(8)]
        # Whoever is called talks until the test hangs up, so that some wait and others are called meanwhile.
        await operator.script({phone: [{"stuck": "ongoing"}] for phone in phones})
        batch_id = await operator.batch(await operator.account(2), phones)
        await until_some_are_called(operator, batch_id)
        # As older code would have written them: no claim finds them.
        lacking = {"zone": "", "person_keys": "", "name_words": ""}
        unset = await database.collection("jobs").update_many({"state": "pending"}, {"$unset": lacking})
        assert unset.modified_count > 0
        said = output_of(again := migrate(stack.environment, "--again"))
        assert again.returncode == 0, said
        await until(lambda: _is_completed_hanging_up(operator, batch_id, phones))
        await assert_each_attempt_was_dialed_once(operator, batch_id, phones)

        await _newer_data_comes(stack, operator, database)


async def _newer_data_comes(stack: Stack, operator: Operator, database: Database) -> None:
    stuck = ["+56990000001", "+56990000002"]
    await operator.script({phone: [{"stuck": "ongoing"}] for phone in stuck})
    batch_id = await operator.batch(await operator.account(2), stuck)

    async def both_talk() -> bool:
        return await database.collection("jobs").count_documents({"batch_id": batch_id, "state": "in_call"}) == 2

    await until(both_talk)
    await belongs_to(database, min_code_version=NEWER)
    # The worker notices at its next heartbeat, hands over its calls, and says why.
    worker = stack.parts.pop("worker-1")
    assert wait_end(worker, 60) == 2
    assert f"may be used by code of version {NEWER} or later only" in log_of(worker)
    assert "worker_handed_over" in log_of(worker)
    assert await both_talk()
    # Nor does another one start.
    other = stack.start_worker("worker-2")
    assert wait_end(stack.parts.pop("worker-2"), 60) == 2
    assert f"this code has version {CODE_VERSION}. Start the newer Cadencia" in log_of(other)

    # Code that may goes on with the calls: nobody is called twice.
    await belongs_to(database, min_code_version=CODE_VERSION)
    stack.start_worker("worker-3")
    await until(lambda: _is_held_by(database, batch_id, "worker-3"))
    await until(lambda: _is_completed_hanging_up(operator, batch_id, stuck))
    await assert_each_attempt_was_dialed_once(operator, batch_id, stuck)


async def _is_completed_hanging_up(operator: Operator, batch_id: str, phones: list[str]) -> bool:
    headers = {"Authorization": f"Bearer {SIMULATOR_KEY}"}
    async with httpx.AsyncClient(base_url=operator.stack.simulator_url, headers=headers) as http:
        for call in (await operator.simulator("calls"))["calls"]:
            if call["to_number"] in phones:
                # Refused for a call that is over.
                await http.post(f"/v2/stop-call/{call['call_id']}")
    return await is_completed(operator, batch_id)


async def _is_held_by(database: Database, batch_id: str, name: str) -> bool:
    held = {"batch_id": batch_id, "worker_id": {"$regex": f"^{name}:"}}
    return await database.collection("jobs").count_documents(held) == 2


async def test_a_migration_that_was_killed_is_ended_by_two_at_once(
    mongod: EmbeddedMongod, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongod.uri)
    stored = json_util.loads((ROOT / "tests/old_data/first_release.json").read_text("utf-8"))["documents"]
    jobs: list[dict[str, Any]] = [
        {**job, "_id": f"{job['_id']}-{copy:05d}"} for copy in range(400) for job in stored["jobs"] if "slot" not in job
    ]
    await database.collection("jobs").insert_many(jobs)
    await database.collection("accounts").insert_many(stored["accounts"])
    environment = {"PATH": "/usr/bin:/bin", "MONGODB_URI": mongod.uri, "MONGODB_DATABASE": "cadencia_migrating"}

    said = output_of(check := migrate(environment, "--check"))
    assert (check.returncode, said) == (1, f"data: version none yet; code: {CODE_VERSION}; migrations to come: 2\n")
    assert _run_killed(environment) == -signal.SIGKILL
    left = {"zone": {"$exists": False}}
    assert 0 < await database.collection("jobs").count_documents(left) < len(jobs)

    # As if they came when the lease of the killed one had run out.
    await database.collection("schema").update_one({}, {"$unset": {"lease": ""}})
    two = [migrate(environment), migrate(environment)]
    for process in two:
        said = output_of(process)
        assert process.returncode == 0, said
    assert await database.collection("jobs").count_documents(left) == 0
    assert await database.collection("jobs").count_documents({}) == len(jobs)
    schema = await database.collection("schema").find_one({})
    assert schema is not None
    assert schema["version"] == CODE_VERSION
    assert [done["version"] for done in schema["history"]] == list(range(1, NEWER))


def _run_killed(environment: dict[str, str]) -> int:
    command = [sys.executable, "-c", KILLED]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=120).returncode
