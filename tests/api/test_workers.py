"""/workers over HTTP."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.domain.workers import Vitals, WorkerState
from app.repositories.migrations import CODE_VERSION
from app.repositories.workers import MongoWorkers
from tests.api.conftest import ACCOUNT, problem
from tests.api.test_access import somebody


async def at_work(container: Container, worker_id: str = "w:1", **changes: Any) -> None:
    vitals = {
        "host": "host-1",
        "pid": 7,
        "version": "0.1.0",
        "state": WorkerState.RUNNING,
        "concurrency": 200,
        "in_use": 3,
        "calls_in_flight": 2,
        "clock_offset_seconds": 0.25,
        "lease_seconds": 60,
    }
    await MongoWorkers(container.database).note(worker_id, Vitals.model_validate(vitals | changes))


async def silent_for(container: Container, worker_id: str, seconds: int) -> None:
    last_seen_at = container.clock.now() - timedelta(seconds=seconds)
    await container.database.collection("workers").update_one(
        {"_id": worker_id}, {"$set": {"last_seen_at": last_seen_at}}
    )


async def test_a_worker_is_shown_as_it_says(api: httpx.AsyncClient, container: Container) -> None:
    await at_work(container)

    reply = await api.get("/workers")

    assert reply.headers["X-Total-Count"] == "1"
    (shown,) = reply.json()
    assert shown["started_at"].endswith("Z")
    assert shown["last_seen_at"].endswith("Z")
    assert {key: value for key, value in shown.items() if not key.endswith("_at")} == {
        "worker_id": "w:1",
        "state": "running",
        "host": "host-1",
        "pid": 7,
        "version": "0.1.0",
        "schema_version": 0,
        "is_older": True,
        "concurrency": 200,
        "in_use": 3,
        "calls_in_flight": 2,
        "clock_offset_seconds": 0.25,
        "drain_until": None,
        "drain_requested_by": None,
    }


async def test_one_that_said_goodbye_has_stopped_and_one_that_did_not_is_lost(
    api: httpx.AsyncClient, container: Container
) -> None:
    await at_work(container, "w:living")
    await at_work(container, "w:stopped", state=WorkerState.STOPPED)
    await at_work(container, "w:killed")
    for worker_id, seconds in (("w:living", 55), ("w:stopped", 65), ("w:killed", 65)):
        await silent_for(container, worker_id, seconds)

    states = {worker["worker_id"]: worker["state"] for worker in (await api.get("/workers")).json()}

    assert states == {"w:living": "running", "w:stopped": "stopped", "w:killed": "lost"}


async def test_after_an_upgrade_it_is_seen_who_runs_older_code(api: httpx.AsyncClient, container: Container) -> None:
    for worker_id, version in (("w:old", CODE_VERSION - 1), ("w:same", CODE_VERSION), ("w:newer", CODE_VERSION + 1)):
        await at_work(container, worker_id, schema_version=version)

    shown = {worker["worker_id"]: worker for worker in (await api.get("/workers")).json()}

    assert [shown[name]["is_older"] for name in ("w:old", "w:same", "w:newer")] == [True, False, False]
    assert shown["w:newer"]["schema_version"] == CODE_VERSION + 1
    assert (await api.put("/workers/w:old/drain")).json()["is_older"]


async def test_a_drain_is_shown_at_once_and_the_earliest_end_counts(
    api: httpx.AsyncClient, container: Container
) -> None:
    await at_work(container)

    first = (await api.put("/workers/w:1/drain", json={"within_seconds": 100})).json()
    later = (await api.put("/workers/w:1/drain")).json()
    await at_work(container)
    (shown,) = (await api.get("/workers")).json()

    assert first["state"] == later["state"] == shown["state"] == "draining"
    assert first["drain_until"] == later["drain_until"] == shown["drain_until"]
    assert shown["drain_requested_by"] == "api"
    sooner = (await api.put("/workers/w:1/drain", json={"within_seconds": 0})).json()
    assert sooner["drain_until"] < first["drain_until"]


@pytest.mark.parametrize(("state", "silent"), [(WorkerState.STOPPED, 0), (WorkerState.RUNNING, 3600)])
async def test_who_is_not_at_work_cannot_be_drained(
    api: httpx.AsyncClient, container: Container, state: WorkerState, silent: int
) -> None:
    await at_work(container, state=state)
    await silent_for(container, "w:1", silent)

    problem(await api.put("/workers/w:1/drain"), 409, "worker_not_at_work")
    problem(await api.put("/workers/w:2/drain"), 404, "worker_not_found")
    problem(await api.put("/workers/w:1/drain", json={"within_seconds": -1}), 422, "invalid_input")


async def test_operators_see_workers_and_administrators_drain_them(
    api: httpx.AsyncClient, container: Container
) -> None:
    await at_work(container)
    await api.post("accounts", json=ACCOUNT)
    operator = (await api.post("api-keys", json={"name": "o", "role": "operator"})).json()["api_key"]
    scoped = {"name": "s", "role": "admin", "account_ids": [ACCOUNT["account_id"]]}
    one_account = (await api.post("api-keys", json=scoped)).json()["api_key"]

    async with somebody(api, operator) as client:
        assert len((await client.get("workers")).json()) == 1
        problem(await client.put("workers/w:1/drain"), 403, "not_permitted")
    async with somebody(api, one_account) as client:
        problem(await client.get("workers"), 403, "not_permitted_for_scope")
        problem(await client.put("workers/w:1/drain"), 403, "not_permitted_for_scope")
