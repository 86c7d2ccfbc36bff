"""Something of everything, so that schemathesis's questions get past "there is no such batch"."""

from typing import Any

import httpx

from app.bootstrap import Container
from app.domain.calls import CallStatus
from app.domain.jobs import JobState
from app.domain.outcomes import Disposition
from app.domain.workers import Vitals, WorkerState
from app.repositories.jobs import MongoJobs
from app.repositories.workers import MongoWorkers
from tests.api.conftest import ACCOUNT, BATCH, batch_body
from tests.builders import make_contact, make_job, make_record, make_report

CSV = "nombre,telefono,monto\nJuan Pérez,+56912345678,50000\nAna,nada,1\n".encode()

WEBHOOK = {"url": "https://crm.example.com/hooks", "event_types": ["call.finished"]}


async def populate(api: httpx.AsyncClient, container: Container) -> dict[str, str]:
    """An account with batches in several states and what belongs to them: the ids, by the parameters they are for."""
    await _created(api, "accounts", ACCOUNT)
    await _created(api, "accounts", ACCOUNT | {"account_id": "acc-fuzz-002", "initial_credits": 0})
    batches = [
        await _created(api, "batches", body)
        for body in (
            BATCH,
            {name: value for name, value in BATCH.items() if name != "contacts"},
            BATCH,
            batch_body(schedule_type="recurring", recurring_config={"frequency": "daily", "interval": 1}),
            BATCH,
        )
    ]
    running, draft, paused, recurring, spare = (batch["batch_id"] for batch in batches)
    (await api.patch(f"batches/{paused}", json={"is_active": False})).raise_for_status()
    (job,) = (await api.get("jobs", params={"batch_id": running})).json()
    preview = await api.post(
        "batches/excel/preview", data={"account_id": "acc-chile-001"}, files={"file": ("lista.csv", CSV)}
    )
    user = {"email": "ana@example.com", "name": "Ana", "role": "operator", "password": "una-clave-muy-larga"}
    added = await api.post("do-not-call", json={"phones": ["+56911112222"], "account_id": "acc-chile-001"})
    return {
        "account_id": "acc-chile-001",
        "batch_id": running,
        "draft_id": draft,
        "paused_id": paused,
        "recurring_id": recurring,
        "spare_batch_id": spare,
        "job_id": job["job_id"],
        "finished_job_id": await _put_finished_job(container, running),
        "upload_id": preview.raise_for_status().json()["upload_id"],
        "user_id": (await _created(api, "users", user))["id"],
        "key_id": (await _created(api, "api-keys", {"name": "ERP", "role": "viewer"}))["key_id"],
        "entry_id": added.raise_for_status().json()["entries"][0]["entry_id"],
        "worker_id": await _put_worker(container),
        "webhook_id": (await _created(api, "accounts/acc-chile-001/webhooks", WEBHOOK))["webhook_id"],
    }


async def _created(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def _put_finished_job(container: Container, batch_id: str) -> str:
    """One that was called twice, as a worker would have left it."""
    now = container.clock.now()
    job = make_job(
        job_id=f"{batch_id}-900000",
        batch_id=batch_id,
        account_id="acc-chile-001",
        state=JobState.COMPLETED,
        contact=make_contact(2),
        attempts=2,
        history=[
            make_record(now, attempt_id="attempt-1"),
            make_record(
                now,
                attempt_id="attempt-2",
                number=2,
                call_id="call-1",
                disposition=Disposition.ANSWERED,
                duration_seconds=42.5,
                billed_seconds=43,
            ),
        ],
        report=make_report(
            "user_hangup",
            CallStatus.ENDED,
            duration_ms=42_500,
            cost_cents=7,
            billed_seconds=43,
            transcript="Hola",
            analysis={"call_successful": True},
            collected_variables={"fecha_pago_cliente": "mañana"},
        ),
        created_at=now,
        updated_at=now,
        finished_at=now,
    )
    await MongoJobs(container.database).insert_many([job])
    return job.job_id


async def _put_worker(container: Container) -> str:
    vitals = Vitals(
        host="calls-1",
        pid=4711,
        version="0.1.0",
        state=WorkerState.RUNNING,
        concurrency=200,
        in_use=1,
        calls_in_flight=1,
        clock_offset_seconds=0,
        lease_seconds=3600,
    )
    return (await MongoWorkers(container.database).note("worker-1", vitals)).worker_id
