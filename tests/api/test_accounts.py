"""/accounts: create, read, change."""

from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from tests.api.conftest import ACCOUNT, error_at, problem, stored


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


async def test_the_contracts_example_creates_an_active_account_with_its_balance(api: httpx.AsyncClient) -> None:
    answer = await api.post("accounts", json=without(ACCOUNT, "account_id"))
    assert answer.status_code == 201
    body = answer.json()
    assert body["account_id"] == body["_id"]
    assert body["account_id"].startswith("acc-")
    assert answer.headers["location"] == f"/api/v1/accounts/{body['account_id']}"
    for name in ("account_name", "contact_name", "contact_email", "contact_phone", "plan_type", "settings"):
        assert body[name] == ACCOUNT[name]
    assert body["status"] == "active"
    assert body["balance"] == {"minutes": 0, "credits": 1000, "total_spent": 0}
    assert body["features"] == {
        "max_concurrent_calls": 5,
        "voice_cloning": False,
        "advanced_analytics": False,
        "custom_integration": False,
        "priority_support": False,
    }
    assert body["country"] == "CL"
    assert (body["credit_balance"], body["credit_used"], body["minutes_purchased"], body["minutes_used"]) == (
        1000,
        0,
        0,
        0,
    )
    assert (body["cost_per_minute"], body["max_concurrent_calls"]) == (0.15, 5)
    assert body["created_at"].endswith("Z")
    assert len(body["created_at"]) == len("2025-10-24T10:00:00Z")


async def test_defaults(api: httpx.AsyncClient) -> None:
    body = {
        "account_name": "A",
        "contact_name": "B",
        "contact_email": "c@d.cl",
        "plan_type": "MINUTES_Based",
        "initial_minutes": 12.5,
    }
    created = (await api.post("accounts", json=body)).json()
    assert created["plan_type"] == "minutes_based"
    assert created["settings"] == {"timezone": "America/Santiago"}
    assert created["max_concurrent_calls"] == 5
    assert created["contact_phone"] is None
    assert created["balance"] == {"minutes": 12.5, "credits": 0, "total_spent": 0}


async def test_the_phone_is_stored_in_its_international_form(api: httpx.AsyncClient) -> None:
    created = (await api.post("accounts", json=ACCOUNT | {"contact_phone": "9 8765 4321"})).json()
    assert created["contact_phone"] == "+56987654321"


async def test_prices_of_its_own(api: httpx.AsyncClient) -> None:
    created = (await api.post("accounts", json=ACCOUNT | {"cost_per_minute": 0.3})).json()
    assert (created["cost_per_minute"], created["credits_per_minute"]) == (0.3, 1)


