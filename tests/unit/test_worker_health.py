"""The file by which a worker shows that it turns."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import DatabaseUnavailable
from app.services.worker_control import WorkerControl
from tests.builders import FakeTime
from workers import health
from workers.health import FRESH_SECONDS, HealthFile, is_alive
from workers.runner import Pace, Runner

NO_PAUSE = Pace(poll=0, listen=0, rescue=0, heartbeat=0, tidy=0, shutdown=1)


class Work:
    """Idle, but for one verb that does what a test wants of it."""

    must_wait = False
    next_due_in = math.inf

    def __init__(self, **verbs: Callable[[], Awaitable[Any]]) -> None:
        self._verbs = verbs
        self.rounds = 0

    async def _do(self, verb: str, usual: Any = None) -> Any:
        if verb in self._verbs:
            await self._verbs[verb]()
        return usual

    async def claim(self, capacity: int) -> list[Any]:
        self.rounds += 1
        return list(await self._do("claim", []))

    async def adopt(self, in_hand: object) -> list[Any]:
        return list(await self._do("adopt", []))

    async def process(self, job: object) -> None: ...
    async def renew(self, job_ids: object) -> None:
        await self._do("renew")

    async def hand_over(self) -> int:
        return 0

    async def listen(self) -> None:
        await self._do("listen")

    async def take_over(self) -> int:
        return int(await self._do("take_over", 0))

    async def tidy(self) -> None:
        await self._do("tidy")


@asynccontextmanager
async def running(work: Work, on_heartbeat: Callable[[], Awaitable[None]]) -> AsyncIterator[tuple[Runner, FakeTime]]:
    """A runner that has begun all its loops, and the time it goes by."""
    time = FakeTime()
    control = WorkerControl("worker-1", time, timedelta(seconds=60))
    runner = Runner(work, control, NO_PAUSE, concurrency=1, on_heartbeat=on_heartbeat)
    task = asyncio.create_task(runner.run())
    try:
        await turns(lambda: so(work.rounds > 1))
        yield runner, time
    finally:
        control.stopping.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def nothing() -> None: ...


async def hang() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError


async def away() -> None:
    raise DatabaseUnavailable


@pytest.mark.parametrize(
    ("verbs", "stalled"),
    [
        ({}, []),
        ({"listen": hang}, ["listen"]),
        ({"adopt": fail}, ["rescue"]),
        ({"renew": hang}, ["heartbeat"]),
        (dict.fromkeys(("claim", "adopt", "renew", "listen", "tidy"), away), []),
    ],
    ids=["well", "hangs", "only fails", "does not renew", "MongoDB is away"],
)
async def test_a_loop_that_hangs_or_only_fails_is_named(
    verbs: dict[str, Callable[[], Awaitable[Any]]], stalled: list[str]
) -> None:
    async with running(Work(**verbs), nothing) as (runner, time):
        assert runner.stalled(10) == []
        time.advance(timedelta(seconds=11))
        await turns(lambda: so(runner.stalled(10) == stalled))


def test_only_a_fresh_file_is_a_sign_of_life(tmp_path: Path) -> None:
    file = tmp_path / "health"
    assert not is_alive(file, 1000)
    for written, alive in (("990.5", True), (str(1000 - FRESH_SECONDS - 1), False), ("2000", False), ("", False)):
        file.write_text(written, "ascii")
        assert is_alive(file, 1000) is alive, written


async def test_it_is_written_while_all_turns_and_goes_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "WRITE_SECONDS", 0)
    time, complaints, stalled = FakeTime(), list[str](), list[str]()
    file = HealthFile(tmp_path / "health", time, lambda: stalled, complaints.append)
    ended = asyncio.Event()
    kept = asyncio.create_task(file.keep(ended))

    async def written() -> bool:
        return is_alive(tmp_path / "health", time.monotonic())

    await turns(written)
    stalled.append("claim")
    await turns(lambda: so(bool(complaints)))
    time.advance(timedelta(seconds=FRESH_SECONDS + 1))
    await turns(lambda: so(not is_alive(tmp_path / "health", time.monotonic())))
    stalled.clear()
    await turns(written)
    ended.set()
    await kept
    assert files_in(tmp_path) == []
    assert complaints == ["these loops do not come round: claim"]


async def test_a_file_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    complaints = list[str]()
    ended = asyncio.Event()
    kept = asyncio.create_task(
        HealthFile(tmp_path / "none" / "health", FakeTime(), list, complaints.append).keep(ended)
    )
    await turns(lambda: so(bool(complaints)))
    ended.set()
    await kept
    assert "cannot be written" in complaints[0]


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def so(fact: bool) -> bool:
    return fact


async def turns(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await fact():  # noqa: ASYNC110 - another task makes it true
            await asyncio.sleep(0.01)


async def test_an_idle_worker_looks_again_when_the_first_batch_wakes() -> None:
    """And not only when it is time to poll: that would be in an hour."""
    work = Work()
    work.next_due_in = 0.01
    control = WorkerControl("worker-1", FakeTime(), timedelta(seconds=60))
    pace = replace(NO_PAUSE, poll=3600, listen=3600, rescue=3600, heartbeat=3600, tidy=3600)
    runner = Runner(work, control, pace, concurrency=1, on_heartbeat=nothing)
    task = asyncio.create_task(runner.run())
    try:
        await turns(lambda: so(work.rounds > 2))
    finally:
        control.stopping.set()
        await asyncio.wait_for(task, 60)
