"""POST /batches/excel/create: a batch from a file in one request."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from app.bootstrap import Container
from app.domain.use_cases import USE_CASES, ProcessingType
from tests.api.conftest import ACCOUNT, batch_body, error_at, problem, stored
from tests.api.test_access import somebody
from tests.api.test_tenancy import OWN, stranger
from tests.api.test_uploads import workbook

HEADER = ("nombre", "telefono", "rut", "monto_deuda", "fecha_vencimiento")
ANA = ("Ana", "+56983104521", "12345678-5", "1000", "01/02/2026")
LUIS = ("Luis", "+56983104522", "9876543-3", "2000", "01/03/2026")
EVA = ("Eva", "+56983104523", "7654321-6", "3000", "01/04/2026")


async def create(
    api: httpx.AsyncClient,
    *rows: tuple[object, ...],
    content: bytes | None = None,
    name: str = "mora.xlsx",
    key: str | None = None,
    **form: Any,
) -> httpx.Response:
    """`content`: of the file, instead of the rows."""
    file = content if content is not None else workbook(HEADER, *rows)
    data = {"account_id": "acc-chile-001", **form}
    headers = {"Idempotency-Key": key} if key else {}
    return await api.post("batches/excel/create", files={"file": (name, file)}, data=data, headers=headers)


async def created(api: httpx.AsyncClient, *rows: tuple[object, ...], **form: Any) -> dict[str, Any]:
    answer = await create(api, *rows, **form)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/api/v1/batches/{body['batch_id']}"
    return body


async def batch_of(api: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.get(f"batches/{body['batch_id']}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def jobs_of(api: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    """In the order of the rows."""
    return list((await api.get("jobs", params={"batch_id": body["batch_id"], "sort": "created_at"})).json())


async def test_the_contracts_answer(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = await created(api, ANA, LUIS, name="C:\\listas\\Mora marzo.xlsx")

    batch_id = body.pop("batch_id")
    assert body == {
        "success": True,
        "batch_name": "Mora marzo",
        "status": "running",
        "jobs_created": 2,
        "contacts_processed": 2,
        "duplicates_skipped": 0,
        "errors": [],
        "warnings": [],
        "invalid_rows": 0,
        "hidden_rows": 0,
        "warning_rows": 0,
        "column_warnings": [],
    }
    batch = await batch_of(api, {"batch_id": batch_id})
    assert (batch["status"], batch["total_jobs"], batch["script_content"]) == ("running", 2, "")
    assert batch["call_settings"]["timezone"] == "America/Santiago"
    ana, luis = await jobs_of(api, batch)
    assert (ana["nombre"], ana["contact"]["phones"]) == ("Ana", ["+56983104521"])
    assert luis["payload"]["monto_deuda"] == "2000"


async def test_bad_rows_are_told_and_the_others_called(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = await created(api, ANA, ("Sin", "no tiene"), LUIS, ("Corto", "123"), batch_name=" Mora ")
    assert (body["batch_name"], body["jobs_created"], body["invalid_rows"]) == ("Mora", 2, 2)
    assert [row["rowIndex"] for row in body["errors"]] == [3, 5]
    assert body["errors"][0]["errors"][0].keys() >= {"field", "message"}
    assert body["errors"][0]["errors"][0]["field"] == "telefono"


async def test_a_person_that_comes_twice_is_skipped_unless_wanted(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    same_phone = ("Anita", "+56983104521", "", "1", "")
    same_id = ("Ana M.", "+56983104529", "12.345.678-5", "1", "")
    of_a_skipped_row = ("Otra", "+56983104529", "", "1", "")
    rows = (ANA, same_phone, same_id, LUIS, of_a_skipped_row)

    body = await created(api, *rows)

    assert (body["jobs_created"], body["contacts_processed"], body["duplicates_skipped"]) == (3, 5, 2)
    assert [job["nombre"] for job in await jobs_of(api, body)] == ["Ana", "Luis", "Otra"]
    told = {row["rowIndex"]: row["warnings"][0] for row in body["warnings"]}
    assert {number: warning["code"] for number, warning in told.items()} == dict.fromkeys((3, 4), "row_is_duplicate")
    assert "fila 2" in told[4]["message"]

    everybody = await created(api, *rows, allow_duplicates="true")
    assert (everybody["jobs_created"], everybody["duplicates_skipped"]) == (5, 0)


async def test_who_is_in_an_active_batch_is_skipped_unless_wanted(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    first = await created(api, ANA, LUIS)

    second = await created(api, LUIS, EVA)

    assert (second["jobs_created"], second["duplicates_skipped"]) == (1, 1)
    (skipped,) = second["warnings"]
    assert (skipped["rowIndex"], skipped["warnings"][0]["code"]) == (2, "person_in_active_batch")
    assert first["batch_id"] in skipped["warnings"][0]["message"]
    assert [job["nombre"] for job in await jobs_of(api, second)] == ["Eva"]
    assert (await created(api, LUIS, EVA, allow_duplicates="1"))["jobs_created"] == 2

    other = {**ACCOUNT, "account_id": "acc-otra"}
    await api.post("accounts", json=other)
    assert (await created(api, LUIS, account_id="acc-otra"))["duplicates_skipped"] == 0


async def test_nobody_left_creates_nothing_and_says_of_each_row_why(
    api: httpx.AsyncClient, container: Container, account: dict[str, Any]
) -> None:
    await created(api, ANA)
    before = await stored(container)

    answer = await create(api, ANA, ("Sin", "no tiene"))

    assert error_at(answer, "file")["type"] == "no_callable_contact"
    assert error_at(answer, "file", 2, "contact")["type"] == "person_in_active_batch"
    assert error_at(answer, "file", 3, "telefono")["type"] == "phone_not_a_number"
    after = await stored(container)
    assert {name: after[name] for name in ("batches", "jobs", "batch_logs")} == {
        name: before[name] for name in ("batches", "jobs", "batch_logs")
    }


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_the_two_dates_are_of_the_batchs_zone(
    api: httpx.AsyncClient, container: Container, account: dict[str, Any], zone: str
) -> None:
    before = container.clock.now().astimezone(ZoneInfo(zone)).date()
    body = await created(
        api,
        (*ANA[:3], "1", "x"),
        call_settings_json=json.dumps({"timezone": zone}),
        dias_fecha_limite="0",
        dias_fecha_maxima=30,
        script_content="Pague antes del {{fecha_limite}}, a más tardar el {{fecha_maxima}}.",
    )
    (job,) = await jobs_of(api, body)
    # Midnight may have come meanwhile.
    after = container.clock.now().astimezone(ZoneInfo(zone)).date()
    assert (job["payload"]["fecha_limite"], job["payload"]["fecha_maxima"]) in [
        (f"{today:%d/%m/%Y}", f"{today + timedelta(days=30):%d/%m/%Y}") for today in (before, after)
    ]


async def test_a_date_that_is_not_asked_for_is_the_columns_own(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    content = workbook(("nombre", "telefono", "fecha_limite"), ("Ana", "+56983104521", "mañana"))
    (job,) = await jobs_of(api, await created(api, content=content))
    assert job["payload"]["fecha_limite"] == "mañana"
    asked = await created(api, content=content, dias_fecha_limite=1, allow_duplicates=True)
    assert (await jobs_of(api, asked))[0]["payload"]["fecha_limite"] != "mañana"


async def test_a_processing_type_brings_script_and_settings(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    presets = {preset["use_case_id"]: preset for preset in (await api.get("use-cases")).json()}
    expected = presets["debt_collection"]

    body = await created(api, ANA, processing_type="Debt_Collection")
    batch = await batch_of(api, body)
    assert batch["script_content"] == expected["script_template"]
    assert batch["call_settings"] == expected["call_settings"]

    sent = {"max_attempts": 7, "allowed_hours": {"start": "10:00", "end": "12:00"}}
    changed = await batch_of(
        api,
        await created(
            api,
            LUIS,
            processing_type="debt_collection",
            call_settings_json=json.dumps(sent),
            script_content="Hola {{nombre}}",
            voice_settings_json=json.dumps({"speed": 1.2}),
            batch_description="Segunda ronda",
        ),
    )
    assert changed["call_settings"] == expected["call_settings"] | sent
    assert (changed["script_content"], changed["description"]) == ("Hola {{nombre}}", "Segunda ronda")
    assert changed["voice_settings"]["speed"] == 1.2


async def test_settings_left_out_are_the_accounts(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    new = {**ACCOUNT, "account_id": "acc-ar", "country": "AR", "settings": {"timezone": "America/Buenos_Aires"}}
    assert (await api.post("accounts", json=new)).status_code == 201
    row = ("Ana", "+5491155550001", "", "1", "hoy")
    settings = (await batch_of(api, await created(api, row, account_id="acc-ar", processing_type="debt_collection")))[
        "call_settings"
    ]
    assert settings["timezone"] == "America/Buenos_Aires"
    assert settings["holidays"] == {"country": "AR", "subdivision": None}


def test_every_use_case_is_a_processing_type() -> None:
    assert {case.use_case_id for case in USE_CASES} | {"basic"} == {kind.value for kind in ProcessingType}


async def test_a_variable_without_value_is_refused_by_row_unless_allowed(
    api: httpx.AsyncClient, container: Container, account: dict[str, Any]
) -> None:
    rows = (ANA, ("Luis", "+56983104522", "", "", "hoy"))
    refused = problem(await create(api, *rows, processing_type="debt_collection"), 422, "invalid_input")
    assert "3" in refused["errors"][0]["msg"]
    assert (await api.get("batches")).json() == []
    allowed = await created(api, *rows, processing_type="debt_collection", allow_missing_variables="true")
    assert allowed["jobs_created"] == 2


@pytest.mark.parametrize(
    ("form", "loc"),
    [
        ({"call_settings_json": "{"}, ("call_settings_json",)),
        ({"call_settings_json": "[]"}, ("call_settings_json",)),
        ({"call_settings_json": '{"allowed_hours": "9"}'}, ("call_settings_json", "allowed_hours")),
        (
            {"call_settings_json": '{"allowed_hours": {"start": "25:00", "end": "18:00"}}'},
            ("call_settings_json", "allowed_hours", "start"),
        ),
        ({"call_settings_json": '{"max_atempts": 3}'}, ("call_settings_json", "max_atempts")),
        ({"call_settings_json": '{"days_of_week": []}'}, ("call_settings_json", "days_of_week")),
        ({"voice_settings_json": '{"speed": 9}'}, ("voice_settings_json", "speed")),
        ({"processing_type": "otro"}, ("processing_type",)),
        ({"dias_fecha_limite": "-1"}, ("dias_fecha_limite",)),
        ({"dias_fecha_maxima": "3651"}, ("dias_fecha_maxima",)),
        ({"dias_fecha_maxima": "mañana"}, ("dias_fecha_maxima",)),
        ({"allow_duplicates": "quizás"}, ("allow_duplicates",)),
        ({"batch_name": "x" * 201}, ("batch_name",)),
        ({"column_mapping": "[]"}, ("column_mapping",)),
        ({"column_mapping": '{"fono": "phone_1"}'}, ("column_mapping", "fono")),
    ],
)
async def test_wrong_fields_are_named_and_nothing_is_created(
    api: httpx.AsyncClient, container: Container, account: dict[str, Any], form: dict[str, Any], loc: tuple[str, ...]
) -> None:
    before = await stored(container)
    error_at(await create(api, ANA, **form), *loc)
    assert await stored(container) == before


async def test_a_field_that_is_no_json_is_said_to_be_none(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    error = error_at(await create(api, ANA, call_settings_json="{bad"), "call_settings_json")
    assert error["msg"] == "No es JSON válido. Revise comillas, comas y llaves."


async def test_fields_sent_empty_are_as_if_left_out(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    empty = dict.fromkeys(
        ("batch_name", "batch_description", "call_settings_json", "processing_type", "dias_fecha_limite"), ""
    )
    assert (await created(api, ANA, **empty))["batch_name"] == "mora"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "file_empty"), (b"%PDF-1.7 x", "file_is_pdf"), (b"\x00\x01\x02", "file_format_unknown")],
)
async def test_wrong_files(
    api: httpx.AsyncClient, container: Container, account: dict[str, Any], content: bytes, code: str
) -> None:
    before = await stored(container)
    problem(await create(api, content=content), 422, code)
    assert await stored(container) == before
    form = {"account_id": "acc-chile-001"}
    error_at(await api.post("batches/excel/create", data=form, files={"otro": ("a", b"b")}), "file")
    problem(await create(api, ANA, account_id="acc-nadie"), 404, "account_not_found")


async def test_the_same_request_again_is_answered_and_calls_nobody_twice(
    api: httpx.AsyncClient, container: Container, account: dict[str, Any]
) -> None:
    await created(api, EVA)
    file = workbook(HEADER, ANA, ANA, ("Sin", "no tiene"), EVA, LUIS)
    form: dict[str, Any] = {"content": file, "key": "una-vez", "dias_fecha_limite": 3}
    first = await created(api, **form)
    assert (first["jobs_created"], first["duplicates_skipped"], first["invalid_rows"]) == (2, 2, 1)
    before = await stored(container)

    again = await created(api, **form)

    assert await stored(container) == before
    assert [row["rowIndex"] for row in first["warnings"]] == [3, 5]
    assert again == first
    # Also when other contacts came into the batch, or it lost its own.
    files = {"file": ("mas.csv", b"nombre,telefono\nLeo,+56983104599\n")}
    await api.post(f"batches/{first['batch_id']}/upload", files=files)
    assert await created(api, **form) == first
    *_, own = (await api.get(f"batches/{first['batch_id']}/imports")).json()
    await api.delete(f"batches/{first['batch_id']}/imports/{own['import_id']}")
    assert await created(api, **form) == first
    for changes in (
        {"dias_fecha_limite": 4},
        {"allow_duplicates": True},
        {"batch_name": "Otra"},
        {"content": workbook(HEADER, ANA)},
    ):
        problem(await create(api, **{**form, **changes}), 409, "idempotency_key_reused")


async def test_a_long_list_is_planned_before_it_is_written(
    api: httpx.AsyncClient, account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later(*_: object) -> None: ...

    runtime = api._transport.app.state.runtime  # type: ignore[attr-defined] # ASGITransport's
    file = workbook(HEADER, ANA, ANA, LUIS)
    with monkeypatch.context() as slow:
        slow.setattr(runtime.container.import_tasks, "run", later)
        first = await created(api, content=file, key="k")
        again = await created(api, content=file, key="k")
    assert (first["status"], first["jobs_created"], first["duplicates_skipped"]) == ("importing", 2, 1)
    assert again == first
    assert (await batch_of(api, first))["import"]["total"] == 2


async def test_who_may(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = {"name": "mirón", "role": "viewer", "account_ids": ["acc-chile-001"]}
    async with somebody(api, (await api.post("api-keys", json=body)).json()["api_key"]) as viewer:
        problem(await create(viewer, ANA), 403, "not_permitted")
    await api.post("accounts", json={**ACCOUNT, "account_id": OWN})
    async with somebody(api, await stranger(api)) as client:
        problem(await create(client, ANA), 404, "account_not_found")
        assert (await created(client, ANA, account_id=OWN))["jobs_created"] == 1
    assert (await api.get("batches", params={"account_id": "acc-chile-001"})).json() == []


async def test_the_example_list_in_english(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    content = (Path(__file__).parents[2] / "examples" / "contactos.xlsx").read_bytes()
    answer = await api.post(
        "batches/excel/create",
        files={"file": ("contactos.xlsx", content)},
        data={"account_id": "acc-chile-001"},
        headers={"Accept-Language": "en"},
    )
    body = answer.json()
    assert (body["contacts_processed"], body["invalid_rows"]) == (44, 4)
    assert body["jobs_created"] + body["duplicates_skipped"] == 44
    assert body["errors"][1]["errors"][0]["message"] == "«no tiene» is not a phone number."


async def test_json_contacts_may_have_duplicates_as_before(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    contact = {"name": "Ana", "phones": ["+56983104521"]}
    answer = await api.post("batches", json=batch_body(contacts=[contact, contact]))
    assert answer.json()["total_jobs"] == 2
