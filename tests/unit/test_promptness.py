"""From when on a contact's wait counts."""

from datetime import timedelta

import pytest

from app.domain.batches import Block
from app.domain.messages import Message
from app.services.promptness import Promptness
from tests.builders import FakeTime, make_batch, make_job

SECOND = timedelta(seconds=1)


class Waits(list[float]):
    """Only what promptness tells."""

    def call_requested(self, waited_seconds: float) -> None:
        self.append(round(waited_seconds))


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def waited(
    time: FakeTime, promptness: Promptness, waits: Waits, due: int, changed: int = -1000, **batch: object
) -> float:
    """Claimed now, and asked for 2 seconds later; spans in seconds from now."""
    now = time.now()
    job = make_job(due_at=now + due * SECOND)
    promptness.claimed(make_batch(updated_at=now + changed * SECOND, **batch), [job])
    time.advance(2 * SECOND)
    promptness.asked(job)
    return waits[-1]


def started_long_ago(time: FakeTime) -> tuple[Promptness, Waits]:
    waits = Waits()
    promptness = Promptness(waits, time)  # type: ignore[arg-type] # all that it tells
    time.advance(500 * SECOND)
    return promptness, waits


def test_it_counts_from_when_the_job_was_due(time: FakeTime) -> None:
    promptness, waits = started_long_ago(time)
    assert waited(time, promptness, waits, due=-40) == 42


def test_what_nobody_could_do_before_this_worker_started_does_not_count(time: FakeTime) -> None:
    promptness, waits = started_long_ago(time)
    assert waited(time, promptness, waits, due=-9999) == 502


def test_a_change_by_the_operators_begins_it_anew(time: FakeTime) -> None:
    promptness, waits = started_long_ago(time)
    assert waited(time, promptness, waits, due=-40, changed=-5) == 7


def test_what_blocked_the_batch_does_not_count(time: FakeTime) -> None:
    promptness, waits = started_long_ago(time)
    now = time.now()
    block = Block(reason=Message(code="hours_closed", params={}), since=now - 400 * SECOND, until=now - 3 * SECOND)
    assert waited(time, promptness, waits, due=-300, block=block, wake_at=now - 3 * SECOND) == 5


def test_a_batch_that_only_slept_too_long_is_seen(time: FakeTime) -> None:
    promptness, waits = started_long_ago(time)
    promptness.looked([make_batch()], time.now() - 400 * SECOND)
    promptness.looked([], time.now())  # it slept
    assert waited(time, promptness, waits, due=-300, wake_at=time.now()) == 302


def test_who_was_left_behind_for_want_of_a_line_waits_from_then_on(time: FakeTime) -> None:
    promptness, waits = started_long_ago(time)
    promptness.looked([make_batch()], time.now() - 1 * SECOND)
    assert waited(time, promptness, waits, due=-300) == 3


def test_a_job_that_was_adopted_or_given_up_is_not_counted(time: FakeTime) -> None:
    promptness, waits = started_long_ago(time)
    job = make_job()
    promptness.asked(job)
    promptness.claimed(make_batch(), [job])
    promptness.forget(job)
    promptness.asked(job)
    assert waits == []
