"""The queue of jobs on a real MongoDB: claimed once, never past the slots, moved only by who holds them."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pymongo import ASCENDING
from pymongo.errors import BulkWriteError, DuplicateKeyError

from app.bootstrap import Container
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import FINAL, IN_FLIGHT, MOVES, AttemptRecord, Job, JobState, Settlement, WaitingFor
from app.domain.messages import Message
from app.domain.money import Charge
from app.domain.outcomes import UNKNOWN_OUTCOME, Disposition
from app.domain.retry_policy import NextStep
from app.repositories.database import Collection
from app.repositories.documents import from_document, to_document
from app.repositories.job_queue import CLOCK_MARGIN, HISTORY_KEPT, MongoJobQueue
from app.repositories.jobs import MongoJobs
from tests.builders import NOW, make_attempt, make_job, make_report

LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
PROVIDER_SLOTS = itertools.count(1000)
"""Slots at the provider that no test names."""
REASON = Message(code="max_attempts_reached", params={"attempts": 3})
CHARGE = Charge(seconds=0, minutes=Decimal(0), units=Decimal(0), cost=Decimal(0))


@pytest.fixture
def queue(container: Container) -> MongoJobQueue:
    return MongoJobQueue(container.database)


@pytest.fixture
def collection(container: Container) -> Collection:
    return container.database.collection("jobs")


class Store:
    """The jobs as documents, for setting the scene and for looking at what became of it."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def add(self, *jobs: Job) -> None:
        await self._collection.insert_many([to_document(job) for job in jobs])

    async def get(self, job_id: str = "job-1") -> Job:
        document = await self._collection.find_one({"_id": job_id})
        assert document is not None
        return from_document(Job, document)

    async def raw(self, job_id: str = "job-1") -> dict[str, Any]:
        document = await self._collection.find_one({"_id": job_id})
        assert document is not None
        return document

    async def all(self) -> list[Job]:
        return [from_document(Job, document) async for document in self._collection.find()]

    async def put(self, job: Job) -> None:
        document = to_document(job)
        await self._collection.replace_one({"_id": document["_id"]}, document, upsert=True)


@pytest.fixture
def store(collection: Collection) -> Store:
    return Store(collection)


def pending(count: int, *, batch_id: str = "batch-1", **changes: Any) -> Iterator[Job]:
    for number in range(count):
        yield make_job(job_id=f"{batch_id}-{number:06d}", batch_id=batch_id, **changes)


def held(state: JobState = JobState.LEASED, **changes: Any) -> Job:
    """A job in the hands of worker-1, whose lease ran out at NOW."""
    values: dict[str, Any] = {
        "state": state,
        "fence": 3,
        "slot": 0,
        "provider_slot": next(PROVIDER_SLOTS),
        "worker_id": "worker-1",
        "lease_until": NOW,
        "attempt_id": "attempt-1",
        "attempt": None if state is JobState.LEASED else make_attempt(),
    }
    return make_job(**values | changes)


async def claim(queue: MongoJobQueue, slots: int | list[int], *, worker: str = "worker-1", **changes: Any) -> list[Job]:
    batch_id = changes.pop("batch_id", "batch-1")
    numbers = list(range(slots)) if isinstance(slots, int) else slots
    at_provider = changes.pop("provider_slots", numbers)
    now = changes.pop("now", NOW)
    jobs, _ = await queue.claim(batch_id, numbers, at_provider, worker_id=worker, lease=LEASE, now=now)
    return jobs


async def test_a_claim_says_whether_more_may_be_due(queue: MongoJobQueue, store: Store) -> None:
    await store.add(*pending(3))

    async def take(*slots: int) -> tuple[int, bool]:
        jobs, are_all = await queue.claim("batch-1", slots, slots, worker_id="worker-1", lease=LEASE, now=NOW)
        return len(jobs), are_all

    assert await take(0, 1) == (2, False)
    # Somebody else was quicker to take the slot: the job is still due.
    assert await take(0) == (0, False)
    assert await take(2, 3) == (1, True)
    assert await take(4) == (0, True)


# Claiming ---------------------------------------------------------------------------------------------------------


