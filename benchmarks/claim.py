"""What a claim costs beside many other jobs: `python -m benchmarks.claim --sizes 1k,100k,1M`."""

import statistics
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Annotated

import typer

from app.bootstrap import Container, open_call_work
from app.services.call_work import CallWork
from benchmarks.backlog import LIMIT, Backlog, Filler, Mix, filled
from benchmarks.drafts import Draft, Out, alone
from benchmarks.site import Site, circumstances, control, cpu_seconds, load, say, server_status

BATCHES = (1, 200)
ROUNDS = 4
"""Claims of `LIMIT` jobs in one measurement."""
LOOKS = 10
REPEATS = 3

LEGEND = f"""
Each claim takes {LIMIT} jobs, the account's limit, through the worker's own code on a mongod of its own. Beside a
backlog in the future or finished, 200 jobs are due. Keys and documents are all that MongoDB examined in the round: a
job is found, leased and read back, one key each; what is above these 3 is the look at the batches. CPU is mongod's, and
this process's. The last two columns are looks that find nothing: while all of the account's calls are in use, and
while every batch sleeps. Medians of {REPEATS} measurements, in which the sizes take turns."""


@dataclass(frozen=True)
class Figures:
    """Of one measurement, or the medians of several."""

    jobs_a_second: float
    keys_a_job: float
    documents_a_job: float
    server_ms_a_job: float
    worker_ms_a_job: float
    ms_a_look_at_limit: float
    ms_an_idle_look: float


@dataclass(frozen=True)
class Cell:
    """One backlog in a database of its own, and a worker on it."""

    backlog: Backlog
    filler: Filler
    container: Container
    work: CallWork
    mongod_pid: int

    async def measure(self, rounds: int = ROUNDS) -> Figures:
        seconds = server = worker = at_limit = 0.0
        keys = documents = jobs = 0
        for turn in range(rounds):
            before = (await server_status(self.container))["metrics"]["queryExecutor"]
            at, server_at, worker_at = self._now(), cpu_seconds(self.mongod_pid), time.process_time()
            claimed = await self.work.claim(LIMIT)
            seconds += self._now() - at
            server += cpu_seconds(self.mongod_pid) - server_at
            worker += time.process_time() - worker_at
            after = (await server_status(self.container))["metrics"]["queryExecutor"]
            keys += after["scanned"] - before["scanned"]
            documents += after["scannedObjects"] - before["scannedObjects"]
            jobs += len(claimed)
            if turn == 0:
                at_limit = await self._timed_looks()
            await self._put_back(job.job_id for job in claimed)
        await self._sleep(timedelta(days=1))
        idle = await self._timed_looks()
        await self._sleep(timedelta())
        return Figures(
            jobs_a_second=jobs / seconds,
            keys_a_job=keys / jobs,
            documents_a_job=documents / jobs,
            server_ms_a_job=1000 * server / jobs,
            worker_ms_a_job=1000 * worker / jobs,
            ms_a_look_at_limit=at_limit,
            ms_an_idle_look=idle,
        )

    async def _timed_looks(self) -> float:
        """Milliseconds of a look that finds nothing to claim."""
        at = self._now()
        for _ in range(LOOKS):
            if await self.work.claim(LIMIT):
                raise RuntimeError("a look that should find nothing claimed something")
        return 1000 * (self._now() - at) / LOOKS

    async def _put_back(self, job_ids: Iterable[str]) -> None:
        """As if they had not been claimed."""
        jobs = self.container.database.collection("jobs")
        originals = [self.filler.original(job_id) for job_id in job_ids]
        await jobs.delete_many({"_id": {"$in": [original["_id"] for original in originals]}})
        await jobs.insert_many(originals)
        await self._sleep(timedelta())

    async def _sleep(self, span: timedelta) -> None:
        wake_at = self.container.clock.now() + span
        await self.container.database.collection("batches").update_many({}, {"$set": {"wake_at": wake_at}})

    def _now(self) -> float:
        return self.container.clock.monotonic()


