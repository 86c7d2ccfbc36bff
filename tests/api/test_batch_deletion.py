"""DELETE /batches/{id}: gone from every list at once, wherever it is stopped; who was called stays for the caps."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.domain.batches import BatchStatus
from app.domain.errors import Conflict
from app.domain.jobs import JobState
from app.repositories.accounts import MongoAccounts
from app.repositories.batch_contacts import MongoBatchContacts
from app.repositories.batches import MongoBatches
from app.repositories.documents import to_document
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.services import batch_deletion, claiming
from tests.api.conftest import BATCH, batch_body, problem
from tests.api.test_access import somebody
from tests.api.test_tenancy import WITH_IDS
from tests.builders import NOW, make_job, make_record
from tests.integration.wiring import make_claiming

Batch = dict[str, Any]
CALLED = {"state": "completed", "history": [make_record()]}


async def set_jobs(container: Container, batch: Batch, *jobs: dict[str, Any]) -> list[str]:
    """These jobs instead of the batch's own; their ids."""
    stored = container.database.collection("jobs")
    await stored.delete_many({"batch_id": batch["batch_id"]})
    ids = [f"{batch['batch_id']}-{number:06d}" for number in range(len(jobs))]
    made = [
        make_job(job_id=job_id, account_id=batch["account_id"], batch_id=batch["batch_id"], **fields)
        for job_id, fields in zip(ids, jobs, strict=True)
    ]
    await stored.insert_many([to_document(job) for job in made])
    return ids


async def cancelled(api: httpx.AsyncClient, container: Container, batch: Batch, *jobs: dict[str, Any]) -> list[str]:
    """The batch cancelled, with these jobs in it; their ids."""
    assert (await api.post(f"batches/{batch['batch_id']}/cancel")).status_code == 200
    return await set_jobs(container, batch, *jobs)


async def delete(api: httpx.AsyncClient, batch: Batch, **params: Any) -> httpx.Response:
    return await api.delete(f"batches/{batch['batch_id']}", params=params)


async def left(container: Container, batch: Batch) -> list[str]:
    found = container.database.collection("jobs").find({"batch_id": batch["batch_id"]}, {"_id": True}).sort("_id")
    return [document["_id"] async for document in found]


async def look(container: Container) -> None:
    """What any worker does with batches that are due."""
    database = container.database
    claimer = make_claiming(
        database,
        MongoAccounts(database),
        MongoBatches(database),
        MongoJobs(database),
        MongoJobQueue(database),
        container.clock,
    )
    assert await claimer.claim(10) == []


async def is_asleep(container: Container, batch: Batch) -> bool:
    stored = await MongoBatches(container.database).get(batch["batch_id"])
    return stored is not None and stored.wake_at is None and stored.clear_jobs_after is None


async def test_a_deleted_batch_is_in_no_list_and_cannot_be_read(
    api: httpx.AsyncClient, container: Container, batch: Batch
) -> None:
    other = (await api.post("batches", json=batch_body(name="Otra"))).json()
    await cancelled(api, container, batch, CALLED)

    assert (await delete(api, batch)).status_code == 204

    path = f"batches/{batch['batch_id']}"
    for reading in (path, f"{path}/status", f"{path}/summary", f"{path}/logs"):
        problem(await api.get(reading), 404, "batch_not_found")
    problem(await api.patch(path, json={"name": "x"}), 404, "batch_not_found")
    problem(await api.post(f"{path}/cancel"), 404, "batch_not_found")
    for query in ("", "?account_id=acc-chile-001", "?status=cancelled&status=running", "?is_active=true"):
        answer = await api.get(f"batches{query}")
        assert [found["batch_id"] for found in answer.json()] in ([other["batch_id"]], [])
        assert answer.headers["X-Total-Count"] == str(len(answer.json())), query
    assert (await api.get("accounts/acc-chile-001/batches")).headers["X-Total-Count"] == "1"
    assert (await api.get("accounts/acc-chile-001/stats")).json()["total_batches"] == 1
    assert (await api.get("dashboard/stats?account_id=acc-chile-001")).json()["total_batches"] == 1