async def test_a_claimed_job_is_leased_with_slot_fence_and_an_attempt_of_its_own(
    queue: MongoJobQueue, store: Store, container: Container
) -> None:
    await store.add(*pending(2, fence=7))
    before = await container.database.server_time()
    jobs = await claim(queue, [4, 9])
    after = await container.database.server_time()

    assert {job.slot for job in jobs} == {4, 9}
    assert len({job.attempt_id for job in jobs} - {None}) == 2
    for job in jobs:
        assert (job.state, job.worker_id, job.fence) == (JobState.LEASED, "worker-1", 8)
        assert job.lease_until is not None
        assert before + LEASE <= job.lease_until <= after + LEASE + SECOND
        assert job == await store.get(job.job_id)


async def test_a_job_never_goes_to_two_workers(queue: MongoJobQueue, store: Store) -> None:
    await store.add(*pending(100))
    workers = [f"worker-{number}" for number in range(25)]

    async def until_nothing_is_left(worker: str, rank: int) -> list[Job]:
        taken: list[Job] = []
        slots = list(range(rank * 100, rank * 100 + 100))
        while jobs := await claim(queue, slots[len(taken) : len(taken) + 4], worker=worker):
            taken += jobs
        return taken

    taken = await asyncio.gather(*(until_nothing_is_left(worker, rank) for rank, worker in enumerate(workers)))

    ids = [job.job_id for jobs in taken for job in jobs]
    assert len(ids) == len(set(ids))
    stored = {job.job_id: job for job in await store.all()}
    for worker, jobs in zip(workers, taken, strict=True):
        for job in jobs:
            assert stored[job.job_id].worker_id == worker
            assert stored[job.job_id].fence == 1
    # Who lost every race of a look takes a look at nothing, and stops: the rest is still there to be claimed.
    left = await claim(queue, list(range(5000, 5100)))
    assert len(ids) + len(left) == 100


async def test_workers_that_want_the_same_slots_never_take_more_than_there_are(
    queue: MongoJobQueue, store: Store
) -> None:
    await store.add(*pending(60))
    for _ in range(5):
        await asyncio.gather(*(claim(queue, 7, worker=f"worker-{number}") for number in range(20)))
    leased = [job for job in await store.all() if job.state is JobState.LEASED]
    assert sorted(job.slot for job in leased if job.slot is not None) == list(range(7))
    untouched = [job for job in await store.all() if job.state is JobState.PENDING]
    assert len(untouched) == 53
    assert all(job.slot is None and job.fence == 0 and job.attempt_id is None for job in untouched)


async def test_a_slot_that_is_taken_costs_only_that_job_its_turn(queue: MongoJobQueue, store: Store) -> None:
    await store.add(held(slot=1, job_id="other"), *pending(3))
    jobs = await claim(queue, [0, 1, 2])
    assert {job.slot for job in jobs} == {0, 2}


async def test_the_database_refuses_a_second_holder_of_a_slot(store: Store) -> None:
    await store.add(held(job_id="one", slot=3))
    with pytest.raises(DuplicateKeyError):
        await store.put(held(job_id="two", slot=3))
    await store.put(held(job_id="two", slot=4))
    await store.put(held(job_id="three", slot=3, account_id="acc-2"))


async def test_the_database_refuses_a_second_holder_of_a_provider_slot_whatever_the_account(store: Store) -> None:
    await store.add(held(job_id="one", slot=0, provider_slot=3))
    with pytest.raises(DuplicateKeyError):
        await store.put(held(job_id="two", slot=1, provider_slot=3, account_id="acc-2"))
    await store.put(held(job_id="two", slot=1, provider_slot=4, account_id="acc-2"))


async def test_workers_of_many_accounts_never_hold_more_than_the_provider_allows(
    queue: MongoJobQueue, store: Store
) -> None:
    for number in range(6):
        await store.add(*pending(10, batch_id=f"batch-{number}", account_id=f"acc-{number}"))
    for _ in range(3):
        await asyncio.gather(
            *(claim(queue, 10, batch_id=f"batch-{n % 6}", worker=f"w-{n}", provider_slots=range(7)) for n in range(18))
        )
    leased = [job for job in await store.all() if job.state is JobState.LEASED]
    assert sorted(job.provider_slot for job in leased if job.provider_slot is not None) == list(range(7))
    assert await queue.used_provider_slots() == set(range(7))


