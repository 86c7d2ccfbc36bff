"""GET /jobs/{id}/timeline: what happened, in the operator's language."""

from datetime import timedelta
from typing import Any

import httpx

from app.bootstrap import Container
from tests.api.conftest import batch_body, problem

Batch = dict[str, Any]


async def timeline(api: httpx.AsyncClient, job_id: str, **headers: str) -> dict[str, Any]:
    answer = await api.get(f"jobs/{job_id}/timeline", headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_new_job_has_been_created(api: httpx.AsyncClient, batch: Batch) -> None:
    job_id = f"{batch['batch_id']}-000001"
    body = await timeline(api, job_id)
    assert (body["job_id"], body["batch_id"], body["status"]) == (job_id, batch["batch_id"], "pending")
    assert body["truncated"] is False
    now = body["now"]
    assert (now["state"], now["why"]["code"] in {"waiting_its_turn", "hours_closed"}) == ("pending", True)
    (created,) = body["events"]
    assert {name: value for name, value in created.items() if value is not None} == {
        "at": batch["created_at"],
        "event": "created",
        "state": "pending",
        "by": "system",
        "message": "Contacto agregado al batch",
    }


async def test_what_operators_do_is_told_in_their_language(api: httpx.AsyncClient, batch: Batch) -> None:
    job_id = f"{batch['batch_id']}-000001"
    await api.put(f"jobs/{job_id}/cancel")
    await api.put(f"jobs/{job_id}/retry")
    body = await timeline(api, job_id, **{"Accept-Language": "en"})
    assert [(event["event"], event["by"]) for event in body["events"]] == [
        ("created", "system"),
        ("cancelled", "api"),
        ("retried", "api"),
    ]
    assert body["events"][1]["reason"] == {"code": "cancelled_by_operator", "message": "Cancelled by an operator"}
    assert [event["message"] for event in body["events"][1:]] == ["Cancelled", "Another attempt was asked for"]


async def test_now_says_who_keeps_it_from_being_called(api: httpx.AsyncClient, batch: Batch) -> None:
    job_id = f"{batch['batch_id']}-000001"
    await api.patch(f"batches/{batch['batch_id']}", json={"is_active": False})
    now = (await timeline(api, job_id, **{"Accept-Language": "en"}))["now"]
    assert now["why"] == {
        "code": "batch_is_paused_by",
        "message": "api paused it; it stays so until somebody resumes it",
    }
    assert now["since"] is not None
    assert now["next"] is None


async def test_now_says_when_it_will_be_called(api: httpx.AsyncClient, account: Batch, container: Container) -> None:
    at = (container.clock.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    always = {"allowed_hours": {"start": "00:00", "end": "00:00"}, "days_of_week": [0, 1, 2, 3, 4, 5, 6]}
    body = batch_body(schedule_type="scheduled", scheduled_at=at, call_settings=always)
    batch = (await api.post("batches", json=body)).json()
    now = (await timeline(api, f"{batch['batch_id']}-000001"))["now"]
    assert (now["why"]["code"], now["next"]) == ("batch_is_scheduled", at)


async def test_cancelling_a_batch_tells_its_jobs(api: httpx.AsyncClient, batch: Batch) -> None:
    await api.post(f"batches/{batch['batch_id']}/cancel")
    event = (await timeline(api, f"{batch['batch_id']}-000001"))["events"][-1]
    assert (event["event"], event["by"], event["reason"]["code"]) == ("cancelled", "api", "batch_cancelled")


async def test_a_job_that_is_not_there_has_no_timeline(api: httpx.AsyncClient, account: Batch) -> None:
    problem(await api.get("jobs/none/timeline"), 404, "job_not_found")
