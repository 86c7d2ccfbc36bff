"""`sort`, `q`, filters, pages, totals and cursors of lists, all together."""

from datetime import timedelta
from itertools import product
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.domain.jobs import JobState
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import to_document
from app.services import jobs as job_service
from tests.api.conftest import batch_body, error_at, problem
from tests.api.test_access import somebody
from tests.api.test_statistics import walk
from tests.builders import NOW, make_account, make_batch, make_contact, make_job

NAMES = ["Zapata hermanos", "Álvarez", "beta", "Ñuble", "Álvarez", "campaña Zapata", "beta 2"]


@pytest.fixture
async def world(api: httpx.AsyncClient, container: Container) -> httpx.AsyncClient:
    for number, name in enumerate(NAMES):
        account = make_account(
            account_id=f"acc-{number}", account_name=name, country="CL", created_at=NOW + timedelta(hours=number)
        )
        await MongoAccounts(container.database).insert(account)
        batch = make_batch(
            batch_id=f"batch-{number}",
            account_id=f"acc-{number % 2}",
            name=name,
            status="paused" if number % 3 else "running",
            created_at=NOW + timedelta(hours=number),
        )
        await MongoBatches(container.database).insert(batch)
    jobs = [
        make_job(
            job_id=f"batch-{batch}-{number:06d}",
            batch_id=f"batch-{batch}",
            account_id=f"acc-{batch}",
            state=JobState.FAILED if number % 2 else JobState.PENDING,
            contact=make_contact([f"+5691111{number % 10:04d}"], name=name, dni=f"1234567{number % 10}-9"),
            created_at=NOW + timedelta(minutes=number // 3),
        )
        for batch in (0, 1)
        for number, name in enumerate(NAMES * 2)
    ]
    await container.database.collection("jobs").insert_many([to_document(job) for job in jobs])
    return api


def in_order(found: list[dict[str, Any]], key: str) -> list[int]:
    return [int(row[key].rsplit("-", 1)[1]) for row in found]


BY_NAME = [1, 4, 2, 6, 5, 3, 0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [6, 5, 4, 3, 2, 1, 0]),
        ({"sort": "-created_at"}, [6, 5, 4, 3, 2, 1, 0]),
        ({"sort": "created_at"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"sort": "name"}, BY_NAME),
        ({"sort": "-NAME"}, BY_NAME[::-1]),
        ({"q": "zapata"}, [5, 0]),
        ({"q": "ZAPATA h"}, [0]),
        ({"q": "alv", "sort": "created_at"}, [1, 4]),
        ({"q": "b", "sort": "-name"}, [6, 2]),
        ({"q": "apata"}, []),
    ],
)
async def test_batches_and_accounts(world: httpx.AsyncClient, query: dict[str, str], expected: list[int]) -> None:
    for path, key in (("batches", "batch_id"), ("accounts", "account_id")):
        assert in_order(await walk(world, path, limit=2, **query), key) == expected, path
        page = await world.get(path, params={**query, "limit": 3, "skip": 1})
        assert in_order(page.json(), key) == expected[1:4]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
async def test_batches_with_every_filter(world: httpx.AsyncClient, sort: str) -> None:
    everything = in_order(await walk(world, "batches", sort=sort), "batch_id")
    for account, status, q in product((None, 0, 1), (None, "paused"), (None, "z")):
        expected = [
            number
            for number in everything
            if (account is None or number % 2 == account)
            and (status is None or number % 3)
            and (q is None or "Zapata" in NAMES[number])
        ]
        filters = {"account_id": account is not None and f"acc-{account}", "status": status, "q": q, "sort": sort}
        given = {name: value for name, value in filters.items() if value}
        assert in_order(await walk(world, "batches", limit=2, **given), "batch_id") == expected, given
        if account is not None:
            path = f"accounts/{given.pop('account_id')}/batches"
            assert in_order(await walk(world, path, limit=2, **given), "batch_id") == expected


