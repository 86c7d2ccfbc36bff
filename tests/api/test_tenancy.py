"""Every route, asked by somebody who may see one account, about another account's objects: they do not exist.

The routes come from the OpenAPI document, so a new one is asked too.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.main import create_app
from tests.api.conftest import ACCOUNT, BATCH, problem
from tests.api.test_access import somebody
from tests.conftest import make_settings

DOCUMENT: dict[str, Any] = create_app(make_settings("mongodb://127.0.0.1:9/?replicaSet=rs0")).openapi()
PREFIX = "/api/v1/"
OWN = "acc-propia"
OTHER = "acc-chile-001"

OF_NOBODY = {"user_id", "key_id"}
"""Ids of what belongs to no account; whoever sees only some accounts gets 403."""


def guarded() -> Iterator[tuple[str, str]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if operation["security"]:
                yield method.upper(), path.removeprefix(PREFIX)


WITH_IDS = [(method, path) for method, path in guarded() if "{" in path]
LISTS = [path for method, path in guarded() if method == "GET" and "{" not in path]


@pytest.fixture
async def ids(api: httpx.AsyncClient, batch: dict[str, Any]) -> dict[str, str]:
    """What there is of the other account, by the parameter that names it."""
    jobs = (await api.get("jobs", params={"batch_id": batch["batch_id"]})).json()
    await api.post("accounts", json={**ACCOUNT, "account_id": OWN})
    imports = (await api.get(f"batches/{batch['batch_id']}/imports")).json()
    return {
        "account_id": OTHER,
        "batch_id": batch["batch_id"],
        "job_id": jobs[0]["job_id"],
        "upload_id": await preview_of(api),
        "import_id": imports[0]["import_id"],
    }


async def preview_of(api: httpx.AsyncClient) -> str:
    files = {"file": ("lista.csv", b"nombre,telefono\nAna,+56912345678\n")}
    return str((await api.post("batches/excel/preview", files=files, data={"account_id": OTHER})).json()["upload_id"])


async def stranger(api: httpx.AsyncClient, role: str = "admin") -> str:
    body = {"name": "ajena", "role": role, "account_ids": [OWN]}
    return str((await api.post("api-keys", json=body)).json()["api_key"])


@pytest.mark.parametrize(("method", "path"), WITH_IDS)
async def test_what_is_anothers_is_not_there(
    api: httpx.AsyncClient, ids: dict[str, str], method: str, path: str
) -> None:
    names = {part.partition("}")[0] for part in path.split("{")[1:]}
    filled = path.format(**{name: ids.get(name, "x") for name in names})
    async with somebody(api, await stranger(api)) as client:
        answer = await client.request(method, filled, json={})
    if names <= ids.keys():
        assert answer.status_code == 404, answer.text
        assert answer.json()["code"].endswith("_not_found")
    else:
        assert answer.status_code in {403, 404}, answer.text


@pytest.mark.parametrize("path", LISTS)
async def test_lists_show_only_what_is_ones_own(api: httpx.AsyncClient, ids: dict[str, str], path: str) -> None:
    async with somebody(api, await stranger(api, "viewer")) as client:
        answer = await client.get(path)
        assert answer.status_code < 500
        for value in ids.values():
            assert value not in answer.text
        for name, value in ids.items():
            asked = await client.get(path, params={name: value})
            # Where the parameter means something it is refused; where it means nothing, it changes nothing.
            assert asked.status_code in {403, 404} or not any(other in asked.text for other in ids.values())


async def test_nothing_is_made_in_anothers_name(api: httpx.AsyncClient, ids: dict[str, str]) -> None:
    async with somebody(api, await stranger(api)) as client:
        problem(await client.post("batches", json=BATCH), 404, "account_not_found")
        files = {"file": ("lista.csv", b"nombre,telefono\nAna,+56912345678\n")}
        preview = await client.post("batches/excel/preview", files=files, data={"account_id": OTHER})
        problem(preview, 404, "account_not_found")
        made = await client.post("batches/excel/create", files=files, data={"account_id": OTHER})
        problem(made, 404, "account_not_found")
        new = {**ACCOUNT, "account_id": "acc-nueva"}
        problem(await client.post("accounts", json=new), 403, "not_permitted_for_scope")
        problem(await client.post("api-keys", json={"name": "x", "role": "admin"}), 403, "not_permitted_for_scope")


async def test_ones_own_is_there(api: httpx.AsyncClient, ids: dict[str, str]) -> None:
    async with somebody(api, await stranger(api)) as client:
        assert [account["account_id"] for account in (await client.get("accounts")).json()] == [OWN]
        assert (await client.get(f"accounts/{OWN}/balance")).status_code == 200
        created = await client.post("batches", json={**BATCH, "account_id": OWN})
        assert created.status_code == 201
        assert [b["batch_id"] for b in (await client.get("batches")).json()] == [created.json()["batch_id"]]
        assert len((await client.get("jobs")).json()) == 1
        assert (await client.get("audit-log", params={"account_id": OWN})).status_code == 200
