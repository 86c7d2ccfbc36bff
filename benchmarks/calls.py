"""What a call costs a worker process and mongod: `python -m benchmarks.calls --at-once 400`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Annotated

import typer

from app.bootstrap import Container
from app.config import Settings
from benchmarks.backlog import LIMIT, campaign, contacts, customer
from benchmarks.drafts import Draft, Out, alone
from benchmarks.sampled import Samples, sampled
from benchmarks.site import Site, circumstances, cpu_seconds, load, say
from benchmarks.telephony import check, telephony
from scripts.dev_stack import Part

AT_ONCE = 400
TURNS = 3
"""Calls are made in so many turns of all that may be made at once."""
SPEED = 6
"""Simulated seconds a second; the worker's polling is sped up by as much, so that a call is looked up as often."""
PACE = ("call_poll_seconds", "call_poll_max_seconds")
DATABASE = "bench_calls"

LEGEND = f"""
One worker process against the Retell simulator, at {SPEED} times real time with polling as much faster, so that a call
is looked up as often as in reality: calls that are answered, from claim to settlement. CPU is that of the process,
divided by the calls."""


async def report(site: Site, at_once: int, draft: Draft, *, profile: bool = False) -> None:
    """`profile`: sample the worker besides, which costs it something."""
    calls = at_once * TURNS
    async with site.container(DATABASE) as container:
        about = await circumstances(container)
        async with calling(site, DATABASE, at_once) as worker:
            await container.synchronise_clock()
            at = container.clock.monotonic()
            before = cpu_seconds(worker.process.pid), cpu_seconds(site.mongod_pid)
            await _create(container, calls)
            created = cpu_seconds(site.mongod_pid)
            async with sampled(worker.process.pid) if profile else nullcontext(Samples()) as samples:
                most = await _until_done(container, worker, calls)
            seconds = container.clock.monotonic() - at
            after = cpu_seconds(worker.process.pid), cpu_seconds(site.mongod_pid)
        await container.database.drop()
    worker_ms, mongod_ms = 1000 * (after[0] - before[0]) / calls, 1000 * (after[1] - created) / calls
    lines = [
        "| Calls | At once, at most | Seconds | Worker CPU ms/call | mongod CPU ms/call |",
        "| ---: | ---: | ---: | ---: | ---: |",
        f"| {calls:,} | {most} | {seconds:.0f} | {worker_ms:.1f} | {mongod_ms:.1f} |",
        "",
        samples.told(),
    ]
    draft.write("\n".join(["## A call", LEGEND, "", f"{about} At the end the load was {load()}.", "", *lines]))


@asynccontextmanager
async def calling(site: Site, database: str, at_once: int) -> AsyncIterator[Part]:
    """A worker process and the simulator that it calls through."""
    pace = {name.upper(): str(Settings.model_fields[name].default / SPEED) for name in PACE}
    async with telephony(site, database, speed=SPEED) as phones:
        yield await phones.worker("worker", at_once, **pace)


async def _create(container: Container, calls: int) -> None:
    """As many accounts as it takes to make that many calls at once, a batch each."""
    accounts = -(-calls // (TURNS * LIMIT))
    for number in range(accounts):
        account_id = f"acc-bench-{number}"
        await customer(container, account_id)
        share = calls // accounts
        await campaign(container, account_id, contacts(share, first=number * share))


async def _until_done(container: Container, worker: Part, calls: int) -> int:
    """Wait until every job is final; the most that were seen in calls at once."""
    jobs = container.database.collection("jobs")
    most = 0
    while True:
        check(worker)
        done = await jobs.count_documents({"finished_at": {"$exists": True}})
        most = max(most, await jobs.count_documents({"state": "in_call"}))
        say(f"  {done:,} of {calls:,} calls are over")
        if done >= calls:
            return most
        await asyncio.sleep(2)


def main(
    at_once: Annotated[int, typer.Option(min=LIMIT, max=2000, help="Calls that the worker handles at once.")] = AT_ONCE,
    profile: Annotated[bool, typer.Option("--profile", help="Say what the worker's CPU goes into, by py-spy.")] = False,
    out: Out = None,
) -> None:
    """One worker process makes three times so many calls through the Retell simulator."""
    alone(lambda site, draft: report(site, at_once, draft, profile=profile), out)


if __name__ == "__main__":
    typer.run(main)
