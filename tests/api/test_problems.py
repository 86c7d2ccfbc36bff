"""What every request has: problems, language, request id, CORS."""

import base64
import hashlib
import re
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.api import problems
from app.api.language import language_of
from app.config import Settings
from app.domain.messages import CATALOGUE
from app.main import create_app
from tests.api.conftest import API, BATCH, error_at, problem, running


async def test_an_unknown_route(api: httpx.AsyncClient) -> None:
    assert "/api/v1/nada" in problem(await api.get("nada"), 404, "route_not_found")["detail"]


async def test_a_method_that_a_route_lacks(api: httpx.AsyncClient) -> None:
    answer = await api.delete("jobs")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_all_methods_of_an_address_are_named(api: httpx.AsyncClient) -> None:
    """Each is a route of its own."""
    assert set((await api.delete("accounts")).headers["allow"].split(", ")) == {"GET", "POST"}
    assert set((await api.post("batches/x")).headers["allow"].split(", ")) >= {"GET", "PATCH"}


async def test_where_json_ends_to_be_json_is_said_in_spanish(api: httpx.AsyncClient) -> None:
    answer = await api.post("batches", content='{"a": x}', headers={"Content-Type": "application/json"})
    assert problem(answer, 400, "invalid_json")["detail"].endswith("deja de serlo en el carácter 6.")


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("accounts/acc-chile-001/topup", {"credits": True}, "credits"),
        ("accounts", {"billing_increment_seconds": False}, "billing_increment_seconds"),
        ("api-keys", {"name": "ERP", "role": "viewer", "expires_at": 4102444800}, "expires_at"),
        ("api-keys", {"name": "ERP", "role": "viewer", "expires_at": "4102444800"}, "expires_at"),
    ],
)
async def test_what_python_would_take_for_something_else(
    api: httpx.AsyncClient, account: dict[str, Any], path: str, body: dict[str, Any], place: str
) -> None:
    """True is 1 to it, and a number is seconds since 1970."""
    assert error_at(await api.post(path, json=body), place)["type"] in {"int_type", "datetime_type"}


async def test_a_number_is_no_date(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    answer = await api.get("accounts/acc-chile-001/activity", params={"end_date": "0"})
    assert error_at(answer, "query", "end_date")["msg"] == "Debe ser una fecha ISO 8601, como 2025-11-03."


@pytest.mark.parametrize("content", ['{"account_id": ', "{'a': 1}", "", "[1, 2", '{"a": 1} x'])
async def test_a_body_that_is_no_json(api: httpx.AsyncClient, content: str) -> None:
    answer = await api.post("batches", content=content, headers={"Content-Type": "application/json"})
    if content:
        assert problem(answer, 400, "invalid_json")["errors"][0]["type"] == "json_invalid"
    else:
        problem(answer, 422, "invalid_input")


@pytest.mark.parametrize(
    ("content", "kind"),
    [("null", "model_attributes_type"), ("[]", "model_attributes_type"), ('"x"', "model_attributes_type")],
)
async def test_a_body_that_is_no_object(api: httpx.AsyncClient, content: str, kind: str) -> None:
    answer = await api.post("batches", content=content, headers={"Content-Type": "application/json"})
    body = problem(answer, 422, "invalid_input")
    assert [(error["loc"], error["type"]) for error in body["errors"]] == [([], kind)]


async def test_a_body_of_another_type(api: httpx.AsyncClient) -> None:
    answer = await api.post("batches", content="{}", headers={"Content-Type": "text/plain"})
    assert "application/json" in problem(answer, 422, "invalid_input")["detail"]


async def test_a_body_that_is_too_deep_or_too_large_a_number(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    for content in ("[" * 100_000, '{"name": ' + "9" * 5000 + "}"):
        problem(await api.post("batches", content=content, headers=headers), 400, "malformed_request")


async def test_an_error_nobody_expected_tells_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, account: dict[str, Any]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("mongodb://user:secret@host")

    app = create_app(settings.model_copy(update={"cors_origins": ["https://panel.cl"]}))
    async with running(app) as api:
        monkeypatch.setattr("app.api.routes.accounts.account_reply", fail)
        with capture_logs() as log:
            answer = await api.get(
                "accounts/acc-chile-001", headers={"X-Request-ID": "abc-1", "Origin": "https://panel.cl"}
            )
    problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["access-control-allow-origin"] == "https://panel.cl"
    assert [entry["event"] for entry in log] == ["request_failed", "request"]
    assert log[1]["status"] == 500


async def test_english_on_request(api: httpx.AsyncClient) -> None:
    spanish = await api.get("accounts/acc-x")
    english = await api.get("accounts/acc-x", headers={"Accept-Language": "fr, en-US;q=0.8, es;q=0.5"})
    assert problem(spanish, 404, "account_not_found")["detail"] == "No existe la cuenta «acc-x»."
    assert problem(english, 404, "account_not_found")["detail"] == "There is no account «acc-x»."
    assert (spanish.headers["content-language"], english.headers["content-language"]) == ("es", "en")
    assert english.json()["title"] == "Not found"
    wrong = await api.post("batches", json=BATCH | {"name": ""}, headers={"Accept-Language": "en"})
    assert wrong.json()["errors"][0]["msg"] == "It must have 1 characters or more."


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "es"),
        ("", "es"),
        ("en", "en"),
        ("EN-gb", "en"),
        ("es-CL, en;q=0.9", "es"),
        ("en;q=0.9, es-CL", "es"),
        ("en, es", "en"),
        ("es, en", "es"),
        ("en;q=0.1, es;q=0", "en"),
        ("en;q=0", "es"),
        ("*", "es"),
        ("es;q=0, *", "en"),
        ("*;q=0.1, en;q=0.2", "en"),
        ("en;q=0.2, *;q=0.5", "es"),
        ("fr, pt", "es"),
        ("en;q=mucho, es;q=0.1", "es"),
        (";;;,,=", "es"),
    ],
)
def test_which_language_is_meant(header: str | None, language: str) -> None:
    assert language_of(header) == language


