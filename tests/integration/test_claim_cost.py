"""What the claim costs MongoDB, as MongoDB's own profiler counts it: one key a job, whatever else is stored.

Counted are the operations of real rounds of `Claiming`, so no query that it makes can be forgotten here.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.accounts import Features
from app.domain.batches import BatchStatus
from app.domain.jobs import Job, JobState
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import to_document
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.services.claiming import BATCHES_A_LOOK
from tests.builders import NOW, OFFICE, FakeTime, make_account, make_batch, make_job, make_settings
from tests.integration.wiring import make_claiming
from tests.profiling import Operation, keys_examined, profiled, unfit

DAY = timedelta(days=1)
LEASE = timedelta(seconds=60)
BATCHES = 5
SMALL, LARGE = 40, 1500
"""Jobs a batch. Whatever depends on the backlog differs a lot between the two."""
A_BATCH = 24
"""Keys that a look may cost for each batch that has nothing to do: a seek for each state and priority."""
CAPACITY = 20
RICH = {"credits_purchased": 1000, "free": 1000}


@dataclass(frozen=True)
class Backlog:
    """What lies about in every batch."""

    job: dict[str, Any]
    batch: dict[str, Any]


DUE = {"due_at": NOW - DAY}
FINISHED = {"state": JobState.COMPLETED, "finished_at": NOW}
CLOSED = make_settings(hours=OFFICE.model_copy(update={"days_of_week": frozenset({6})}))

WITHOUT_WORK = {
    "all in the future": Backlog({"due_at": NOW + DAY}, {}),
    "future and urgent": Backlog({"due_at": NOW + DAY, "priority": 1}, {}),
    "all finished": Backlog(FINISHED, {}),
    "due, but outside the hours": Backlog(DUE, {"call_settings": CLOSED}),
    "due, but paused": Backlog(DUE, {"status": BatchStatus.PAUSED, "wake_at": None}),
    "due, but paused a moment ago": Backlog(DUE, {"status": BatchStatus.PAUSED}),
    "due, but asleep": Backlog(DUE, {"wake_at": NOW + DAY}),
    "due, but scheduled for later": Backlog(DUE, {"status": BatchStatus.SCHEDULED, "wake_at": NOW + DAY}),
    "over": Backlog(FINISHED, {"status": BatchStatus.COMPLETED, "wake_at": None}),
}
AROUND = {
    "nothing else": Backlog(DUE, {}),
    "most in the future": Backlog({"due_at": NOW + DAY}, {}),
    "most in the future and urgent": Backlog({"due_at": NOW + DAY, "priority": 1}, {}),
    "most finished": Backlog(FINISHED, {}),
    "most cancelled": Backlog(FINISHED | {"state": JobState.CANCELLED}, {}),
}


class Site:
    """An empty database with a claimer, and jobs by the thousand."""

    def __init__(self, container: Container) -> None:
        self._database = container.database
        self._accounts = MongoAccounts(container.database)
        self._batches = MongoBatches(container.database)
        self.queue = MongoJobQueue(container.database)
        self.time = FakeTime()
        jobs = MongoJobs(container.database)
        self.claiming = make_claiming(
            container.database, self._accounts, self._batches, jobs, self.queue, self.time, LEASE
        )

    async def fill(self, jobs: int, backlog: Backlog, *, due: int = 0, batches: int = BATCHES) -> None:
        """`batches` batches with `jobs` jobs as `backlog` says and `due` more that are due."""
        await self._accounts.insert(make_account(features=Features(max_concurrent_calls=CAPACITY), funds=RICH))
        for number in range(batches):
            await self.fill_one(f"batch-{number}", backlog, jobs, due)

    async def fill_one(self, batch_id: str, backlog: Backlog, jobs: int = 1, due: int = 0) -> None:
        await self._batches.insert(make_batch(**{"batch_id": batch_id, "total_jobs": jobs + due} | backlog.batch))
        await self._insert(make_job(batch_id=batch_id, **backlog.job), jobs, "a")
        await self._insert(make_job(batch_id=batch_id), due, "b")

    async def claim(self) -> tuple[list[Job], list[Operation]]:
        async with profiled(self._database) as operations:
            claimed = await self.claiming.claim(CAPACITY)
        return claimed, operations

    async def due(self, limit: int) -> list[str]:
        """The batches that a look would see first."""
        return [batch.batch_id for batch in await self._batches.due(self.time.now(), limit)]

    async def cost(self, action: Callable[[], Awaitable[object]]) -> list[Operation]:
        async with profiled(self._database) as operations:
            await action()
        return operations

    async def _insert(self, job: Job, count: int, name: str) -> None:
        document = to_document(job)
        copies = [document | {"_id": f"{job.batch_id}-{name}{number:06d}"} for number in range(count)]
        if copies:
            await self._database.collection("jobs").insert_many(copies)


@pytest.fixture
def site(container: Container) -> Site:
    return Site(container)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("backlog", [SMALL, LARGE])
async def test_a_claim_examines_one_key_a_job(site: Site, around: str, backlog: int) -> None:
    await site.fill(backlog, AROUND[around], due=CAPACITY)

    claimed, operations = await site.claim()

    assert len(claimed) == CAPACITY
    assert unfit(operations) == []
    finds = [operation for operation in operations if operation.kind == "find" and "due_at" in operation.query]
    assert sum(find.results for find in finds) == CAPACITY
    # Where a batch had fewer than wanted, one more key tells that there are none.
    assert sum(find.keys for find in finds) <= CAPACITY + len(finds)
    # Found, leased, read back; and the batches, their account, its slots.
    assert keys_examined(operations, "jobs") <= 3 * CAPACITY + A_BATCH * BATCHES
    assert keys_examined(operations, "batches", "accounts") <= 2 * BATCHES + 1


@pytest.mark.parametrize("backlog", [SMALL, LARGE])
@pytest.mark.parametrize("name", WITHOUT_WORK)
async def test_a_look_at_batches_without_work_costs_the_same_at_any_backlog(
    site: Site, name: str, backlog: int
) -> None:
    await site.fill(backlog, WITHOUT_WORK[name])

    claimed, first = await site.claim()
    assert claimed == []
    # A batch's jobs are counted once, before it is called complete.
    first = [operation for operation in first if not operation.counts_finished]
    assert unfit(first) == []
    assert keys_examined(first, "jobs") <= A_BATCH * BATCHES

    # Now they sleep, or are complete: an idle worker's look is two questions to the batches. Is one due? None. When
    # does the first wake?
    claimed, idle = await site.claim()
    assert claimed == []
    assert [(operation.collection, operation.kind) for operation in idle] == [("batches", "find")] * 2
    assert (idle[0].keys, idle[0].docs) == (0, 0)
    assert (idle[1].keys, idle[1].docs) in {(0, 0), (1, 0)}


async def test_a_worker_that_found_nothing_knows_when_the_first_batch_wakes(site: Site) -> None:
    await site.fill(1, Backlog({"due_at": NOW + 2 * LEASE}, {}))
    await site.fill_one("batch-first", Backlog({"due_at": NOW + LEASE / 2}, {}))
    claimed, _ = await site.claim()
    assert claimed == []
    # Those that it has just sent to sleep, too.
    assert site.claiming.next_due_in == LEASE.total_seconds() / 2
    site.time.advance(LEASE / 2)
    assert site.claiming.next_due_in == 0
    assert len((await site.claim())[0]) == 1
    assert site.claiming.next_due_in == math.inf


@pytest.mark.parametrize("backlog", [SMALL, LARGE])
async def test_at_the_limit_a_look_asks_the_jobs_for_the_used_slots_only(site: Site, backlog: int) -> None:
    await site.fill(backlog, AROUND["nothing else"])
    await site.claim()

    claimed, operations = await site.claim()

    assert claimed == []
    assert unfit(operations) == []
    assert keys_examined(operations, "jobs") <= CAPACITY + 1


async def test_of_more_batches_than_a_look_sees_those_behind_come_next_for_one_write(site: Site) -> None:
    await site.fill(1, Backlog(DUE, {"wake_at": NOW - DAY}), batches=BATCHES_A_LOOK + BATCHES)
    front = await site.due(BATCHES_A_LOOK)

    _, operations = await site.claim()

    assert unfit(operations) == []
    # And one for the turns of those that got something: the profiler counts what is in it.
    asked = [(operation.kind, operation.results) for operation in operations if operation.collection == "batches"]
    assert asked == [("find", BATCHES_A_LOOK), *[("update", 1)] * CAPACITY, ("update", BATCHES_A_LOOK)]
    assert not set(front) & set(await site.due(BATCHES))


@pytest.mark.parametrize("backlog", [SMALL, LARGE])
async def test_what_the_other_loops_ask_costs_what_is_in_hand(site: Site, backlog: int) -> None:
    """The heartbeat, the rescue, the clean-up and the hand-over of a worker with CAPACITY jobs in hand."""
    await site.fill(backlog, AROUND["nothing else"])
    claimed, _ = await site.claim()
    held = [job.job_id for job in claimed]
    queue, now = site.queue, site.time.now()
    ids = [f"batch-{number}" for number in range(BATCHES)]
    actions: dict[str, Callable[[], Awaitable[object]]] = {
        "renew": lambda: queue.renew("worker-1", held, LEASE),
        "expired, none": lambda: queue.expired(now, 100),
        "used_slots": lambda: queue.used_slots(["acc-1"]),
        "held_attempts": lambda: queue.held_attempts("acc-1"),
        "in_flight": lambda: queue.in_flight(ids),
        "earliest_due": lambda: queue.earliest_due("batch-0"),
        "hand_over": lambda: queue.hand_over("worker-1"),
        # Found by the bound on our clock; the fake one stands in 2026-06, and the leases run by the server's.
        "expired": lambda: queue.expired(now + 10_000 * DAY, 100),
    }
    for name, action in actions.items():
        operations = await site.cost(action)
        assert operations, name
        assert unfit(operations) == [], name
        assert keys_examined(operations, "jobs") <= 2 * CAPACITY + A_BATCH, name
