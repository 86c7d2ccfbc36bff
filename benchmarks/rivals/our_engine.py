"""Cadencia among the systems: real worker processes with every guarantee on, and a provider that answers at once."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.bootstrap import Container
from app.config import inherited_environment
from benchmarks.backlog import TEMPLATES, Backlog, Document, Filler, Mix, campaign, contacts, customer
from benchmarks.rivals.figures import Case
from benchmarks.rivals.installed import HOME, stop
from benchmarks.site import Site
from scripts.dev_stack import Part, free_port, start

BATCHES_AN_ACCOUNT = 10
"""Where there are many: 200 batches are of 20 accounts."""
DATABASE = "rival_cadencia"

SETTINGS = {
    # What is measured is the engine: nothing is kept from starting, and a call is asked about at once.
    "RETELL_CALLS_PER_SECOND": "0",
    "RETELL_READS_PER_SECOND": "1000",
    "CALL_POLL_SECONDS": "0.02",
    "CALL_POLL_MAX_SECONDS": "0.02",
    "RETELL_API_KEY": "key_benchmark",
    "RETELL_FROM_NUMBER": "+56226000000",
    "LOG_FORMAT": "json",
}


class People(Filler):
    """A backlog in which every job is for somebody else: nobody is called by two jobs at once."""

    def __init__(self, backlog: Backlog, accounts: list[str], batch: Document, jobs: list[Document]) -> None:
        super().__init__(backlog, batch, jobs)
        self._batches = backlog.batches
        self._accounts = accounts

    def account_of(self, number: int) -> str:
        return self._accounts[number % self._batches % len(self._accounts)]

    def batches(self) -> Iterator[Document]:
        for number, batch in enumerate(super().batches()):
            yield batch | {"account_id": self.account_of(number)}

    def job(self, number: int) -> Document:
        job = super().job(number)
        phones = [f"+5698{number:07d}", f"+5697{number:07d}"]
        person = {"contact": job["contact"] | {"phones": phones}, "person_keys": phones}
        return job | person | {"account_id": self.account_of(number)}


@dataclass
class CallWorkers:
    """Real worker processes; what they have settled stands in their logs, a line a call."""

    parts: list[Part]
    provider: Part
    _read: dict[Path, int] = field(default_factory=dict)
    _done: int = 0

    @property
    def pids(self) -> list[int]:
        return [part.process.pid for part in self.parts]

    def done(self) -> int:
        for part in self.parts:
            with part.log.open("rb") as log:
                log.seek(self._read.get(part.log, 0))
                lines, end, _ = log.read().rpartition(b"\n")
            self._read[part.log] = self._read.get(part.log, 0) + len(lines) + len(end)
            self._done += lines.count(b'"job_finished"')
        return self._done

    def check(self) -> None:
        for part in (*self.parts, self.provider):
            if not part.alive:
                raise RuntimeError(f"{part.name} ended: {part.log.read_text(errors='replace')[-1000:]}")


async def fill(site: Site, case: Case, due: int) -> None:
    """Only this backlog is in the case's database afterwards."""
    async with site.container(DATABASE) as container:
        await container.database.drop()
    async with site.container(DATABASE) as container:
        backlog = Backlog(case.size, Mix(case.mix), case.batches, beside=due)
        await (await _people(container, backlog)).fill(container)


async def _people(container: Container, backlog: Backlog) -> People:
    accounts = [f"acc-bench-{number:03d}" for number in range(-(-backlog.batches // BATCHES_AN_ACCOUNT))]
    for account_id in accounts:
        await customer(container, account_id)
    created = await campaign(container, accounts[0], contacts(TEMPLATES))
    batch = await container.database.collection("batches").find_one({"_id": created.batch_id})
    assert batch is not None  # noqa: S101 - it was created a line above
    jobs = [job async for job in container.database.collection("jobs").find({"batch_id": created.batch_id})]
    return People(backlog, accounts, batch, jobs)


@asynccontextmanager
async def working(site: Site, processes: int) -> AsyncIterator[CallWorkers]:
    """The provider and the workers, until the end of the block."""
    port = free_port(0)
    environment = inherited_environment() | SETTINGS
    environment |= {
        "MONGODB_URI": site.uri,
        "MONGODB_DATABASE": DATABASE,
        "RETELL_BASE_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "benchmarks.rivals.provider", str(port)]
    provider = start("provider", command, environment, HOME)
    parts: list[Part] = []
    try:
        await _until_it_answers(provider, port)
        command = [sys.executable, "-m", "workers.call_worker"]
        parts += [start(f"worker-{number}", command, environment, HOME) for number in range(processes)]
        yield CallWorkers(parts, provider)
    finally:
        await stop((*parts, provider))


async def _until_it_answers(provider: Part, port: int) -> None:
    async with httpx.AsyncClient() as http:
        while provider.alive:
            try:
                await http.get(f"http://127.0.0.1:{port}/get-concurrency")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return
    raise RuntimeError(f"the provider ended: {provider.log.read_text(errors='replace')[-1000:]}")
