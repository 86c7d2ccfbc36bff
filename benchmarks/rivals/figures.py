"""What was measured, in a file that several runs may add to, and the tables that are made of it."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

OURS = "Cadencia"


class Case(NamedTuple):
    """A row of the table: `size` jobs of a kind, with some that are due where that kind is not."""

    mix: str
    size: int
    batches: int

    @property
    def title(self) -> str:
        return f"{self.size:,} {self.mix}" + (f", {self.batches} batches" if self.batches > 1 else "")

    @property
    def key(self) -> str:
        """For names of databases and files."""
        return f"{self.mix}_{self.size}_{self.batches}"


@dataclass(frozen=True)
class Measurement:
    """One system in one case, once."""

    system: str
    mix: str
    size: int
    batches: int
    jobs: int
    seconds: float
    server_ms: float
    """CPU of the system's server a job."""
    worker_ms: float
    """CPU of its workers a job."""
    load: float
    """The machine's when it began."""

    @property
    def case(self) -> Case:
        return Case(self.mix, self.size, self.batches)

    @property
    def jobs_a_second(self) -> float:
        return self.jobs / self.seconds


class Medians(NamedTuple):
    jobs_a_second: float
    server_ms: float
    worker_ms: float
    rounds: int
    seconds: float
    """Of all rounds."""


def remember(path: Path, measurement: Measurement) -> None:
    with path.open("a") as file:
        file.write(json.dumps(asdict(measurement)) + "\n")


def remembered(path: Path) -> list[Measurement]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [Measurement(**json.loads(line)) for line in lines]


def medians(measurements: Iterable[Measurement]) -> dict[tuple[Case, str], Medians]:
    """By case and system, in the order of their first measurement."""
    found: dict[tuple[Case, str], list[Measurement]] = {}
    for one in measurements:
        found.setdefault((one.case, one.system), []).append(one)
    return {
        key: Medians(
            statistics.median(one.jobs_a_second for one in same),
            statistics.median(one.server_ms for one in same),
            statistics.median(one.worker_ms for one in same),
            len(same),
            sum(one.seconds for one in same),
        )
        for key, same in found.items()
    }


def tables(measurements: Sequence[Measurement], systems: Sequence[str], missing: Mapping[str, str]) -> str:
    """Jobs a second, how flat they are, and CPU-ms a job, a column a system. `missing`: why one could not be run."""
    found = medians(measurements)
    cases = sorted({case for case, _ in found}, key=lambda case: (_MIXES.index(case.mix), case.batches, case.size))
    speed, share, cpu = _head(systems), _head(systems), _head(systems)
    for case in cases:
        row = [found.get((case, system)) for system in systems]
        best = max((one.jobs_a_second for one in row if one), default=0)
        speed.append(_line([case.title, *(_speed(one, best) for one in row)]))
        firsts = [_smallest(cases, case, system, found) for system in systems]
        share.append(_line([case.title, *(_share(*both) for both in zip(row, firsts, strict=True))]))
        cpu.append(_line([case.title, *(_cpu(one) for one in row)]))
    lines = [
        "Jobs a second:",
        "",
        *speed,
        "",
        "Of those of the smallest backlog:",
        "",
        *share,
        "",
        "CPU-ms a job, server + workers:",
        "",
        *cpu,
    ]
    lines += ["", *(f"Not run: {name}: {reason}" for name, reason in missing.items())] if missing else []
    rounds = [one.rounds for one in found.values()]
    loads = [one.load for one in measurements]
    if rounds:
        lines += ["", f"Medians of {_span(rounds)} rounds; load {min(loads):.1f} to {max(loads):.1f} when one began."]
    return "\n".join(lines)


_MIXES = ("due", "future", "finished")


def _span(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least} to {most}"


def _head(systems: Sequence[str]) -> list[str]:
    return [_line(["Backlog", *systems]), _line(["---", *["---:"] * len(systems)])]


def _speed(one: Medians | None, best: float) -> str:
    if one is None:
        return "–"
    if not one.jobs_a_second:
        return f"none in {one.seconds:.0f} s"
    speed = one.jobs_a_second
    figure = f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}" if speed >= 1 else f"{speed:.2g}"
    return f"**{figure}**" if one.jobs_a_second == best else figure


def _smallest(
    cases: Sequence[Case], case: Case, system: str, found: Mapping[tuple[Case, str], Medians]
) -> Medians | None:
    """Of the system's rows of that kind."""
    same = (one for one in cases if (one.mix, one.batches) == (case.mix, case.batches))
    return next((found[one, system] for one in same if (one, system) in found), None)


def _share(one: Medians | None, first: Medians | None) -> str:
    return f"{one.jobs_a_second / first.jobs_a_second:.0%}" if one and first and first.jobs_a_second else "–"


def _cpu(one: Medians | None) -> str:
    return "–" if one is None or not one.jobs_a_second else f"{_ms(one.server_ms)} + {_ms(one.worker_ms)}"


def _ms(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
