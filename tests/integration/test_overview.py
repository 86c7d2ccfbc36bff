"""What monitoring asks of the database: right, cheap whatever is stored, and asked once for all processes."""

from datetime import timedelta

import pytest

from app.bootstrap import Container
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import JobState, WaitingFor
from app.domain.overview import OTHERS, AccountCalls, Imports, Overview
from app.domain.workers import WorkerState
from app.repositories import overview as repository
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import to_document
from app.repositories.overview import MongoOverviews
from app.services.overview import EVERY_SECONDS, OverviewService
from tests.api.test_workers import at_work, silent_for
from tests.builders import NOW, FakeTime, make_account, make_batch, make_job
from tests.profiling import SPARE, profiled

BACKLOG = 3000
MINUTE = timedelta(minutes=1)


async def in_flight(container: Container, account_id: str, count: int, first_provider_slot: int) -> None:
    job = make_job(account_id=account_id, state=JobState.IN_CALL)
    document = to_document(job)
    more = [
        {"_id": f"{account_id}-{slot}", "slot": slot, "provider_slot": first_provider_slot + slot}
        for slot in range(count)
    ]
    await container.database.collection("jobs").insert_many([document | fields for fields in more])


async def test_a_look_costs_the_same_whatever_is_stored(container: Container) -> None:
    await MongoAccounts(container.database).insert(make_account())
    await MongoBatches(container.database).insert(make_batch())
    await in_flight(container, "acc-1", 5, 0)
    for state, waiting_for in ((JobState.PENDING, WaitingFor.NEW), (JobState.COMPLETED, None)):
        document = to_document(make_job(state=state, **({"waiting_for": waiting_for} if waiting_for else {})))
        copies = [document | {"_id": f"{state.value}-{number}"} for number in range(BACKLOG)]
        await container.database.collection("jobs").insert_many(copies)
    overviews = MongoOverviews(container.database)

    async with profiled(container.database) as operations:
        seen = await overviews.look(container.clock.now())

    assert seen.by_state["pending"] == BACKLOG
    assert seen.by_state["in_call"] == 5
    assert not [operation for operation in operations if "COLLSCAN" in operation.plan and operation.docs > SPARE]
    assert sum(operation.docs for operation in operations) <= 4 * SPARE
    # What waits is counted from the index alone, what is final is not looked at.
    assert sum(operation.keys for operation in operations) <= BACKLOG + 4 * SPARE


async def test_what_waits_is_counted_up_to_a_bound(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "MOST_COUNTED", 10)
    document = to_document(make_job(waiting_for=WaitingFor.NEW))
    await container.database.collection("jobs").insert_many([document | {"_id": f"j{n}"} for n in range(50)])

    async with profiled(container.database) as operations:
        seen = await MongoOverviews(container.database).look(container.clock.now())

    assert seen.pending[WaitingFor.NEW.value] == 10
    assert sum(operation.keys for operation in operations) <= 10 + 3 * SPARE


async def test_the_busiest_accounts_are_named_and_the_rest_are_one(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "MOST_ACCOUNTS", 2)
    for place, (account_id, count) in enumerate({"acc-a": 1, "acc-b": 3, "acc-c": 2, "acc-d": 1}.items()):
        await MongoAccounts(container.database).insert(make_account(account_id=account_id))
        await in_flight(container, account_id, count, 10 * place)

    seen = await MongoOverviews(container.database).look(container.clock.now())

    limit = make_account().features.max_concurrent_calls
    assert seen.calls == {
        "acc-b": AccountCalls(in_flight=3, limit=limit),
        "acc-c": AccountCalls(in_flight=2, limit=limit),
        OTHERS: AccountCalls(in_flight=2, limit=2 * limit),
    }


async def test_imports_under_way_are_added_up_and_those_that_nobody_goes_on_with_are_seen(container: Container) -> None:
    batches = container.database.collection("batches")
    now = container.clock.now()
    for number, (handled, lease_until) in enumerate(
        [(10, now + MINUTE), (300, now - MINUTE / 2), (5, now - 2 * MINUTE)]
    ):
        work = {"lease_until": lease_until, "handled": handled, "total": 1000}
        await batches.insert_one(to_document(make_batch(batch_id=f"batch-{number}")) | {"current_import": work})
    await batches.insert_one(to_document(make_batch(batch_id="batch-other")))

    async with profiled(container.database) as operations:
        seen = await MongoOverviews(container.database).look(now)

    assert seen.imports == Imports(under_way=3, handled=315, expected=3000, stalled=1)
    assert "IXSCAN { current_import.lease_until: 1 }" in {operation.plan for operation in operations}


async def test_workers_are_counted_by_what_they_are(container: Container) -> None:
    await at_work(container, "w:1")
    await at_work(container, "w:2")
    await at_work(container, "w:3", state=WorkerState.STOPPED)
    await silent_for(container, "w:2", 61)

    seen = await MongoOverviews(container.database).look(container.clock.now())

    assert seen.workers == {"running": 1, "draining": 0, "stopped": 1, "lost": 1}


async def test_what_is_stored_is_read_as_it_was_seen(container: Container) -> None:
    await MongoAccounts(container.database).insert(make_account())
    await in_flight(container, "acc-1", 2, 0)
    overviews = MongoOverviews(container.database)
    seen = await overviews.look(NOW)
    assert await overviews.stored() is None

    await overviews.store(seen, 1)
    assert await overviews.stored() is None  # nobody has taken a turn: there is nothing to store it in
    assert await overviews.take_turn(60)
    await overviews.store(seen, 60)

    assert await overviews.stored() == seen
    assert not await overviews.take_turn(60)


class Counting:
    """An Overviews of which one process after another is asked."""

    def __init__(self) -> None:
        self.looks = 0
        self.kept: Overview | None = None
        self.away = False
        self.turn = True

    async def stored(self) -> Overview | None:
        return self.kept

    async def take_turn(self, seconds: float) -> bool:
        if self.away:
            raise DatabaseUnavailable
        mine, self.turn = self.turn, False
        return mine

    async def look(self, now: object) -> Overview:
        self.looks += 1
        return Overview(
            taken_at=NOW, in_flight={}, pending={}, calls={}, stuck=self.looks, open_batches=0, reserved={},
            reservations=0, workers={},
        )  # fmt: skip

    async def store(self, overview: Overview, seconds: float) -> None:
        self.kept = overview


async def test_one_process_looks_for_all_however_often_they_are_asked() -> None:
    overviews, time = Counting(), FakeTime()
    first, second = OverviewService(overviews, time), OverviewService(overviews, time)

    for _ in range(5):
        for service in (first, second):
            seen = await service.latest()
            assert seen is not None
            assert seen.stuck == 1
    assert overviews.looks == 1

    overviews.turn = True
    time.advance(timedelta(seconds=EVERY_SECONDS))
    seen, same = await second.latest(), await first.latest()
    assert overviews.looks == 2
    assert seen is not None
    assert seen == same
    assert seen.stuck == 2


async def test_while_mongodb_is_away_what_was_seen_last_is_told() -> None:
    overviews, time = Counting(), FakeTime()
    service = OverviewService(overviews, time)
    seen = await service.latest()
    assert seen is not None

    overviews.away = True
    time.advance(timedelta(seconds=10 * EVERY_SECONDS))
    assert await service.latest() == seen
