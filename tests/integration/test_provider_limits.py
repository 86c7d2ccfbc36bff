"""The document that all workers go by: starts are given once, pauses grow, and are said once."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from app.bootstrap import Container
from app.domain.messages import Message
from app.domain.provider_limits import Hold, Trouble
from app.repositories.provider_limits import MongoProviderLimits

SECOND = timedelta(seconds=1)
REASON = Message(code="provider_waited_for", params={"detail": "$429 {too} many"})


@pytest.fixture
def limits(container: Container) -> MongoProviderLimits:
    return MongoProviderLimits(container.database)


async def hold(limits: MongoProviderLimits, wait: timedelta | None = None) -> tuple[Hold, bool]:
    return await limits.hold(Trouble.REFUSED, REASON, wait=wait, base=SECOND, cap=60 * SECOND)


async def let_it_pass(container: Container, limits: MongoProviderLimits) -> None:
    now = await container.database.server_time()
    await container.database.collection("provider_limits").update_one({}, {"$set": {"hold.until": now}})


async def test_no_start_is_given_twice(limits: MongoProviderLimits, container: Container) -> None:
    before = await container.database.server_time()
    spacing = timedelta(milliseconds=40)
    taken = await asyncio.gather(*(limits.take_starts(count, spacing) for count in [1, 2, 3] * 10))
    starts = sorted(
        first + number * spacing for first, count in zip(taken, [1, 2, 3] * 10, strict=True) for number in range(count)
    )
    assert starts[0] >= before
    assert all(later - earlier >= spacing for earlier, later in pairwise(starts))


async def test_starts_that_nobody_took_are_gone(limits: MongoProviderLimits, container: Container) -> None:
    await limits.take_starts(1, timedelta(milliseconds=1))
    now = await container.database.server_time()
    await asyncio.sleep(0.01)
    assert await limits.take_starts(1, SECOND) > now


async def test_many_failures_at_once_are_one_trouble(limits: MongoProviderLimits) -> None:
    holds = await asyncio.gather(*(hold(limits) for _ in range(20)))
    assert sum(is_new for _, is_new in holds) == 1
    assert {found.times for found, _ in holds} == {1}
    assert (await limits.read()).hold is not None


async def test_each_pause_after_another_is_twice_as_long_up_to_a_minute(
    limits: MongoProviderLimits, container: Container
) -> None:
    spans = []
    for _ in range(9):
        before = await container.database.server_time()
        found, is_new = await hold(limits)
        assert is_new
        spans.append(round((found.until - before).total_seconds()))
        await let_it_pass(container, limits)
    assert spans == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_what_the_provider_asks_for_is_kept_and_never_cut(limits: MongoProviderLimits) -> None:
    first, _ = await hold(limits, wait=30 * SECOND)
    second, is_new = await hold(limits)
    assert (second.until, is_new) == (first.until, False)
    assert second.reason == REASON


async def test_only_the_trouble_that_is_over_is_ended(limits: MongoProviderLimits, container: Container) -> None:
    first, _ = await hold(limits)
    await let_it_pass(container, limits)
    second, _ = await hold(limits)
    assert (second.times, second.since) == (2, first.since)
    assert not await limits.end_hold(first.hold_id)
    assert await limits.end_hold(second.hold_id)
    third, _ = await hold(limits)
    assert third.times == 1


async def test_the_ceiling_survives_everything_else(limits: MongoProviderLimits) -> None:
    assert (await limits.read()).max_concurrent is None
    await limits.set_max_concurrent(17)
    await hold(limits)
    await limits.take_starts(1, SECOND)
    state = await limits.read()
    assert state.max_concurrent == 17
    assert state.hold is not None