async def test_its_jobs_stay_unless_asked_otherwise(api: httpx.AsyncClient, container: Container, batch: Batch) -> None:
    ids = await cancelled(api, container, batch, {"state": "cancelled"}, CALLED)

    await delete(api, batch)

    assert [job["job_id"] for job in (await api.get("jobs")).json()] == [ids[1], ids[0]]
    assert (await api.get(f"jobs/{ids[1]}")).json()["attempts"] == 0
    problem(await api.put(f"jobs/{ids[0]}/retry"), 409, "batch_not_changeable")
    assert len((await api.get("calls/history")).json()) == 1


async def test_with_its_jobs_only_who_was_called_stays(
    api: httpx.AsyncClient, container: Container, batch: Batch
) -> None:
    never = {"state": "cancelled"}
    tried = {"state": "failed", "history": [make_record(counted=False)]}
    ids = await cancelled(api, container, batch, never, CALLED, never, tried, {"state": "pending"})

    assert (await delete(api, batch, delete_jobs=True)).status_code == 204

    assert await left(container, batch) == [ids[1], ids[3]]
    again = make_job(account_id=batch["account_id"])
    of_person = await MongoJobQueue(container.database).others_of_person(again, since=NOW - timedelta(days=365))
    assert len([record for other in of_person for record in other.history]) == 2, "for the caps"
    assert await is_asleep(container, batch)
    assert len((await api.get("calls/history", params={"batch_id": batch["batch_id"]})).json()) == 2
    problem(await api.get(f"jobs/{ids[0]}"), 404, "job_not_found")


async def test_deleting_twice_is_harmless_and_the_jobs_may_go_later(
    api: httpx.AsyncClient, container: Container, batch: Batch
) -> None:
    ids = await cancelled(api, container, batch, {"state": "cancelled"}, CALLED)
    for expected, params in ((ids, {}), (ids, {}), (ids[1:], {"delete_jobs": True}), (ids[1:], {"delete_jobs": True})):
        assert (await delete(api, batch, **params)).status_code == 204
        assert await left(container, batch) == expected
        assert await is_asleep(container, batch)
    problem(await api.delete("batches/none"), 404, "batch_not_found")


@pytest.mark.parametrize("status", [status for status in BatchStatus if status not in batch_deletion._DELETABLE])
async def test_what_is_not_over_is_cancelled_first(
    api: httpx.AsyncClient, container: Container, batch: Batch, status: BatchStatus
) -> None:
    await MongoBatches(container.database).update(batch["batch_id"], {"status": status})

    body = problem(await delete(api, batch, delete_jobs=True), 409, "batch_not_deletable")

    assert status.value in body["detail"]
    assert len(await left(container, batch)) == 1
    assert (await api.get(f"batches/{batch['batch_id']}")).json()["status"] == status.value


@pytest.mark.parametrize("state", ["leased", "dialing", "in_call", "verifying", "settling", "uncertain"])
async def test_nothing_goes_while_a_call_is_in_progress(
    api: httpx.AsyncClient, container: Container, batch: Batch, state: str
) -> None:
    ids = await cancelled(api, container, batch, {"state": state, "slot": 0}, {"state": "cancelled"})

    problem(await delete(api, batch, delete_jobs=True), 409, "batch_has_calls")

    assert await left(container, batch) == ids
    assert (await api.get(f"batches/{batch['batch_id']}")).status_code == 200


