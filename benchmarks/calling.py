"""A measurement of calls that begin: who makes them, what was asked of the simulator when, and what that cost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx

from app.bootstrap import Container
from benchmarks.backlog import Document, campaign, contacts
from benchmarks.site import Site, cpu_seconds, say
from benchmarks.telephony import Telephony, check
from scripts.dev_stack import Part

LOOK_SECONDS = 0.5
PATIENCE = 60.0

Instants = dict[str, float]
"""Seconds since the epoch, by job."""
Cpu = tuple[float, float, float]
"""Of all workers, mongod and simulator."""


@dataclass
class Row:
    """What was measured of one way to begin calls."""

    name: str
    waits: list[float] = field(default_factory=list)
    in_flight: int = 0
    """At most, as it was seen now and then."""
    cpu: Cpu = (0, 0, 0)
    """In cores."""

    HEAD: ClassVar = (
        "| Calls | Number | In flight | p50 ms | p99 ms | max ms | Worker CPU % | mongod CPU % | Simulator CPU % |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )

    def __str__(self) -> str:
        ordered = sorted(self.waits)
        shown = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99, 1))
        times = " | ".join(f"{1000 * wait:,.0f}" for wait in shown)
        shares = " | ".join(f"{100 * share:.0f}" for share in self.cpu)
        return f"| {self.name} | {len(ordered):,} | {self.in_flight:,} | {times} | {shares} |"


@dataclass
class Run:
    site: Site
    container: Container
    phones: Telephony
    api: httpx.AsyncClient
    workers: list[Part]
    staying: int = 0
    """Calls in flight that do not end."""
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tell: Callable[[], None] = lambda: None
    """Called when there is a new row or note."""
    _numbers: int = 0
    _seen: int = 0
    """Requests of earlier rows."""

    @property
    def jobs(self) -> Any:
        return self.container.database.collection("jobs")

    def measured(self, row: Row) -> None:
        self.rows.append(row)
        say(str(row))
        self.tell()

    def note(self, text: str) -> None:
        self.notes.append(text)
        say(text)
        self.tell()

    def people(self, count: int) -> list[dict[str, Any]]:
        """Contacts whom nobody else has."""
        made = contacts(count, first=self._numbers)
        self._numbers += count
        return made

    async def scheduled(
        self, account_id: str, people: list[dict[str, Any]], longest: int = 300
    ) -> tuple[str, list[str]]:
        """A batch that begins when `begin` says, and its jobs."""
        later = self.container.clock.now() + timedelta(hours=1)
        batch = await campaign(self.container, account_id, people, longest=longest, scheduled_at=later)
        found = self.jobs.find({"batch_id": batch.batch_id}, {"_id": True})
        return batch.batch_id, [job["_id"] async for job in found]

    async def begin(self, batch_ids: Sequence[str], at: datetime, *, due: bool = True) -> None:
        """Have batches that are `scheduled` begin then, with all contacts `due` or when it was written otherwise."""
        batches = {"$in": list(batch_ids)}
        if due:
            await self.jobs.update_many({"batch_id": batches}, {"$set": {"due_at": at}})
        if self.container.clock.now() > at:
            raise RuntimeError("this machine is too slow: what was to begin should have by now")
        changes: Document = {"$set": {"scheduled_at": at, "wake_at": at}}
        await self.container.database.collection("batches").update_many({"_id": batches}, changes)

    @asynccontextmanager
    async def watched(self, name: str, since: datetime) -> AsyncIterator[Row]:
        """A row whose calls begin `since` and have begun at the end; what it is that waited is to be filled in."""
        row = Row(name)
        await asyncio.sleep(max(0.0, (since - self.container.clock.now()).total_seconds()))
        at, before = self.container.clock.monotonic(), self._cpu()
        watch = asyncio.create_task(self._count(row))
        try:
            yield row
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        seconds = self.container.clock.monotonic() - at
        row.cpu = _each(self._cpu(), before, seconds)

    async def asked(self, count: int = 0) -> Instants:
        """When each call of this row was asked for; of `count` calls, once all were."""
        async with asyncio.timeout(PATIENCE):
            while (await self.phones.ask("creates", limit=0))["total"] < self._seen + count:
                for worker in self.workers:
                    check(worker)
                await asyncio.sleep(LOOK_SECONDS)
        instants: Instants = {}
        for record in (await self.phones.ask("creates", skip=self._seen))["creates"]:
            if record["call_created"]:
                instants.setdefault(record["metadata"]["job_id"], record["at"])
        return instants

    async def next_row(self) -> None:
        """What was asked so far belongs to no later row."""
        self._seen = (await self.phones.ask("creates", limit=0))["total"]

    async def _count(self, row: Row) -> None:
        while True:
            row.in_flight = max(row.in_flight, await self.jobs.count_documents({"state": "in_call"}))
            await asyncio.sleep(LOOK_SECONDS)

    def _cpu(self) -> Cpu:
        workers = sum(cpu_seconds(worker.process.pid) for worker in self.workers)
        return workers, cpu_seconds(self.site.mongod_pid), cpu_seconds(self.phones.simulator.process.pid)


def _each(after: Cpu, before: Cpu, seconds: float) -> Cpu:
    first, second, third = ((late - early) / seconds for late, early in zip(after, before, strict=True))
    return first, second, third