@pytest.mark.parametrize(
    ("changes", "loc", "kind"),
    [
        ({"account_name": " "}, ["account_name"], "string_too_short"),
        ({"account_name": 5}, ["account_name"], "string_type"),
        ({"account_id": "con espacio"}, ["account_id"], "account_id_malformed"),
        ({"account_id": "a/b"}, ["account_id"], "account_id_malformed"),
        ({"contact_email": "maria"}, ["contact_email"], "email_not_an_address"),
        ({"contact_phone": "12"}, ["contact_phone"], "phone_unusable"),
        ({"plan_type": "free"}, ["plan_type"], "enum"),
        ({"initial_credits": -1}, ["initial_credits"], "greater_than_equal"),
        ({"initial_credits": "mil"}, ["initial_credits"], "decimal_parsing"),
        ({"initial_minutes": 5}, ["initial_minutes"], "wrong_unit_for_plan"),
        ({"features": {"max_concurrent_calls": 0}}, ["features", "max_concurrent_calls"], "greater_than_equal"),
        ({"features": {"max_concurrent_calls": 51}}, ["features", "max_concurrent_calls"], "less_than_equal"),
        ({"features": {"voice_clonning": True}}, ["features", "voice_clonning"], "extra_forbidden"),
        ({"features": {"voice_cloning": "tal vez"}}, ["features", "voice_cloning"], "bool_parsing"),
        ({"settings": {"timezone": "America/Chile"}}, ["settings", "timezone"], "time_zone_unknown"),
        ({"settings": {"time_zone": "America/Lima"}}, ["settings", "time_zone"], "extra_forbidden"),
        ({"country": "Chile"}, ["country"], "country_not_iso"),
        ({"country": "XX"}, ["country"], "country_not_iso"),
        ({"cost_per_minute": -0.1}, ["cost_per_minute"], "greater_than_equal"),
        ({"retell_from_number": "225550100"}, ["retell_from_number"], "number_not_e164"),
        ({"call_settings": {"max_attempts": 3}}, ["call_settings"], "call_settings_belong_to_batch"),
        ({"call_settings": None}, ["call_settings"], "call_settings_belong_to_batch"),
        ({"settings": {"call_settings": {}}}, ["settings", "call_settings"], "call_settings_belong_to_batch"),
        ({"credits": 5}, ["credits"], "extra_forbidden"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_created(
    api: httpx.AsyncClient, container: Container, changes: dict[str, Any], loc: list[str], kind: str
) -> None:
    answer = await api.post("accounts", json=ACCOUNT | changes)
    assert error_at(answer, *loc)["type"] == kind
    assert set((await stored(container)).values()) == {0}


async def test_every_missing_field_is_named(api: httpx.AsyncClient) -> None:
    errors = problem(await api.post("accounts", json={}), 422, "invalid_input")["errors"]
    assert [error["loc"] for error in errors] == [
        ["account_name"],
        ["contact_name"],
        ["contact_email"],
        ["plan_type"],
    ]
    assert {error["msg"] for error in errors} == {"Falta este campo."}


async def test_an_id_is_taken_once(api: httpx.AsyncClient, account: dict[str, Any], container: Container) -> None:
    detail = problem(await api.post("accounts", json=ACCOUNT), 409, "account_exists")["detail"]
    assert "acc-chile-001" in detail
    assert (await stored(container))["accounts"] == 1
    assert (await stored(container))["transactions"] == 1


async def test_reading_and_listing(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    assert (await api.get("accounts/acc-chile-001")).json() == account
    await api.post("accounts", json=ACCOUNT | {"account_id": "acc-2"})
    await api.post("accounts", json=ACCOUNT | {"account_id": "acc-3"})
    listed = await api.get("accounts", params={"limit": 2})
    assert [entry["account_id"] for entry in listed.json()] == ["acc-3", "acc-2"]
    assert listed.headers["x-total-count"] == "3"
    assert listed.headers["link"] == '</api/v1/accounts?limit=2&skip=2>; rel="next"'
    last = await api.get("accounts", params={"limit": 2, "skip": 2})
    assert last.json() == [account]
    assert "link" not in last.headers


async def test_the_next_page_keeps_the_filter(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    await api.post("batches", json={"account_id": "acc-chile-001", "name": "Borrador"})
    listed = await api.get("batches", params={"account_id": "acc-chile-001", "limit": 1})
    link = listed.headers["link"].partition(">")[0].removeprefix("<")
    following = await api.get(f"http://cadencia.test{link}")
    assert [entry["batch_id"] for entry in following.json()] == [batch["batch_id"]]


@pytest.mark.parametrize(("name", "value"), [("limit", 0), ("limit", 501), ("limit", "x"), ("skip", -1)])
async def test_pages_have_bounds(api: httpx.AsyncClient, name: str, value: object) -> None:
    error_at(await api.get("accounts", params={name: str(value)}), "query", name)


async def test_a_change_changes_only_what_was_sent(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    answer = await api.patch(
        "accounts/acc-chile-001",
        json={
            "features": {"max_concurrent_calls": 12},
            "settings": {"timezone": "America/Lima"},
            "cost_per_minute": 0.2,
        },
    )
    assert answer.status_code == 200
    expected = account | {
        "features": account["features"] | {"max_concurrent_calls": 12},
        "max_concurrent_calls": 12,
        "settings": {"timezone": "America/Lima"},
        "cost_per_minute": 0.2,
    }
    assert without(answer.json(), "updated_at") == without(expected, "updated_at")
    assert (await api.get("accounts/acc-chile-001")).json() == answer.json()


async def test_null_clears_what_is_optional_and_is_refused_for_the_rest(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    assert (await api.patch("accounts/acc-chile-001", json={"contact_phone": None})).json()["contact_phone"] is None
    error_at(await api.patch("accounts/acc-chile-001", json={"account_name": None}), "account_name")


async def test_suspending_and_going_on(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    async def change(body: dict[str, Any]) -> dict[str, Any]:
        answer = await api.patch("accounts/acc-chile-001", json=body)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    suspended = await change({"status": "SUSPENDED", "suspension_reason": "No paga"})
    assert (suspended["status"], suspended["is_active"], suspended["suspension_reason"]) == (
        "suspended",
        False,
        "No paga",
    )
    active = await change({"status": "active"})
    assert (active["status"], active["is_active"], active["suspension_reason"]) == ("active", True, None)
    assert (await change({"is_active": False}))["status"] == "suspended"
    assert (await change({"suspension_reason": "Pidió una pausa"}))["suspension_reason"] == "Pidió una pausa"
    assert (await change({"is_active": True}))["status"] == "active"


@pytest.mark.parametrize(
    ("changes", "loc", "kind"),
    [
        ({"call_settings": {}}, ["call_settings"], "call_settings_belong_to_batch"),
        ({"status": "closed"}, ["status"], "enum"),
        ({"status": "active", "is_active": False}, ["is_active"], "status_and_is_active_differ"),
        ({"suspension_reason": "?"}, ["suspension_reason"], "suspension_reason_of_active"),
        ({"features": {"max_concurrent_calls": 99}}, ["features", "max_concurrent_calls"], "less_than_equal"),
        ({"settings": {"timezone": "Santiago"}}, ["settings", "timezone"], "time_zone_unknown"),
        ({"plan_type": "minutes_based"}, ["plan_type"], "extra_forbidden"),
        ({"contact_phone": "x"}, ["contact_phone"], "phone_unusable"),
    ],
)
async def test_a_wrong_change_changes_nothing(
    api: httpx.AsyncClient, account: dict[str, Any], changes: dict[str, Any], loc: list[str], kind: str
) -> None:
    answer = await api.patch("accounts/acc-chile-001", json={"account_name": "Otra", **changes})
    assert error_at(answer, *loc)["type"] == kind
    assert (await api.get("accounts/acc-chile-001")).json() == account


async def test_an_unknown_account_is_not_found_anywhere(api: httpx.AsyncClient) -> None:
    for method, path, body in (
        ("GET", "accounts/acc-x", None),
        ("PATCH", "accounts/acc-x", {"account_name": "A"}),
        ("GET", "accounts/acc-x/balance", None),
        ("GET", "accounts/acc-x/stats", None),
        ("POST", "accounts/acc-x/topup", {"credits": 5}),
        ("GET", "accounts/acc-x/transactions", None),
        ("GET", "accounts/acc-x/batches", None),
    ):
        answer = await api.request(method, path, json=body)
        assert "acc-x" in problem(answer, 404, "account_not_found")["detail"]
