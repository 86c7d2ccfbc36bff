"""What pages that are polled cost MongoDB, as its own profiler counts it: what they show, not what is stored."""

from datetime import timedelta
from itertools import product
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.domain.jobs import JobState, WaitingFor
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import to_document
from app.services.jobs import ShownStatus
from tests.builders import NOW, make_account, make_batch, make_contact, make_job
from tests.profiling import SPARE, profiled, unfit

EACH = 400
"""Jobs in each state and batch."""
PAGE = 20
SCOPES = ("", "batch_id=batch-0", "account_id=acc-1", "account_id=acc-1&batch_id=batch-0")
STATUSES = ("", *(f"status={status}" for status in ShownStatus))

POLLED = [
    "batches",
    "batches?account_id=acc-1",
    "batches?sort=name",
    "batches?sort=-name&account_id=acc-1",
    "accounts?sort=-name",
    "batches/batch-0",
    "batches/batch-0/status",
    "batches/batch-0/logs",
    "jobs/batch-0-000001",
    "accounts",
    "accounts/acc-1",
    "accounts/acc-1/balance",
    "accounts/acc-1/stats",
    "accounts/acc-1/batches",
    "accounts/acc-1/transactions",
    "accounts/acc-1/transactions?type=call_usage&sort=created_at",
]
"""Not `batches?status=`: batches are few, and looked through one by one."""

STORED: list[dict[str, Any]] = [
    {"state": JobState.PENDING, "waiting_for": WaitingFor.NEW},
    {"state": JobState.PENDING, "waiting_for": WaitingFor.RETRY},
    {"state": JobState.IN_CALL, "waiting_for": WaitingFor.RETRY},
    {"state": JobState.COMPLETED, "finished_at": NOW},
    {"state": JobState.FAILED, "finished_at": NOW},
]
"""None waits for money and none is cancelled: that one must be found out cheaply too."""


@pytest.fixture
async def full(container: Container, api: httpx.AsyncClient) -> httpx.AsyncClient:
    await MongoAccounts(container.database).insert(make_account())
    jobs = container.database.collection("jobs")
    for batch_id in ("batch-0", "batch-1"):
        await MongoBatches(container.database).insert(make_batch(batch_id=batch_id, total_jobs=EACH * len(STORED)))
        for place, fields in enumerate(STORED):
            # Those at the end of the list are the newest: a scan in the list's order would find the others late.
            created_at = NOW + timedelta(minutes=place)
            document = to_document(make_job(batch_id=batch_id, created_at=created_at, **fields))
            copies = ({"_id": f"{batch_id}-{place}{number:05d}"} for number in range(EACH))
            await jobs.insert_many([document | copy for copy in copies])
    return api


async def test_a_page_of_jobs_costs_what_it_shows_and_its_count_is_made_from_an_index(
    full: httpx.AsyncClient, container: Container
) -> None:
    for scope, status in product(SCOPES, STATUSES):
        query = "&".join(part for part in (f"limit={PAGE}", scope, status) if part)
        async with profiled(container.database) as operations:
            answer = await full.get(f"jobs?{query}")

        assert answer.status_code == 200, answer.text
        total, shown = int(answer.headers["X-Total-Count"]), len(answer.json())
        assert shown == min(total, PAGE), query
        counted = [operation for operation in operations if operation.counts]
        assert all(operation.keys <= total + SPARE for operation in counted), query
        assert unfit(operation for operation in operations if not operation.counts) == [], query


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_the_next_page_costs_what_the_first_does(
    full: httpx.AsyncClient, container: Container, sort: str
) -> None:
    """Also among hundreds that were created at one instant."""
    runs = len(JobState) * (len(WaitingFor) + 1)
    for scope, status in product(SCOPES, ("", "status=failed")):
        query = "&".join(part for part in (f"sort={sort}", f"limit={PAGE}", scope, status) if part)
        async with profiled(container.database) as operations:
            answer = await full.get(f"jobs?{query}")
            following = await full.get("http://cadencia.test" + answer.links["next"]["url"])

        assert len(following.json()) == PAGE
        pages = [operation for operation in operations if operation.collection == "jobs" and operation.kind == "find"]
        assert len(pages) == 2
        for page in pages:
            assert not page.sorts, query
            assert page.docs <= PAGE + 1, query
            assert page.keys <= PAGE + 1 + 2 * runs, query


async def test_a_search_costs_what_it_finds(full: httpx.AsyncClient, container: Container) -> None:
    jobs = container.database.collection("jobs")
    named = [make_job(job_id=f"batch-1-x{n}", contact=make_contact(name=f"José Núñez {n}")) for n in range(5)]
    await jobs.insert_many([to_document(job) for job in named])
    for q, found in {"nuñez": 5, "JOSE nunez 3": 1, "zzz": 0}.items():
        async with profiled(container.database) as operations:
            answer = await full.get("jobs", params={"account_id": "acc-1", "q": q})

        assert len(answer.json()) == found
        asked = [operation for operation in operations if operation.collection == "jobs"]
        assert len(asked) == 3
        assert all(operation.keys <= found + 2 and "COLLSCAN" not in operation.plan for operation in asked), asked
    for path in ("batches?q=otra", "batches?q=otra&account_id=acc-1"):
        async with profiled(container.database) as operations:
            assert (await full.get(path)).json() == []
        asked = [operation for operation in operations if operation.collection == "batches"]
        assert all(operation.keys <= 1 and operation.docs == 0 for operation in asked), asked


async def test_what_else_is_polled_looks_at_no_job_but_to_count_it(
    full: httpx.AsyncClient, container: Container
) -> None:
    for path in POLLED:
        async with profiled(container.database) as operations:
            answer = await full.get(path)

        assert answer.status_code == 200, answer.text
        assert operations, path
        assert unfit(operation for operation in operations if not operation.counts) == [], path
        counted = sum(operation.keys for operation in operations if operation.counts)
        assert counted <= 2 * EACH * len(STORED) + 2 * SPARE, path
