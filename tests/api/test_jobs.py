"""/jobs: the contract's shape at every stage of a job's life, retry and cancel."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.domain.calls import CallStatus
from app.domain.jobs import AttemptRecord, Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.outcomes import Disposition
from app.repositories.jobs import MongoJobs
from tests.api.conftest import batch_body, error_at, problem
from tests.builders import NOW, make_attempt, make_contact, make_job, make_report

Batch = dict[str, Any]
PHONES = ["+56900000001", "+56900000002"]


async def put(container: Container, batch: Batch, **changes: Any) -> Job:
    """A job of the batch as a worker would have left it."""
    values = {"job_id": f"{batch['batch_id']}-900000", "batch_id": batch["batch_id"], "account_id": "acc-chile-001"}
    job = make_job(**(values | {"contact": make_contact(2), **changes}))
    await MongoJobs(container.database).insert_many([job])
    return job


def record(disposition: Disposition = Disposition.NO_ANSWER, **changes: Any) -> AttemptRecord:
    values: dict[str, Any] = {
        "attempt_id": "attempt-1",
        "number": 1,
        "phone": PHONES[0],
        "call_id": "call-1",
        "disposition": disposition,
        "disconnection_reason": "dial_no_answer",
        "counted": True,
        "dialed_at": NOW,
        "ended_at": NOW + timedelta(seconds=30),
        "duration_seconds": 0,
        "billed_seconds": 0,
        "cost": Decimal(0),
        "provider_cost_cents": None,
    }
    return AttemptRecord.model_validate(values | changes)


async def read(api: httpx.AsyncClient, job: Job) -> dict[str, Any]:
    """The job; the list must say the same of it as the job itself does."""
    answer = await api.get(f"jobs/{job.job_id}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    listed = (await api.get("jobs", params={"batch_id": job.batch_id})).json()
    (entry,) = [entry for entry in listed if entry["job_id"] == job.job_id]
    assert entry == {name: value for name, value in body.items() if name != "history"}
    return body


async def test_a_new_job(api: httpx.AsyncClient, batch: Batch) -> None:
    (body,) = (await api.get("jobs", params={"batch_id": batch["batch_id"]})).json()
    assert body == {
        "_id": f"{batch['batch_id']}-000001",
        "job_id": f"{batch['batch_id']}-000001",
        "account_id": "acc-chile-001",
        "batch_id": batch["batch_id"],
        "row": 1,
        "status": "pending",
        "reason": None,
        "contact": {
            "name": "Juan Pérez",
            "dni": "12345678-9",
            "phones": ["+56912345678", "+56987654321"],
            "next_phone_index": 0,
            "email": "juan@email.com",
        },
        "payload": {"rut": "12345678-9", "monto_deuda": "50000"},
        "attempts": 0,
        "tries": 0,
        "max_attempts": 3,
        "estimated_cost": 0.75,
        "cost": 0,
        "created_at": body["created_at"],
        "started_at": None,
        "updated_at": body["created_at"],
        "finished_at": None,
        "next_attempt_at": body["created_at"],
        "reserved_until": None,
        "worker_id": None,
        "is_calling": False,
        "call_id": None,
        "call_started_at": None,
        "call_ended_at": None,
        "call_duration_seconds": None,
        "last_error": None,
        "nombre": "Juan Pérez",
        "rut": "12345678-9",
        "to_number": None,
        "call_result": None,
    }
    datetime.fromisoformat(body["created_at"])


async def test_a_job_in_a_call(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    job = await put(
        container,
        batch,
        state=JobState.IN_CALL,
        slot=0,
        attempts=1,
        worker_id="worker-1",
        lease_until=NOW,
        started_at=NOW,
        attempt=make_attempt(call_id="call-1"),
        report=make_report(status=CallStatus.ONGOING, started_at=NOW),
    )
    body = await read(api, job)
    assert (body["status"], body["is_calling"], body["worker_id"]) == ("in_progress", True, "worker-1")
    assert (body["call_id"], body["to_number"], body["attempts"], body["tries"]) == ("call-1", PHONES[0], 1, 1)
    assert (body["call_started_at"], body["call_ended_at"]) == ("2026-06-03T15:00:00Z", None)
    assert (body["reserved_until"], body["next_attempt_at"], body["call_result"]) == (
        "2026-06-03T15:00:00Z",
        None,
        None,
    )


async def test_a_job_that_was_answered(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    report = make_report(
        "agent_hangup",
        started_at=NOW,
        ended_at=NOW + timedelta(seconds=61),
        duration_ms=61500,
        billed_seconds=62,
        cost_cents=Decimal("10.5"),
        analysis={"call_summary": "Pagará", "in_voicemail": False},
        transcript="User: Hola",
        recording_url="https://example.com/a.wav",
        public_log_url="https://example.com/a.txt",
        collected_variables={"fecha_pago_cliente": "2026-06-10", "monto_pago_cliente": "50000", "interno": "x"},
    )
    done = record(
        Disposition.ANSWERED,
        disconnection_reason="agent_hangup",
        duration_seconds=61.5,
        billed_seconds=62,
        cost=Decimal("0.155"),
        provider_cost_cents=Decimal("10.5"),
    )
    job = await put(
        container,
        batch,
        state=JobState.COMPLETED,
        attempts=1,
        report=report,
        disposition=Disposition.ANSWERED,
        history=[done],
        finished_at=NOW,
    )
    body = await read(api, job)
    assert (body["status"], body["cost"], body["last_error"]) == ("completed", 0.155, None)
    assert (body["fecha_pago_cliente"], body["monto_pago_cliente"]) == ("2026-06-10", "50000")
    assert "interno" not in body
    assert (body["call_id"], body["to_number"], body["call_duration_seconds"]) == ("call-1", PHONES[0], 61.5)
    assert (body["finished_at"], body["call_ended_at"]) == ("2026-06-03T15:00:00Z", "2026-06-03T15:01:01Z")
    assert body["call_result"] == {
        "success": True,
        "status": "answered",
        "summary": {
            "call_status": "ended",
            "disconnection_reason": "agent_hangup",
            "duration_ms": 61500,
            "call_cost": {"combined_cost": 10.5, "total_duration_seconds": 62.0},
            "call_analysis": {"call_summary": "Pagará", "in_voicemail": False},
            "recording_url": "https://example.com/a.wav",
            "public_log_url": "https://example.com/a.txt",
            "transcript": "User: Hola",
            "collected_dynamic_variables": report.collected_variables,
        },
    }
    assert body["history"] == [
        {
            "attempt_id": "attempt-1",
            "number": 1,
            "phone": PHONES[0],
            "call_id": "call-1",
            "status": "answered",
            "disconnection_reason": "agent_hangup",
            "counted": True,
            "dialed_at": "2026-06-03T15:00:00Z",
            "ended_at": "2026-06-03T15:00:30Z",
            "duration_seconds": 61.5,
            "billed_seconds": 62,
            "cost": 0.155,
        }
    ]


async def test_a_job_that_is_tried_again(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    job = await put(
        container,
        batch,
        waiting_for=WaitingFor.RETRY,
        reason=Message(code="after_no_answer"),
        due_at=NOW + timedelta(hours=24),
        attempts=1,
        next_phone_index=1,
        report=make_report("dial_no_answer", CallStatus.NOT_CONNECTED),
        disposition=Disposition.NO_ANSWER,
        history=[record()],
    )
    body = await read(api, job)
    assert (body["status"], body["next_attempt_at"], body["contact"]["next_phone_index"]) == (
        "scheduled",
        "2026-06-04T15:00:00Z",
        1,
    )
    assert body["reason"] == {"code": "after_no_answer", "message": "No contestó"}
    assert body["last_error"] == "No contestó"
    assert (body["call_result"]["success"], body["call_result"]["status"]) == (False, "no_answer")
    assert body["call_result"]["summary"]["call_status"] == "not_connected"
    assert body["call_result"]["summary"]["duration_ms"] == 0


async def test_what_a_job_waits_for_is_no_error(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    job = await put(
        container,
        batch,
        waiting_for=WaitingFor.BALANCE,
        reason=Message(code="no_balance"),
        attempts=1,
        history=[record(Disposition.BUSY)],
    )
    body = await read(api, job)
    assert (body["reason"]["code"], body["last_error"]) == ("no_balance", "Ocupado")


async def test_a_number_that_was_refused_has_no_call(
    api: httpx.AsyncClient, batch: Batch, container: Container
) -> None:
    refused = record(Disposition.INVALID_NUMBER, call_id=None, disconnection_reason=None, counted=False)
    job = await put(
        container,
        batch,
        state=JobState.FAILED,
        reason=Message(code="no_phone_left"),
        disposition=Disposition.INVALID_NUMBER,
        history=[refused],
        finished_at=NOW,
    )
    body = await read(api, job)
    assert (body["status"], body["call_id"]) == ("failed", None)
    assert body["last_error"].startswith("No queda ningún teléfono válido del contacto")
    assert body["call_result"]["status"] == "invalid_number"
    assert body["call_result"]["summary"]["call_status"] == "not_connected"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"waiting_for": WaitingFor.NEW}, "pending"),
        ({"waiting_for": WaitingFor.HOURS}, "scheduled"),
        ({"waiting_for": WaitingFor.RETRY}, "scheduled"),
        ({"waiting_for": WaitingFor.BALANCE}, "suspended"),
        ({"state": JobState.LEASED, "slot": 0}, "in_progress"),
        ({"state": JobState.UNCERTAIN, "slot": 0, "attempt": make_attempt()}, "in_progress"),
        ({"state": JobState.COMPLETED}, "completed"),
        ({"state": JobState.FAILED}, "failed"),
        ({"state": JobState.CANCELLED}, "cancelled"),
    ],
)
async def test_the_status_as_the_contract_names_it_can_be_asked_for(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container, changes: dict[str, Any], shown: str
) -> None:
    draft = (await api.post("batches", json=batch_body(contacts=None))).json()
    job = await put(container, draft, **changes)
    assert (await read(api, job))["status"] == shown
    for status in ("pending", "scheduled", "suspended", "in_progress", "completed", "failed", "cancelled"):
        listed = await api.get("jobs", params={"account_id": "acc-chile-001", "status": status.upper()})
        found = [entry["job_id"] for entry in listed.json()]
        assert found == ([job.job_id] if status == shown else []), status
        assert listed.headers["x-total-count"] == str(len(found))


async def test_lists_filter_and_turn_pages(api: httpx.AsyncClient, batch: Batch) -> None:
    contacts = [{"name": f"Persona {n}", "phones": [f"+5691234567{n}"]} for n in range(5)]
    other = (await api.post("batches", json=batch_body(contacts=contacts))).json()
    page = await api.get("jobs", params={"batch_id": other["batch_id"], "limit": 2, "skip": 1})
    assert [entry["nombre"] for entry in page.json()] == ["Persona 3", "Persona 2"]
    assert page.headers["x-total-count"] == "5"
    following = await api.get("http://cadencia.test" + page.links["next"]["url"])
    assert [entry["nombre"] for entry in following.json()] == ["Persona 1", "Persona 0"]
    assert (await api.get("jobs", params={"account_id": "acc-chile-001"})).headers["x-total-count"] == "6"
    assert (await api.get("jobs", params={"account_id": "acc-x"})).json() == []
    assert (await api.get("jobs")).headers["x-total-count"] == "6"
    error_at(await api.get("jobs", params={"status": "ringing"}), "query", "status")


async def test_retry_gives_a_failed_job_one_more_attempt(
    api: httpx.AsyncClient, batch: Batch, container: Container
) -> None:
    job = await put(
        container,
        batch,
        state=JobState.FAILED,
        attempts=3,
        reason=Message(code="max_attempts_reached", params={"attempts": 3}),
        finished_at=NOW,
    )
    assert (await read(api, job))["last_error"].startswith("Máximo de intentos (3)")
    answer = await api.put(f"jobs/{job.job_id}/retry")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["attempts"], body["max_attempts"], body["finished_at"]) == ("pending", 3, 4, None)
    log = (await api.get(f"batches/{batch['batch_id']}/logs")).json()["logs"][-1]
    assert (log["event"], log["user"]) == ("job_retried", "api")
    assert job.job_id in log["message"]


async def test_a_contact_that_was_reached_is_not_called_again(
    api: httpx.AsyncClient, batch: Batch, container: Container
) -> None:
    job = await put(container, batch, state=JobState.COMPLETED)
    assert "completed" in problem(await api.put(f"jobs/{job.job_id}/retry"), 409, "job_not_retryable")["detail"]
    problem(await api.put(f"jobs/{job.job_id}/cancel"), 409, "job_not_cancellable")


async def test_cancelling_a_job(api: httpx.AsyncClient, batch: Batch) -> None:
    path = f"jobs/{batch['batch_id']}-000001/cancel"
    body = (await api.put(path)).json()
    assert (body["status"], body["reason"]["code"], body["next_attempt_at"]) == (
        "cancelled",
        "cancelled_by_operator",
        None,
    )
    assert (await api.put(path)).status_code == 200


async def test_an_unknown_job_is_not_found_anywhere(api: httpx.AsyncClient) -> None:
    for method, path in (("GET", "jobs/job-x"), ("PUT", "jobs/job-x/retry"), ("PUT", "jobs/job-x/cancel")):
        assert "job-x" in problem(await api.request(method, path), 404, "job_not_found")["detail"]
