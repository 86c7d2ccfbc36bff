"""All benchmarks, as Markdown: `make bench`, or `python -m benchmarks --help`."""

import asyncio
from typing import Annotated

import typer

from benchmarks import calls, claim
from benchmarks.backlog import Mix
from benchmarks.site import Site, alone


def main(
    sizes: Annotated[str, typer.Option(help="Backlogs of the claim, such as 1k,10k for a quick look.")] = "1k,100k,1M",
) -> None:
    """Print what things cost on this machine. Give it to nobody else meanwhile."""
    wanted = claim.parse_sizes(sizes)

    async def both(site: Site) -> str:
        of_claims = await claim.report(site, wanted, list(Mix), claim.BATCHES)
        return f"{of_claims}\n\n{await calls.report(site, calls.AT_ONCE)}"

    asyncio.run(alone(both))


if __name__ == "__main__":
    typer.run(main)
