"""POST /batches/excel/preview, and a batch made from it."""

import io
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest

from app.bootstrap import Container
from app.config import Settings
from app.main import create_app
from tests.api.conftest import BATCH, error_at, problem, running, stored

EXAMPLE = Path(__file__).parents[2] / "examples" / "contactos.xlsx"


def workbook(*rows: tuple[object, ...]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


async def preview(
    api: httpx.AsyncClient, content: bytes, name: str = "lista.xlsx", account_id: str = "acc-chile-001", **headers: str
) -> httpx.Response:
    return await api.post(
        "batches/excel/preview", files={"file": (name, content)}, data={"account_id": account_id}, headers=headers
    )


async def test_the_contracts_example(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    content = workbook(
        ("nombre", "telefono_1", "telefono_2", "email", "rut", "monto_deuda"),
        ("Juan Pérez", "+56912345678", "+56987654321", "juan@email.com", "12345678-9", "50000"),
    )
    answer = await preview(api, content)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    contact = {
        "name": "Juan Pérez",
        "phones": ["+56912345678", "+56987654321"],
        "email": "juan@email.com",
        "custom_fields": {"rut": "12345678-9", "monto_deuda": "50000"},
    }
    expected = {
        "success": True,
        "total_rows": 1,
        "valid_rows": 1,
        "invalid_rows": 0,
        "contacts_preview": [contact],
        "column_mapping": {
            "nombre": "name",
            "telefono_1": "phone_1",
            "telefono_2": "phone_2",
            "email": "email",
            "rut": "custom",
            "monto_deuda": "custom",
        },
        "errors": [],
        "duplicates": [],
    }
    assert {name: body[name] for name in expected} == expected
    assert body["upload_id"].startswith("upload-")
    assert body["preview"]["total_rows"] == 1
    assert body["preview"]["sample_rows"] == [contact]
    assert body["preview"]["country_format"] == "CL"
    assert body["preview"]["detected_columns"][0] == {"header": "nombre", "key": "nombre", "meaning": "name"}


async def test_the_example_list_with_its_bad_rows(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = (await preview(api, EXAMPLE.read_bytes(), **{"Accept-Language": "en"})).json()
    assert (body["total_rows"], body["valid_rows"], body["invalid_rows"]) == (48, 44, 4)
    assert len(body["contacts_preview"]) == 20
    by_row = {entry["rowIndex"]: entry["errors"] for entry in body["errors"]}
    assert {row: errors[0]["code"] for row, errors in by_row.items()} == {
        8: "phone_missing",
        19: "phone_not_a_number",
        30: "phone_too_short",
        41: "phone_scientific",
    }
    assert by_row[19][0]["field"] == "telefono_1"
    assert by_row[19][0]["message"] == "«no tiene» is not a phone number."


async def test_warnings_and_duplicates_by_row(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    content = workbook(
        ("Nombre", "Teléfono", "Correo"),
        ("Ana", "+56983104527", "ana@"),
        ("Luis", "+56923166508", ""),
        ("Ana otra vez", "9 8310 4527", "ana@correo.cl"),
    )
    body = (await preview(api, content)).json()
    (warned,) = body["warnings"]
    assert warned["rowIndex"] == 2
    assert warned["warnings"][0]["field"] == "correo"
    assert "ana@" in warned["warnings"][0]["message"]
    assert body["duplicates"] == [{"rowIndex": 4, "firstRowIndex": 2, "phone": "+56983104527"}]
    assert (body["warning_rows"], body["duplicate_rows"]) == (1, 1)


async def test_a_batch_from_the_preview(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    upload_id = (await preview(api, EXAMPLE.read_bytes())).json()["upload_id"]
    body = {
        "account_id": "acc-chile-001",
        "name": "Desde planilla",
        "script_content": "Hola {{nombre}}, debe {{monto_deuda}} a {{empresa}}",
        "upload_id": upload_id,
    }
    answer = await api.post("batches", json=body)
    assert answer.status_code == 201, answer.text
    batch = answer.json()
    assert (batch["status"], batch["total_jobs"], batch["pending_jobs"]) == ("running", 44, 44)
    jobs = (await api.get("jobs", params={"batch_id": batch["batch_id"], "limit": 500})).json()
    assert len(jobs) == 44
    assert jobs[-1]["nombre"] == "María José González Silva"
    assert jobs[-1]["row"] == 2
    assert jobs[-1]["payload"]["monto_deuda"] == "25000"
    assert not {8, 19, 30, 41} & {job["row"] for job in jobs}


async def test_a_missing_variable_of_a_previewed_list_names_its_rows(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    content = workbook(("Nombre", "Teléfono", "Monto"), ("Ana", "+56912345678", 5), ("Luis", "+56912345679", None))
    upload_id = (await preview(api, content)).json()["upload_id"]
    # Counted when the file was read: nothing of it is read again.
    await container.database.collection("upload_chunks").delete_many({})
    before = await stored(container)
    body = {"account_id": "acc-chile-001", "name": "A", "script_content": "{{monto}}", "upload_id": upload_id}
    (error,) = problem(await api.post("batches", json=body), 422, "invalid_input")["errors"]
    assert error["msg"].startswith("Fila 3")
    assert await stored(container) == before


async def test_the_preview_lists_the_variables_and_says_what_a_script_lacks(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    content = workbook(
        ("Nombre", "Teléfono", "Monto Deuda", "Cuota", "Vacía"),
        ("Ana", "+56912345678", 5, None, None),
        ("Luis", "no tiene", 7, None, None),
        ("Eva", "+56912345679", None, 3, None),
    )
    body = (await preview(api, content)).json()
    assert body["available_variables"] == [
        *("nombre", "name", "monto_deuda", "cuota", "empresa", "telefono", "fecha_hoy"),
    ]
    assert body["variable_gaps"] == [
        {"name": "monto_deuda", "rows": 1, "first_rows": [4]},
        {"name": "cuota", "rows": 1, "first_rows": [2]},
    ]
    assert "missing_variables" not in body
    script = "{{nombre}}, debe {{monto_deuda}} a {{empresa}}: {{Monto Deuda}}, {{vacia}}"
    assert await missing(api, content, script) == [
        ("monto_deuda", 1, [4], "variable_missing_in_some", None),
        ("Monto Deuda", 2, [2, 4], "variable_misspelt", "monto_deuda"),
        ("vacia", 2, [2, 4], "variable_unknown", None),
    ]
    assert await missing(api, content, "{{nombre}}, buenos días") == []


async def missing(api: httpx.AsyncClient, content: bytes, script: str) -> list[tuple[Any, ...]]:
    data = {"account_id": "acc-chile-001", "script_content": script}
    answer = await api.post("batches/excel/preview", files={"file": ("lista.xlsx", content)}, data=data)
    assert answer.status_code == 200, answer.text
    found = answer.json()["missing_variables"]
    assert all(variable["message"] for variable in found)
    return [(v["name"], v["rows"], v["first_rows"], v["code"], v.get("suggestion")) for v in found]


async def test_a_list_kept_before_variables_were_counted_is_counted_when_it_is_used(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    content = workbook(("Nombre", "Teléfono", "Monto"), ("Ana", "+56912345678", 5), ("Luis", "+56912345679", None))
    upload_id = (await preview(api, content)).json()["upload_id"]
    await container.database.collection("uploads").update_one({"_id": upload_id}, {"$unset": {"variables": ""}})
    body = {"account_id": "acc-chile-001", "name": "A", "script_content": "{{monto}}", "upload_id": upload_id}
    (error,) = problem(await api.post("batches", json=body), 422, "invalid_input")["errors"]
    assert error["msg"].startswith("Fila 3")


async def test_an_upload_is_its_accounts(api: httpx.AsyncClient, account: dict[str, Any], container: Container) -> None:
    upload_id = (await preview(api, EXAMPLE.read_bytes())).json()["upload_id"]
    assert (await api.post("accounts", json={**account_of("acc-2")})).status_code == 201
    before = await stored(container)
    body = {"account_id": "acc-2", "name": "A", "upload_id": upload_id}
    problem(await api.post("batches", json=body), 404, "upload_not_found")
    assert await stored(container) == before


def account_of(account_id: str) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "account_name": "A",
        "contact_name": "B",
        "contact_email": "c@d.cl",
        "plan_type": "credit_based",
    }


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "lista.xlsx", "file_empty"),
        (b"%PDF-1.7 ...", "lista.xlsx", "file_is_pdf"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "foto.png", "file_format_unknown"),
        (b"<html><body><table></table></body></html>", "lista.xls", "file_is_html"),
        (workbook(("Nombre", "Correo"), ("Ana", "ana@correo.cl")), "lista.xlsx", "no_phone_column"),
        (workbook(("Nombre", "Teléfono")), "lista.xlsx", "no_rows"),
        (workbook(("Nombre", "Teléfono"), ("Ana", None)), "lista.xlsx", "phone_column_empty"),
        (b"Nombre;Correo\nAna;ana@correo.cl\n", "lista.csv", "no_phone_column"),
    ],
)
async def test_what_is_no_contact_list_is_refused(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container, content: bytes, name: str, code: str
) -> None:
    before = await stored(container)
    problem(await preview(api, content, name), 422, code)
    assert await stored(container) == before


async def test_a_list_without_a_callable_contact_makes_no_batch(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    body = (await preview(api, workbook(("Nombre", "Teléfono"), ("Ana", "no tiene")))).json()
    assert (body["success"], body["valid_rows"], body["invalid_rows"]) == (False, 0, 1)
    before = await stored(container)
    batch = {"account_id": "acc-chile-001", "name": "A", "upload_id": body["upload_id"]}
    assert error_at(await api.post("batches", json=batch), "upload_id")["type"] == "no_callable_contact"
    assert await stored(container) == before


async def test_an_unknown_account_previews_nothing(api: httpx.AsyncClient, container: Container) -> None:
    problem(await preview(api, EXAMPLE.read_bytes(), account_id="acc-x"), 404, "account_not_found")
    assert (await stored(container))["uploads"] == 0


async def test_file_and_account_are_needed(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    no_file = await api.post("batches/excel/preview", data={"account_id": "acc-chile-001"})
    assert error_at(no_file, "file")["type"] == "missing"
    no_account = await api.post("batches/excel/preview", files={"file": ("lista.xlsx", b"x")})
    assert error_at(no_account, "account_id")["type"] == "missing"
    as_text = await api.post("batches/excel/preview", data={"account_id": "acc-chile-001", "file": "lista.xlsx"})
    error_at(as_text, "file")
    broken = await api.post(
        "batches/excel/preview", content=b"--x\r\n", headers={"Content-Type": "multipart/form-data; boundary=y"}
    )
    problem(broken, 400, "malformed_request")


async def test_a_file_over_the_limit_is_refused_while_it_is_read(
    settings: Settings, container: Container, account: dict[str, Any]
) -> None:
    small = create_app(settings.model_copy(update={"max_upload_megabytes": 1}))
    async with running(small) as api:
        # Over the limit as a body, and only as a file: the form around it has some slack.
        for size in (2 * 1024**2, 1024**2 + 1):
            body = problem(await preview(api, bytes(size)), 413, "file_too_large")
            assert "1 MB" in body["detail"]
        fits = b"Nombre;Telefono\n" + b"Ana;+56912345678\n"
        assert (await preview(api, fits, "lista.csv")).status_code == 200
    assert (await stored(container))["uploads"] == 1


async def test_a_list_in_the_request_has_its_limit_too(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = BATCH | {"script_content": "x" * (17 * 1024**2)}
    detail = problem(await api.post("batches", json=body), 413, "body_too_large")["detail"]
    assert "16 MB" in detail
