"""A run of all that was asked for, told as Markdown."""

import asyncio
import shutil
from collections.abc import Sequence

import typer

from app.clock import Clock
from app.repositories.embedded_mongod import start_embedded_mongod
from benchmarks.backlog import Mix
from benchmarks.claim import parse_sizes
from benchmarks.rivals.figures import Case, remembered, tables
from benchmarks.rivals.installed import DATA, HOME
from benchmarks.rivals.measuring import Limits, fill_all, grid
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
last second. taskiq-mongodb deletes what is finished: nothing is beside its due jobs in those rows."""


def run(
    cases: Sequence[Case], names: Sequence[str], *, rounds: int, seconds: float, minutes: float, keep: bool = False
) -> str:
    """Measure, and tell everything that is remembered. `keep`: go on with what an earlier run kept, and keep it."""
    if not keep:
        RESULTS.unlink(missing_ok=True)
        shutil.rmtree(DATA, ignore_errors=True)
    try:
        return asyncio.run(_report(cases, names, rounds, seconds, minutes))
    finally:
        if not keep:
            shutil.rmtree(DATA, ignore_errors=True)


async def _report(cases: Sequence[Case], names: Sequence[str], rounds: int, seconds: float, minutes: float) -> str:
    clock = Clock()
    limits = Limits(rounds, seconds, clock.monotonic() + minutes * 60)
    DATA.mkdir(parents=True, exist_ok=True)
    async with await start_embedded_mongod(DATA / "mongod", cache_gb=CACHE_GB) as mongod:
        site = Site(mongod.uri, mongod.pid)
        async with site.container("bench_about") as container:
            about = await circumstances(container, CACHE_GB)
        async with opened(names, site) as (systems, missing):
            await (grid(systems, cases, limits, RESULTS, clock) if minutes else fill_all(systems, cases[0], clock))
    versions = "; ".join(", ".join(RIVALS[name].packages) for name in names if name in RIVALS)
    return "\n".join(
        ("## Beside other queues", LEGEND, "", about, "", versions, "", tables(remembered(RESULTS), names, missing))
    )


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
