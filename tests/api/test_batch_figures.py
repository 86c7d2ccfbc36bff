"""Polling a batch of a million jobs: what was dear to count is repeated, what was cheap is not."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import JobState
from app.domain.ports import Jobs, Transactions
from app.domain.transactions import Usage
from app.services.batches import BatchFigures
from app.services.repeating import FEW, SHOWN_SECONDS
from tests.builders import FakeTime, make_batch


class Counted:
    """Jobs and ledger of one batch that take `seconds` to count; `pending` jobs wait."""

    def __init__(self, time: FakeTime, seconds: float, pending: int) -> None:
        self._pending = pending
        self.counts_made = 0
        self.completed = 0
        self._time = time
        self._seconds = seconds

    async def counts(self, batch_ids: Sequence[str]) -> dict[str, dict[JobState, int]]:
        self.counts_made += 1
        await asyncio.sleep(0)
        self._time.advance(timedelta(seconds=self._seconds))
        return {
            batch_id: {JobState.COMPLETED: self.completed, JobState.PENDING: self._pending} for batch_id in batch_ids
        }

    async def batch_usage(self, batch_ids: Sequence[str]) -> dict[str, Usage]:
        return {batch_id: Usage(calls=self.completed) for batch_id in batch_ids}


def figures(seconds: float, pending: int = FEW + 1) -> tuple[BatchFigures, Counted, FakeTime]:
    time = FakeTime()
    counted = Counted(time, seconds, pending)
    return BatchFigures(cast("Jobs", counted), cast("Transactions", counted), time), counted, time


async def completed(of: BatchFigures, batch: Batch) -> int:
    found = (await of.of([batch]))[batch.batch_id]
    assert found.usage.calls == found.progress.completed
    return found.progress.completed


async def test_a_count_of_few_jobs_is_always_fresh_however_long_it_took() -> None:
    of, counted, _ = figures(2, pending=FEW - 1)
    assert await completed(of, make_batch()) == 0
    counted.completed = 1
    assert await completed(of, make_batch()) == 1


async def test_a_cheap_count_of_many_jobs_is_repeated_for_a_moment_and_never_shown_after_it() -> None:
    of, counted, time = figures(0.01)
    assert await completed(of, make_batch()) == 0
    counted.completed = 1
    assert await completed(of, make_batch()) == 0
    time.advance(timedelta(seconds=0.11))
    assert await completed(of, make_batch()) == 1


async def test_a_dear_count_is_repeated_ten_times_as_long_as_it_took() -> None:
    of, counted, time = figures(2)
    assert await completed(of, make_batch()) == 0
    counted.completed = 1
    time.advance(timedelta(seconds=19))
    assert await completed(of, make_batch()) == 0
    time.advance(timedelta(seconds=2))
    assert await completed(of, make_batch()) == 0, "shown once more, while the next count is made"
    await asyncio.gather(*of._remaking._tasks.values())
    assert await completed(of, make_batch()) == 1
    assert counted.counts_made == 2


async def test_a_count_that_has_become_old_is_not_shown() -> None:
    of, counted, time = figures(2)
    await completed(of, make_batch())
    counted.completed = 1
    time.advance(timedelta(seconds=20 + SHOWN_SECONDS))
    assert await completed(of, make_batch()) == 1


async def test_a_page_of_batches_is_counted_anew_in_one_question() -> None:
    of, counted, time = figures(2)
    page = [make_batch(batch_id=f"batch-{number}") for number in range(20)]
    await of.of(page)
    time.advance(timedelta(seconds=21))
    for _ in range(3):
        await of.of(page)
    await asyncio.gather(*of._remaking._tasks.values())
    assert counted.counts_made == 2


async def test_who_changed_it_sees_it() -> None:
    of, counted, _ = figures(2)
    await completed(of, make_batch())
    counted.completed = 1
    of.forget("batch-1")
    assert await completed(of, make_batch()) == 1


async def test_many_pages_wait_for_one_count() -> None:
    of, counted, _ = figures(2)
    await asyncio.gather(*(completed(of, make_batch()) for _ in range(20)))
    assert counted.counts_made == 1


@pytest.mark.parametrize("status", [BatchStatus.COMPLETED, BatchStatus.CANCELLED])
async def test_a_batch_that_is_over_is_counted_once(status: BatchStatus) -> None:
    of, counted, time = figures(2)
    counted.completed = 5

    def batch(**changes: Any) -> Batch:
        return make_batch(status=status, total_jobs=5, revision=7, **changes)

    await completed(of, batch())
    time.advance(timedelta(days=1))
    await completed(of, batch())
    assert counted.counts_made == 1
    # An operator's retry opens it again, which raises the revision.
    await completed(of, batch().model_copy(update={"revision": 8}))
    assert counted.counts_made == 2


async def test_a_cancelled_batch_with_a_live_call_is_not_over() -> None:
    of, counted, time = figures(2)
    counted.completed = 4
    batch = make_batch(status=BatchStatus.CANCELLED, total_jobs=5)
    await completed(of, batch)
    time.advance(timedelta(minutes=1))
    counted.completed = 5
    assert await completed(of, batch) == 5


async def test_a_list_counts_only_what_it_does_not_know() -> None:
    of, counted, _ = figures(2)
    one, two = make_batch(), make_batch(batch_id="batch-2")
    await of.of([one])
    counted.completed = 3
    found = await of.of([one, two])
    assert [found[batch.batch_id].progress.completed for batch in (one, two)] == [0, 3]
    assert await of.of([]) == {}
