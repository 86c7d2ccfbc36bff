"""What is downloaded of a contact list: the rejected rows, and the template. And columns that the client names."""

import io
import json
from functools import cache
from typing import Any

import httpx
import openpyxl
import pytest

from app.bootstrap import Container
from tests.api.conftest import BATCH, batch_body, error_at, problem, stored
from tests.api.test_uploads import preview, workbook


def read(content: bytes) -> dict[str, list[list[Any]]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return {
        sheet.title: [["" if cell is None else cell for cell in row] for row in sheet.iter_rows(values_only=True)]
        for sheet in book.worksheets
    }


async def preview_as(api: httpx.AsyncClient, content: bytes, mapping: object) -> httpx.Response:
    text = mapping if isinstance(mapping, str) else json.dumps(mapping)
    return await api.post(
        "batches/excel/preview",
        files={"file": ("lista.xlsx", content)},
        data={"account_id": "acc-chile-001", "column_mapping": text},
    )


# --- The rejected rows

BAD = """Nombre,Teléfono,,Nota
Ana,+56987654321,x,bien
"=HYPERLINK(""http://malo"")",no tiene,,+cmd|' /C calc'!A0
Luis _x0041_ <&>,12345,,"dos
líneas"
""".encode()


async def test_the_rejected_rows_come_back_as_they_were_with_the_reasons(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    body = (await preview(api, BAD)).json()
    assert (body["valid_rows"], body["invalid_rows"]) == (1, 2)
    answer = await api.get(body["errors_url"].removeprefix("/api/v1/"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="errores.xlsx"'
    assert read(answer.content) == {
        "Errores": [
            ["Nombre", "Teléfono", "Columna 3", "Nota", "Fila original", "Motivo del rechazo"],
            [
                '=HYPERLINK("http://malo")',
                "no tiene",
                "",
                "+cmd|' /C calc'!A0",
                "3",
                "«no tiene» no es un número de teléfono.",
            ],
            [
                "Luis _x005F_x0041_ <&>",  # Excel shows _x0041_; openpyxl leaves its escapes
                "12345",
                "",
                "dos\nlíneas",
                "4",
                "«12345» tiene muy pocos dígitos para ser un teléfono.",
            ],
        ]
    }


async def test_no_cell_of_the_file_is_a_formula(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    body = (await preview(api, BAD)).json()
    content = (await api.get(f"batches/excel/{body['upload_id']}/errors.xlsx")).content
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert sheet is not None
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr"}
    assert {cell.number_format for cell in cells} == {"@"}


async def test_the_reasons_are_in_the_readers_language(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    upload_id = (await preview(api, BAD)).json()["upload_id"]
    answer = await api.get(f"batches/excel/{upload_id}/errors.xlsx", headers={"Accept-Language": "en"})
    header, first, _ = read(answer.content)["Errores"]
    assert header[-2:] == ["Original row", "Reason of rejection"]
    assert first[-1] == "«no tiene» is not a phone number."


async def test_the_mended_file_can_be_uploaded(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    upload_id = (await preview(api, BAD)).json()["upload_id"]
    book = openpyxl.load_workbook(io.BytesIO((await api.get(f"batches/excel/{upload_id}/errors.xlsx")).content))
    sheet = book.active
    assert sheet is not None
    sheet["B2"], sheet["B3"] = "987654322", "987654323"
    mended = io.BytesIO()
    book.save(mended)
    body = (await preview(api, mended.getvalue())).json()
    assert (body["valid_rows"], body["invalid_rows"]) == (2, 0)
    assert "errors_url" not in body


async def test_more_rows_than_one_piece_holds(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    """Two documents of contacts and three of rejected rows, in the order of the list."""
    lines = ["nombre,telefono", *(f"A{n},{'98' + f'{n:07}' if n % 2 else 'nada'}" for n in range(4500))]
    body = (await preview(api, "\n".join(lines).encode(), "lista.csv")).json()
    assert (body["valid_rows"], body["invalid_rows"]) == (2250, 2250)
    assert len(body["errors"]) == 200
    rows = read((await api.get(f"batches/excel/{body['upload_id']}/errors.xlsx")).content)["Errores"][1:]
    assert [row[2] for row in rows] == [str(n + 2) for n in range(0, 4500, 2)]
    batch = {"account_id": "acc-chile-001", "name": "A", "upload_id": body["upload_id"]}
    created = await api.post("batches", json=batch)
    assert created.json()["total_jobs"] == 2250, created.text


async def test_long_rows_do_not_outgrow_a_document(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    """1,000 of these rows would be 24 MB; MongoDB takes 16."""
    cell = "ñ" * 2000
    lines = ["nombre,telefono,a,b,c,d,e,f", *(f"A,98{n:07},{','.join([cell] * 6)}" for n in range(1000))]
    body = (await preview(api, "\n".join(lines).encode(), "lista.csv")).json()
    assert body["valid_rows"] == 1000
    assert await container.database.collection("upload_chunks").count_documents({}) > 1


async def test_a_list_without_an_upload_has_no_errors_to_download(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    problem(await api.get("batches/excel/upload-x/errors.xlsx"), 404, "upload_not_found")


# --- The template


async def test_the_template_filled_in_is_a_contact_list(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    answer = await api.get("batches/excel/template.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    contacts, examples = book.worksheets
    assert [sheet.title for sheet in book.worksheets] == ["Contactos", "Ejemplo"]
    assert contacts.column_dimensions["A"].style is not None
    # Excel gives what is typed into a column the column's format.
    (columns,) = (dimension for dimension in contacts.column_dimensions.values() if dimension.max == 8)
    assert (columns.min, columns.number_format) == (1, "@")
    for row in examples.iter_rows(min_row=2, values_only=True):
        contacts.append(row)
    filled = io.BytesIO()
    book.save(filled)
    body = (await preview(api, filled.getvalue())).json()
    assert (body["sheet"], body["valid_rows"], body["invalid_rows"]) == ("Contactos", 2, 0)
    assert list(body["column_mapping"].values()) == [
        "name",
        "phone_1",
        "phone_2",
        "email",
        "custom",
        "timezone",
        "custom",
        "custom",
    ]
    assert body["column_warnings"] == []
    assert {warning["code"] for row in body["warnings"] for warning in row["warnings"]} == {"phone_unassigned_range"}


async def test_the_examples_of_an_empty_template_are_not_called(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    content = (await api.get("batches/excel/template.xlsx")).content
    problem(await preview(api, content), 422, "no_rows")


# --- Columns that the client names

ODD = workbook(
    ("Socio", "Contacto A", "Contacto B", "Doc"),
    ("Ana", "98765432", "987654321", "12345678-5"),
    ("Luis", "98765433", "987654322", "9876543-3"),
)


async def test_the_client_says_what_the_columns_are(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    answer = await preview_as(
        api, ODD, {"Contacto B": "phone_1", "contacto_a": "phone_2", "SOCIO": "name", "doc": "dni"}
    )
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["column_mapping"] == {
        "socio": "name",
        "contacto_a": "phone_2",
        "contacto_b": "phone_1",
        "doc": "custom",
    }
    first = body["contacts_preview"][0]
    assert (first["name"], first["phones"]) == ("Ana", ["+56987654321", "+56998765432"])


async def test_an_ignored_column_is_not_spoken(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    content = workbook(("Nombre", "Teléfono", "Secreto"), ("Ana", "987654321", "x" * 3000))
    assert (await preview(api, content)).json()["invalid_rows"] == 1
    body = (await preview_as(api, content, {"Secreto": "ignore"})).json()
    assert body["contacts_preview"][0]["custom_fields"] == {}
    assert body["column_mapping"]["secreto"] == "ignore"


async def test_the_previews_own_mapping_can_be_sent_back(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    content = workbook(("Nombre", "Email", "Email", "Fono", "Fono"), ("Ana", "a@x.cl", "b@x.cl", 987654321, 987654322))
    before = (await preview(api, content)).json()
    again = (await preview_as(api, content, before["column_mapping"])).json()
    for name in ("column_mapping", "contacts_preview"):
        assert again[name] == before[name]
    turned = {**before["column_mapping"], "email": "custom", "email_2": "email", "fono": "phone_2", "fono_2": "phone_1"}
    body = (await preview_as(api, content, turned)).json()
    (contact,) = body["contacts_preview"]
    assert (contact["email"], contact["phones"]) == ("b@x.cl", ["+56987654322", "+56987654321"])
    # Both stay variables of the script under their columns' names, of which "email" is the contact's own.
    assert list(contact["custom_fields"].values()) == ["a@x.cl", "b@x.cl"]
    assert "email" not in contact["custom_fields"]


@pytest.mark.parametrize(
    ("mapping", "column", "code"),
    [
        ({"Doc": "rut"}, "Doc", "column_target_unknown"),
        ({"Doc": 7}, "Doc", "column_target_unknown"),
        ({"Doc": "phone_0"}, "Doc", "column_target_unknown"),
        ({"Contacto A": "phone_1", "Contacto B": "phone_1"}, "Contacto B", "column_target_taken"),
        ({"Teléfono": "phone_1"}, "Teléfono", "column_unknown"),
        ({"Contacto A": "phone_1", "contacto_a": "phone_2"}, "contacto_a", "column_named_twice"),
    ],
)
async def test_a_wrong_mapping_names_the_column(
    api: httpx.AsyncClient,
    account: dict[str, Any],
    container: Container,
    mapping: dict[str, Any],
    column: str,
    code: str,
) -> None:
    before = await stored(container)
    error = error_at(await preview_as(api, ODD, mapping), "column_mapping", column)
    assert error["type"] == code
    assert column in error["msg"]
    assert await stored(container) == before


@pytest.mark.parametrize("text", ["[]", "no", "[" * 100_000, '"x"'])
async def test_a_mapping_that_is_no_object(api: httpx.AsyncClient, account: dict[str, Any], text: str) -> None:
    answer = await preview_as(api, ODD, text)
    assert answer.status_code == 422, answer.text


async def test_a_mapping_that_is_no_object_is_said_how_to_write(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    error = error_at(await preview_as(api, ODD, "{bad"), "column_mapping")
    assert '{"Fono": "phone_1"}' in error["msg"]


async def test_a_sheet_whose_headers_nobody_would_guess(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    book = openpyxl.Workbook()
    notes = book.active
    assert notes is not None
    notes.append(["Nombre", "Nota"])
    notes.append(["Ana", "x"])
    data = book.create_sheet("Datos")
    for row in (["Informe"], ["QQ", "ZZ"], ["Ana", 987654321]):
        data.append(row)
    content = io.BytesIO()
    book.save(content)
    assert (await preview(api, content.getvalue())).status_code == 422
    body = (await preview_as(api, content.getvalue(), {"zz": "phone_1", "qq": "name"})).json()
    assert (body["sheet"], body["contacts_preview"][0]["phones"]) == ("Datos", ["+56987654321"])


# --- Who is to be called anyway


async def test_persons_of_active_batches_are_pointed_out(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    contacts = [
        {"nombre": "Ana", "telefono": "+56987654321"},
        {"nombre": "Luis", "telefono": "+56987654322", "rut": "12.345.678-5"},
    ]
    batch_id = (await api.post("batches", json={**BATCH, "contacts": contacts})).json()["batch_id"]
    content = workbook(
        ("Nombre", "RUT", "Teléfono"),
        ("Otra", "", "987654399"),
        ("Ana", "", "987654321"),
        ("Luis con otro número", "12345678-5", "987654398"),
        ("Nadie", "", "no tiene"),
    )
    body = (await preview(api, content)).json()
    assert body["active_duplicates"] == [{"rowIndex": 3, "batch_id": batch_id}, {"rowIndex": 4, "batch_id": batch_id}]
    assert (body["active_duplicate_rows"], body["active_checked_rows"]) == (2, 3)
    assert body["valid_rows"] == 3
    await api.post(f"batches/{batch_id}/cancel")
    assert (await preview(api, content)).json()["active_duplicates"] == []


async def test_the_look_up_ends_when_its_time_is_up(
    api: httpx.AsyncClient, account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.uploads.SECONDS_FOR_ACTIVE", 0.0)
    body = (await preview(api, workbook(("Nombre", "Teléfono"), ("Ana", "987654321")))).json()
    assert (body["valid_rows"], body["active_checked_rows"]) == (1, 0)


# --- Hidden rows


@cache
def with_a_hidden_row() -> bytes:
    """Eva, in the fourth row, is hidden. Always the same bytes: a workbook says in which second it was written."""
    people = [("Nombre", "Teléfono"), ("Ana", "+56987654321"), ("Luis", "+56987654322"), ("Eva", "+56987654323")]
    book = openpyxl.load_workbook(io.BytesIO(workbook(*people)))
    book.worksheets[0].row_dimensions[4].hidden = True
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


WAYS = ("preview", "create", "upload")


async def sent(api: httpx.AsyncClient, way: str, key: str, **form: str) -> httpx.Response:
    """The list, in one of the ways in which it may be sent."""
    path = f"batches/excel/{way}"
    if way == "upload":
        path = f"batches/{(await api.post('batches', json=batch_body(contacts=None))).json()['batch_id']}/upload"
    files = {"file": ("lista.xlsx", with_a_hidden_row())}
    data = {"account_id": "acc-chile-001", **form}
    return await api.post(path, files=files, data=data, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("way", WAYS)
async def test_a_hidden_row_is_left_out_and_told(api: httpx.AsyncClient, account: dict[str, Any], way: str) -> None:
    answer = await sent(api, way, "one")
    assert answer.is_success, answer.text
    body = answer.json()
    assert body["hidden_rows"] == 1
    assert body.get("valid_rows", body.get("jobs_created")) == 2
    [warning] = body["column_warnings"]
    assert warning["code"] == "hidden_rows"
    assert "ocultas o filtradas en la hoja: 1 (la primera es la 4)" in warning["message"]

    everybody = (await sent(api, way, "two", include_hidden_rows="true")).json()
    assert everybody.get("valid_rows", everybody.get("jobs_created")) == (3 if way != "create" else 1)
    assert (everybody["hidden_rows"], everybody["column_warnings"]) == (0, [])


async def test_with_hidden_rows_it_is_another_request(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    assert (await sent(api, "create", "one")).status_code == 201
    problem(await sent(api, "create", "one", include_hidden_rows="true"), 409, "idempotency_key_reused")
    assert (await sent(api, "create", "one")).json()["hidden_rows"] == 1
