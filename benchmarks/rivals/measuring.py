"""One measurement, and the grid of them: systems in turns, round by round."""

import asyncio
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.domain.ports import Time
from benchmarks.rivals.figures import Case, Measurement, remember
from benchmarks.rivals.installed import DATA, cpu_seconds
from benchmarks.rivals.our_engine import CallWorkers
from benchmarks.rivals.systems import Counted, Ours, Rival
from benchmarks.site import load, say

WARM = 100
"""Jobs done before the clock starts."""
TAKE = 1000
START_SECONDS = 60
"""For the first of them: a rival makes its indexes when it is first started. Later than that is never."""
LOOK_SECONDS = 0.01
SPARE = 400
"""Jobs that may be begun after the clock has stopped."""
BESIDE = 3 * (WARM + TAKE + SPARE)
"""Jobs that are due where the backlog is not: enough for three rounds."""


@dataclass(frozen=True)
class Limits:
    rounds: int
    seconds: float
    """Of one measurement: who is slow is measured on fewer jobs."""
    until: float
    """By the monotonic clock, when no further measurement is begun."""


def due_in(case: Case) -> int:
    return case.size if case.mix == "due" else BESIDE


class Filled:
    """Which backlog each system has in its database, and how many of its jobs are still due; kept beside the data."""

    def __init__(self, path: Path = DATA / "filled.json") -> None:
        self._path = path
        self._known: dict[str, tuple[str, int]] = json.loads(path.read_text()) if path.exists() else {}

    def lasts(self, name: str, case: Case) -> bool:
        """Whether there is enough for a measurement."""
        title, due = self._known.get(name, ("", 0))
        return title == case.title and due >= min(due_in(case), WARM + TAKE + SPARE)

    def note(self, name: str, case: Case, due: int) -> None:
        self._known[name] = (case.title, due)
        self._path.write_text(json.dumps(self._known))

    def used(self, name: str, case: Case, jobs: int) -> None:
        self.note(name, case, self._known[name][1] - jobs)


async def fill(system: Ours | Rival, case: Case, filled: Filled, time: Time) -> None:
    """Unless what is there still lasts."""
    if filled.lasts(system.name, case):
        return
    at, due = time.monotonic(), due_in(case)
    await system.fill(case, due)
    filled.note(system.name, case, due)
    say(f"  {system.name}: filled with {case.title} in {time.monotonic() - at:.0f} s")


async def measure(system: Ours | Rival, case: Case, seconds: float, filled: Filled, time: Time) -> Measurement:
    """Jobs a second of its workers while they have enough to do. Raises RuntimeError if one dies."""
    began_under = os.getloadavg()[0]
    async with system.working(case) as workers:
        try:
            await _until(workers, time, jobs=1, seconds=START_SECONDS)
            await _until(workers, time, jobs=WARM, seconds=seconds)
            first = workers.done()
            at, server, worker = time.monotonic(), cpu_seconds(system.server.pid), _cpu(workers)
            await _until(workers, time, jobs=first + min(TAKE, due_in(case) // 2), seconds=seconds)
            jobs = workers.done() - first
            took = time.monotonic() - at
            server, worker = cpu_seconds(system.server.pid) - server, _cpu(workers) - worker
        finally:
            filled.used(system.name, case, workers.done() + SPARE)
    jobs_counted = max(jobs, 1)
    return Measurement(
        system=system.name,
        **case._asdict(),
        jobs=jobs,
        seconds=took,
        server_ms=1000 * server / jobs_counted,
        worker_ms=1000 * worker / jobs_counted,
        load=began_under,
    )


async def fill_all(systems: Sequence[Ours | Rival], case: Case, time: Time) -> None:
    filled = Filled()
    for system in systems:
        await fill(system, case, filled, time)


async def grid(
    systems: Sequence[Ours | Rival], cases: Iterable[Case], limits: Limits, results: Path, time: Time
) -> None:
    """Measure every system in every case, in turns, and remember each figure as soon as it is known."""
    filled = Filled()
    for case in cases:
        say(case.title)
        for number in range(limits.rounds):
            for system in systems:
                if time.monotonic() > limits.until:
                    say("the time is up")
                    return
                if case.batches > 1 and isinstance(system, Rival):
                    continue
                await fill(system, case, filled, time)
                found = await measure(system, case, limits.seconds, filled, time)
                remember(results, found)
                say(f"  {system.name}, round {number + 1}: {found.jobs_a_second:,.1f} jobs/s; load {load()}")


async def _until(workers: Counted | CallWorkers, time: Time, *, jobs: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while workers.done() < jobs and time.monotonic() < until:
        workers.check()
        await asyncio.sleep(LOOK_SECONDS)


def _cpu(workers: Counted | CallWorkers) -> float:
    return sum(cpu_seconds(pid) for pid in workers.pids)
