"""POST /batches/script/preview, and the same words when a batch is created."""

from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from tests.api.conftest import batch_body, error_at, problem, stored
from tests.api.test_uploads import preview, workbook

CONTACTS = [
    {"name": "Ana", "phones": ["+56912345678", "+56912345670"], "monto_deuda": "12.990", "first_name": "Anita"},
    {"name": "Luis", "phones": ["+56912345679"]},
]


async def rendered(api: httpx.AsyncClient, script: str, **changes: Any) -> dict[str, Any]:
    body = {"account_id": "acc-chile-001", "script_content": script, **changes}
    answer = await api.post("batches/script/preview", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_script_is_rendered_for_contacts_as_the_agent_would_get_it(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    before = await stored(container)
    found = await rendered(api, "Hola {{nombre}} de {{empresa}}: {{monto_deuda}}, {{first_name}}.", contacts=CONTACTS)
    assert await stored(container) == before
    ana, luis = found["samples"]
    assert (ana["row"], ana["phone"], ana["missing"]) == (1, "+56912345678", [])
    assert ana["script"] == "Hola Ana de Empresa XYZ: 12.990, Anita."
    assert ana["variables"]["contact_first_name"] == "Anita"
    assert {"script", "first_name"}.isdisjoint(ana["variables"])
    assert ana["variables"]["telefono"] == "+56912345678"
    assert (luis["script"], luis["missing"]) == ("Hola Luis de Empresa XYZ: , .", ["monto_deuda", "first_name"])
    assert found["variables_used"] == ["nombre", "empresa", "monto_deuda", "first_name"]
    assert found["available_variables"] == [
        *("nombre", "name", "monto_deuda", "first_name", "empresa", "telefono", "fecha_hoy"),
    ]
    assert [(v["name"], v["rows"], v["first_rows"]) for v in found["missing_variables"]] == [
        ("monto_deuda", 1, [2]),
        ("first_name", 1, [2]),
    ]
    assert found["renamed_variables"] == [{"name": "first_name", "sent_as": "contact_first_name"}]


async def test_rows_of_an_upload_are_named(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    rows = [(f"Persona {row}", f"+569{row:08d}", row) for row in range(10_002, 12_502)]
    content = workbook(("Nombre", "Teléfono", "Monto"), *rows)
    upload_id = (await preview(api, content)).json()["upload_id"]
    found = await rendered(api, "{{nombre}}: {{mnto}}", upload_id=upload_id)
    assert [sample["row"] for sample in found["samples"]] == [2, 3, 4]
    ((missing),) = found["missing_variables"]
    assert (missing["rows"], missing["suggestion"]) == (2500, "monto")
    assert "¿Quiso decir {{monto}}?" in missing["message"]
    found = await rendered(api, "{{nombre}}: {{monto}}", upload_id=upload_id, rows=[2400, 2, 2400])
    assert [sample["script"] for sample in found["samples"]] == ["Persona 12400: 12400", "Persona 10002: 10002"]
    body = {"account_id": "acc-chile-001", "script_content": "", "upload_id": upload_id, "rows": [2, 9999]}
    assert "9999" in error_at(await api.post("batches/script/preview", json=body), "rows", 1)["msg"]


async def test_the_script_alone_is_checked_without_contacts(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    found = await rendered(api, "Hola {{nombre}")
    assert (found["samples"], found["available_variables"], found["missing_variables"]) == ([], None, [])
    assert "script_placeholder_unclosed" in [warning["code"] for warning in found["warnings"]]


VOICE = {"voice_id": "default", "speed": 0.9, "pitch": 3, "volume": 1.5, "language": "es-CL"}


async def test_it_says_what_becomes_of_the_voice_and_a_create_says_the_same(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    script = "Hola {{nombre}}, {{ }}"
    found = await rendered(api, script, voice_settings=VOICE)
    assert {note["field"]: (note["asked"], note["sent"], note["effect"]) for note in found["voice"]} == {
        "voice_id": ("default", None, "agents_own"),
        "speed": (0.9, 0.9, "sent"),
        "volume": (1.5, 1.5, "sent"),
        "pitch": (3, None, "ignored"),
        "language": ("es-CL", "es-419", "mapped"),
    }
    created = await api.post("batches", json=batch_body(script_content=script, voice_settings=VOICE))
    assert created.status_code == 201, created.text
    assert created.json()["warnings"] == found["warnings"]
    assert created.json()["voice"] == found["voice"]
    assert [(warning["loc"], warning["code"]) for warning in found["warnings"]] == [
        (["voice_settings", "pitch"], "voice_pitch_ignored"),
        (["script_content"], "script_placeholder_empty"),
    ]


@pytest.mark.parametrize("path", ["batches", "batches/script/preview"])
async def test_a_language_that_the_provider_does_not_speak_is_refused_with_those_it_does(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container, path: str
) -> None:
    before = await stored(container)
    body = batch_body(voice_settings={"language": "xx-YY"})
    if path != "batches":
        body = {name: body[name] for name in ("account_id", "script_content", "voice_settings")}
    error = error_at(await api.post(path, json=body), "voice_settings", "language")
    assert error["type"] == "voice_language_unsupported"
    assert "es-419" in error["msg"]
    assert "pt-BR" in error["msg"]
    assert await stored(container) == before


async def test_what_cannot_be_previewed(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = {"account_id": "acc-chile-001", "script_content": "Hola", "upload_id": "upload-none"}
    problem(await api.post("batches/script/preview", json=body), 404, "upload_not_found")
    body = {"account_id": "acc-none", "script_content": "Hola"}
    problem(await api.post("batches/script/preview", json=body), 404, "account_not_found")
    both = {"account_id": "acc-chile-001", "script_content": "Hola", "upload_id": "a", "contacts": []}
    assert error_at(await api.post("batches/script/preview", json=both), "upload_id")["type"] == "contacts_or_upload"
    bad = {"account_id": "acc-chile-001", "script_content": "Hola", "contacts": [{"name": "Ana", "phones": ["1"]}]}
    error_at(await api.post("batches/script/preview", json=bad), "contacts", 0, "phones", 0)
