"""Erasing and exporting one person: who may, what is answered, and that no log says who it was."""

from typing import Any

import httpx

from app.bootstrap import Container
from tests.api.conftest import ACCOUNT, BATCH, error_at, problem
from tests.api.test_access import somebody
from tests.api.test_tenancy import OTHER, OWN, stranger
from tests.personal import mentions

JUAN = {"account_id": OTHER, "phone": "+56912345678", "identifier": "12.345.678-9"}
DIGITS = ["912345678", "123456789"]


async def erased(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await api.post("privacy/erasures", json={**JUAN, "dry_run": False, **changes})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_without_saying_so_nothing_is_erased(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    body = (await api.post("privacy/erasures", json=JUAN)).json()
    assert (body["status"], body["erasure_id"], body["requested_at"]) == ("preview", None, None)
    assert (body["found"]["jobs"], body["found"]["waiting"], body["found"]["upload_rows"]) == (1, 1, 1)
    assert [kept["code"] for kept in body["stays"]] == [
        "erasure_keeps_ledger",
        "erasure_keeps_for_now",
        "erasure_keeps_backups",
    ]
    assert (await api.get("privacy/erasures")).json() == []
    (job,) = (await api.get("jobs", params={"batch_id": batch["batch_id"]})).json()
    assert job["contact"]["name"] == "Juan Pérez"


async def test_a_person_is_erased_and_the_job_stays(
    api: httpx.AsyncClient, batch: dict[str, Any], container: Container
) -> None:
    await api.post("batches/script/preview?phone=%2B56912345678&rut=12.345.678-9&limit=5", json={})
    body = await erased(api, never_call_again=True)
    assert body["status"] == "working"
    read = (await api.get(f"privacy/erasures/{body['erasure_id']}")).json()
    assert read == body
    assert (await api.get("privacy/erasures", params={"account_id": OTHER})).json() == [body]
    (job,) = (await api.get("jobs", params={"batch_id": batch["batch_id"]})).json()
    assert (job["status"], job["reason"]["code"]) == ("cancelled", "person_erased")
    assert (job["contact"]["name"], job["contact"]["phones"], job["payload"]) == ("", ["#1", "#2"], {})
    problem(await api.put(f"jobs/{job['job_id']}/retry"), 409, "job_erased")
    for path in (f"jobs/{job['job_id']}", f"jobs/{job['job_id']}/timeline", f"batches/{batch['batch_id']}/summary"):
        assert (await api.get(path)).status_code == 200
    for name in ("results.csv", "results.xlsx"):
        assert (await api.get(f"batches/{batch['batch_id']}/{name}")).status_code == 200
    assert (await api.get("jobs", params={"q": "perez", "account_id": OTHER})).json() == []
    assert (await api.get("jobs", params={"phone": JUAN["phone"], "account_id": OTHER})).json() == []
    listed = await api.get("do-not-call/check", params={"account_id": OTHER, "phone": JUAN["phone"]})
    assert listed.json()["listed"] is True
    assert listed.json()["until"] is None
    # All that is known still is what the erasure itself works with; who asked for it is in the log without saying whom.
    left = await mentions(container, digits=DIGITS, words=["juan perez"])
    assert {place.partition("/")[0] for place in left} == {"erasures"}
    log = (await api.get("audit-log")).json()
    assert "/api/v1/batches/script/preview?phone=***&rut=***&limit=5" in {entry["path"] for entry in log}
    (entry,) = [entry for entry in log if entry["operation"] == "erase_person"]
    assert entry["fields"] == ["account_id", "dry_run", "identifier", "never_call_again", "phone"]


async def test_everything_about_a_person_as_a_file(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    (job,) = (await api.get("jobs", params={"batch_id": batch["batch_id"]})).json()
    await api.put(f"jobs/{job['job_id']}/cancel")
    answer = await api.post("privacy/export", json=JUAN)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert "attachment" in answer.headers["content-disposition"]
    body = answer.json()
    assert body["phones"] == ["+56912345678", "+56987654321"]
    assert body["jobs"][0]["contact"]["custom_fields"]["monto_deuda"] == "50000"
    assert body["jobs"][0]["timeline"][-1]["event"] == "cancelled"
    assert [entry["operation"] for entry in body["audit_log"]] == ["cancel_job"]
    nobody = (await api.post("privacy/export", json={"account_id": OTHER, "phone": "+56911110000"})).json()
    assert [nobody[part] for part in ("jobs", "upload_rows", "do_not_call", "audit_log")] == [[], [], [], []]


async def test_what_is_no_person(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    for path in ("erasures", "export"):
        error_at(await api.post(f"privacy/{path}", json={"account_id": OTHER}), "phone")
        error_at(await api.post(f"privacy/{path}", json={"account_id": OTHER, "phone": "12"}), "phone")
        error_at(await api.post(f"privacy/{path}", json={"account_id": OTHER, "identifier": "s/n"}), "identifier")
        elsewhere = {"account_id": "acc-x", "phone": "+56912345678"}
        problem(await api.post(f"privacy/{path}", json=elsewhere), 404, "account_not_found")
    problem(await api.get("privacy/erasures/era-x"), 404, "erasure_not_found")


async def test_a_number_of_many_persons_is_not_one_person(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    shared = "+56912345678"
    contacts = [{"phones": [shared], "rut": f"{20_000_000 + n}-K"} for n in range(60)]
    answer = await api.post("batches", json={**BATCH, "script_content": "Hola", "contacts": contacts})
    assert answer.status_code == 201
    wide = {"account_id": OTHER, "phone": shared}
    problem(await api.post("privacy/erasures", json=wide), 409, "person_too_wide")
    one = (await api.post("privacy/erasures", json={**wide, "identifier": "20000003-k"})).json()
    assert (one["found"]["jobs"], one["found"]["shared_jobs"]) == (1, 59)


async def test_only_administrators_and_only_of_the_account(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    done = await erased(api)
    await api.post("accounts", json={**ACCOUNT, "account_id": OWN})
    async with somebody(api, await stranger(api)) as client:
        problem(await client.post("privacy/erasures", json=JUAN), 404, "account_not_found")
        problem(await client.post("privacy/export", json=JUAN), 404, "account_not_found")
        problem(await client.get(f"privacy/erasures/{done['erasure_id']}"), 404, "erasure_not_found")
        assert (await client.get("privacy/erasures")).json() == []
        own = await client.post("privacy/erasures", json={**JUAN, "account_id": OWN})
        assert (own.status_code, own.json()["found"]["jobs"]) == (200, 0)
    async with somebody(api, await stranger(api, "operator")) as client:
        for path in ("erasures", "export"):
            problem(await client.post(f"privacy/{path}", json={**JUAN, "account_id": OWN}), 403, "not_permitted")
        problem(await client.get("privacy/erasures"), 403, "not_permitted")
