"""The rounds of the comparison with other queues, by systems that only pretend. No test asserts a time."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from benchmarks.rivals import measuring
from benchmarks.rivals.figures import Case, remembered
from benchmarks.rivals.installed import Server
from benchmarks.rivals.measuring import BESIDE, SPARE, TAKE, WARM, Filled, Limits, grid

CASES = [Case("due", 50_000, 1), Case("future", 50_000, 1)]


class HastyTime:
    """Half a second passes whenever somebody looks."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)

    def monotonic(self) -> float:
        self._seconds += 0.5
        return self._seconds


@dataclass
class Workers:
    """They do `step` jobs whenever somebody looks."""

    step: int
    ails: bool
    pids: list[int] = field(default_factory=lambda: [os.getpid()])
    _done: int = 0

    def done(self) -> int:
        self._done += self.step
        return self._done

    def check(self) -> None:
        if self.ails:
            raise RuntimeError("a worker died")


@dataclass
class Pretender:
    name: str
    log: list[str]
    step: int = 50
    ails: bool = False
    server: Server = field(default_factory=lambda: Server("nowhere", os.getpid()))

    async def fill(self, case: Case, due: int) -> None:
        self.log.append(f"{self.name} fills {due} {case.mix}")

    @asynccontextmanager
    async def working(self, case: Case) -> AsyncIterator[Workers]:
        self.log.append(f"{self.name} {case.mix}")
        yield Workers(self.step, self.ails)


async def run(data: Path, systems: list[Pretender], rounds: int, until: float = 1e9) -> None:
    limits = Limits(rounds, seconds=3, until=until)
    await grid(cast("Any", systems), CASES, limits, Filled(data / "filled.json"), data / "results.jsonl", HastyTime())


async def test_all_are_measured_once_before_any_is_measured_again(tmp_path: Path) -> None:
    log: list[str] = []
    await run(tmp_path, [Pretender("a", log), Pretender("b", log)], rounds=2)

    assert [entry for entry in log if "fills" not in entry] == ["a due", "b due", "a future", "b future"] * 2
    assert [entry for entry in log if "fills" in entry] == [
        "a fills 50000 due", "b fills 50000 due", f"a fills {BESIDE} future", f"b fills {BESIDE} future",
    ]  # fmt: skip


async def test_who_cannot_be_measured_ends_nobody_elses_rounds(tmp_path: Path) -> None:
    log: list[str] = []
    await run(tmp_path, [Pretender("a", log, ails=True), Pretender("b", log)], rounds=2)

    assert [entry for entry in log if "fills" not in entry] == [
        "a due",
        "b due",
        "a future",
        "b future",
        "b due",
        "b future",
    ]
    assert {one.system for one in remembered(tmp_path / "results.jsonl")} == {"b"}


async def test_who_does_nothing_is_measured_once_and_said_to_have_done_nothing(tmp_path: Path) -> None:
    log: list[str] = []
    await run(tmp_path, [Pretender("a", log, step=0)], rounds=3)

    found = remembered(tmp_path / "results.jsonl")
    assert [(one.mix, one.jobs) for one in found] == [("due", 0), ("future", 0)]
    assert all(one.seconds > measuring.START_SECONDS for one in found)


async def test_no_measurement_is_begun_when_the_time_is_up(tmp_path: Path) -> None:
    log: list[str] = []
    await run(tmp_path, [Pretender("a", log)], rounds=3, until=1)

    assert [entry for entry in log if "fills" not in entry] == ["a due"]


def test_a_backlog_lasts_as_long_as_a_measurement_finds_enough(tmp_path: Path) -> None:
    case, other = CASES[1], Case("future", 1000, 1)
    filled = Filled(tmp_path / "filled.json")
    assert not filled.lasts("a", case)
    filled.note("a", case, BESIDE)

    later = Filled(tmp_path / "filled.json")
    for _ in range(measuring.ROUNDS):
        assert later.lasts("a", case)
        later.used("a", case, WARM + TAKE + SPARE)
    assert not later.lasts("a", case)
    assert not later.lasts("a", other)
    assert not later.lasts("b", case)
