"""The API in this process, its lifespan run, on the session's mongod and an empty database."""

import contextlib
from collections.abc import AsyncIterator
from copy import deepcopy
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.bootstrap import Container
from app.config import Settings
from app.domain.access import ApiKey, Role
from app.main import create_app
from app.repositories.access import MongoApiKeys

CREDENTIALS = {"Authorization": "Bearer cad_key-tests.secret"}
API = "http://cadencia.test/api/v1/"

ACCOUNT: dict[str, Any] = {
    "account_id": "acc-chile-001",
    "account_name": "Empresa XYZ",
    "contact_name": "María González",
    "contact_email": "maria@empresaxyz.cl",
    "contact_phone": "+56987654321",
    "plan_type": "credit_based",
    "initial_credits": 1000,
    "features": {"max_concurrent_calls": 5},
    "settings": {"timezone": "America/Santiago"},
}
"""The contract's example, with an id of our own."""

BATCH: dict[str, Any] = {
    "account_id": "acc-chile-001",
    "name": "Campaña Cobranza Noviembre",
    "description": "Segunda ronda",
    "script_content": "Hola {{nombre}}, le llamo de {{empresa}}...",
    "voice_settings": {"voice_id": "default", "speed": 1.0, "pitch": 0, "volume": 1.0, "language": "es-CL"},
    "call_settings": {
        "max_call_duration": 300,
        "ring_timeout": 30,
        "max_attempts": 3,
        "retry_delay_hours": 24,
        "allowed_hours": {"start": "09:00", "end": "18:00"},
        "days_of_week": [1, 2, 3, 4, 5],
        "timezone": "America/Santiago",
    },
    "schedule_type": "immediate",
    "scheduled_at": None,
    "recurring_config": None,
    "priority": "normal",
    "contacts": [
        {
            "name": "Juan Pérez",
            "phones": ["+56912345678", "+56987654321"],
            "email": "juan@email.com",
            "rut": "12345678-9",
            "monto_deuda": "50000",
        }
    ],
}
"""The contract's example, literally."""


def batch_body(**changes: Any) -> dict[str, Any]:
    """BATCH with `changes`; a dict among them is merged into what is there."""
    body = deepcopy(BATCH)
    for name, value in changes.items():
        merged = isinstance(value, dict) and isinstance(body.get(name), dict)
        body[name] = body[name] | value if merged else value
    return body


@contextlib.asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app` while its lifespan runs."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=API, headers=CREDENTIALS) as client,
    ):
        yield client


@pytest.fixture(scope="session")
async def session_api(settings: Settings, session_container: Container) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(settings)) as client:
        yield client


@pytest.fixture
async def api(session_api: httpx.AsyncClient, container: Container) -> httpx.AsyncClient:
    """A client of the API, who may do everything, on a database that is empty but for its key."""
    await let_in(container)
    return session_api


async def let_in(container: Container) -> None:
    """Make CREDENTIALS valid."""
    await MongoApiKeys(container.database).insert(
        ApiKey(
            key_id="key-tests",
            name="api",
            role=Role.ADMIN,
            secret_hash=sha256(b"secret").hexdigest(),
            created_by="tests",
            created_at=container.clock.now(),
        )
    )


@pytest.fixture
async def account(api: httpx.AsyncClient) -> dict[str, Any]:
    """The contract's account, created."""
    answer = await api.post("accounts", json=ACCOUNT)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


@pytest.fixture
async def batch(api: httpx.AsyncClient, account: dict[str, Any]) -> dict[str, Any]:
    """The contract's batch, created."""
    answer = await api.post("batches", json=BATCH)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def stored(container: Container) -> dict[str, int]:
    """How many documents the collections hold that a create writes to."""
    names = ("accounts", "batches", "jobs", "transactions", "batch_logs", "uploads", "upload_chunks", "upload_rejected")
    return {name: await container.database.collection(name).count_documents({}) for name in names}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in `answer`, its standing parts checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"] == f"urn:cadencia:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["message"] == body["detail"]
    assert body["instance"] == answer.request.url.path
    return body


def error_at(answer: httpx.Response, *loc: str | int) -> dict[str, Any]:
    """The error of an invalid input that names `loc`."""
    errors = problem(answer, 422, "invalid_input")["errors"]
    found = [error for error in errors if error["loc"] == list(loc)]
    assert len(found) == 1, errors
    assert found[0]["msg"]
    first: dict[str, Any] = found[0]
    return first