async def test_a_new_name_is_found_and_sorted(world: httpx.AsyncClient) -> None:
    assert (await world.patch("batches/batch-0", json={"name": "Aaron"})).status_code == 200
    assert (await world.patch("accounts/acc-0", json={"account_name": "Aaron"})).status_code == 200
    for path, key in (("batches", "batch_id"), ("accounts", "account_id")):
        assert in_order((await world.get(f"{path}?sort=name")).json(), key)[0] == 0
        assert in_order((await world.get(f"{path}?q=aar")).json(), key) == [0]
        assert in_order((await world.get(f"{path}?q=hermanos")).json(), key) == []


async def test_jobs_either_way_by_cursor(world: httpx.AsyncClient) -> None:
    for scope in ({}, {"account_id": "acc-0"}, {"batch_id": "batch-1"}, {"account_id": "acc-1", "status": "failed"}):
        newest = [job["job_id"] for job in await walk(world, "jobs", limit=3, **scope)]
        oldest = [job["job_id"] for job in await walk(world, "jobs", limit=3, sort="created_at", **scope)]
        assert newest
        assert oldest == newest[::-1], scope


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("zapata", {0, 5, 7, 12}),
        ("BÉTA 2", {6, 13}),
        ("+5691111000", set(range(14))),
        ("+56911110003", {3, 13}),
        ("9 1111 0003", {3, 13}),
        ("12.345.673-9", {3, 13}),
        ("nadie", set()),
    ],
)
async def test_contacts_are_found(world: httpx.AsyncClient, q: str, expected: set[int]) -> None:
    for scope in ({}, {"batch_id": "batch-0"}, {"status": "failed"}):
        found = await walk(world, "jobs", limit=2, account_id="acc-0", q=q, **scope)
        numbers = {number for number in expected if "status" not in scope or number % 2}
        assert in_order(found, "job_id") == sorted(numbers, reverse=True)
    backwards = await walk(world, "jobs", limit=2, account_id="acc-0", q=q, sort="created_at")
    assert in_order(backwards, "job_id") == sorted(expected)
    assert (await world.get("jobs", params={"account_id": "acc-0", "batch_id": "batch-1", "q": q})).json() == []


async def test_what_cannot_be_served_is_refused(world: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, allowed in (("batches", "name"), ("accounts", "name"), ("jobs", "created_at")):
        error = error_at(await world.get(path, params={"sort": "total_cost"}), "query", "sort")
        assert all(value in error["msg"] for value in ("-created_at", allowed)), error
    error_at(await world.get("jobs?sort=name"), "query", "sort")
    error_at(await world.get("batches?q=%C2%BF%3F"), "query", "q")
    error_at(await world.get("batches?q=%20"), "query", "q")
    assert error_at(await world.get("jobs?q=ana"), "query", "q")["type"] == "search_needs_account"
    error_at(await world.get("jobs?q=00000&account_id=acc-0"), "query", "q")
    monkeypatch.setattr(job_service, "MOST_FOUND", 3)
    too_wide = await world.get("jobs", params={"account_id": "acc-0", "q": "zapata"})
    assert error_at(too_wide, "query", "q")["type"] == "search_too_wide"
    assert (await world.get("jobs", params={"account_id": "acc-0", "q": "zapata h"})).status_code == 200


async def test_a_stranger_finds_only_what_is_theirs(world: httpx.AsyncClient) -> None:
    body = {"name": "suya", "role": "viewer", "account_ids": ["acc-1"]}
    async with somebody(world, (await world.post("api-keys", json=body)).json()["api_key"]) as client:
        assert in_order((await client.get("batches?q=zapata")).json(), "batch_id") == [5]
        assert in_order((await client.get("batches?sort=name")).json(), "batch_id") == [1, 5, 3]
        assert in_order((await client.get("accounts?q=a")).json(), "account_id") == [1]
        assert (await client.get("accounts?sort=name")).headers["X-Total-Count"] == "1"
        problem(await client.get("jobs?account_id=acc-0&q=zapata"), 404, "account_not_found")
        assert len((await client.get("jobs?account_id=acc-1&q=zapata")).json()) == 4


async def test_a_batch_of_the_api_is_found(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    made = (await api.post("batches", json=batch_body(name="Cobranza Ñuñoa"))).json()
    assert [found["batch_id"] for found in (await api.get("batches?q=nunoa")).json()] == [made["batch_id"]]
    (job,) = (await api.get("jobs", params={"account_id": account["account_id"], "q": "perez"})).json()
    assert job["batch_id"] == made["batch_id"]
