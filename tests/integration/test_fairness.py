"""Turns that are stored: many workers, or none that lives for long, share out among many batches and accounts."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.accounts import Features
from app.domain.batches import BatchStatus, Priority
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job, JobState
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import from_document, to_document
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.services.claiming import Claiming
from tests.builders import NOW, FakeTime, make_account, make_batch, make_job
from tests.integration.wiring import make_claiming

RICH = {"credits_purchased": 1000, "free": 1000}


class Workers:
    """Claimers that live for one look each; what they took is over at once."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._jobs = container.database.collection("jobs")
        self.time = FakeTime()
        self.started = 0

    async def account(self, account_id: str = "acc-1", limit: int = 5) -> None:
        account = make_account(account_id=account_id, features=Features(max_concurrent_calls=limit), funds=RICH)
        await MongoAccounts(self._container.database).insert(account)

    async def batch(self, name: str, jobs: int, **changes: Any) -> None:
        batch = make_batch(**{"batch_id": name, "total_jobs": jobs} | changes)
        await MongoBatches(self._container.database).insert(batch)
        job = to_document(make_job(batch_id=name, account_id=batch.account_id))
        await self._jobs.insert_many([job | {"_id": f"{name}-{number:04d}"} for number in range(jobs)])

    def claiming(self, **limits: Any) -> Claiming:
        database = self._container.database
        parts = MongoAccounts(database), MongoBatches(database), MongoJobs(database), MongoJobQueue(database)
        return make_claiming(database, *parts, self.time, **limits)

    async def look(self, **limits: Any) -> list[Job]:
        self.started += 1
        claiming = self.claiming(worker_id=f"worker-{self.started}", **limits)
        return await claiming.claim(50)

    async def all_over(self) -> None:
        held = {"slot": "", "provider_slot": "", "worker_id": "", "lease_until": "", "attempt_id": ""}
        await self._jobs.update_many(
            {"state": JobState.LEASED.value}, {"$set": {"state": JobState.COMPLETED.value}, "$unset": held}
        )

    async def rounds(self, count: int, by: str = "batch_id", **limits: Any) -> Counter[str]:
        got: Counter[str] = Counter()
        for _ in range(count):
            got.update(getattr(job, by) for job in await self.look(**limits))
            await self.all_over()
        return got


@pytest.fixture
def workers(container: Container) -> Workers:
    return Workers(container)


async def test_two_hundred_batches_on_five_slots_get_their_shares_from_workers_that_live_for_one_look(
    workers: Workers,
) -> None:
    await workers.account()
    priorities = {Priority.LOW: 40, Priority.NORMAL: 140, Priority.URGENT: 20}
    weights: dict[str, float] = {}
    for priority, count in priorities.items():
        for number in range(count):
            name = f"{priority.name}-{number}"
            weights[name] = 2.0**priority
            await workers.batch(name, 12, priority=priority)
    looks = 100

    got = await workers.rounds(looks)

    fair = {name: looks * 5 * weight / sum(weights.values()) for name, weight in weights.items()}
    assert sum(got.values()) == looks * 5
    assert all(abs(got[name] - fair[name]) <= 1.5 for name in weights)
    assert min(got[name] for name in weights) >= 1


async def test_more_batches_than_a_look_sees_are_all_served(workers: Workers) -> None:
    await workers.account(limit=50)
    for number in range(260):
        await workers.batch(f"batch-{number}", 3, priority=Priority.LOW if number % 2 else Priority.HIGH)
    got = await workers.rounds(12)
    assert sum(got.values()) == 600
    assert len(got) == 260


