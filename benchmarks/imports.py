"""What a long import costs, and what pages that are polled feel of it: `python -m benchmarks.imports --sizes 1k,10k`.

One API process, as it is served, and a batch created from an upload, while 50 clients poll the batch's status.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import quantiles
from typing import Annotated

import httpx
import psutil
import typer

from app.bootstrap import Container
from app.domain.contacts import Contact, ContactRow
from app.domain.uploads import Upload
from app.repositories.uploads import MongoUploads
from app.services.usable_uploads import store_upload, upload_of
from benchmarks.backlog import customer
from benchmarks.claim import parse_sizes
from benchmarks.drafts import Draft, Out, alone
from benchmarks.served import served
from benchmarks.site import Site, circumstances, cpu_seconds, load, say
from scripts.dev_stack import Part

ACCOUNT = "acc-bench"
DATABASE = "bench_imports"
SIZES = "1k,10k,100k,200k"
CLIENTS = 50
EVERY_SECONDS = 1.0
"""Five times as often as the frontend's pages poll."""
SAMPLE_SECONDS = 0.05
_MIB = 1024**2
COLUMNS = (
    "Contacts",
    "Answer s",
    "Import s",
    "API CPU s",
    "µs/contact",
    "mongod CPU s",
    "API MB before",
    "at most",
    "Polls",
    "of them 304",
    "p50 ms",
    "p99 ms",
)

LEGEND = f"""
One API process, as it is served. A batch is created from an upload by `POST /batches`; meanwhile {CLIENTS} clients poll
its status, each once a second, with `If-None-Match`. The row of 0 contacts is a batch on which nothing goes on. Answer:
to the `POST`. CPU is that of the process from the `POST` to the end of the import, the polling included."""


@dataclass
class Polled:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    unchanged: int = 0
    stop: bool = False

    def percentile(self, percent: int) -> float:
        """In milliseconds."""
        return 1000 * quantiles(self.seconds, n=100)[percent - 1] if len(self.seconds) > 1 else 0


@dataclass
class Memory:
    """The most that a process had, sampled."""

    process: psutil.Process
    peak: int = 0

    async def watch(self) -> None:
        while True:
            self.peak = max(self.peak, self.process.memory_info().rss)
            await asyncio.sleep(SAMPLE_SECONDS)


async def report(site: Site, sizes: list[int], draft: Draft) -> None:
    async with site.container(DATABASE) as container:
        about = await circumstances(container)
        await customer(container, ACCOUNT)
        lines = [f"| {' | '.join(COLUMNS)} |", "| ---: " * len(COLUMNS) + "|"]
        async with served(site, container, DATABASE, connections=CLIENTS + 10) as (api, http):
            for size in [0, *sizes]:
                say(f"An import of {size}")
                lines.append(await _measure(site, container, api, http, size))
                ended = f"{about} At the end the load was {load()}."
                draft.write("\n".join(["## A batch of many contacts", LEGEND, "", ended, "", *lines]))
        await container.database.drop()


async def _measure(site: Site, container: Container, api: Part, http: httpx.AsyncClient, size: int) -> str:
    upload = await _upload(container, size) if size else None
    memory = Memory(psutil.Process(api.process.pid))
    before_mb = memory.process.memory_info().rss // _MIB
    watcher = asyncio.create_task(memory.watch())
    before = cpu_seconds(api.process.pid), cpu_seconds(site.mongod_pid)
    at = container.clock.monotonic()
    body = {"account_id": ACCOUNT, "name": "Banco", "script_content": "Hola {{nombre}}, debe {{monto}}"}
    created = await http.post("/api/v1/batches", json=body | ({"upload_id": upload.upload_id} if upload else {}))
    created.raise_for_status()
    answered = container.clock.monotonic() - at
    polled = Polled()
    path = f"/api/v1/batches/{created.json()['batch_id']}/status"
    clients = [asyncio.create_task(_poll(container, http, path, polled, n)) for n in range(CLIENTS)]
    if size:
        await _until_imported(http, path)
    else:
        await asyncio.sleep(10 * EVERY_SECONDS)
    seconds = container.clock.monotonic() - at
    api_cpu = cpu_seconds(api.process.pid) - before[0]
    mongod_cpu = cpu_seconds(site.mongod_pid) - before[1]
    polled.stop = True
    await asyncio.gather(*clients)
    watcher.cancel()
    with suppress(asyncio.CancelledError):
        await watcher
    each = f"{1e6 * api_cpu / size:.0f}" if size else ""
    return (
        f"| {size:,} | {answered:.2f} | {seconds if size else 0:.1f} | {api_cpu:.2f} | {each} | {mongod_cpu:.1f} "
        f"| {before_mb} | {memory.peak // _MIB} | {len(polled.seconds)} | {polled.unchanged} "
        f"| {polled.percentile(50):.0f} | {polled.percentile(99):.0f} |"
    )


async def _upload(container: Container, size: int) -> Upload:
    """A previewed list of so many people, each with two telephones and six fields."""
    uploads = MongoUploads(container.database, timedelta(hours=24))
    rows = [ContactRow(number + 2, _person(number)) for number in range(size)]
    upload = upload_of(f"upload-bench-{size}", ACCOUNT, rows)
    await store_upload(uploads, upload, rows, container.clock.now())
    return upload


def _person(number: int) -> Contact:
    fields = {
        "rut": f"{10_000_000 + number}-K",
        "monto": str(number % 900_000),
        "vence": "2026-12-31",
        "sucursal": f"Sucursal {number % 40}",
        "ejecutivo": f"Ejecutiva Número {number % 200}",
        "observacion": "Cliente con convenio vigente",
    }
    return Contact(
        name=f"Persona Número {number}",
        phones=[f"+569{50_000_000 + number}", f"+562{22_000_000 + number}"],
        email=f"persona{number}@correo.cl",
        dni=fields["rut"],
        custom_fields=fields,
    )


async def _poll(container: Container, http: httpx.AsyncClient, path: str, polled: Polled, number: int) -> None:
    """One open page, out of step with the others."""
    await asyncio.sleep(number * EVERY_SECONDS / CLIENTS)
    tag = ""
    while not polled.stop:
        at = container.clock.monotonic()
        answer = await http.get(path, headers={"If-None-Match": tag})
        took = container.clock.monotonic() - at
        polled.seconds.append(took)
        polled.unchanged += answer.status_code == httpx.codes.NOT_MODIFIED
        tag = answer.headers["ETag"]
        await asyncio.sleep(max(0, EVERY_SECONDS - took))


async def _until_imported(http: httpx.AsyncClient, path: str) -> None:
    status = "importing"
    while status == "importing":
        await asyncio.sleep(0.1)
        status = (await http.get(path)).json()["status"]


def main(
    sizes: Annotated[str, typer.Option(help="How many contacts, such as 1k,10k.")] = SIZES, out: Out = None
) -> None:
    """Create batches of so many contacts."""
    wanted = parse_sizes(sizes)
    alone(lambda site, draft: report(site, wanted, draft), out)


if __name__ == "__main__":
    typer.run(main)
