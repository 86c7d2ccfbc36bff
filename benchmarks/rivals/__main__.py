"""The engine beside other job queues: `python -m benchmarks.rivals --sizes 1k,100k`, or `--help`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.backlog import Mix
from benchmarks.drafts import Out, told
from benchmarks.rivals.report import RESULTS, Run, parse_cases, parse_names, prepare, report
from benchmarks.rivals.systems import SYSTEMS

SIZES = "1k,10k,100k,1M"
BATCHES = 200


def main(
    sizes: Annotated[str, typer.Option(help="Backlogs, such as 1k,10k for a quick look.")] = SIZES,
    mixes: Annotated[str, typer.Option(help="What the backlog is: due, future or finished.")] = ",".join(Mix),
    systems: Annotated[str, typer.Option(help="Who takes part.")] = ",".join(SYSTEMS),
    batches: Annotated[str, typer.Option(help="Batches that share it; more than one means something only to us.")] = (
        f"1,{BATCHES}"
    ),
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured; medians are shown.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="The longest that one is measured.")] = 5,
    minutes: Annotated[float, typer.Option(min=0, help="No measurement is begun after that.")] = 600,
    keep: Annotated[bool, typer.Option("--keep", help="Measure on what --prepare has left, and leave it.")] = False,
    only_prepare: Annotated[
        bool, typer.Option("--prepare", help="Install and fill only; what is filled already is left as it is.")
    ] = False,
    results: Annotated[Path, typer.Option(help="Every figure, a line of JSON each.", dir_okay=False)] = RESULTS,
    out: Out = None,
) -> None:
    """Print jobs a second of Cadencia and of other queues. Their packages are installed below .cadencia/rivals."""
    cases = parse_cases(sizes, mixes, batches)
    names = parse_names(systems, SYSTEMS)
    run = Run(cases, names, rounds, seconds, minutes, keep or only_prepare, results)
    if only_prepare:
        told(lambda _: prepare(run), out)
    else:
        told(lambda draft: report(run, draft), out)


if __name__ == "__main__":
    typer.run(main)