async def test_a_draft_goes(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    draft = (await api.post("batches", json=batch_body(contacts=None))).json()
    assert draft["status"] == "draft"
    assert (await delete(api, draft)).status_code == 204
    assert (await api.get("batches")).json() == []


async def test_killed_after_the_deletion_a_worker_goes_on_with_it(
    api: httpx.AsyncClient, container: Container, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await cancelled(api, container, batch, {"state": "pending"}, CALLED, {"state": "failed"})

    async def killed(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as dying:
        dying.setattr(batch_deletion, "clear_deleted", killed)
        with pytest.raises(RuntimeError):
            await container.batch_deletion.delete(batch["batch_id"], delete_jobs=True, user="ana")
    problem(await api.get(f"batches/{batch['batch_id']}"), 404, "batch_not_found")
    assert await left(container, batch) == ids

    await look(container)

    assert await left(container, batch) == [ids[1]]
    assert await is_asleep(container, batch)


async def test_a_large_batch_is_cleared_look_by_look_from_where_it_stopped(
    api: httpx.AsyncClient, container: Container, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_deletion, "CHUNK", 2)
    monkeypatch.setattr(batch_deletion, "CLEARING_SECONDS", 0)
    monkeypatch.setattr(claiming, "CLEARING_SECONDS", 0)
    ids = await cancelled(api, container, batch, *[CALLED if n in (1, 2) else {"state": "failed"} for n in range(6)])
    kept, cleared = ids[1:3], []

    assert (await delete(api, batch, delete_jobs=True)).status_code == 204
    while not await is_asleep(container, batch):
        cleared.append(await left(container, batch))
        await look(container)

    assert cleared == [ids[1:], [*kept, *ids[4:]], kept]
    assert await left(container, batch) == kept


async def test_one_look_clears_no_longer_however_many_batches_were_deleted(
    api: httpx.AsyncClient, container: Container, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_deletion, "CHUNK", 2)
    monkeypatch.setattr(batch_deletion, "CLEARING_SECONDS", 0)
    monkeypatch.setattr(claiming, "CLEARING_SECONDS", 0)
    batches = [batch, (await api.post("batches", json=BATCH)).json()]
    for deleted in batches:
        await cancelled(api, container, deleted, *[{"state": "failed"}] * 6)
        await delete(api, deleted, delete_jobs=True)

    await look(container)

    assert sorted([len(await left(container, deleted)) for deleted in batches]) == [2, 4]


async def test_a_job_that_a_worker_took_too_late_is_waited_for(
    api: httpx.AsyncClient, container: Container, batch: Batch
) -> None:
    (taken,) = await cancelled(api, container, batch, {"state": "cancelled"})
    await delete(api, batch)
    # Claimed between the question for calls in progress and the cancellation of what is pending.
    await container.database.collection("jobs").update_one({"_id": taken}, {"$set": {"state": "leased"}})

    await delete(api, batch, delete_jobs=True)
    assert await left(container, batch) == [taken]
    assert not await is_asleep(container, batch)

    await container.database.collection("jobs").update_one({"_id": taken}, {"$set": {"state": "cancelled"}})
    await MongoBatches(container.database).update(batch["batch_id"], {"wake_at": container.clock.now()})
    await look(container)
    assert await left(container, batch) == []
    assert await is_asleep(container, batch)


async def test_a_recurring_batch_goes_with_its_contacts_once_its_runs_are_over(
    api: httpx.AsyncClient, container: Container, account: dict[str, Any]
) -> None:
    series = (
        await api.post(
            "batches",
            json=batch_body(schedule_type="recurring", recurring_config={"frequency": "daily", "interval": 1}),
        )
    ).json()
    await look(container)
    (run,) = (await api.get("batches", params={"parent_batch_id": series["batch_id"]})).json()
    await MongoBatches(container.database).update(series["batch_id"], {"status": BatchStatus.COMPLETED})

    assert run["batch_id"] in problem(await delete(api, series), 409, "batch_has_runs")["detail"]
    await api.post(f"batches/{run['batch_id']}/cancel")
    assert (await delete(api, series)).status_code == 204

    assert await MongoBatchContacts(container.database).after(series["batch_id"], 0, 10) == []
    assert (await api.get(f"batches/{run['batch_id']}")).status_code == 200
    assert (await delete(api, run, delete_jobs=True)).status_code == 204
    assert await left(container, run) == []


async def test_the_key_of_a_deleted_batch_makes_no_other(
    api: httpx.AsyncClient, container: Container, account: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "una-vez"}
    made = (await api.post("batches", json=BATCH, headers=key)).json()
    await cancelled(api, container, made, {"state": "cancelled"})
    await delete(api, made, delete_jobs=True)
    again = await api.post("batches", json=BATCH, headers=key)
    assert made["batch_id"] in problem(again, 409, "batch_was_deleted")["detail"]


async def test_a_viewer_may_not_and_the_audit_log_knows_who_did(
    api: httpx.AsyncClient, container: Container, batch: Batch
) -> None:
    await cancelled(api, container, batch, {"state": "cancelled"})
    body = {"name": "mirón", "role": "viewer", "account_ids": ["acc-chile-001"]}
    async with somebody(api, (await api.post("api-keys", json=body)).json()["api_key"]) as viewer:
        problem(await delete(viewer, batch), 403, "not_permitted")
    body = {"name": "dueña", "role": "operator", "account_ids": ["acc-chile-001"]}
    async with somebody(api, (await api.post("api-keys", json=body)).json()["api_key"]) as operator:
        for _ in range(2):
            assert (await delete(operator, batch, delete_jobs=True)).status_code == 204
    entries = [entry for entry in (await api.get("audit-log")).json() if entry["operation"] == "delete_batch"]
    assert [(entry["status"], entry["account_id"]) for entry in entries] == [(204, "acc-chile-001")] * 2 + [(403, None)]
    assert entries[0]["path"] == f"/api/v1/batches/{batch['batch_id']}?delete_jobs=true"


async def test_a_retry_that_comes_together_with_the_deletion_calls_nobody(
    api: httpx.AsyncClient, container: Container, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (failed,) = await set_jobs(container, batch, {"state": "failed"})
    batches = MongoBatches(container.database)
    await batches.update(batch["batch_id"], {"status": BatchStatus.COMPLETED, "wake_at": None})
    jobs = container.jobs
    reopen = jobs._jobs.reopen

    async def deleted_just_before(*args: Any, **kwargs: Any) -> Any:
        # The retry has opened the batch again; a worker that finds nothing to do completes it.
        await batches.update(batch["batch_id"], {"status": BatchStatus.COMPLETED})
        assert (await delete(api, batch)).status_code == 204
        return await reopen(*args, **kwargs)

    monkeypatch.setattr(jobs._jobs, "reopen", deleted_just_before)
    with pytest.raises(Conflict, match="batch_not_changeable"):
        await jobs.retry(failed, user="ana")
    assert (await jobs.get(failed)).job.state is JobState.CANCELLED


OF_A_BATCH = [
    (method, path)
    for method, path in WITH_IDS
    if "{batch_id}" in path and (method, path) != ("DELETE", "batches/{batch_id}")
]


@pytest.mark.parametrize(("method", "path"), OF_A_BATCH)
async def test_no_route_knows_a_deleted_batch(
    api: httpx.AsyncClient, container: Container, batch: Batch, method: str, path: str
) -> None:
    await cancelled(api, container, batch, CALLED)
    work = (await api.get(f"batches/{batch['batch_id']}/imports")).json()[0]["import_id"]
    await delete(api, batch)

    filled = path.format(batch_id=batch["batch_id"], import_id=work)
    file = {"file": ("lista.csv", b"nombre,telefono\nAna,+56983104521\n")}
    body = {"name": "Otra"} if method == "PATCH" else {"phone": "+56983104521"}
    sent: dict[str, Any] = {"files": file} if path.endswith("/upload") else {"json": body}
    problem(await api.request(method, filled, **sent), 404, "batch_not_found")
