"""`python -m tests.chaos`: the proofs at length, with their tables in Markdown on the standard output."""

import asyncio
import contextlib
import os
import platform
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pymongo import AsyncMongoClient
from rich.console import Console
from rich.progress import Progress, TextColumn

from app.repositories.embedded_mongod import EmbeddedMongod, start_embedded_mongod
from scripts.dev_stack import ROOT
from tests.chaos.crash_points import POINTS_IN_ORDER, Ground, Row, run
from tests.chaos.machine import play
from tests.chaos.processes import Processes, answers
from tests.chaos.storm import FULL, SHORT, Plan, Report, Storm
from tests.workers.conftest import SPEED

T = TypeVar("T")
cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
console = Console(stderr=True)
COLUMNS = (
    "point",
    "killed (11: frozen) where",
    "the database right after",
    "repaired by",
    "calls",
    "per attempt",
    "lost",
    "slots left",
    "reservations left",
    "ledger",
)
Home = Annotated[
    Path | None, typer.Option(help="Where logs and data go, and stay. Default: a folder that is removed at the end.")
]


@cli.callback()
def main() -> None:
    """Prove what docs/proofs.md claims: real mongod, real processes, real kills, a Retell that misbehaves.

    Tables go to the standard output, progress to the standard error. The exit code is 1 if a claim does not hold.
    """


@cli.command()
def crash_points(
    point: Annotated[
        list[str] | None, typer.Argument(help="Numbers as in the table, such as 6b. Default: all.")
    ] = None,
    home: Home = None,
) -> None:
    """Kill a process at every numbered point of the protocol, and judge what is left (about a minute)."""
    unknown = set(point or ()) - set(POINTS_IN_ORDER)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}; there are {', '.join(POINTS_IN_ORDER)}")
    rows = _in_folder(home, lambda folder: _crash_points(folder, point or POINTS_IN_ORDER))
    failed = {number: row for number, row in rows.items() if isinstance(row, BaseException) or row.verdict.findings}
    for number, row in failed.items():
        console.print(f"[red]{number}[/red] {repr(row) if isinstance(row, BaseException) else row.verdict.findings}")
    raise typer.Exit(1 if failed else 0)


@cli.command()
def storm(
    contacts: Annotated[
        int, typer.Option(min=100, help="Contacts, over three accounts and six batches.")
    ] = FULL.contacts,
    kills: Annotated[int, typer.Option(min=0, help="Workers killed.")] = FULL.kills,
    seed: Annotated[
        int, typer.Option(help="Of the troubles' order and times, and of the calls' outcomes.")
    ] = FULL.seed,
    short: Annotated[bool, typer.Option("--short", help="The tests' form: a minute and a half.")] = False,
    home: Home = None,
) -> None:
    """Three workers in a storm of kills, freezes, a mongod restart and a Retell that misbehaves (some minutes)."""
    plan = replace(SHORT if short else replace(FULL, contacts=contacts, kills=kills), seed=seed)
    report = _in_folder(home, lambda folder: _storm(folder, plan))
    for finding in report.findings[:50]:
        console.print(f"[red]{finding}[/red]")
    raise typer.Exit(1 if report.findings else 0)


async def _storm(home: Path, plan: Plan) -> Report:
    with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[news]}"), console=console) as progress:
        bar = progress.add_task("storm", total=plan.contacts, news="starting")

        def tell(done: int, total: int, news: str) -> None:
            progress.update(bar, completed=done, total=total, news=news)

        tempest = Storm(plan, home, tell)
        report = await tempest.run()
    typer.echo(_conditions(report.server_version))
    typer.echo("\n| | |\n|---|---|")
    for name, value in _facts(report):
        typer.echo(f"| {name} | {value} |")
    return report


def _facts(report: Report) -> list[tuple[str, object]]:
    verdict = report.verdict

    def told(counts: Counter[str]) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))

    return [
        ("contacts, and how they ended", f"{verdict.contacts}: {told(report.states)}"),
        ("calls, seconds", f"{verdict.calls}, {report.seconds:.0f}"),
        ("what happened", told(report.troubles)),
        ("jobs taken over from dead or frozen workers", report.rescued),
        ("webhooks", told(report.webhooks)),
        ("most calls an attempt", verdict.most_calls_an_attempt),
        ("contacts in two calls at once", len(verdict.overlapping)),
        ("calls nobody knows of, or that were never made", len(verdict.unaccounted)),
        ("contacts beyond their attempts", len(verdict.over_attempts)),
        ("calls outside hours or while paused", len(report.wrong_moments)),
        ("most simultaneous calls of each account", ", ".join(f"{p} of {n}" for p, n in report.peaks.values())),
        ("contacts lost or stuck", len(verdict.lost)),
        ("slots, reservations left", f"{verdict.slots}, {verdict.reservations}"),
        ("ledger", "exact" if not verdict.ledger else "**wrong**"),
    ]


@cli.command()
def machine(
    histories: Annotated[int, typer.Option(min=1, help="How many histories to invent.")] = 200,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the longest.")] = 60,
    home: Home = None,
) -> None:
    """Invent histories of a small campaign and check the invariants after every step (seconds a history)."""
    _in_folder(home, lambda folder: _machine(folder, histories, steps))
    typer.echo(f"{histories} histories of up to {steps} steps: no invariant was violated, and all came to rest.")


async def _machine(home: Path, histories: int, steps: int) -> None:
    async with await start_embedded_mongod(home / "mongod") as mongod:
        typer.echo(_conditions(await _version_of(mongod)))
        await asyncio.to_thread(play, mongod.uri, histories=histories, steps=steps, shrink=True)


async def _crash_points(home: Path, points: list[str]) -> dict[str, Row | BaseException]:
    processes = Processes(home)
    with Progress(console=console) as progress:
        bar = progress.add_task("crash points", total=len(points))
        async with await start_embedded_mongod(home / "mongod") as mongod:
            try:
                simulator_url = processes.simulator(SPEED)
                await answers(f"{simulator_url}/simulator/health")
                ground = Ground(mongod, simulator_url, home)
                rows = await run(ground, points, lambda _: progress.advance(bar))
                typer.echo(_conditions(await _version_of(mongod)))
            finally:
                await processes.end()
    typer.echo(f"\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for number, row in rows.items():
        typer.echo(f"| {number} | {_cells(row)} |")
    return rows


def _cells(row: Row | BaseException) -> str:
    if isinstance(row, BaseException):
        return f"**{type(row).__name__}: {row}**".replace("|", "/")
    verdict = row.verdict
    counts = (
        f"{verdict.calls} of {row.calls_of_a_lifetime}",
        f"≤ {verdict.most_calls_an_attempt}",
        len(verdict.lost),
        verdict.slots,
        verdict.reservations,
        "exact" if not verdict.ledger else "**wrong**",
    )
    return " | ".join([row.where, row.left, row.recovery, *map(str, counts)])


def _in_folder(home: Path | None, work: Callable[[Path], Coroutine[Any, Any, T]]) -> T:
    """Run `work` in `home`, or in a folder that is removed at the end."""
    with contextlib.ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cadencia-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(work(folder))


async def _version_of(mongod: EmbeddedMongod) -> str:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongod.uri)
    try:
        return str((await client.server_info())["version"])
    finally:
        await client.close()


def _conditions(server: str) -> str:
    """When, on what, with which versions: a table without them proves little."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, MongoDB {server}, "
        f"pymongo {version('pymongo')}, aiohttp {version('aiohttp')}"
    )


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    cli()
