"""POST /batches: what it makes."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from tests.api.conftest import BATCH, batch_body, problem, stored


async def create(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await api.post("batches", json=batch_body(**changes))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def events_of(api: httpx.AsyncClient, batch_id: str) -> list[str]:
    return [entry["event"] for entry in (await api.get(f"batches/{batch_id}/logs")).json()["logs"]]


async def test_the_contracts_example_answers_the_whole_batch(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    answer = await api.post("batches", json=BATCH)
    assert answer.status_code == 201
    body = answer.json()
    assert body["_id"] == body["batch_id"]
    assert answer.headers["location"] == f"/api/v1/batches/{body['batch_id']}"
    for name in BATCH.keys() - {"contacts"}:
        assert body[name] == BATCH[name], name
    assert (body["status"], body["is_active"]) == ("running", True)
    counts = ("total_jobs", "pending_jobs", "completed_jobs", "failed_jobs", "total_cost", "total_minutes")
    assert [body[name] for name in counts] == [1, 1, 0, 0, 0, 0]
    assert body["warnings"] == []
    assert body["created_at"].endswith("Z")
    assert body["updated_at"].endswith("Z")
    read = (await api.get(f"batches/{body['batch_id']}")).json()
    assert read == {name: value for name, value in body.items() if name not in {"warnings", "voice"}}
    assert (await stored(container))["jobs"] == 1


async def test_the_examples_values_are_the_defaults(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    given = {name: BATCH[name] for name in ("account_id", "name", "contacts")}
    body = (await api.post("batches", json=given)).json()
    for name in ("voice_settings", "call_settings", "schedule_type", "scheduled_at", "recurring_config", "priority"):
        assert body[name] == BATCH[name], name


async def test_both_forms_of_a_contact_make_the_same_job(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    flat = BATCH["contacts"][0]
    explicit = {
        "nombre": flat["name"],
        "telefono": ", ".join(flat["phones"]),
        "correo": flat["email"],
        "custom_fields": {"rut": flat["rut"], "monto_deuda": 50000},
    }
    body = await create(api, contacts=[flat, explicit])
    second, first = (await api.get("jobs", params={"batch_id": body["batch_id"]})).json()
    for name in ("contact", "payload", "nombre", "rut"):
        assert first[name] == second[name], name
    assert first["payload"] == {"rut": "12345678-9", "monto_deuda": "50000"}
    assert (first["row"], second["row"]) == (1, 2)


async def test_a_dni_of_its_own_can_be_spoken(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    contact = {"name": "Ana", "phones": ["+56912345678"], "dni": "30123456"}
    body = await create(api, contacts=[contact], script_content="Su documento es {{dni}}")
    job = (await api.get("jobs", params={"batch_id": body["batch_id"]})).json()[0]
    assert job["contact"]["dni"] == "30123456"
    assert job["payload"]["dni"] == "30123456"


async def test_a_number_without_country_is_the_accounts(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = await create(api, contacts=[{"name": "Ana", "phone": "9 1234 5678"}])
    job = (await api.get("jobs", params={"batch_id": body["batch_id"]})).json()[0]
    assert job["contact"]["phones"] == ["+56912345678"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [("HIGH", "high"), ("Urgent", "urgent"), (1, "low"), (2, "normal"), (3, "high"), (4, "urgent")],
)
async def test_priorities(api: httpx.AsyncClient, account: dict[str, Any], given: object, shown: str) -> None:
    assert (await create(api, priority=given))["priority"] == shown


async def test_seven_is_sunday(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = await create(api, call_settings={"days_of_week": [7, 6, 0, 6]})
    assert body["call_settings"]["days_of_week"] == [0, 6]


@pytest.mark.parametrize(("start", "end"), [("22:00", "06:00"), ("00:00", "00:00"), ("23:59", "00:00")])
async def test_windows_over_midnight_and_whole_days(
    api: httpx.AsyncClient, account: dict[str, Any], start: str, end: str
) -> None:
    hours = {"start": start, "end": end}
    assert (await create(api, call_settings={"allowed_hours": hours}))["call_settings"]["allowed_hours"] == hours


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("call_settings", {"max_call_duration": 60, "ring_timeout": 5, "max_attempts": 1, "retry_delay_hours": 0.25}),
        (
            "call_settings",
            {"max_call_duration": 7200, "ring_timeout": 300, "max_attempts": 20, "retry_delay_hours": 2160},
        ),
        (
            "call_settings",
            {
                "holidays": {"country": "BR", "subdivision": "SP"},
                "retry_rules": {
                    "voicemail": {"delay_hours": 2160.0, "max": 20},
                    "busy": {"delay_hours": None, "max": 0},
                },
            },
        ),
        ("voice_settings", {"speed": 0.5, "volume": 0.5}),
        ("voice_settings", {"speed": 2.0, "volume": 2.0}),
    ],
)
async def test_bounds_are_inside(
    api: httpx.AsyncClient, account: dict[str, Any], part: str, values: dict[str, Any]
) -> None:
    body = await create(api, **{part: values})
    assert body[part] == BATCH[part] | values


@pytest.mark.parametrize("pitch", [-10, 2.5, 10])
async def test_a_pitch_is_accepted_and_said_to_do_nothing(
    api: httpx.AsyncClient, account: dict[str, Any], pitch: float
) -> None:
    body = await create(api, voice_settings={"pitch": pitch})
    assert body["voice_settings"]["pitch"] == pitch
    (warning,) = body["warnings"]
    assert warning["loc"] == ["voice_settings", "pitch"]
    assert warning["code"] == "voice_pitch_ignored"
    assert "voice_pitch_ignored" in await events_of(api, body["batch_id"])


async def test_a_scheduled_batch_waits(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    local = start.astimezone().isoformat()
    body = await create(api, schedule_type="Scheduled", scheduled_at=local)
    assert (body["status"], body["is_active"], body["schedule_type"]) == ("scheduled", True, "scheduled")
    assert body["scheduled_at"] == f"{start:%Y-%m-%dT%H:%M:%SZ}"
    assert datetime.fromisoformat(body["next_window_opens_at"]) >= start
    job = (await api.get("jobs", params={"batch_id": body["batch_id"]})).json()[0]
    assert job["next_attempt_at"] == body["scheduled_at"]
    assert await events_of(api, body["batch_id"]) == ["batch_created"]


async def test_without_contacts_it_is_a_draft(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    body = await create(api, contacts=None)
    assert (body["status"], body["total_jobs"]) == ("draft", 0)
    assert (await stored(container))["jobs"] == 0
    assert await events_of(api, body["batch_id"]) == ["draft_created"]


async def test_its_log_tells_in_the_order_of_events(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = await create(api)
    log = (await api.get(f"batches/{body['batch_id']}/logs", params={"limit": 50})).json()
    assert log["batch_id"] == body["batch_id"]
    assert [(entry["event"], entry["message"], entry["user"]) for entry in log["logs"]] == [
        ("batch_created", "Batch creado con 1 jobs", "api"),
        ("batch_started", "Batch iniciado automáticamente", "system"),
    ]
    newest = (await api.get(f"batches/{body['batch_id']}/logs", params={"limit": 1})).json()
    assert [entry["event"] for entry in newest["logs"]] == ["batch_started"]


async def test_a_variable_without_value_is_refused_with_its_rows_unless_allowed(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    contacts = [
        {"name": "Ana", "phones": ["+56912345678"], "monto": "1"},
        {"name": "Luis", "phones": ["+56912345679"]},
    ]
    body = batch_body(contacts=contacts, script_content="{{nombre}} debe {{monto}} al {{fecha_hoy}}")
    refused = await api.post("batches", json=body)
    (error,) = problem(refused, 422, "invalid_input")["errors"]
    assert error["type"] == "variables_missing"
    assert "2" in error["msg"]
    assert "monto" in error["msg"]
    assert "nombre" not in error["msg"]
    assert (await stored(container))["batches"] == 0
    assert (await api.post("batches", json=body | {"allow_missing_variables": True})).status_code == 201


async def test_a_key_creates_once(api: httpx.AsyncClient, account: dict[str, Any], container: Container) -> None:
    headers = {"Idempotency-Key": "lunes"}
    once = await api.post("batches", json=BATCH, headers=headers)
    again = await api.post("batches", json=batch_body(priority="NORMAL"), headers=headers)
    assert once.status_code == again.status_code == 201
    assert again.json() == once.json()
    problem(await api.post("batches", json=batch_body(name="Otra"), headers=headers), 409, "idempotency_key_reused")
    counts = await stored(container)
    assert (counts["batches"], counts["jobs"]) == (1, 1)
    assert (await api.post("batches", json=BATCH)).json()["batch_id"] != once.json()["batch_id"]


async def test_a_key_creates_once_also_at_the_same_time(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    headers = {"Idempotency-Key": "doble clic"}
    answers = await asyncio.gather(*(api.post("batches", json=BATCH, headers=headers) for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["batch_id"] for answer in answers if answer.status_code == 201}) == 1
    counts = await stored(container)
    assert (counts["batches"], counts["jobs"]) == (1, 1)


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_has_bounds(api: httpx.AsyncClient, account: dict[str, Any], key: str) -> None:
    answer = await api.post("batches", json=BATCH, headers={"Idempotency-Key": key})
    errors = problem(answer, 422, "invalid_input")["errors"]
    assert errors[0]["loc"] == ["header", "Idempotency-Key"]


async def test_columns_that_the_agent_gets_under_another_name_are_said_in_the_log(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    contact = {"name": "Ana", "phones": ["+56912345678"], "direction": "Alameda 1", "do_not_call": "no", "monto": "5"}
    answer = await api.post("batches", json=batch_body(contacts=[contact], script_content="Calle {{direction}}"))
    assert answer.status_code == 201, answer.text
    logs = (await api.get(f"batches/{answer.json()['batch_id']}/logs", headers={"Accept-Language": "en"})).json()[
        "logs"
    ]
    (entry,) = [entry for entry in logs if "contact_" in entry["message"]]
    assert "direction, do_not_call" in entry["message"]
