"""All benchmarks, as Markdown: `make bench`, or `python -m benchmarks --help`."""

import asyncio
from typing import Annotated

import typer

from benchmarks import claim
from benchmarks.backlog import Mix


def main(
    sizes: Annotated[str, typer.Option(help="Backlogs of the claim, such as 1k,10k for a quick look.")] = "1k,100k,1M",
) -> None:
    """Print what things cost on this machine. Give it to nobody else meanwhile."""
    wanted = claim.parse_sizes(sizes)
    asyncio.run(claim.alone(lambda site: claim.report(site, wanted, list(Mix), claim.BATCHES)))


if __name__ == "__main__":
    typer.run(main)
