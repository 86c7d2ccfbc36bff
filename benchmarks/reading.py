"""What the pages that are polled cost, by how much is stored: `python -m benchmarks.reading --sizes 10k,100k`.

One API process, as it is served, on a database with one large running batch, and a worker that goes on calling it.
"""

import asyncio
import json
from pathlib import Path
from statistics import quantiles
from typing import Annotated

import httpx
import typer

from app.bootstrap import Container
from benchmarks.backlog import ACCOUNT
from benchmarks.called import SPAN, filled
from benchmarks.calls import calling
from benchmarks.claim import parse_sizes
from benchmarks.drafts import Draft, Kept, OnlyPrepare, Out, alone
from benchmarks.served import served
from benchmarks.site import Site, circumstances, cpu_seconds, load, say
from scripts.dev_stack import Part

SIZES = "10k,100k,1M"
CLIENTS = 50
ROUNDS = 10
"""How often each of the clients asks, a second apart."""
ALONE = 20
AT_ONCE = 20
"""Calls that the worker has in progress."""
COLUMNS = ("Jobs", "Asked", "First ms", "Alone: client ms", "server ms", "50 clients: p50 ms", "p99 ms", "API CPU ms")
LEGEND = f"""
One API process, as it is served, one batch of so many contacts, four fifths of them called within {SPAN.days} days; a
worker process calls the others meanwhile. First: the answer to the very first of these requests. Alone: one client that
asks {ALONE} times in a row, the median, as the client and as the API's own log has it. {CLIENTS} clients: each asks
once a second, {ROUNDS} times, out of step; the CPU is the API's, a request. None sends `If-None-Match`."""


def routes(batch_id: str) -> dict[str, str]:
    return {
        "status": f"/api/v1/batches/{batch_id}/status",
        "dashboard": f"/api/v1/dashboard/stats?account_id={ACCOUNT}",
        "jobs": f"/api/v1/jobs?account_id={ACCOUNT}&status=failed",
        "history": f"/api/v1/calls/history?account_id={ACCOUNT}",
        "balance": f"/api/v1/accounts/{ACCOUNT}/balance",
        "stats": f"/api/v1/accounts/{ACCOUNT}/stats",
    }


async def prepare(site: Site, sizes: list[int]) -> None:
    """Make what a later run on the same data finds."""
    for size in sizes:
        say(f"{size:,} jobs")
        async with site.container(_database(size)) as container:
            await _stored(container, size)


async def _stored(container: Container, size: int) -> str:
    """The id of the batch of so many contacts, made if it is not there."""
    batches = container.database.collection("batches")
    found = await batches.find_one({"total_jobs": size}, {"_id": True})
    if found:
        return str(found["_id"])
    await container.database.drop()  # what a run that was broken off has left
    await container.prepare_database()
    return await filled(container, size)


def _database(size: int) -> str:
    return f"bench_reading_{size}"


async def report(site: Site, sizes: list[int], draft: Draft) -> None:
    lines = [f"| {' | '.join(COLUMNS)} |", "| ---: | --- " + "| ---: " * (len(COLUMNS) - 2) + "|"]
    called: list[str] = []

    def tell(about: str) -> None:
        ended = f"{about} At the end the load was {load()}. Calls that ended meanwhile, a second: {', '.join(called)}."
        draft.write("\n".join(["## Pages that are polled", LEGEND, "", ended, "", *lines]))

    for size in sizes:
        database = _database(size)
        async with site.container(database) as container:
            about = await circumstances(container)
            batch_id = await _stored(container, size)
            async with (
                served(site, container, database, connections=CLIENTS + 10) as (api, http),
                calling(site, database, AT_ONCE),
            ):
                await container.synchronise_clock()
                since = container.clock.now()
                for name, path in routes(batch_id).items():
                    lines.append(await Measured(container, api, http, path).row(size, name))
                    say(f"{lines[-1]} load {load()}")
                    tell(about)
                jobs = container.database.collection("jobs")
                over = await jobs.count_documents({"account_id": ACCOUNT, "finished_at": {"$gte": since}})
                called.append(f"{over / (container.clock.now() - since).total_seconds():.1f}")
                tell(about)
            if site.kept is None:
                await container.database.drop()


class Measured:
    """One address, asked by one client and by many."""

    def __init__(self, container: Container, api: Part, http: httpx.AsyncClient, path: str) -> None:
        self._clock = container.clock
        self._api = api
        self._http = http
        self._path = path

    async def row(self, size: int, name: str) -> str:
        first = await self._asked()
        logged = _size(self._api.log)
        alone_ms = [await self._asked() for _ in range(ALONE)]
        server_ms = _logged(self._api.log, logged)
        before = cpu_seconds(self._api.process.pid)
        together = [took for one in await asyncio.gather(*map(self._page, range(CLIENTS))) for took in one]
        cpu_ms = 1000 * (cpu_seconds(self._api.process.pid) - before) / len(together)
        percentiles = [(alone_ms, 50), (server_ms, 50), (together, 50), (together, 99)]
        figures = [first, *(_percentile(*one) for one in percentiles)]
        return f"| {size:,} | {name} | {' | '.join(f'{figure:.0f}' for figure in figures)} | {cpu_ms:.1f} |"

    async def _asked(self) -> float:
        """Milliseconds."""
        at = self._clock.monotonic()
        (await self._http.get(self._path)).raise_for_status()
        return 1000 * (self._clock.monotonic() - at)

    async def _page(self, number: int) -> list[float]:
        await asyncio.sleep(number / CLIENTS)
        took = []
        for _ in range(ROUNDS):
            took.append(await self._asked())
            await asyncio.sleep(max(0, 1 - took[-1] / 1000))
        return took


def _size(log: Path) -> int:
    return log.stat().st_size


def _logged(log: Path, since: int) -> list[float]:
    """What the API says that its requests took, in milliseconds; from that byte of its log on."""
    lines = [json.loads(line) for line in log.read_bytes()[since:].splitlines() if b'"request"' in line]
    return [line["ms"] for line in lines if line["event"] == "request"]


def _percentile(milliseconds: list[float], percent: int) -> float:
    return quantiles(milliseconds, n=100)[percent - 1]


def main(
    sizes: Annotated[str, typer.Option(help="How many jobs, such as 10k,100k.")] = SIZES,
    kept: Kept = None,
    only_prepare: OnlyPrepare = False,
    out: Out = None,
) -> None:
    """Ask for what the frontend's pages ask for."""
    wanted = parse_sizes(sizes)
    if only_prepare:
        alone(lambda site, _: prepare(site, wanted), kept=kept)
    else:
        alone(lambda site, draft: report(site, wanted, draft), out, kept)


if __name__ == "__main__":
    typer.run(main)