async def test_used_provider_slots_are_read_from_the_index_alone(store: Store, collection: Collection) -> None:
    await store.add(held(job_id="one", slot=0, provider_slot=5), *pending(300))
    used = collection.find({"provider_slot": {"$gte": 0}}, {"_id": False, "provider_slot": True})
    statistics = (await used.explain())["executionStats"]
    assert (statistics["nReturned"], statistics["totalDocsExamined"]) == (1, 0)
    assert statistics["totalKeysExamined"] <= 2


async def test_any_number_of_jobs_holds_no_slot(store: Store) -> None:
    await store.add(*pending(3))
    assert [job.slot for job in await store.all()] == [None] * 3
    assert "slot" not in await store.raw("batch-1-000000")


async def test_urgent_jobs_come_first_and_then_those_that_are_due_longest(queue: MongoJobQueue, store: Store) -> None:
    order = [(1, 5), (1, 1), (0, 60), (0, 30), (0, 10)]
    jobs = [
        make_job(job_id=f"job-{place}", priority=priority, due_at=NOW - minutes * timedelta(minutes=1))
        for place, (priority, minutes) in enumerate(order)
    ]
    await store.add(*random.sample(jobs, len(jobs)))
    claimed: list[str] = []
    for slot in range(len(order)):
        (job,) = await claim(queue, [slot])
        claimed.append(job.job_id)
    assert claimed == [job.job_id for job in jobs]


async def test_nothing_is_claimed_before_it_is_due_nor_of_another_batch_nor_twice(
    queue: MongoJobQueue, store: Store
) -> None:
    await store.add(
        make_job(job_id="due", due_at=NOW),
        make_job(job_id="future", due_at=NOW + timedelta(milliseconds=1)),
        make_job(job_id="urgent-future", due_at=NOW + SECOND, priority=1),
        make_job(job_id="other-batch", batch_id="batch-2"),
        *(make_job(job_id=state.value, state=state) for state in FINAL),
    )
    assert [job.job_id for job in await claim(queue, 50)] == ["due"]
    assert await claim(queue, 50) == []


async def test_without_a_slot_nothing_is_claimed(queue: MongoJobQueue, store: Store) -> None:
    await store.add(*pending(3))
    assert await claim(queue, []) == []


async def test_an_attempt_id_is_never_used_again(queue: MongoJobQueue, store: Store) -> None:
    await store.add(*pending(1))
    ids = set()
    for _ in range(5):
        (job,) = await claim(queue, 1)
        ids.add(job.attempt_id)
        assert await queue.release(job, NOW, waiting_for=WaitingFor.NEW, reason=None, due_at=None)
    assert len(ids) == 5


