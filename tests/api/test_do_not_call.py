"""/do-not-call: added once, found by number, imported from files, taken off again."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from tests.api.conftest import error_at, problem
from tests.api.test_uploads import workbook

PHONE = "+56912345678"


async def add(api: httpx.AsyncClient, *phones: str, **fields: Any) -> httpx.Response:
    return await api.post("do-not-call", json={"account_id": "acc-chile-001", "phones": list(phones), **fields})


async def listed(api: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await api.get("do-not-call", params=query)
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()
    assert answer.headers["X-Total-Count"] == str(len(entries))
    return entries


async def check(api: httpx.AsyncClient, phone: str = PHONE, account_id: str = "acc-chile-001") -> dict[str, Any]:
    answer = await api.get("do-not-call/check", params={"account_id": account_id, "phone": phone})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_numbers_are_added_once_and_in_the_accounts_format(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    first = await add(api, "9 1234 5678", PHONE, "987654321", reason="Lo pidió por correo")
    assert first.status_code == 200, first.text
    body = first.json()
    assert (body["added"], body["already_there"]) == (2, 0)
    assert [entry["phone"] for entry in body["entries"]] == [PHONE, "+56987654321"]
    entry = body["entries"][0]
    assert entry["account_id"] == "acc-chile-001"
    assert entry["scope"] == "account"
    assert entry["source"] == "manual"
    assert entry["reason"] == {"code": "own_words", "message": "Lo pidió por correo"}
    assert (entry["national_id"], entry["expires_at"]) == (None, None)

    again = (await add(api, PHONE, reason="Otra vez")).json()
    assert (again["added"], again["already_there"]) == (0, 1)
    assert again["entries"] == [entry]
    assert len(await listed(api)) == 2


async def test_a_number_that_is_none_is_named_and_nothing_is_written(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    error = error_at(await add(api, PHONE, "12", "x" * 30), "phones", 1)
    assert "12" in error["msg"]
    assert await listed(api) == []


async def test_everybodys_list_needs_international_numbers(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    error_at(await add(api, "912345678", account_id=None), "phones", 0)
    assert (await add(api, PHONE, account_id=None)).json()["entries"][0]["scope"] == "global"


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"phones": []}, ("phones",)),
        ({"phones": [PHONE], "expires_at": "2020-01-01T00:00:00Z"}, ("expires_at",)),
        ({"phones": [PHONE], "expires_at": "2030-01-01T00:00:00"}, ("expires_at",)),
        ({"phones": [PHONE], "phone": PHONE}, ("phone",)),
        ({}, ("phones",)),
    ],
)
async def test_bad_bodies(
    api: httpx.AsyncClient, account: dict[str, Any], body: dict[str, Any], loc: tuple[str, ...]
) -> None:
    error_at(await api.post("do-not-call", json={"account_id": "acc-chile-001", **body}), *loc)


async def test_an_unknown_account_has_no_list(api: httpx.AsyncClient) -> None:
    problem(await add(api, PHONE), 404, "account_not_found")
    problem(await api.get("do-not-call", params={"account_id": "nobody"}), 404, "account_not_found")
    query = {"account_id": "nobody", "phone": PHONE}
    problem(await api.get("do-not-call/check", params=query), 404, "account_not_found")


async def test_an_entry_is_extended_but_never_cut_short(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    day, year = ((container.clock.now() + timedelta(days=days)).replace(microsecond=0).isoformat() for days in (1, 365))

    async def ends_after(expires_at: str | None) -> tuple[int, str | None]:
        body = (await add(api, PHONE, expires_at=expires_at)).json()
        return body["added"], body["entries"][0]["expires_at"]

    shown = {moment: f"{moment[:19]}Z" for moment in (day, year)}
    assert await ends_after(day) == (1, shown[day])
    assert await ends_after(year) == (1, shown[year])
    assert await ends_after(day) == (0, shown[year])
    assert await ends_after(None) == (1, None)
    assert await ends_after(year) == (0, None)


async def test_the_check_asks_the_accounts_list_and_everybodys(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    assert await check(api) == {"phone": PHONE, "listed": False, "until": None, "scope": None, "entries": []}
    tomorrow = (container.clock.now() + timedelta(days=1)).replace(microsecond=0)
    await add(api, PHONE, expires_at=tomorrow.isoformat())
    found = await check(api, "912345678")
    assert (found["listed"], found["scope"], found["until"]) == (True, "account", f"{tomorrow:%Y-%m-%dT%H:%M:%SZ}")
    await add(api, PHONE, account_id=None)
    found = await check(api)
    assert (found["listed"], found["scope"], found["until"]) == (True, "global", None)
    assert len(found["entries"]) == 2


async def test_an_expired_entry_forbids_nothing(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    tomorrow = container.clock.now() + timedelta(days=1)
    await add(api, PHONE, expires_at=tomorrow.isoformat())
    await container.database.collection("do_not_call").update_many(
        {}, {"$set": {"expires_at": container.clock.now() - timedelta(seconds=1)}}
    )
    assert not (await check(api))["listed"]
    assert (await add(api, PHONE)).json()["added"] == 1, "what has expired is replaced"
    assert (await check(api))["listed"]


async def test_the_list_by_account_and_number(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    await add(api, PHONE, "+56987654321")
    await add(api, PHONE, account_id=None)
    assert len(await listed(api)) == 3
    assert len(await listed(api, account_id="acc-chile-001")) == 2
    assert len(await listed(api, phone=PHONE)) == 2
    assert len(await listed(api, account_id="acc-chile-001", phone="912345678")) == 1
    problem(await api.get("do-not-call", params={"phone": "nada"}), 422, "invalid_input")


async def test_what_is_taken_off_is_gone(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    entry_id = (await add(api, PHONE)).json()["entries"][0]["entry_id"]
    assert (await api.delete(f"do-not-call/{entry_id}")).status_code == 204
    assert await listed(api) == []
    problem(await api.delete(f"do-not-call/{entry_id}"), 404, "do_not_call_entry_not_found")


async def import_file(api: httpx.AsyncClient, content: bytes, **fields: str) -> httpx.Response:
    data = {"account_id": "acc-chile-001", **fields}
    return await api.post("do-not-call/import", files={"file": ("registro.xlsx", content)}, data=data)


async def test_a_file_is_imported_and_may_be_again(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    await add(api, PHONE)
    content = workbook(("Nombre", "Teléfono"), ("Ana", "912345678"), ("Luis", "12"), ("Eva", 987654321))
    answer = await import_file(api, content, reason="Registro No Llame")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    counts = {name: body[name] for name in ("success", "total_rows", "added", "already_there", "invalid")}
    assert counts == {"success": True, "total_rows": 3, "added": 1, "already_there": 1, "invalid": 1}
    assert [row["rowIndex"] for row in body["errors"]] == [3]
    assert body["errors"][0]["errors"][0]["message"]
    entry = (await listed(api, phone="+56987654321"))[0]
    assert (entry["source"], entry["reason"]["message"]) == ("import", "Registro No Llame")

    again = (await import_file(api, content)).json()
    assert (again["added"], again["already_there"], again["invalid"]) == (0, 2, 1)


async def test_a_registry_of_bare_numbers_in_thousands(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    content = "\n".join(f"+5698{n:07d}" for n in range(5000)).encode()
    body = (await api.post("do-not-call/import", files={"file": ("registro.csv", content)})).json()
    assert (body["added"], body["already_there"], body["invalid"]) == (5000, 0, 0)
    assert (await check(api, "+56980004999"))["scope"] == "global"


async def test_a_file_that_is_no_list_is_refused(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    problem(await import_file(api, b"%PDF-1.4"), 422, "file_is_pdf")
    problem(await import_file(api, workbook(("nombre", "monto"), ("Ana", 5))), 422, "no_phone_column")
    answer = await import_file(api, workbook((PHONE,)), expires_at="2020-01-01T00:00:00Z")
    error_at(answer, "expires_at")
    assert await listed(api) == []