async def test_a_request_id_goes_in_and_out(api: httpx.AsyncClient) -> None:
    assert (await api.get("jobs", headers={"X-Request-ID": "abc-123"})).headers["x-request-id"] == "abc-123"
    for harmful in ("a b", "x" * 129, "<script>"):
        given = await api.get("jobs", headers={"X-Request-ID": harmful})
        assert given.headers["x-request-id"] != harmful
    first, second = [(await api.get("jobs")).headers["x-request-id"] for _ in range(2)]
    assert first != second


async def test_one_line_a_request_without_its_body(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    with capture_logs() as log:
        await api.get("accounts/acc-chile-001", params={"_secreto": "1"})
    (line,) = log
    assert {**line, "ms": 0} == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/accounts/{account_id}",
        "status": 200,
        "ms": 0,
    }


async def test_browsers_of_the_panel_may_ask_and_others_not(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"cors_origins": ["https://panel.cl"]}))
    asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "idempotency-key"}
    async with running(app) as api:
        allowed = await api.options("batches/x", headers=asked | {"Origin": "https://panel.cl"})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://panel.cl"
        listed = await api.get("jobs", headers={"Origin": "https://panel.cl"})
        assert "X-Total-Count" in listed.headers["access-control-expose-headers"]
        other = await api.get("jobs", headers={"Origin": "https://otro.cl"})
        assert "access-control-allow-origin" not in other.headers


async def test_the_docs_are_served(api: httpx.AsyncClient) -> None:
    docs = await api.get(API.replace("/api/v1/", "/docs"))
    assert docs.status_code == 200
    assert "SwaggerUIBundle(" in docs.text
    assert "url: '/openapi.json'" in docs.text
    problem(await api.get(API.replace("/api/v1/", "/docs/consts.py")), 404, "route_not_found")


async def test_nothing_of_a_third_party_runs_where_people_type_keys(api: httpx.AsyncClient) -> None:
    """And the page is whole where the internet cannot be reached."""
    docs = await api.get(API.replace("/api/v1/", "/docs"))
    loaded = re.findall(r'(?:src|href)="([^"]+)"', docs.text)
    assert len(loaded) == 3
    for address in loaded:
        assert address.startswith("/docs/")
        file = await api.get(API.replace("/api/v1/", address))
        assert file.status_code == 200
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert len(file.content) > 1000
    assert "://" not in docs.text
    policy = dict(part.strip().split(" ", 1) for part in docs.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    (script,) = re.findall(r"<script>(.*?)</script>", docs.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"


def test_every_status_we_answer_has_a_title() -> None:
    statuses = {*problems.STATUS.values(), *problems.STATUS_OF_CODE.values(), *problems.HTTP_CODES}
    for status in statuses | {HTTPStatus.INTERNAL_SERVER_ERROR}:
        assert f"title_{status.value}" in CATALOGUE
    assert set(problems.HTTP_CODES.values()) <= set(CATALOGUE)