@pytest.mark.parametrize("method", ["claim", "insert_many"])
async def test_a_write_that_no_majority_confirmed_is_not_taken_for_done(
    queue: MongoJobQueue, store: Store, container: Container, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    await store.add(*pending(1))
    jobs = MongoJobs(container.database)
    unconfirmed = {"writeErrors": [], "writeConcernErrors": [{"code": 189, "errmsg": "primary steps down"}]}

    class SteppingDown:
        def __init__(self, real: Collection) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        async def bulk_write(self, *_args: Any, **_options: Any) -> None:
            raise BulkWriteError(unconfirmed)

        insert_many = bulk_write

    monkeypatch.setattr(queue, "_jobs", SteppingDown(container.database.collection("jobs")))
    monkeypatch.setattr(jobs, "_jobs", SteppingDown(container.database.collection("jobs")))
    with pytest.raises(DatabaseUnavailable):
        await (claim(queue, 1) if method == "claim" else jobs.insert_many(list(pending(2))))


# What a claimer asks besides --------------------------------------------------------------------------------------


async def test_used_slots_and_held_attempts_are_those_of_the_accounts_jobs_in_flight(
    queue: MongoJobQueue, store: Store
) -> None:
    await store.add(
        held(job_id="one", slot=0, attempt_id="a"),
        held(JobState.UNCERTAIN, job_id="two", slot=7, attempt_id="b"),
        held(job_id="other", slot=3, account_id="acc-2", attempt_id="c"),
        *pending(3),
    )
    assert await queue.used_slots(["acc-1", "acc-3"]) == {"acc-1": {0, 7}, "acc-3": set()}
    assert await queue.held_attempts("acc-1") == {"a", "b"}


async def test_used_slots_are_read_from_the_index_alone(store: Store, collection: Collection) -> None:
    await store.add(held(job_id="one", slot=0), *pending(300))
    used = collection.find({"account_id": "acc-1", "slot": {"$gte": 0}}, {"_id": False, "slot": True})
    statistics = (await used.explain())["executionStats"]
    assert (statistics["nReturned"], statistics["totalDocsExamined"]) == (1, 0)
    assert statistics["totalKeysExamined"] <= 2


async def test_the_earliest_due_job_is_found_over_all_priorities(queue: MongoJobQueue, store: Store) -> None:
    assert await queue.earliest_due("batch-1") is None
    await store.add(
        make_job(job_id="late", due_at=NOW + 2 * LEASE),
        make_job(job_id="urgent", due_at=NOW + 3 * LEASE, priority=1),
        make_job(job_id="done", due_at=NOW - LEASE, state=JobState.FAILED),
        make_job(job_id="other", due_at=NOW - LEASE, batch_id="batch-2"),
    )
    assert await queue.earliest_due("batch-1") == NOW + 2 * LEASE
    await store.add(make_job(job_id="sooner", due_at=NOW + LEASE, priority=1))
    assert await queue.earliest_due("batch-1") == NOW + LEASE


async def test_in_flight_counts_every_state_in_somebodys_hands(queue: MongoJobQueue, store: Store) -> None:
    states = sorted(IN_FLIGHT)
    await store.add(
        *(held(state, job_id=state, slot=slot) for slot, state in enumerate(states)),
        *pending(4),
        make_job(job_id="done", state=JobState.COMPLETED),
    )
    assert await queue.in_flight(["batch-1", "batch-2"]) == {"batch-1": len(states)}


# The fence --------------------------------------------------------------------------------------------------------

STEP = NextStep(
    state=JobState.PENDING,
    due_at=NOW,
    waiting_for=WaitingFor.RETRY,
    priority=0,
    attempts=1,
    extra_attempts=0,
    callbacks=0,
    provider_troubles=0,
    next_phone_index=0,
    retired_phones=[],
)
FINAL_STEP = STEP.model_copy(update={"state": JobState.FAILED, "due_at": None, "waiting_for": None, "reason": REASON})
SETTLEMENT = Settlement(outcome=UNKNOWN_OUTCOME, charge=CHARGE, decided_at=NOW)
RECORD = AttemptRecord(
    attempt_id="attempt-1",
    number=1,
    phone="+56900000001",
    disposition=Disposition.UNKNOWN,
    counted=True,
    dialed_at=NOW,
    ended_at=NOW,
    duration_seconds=0,
    billed_seconds=0,
    cost=Decimal(0),
)

Move = Callable[[MongoJobQueue, Job], Awaitable[Job | bool | None]]
MOVES_OF_THE_HOLDER: dict[str, tuple[JobState, Move]] = {
    "release": (
        JobState.PENDING,
        lambda queue, job: queue.release(job, NOW, waiting_for=WaitingFor.HOURS, reason=REASON, due_at=None),
    ),
    "end_unsent": (JobState.FAILED, lambda queue, job: queue.end_unsent(job, JobState.FAILED, REASON, NOW)),
    "intend": (JobState.DIALING, lambda queue, job: queue.intend(job, make_attempt(), lease=LEASE)),
    "mark_verifying": (JobState.VERIFYING, lambda queue, job: queue.mark_verifying(job, NOW)),
    "mark_in_call": (JobState.IN_CALL, lambda queue, job: queue.mark_in_call(job, make_report(), NOW)),
    "mark_uncertain": (JobState.UNCERTAIN, lambda queue, job: queue.mark_uncertain(job, NOW)),
    "settle": (JobState.SETTLING, lambda queue, job: queue.settle(job, SETTLEMENT, make_report())),
    "finish": (JobState.PENDING, lambda queue, job: queue.finish(job, STEP, RECORD, NOW)),
    "finish for good": (JobState.FAILED, lambda queue, job: queue.finish(job, FINAL_STEP, RECORD, NOW)),
}
ALL_MOVES = [(name, state) for name in MOVES_OF_THE_HOLDER for state in JobState]
LEGAL = [(name, state) for name, state in ALL_MOVES if MOVES_OF_THE_HOLDER[name][0] in MOVES[state]]
ILLEGAL = [pair for pair in ALL_MOVES if pair not in LEGAL]


@pytest.mark.parametrize(("name", "state"), LEGAL)
async def test_a_move_of_the_holder_goes_where_it_says_and_only_once(
    queue: MongoJobQueue, store: Store, name: str, state: JobState
) -> None:
    target, move = MOVES_OF_THE_HOLDER[name]
    job = held(state, attempt=make_attempt())
    await store.add(job)
    moved = await move(queue, job)
    stored = await store.get()
    assert (stored.state, stored.fence) == (target, job.fence)
    # Whoever lets a job go has no more to do with it.
    assert moved is True if target in FINAL | {JobState.PENDING} else moved == stored
    assert not await move(queue, job)
    assert await store.get() == stored


@pytest.mark.parametrize(("name", "state"), LEGAL)
async def test_a_move_with_a_stale_fence_changes_nothing(
    queue: MongoJobQueue, store: Store, name: str, state: JobState
) -> None:
    job = held(state, attempt=make_attempt())
    await store.add(job)
    before = await store.raw()
    for fence in (job.fence - 1, job.fence + 1):
        assert await MOVES_OF_THE_HOLDER[name][1](queue, job.model_copy(update={"fence": fence})) in (None, False)
    assert await store.raw() == before


@pytest.mark.parametrize(("name", "state"), LEGAL)
async def test_a_move_from_a_state_that_was_left_changes_nothing(
    queue: MongoJobQueue, store: Store, name: str, state: JobState
) -> None:
    job = held(state, attempt=make_attempt())
    await store.add(job)
    for other in set(JobState) - {state}:
        await store.put(job.model_copy(update={"state": other}))
        before = await store.raw()
        assert await MOVES_OF_THE_HOLDER[name][1](queue, job) in (None, False)
        assert await store.raw() == before


@pytest.mark.parametrize(("name", "state"), ILLEGAL)
async def test_a_move_that_is_not_in_the_table_is_an_error(
    queue: MongoJobQueue, store: Store, name: str, state: JobState
) -> None:
    job = held(state, attempt=make_attempt())
    await store.add(job)
    before = await store.raw()
    with pytest.raises(ValueError, match=f"from {state.value} to {MOVES_OF_THE_HOLDER[name][0].value}"):
        await MOVES_OF_THE_HOLDER[name][1](queue, job)
    assert await store.raw() == before


# What a move leaves -----------------------------------------------------------------------------------------------

HELD = {"slot", "provider_slot", "worker_id", "lease_until", "attempt_id"}


@pytest.mark.parametrize("due_at", [None, NOW + LEASE])
async def test_a_released_job_lets_go_of_everything_and_keeps_its_due_time_unless_told(
    queue: MongoJobQueue, store: Store, due_at: Any
) -> None:
    job = held(JobState.DIALING, due_at=NOW - LEASE, attempts=1)
    await store.add(job)
    assert await queue.release(job, NOW, waiting_for=WaitingFor.HOURS, reason=REASON, due_at=due_at)
    released = await store.get()
    assert released.due_at == (due_at or NOW - LEASE)
    assert (released.attempts, released.waiting_for, released.reason) == (1, WaitingFor.HOURS, REASON)
    assert not (HELD | {"attempt"}) & set(await store.raw())


async def test_a_finished_job_lets_go_of_everything_and_remembers_the_attempt(
    queue: MongoJobQueue, store: Store
) -> None:
    job = held(JobState.SETTLING, priority=1, settlement=SETTLEMENT, waiting_for=WaitingFor.NEW)
    await store.add(job)
    assert await queue.finish(job, FINAL_STEP, RECORD, NOW)
    finished = await store.get()
    assert (finished.attempts, finished.reason, finished.finished_at, finished.priority) == (1, REASON, NOW, 0)
    assert finished.history == [RECORD]
    assert not (HELD | {"attempt", "settlement", "waiting_for"}) & set(await store.raw())


async def test_a_job_to_be_tried_again_is_due_when_the_policy_says(queue: MongoJobQueue, store: Store) -> None:
    job = held(JobState.SETTLING, settlement=SETTLEMENT)
    await store.add(job)
    step = STEP.model_copy(
        update={
            "due_at": NOW + LEASE,
            "retired_phones": ["+56900000009"],
            "next_phone_index": 2,
            "provider_troubles": 4,
        }
    )
    assert await queue.finish(job, step, RECORD, NOW)
    again = await store.get()
    assert (again.due_at, again.finished_at, again.waiting_for) == (NOW + LEASE, None, WaitingFor.RETRY)
    assert (again.retired_phones, again.next_phone_index, again.provider_troubles) == (["+56900000009"], 2, 4)


async def test_the_history_of_a_job_is_bounded_and_keeps_the_newest(queue: MongoJobQueue, store: Store) -> None:
    records = [RECORD.model_copy(update={"attempt_id": f"attempt-{n}"}) for n in range(HISTORY_KEPT + 3)]
    for record in records:
        job = held(JobState.SETTLING)
        document = to_document(job)
        current = (await store.raw())["history"] if record is not records[0] else []
        await store.put(from_document(Job, {**document, "history": current}))
        assert await queue.finish(job, STEP, record, NOW)
    assert (await store.get()).history == records[3:]


async def test_a_call_that_exists_is_an_attempt_with_its_id_and_time(queue: MongoJobQueue, store: Store) -> None:
    job = held(JobState.DIALING, attempt=make_attempt(number=2), attempts=1)
    await store.add(job)
    in_call = await queue.mark_in_call(job, make_report(), NOW + SECOND)
    assert in_call is not None
    assert in_call.attempt is not None
    assert (in_call.attempts, in_call.attempt.call_id, in_call.attempt.placed_by) == (2, "call-1", NOW + SECOND)


async def test_an_uncertain_attempt_may_have_been_placed_until_now(queue: MongoJobQueue, store: Store) -> None:
    job = held(JobState.VERIFYING)
    await store.add(job)
    uncertain = await queue.mark_uncertain(job, NOW + LEASE)
    assert uncertain is not None
    assert uncertain.attempt is not None
    assert uncertain.attempt.placed_by == NOW + LEASE
    assert uncertain.slot == 0


async def test_a_report_of_any_shape_can_be_stored(queue: MongoJobQueue, store: Store) -> None:
    job = held(JobState.IN_CALL)
    await store.add(job)
    analysis = {"custom.analysis": {"$set": {"a.b": [1, None, {"": 2.5}]}}, "": True}
    report = make_report("user_hangup", analysis=analysis, transcript="ñ\0", cost_cents=Decimal("42.3120001"))
    settled = await queue.settle(job, SETTLEMENT, report)
    assert settled is not None
    assert settled.report is not None
    assert settled.report.analysis == analysis
    assert (settled.report.transcript, settled.report.cost_cents) == ("ñ\0", Decimal("42.3120001"))


# Leases -----------------------------------------------------------------------------------------------------------


async def test_a_job_is_expired_by_the_servers_clock_whatever_the_workers_clock_says(
    queue: MongoJobQueue, store: Store, container: Container
) -> None:
    server = await container.database.server_time()
    await store.add(
        held(job_id="old", slot=0, lease_until=server - LEASE),
        held(job_id="older", slot=1, lease_until=server - 2 * LEASE),
        held(job_id="held", slot=2, lease_until=server + LEASE),
        *pending(1),
    )
    ahead = server + timedelta(days=365)
    assert [job.job_id for job in await queue.expired(ahead, 10)] == ["older", "old"]
    assert [job.job_id for job in await queue.expired(server, 1)] == ["older"]


async def test_the_rescue_looks_only_at_leases_that_ran_out(
    store: Store, collection: Collection, container: Container
) -> None:
    server = await container.database.server_time()
    expired = [held(job_id=f"e{slot}", slot=slot, lease_until=server - LEASE) for slot in range(3)]
    live = [held(job_id=f"l{slot}", slot=slot, lease_until=server + LEASE) for slot in range(100, 300)]
    await store.add(*expired, *live, *pending(200))
    cursor = collection.find(
        {
            "lease_until": {"$exists": True, "$lte": server + CLOCK_MARGIN},
            "$expr": {"$lte": ["$lease_until", "$$NOW"]},
        }
    )
    statistics = (await cursor.sort("lease_until", ASCENDING).limit(100).explain())["executionStats"]
    assert statistics["nReturned"] == 3
    assert statistics["totalKeysExamined"] <= 5


async def test_a_live_lease_is_not_adopted(queue: MongoJobQueue, store: Store, container: Container) -> None:
    job = held(lease_until=await container.database.server_time() + LEASE)
    await store.add(job)
    assert await queue.adopt(job, worker_id="worker-2", lease=LEASE) is None
    assert await store.get() == job


@pytest.mark.parametrize("state", sorted(IN_FLIGHT))
async def test_an_adopted_job_keeps_its_state_and_slot_but_what_was_dialing_is_verified(
    queue: MongoJobQueue, store: Store, container: Container, state: JobState
) -> None:
    job = held(state)
    await store.add(job)
    before = await container.database.server_time()
    adopted = await queue.adopt(job, worker_id="worker-2", lease=LEASE)
    assert adopted is not None
    assert adopted.state is (JobState.VERIFYING if state is JobState.DIALING else state)
    assert (adopted.worker_id, adopted.fence) == ("worker-2", job.fence + 1)
    assert (adopted.slot, adopted.attempt_id, adopted.attempt) == (job.slot, job.attempt_id, job.attempt)
    assert adopted.lease_until is not None
    assert adopted.lease_until >= before + LEASE
    assert await store.get() == adopted


async def test_of_many_rescuers_one_adopts(queue: MongoJobQueue, store: Store) -> None:
    job = held(JobState.DIALING)
    await store.add(job)
    answers = await asyncio.gather(
        *(queue.adopt(job, worker_id=f"worker-{number}", lease=LEASE) for number in range(20))
    )
    (adopted,) = [answer for answer in answers if answer is not None]
    assert await store.get() == adopted


async def test_who_lost_a_job_to_a_rescuer_can_do_nothing_with_it(queue: MongoJobQueue, store: Store) -> None:
    for name, state in LEGAL:
        if state not in IN_FLIGHT:
            continue
        job = held(state, attempt=make_attempt())
        await store.put(job)
        assert await queue.adopt(job, worker_id="worker-2", lease=LEASE) is not None
        before = await store.raw()
        assert await MOVES_OF_THE_HOLDER[name][1](queue, job) in (None, False), name
        assert await store.raw() == before


async def test_a_job_that_was_released_meanwhile_is_not_adopted(queue: MongoJobQueue, store: Store) -> None:
    job = held()
    await store.add(job)
    assert await queue.release(job, NOW, waiting_for=WaitingFor.NEW, reason=None, due_at=None)
    assert await queue.adopt(job, worker_id="worker-2", lease=LEASE) is None


async def test_a_worker_renews_only_the_jobs_it_holds_and_names(
    queue: MongoJobQueue, store: Store, container: Container
) -> None:
    await store.add(
        held(job_id="mine", slot=0),
        held(job_id="forgotten", slot=1),
        held(job_id="lost", slot=2, worker_id="worker-2"),
        make_job(job_id="let-go"),
    )
    before = await container.database.server_time()
    await queue.renew("worker-1", ["mine", "lost", "let-go"], LEASE)
    leases = {job.job_id: job.lease_until for job in await store.all()}
    mine = leases.pop("mine")
    assert mine is not None
    assert before + LEASE <= mine <= before + LEASE + 10 * SECOND
    assert leases == {"forgotten": NOW, "lost": NOW, "let-go": None}


async def test_a_worker_that_stops_hands_over_all_it_holds_at_once(
    queue: MongoJobQueue, store: Store, container: Container
) -> None:
    server = await container.database.server_time()
    await store.add(
        held(JobState.IN_CALL, job_id="mine", slot=0, lease_until=server + LEASE),
        held(JobState.UNCERTAIN, job_id="mine-too", slot=1, lease_until=server + LEASE),
        held(job_id="others", slot=2, worker_id="worker-2", lease_until=server + LEASE),
        *pending(1),
    )
    assert await queue.hand_over("worker-1") == 2
    expired = await queue.expired(server, 10)
    assert {job.job_id for job in expired} == {"mine", "mine-too"}
    for job in expired:
        assert await queue.adopt(job, worker_id="worker-3", lease=LEASE) is not None


@pytest.mark.parametrize("worker", ["$fence", "$$NOW", "a.b"])
async def test_a_workers_name_is_taken_as_it_is(queue: MongoJobQueue, store: Store, worker: str) -> None:
    await store.add(*pending(1), held(job_id="left", slot=5))
    (job,) = await claim(queue, 1, worker=worker)
    adopted = await queue.adopt(await store.get("left"), worker_id=worker, lease=LEASE)
    assert job.worker_id == worker
    assert adopted is not None
    assert adopted.worker_id == worker