async def grid(
    site: Site, sizes: Sequence[int], mixes: Sequence[Mix], batches: Sequence[int]
) -> AsyncGenerator[list[str]]:
    """The table's rows, sizes within mixes within numbers of batches; those of a mix together."""
    for count in batches:
        for mix in mixes:
            async with AsyncExitStack() as stack:
                cells = [await _cell(site, stack, Backlog(size, mix, count)) for size in sizes]
                measured: list[list[Figures]] = [[] for _ in cells]
                for cell in cells:
                    await cell.measure(rounds=1)  # what is slow only the first time
                for _ in range(REPEATS):
                    for figures, cell in zip(measured, cells, strict=True):
                        figures.append(await cell.measure())
                medians = [_median(figures) for figures in measured]
                yield [_row(cell.backlog, median, medians[0]) for cell, median in zip(cells, medians, strict=True)]
                say(f"measured: {mix.value}, {count} batches; load {load()}")


async def report(site: Site, sizes: Sequence[int], mixes: Sequence[Mix], batches: Sequence[int], draft: Draft) -> None:
    async with site.container("bench_about") as container:
        about = await circumstances(container)
    head = [
        "Backlog", "Batches", "Jobs/s", "of the first", "Keys/job", "Documents/job", "mongod CPU ms/job",
        "Worker CPU ms/job", "ms/look at the limit", "ms/idle look",
    ]  # fmt: skip
    lines = [_line(head), _line(["---"] * 2 + ["---:"] * (len(head) - 2))]
    async with aclosing(grid(site, sizes, mixes, batches)) as found:
        async for rows in found:
            lines += rows
            draft.write(
                "\n".join(["## The claim", LEGEND, "", f"{about} At the end the load was {load()}.", "", *lines])
            )


async def _cell(site: Site, stack: AsyncExitStack, backlog: Backlog) -> Cell:
    name = f"bench_{backlog.size}"
    container = await stack.enter_async_context(site.container(name))
    stack.push_async_callback(container.database.drop)
    at = container.clock.monotonic()
    filler = await filled(container, backlog)
    say(f"filled: {backlog.total:,} jobs in {container.clock.monotonic() - at:.0f} s")
    work = await stack.enter_async_context(open_call_work(container, control(container)))
    return Cell(backlog, filler, container, work, site.mongod_pid)


def _median(figures: Sequence[Figures]) -> Figures:
    return Figures(*(statistics.median(getattr(one, field.name) for one in figures) for field in fields(Figures)))


def _row(backlog: Backlog, figures: Figures, first: Figures) -> str:
    return _line(
        [
            f"{backlog.size:,} {backlog.mix.value}",
            str(backlog.batches),
            f"{figures.jobs_a_second:,.0f}",
            f"{figures.jobs_a_second / first.jobs_a_second:.0%}",
            f"{figures.keys_a_job:.2f}",
            f"{figures.documents_a_job:.2f}",
            f"{figures.server_ms_a_job:.2f}",
            f"{figures.worker_ms_a_job:.2f}",
            f"{figures.ms_a_look_at_limit:.1f}",
            f"{figures.ms_an_idle_look:.2f}",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def parse_sizes(text: str) -> list[int]:
    """`1k,100k,1M` as numbers. Raises typer.BadParameter."""
    factors = {"k": 1_000, "M": 1_000_000}
    try:
        sizes = [int(part.rstrip("kM")) * factors.get(part[-1:], 1) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter("sizes look like 1k,100k,1M") from None
    if min(sizes) < LIMIT:
        raise typer.BadParameter(f"a size is at least {LIMIT}")
    return sizes


def main(
    sizes: Annotated[str, typer.Option(help="Backlogs, such as 1k,10k for a quick look.")] = "1k,100k,1M",
    batches: Annotated[
        list[int] | None, typer.Option(min=1, help="How many batches share one. Default: 1, then 200.")
    ] = None,
    out: Out = None,
) -> None:
    """Claim beside backlogs of each size: due, in the future and finished."""
    wanted = parse_sizes(sizes)
    alone(lambda site, draft: report(site, wanted, list(Mix), batches or BATCHES, draft), out)


if __name__ == "__main__":
    typer.run(main)
