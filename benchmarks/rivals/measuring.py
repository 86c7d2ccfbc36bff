"""One measurement, and the grid of them: systems in turns, round by round."""

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.domain.ports import Time
from benchmarks.rivals.figures import OURS, Case, Measurement, remember
from benchmarks.rivals.installed import cpu_seconds
from benchmarks.rivals.our_engine import CallWorkers, shape
from benchmarks.rivals.systems import Counted, Ours, Rival
from benchmarks.site import load, say

WARM = 500
"""Jobs done before the clock starts, or a quarter of what is due: what is begun together ends together at first."""
TAKE = 2000
START_SECONDS = 20
"""For the first of them. Later than that is never."""
LOOK_SECONDS = 0.01
SPARE = 400
"""Jobs that may be begun after the clock has stopped."""
ROUNDS = 4
BESIDE = ROUNDS * (WARM + TAKE + SPARE)
"""Jobs that are due where the backlog is not: enough for so many rounds."""
FEW = 10
"""Who did fewer is counted from the start of its workers, and measured once."""


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
    """Which backlogs each system has in its databases, and how many of their jobs are due; kept beside the data."""

    def __init__(self, path: Path) -> None:
        self._path = path
        known = json.loads(path.read_text()) if path.exists() else {}
        self._due: dict[str, int] = known.get("due", {})
        if known.get("shape") != shape():
            self._due = {key: due for key, due in self._due.items() if not key.startswith(f"{OURS} ")}

    def lasts(self, name: str, case: Case) -> bool:
        """Whether there is enough for a measurement."""
        return self._due.get(f"{name} {case.key}", 0) >= min(due_in(case), WARM + TAKE + SPARE)

    def note(self, name: str, case: Case, due: int) -> None:
        self._due[f"{name} {case.key}"] = due
        self._path.write_text(json.dumps({"shape": shape(), "due": self._due}, indent=1))

    def used(self, name: str, case: Case, jobs: int) -> None:
        self.note(name, case, self._due[f"{name} {case.key}"] - jobs)


async def fill(system: Ours | Rival, case: Case, filled: Filled, time: Time) -> None:
    """Unless what is there still lasts."""
    if filled.lasts(system.name, case):
        return
    at, due = time.monotonic(), due_in(case)
    filled.note(system.name, case, 0)
    await system.fill(case, due)
    filled.note(system.name, case, due)
    say(f"  {system.name}: filled with {case.title} in {time.monotonic() - at:.0f} s")


async def measure(system: Ours | Rival, case: Case, seconds: float, filled: Filled, time: Time) -> Measurement:
    """Jobs a second of its workers while they have enough to do. Raises RuntimeError if one dies."""
    began_under = os.getloadavg()[0]
    async with system.working(case) as workers:

        def reading() -> Reading:
            cpu = sum(cpu_seconds(pid) for pid in workers.pids)
            return Reading(workers.done(), time.monotonic(), cpu_seconds(system.server.pid), cpu)

        try:
            started = reading()
            await _until(workers, time, jobs=1, seconds=START_SECONDS)
            first = reading()
            warm = min(WARM, due_in(case) // 4)
            await _until(workers, time, jobs=warm, seconds=seconds)
            if workers.done() >= warm:
                first = reading()
            await _until(workers, time, jobs=first.jobs + min(TAKE, due_in(case) // 2), seconds=seconds)
            last = reading()
        finally:
            filled.used(system.name, case, workers.done() + SPARE)
    if last.jobs - first.jobs < FEW:
        first = started
    jobs = last.jobs - first.jobs
    return Measurement(
        system=system.name,
        **case._asdict(),
        jobs=jobs,
        seconds=last.at - first.at,
        server_ms=1000 * (last.server - first.server) / max(jobs, 1),
        worker_ms=1000 * (last.workers - first.workers) / max(jobs, 1),
        load=began_under,
    )


@dataclass(frozen=True)
class Reading:
    """At one moment: jobs done, the clock, and the CPU used so far, in seconds."""

    jobs: int
    at: float
    server: float
    workers: float


async def fill_all(systems: Sequence[Ours | Rival], cases: Sequence[Case], filled: Filled, time: Time) -> None:
    """What a later run measures on."""
    for case in cases:
        for system in systems:
            if takes_part(system, case):
                try:
                    await fill(system, case, filled, time)
                except Exception as error:  # noqa: BLE001 - whatever ails one, the others are filled
                    say(f"  {system.name}, {case.title}: {error}")


def takes_part(system: Ours | Rival, case: Case) -> bool:
    """Rivals know no batches."""
    return case.batches == 1 or isinstance(system, Ours)


async def grid(
    systems: Sequence[Ours | Rival],
    cases: Sequence[Case],
    limits: Limits,
    filled: Filled,
    results: Path,
    time: Time,
    told: Callable[[], None] = lambda: None,
) -> None:
    """Measure every system in every case, in turns, round by round, and remember each figure as soon as it is known.

    `told` is called after each. Who cannot be measured in a case is left out of it from then on.
    """
    turns = [(case, system) for case in cases for system in systems if takes_part(system, case)]
    for number in range(1, limits.rounds + 1):
        say(f"Round {number} of {limits.rounds}")
        again = []
        for case, system in turns:
            if time.monotonic() > limits.until:
                say("the time is up")
                return
            try:
                await fill(system, case, filled, time)
                found = await measure(system, case, limits.seconds, filled, time)
            except Exception as error:  # noqa: BLE001 - whatever ails one, the others are measured
                say(f"  {system.name}, {case.title}: {error}")
                continue
            remember(results, found)
            told()
            say(f"  {system.name}, {case.title}: {found.jobs_a_second:,.1f} jobs/s; load {load()}")
            if found.jobs >= FEW:
                again.append((case, system))
        turns = again


async def _until(workers: Counted | CallWorkers, time: Time, *, jobs: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while workers.done() < jobs and time.monotonic() < until:
        workers.check()
        await asyncio.sleep(LOOK_SECONDS)
