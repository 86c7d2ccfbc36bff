"""Whether a worker may still dial, and how it waits."""

import asyncio
import random
from datetime import timedelta

import pytest

from app.services.worker_control import WorkerControl
from tests.builders import FakeTime

LEASE = timedelta(seconds=60)


def control(time: FakeTime | None = None) -> WorkerControl:
    return WorkerControl("worker-1", time or FakeTime(), LEASE)


def test_a_worker_may_dial_until_two_thirds_of_its_lease_have_gone_without_a_heartbeat() -> None:
    time = FakeTime()
    worker = control(time)
    assert worker.may_dial()
    time.advance(timedelta(seconds=39.9))
    assert worker.may_dial()
    time.advance(timedelta(seconds=0.1))
    assert not worker.may_dial()


def test_a_heartbeat_lets_it_dial_again() -> None:
    time = FakeTime()
    worker = control(time)
    time.advance(LEASE)
    worker.renewed_at = time.monotonic()
    assert worker.may_dial()


def test_a_stopping_worker_never_dials() -> None:
    worker = control()
    worker.stopping.set()
    assert not worker.may_dial()


async def test_a_pause_ends_at_once_when_the_worker_is_told_to_stop() -> None:
    worker = control()
    pause = asyncio.create_task(worker.pause(3600))
    await asyncio.sleep(0)
    worker.stopping.set()
    async with asyncio.timeout(60):
        await pause


async def test_a_pause_ends_by_itself() -> None:
    async with asyncio.timeout(60):
        await control().pause(0.001)


async def test_pauses_are_spread_by_a_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    spans: list[tuple[float, float]] = []
    timeout = asyncio.timeout

    def uniform(low: float, high: float) -> float:
        spans.append((low, high))
        return high

    def no_longer(delay: float | None) -> asyncio.Timeout:
        asked.append(delay or 0)
        return timeout(0)

    monkeypatch.setattr(random, "uniform", uniform)
    monkeypatch.setattr(asyncio, "timeout", no_longer)
    await control().pause(10)

    assert spans == [(0.8, 1.2)]
    assert asked == [12.0]
