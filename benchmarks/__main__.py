"""All benchmarks, as Markdown: `make bench`, or `python -m benchmarks --help`."""

import asyncio
import sys
from typing import Annotated

import typer

from benchmarks import calls, claim, imports, promptness, reading, tables
from benchmarks.backlog import Mix
from benchmarks.rivals.report import parse_cases, run
from benchmarks.rivals.systems import SYSTEMS
from benchmarks.site import Site, alone


def main(
    sizes: Annotated[str, typer.Option(help="Backlogs of the claim, such as 1k,10k for a quick look.")] = "1k,100k,1M",
    rows: Annotated[str, typer.Option(help="Rows of lists, such as 1k,10k for a quick look.")] = tables.SIZES,
    contacts: Annotated[str, typer.Option(help="Contacts of batches, such as 1k,10k.")] = imports.SIZES,
    stored: Annotated[str, typer.Option(help="Jobs behind the pages that are polled, such as 10k.")] = reading.SIZES,
    rivals: Annotated[str, typer.Option(help="Backlogs beside other queues, such as 1k.")] = "1k,100k",
    in_flight: Annotated[
        int, typer.Option(min=1, max=1000, help="Calls in flight while others begin.")
    ] = promptness.CALLS,
    rates: Annotated[str, typer.Option(help="Contacts that become due a second, each in turn.")] = promptness.RATES,
    pandas_python: Annotated[str, typer.Option(help="An interpreter that has pandas and openpyxl.")] = sys.executable,
) -> None:
    """Print what things cost on this machine. Give it to nobody else meanwhile."""
    backlogs, lists, created = claim.parse_sizes(sizes), claim.parse_sizes(rows), claim.parse_sizes(contacts)
    jobs, beside_others = claim.parse_sizes(stored), parse_cases(rivals, ",".join(Mix), "1")
    starts = promptness.parse_rates(rates)

    async def all_of_them(site: Site) -> str:
        of_claims = await claim.report(site, backlogs, list(Mix), claim.BATCHES)
        of_calls = await calls.report(site, calls.AT_ONCE)
        of_starts = await promptness.report(site, in_flight, starts, promptness.SECONDS)
        of_imports = await imports.report(site, created)
        of_pages = await reading.report(site, jobs)
        of_tables = await tables.report(site, lists, pandas_python)
        return "\n\n".join((of_claims, of_calls, of_starts, of_imports, of_pages, of_tables))

    asyncio.run(alone(all_of_them))
    print(run(beside_others, SYSTEMS, rounds=3, seconds=5, minutes=60))


if __name__ == "__main__":
    typer.run(main)
