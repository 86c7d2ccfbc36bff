"""Input that no form sends but some program will: it is refused or taken, and never ends in a 5xx."""

import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import ACCOUNT, batch_body

SURROGATE = "\ud800"
STRANGE: list[Any] = [
    SURROGATE,
    "a\x00b",
    "\u202e\ufeff\U0010ffff",
    10**400,
    -(2**63) - 1,
    1e308,
    float("nan"),
    float("inf"),
    True,
    None,
    [],
    {},
    {SURROGATE: SURROGATE},
    {"a\x00b": "$where"},
    {"$ne": None},
    [[[[[[]]]]]],
    "x" * 5_000,
]


def described(value: object) -> str:
    return repr(value)[:40].encode("ascii", "backslashreplace").decode()


async def post(api: httpx.AsyncClient, path: str, body: object) -> httpx.Response:
    return await api.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("value", STRANGE, ids=described)
async def test_in_a_contact(api: httpx.AsyncClient, account: dict[str, Any], value: Any) -> None:
    contact = {"name": "Ana", "phones": ["+56912345678"]}
    key = value if isinstance(value, str) else "monto"
    for changed in (
        contact | {"name": value},
        contact | {"phones": [value]},
        contact | {"phones": value},
        contact | {"email": value, "dni": value, "timezone": value},
        contact | {"monto": value},
        contact | {key: "1"},
        contact | {"custom_fields": value},
        contact | {"custom_fields": {key: value}},
    ):
        answer = await post(api, "batches", batch_body(contacts=[changed]))
        assert answer.status_code in {201, 202, 400, 422}, answer.text
        if answer.status_code < 300:
            assert (await api.get("jobs", params={"batch_id": answer.json()["batch_id"]})).status_code == 200


@pytest.mark.parametrize("value", STRANGE, ids=described)
async def test_in_fields(api: httpx.AsyncClient, account: dict[str, Any], value: Any) -> None:
    for path, body in (
        ("accounts", ACCOUNT | {"account_id": value}),
        ("accounts", ACCOUNT | {"account_id": "acc-2", "account_name": value, "initial_credits": value}),
        ("accounts/acc-chile-001/topup", {"credits": value}),
        ("batches", batch_body(name=value, script_content=value)),
        ("batches", batch_body(call_settings={"timezone": value, "max_attempts": value})),
        ("auth/login", {"email": value, "password": value}),
        ("auth/refresh", {"refresh_token": value}),
        ("do-not-call", {"phones": [value], "reason": value}),
        ("users", {"email": value, "name": value, "role": value, "password": value}),
        ("api-keys", {"name": value, "role": "viewer", "expires_at": value}),
    ):
        answer = await post(api, path, body)
        assert answer.status_code < 500, (path, answer.text)


@pytest.mark.parametrize(
    "name", ["%00", "a%00b", "%ED%A0%80", "%FF", "..%2F..", "$where", "x" * 2_000, "%F4%8F%BF%BF", "null", "%20"]
)
async def test_in_addresses(api: httpx.AsyncClient, account: dict[str, Any], name: str) -> None:
    for path in (
        f"accounts/{name}",
        f"batches/{name}",
        f"jobs/{name}",
        f"users/{name}",
        f"batches?account_id={name}",
        f"jobs?batch_id={name}&cursor={name}",
        f"jobs?account_id=acc-chile-001&phone={name}",
        f"calls/history?start_date={name}",
        f"audit-log?user={name}",
        f"do-not-call/check?account_id=acc-chile-001&phone={name}",
        f"accounts/acc-chile-001/activity?start_date={name}",
    ):
        answer = await api.get(path)
        assert answer.status_code in {200, 404, 422}, (path, answer.text)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b'{"account_id": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a":' * 5_000,
        b"1" * 10_000,
        b"\xef\xbb\xbf{}",
        b"nul",
    ],
    ids=[
        "no utf-8",
        "half utf-8",
        "deep list",
        "deep object",
        "deep enough",
        "long number",
        "byte order mark",
        "half a word",
    ],
)
async def test_bodies_that_are_hardly_json(api: httpx.AsyncClient, body: bytes) -> None:
    for path in ("batches", "auth/login", "webhooks/retell"):
        answer = await api.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 401, 422}, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Accept-Language", b"\xff;q=nan, en;q=inf"),
        (b"Accept-Language", b"es" * 4_000),
        (b"Idempotency-Key", b"\xff\x01"),
        (b"If-None-Match", b'W/"\xe9", *'),
        (b"Authorization", b"Bearer \xff"),
        (b"X-API-Key", b"cad_\xff.\xff"),
        (b"X-API-Key", b"cad_"),
        (b"X-Request-ID", b"\xc3\x28"),
        (b"X-Retell-Signature", b"v=99999999999999999999999,d=\xff"),
        (b"Content-Type", b"application/json; charset=\xff"),
        (b"Content-Type", b"multipart/form-data"),
    ],
)
async def test_headers(api: httpx.AsyncClient, account: dict[str, Any], name: bytes, value: bytes) -> None:
    for method, path in (
        ("GET", "dashboard/stats"),
        ("POST", "accounts/acc-chile-001/topup"),
        ("POST", "webhooks/retell"),
    ):
        answer = await api.request(method, path, content=b'{"credits": 1}', headers=[(name, value)])
        assert answer.status_code < 500, answer.text
