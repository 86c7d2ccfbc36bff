"""Parameters that a route does not know are refused, by every route."""

import re

import httpx
import pytest

from app.api.authentication import PROTECTED
from app.api.openapi_details import operations
from app.config import Settings
from app.main import create_app
from tests.api.conftest import problem

TOLD = "/api/v1/webhooks/retell"
"""Whoever calls us back may add what they like."""


async def test_every_route_names_the_stranger_and_those_it_knows(api: httpx.AsyncClient, settings: Settings) -> None:
    asked = 0
    for path, method, operation in operations(create_app(settings).openapi()):
        if not path.startswith(PROTECTED) or path == TOLD:
            continue
        address = re.sub(r"\{\w+\}", "none", path)
        answer = await api.request(method, f"http://cadencia.test{address}?not_there=1&_=17&also=")
        errors = problem(answer, 422, "invalid_input")["errors"]
        assert [error["loc"] for error in errors] == [["query", "not_there"], ["query", "also"]], path
        known = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        for error in errors:
            assert error["type"] == ("parameter_unknown" if known else "parameters_none"), path
            assert all(name in error["msg"] for name in known), path
        asked += 1
    assert asked > 70


@pytest.mark.parametrize("path", ["accounts?_=17", "jobs?_t=17&limit=5", "dashboard/stats?_", "users?_ts=1"])
async def test_what_browsers_add_against_caches_means_nothing(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 200


async def test_nothing_is_done_of_a_request_that_is_refused_so(api: httpx.AsyncClient) -> None:
    body = {"account_name": "Empresa", "contact_name": "Ana", "contact_email": "ana@empresa.cl"}
    problem(await api.post("accounts?dry_run=true", json=body), 422, "invalid_input")
    assert (await api.get("accounts")).json() == []


async def test_a_long_name_is_quoted_in_part(api: httpx.AsyncClient) -> None:
    found = problem(await api.get(f"accounts?{'x' * 500}=1"), 422, "invalid_input")
    assert found["errors"][0]["loc"] == ["query", "x" * 60]


def test_every_list_knows_limit_and_skip(settings: Settings) -> None:
    """As the contract says of all of them: a frontend's table sends both, whichever list it shows."""
    without = set()
    for path, method, operation in operations(create_app(settings).openapi()):
        content = operation["responses"].get("200", {}).get("content", {})
        is_list = content.get("application/json", {}).get("schema", {}).get("type") == "array"
        names = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        if method.lower() == "get" and is_list and not {"limit", "skip"} <= names:
            without.add(path)
    assert without == {"/api/v1/timezones"}  # the choices of a field, all of them


async def test_a_list_that_is_not_stored_has_pages_too(api: httpx.AsyncClient) -> None:
    every = (await api.get("use-cases")).json()
    second = await api.get("use-cases?limit=1&skip=1")
    assert second.json() == every[1:2]
    assert second.headers["X-Total-Count"] == str(len(every))
