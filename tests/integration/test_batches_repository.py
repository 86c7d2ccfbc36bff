"""Batches on a real MongoDB: asleep only as long as nothing came in, changed only from the status that was seen."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pymongo import ASCENDING

from app.bootstrap import Container
from app.domain.batches import Batch, BatchStatus, Block, LogEntry
from app.domain.messages import Message
from app.repositories.batches import MongoBatches
from tests.builders import NOW, OFFICE, make_batch, make_settings

MINUTE = timedelta(minutes=1)
BLOCK = Block(reason=Message(code="hours_closed"), since=NOW, until=NOW + 60 * MINUTE)
RUNNING, PAUSED, COMPLETED = BatchStatus.RUNNING, BatchStatus.PAUSED, BatchStatus.COMPLETED


@pytest.fixture
def batches(container: Container) -> MongoBatches:
    return MongoBatches(container.database)


async def added(batches: MongoBatches, **changes: Any) -> Batch:
    batch = make_batch(**changes)
    assert await batches.insert(batch)
    return batch


async def stored(batches: MongoBatches, batch_id: str = "batch-1") -> Batch:
    batch = await batches.get(batch_id)
    assert batch is not None
    return batch


async def test_a_batch_comes_back_as_it_was_stored(batches: MongoBatches) -> None:
    batch = make_batch(
        call_settings=make_settings(hours=OFFICE, retry_delay_hours=0.5), block=BLOCK, scheduled_at=NOW, total_jobs=3
    )
    assert await batches.insert(batch)
    assert await stored(batches) == batch
    assert await batches.get("batch-2") is None


# Sleeping and waking ----------------------------------------------------------------------------------------------


async def test_a_batch_sleeps_until_then_and_says_why(batches: MongoBatches) -> None:
    batch = await added(batches)
    assert await batches.sleep(batch, NOW + MINUTE, BLOCK)
    asleep = await stored(batches)
    assert (asleep.wake_at, asleep.block) == (NOW + MINUTE, BLOCK)
    assert await batches.sleep(asleep, None, None)
    assert ((await stored(batches)).wake_at, (await stored(batches)).block) == (None, None)


async def test_a_sleep_decided_before_a_wake_does_not_stick(batches: MongoBatches) -> None:
    seen = await added(batches)
    await batches.wake("batch-1", NOW)
    assert not await batches.sleep(seen, NOW + MINUTE, BLOCK)
    awake = await stored(batches)
    assert (awake.wake_at, awake.block) == (NOW, None)


async def test_a_sleep_decided_before_a_change_does_not_stick(batches: MongoBatches) -> None:
    seen = await added(batches)
    await batches.update("batch-1", {"name": "Otra"})
    assert not await batches.sleep(seen, None, None)
    seen = await stored(batches)
    await batches.move("batch-1", [RUNNING], PAUSED, {"wake_at": None})
    assert not await batches.sleep(seen, NOW + MINUTE, None)
    assert (await stored(batches)).wake_at is None


async def test_of_two_sleeps_decided_on_the_same_facts_the_first_counts(batches: MongoBatches) -> None:
    seen = await added(batches)
    assert await batches.sleep(seen, NOW + MINUTE, None)
    assert not await batches.sleep(seen, NOW + 2 * MINUTE, None)
    assert (await stored(batches)).wake_at == NOW + MINUTE


@pytest.mark.parametrize(("asleep_until", "woken_at", "expected"), [(5, 1, 1), (1, 5, 1), (3, 3, 3)])
async def test_a_wake_shortens_a_sleep_and_never_prolongs_it(
    batches: MongoBatches, asleep_until: int, woken_at: int, expected: int
) -> None:
    batch = await added(batches, wake_at=NOW + asleep_until * MINUTE)
    await batches.wake("batch-1", NOW + woken_at * MINUTE)
    woken = await stored(batches)
    assert (woken.wake_at, woken.revision) == (NOW + expected * MINUTE, batch.revision + 1)


@pytest.mark.parametrize("status", [PAUSED, COMPLETED, BatchStatus.DRAFT])
async def test_a_wake_of_a_batch_that_has_nothing_to_wake_for_does_nothing(
    batches: MongoBatches, status: BatchStatus
) -> None:
    batch = await added(batches, status=status, wake_at=None)
    await batches.wake("batch-1", NOW)
    await batches.wake_account("acc-1", NOW)
    assert await stored(batches) == batch


async def test_waking_an_account_wakes_its_batches_that_run(batches: MongoBatches) -> None:
    later = NOW + 60 * MINUTE
    await added(batches, batch_id="runs", wake_at=later)
    await added(batches, batch_id="cancelled", wake_at=later, status=BatchStatus.CANCELLED)
    await added(batches, batch_id="scheduled", wake_at=later, status=BatchStatus.SCHEDULED)
    await added(batches, batch_id="importing", wake_at=later, status=BatchStatus.IMPORTING)
    await added(batches, batch_id="others", wake_at=later, account_id="acc-2")
    await batches.wake_account("acc-1", NOW)
    woken = {batch.batch_id for batch in await batches.due(NOW, 10)}
    assert woken == {"runs", "cancelled"}


async def test_due_are_those_whose_time_has_come_longest_asleep_first(batches: MongoBatches) -> None:
    for name, minutes in (("b", 2), ("a", 1), ("c", 3)):
        await added(batches, batch_id=name, wake_at=NOW + minutes * MINUTE)
    await added(batches, batch_id="never", wake_at=None)
    assert [batch.batch_id for batch in await batches.due(NOW + 2 * MINUTE, 10)] == ["a", "b"]
    assert [batch.batch_id for batch in await batches.due(NOW + 3 * MINUTE, 1)] == ["a"]
    assert await batches.due(NOW, 10) == []


async def test_a_look_for_due_batches_costs_nothing_for_those_that_sleep(
    batches: MongoBatches, container: Container
) -> None:
    for number in range(3):
        await added(batches, batch_id=f"due-{number}")
    for number in range(100):
        await added(batches, batch_id=f"asleep-{number}", wake_at=NOW + MINUTE)
        await added(batches, batch_id=f"final-{number}", wake_at=None, status=COMPLETED)
    collection = container.database.collection("batches")
    cursor = collection.find({"wake_at": {"$lte": NOW}}).sort("wake_at", ASCENDING).limit(200)
    explained = await cursor.explain()
    assert explained["queryPlanner"]["winningPlan"]["inputStage"]["inputStage"]["indexName"] == "due"
    assert explained["executionStats"]["totalKeysExamined"] <= 4
    assert len(await batches.due(NOW, 200)) == 3


# Moving -----------------------------------------------------------------------------------------------------------


async def test_a_move_happens_only_from_an_expected_status(batches: MongoBatches) -> None:
    before = await added(batches, block=BLOCK)
    assert await batches.move("batch-1", [PAUSED, COMPLETED], RUNNING, {"name": "Otra"}) is None
    assert await stored(batches) == before
    moved = await batches.move("batch-1", [PAUSED, RUNNING], PAUSED, {"wake_at": None, "block": None, "total_jobs": 7})
    assert moved is not None
    assert (moved.status, moved.wake_at, moved.block, moved.total_jobs) == (PAUSED, None, None, 7)
    assert moved.revision == before.revision + 1
    assert await stored(batches) == moved


async def test_of_many_movers_one_wins(batches: MongoBatches) -> None:
    await added(batches, status=BatchStatus.SCHEDULED)
    answers = await asyncio.gather(*(batches.move("batch-1", [BatchStatus.SCHEDULED], RUNNING, {}) for _ in range(20)))
    assert sum(answer is not None for answer in answers) == 1


async def test_a_batch_is_completed_once_and_sleeps_for_good(batches: MongoBatches) -> None:
    batch = await added(batches, block=BLOCK)
    assert sum(await asyncio.gather(*(batches.complete(batch, NOW + MINUTE) for _ in range(10)))) == 1
    done = await stored(batches)
    assert (done.status, done.finished_at, done.wake_at, done.block) == (COMPLETED, NOW + MINUTE, None, None)


async def test_a_batch_is_not_completed_if_something_came_in_since(batches: MongoBatches) -> None:
    seen = await added(batches)
    await batches.wake("batch-1", NOW)
    assert not await batches.complete(seen, NOW)
    seen = await stored(batches)
    await batches.move("batch-1", [RUNNING], PAUSED, {})
    assert not await batches.complete(seen, NOW)
    assert not await batches.complete(await stored(batches), NOW)
    assert (await stored(batches)).status is PAUSED


# Names and keys ---------------------------------------------------------------------------------------------------


async def test_an_idempotency_key_names_one_batch_of_an_account(batches: MongoBatches) -> None:
    first = await added(batches, idempotency_key="key")
    assert not await batches.insert(make_batch(batch_id="batch-2", idempotency_key="key"))
    assert await batches.insert(make_batch(batch_id="batch-3", idempotency_key="key", account_id="acc-2"))
    assert await batches.by_idempotency_key("acc-1", "key") == first
    assert await batches.by_idempotency_key("acc-1", "other") is None


async def test_of_many_requests_with_one_key_at_once_one_batch_is_made(batches: MongoBatches) -> None:
    made = await asyncio.gather(
        *(batches.insert(make_batch(batch_id=f"batch-{n}", idempotency_key="key")) for n in range(20))
    )
    assert sum(made) == 1


async def test_any_number_of_batches_has_no_key_but_each_its_own_id(batches: MongoBatches) -> None:
    await added(batches, batch_id="batch-1")
    await added(batches, batch_id="batch-2")
    assert not await batches.insert(make_batch(batch_id="batch-2"))


# Lists and logs ---------------------------------------------------------------------------------------------------


async def test_batches_are_paged_newest_first_by_account_and_status(batches: MongoBatches) -> None:
    for number in range(4):
        status = PAUSED if number == 2 else RUNNING
        await added(batches, batch_id=f"batch-{number}", created_at=NOW + number * MINUTE, status=status)
    await added(batches, batch_id="others", account_id="acc-2")

    async def page(**query: Any) -> tuple[list[str], int]:
        found, total = await batches.page(**{"account_ids": None, "statuses": None, "limit": 10, "skip": 0, **query})
        return [batch.batch_id for batch in found], total

    assert await page(account_ids=["acc-1"], limit=2, skip=1) == (["batch-2", "batch-1"], 4)
    assert await page(statuses=[PAUSED]) == (["batch-2"], 1)
    assert await page(statuses=[]) == ([], 0)
    assert (await page())[1] == 5
    assert await batches.ids_of_account("acc-2") == {"others": RUNNING}


async def test_the_log_of_a_batch_is_read_newest_first_and_goes_with_it(batches: MongoBatches) -> None:
    await added(batches)
    entries = [
        LogEntry(timestamp=NOW + n * MINUTE, event="batch_edited", message=Message(code="x", params={"n": n}), user="u")
        for n in range(3)
    ]
    for entry in entries:
        await batches.log("batch-1", entry)
    await batches.log("batch-2", entries[0])
    assert await batches.logs("batch-1", limit=2, skip=0) == ([entries[2], entries[1]], 3)
    await batches.delete("batch-1")
    assert await batches.get("batch-1") is None
    assert await batches.logs("batch-1", limit=2, skip=0) == ([], 0)
    assert await batches.logs("batch-2", limit=2, skip=0) == ([entries[0]], 1)
