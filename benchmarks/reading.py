"""What the pages that are polled cost, by how much is stored: `python -m benchmarks.reading --sizes 10k,100k`.

One API process, as it is served, on a database with one large running batch: four fifths of its contacts were called
within the last sixty days, each once, and what the calls cost is in the ledger.
"""

import asyncio
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Annotated, Any

import httpx
import typer

from app.bootstrap import Container
from app.domain.jobs import AttemptRecord
from app.domain.messages import Message
from app.domain.outcomes import Disposition
from app.domain.transactions import Transaction, TransactionType
from app.repositories.documents import plain, to_document
from benchmarks.backlog import ACCOUNT, CHUNK, TEMPLATES, campaign, contacts, customer
from benchmarks.claim import parse_sizes
from benchmarks.served import served
from benchmarks.site import Site, alone, circumstances, load, say

SIZES = "10k,100k,1M"
CLIENTS = 50
ROUNDS = 20
"""How often each of the clients asks, a second apart."""
SPAN = timedelta(days=60)
COLUMNS = ("Jobs", "Asked", "First ms", "Alone p50 ms", "50 clients p50 ms", "p99 ms")
LEGEND = f"""
One API process, as it is served, one batch of so many contacts, four fifths of them called within {SPAN.days} days.
First: the answer to the very first of these requests. Alone: one client that asks {ROUNDS} times in a row. 50 clients:
each asks once a second, {ROUNDS} times, out of step. Times are the client's, on the same machine; none sends
`If-None-Match`."""


def routes(batch_id: str) -> dict[str, str]:
    return {
        "status": f"/api/v1/batches/{batch_id}/status",
        "dashboard": f"/api/v1/dashboard/stats?account_id={ACCOUNT}",
        "jobs": f"/api/v1/jobs?account_id={ACCOUNT}&status=failed",
        "history": f"/api/v1/calls/history?account_id={ACCOUNT}",
        "balance": f"/api/v1/accounts/{ACCOUNT}/balance",
        "stats": f"/api/v1/accounts/{ACCOUNT}/stats",
    }


async def report(site: Site, sizes: list[int]) -> str:
    rows: list[str] = []
    for number, size in enumerate(sizes):
        database = f"bench_reading_{number}"
        async with site.container(database) as container:
            about = await circumstances(container)
            batch_id = await _filled(container, size)
            async with served(site, container, database, connections=CLIENTS + 10) as (_, http):
                for name, path in routes(batch_id).items():
                    rows.append(await _measure(container, http, size, name, path))
            await container.database.drop()
        say(f"measured: {size:,} jobs; load {load()}")
    lines = [f"| {' | '.join(COLUMNS)} |", "| ---: | --- " + "| ---: " * (len(COLUMNS) - 2) + "|", *rows]
    return "\n".join(["## Pages that are polled", LEGEND, "", f"{about} At the end the load was {load()}.", "", *lines])


async def _measure(container: Container, http: httpx.AsyncClient, size: int, name: str, path: str) -> str:
    async def asked() -> float:
        """Milliseconds."""
        at = container.clock.monotonic()
        (await http.get(path)).raise_for_status()
        return 1000 * (container.clock.monotonic() - at)

    async def page(number: int) -> list[float]:
        await asyncio.sleep(number / CLIENTS)
        took = []
        for _ in range(ROUNDS):
            took.append(await asked())
            await asyncio.sleep(max(0, 1 - took[-1] / 1000))
        return took

    first = await asked()
    alone_ms = [await asked() for _ in range(ROUNDS)]
    together = [took for one in await asyncio.gather(*map(page, range(CLIENTS))) for took in one]
    return (
        f"| {size:,} | {name} | {first:.0f} | {_percentile(alone_ms, 50):.0f} | {_percentile(together, 50):.0f} "
        f"| {_percentile(together, 99):.0f} |"
    )


def _percentile(milliseconds: list[float], percent: int) -> float:
    return quantiles(milliseconds, n=100)[percent - 1]


async def _filled(container: Container, size: int) -> str:
    """A batch of clones of documents that the application made; what calls leave is added to them."""
    await customer(container, ACCOUNT)
    batch = await campaign(container, ACCOUNT, contacts(TEMPLATES))
    jobs, ledger = container.database.collection("jobs"), container.database.collection("transactions")
    templates = [job async for job in jobs.find({"batch_id": batch.batch_id})]
    await jobs.delete_many({})
    now = container.clock.now()
    for start in range(0, size, CHUNK):
        called = [_called(templates[n % TEMPLATES], n, size, now) for n in range(start, min(start + CHUNK, size))]
        await jobs.insert_many([job for job, _ in called], ordered=False)
        paid = [entry for _, entry in called if entry]
        await ledger.insert_many(paid, ordered=False)
    await container.database.collection("batches").update_one({"_id": batch.batch_id}, {"$set": {"total_jobs": size}})
    return batch.batch_id


def _called(template: dict[str, Any], number: int, size: int, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job and its ledger entry; every fifth still waits."""
    job = template | {"_id": f"{template['batch_id']}-{number:07d}"}
    if number % 5 == 0:
        return job, {}
    ended = now - SPAN * ((number + 1) / size)
    answered = number % 5 < 4
    record = AttemptRecord(
        attempt_id=f"attempt-{number}",
        number=1,
        phone=job["contact"]["phones"][0],
        disposition=Disposition.ANSWERED if answered else Disposition.NO_ANSWER,
        counted=True,
        dialed_at=ended - timedelta(minutes=1),
        ended_at=ended,
        duration_seconds=30 if answered else 0,
        billed_seconds=30 if answered else 0,
        cost=1 if answered else 0,
    )
    job |= {
        "state": "completed" if answered else "failed",
        "history": [plain(record)],
        "attempts": 1,
        "finished_at": ended,
        "updated_at": ended,
    }
    job.pop("waiting_for", None)
    entry = Transaction(
        transaction_id=record.attempt_id,
        account_id=ACCOUNT,
        type=TransactionType.CALL_USAGE,
        amount=-record.cost,
        cost=record.cost,
        description=Message(code="call_usage"),
        batch_id=job["batch_id"],
        job_id=job["_id"],
        created_at=ended,
    )
    return job, to_document(entry) if answered else {}


def main(sizes: Annotated[str, typer.Option(help="How many jobs, such as 10k,100k.")] = SIZES) -> None:
    """Ask for what the frontend's pages ask for."""
    wanted = parse_sizes(sizes)

    async def measure(site: Site) -> str:
        return await report(site, wanted)

    asyncio.run(alone(measure))


if __name__ == "__main__":
    typer.run(main)
