"""The OpenAPI document says everything that a client needs."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from app.api import openapi_examples, problem_codes, problems
from app.api.problems import Problem
from app.main import EXPOSED_HEADERS, create_app
from tests.api.conftest import ACCOUNT, BATCH
from tests.conftest import make_settings

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = create_app(make_settings("mongodb://127.0.0.1:9/?replicaSet=rs0")).openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What `node` refers to, or itself."""
    found: Any = DOCUMENT if "$ref" in node else node
    for name in node.get("$ref", "#").split("/")[1:]:
        found = found[name]
    return dict(found)


OPERATIONS = [pytest.param(*operation, id=f"{operation[0]} {operation[1]}") for operation in operations()]
API = [entry for entry in OPERATIONS if str(entry.values[1]).startswith("/api/v1/")]


def test_every_route_of_this_version_is_there() -> None:
    assert {f"{method} {path.removeprefix('/api/v1')}" for method, path, _ in operations()} == {
        "GET /health",
        "GET /health/ready",
        "GET /health/live",
        "POST /auth/login",
        "POST /auth/refresh",
        "POST /auth/logout",
        "GET /auth/me",
        "POST /auth/password",
        "POST /users",
        "GET /users",
        "GET /users/{user_id}",
        "PATCH /users/{user_id}",
        "POST /api-keys",
        "GET /api-keys",
        "DELETE /api-keys/{key_id}",
        "GET /audit-log",
        "POST /accounts",
        "GET /accounts",
        "GET /accounts/{account_id}",
        "PATCH /accounts/{account_id}",
        "GET /accounts/{account_id}/balance",
        "GET /accounts/{account_id}/stats",
        "POST /accounts/{account_id}/topup",
        "GET /accounts/{account_id}/transactions",
        "GET /accounts/{account_id}/batches",
        "POST /accounts/{account_id}/webhooks",
        "GET /accounts/{account_id}/webhooks",
        "GET /accounts/{account_id}/webhooks/{webhook_id}",
        "PATCH /accounts/{account_id}/webhooks/{webhook_id}",
        "DELETE /accounts/{account_id}/webhooks/{webhook_id}",
        "POST /accounts/{account_id}/webhooks/{webhook_id}/secret",
        "POST /accounts/{account_id}/webhooks/{webhook_id}/test",
        "GET /accounts/{account_id}/webhooks/{webhook_id}/deliveries",
        "GET /accounts/{account_id}/webhooks/{webhook_id}/deliveries/{delivery_id}",
        "POST /accounts/{account_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
        "POST /batches/excel/preview",
        "POST /batches/excel/create",
        "GET /batches/excel/template.xlsx",
        "GET /batches/excel/{upload_id}/errors.xlsx",
        "POST /batches",
        "GET /batches",
        "GET /batches/{batch_id}",
        "PATCH /batches/{batch_id}",
        "DELETE /batches/{batch_id}",
        "POST /batches/{batch_id}/cancel",
        "GET /batches/{batch_id}/status",
        "POST /batches/{batch_id}/upload",
        "GET /batches/{batch_id}/imports",
        "GET /batches/{batch_id}/imports/{import_id}",
        "DELETE /batches/{batch_id}/imports/{import_id}",
        "GET /batches/{batch_id}/logs",
        "GET /batches/{batch_id}/events",
        "POST /batches/{batch_id}/events/ticket",
        "GET /jobs",
        "GET /jobs/{job_id}",
        "GET /jobs/{job_id}/timeline",
        "PUT /jobs/{job_id}/retry",
        "PUT /jobs/{job_id}/cancel",
        "GET /call-presets",
        "POST /batches/script/preview",
        "POST /batches/{batch_id}/test-call",
        "POST /call-settings/preview",
        "GET /timezones",
        "GET /use-cases",
        "GET /batches/{batch_id}/summary",
        "GET /batches/{batch_id}/results.xlsx",
        "GET /batches/{batch_id}/results.csv",
        "GET /dashboard/stats",
        "GET /calls/history",
        "GET /accounts/{account_id}/activity",
        "GET /do-not-call",
        "POST /do-not-call",
        "POST /do-not-call/import",
        "GET /do-not-call/check",
        "DELETE /do-not-call/{entry_id}",
        "POST /privacy/erasures",
        "GET /privacy/erasures",
        "GET /privacy/erasures/{erasure_id}",
        "POST /privacy/export",
        "POST /webhooks/retell",
        "GET /from-numbers",
        "POST /from-numbers/{from_number}/reset",
        "GET /workers",
        "PUT /workers/{worker_id}/drain",
    }


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_every_operation_has_a_name_a_tag_and_a_summary(method: str, path: str, operation: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"])
    assert len(operation["tags"]) == 1
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert operation["summary"]


def test_names_are_unique() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_names_stay_what_they_are() -> None:
    """Generated clients call operations by them. A new operation's name is added to the file; none is ever changed."""
    pinned = (Path(__file__).parent / "operation_ids.txt").read_text("utf-8").split()
    assert sorted(operation["operationId"] for _, _, operation in operations()) == pinned


@pytest.mark.parametrize(("method", "path", "operation"), API)
def test_every_operation_documents_its_problems(method: str, path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    expected = {"422", "503"}
    if {"bearer": []} in operation["security"]:
        expected |= {"401", "403", "429"}
    if "{" in path:
        expected.add("404")
    if "requestBody" in operation:
        expected |= {"400", "413"}
    assert expected <= set(responses)
    for status, response in responses.items():
        if status[0] in "45":
            found = resolved(response)
            media = found["content"]["application/problem+json"]
            assert media["schema"]["allOf"][0] == {"$ref": "#/components/schemas/Problem"}
            assert media["example"]["status"] == int(status)
            assert media["example"]["code"] in media["schema"]["allOf"][1]["properties"]["code"]["enum"]
            assert ("Retry-After" in found["headers"]) == (status in {"429", "503"})


@cache
def codes_raised() -> frozenset[tuple[int, str]]:
    return frozenset(_codes_raised())


def _codes_raised() -> Iterator[tuple[int, str]]:
    """Every code that the program raises as a literal, with the status that it gets."""
    kinds = {kind.__name__: status for kind, status in problems.STATUS.items()}
    for path in sorted((ROOT / "app").glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else None
            if name not in kinds or not isinstance(node, ast.Call):
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}.get("code") or (
                node.args[:2][-1] if name == "InvalidInput" else node.args[0]
            )
            if isinstance(given, ast.Constant):
                code = str(given.value)
                yield int(problems.STATUS_OF_CODE.get(code, kinds[name])), code


@pytest.mark.parametrize("status", list(problem_codes.KINDS))
def test_every_code_of_a_problem_is_documented(status: int) -> None:
    """A new one is added to app/api/problem_codes.py."""
    raised = {code for at, code in codes_raised() if at == status}
    assert raised <= set(problem_codes.KINDS[status].codes)


def test_codes_are_looked_for_where_they_are() -> None:
    assert {(404, "batch_not_found"), (409, "batch_not_changeable"), (401, "token_missing")} <= codes_raised()
    assert {int(status) for status in problems.STATUS.values()} <= problem_codes.KINDS.keys()


def bodies() -> Iterator[Any]:
    """Every body of JSON or a form, with its place."""
    for method, path, operation in operations():
        contents = {"request": operation.get("requestBody", {}).get("content", {})}
        contents |= {status: resolved(found).get("content", {}) for status, found in operation["responses"].items()}
        for part, content in contents.items():
            for kind, media in content.items():
                if kind.endswith("json") or "form-" in kind:
                    yield pytest.param(media, id=f"{method} {path} {part}")


@pytest.mark.parametrize("media", list(bodies()))
def test_every_body_has_an_example_that_fits(media: dict[str, Any]) -> None:
    """A field without one needs `examples=` in its schema, or a word in app/api/openapi_words.py."""
    example = media["example"]
    assert openapi_examples.UNKNOWN not in json.dumps(example, ensure_ascii=False)
    schema = {**media["schema"], "components": DOCUMENT["components"]}
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(example)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_headers_are_documented(method: str, path: str, operation: dict[str, Any]) -> None:
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    found = {status: set(resolved(reply)["headers"]) for status, reply in operation["responses"].items()}
    assert all("X-Request-ID" in headers for headers in found.values())
    good = found.get("200", set())
    assert {"X-Total-Count", "Link"} <= good or not {"limit", "skip"} <= names
    assert "If-None-Match" not in names or "ETag" in good & found["304"]
    assert set().union(*found.values()) <= set(EXPOSED_HEADERS)
    for parameter in operation.get("parameters", []):
        assert parameter["in"] != "path" or parameter["example"] != openapi_examples.UNKNOWN, parameter["name"]


def test_what_is_created_says_where_it_is() -> None:
    created = DOCUMENT["paths"]["/api/v1/batches"]["post"]["responses"]["201"]
    assert created["headers"]["Location"] == {"$ref": "#/components/headers/Location"}


def test_security_is_declared_and_applied() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    used = {name for _, _, operation in operations() for scheme in operation["security"] for name in scheme}
    assert used == set(schemes)
    assert schemes["api_key"]["name"] == "X-API-Key"


def test_the_problem_is_described() -> None:
    schema = DOCUMENT["components"]["schemas"]["Problem"]
    assert set(schema["properties"]) == set(Problem.model_fields)
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]


def test_every_reference_leads_somewhere() -> None:
    for kind, name in set(re.findall(r"#/components/(\w+)/([\w-]+)", str(DOCUMENT))):
        assert name in DOCUMENT["components"][kind]


def test_the_contracts_batch_is_the_example() -> None:
    # FastAPI leaves what is null out of the document.
    expected = {name: value for name, value in BATCH.items() if value is not None}
    assert DOCUMENT["components"]["schemas"]["CreateBatch"]["example"] == expected
    create = DOCUMENT["paths"]["/api/v1/batches"]["post"]
    assert create["requestBody"]["content"]["application/json"]["example"] == expected


def test_the_contracts_account_is_the_example() -> None:
    create = DOCUMENT["paths"]["/api/v1/accounts"]["post"]
    expected = {name: value for name, value in ACCOUNT.items() if name != "account_id"}
    assert create["requestBody"]["content"]["application/json"]["example"] == expected


def test_ids_are_documented_under_both_names() -> None:
    for schema, name in (("AccountReply", "account_id"), ("BatchReply", "batch_id"), ("JobReply", "job_id")):
        assert {"_id", name} <= set(DOCUMENT["components"]["schemas"][schema]["properties"])


async def test_it_is_served(api: httpx.AsyncClient) -> None:
    served = (await api.get("http://cadencia.test/openapi.json")).json()
    assert served["paths"].keys() == DOCUMENT["paths"].keys()
