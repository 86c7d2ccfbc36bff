"""All benchmarks, as Markdown: `make bench`, or `python -m benchmarks --help`."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from app.clock import Clock
from benchmarks import calls, claim, imports, promptness, reading, tables
from benchmarks.backlog import Mix
from benchmarks.drafts import Draft, told, within
from benchmarks.rivals import report as rivals_report
from benchmarks.rivals.systems import SYSTEMS
from benchmarks.site import HOME, Site, own_mongod, say

FOLDER = HOME.parent / "results"


class Part(NamedTuple):
    """`share`: of the time that is left, beside the shares of the parts that come after it."""

    name: str
    share: float
    measure: Callable[[Draft], Awaitable[None]]


def main(
    sizes: Annotated[str, typer.Option(help="Backlogs of the claim, such as 1k,10k for a quick look.")] = "1k,100k",
    rows: Annotated[str, typer.Option(help="Rows of lists, such as 1k,10k for a quick look.")] = tables.SIZES,
    contacts: Annotated[str, typer.Option(help="Contacts of batches, such as 1k,10k.")] = imports.SIZES,
    stored: Annotated[str, typer.Option(help="Jobs behind the pages that are polled, such as 10k.")] = reading.SIZES,
    rivals: Annotated[str, typer.Option(help="Backlogs beside other queues, such as 1k.")] = "1k,100k",
    at_once: Annotated[int, typer.Option(help="Calls that a worker handles at once, of what a call costs.")] = (
        calls.AT_ONCE
    ),
    in_flight: Annotated[
        int, typer.Option(min=1, max=1000, help="Calls in flight while others begin.")
    ] = promptness.CALLS,
    rates: Annotated[str, typer.Option(help="Contacts that become due a second, each in turn.")] = promptness.RATES,
    pandas_python: tables.PandasPython = None,
    parts: Annotated[str, typer.Option(help="Which, by name. Default: all.")] = "",
    minutes: Annotated[
        float, typer.Option(min=1, help="All together; who takes longer than its share is broken off.")
    ] = (60),
    folder: Annotated[Path, typer.Option(help="Where each part's tables are written as they come.")] = FOLDER,
) -> None:
    """Print what things cost on this machine. Give it to nobody else meanwhile."""
    backlogs, lists, created = claim.parse_sizes(sizes), claim.parse_sizes(rows), claim.parse_sizes(contacts)
    jobs, beside_others = claim.parse_sizes(stored), rivals_report.parse_cases(rivals, ",".join(Mix), "1")
    run, starts = rivals_report.Run(beside_others, SYSTEMS, seconds=3), promptness.parse_rates(rates)
    planned = [
        Part("rivals", 30, lambda draft: rivals_report.report(run, draft)),
        _on_a_site("promptness", 12, lambda site, draft: promptness.report(site, in_flight, starts, draft)),
        _on_a_site("reading", 12, lambda site, draft: reading.report(site, jobs, draft)),
        _on_a_site("claim", 10, lambda site, draft: claim.report(site, backlogs, list(Mix), claim.BATCHES, draft)),
        _on_a_site("imports", 4, lambda site, draft: imports.report(site, created, draft)),
        _on_a_site("calls", 4, lambda site, draft: calls.report(site, at_once, draft)),
        _on_a_site("tables", 15, lambda site, draft: tables.report(site, lists, draft, pandas_python)),
    ]
    measure_all(_chosen(planned, parts), minutes, folder)


def measure_all(parts: Sequence[Part], minutes: float, folder: Path) -> None:
    """One part after the other, each within its share of the minutes: whatever becomes of one, the others are run."""
    clock = Clock()
    until = clock.monotonic() + minutes * 60
    for number, part in enumerate(parts):
        left = max(0.0, until - clock.monotonic()) / 60
        share = left * part.share / sum(one.share for one in parts[number:])
        say(f"{part.name}: {share:.1f} of {left:.1f} minutes that are left")
        # A loop of its own: what a part that was broken off has left behind ends with it.
        told(partial(_measured, part, share), folder / f"{part.name}.md")


async def _measured(part: Part, minutes: float, draft: Draft) -> None:
    if problem := await within(minutes, part.measure, draft):
        say(f"{part.name}: {problem}")
        draft.write(f"{draft.text or f'## {part.name}'}\n\nNot all of it: {problem}.\n")


def _on_a_site(name: str, share: float, measure: Callable[[Site, Draft], Awaitable[None]]) -> Part:
    """On a mongod of its own."""

    async def measured(draft: Draft) -> None:
        async with own_mongod() as site:
            await measure(site, draft)

    return Part(name, share, measured)


def _chosen(parts: Sequence[Part], names: str) -> list[Part]:
    """Raises typer.BadParameter."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    if unknown := wanted - {part.name for part in parts}:
        raise typer.BadParameter(f"no part is named {', '.join(sorted(unknown))}: {', '.join(p.name for p in parts)}")
    return [part for part in parts if not wanted or part.name in wanted]


if __name__ == "__main__":
    typer.run(main)
