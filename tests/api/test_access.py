"""Logging in, staying so, roles, API keys, and the log of who did what."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.config import Settings
from app.domain.access import FREE_FAILURES, Role
from app.main import create_app
from app.services.users import NewUser
from tests.api.conftest import API, BATCH, CREDENTIALS, let_in, problem, running
from tests.conftest import make_settings

PASSWORD = "una frase bastante larga"
EMAIL = "ana@empresa.cl"


@pytest.fixture
async def ana(api: httpx.AsyncClient) -> dict[str, Any]:
    """An operator, created over HTTP."""
    body = {"email": EMAIL, "name": "Ana", "role": "Operator", "password": PASSWORD}
    answer = await api.post("users", json=body)
    assert answer.status_code == 201, answer.text
    assert PASSWORD not in answer.text
    created: dict[str, Any] = answer.json()
    return created


@asynccontextmanager
async def somebody(api: httpx.AsyncClient, token: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the same app with other credentials."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = api._transport
    async with httpx.AsyncClient(transport=transport, base_url=API, headers=headers) as client:
        yield client


async def login(client: httpx.AsyncClient, password: str = PASSWORD, email: str = EMAIL) -> httpx.Response:
    return await client.post("auth/login", json={"email": email, "password": password})


async def test_without_a_token_nothing_is_told(api: httpx.AsyncClient) -> None:
    async with somebody(api) as nobody:
        for path in ("accounts", "batches/batch-x", "no-such-route", "jobs", "auth/me"):
            answer = await nobody.get(path)
            problem(answer, 401, "token_missing")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        problem(await nobody.post("batches", json=BATCH), 401, "token_missing")
        assert (await nobody.get("http://cadencia.test/health")).status_code == 200
    for wrong in ("nonsense", "cad_key-tests.wrong", "cad_nobody.secret", "cad_", "cad_key-tests"):
        async with somebody(api, wrong) as stranger:
            problem(await stranger.get("accounts"), 401, "token_not_valid")


async def test_login_gives_what_the_contract_says(api: httpx.AsyncClient, ana: dict[str, Any]) -> None:
    async with somebody(api) as browser:
        session = (await login(browser, email="Ana@Empresa.CL")).json()
        assert session["user"] == {
            "id": ana["id"],
            "email": EMAIL,
            "name": "Ana",
            "role": "operator",
            "permissions": ["read", "operate"],
            "account_ids": None,
        }
        browser.headers["Authorization"] = f"Bearer {session['access_token']}"
        me = (await browser.get("auth/me")).json()
        assert (me["email"], me["is_active"]) == (EMAIL, True)
        assert me["last_login_at"]
        problem(await browser.post("accounts", json={}), 403, "not_permitted")
    problem(await api.get("auth/me"), 409, "not_a_user")


async def test_a_refresh_token_is_good_for_one_use(
    api: httpx.AsyncClient, ana: dict[str, Any], container: Container
) -> None:
    async with somebody(api) as browser:
        first = (await login(browser)).json()["refresh_token"]
        answer = await browser.post("auth/refresh", json={"refresh_token": first})
        second = answer.json()["refresh_token"]
        assert first != second
        # Two tabs at the same moment are no thief.
        tab = await browser.post("auth/refresh", json={"refresh_token": first})
        assert tab.status_code == 200
        tokens = container.database.collection("refresh_tokens")
        await tokens.update_many(
            {"spent_at": {"$exists": True}}, [{"$set": {"spent_at": {"$subtract": ["$spent_at", 60_000]}}}]
        )
        problem(await browser.post("auth/refresh", json={"refresh_token": first}), 401, "session_over")
        problem(await browser.post("auth/refresh", json={"refresh_token": second}), 401, "session_over")
        assert await tokens.count_documents({}) == 0


async def test_logging_out_ends_the_session(api: httpx.AsyncClient, ana: dict[str, Any]) -> None:
    async with somebody(api) as browser:
        token = {"refresh_token": (await login(browser)).json()["refresh_token"]}
        for _ in range(2):
            assert (await browser.post("auth/logout", json=token)).status_code == 204
        problem(await browser.post("auth/refresh", json=token), 401, "session_over")


async def test_guessing_is_slowed_down_and_tells_nothing(api: httpx.AsyncClient, ana: dict[str, Any]) -> None:
    async with somebody(api) as browser:
        unknown = problem(await login(browser, email="nadie@empresa.cl"), 401, "login_failed")
        wrong = [await login(browser, "no es esta") for _ in range(FREE_FAILURES)]
        assert problem(wrong[0], 401, "login_failed")["detail"] == unknown["detail"]
        locked = await login(browser)
        problem(locked, 429, "login_locked")
        assert 0 < int(locked.headers["retry-after"]) <= 60
        # Somebody else's login is none of it.
        assert (await login(browser, email="nadie@empresa.cl")).status_code == 401


async def test_a_success_forgets_the_failures(api: httpx.AsyncClient, ana: dict[str, Any]) -> None:
    async with somebody(api) as browser:
        for _ in range(2):
            for _ in range(FREE_FAILURES - 1):
                problem(await login(browser, "no es esta"), 401, "login_failed")
            assert (await login(browser)).status_code == 200


async def test_a_changed_password_ends_the_sessions(api: httpx.AsyncClient, ana: dict[str, Any]) -> None:
    async with somebody(api) as browser:
        session = (await login(browser)).json()
        browser.headers["Authorization"] = f"Bearer {session['access_token']}"
        wrong = {"current_password": "no es esta", "new_password": "otra frase bastante larga"}
        problem(await browser.post("auth/password", json=wrong), 401, "login_failed")
        right = {**wrong, "current_password": PASSWORD}
        assert (await browser.post("auth/password", json=right)).status_code == 204
        old = {"refresh_token": session["refresh_token"]}
        problem(await browser.post("auth/refresh", json=old), 401, "session_over")
        problem(await login(browser), 401, "login_failed")
        assert (await login(browser, "otra frase bastante larga")).status_code == 200


async def test_roles(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    path = f"batches/{batch['batch_id']}"
    for role, pauses, tops_up in (("viewer", 403, 403), ("operator", 200, 403), ("admin", 200, 200)):
        key = (await api.post("api-keys", json={"name": role, "role": role})).json()
        async with somebody(api, key["api_key"]) as machine:
            assert (await machine.get(path)).status_code == 200
            assert (await machine.patch(path, json={"is_active": False})).status_code == pauses
            topup = await machine.post("accounts/acc-chile-001/topup", json={"credits": 1})
            assert topup.status_code == tops_up
            assert (await machine.get("users")).status_code == tops_up
            # These have a body and change nothing.
            script = {"account_id": "acc-chile-001", "script_content": "Hola"}
            assert (await machine.post("batches/script/preview", json=script)).status_code == 200
            assert (await machine.post("call-settings/preview", json={"call_settings": {}})).status_code == 200
            assert (await machine.get("audit-log")).status_code == tops_up


async def test_an_api_key_is_shown_once_and_revoked_for_good(api: httpx.AsyncClient, container: Container) -> None:
    created = (await api.post("api-keys", json={"name": "ERP", "role": "viewer"})).json()
    text = created.pop("api_key")
    listed = await api.get("api-keys")
    assert text not in listed.text
    assert created in listed.json()
    stored = await container.database.collection("api_keys").find_one({"_id": created["key_id"]})
    assert text.partition(".")[2] not in str(stored)
    async with somebody(api) as machine:
        assert (await machine.get("accounts", headers={"X-API-Key": text})).status_code == 200
        for _ in range(2):
            assert (await api.delete(f"api-keys/{created['key_id']}")).json()["revoked_at"]
        problem(await machine.get("accounts", headers={"X-API-Key": text}), 401, "token_not_valid")
    problem(await api.delete("api-keys/key-x"), 404, "api_key_not_found")


async def test_an_expired_key_is_none(api: httpx.AsyncClient) -> None:
    body = {"name": "ERP", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}
    key = (await api.post("api-keys", json=body)).json()["api_key"]
    async with somebody(api, key) as machine:
        problem(await machine.get("accounts"), 401, "token_not_valid")


async def test_a_year_has_four_digits(api: httpx.AsyncClient) -> None:
    body = {"name": "ERP", "role": "viewer", "expires_at": "0245-10-19T16:13:21Z"}
    assert (await api.post("api-keys", json=body)).json()["expires_at"] == body["expires_at"]


async def test_users_are_changed_and_locked_out(api: httpx.AsyncClient, ana: dict[str, Any]) -> None:
    path = f"users/{ana['id']}"
    problem(await api.post("users", json={**_user(), "email": EMAIL.upper()}), 409, "email_taken")
    short = await api.post("users", json={**_user(), "password": "corta"})
    problem(short, 422, "invalid_input")
    assert short.json()["detail"] == "password: Debe tener 12 caracteres o más."
    problem(await api.post("users", json={**_user(), "account_ids": ["acc-none"]}), 404, "account_not_found")
    problem(await api.get("users/user-x"), 404, "user_not_found")
    changed = (await api.patch(path, json={"name": "Ana María", "role": "viewer"})).json()
    assert (changed["name"], changed["role"]) == ("Ana María", "viewer")
    assert [user["email"] for user in (await api.get("users")).json()] == [EMAIL]
    async with somebody(api) as browser:
        assert (await api.patch(path, json={"is_active": False})).json()["is_active"] is False
        problem(await login(browser), 401, "login_failed")


async def test_the_last_administrator_stays(api: httpx.AsyncClient, container: Container) -> None:
    root = await container.access.users.create(NewUser("root@empresa.cl", "Root", Role.ADMIN, PASSWORD))
    path = f"users/{root.user_id}"
    for change in ({"role": "operator"}, {"is_active": False}):
        problem(await api.patch(path, json=change), 409, "last_admin")
    assert (await api.patch(path, json={"name": "Raíz"})).status_code == 200
    await container.access.users.create(NewUser("otra@empresa.cl", "Otra", Role.ADMIN, PASSWORD))
    assert (await api.patch(path, json={"role": "operator"})).status_code == 200


async def test_who_did_it_is_in_the_logs(api: httpx.AsyncClient, batch: dict[str, Any], ana: dict[str, Any]) -> None:
    async with somebody(api) as browser:
        browser.headers["Authorization"] = f"Bearer {(await login(browser)).json()['access_token']}"
        path = f"batches/{batch['batch_id']}"
        await browser.patch(path, json={"is_active": False})
        await browser.post("accounts/acc-chile-001/topup", json={"credits": 5})
        logs = (await browser.get(f"{path}/logs")).json()["logs"]
    assert logs[-1]["user"] == EMAIL
    entries = (await api.get("audit-log", params={"user": EMAIL})).json()
    assert [(entry["operation"], entry["status"], entry["fields"]) for entry in entries] == [
        ("top_up_account", 403, ["credits"]),
        ("change_batch", 200, ["is_active"]),
    ]
    assert entries[0]["account_id"] == "acc-chile-001"
    assert entries[1]["path"].endswith(path)
    everything = (await api.get("audit-log")).text
    assert PASSWORD not in everything
    assert "create_batch" in everything


async def test_every_answer_has_the_headers(api: httpx.AsyncClient) -> None:
    for answer in (await api.get("accounts"), await api.get("http://cadencia.test/nada"), await api.get("jobs/x")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (await api.get("accounts")).headers["cache-control"] == "no-store"
    # Of the page that loads something: its own.
    assert "script-src 'self'" in (await api.get("http://cadencia.test/docs")).headers["content-security-policy"]


async def test_too_many_requests(settings: Settings, container: Container) -> None:
    limited = settings.model_copy(update={"requests_per_minute": 10})
    await let_in(container)
    async with running(create_app(limited)) as api:
        answers = [await api.get("accounts") for _ in range(11)]
        assert {answer.status_code for answer in answers[:10]} == {200}
        problem(answers[10], 429, "too_many_requests")
        assert int(answers[10].headers["retry-after"]) >= 1
        async with somebody(api) as nobody:
            statuses = [(await nobody.get("accounts")).status_code for _ in range(11)]
            assert statuses == [401] * 10 + [429]


async def test_authentication_can_be_switched_off(settings: Settings, container: Container) -> None:
    async with (
        running(create_app(settings.model_copy(update={"authentication": False}))) as api,
        somebody(api) as nobody,
    ):
        assert (await nobody.get("accounts")).status_code == 200


def test_it_is_on_by_default() -> None:
    assert make_settings("mongodb://127.0.0.1:9/?replicaSet=rs0").authentication is True
    assert CREDENTIALS


def _user() -> dict[str, Any]:
    return {"email": "otra@empresa.cl", "name": "Otra", "role": "viewer", "password": PASSWORD}
