"""The OpenAPI document says everything that a client needs."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.api.problems import Problem
from app.main import create_app
from tests.api.conftest import BATCH
from tests.conftest import make_settings

DOCUMENT: dict[str, Any] = create_app(make_settings("mongodb://127.0.0.1:9/?replicaSet=rs0")).openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


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
        "POST /batches/excel/preview",
        "GET /batches/excel/template.xlsx",
        "GET /batches/excel/{upload_id}/errors.xlsx",
        "POST /batches",
        "GET /batches",
        "GET /batches/{batch_id}",
        "PATCH /batches/{batch_id}",
        "DELETE /batches/{batch_id}",
        "POST /batches/{batch_id}/cancel",
        "GET /batches/{batch_id}/status",
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
        "POST /call-settings/preview",
        "GET /timezones",
        "GET /use-cases",
        "GET /batches/{batch_id}/summary",
        "GET /dashboard/stats",
        "GET /calls/history",
        "GET /accounts/{account_id}/activity",
        "GET /do-not-call",
        "POST /do-not-call",
        "POST /do-not-call/import",
        "GET /do-not-call/check",
        "DELETE /do-not-call/{entry_id}",
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


@pytest.mark.parametrize(("method", "path", "operation"), API)
def test_every_operation_documents_its_problems(method: str, path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    expected = {"422", "503"}
    if "{" in path:
        expected.add("404")
    if "requestBody" in operation:
        expected.add("400")
    assert expected <= set(responses)
    for status, response in responses.items():
        if status[0] in "45":
            schema = response["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}, status


def test_the_problem_is_described() -> None:
    schema = DOCUMENT["components"]["schemas"]["Problem"]
    assert set(schema["properties"]) == set(Problem.model_fields)
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r"#/components/schemas/([\w-]+)", str(DOCUMENT)))
    assert references <= set(DOCUMENT["components"]["schemas"])


def test_the_contracts_batch_is_the_example() -> None:
    # FastAPI leaves what is null out of the document.
    expected = {name: value for name, value in BATCH.items() if value is not None}
    assert DOCUMENT["components"]["schemas"]["CreateBatch"]["example"] == expected


def test_ids_are_documented_under_both_names() -> None:
    for schema, name in (("AccountReply", "account_id"), ("BatchReply", "batch_id"), ("JobReply", "job_id")):
        assert {"_id", name} <= set(DOCUMENT["components"]["schemas"][schema]["properties"])


async def test_it_is_served(api: httpx.AsyncClient) -> None:
    served = (await api.get("http://cadencia.test/openapi.json")).json()
    assert served["paths"].keys() == DOCUMENT["paths"].keys()
