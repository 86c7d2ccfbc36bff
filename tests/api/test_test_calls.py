"""POST /batches/{id}/test-call: what it makes, what it refuses, and that no figure counts it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.domain.jobs import Job
from app.domain.test_call import MOST_A_DAY, MOST_AT_ONCE, PATIENCE
from app.repositories.jobs import MongoJobs
from tests.api.conftest import batch_body, error_at, problem, stored

EVERY_HOUR = {"allowed_hours": {"start": "00:00", "end": "00:00"}, "days_of_week": [0, 1, 2, 3, 4, 5, 6]}
MINE = "+56987650001"
SCRIPT = "Hola {{nombre}}, debe {{monto_deuda}}"


def closed() -> dict[str, Any]:
    """Hours that open in some ten hours, for half an hour."""
    hour = (datetime.now(UTC) + timedelta(hours=10)).hour
    hours = {"start": f"{hour:02}:00", "end": f"{hour:02}:30"}
    return {"allowed_hours": hours, "days_of_week": [0, 1, 2, 3, 4, 5, 6], "timezone": "UTC"}


@pytest.fixture
async def open_batch(api: httpx.AsyncClient, account: dict[str, Any]) -> str:
    return await create(api)


async def create(api: httpx.AsyncClient, **changes: Any) -> str:
    body = batch_body(**{"call_settings": EVERY_HOUR, "script_content": SCRIPT, **changes})
    answer = await api.post("batches", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["batch_id"])


async def ask(api: httpx.AsyncClient, batch_id: str, phone: str = MINE, **body: Any) -> httpx.Response:
    headers = body.pop("headers", {})
    return await api.post(f"batches/{batch_id}/test-call", json={"phone": phone, **body}, headers=headers)


async def made(api: httpx.AsyncClient, batch_id: str, phone: str = MINE, **body: Any) -> dict[str, Any]:
    answer = await ask(api, batch_id, phone, **body)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['job_id']}"
    return job


async def test_it_is_a_job_to_follow_that_speaks_of_the_batchs_first_contact(
    api: httpx.AsyncClient, open_batch: str, container: Container
) -> None:
    job = await made(api, open_batch, "9 8765 0001")
    assert job["contact"]["phones"] == [MINE]
    assert (job["nombre"], job["payload"]["monto_deuda"]) == ("Juan Pérez", "50000")
    assert (job["contact"]["dni"], job["test_of"], job["max_attempts"]) == (None, open_batch, 1)
    jobs = MongoJobs(container.database)
    of, called = await jobs.get(f"{open_batch}-000001"), await jobs.get(job["job_id"])
    assert of is not None
    assert called is not None
    assert called.speaks_of == of.person_keys != called.person_keys
    assert (await api.get(f"jobs/{job['job_id']}")).json()["job_id"] == job["job_id"]
    batch = await container.batches.get(job["batch_id"])
    assert (batch.status.value, batch.total_jobs, batch.no_calls_after) == (
        "running",
        1,
        batch.created_at + PATIENCE,
    )
    log = (await api.get(f"batches/{open_batch}/logs")).json()["logs"]
    assert log[-1]["event"] == "test_call_asked_for"
    assert job["job_id"] in log[-1]["message"]
    assert MINE not in log[-1]["message"]


async def test_it_may_speak_of_another_contact_or_of_what_is_sent(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    contacts = [{"name": name, "phones": [f"+5691234567{i}"], "monto_deuda": i} for i, name in enumerate(("A", "B"))]
    batch_id = await create(api, contacts=contacts)
    other = await made(api, batch_id, job_id=f"{batch_id}-000002", variables={"monto_deuda": 7.0, "cuota": "x"})
    assert (other["nombre"], other["payload"]) == ("B", {"monto_deuda": "7", "cuota": "x"})
    # The first is gone when the import that brought it was taken back.
    await container.database.collection("jobs").delete_one({"_id": f"{batch_id}-000001"})
    assert (await made(api, batch_id, "+56987650003"))["nombre"] == "B"
    elsewhere = await create(api)
    answer = await ask(api, batch_id, "+56987650002", job_id=f"{elsewhere}-000001")
    assert error_at(answer, "job_id")["type"] == "test_call_job_elsewhere"


async def test_of_a_draft_a_paused_and_a_recurring_batch(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    draft = await create(api, contacts=None)
    assert "monto_deuda" in error_at(await ask(api, draft), "variables", "monto_deuda")["msg"]
    assert (await ask(api, draft, allow_missing_variables=True)).status_code == 201
    paused = await create(api)
    assert (await api.patch(f"batches/{paused}", json={"is_active": False})).status_code == 200
    await made(api, paused, "+56987650002")
    start = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    series = await create(
        api,
        schedule_type="recurring",
        recurring_config={"frequency": "daily", "interval": 1},
        scheduled_at=start,
    )
    assert (await made(api, series, "+56987650003"))["nombre"] == "Juan Pérez"


async def test_who_is_in_a_series_is_a_contact_before_its_first_run(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    series = await create(
        api,
        schedule_type="recurring",
        recurring_config={"frequency": "daily", "interval": 1},
        scheduled_at=(datetime.now(UTC) + timedelta(days=2)).isoformat(),
    )
    problem(await ask(api, series, "+56987654321", outside_hours=True), 409, "test_call_to_contact")


async def test_outside_the_hours_only_if_that_is_said_and_never_to_a_contact(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    batch_id = await create(api, call_settings=closed())
    before = await stored(container)
    refused = problem(await ask(api, batch_id), 409, "test_call_hours_closed")
    assert "outside_hours" in refused["detail"]
    contact = await ask(api, batch_id, "+56987654321", outside_hours=True)
    problem(contact, 409, "test_call_to_contact")
    assert await stored(container) == before
    job = await made(api, batch_id, outside_hours=True)
    batch = (await api.get(f"batches/{job['batch_id']}")).json()
    assert batch["next_window_opens_at"] is None
    log = (await api.get(f"batches/{batch_id}/logs")).json()["logs"]
    assert (log[-1]["event"], log[-1]["user"]) == ("test_call_outside_hours", "api")
    # A number of mine stays mine, however often it was called as a test.
    await container.database.collection("jobs").update_one({"_id": job["job_id"]}, {"$set": {"state": "failed"}})
    await made(api, batch_id, outside_hours=True)


async def test_a_contact_is_one_however_many_test_calls_it_had(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    batch_id = await create(api, call_settings=closed())
    jobs = container.database.collection("jobs")
    job = await jobs.find_one({"_id": (await made(api, batch_id, outside_hours=True))["job_id"]})
    assert job is not None
    later = datetime.now(UTC)
    before = {"test_of": batch_id, "state": "failed", "created_at": later, "person_keys": ["+56987654321"]}
    await jobs.insert_many([{**job, **before, "_id": f"test-{number:03}"} for number in range(101)])
    contact = await ask(api, batch_id, "+56987654321", outside_hours=True)
    problem(contact, 409, "test_call_to_contact")


async def test_cancelling_the_batch_cancels_its_test_calls(
    api: httpx.AsyncClient, open_batch: str, container: Container
) -> None:
    job, other = await made(api, open_batch), await made(api, await create(api), "+56987650002")
    assert (await api.post(f"batches/{open_batch}/cancel")).status_code == 200
    cancelled = (await api.get(f"jobs/{job['job_id']}")).json()
    assert (cancelled["status"], cancelled["reason"]["code"]) == ("cancelled", "batch_cancelled")
    assert (await api.get(f"jobs/{other['job_id']}")).json()["status"] == "pending"


async def test_deleting_a_draft_cancels_its_test_calls(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    draft = await create(api, contacts=None)
    job = await made(api, draft, allow_missing_variables=True)
    assert (await api.delete(f"batches/{draft}")).status_code == 204
    assert (await api.get(f"jobs/{job['job_id']}")).json()["status"] == "cancelled"


async def test_a_batch_that_is_cancelled_just_then_is_not_tested(
    api: httpx.AsyncClient, open_batch: str, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_many = MongoJobs.insert_many

    async def cancelled_first(jobs: MongoJobs, made: Sequence[Job]) -> None:
        assert (await api.post(f"batches/{open_batch}/cancel")).status_code == 200
        await insert_many(jobs, made)

    monkeypatch.setattr(MongoJobs, "insert_many", cancelled_first)
    problem(await ask(api, open_batch), 409, "batch_not_changeable")
    assert await container.database.collection("jobs").count_documents({"test_of": open_batch}) == 0


async def test_a_key_makes_one_call(api: httpx.AsyncClient, open_batch: str, container: Container) -> None:
    headers = {"Idempotency-Key": "doble clic"}
    first = await made(api, open_batch, headers=headers)
    assert (await made(api, open_batch, headers=headers))["job_id"] == first["job_id"]
    other = await ask(api, open_batch, "+56987650009", headers=headers)
    problem(other, 409, "idempotency_key_reused")
    problem(await api.post("batches", json=batch_body(), headers=headers), 409, "idempotency_key_reused")
    assert await container.database.collection("batches").count_documents({"test_of": open_batch}) == 1


async def test_a_phone_is_in_one_test_call_at_a_time_and_an_account_in_few(
    api: httpx.AsyncClient, open_batch: str, container: Container
) -> None:
    await made(api, open_batch)
    problem(await ask(api, open_batch), 409, "test_call_goes_on")
    for number in range(1, MOST_AT_ONCE):
        await made(api, open_batch, f"+5698765001{number}")
    answer = await ask(api, open_batch, "+56987650099")
    problem(answer, 429, "test_calls_too_many")
    assert int(answer.headers["Retry-After"]) > 0
    # What was asked for and never begun does not stand in the way for ever.
    jobs = container.database.collection("jobs")
    await jobs.update_many({"test_of": open_batch}, {"$set": {"created_at": datetime.now(UTC) - PATIENCE}})
    await made(api, open_batch)


async def test_an_account_has_so_many_a_day(api: httpx.AsyncClient, open_batch: str, container: Container) -> None:
    job = await made(api, open_batch)
    jobs = container.database.collection("jobs")
    document = await jobs.find_one({"_id": job["job_id"]})
    assert document is not None
    ended = {**document, "state": "failed", "created_at": datetime.now(UTC) - timedelta(hours=23)}
    await jobs.insert_many([{**ended, "_id": f"test-{number}"} for number in range(MOST_A_DAY - 1)])
    answer = await ask(api, open_batch, "+56987650002")
    problem(answer, 429, "test_calls_too_many")
    assert 3000 < int(answer.headers["Retry-After"]) <= 3601


async def test_many_at_once_do_not_slip_through(api: httpx.AsyncClient, open_batch: str, container: Container) -> None:
    phones = [MINE] * 3 + [f"+5698765002{number}" for number in range(6)]
    answers = await asyncio.gather(*(ask(api, open_batch, phone) for phone in phones))
    assert {answer.status_code for answer in answers} <= {201, 409, 429}
    running = container.database.collection("batches").find({"test_of": open_batch, "status": "running"})
    ids = [document["_id"] async for document in running]
    assert len(ids) == sum(answer.status_code == 201 for answer in answers) <= MOST_AT_ONCE
    jobs = [job async for job in container.database.collection("jobs").find({"test_of": open_batch})]
    assert sorted(job["batch_id"] for job in jobs) == sorted(ids)
    called = [job["contact"]["phones"][0] for job in jobs]
    assert len(set(called)) == len(called)


async def test_it_is_in_no_list_and_in_no_figure(api: httpx.AsyncClient, open_batch: str) -> None:
    async def figures() -> list[Any]:
        lists = [
            await api.get(path) for path in ("batches", "accounts/acc-chile-001/batches", f"jobs?batch_id={open_batch}")
        ]
        shown = [([row["_id"] for row in found.json()], found.headers["X-Total-Count"]) for found in lists]
        status = (await api.get(f"batches/{open_batch}/status")).json()
        counts = {name: value for name, value in status.items() if name.endswith("_jobs")}
        return [shown, counts, (await api.get("accounts/acc-chile-001/stats")).json()]

    before = await figures()
    await made(api, open_batch)
    assert await figures() == before


async def test_the_dashboard_does_not_count_it(api: httpx.AsyncClient, open_batch: str, container: Container) -> None:
    job = await made(api, open_batch)
    # The first to ask: what was counted before is repeated for a while.
    found = (await api.get("dashboard/stats", params={"account_id": "acc-chile-001"})).json()
    assert (found["total_batches"], found["active_batches"]) == (1, 1)
    assert (found["total_jobs"], found["pending_jobs"], found["total_jobs_today"]) == (1, 1, 1)
    assert job["test_of"] == open_batch


async def test_it_is_not_changed_retried_or_tested_itself(
    api: httpx.AsyncClient, open_batch: str, container: Container
) -> None:
    job = await made(api, open_batch)
    path = f"batches/{job['batch_id']}"
    problem(await api.patch(path, json={"is_active": False}), 409, "test_call_happens_once")
    problem(await ask(api, job["batch_id"]), 409, "test_call_happens_once")
    assert (await api.put(f"jobs/{job['job_id']}/cancel")).json()["status"] == "cancelled"
    problem(await api.put(f"jobs/{job['job_id']}/retry"), 409, "test_call_happens_once")


async def test_what_else_is_refused(api: httpx.AsyncClient, open_batch: str, container: Container) -> None:
    problem(await ask(api, "batch-none"), 404, "batch_not_found")
    assert error_at(await ask(api, open_batch, "123"), "phone")["type"].startswith("phone_")
    error_at(await ask(api, open_batch, variables={"$monto": "1"}), "variables", "$monto")
    await api.patch("accounts/acc-chile-001", json={"status": "suspended", "suspension_reason": "x"})
    problem(await ask(api, open_batch), 409, "account_suspended")
    await api.patch("accounts/acc-chile-001", json={"status": "active"})
    await api.post(f"batches/{open_batch}/cancel")
    problem(await ask(api, open_batch), 409, "batch_not_changeable")
    assert await container.database.collection("batches").count_documents({"test_of": {"$exists": True}}) == 0
