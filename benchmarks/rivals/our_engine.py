"""Cadencia among the systems: real worker processes with every guarantee on, and a provider that answers at once."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from app.bootstrap import Container
from app.config import inherited_environment
from app.domain.accounts import Account
from app.domain.batches import Batch
from app.domain.jobs import Job
from app.repositories.indexes import INDEXES
from benchmarks.backlog import AHEAD, TEMPLATES, Backlog, Document, Filler, Mix, campaign, contacts, customer
from benchmarks.rivals.figures import Case
from benchmarks.rivals.installed import HOME, stop
from benchmarks.site import Site
from scripts.dev_stack import Part, free_port, start

BATCHES_AN_ACCOUNT = 10
"""Where there are many: 200 batches are of 20 accounts."""
PIECE = 50_000
"""Cloned in one command."""
PATIENCE = 60
"""A quarter of the seconds that an index of a million may take."""
MILLISECOND = timedelta(milliseconds=1)

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
        self._accounts = accounts

    def account_of(self, number: int) -> str:
        return self._accounts[number % self._backlog.batches % len(self._accounts)]

    def batches(self) -> Iterator[Document]:
        for number, batch in enumerate(super().batches()):
            yield batch | {"account_id": self.account_of(number)}

    def job(self, number: int) -> Document:
        job = super().job(number)
        phones = [f"+5698{number:07d}", f"+5697{number:07d}"]
        person = {"contact": job["contact"] | {"phones": phones}, "person_keys": phones}
        return job | person | {"account_id": self.account_of(number)}

    def templates(self) -> list[Document]:
        return [job | {"place": place} for place, job in enumerate(self._jobs)]

    def clones(self, numbers: range) -> list[Document]:
        """The same jobs as stages of an aggregation over the templates. `numbers` begin with a multiple of theirs."""
        backlog, count = self._backlog, len(self._jobs)
        number, later = "$place", {"$gte": ["$place", backlog.due]}
        batch = {"$mod": [number, backlog.batches]}
        account = {"$arrayElemAt": [{"$literal": self._accounts}, {"$mod": [batch, len(self._accounts)]}]}
        phones = [_text("+5698", 7, number), _text("+5697", 7, number)]
        changes: Document = {
            "_id": {"$concat": [_text("batch-", 12, batch), _text("-", 7, number)]},
            "batch_id": _text("batch-", 12, batch),
            "contact.phones": phones,
            "person_keys": phones,
            "account_id": account,
        }
        for name, value in backlog.mix.fields.items():
            changes[name] = {"$cond": [later, {"$literal": value}, f"${name}"]}
        if backlog.mix is Mix.FUTURE:
            changes["due_at"] = {"$cond": [later, {"$add": ["$due_at", AHEAD // MILLISECOND]}, "$due_at"]}
        return [
            {"$set": {"place": {"$range": [{"$add": [numbers.start, "$place"]}, numbers.stop, count]}}},
            {"$unwind": "$place"},
            {"$set": changes},
            {"$unset": "place"},
        ]


def _text(head: str, digits: int, number: Any) -> Document:
    """The head, and the number with so many digits."""
    text = {"$toString": {"$add": [10**digits, {"$toLong": number}]}}
    return {"$concat": [head, {"$substrBytes": [text, 1, digits]}]}


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


def database(case: Case) -> str:
    return f"rival_cadencia_{case.key}"


@cache
def shape() -> str:
    """Another one when documents or indexes are others: a backlog of an older Cadencia is not to be measured on."""
    models = [model.model_json_schema() for model in (Job, Batch, Account)]
    indexes = {name: [index.document for index in INDEXES[name]] for name in ("jobs", "batches", "accounts")}
    return hashlib.sha256(repr((models, indexes)).encode()).hexdigest()


async def fill(site: Site, case: Case, due: int) -> None:
    """Only this backlog is in the case's database afterwards."""
    async with site.container(database(case)) as container:
        await container.database.drop()
    async with site.container(database(case), mongodb_timeout_seconds=PATIENCE) as container:
        backlog = Backlog(case.size, Mix(case.mix), case.batches, beside=due)
        described = await people(container, backlog)
        await container.database.collection("batches").delete_many({})
        await container.database.collection("batches").insert_many(described.batches())
        await cloned(container, described, backlog)


async def cloned(container: Container, people: People, backlog: Backlog) -> None:
    """The backlog's jobs, as `people` describes them: made by MongoDB itself, and their indexes afterwards."""
    jobs, templates = (container.database.collection(name) for name in ("jobs", "templates"))
    await jobs.drop()
    await templates.drop()
    await templates.insert_many(people.templates())
    for first in range(0, backlog.total, PIECE):
        numbers = range(first, min(first + PIECE, backlog.total))
        await templates.aggregate([*people.clones(numbers), {"$merge": {"into": "jobs", "whenMatched": "fail"}}])
    await templates.drop()
    for index in INDEXES["jobs"]:
        await jobs.create_indexes([index])


async def people(container: Container, backlog: Backlog) -> People:
    accounts = [f"acc-bench-{number:03d}" for number in range(-(-backlog.batches // BATCHES_AN_ACCOUNT))]
    for account_id in accounts:
        await customer(container, account_id)
    created = await campaign(container, accounts[0], contacts(TEMPLATES))
    batch = await container.database.collection("batches").find_one({"_id": created.batch_id})
    assert batch is not None  # noqa: S101 - it was created a line above
    jobs = [job async for job in container.database.collection("jobs").find({"batch_id": created.batch_id})]
    return People(backlog, accounts, batch, jobs)


@asynccontextmanager
async def working(site: Site, case: Case, processes: int) -> AsyncIterator[CallWorkers]:
    """The provider and the workers, until the end of the block."""
    port = free_port(0)
    environment = inherited_environment() | SETTINGS
    environment |= {
        "MONGODB_URI": site.uri,
        "MONGODB_DATABASE": database(case),
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
        # What they have in hand they ask to its end, or hand over.
        await stop(parts)
        await stop([provider])


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