async def test_workers_that_die_at_every_claim_starve_nobody(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each dies before, or right after, its second claim: who comes next goes on where the dead one was."""
    await workers.account(limit=2)
    for number in range(6):
        await workers.batch(f"batch-{number}", 40, priority=Priority.LOW if number == 5 else Priority.URGENT)
    claim = MongoJobQueue.claim
    calls = 0

    async def dies(self: MongoJobQueue, *args: Any, **kwargs: Any) -> tuple[list[Job], bool]:
        nonlocal calls
        calls += 1
        if calls % 2:
            return await claim(self, *args, **kwargs)
        if calls % 4:
            await claim(self, *args, **kwargs)
        raise DatabaseUnavailable

    monkeypatch.setattr(MongoJobQueue, "claim", dies)
    got: Counter[str] = Counter()
    for _ in range(80):
        with pytest.raises(DatabaseUnavailable):
            await workers.look()
        documents = workers._jobs.find({"state": JobState.LEASED.value})
        got.update([from_document(Job, document).batch_id async for document in documents])
        await workers.all_over()

    assert len(got) == 6
    assert got["batch-5"] >= 2


async def test_accounts_share_what_the_provider_allows_by_their_limits(workers: Workers) -> None:
    for account_id, limit in {"small": 2, "middle": 4, "large": 8}.items():
        await workers.account(account_id, limit)
        await workers.batch(f"of-{account_id}", 120, account_id=account_id)
    got = await workers.rounds(50, by="account_id", max_concurrent=3)
    assert sum(got.values()) == 150
    assert abs(got["small"] - 150 * 2 / 14) <= 3
    assert abs(got["large"] - 150 * 8 / 14) <= 3


async def test_an_account_at_its_limit_leaves_the_rest_to_the_others(workers: Workers) -> None:
    for account_id, limit in {"small": 2, "large": 10}.items():
        await workers.account(account_id, limit)
        await workers.batch(f"of-{account_id}", 20, account_id=account_id)
    first = await workers.look()
    assert Counter(job.account_id for job in first) == {"small": 2, "large": 10}
    assert await workers.look() == []


async def test_a_batch_with_less_to_do_than_its_share_leaves_it_to_the_others(workers: Workers) -> None:
    await workers.account(limit=10)
    await workers.batch("few", 2, priority=Priority.URGENT)
    await workers.batch("many", 30, priority=Priority.LOW)
    assert Counter(job.batch_id for job in await workers.look()) == {"few": 2, "many": 8}
    many = await MongoBatches(workers._container.database).get("few")
    assert many is not None
    assert many.turn.at <= 1


async def test_an_only_batch_costs_no_turns(workers: Workers) -> None:
    await workers.account()
    await workers.batch("only", 20)
    await workers.rounds(2)
    only = await MongoBatches(workers._container.database).get("only")
    assert only is not None
    assert (only.turn.at, only.revision) == (0, 0)


async def test_a_scheduled_batch_is_started_once_whoever_races_for_it_and_whoever_dies(
    workers: Workers, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workers.account(limit=20)
    await workers.batch("planned", 8, status=BatchStatus.SCHEDULED, scheduled_at=NOW)
    batches = MongoBatches(container.database)
    log = MongoBatches.log

    async def dies(self: MongoBatches, *args: Any) -> None:
        await log(self, *args)
        raise DatabaseUnavailable

    monkeypatch.setattr(MongoBatches, "log", dies)
    looks = await asyncio.gather(*(workers.look() for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(look, DatabaseUnavailable) for look in looks) == 1
    monkeypatch.undo()
    taken = [job.job_id for look in [*looks, await workers.look()] if isinstance(look, list) for job in look]

    started = await batches.get("planned")
    assert started is not None
    assert (started.status, started.started_at) == (BatchStatus.RUNNING, NOW)
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 8
    entries, total = await batches.logs("planned", limit=10, skip=0)
    assert [entry.event for entry in entries] == ["batch_started"]
    assert total == 1


async def test_a_scheduled_batch_is_started_by_workers_without_a_free_place(
    workers: Workers, container: Container
) -> None:
    await workers.account()
    await workers.batch("planned", 3, status=BatchStatus.SCHEDULED, scheduled_at=NOW)
    assert await workers.claiming().claim(-1) == []
    planned = await MongoBatches(container.database).get("planned")
    assert planned is not None
    assert planned.status is BatchStatus.RUNNING
