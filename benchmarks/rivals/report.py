"""A run of all that was asked for, told as Markdown."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from app.clock import Clock
from app.repositories.embedded_mongod import start_embedded_mongod
from benchmarks.backlog import Mix
from benchmarks.claim import parse_sizes
from benchmarks.drafts import Draft
from benchmarks.rivals.figures import Case, remembered, tables
from benchmarks.rivals.installed import HOME
from benchmarks.rivals.measuring import Filled, Limits, fill_all, grid
from benchmarks.rivals.systems import RIVALS, opened
from benchmarks.site import Site, circumstances

CACHE_GB = 4.0
"""Of the mongod that all who need one share; PostgreSQL has a quarter and the system's cache."""
RESULTS = HOME / "results.jsonl"

LEGEND = """
Two worker processes each (agenda: one process of Node), on one machine with their server. A rival's job does nothing,
and counts when its function has run. A job of Cadencia is a call: claimed, admitted, money reserved, intent stored,
sent over HTTP to a provider that answers at once, asked about, settled and charged; it counts when it is final. What
MongoDB and PostgreSQL acknowledge is on the disk; Redis writes its file to the disk once a second, and so may lose the
last second. taskiq-mongodb deletes what is finished: nothing is beside its due jobs in those rows. Rivals know no
batches: they have no rows of several. Who did fewer than 10 jobs in the time of a measurement is measured once."""


@dataclass(frozen=True)
class Run:
    """What is wanted. `keep`: go on with the backlogs that an earlier run left, and leave them."""

    cases: Sequence[Case]
    names: Sequence[str]
    rounds: int = 3
    seconds: float = 5
    minutes: float = 60
    keep: bool = False
    results: Path = RESULTS

    @property
    def data(self) -> Path:
        """Of all servers. What is kept is never removed."""
        return HOME / ("data" if self.keep else "once")

    @property
    def filled(self) -> Filled:
        return Filled(self.data / "filled.json")


async def report(run: Run, draft: Draft) -> None:
    """Measure, with a new table after each figure."""
    run.results.unlink(missing_ok=True)
    clock = Clock()
    limits = Limits(run.rounds, run.seconds, clock.monotonic() + run.minutes * 60)
    async with _mongod(run) as site:
        async with site.container("bench_about") as container:
            about = await circumstances(container, CACHE_GB)
        versions = "; ".join(", ".join(RIVALS[name].packages) for name in run.names if name in RIVALS)
        async with opened(run.names, site, run.data) as (systems, missing):

            def tell() -> None:
                found = tables(remembered(run.results), run.names, missing)
                draft.write("\n".join(("## Beside other queues", LEGEND, "", about, "", versions, "", found)))

            tell()
            await grid(systems, run.cases, limits, run.filled, run.results, clock, tell)


async def prepare(run: Run) -> None:
    """Install and fill what is measured on with `keep`."""
    async with _mongod(run) as site, opened(run.names, site, run.data) as (systems, _):
        await fill_all(systems, run.cases, run.filled, Clock())


@asynccontextmanager
async def _mongod(run: Run) -> AsyncIterator[Site]:
    if not run.keep:
        shutil.rmtree(run.data, ignore_errors=True)
    run.data.mkdir(parents=True, exist_ok=True)
    try:
        async with await start_embedded_mongod(run.data / "mongod", cache_gb=CACHE_GB, start_timeout=300) as mongod:
            yield Site(mongod.uri, mongod.pid)
    finally:
        if not run.keep:
            shutil.rmtree(run.data, ignore_errors=True)


def parse_cases(sizes: str, mixes: str, batches: str) -> list[Case]:
    """Sizes within numbers of batches within mixes. Raises typer.BadParameter."""
    try:
        kinds, counts = [Mix(mix) for mix in mixes.split(",")], [int(count) for count in batches.split(",")]
    except ValueError:
        raise typer.BadParameter(f"mixes are of {', '.join(Mix)}; batches are numbers such as 1,200") from None
    if min(counts) < 1:
        raise typer.BadParameter("there is at least one batch")
    return [Case(mix.value, size, count) for mix in kinds for count in counts for size in parse_sizes(sizes)]


def parse_names(text: str, known: Sequence[str]) -> list[str]:
    """Of the `known`, whatever their case. Raises typer.BadParameter."""
    by_name = {name.lower(): name for name in known}
    try:
        return [by_name[name.strip().lower()] for name in text.split(",")]
    except KeyError as error:
        raise typer.BadParameter(f"{error.args[0]} is none of {', '.join(known)}") from None
