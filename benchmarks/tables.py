"""Import and export beside plain openpyxl and pandas: `python -m benchmarks.tables --sizes 1k,10k,100k,300k`.

Each measurement is a process of its own, watched from outside: what it and the children that it starts hold at most.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import psutil
import typer

from app.bootstrap import Container
from app.domain.calls import CallReport, CallStatus
from app.domain.jobs import AttemptRecord, Job, JobState
from app.domain.outcomes import Disposition
from app.integrations.spreadsheets.workbook_writer import WorkbookWriter
from app.repositories.documents import from_document, to_document
from benchmarks.backlog import CHUNK, campaign, contacts, customer
from benchmarks.claim import parse_sizes
from benchmarks.drafts import Draft, Kept, OnlyPrepare, Out, alone
from benchmarks.our_tables import ACCOUNT, DATABASE
from benchmarks.plain_tables import NEEDS
from benchmarks.preview import HEADER, list_rows
from benchmarks.rivals.installed import Missing, python_with
from benchmarks.site import HOME, Site, circumstances, say

ROOT = Path(__file__).parents[1]
PLAIN = ROOT / "benchmarks" / "plain_tables.py"
SIZES = "1k,10k,100k,300k"
LOOK_SECONDS = 0.02
PANDAS = ("pandas==3.1.1", "openpyxl==3.1.5")
PandasPython = Annotated[
    str | None, typer.Option(help="An interpreter that has pandas and openpyxl. Default: one below .cadencia/rivals.")
]

LEGEND = """
An import is a preview: reading a list of 8 columns, understanding, checking and storing every row. An export is
everything from MongoDB to the last byte, 21 columns of contacts with two calls each. openpyxl and pandas only read, or
write 20 columns that they make up: no database, no check, and whatever begins with "=" becomes a formula; openpyxl row
by row, or the whole book at once. Memory is what a process holds at most, in MB; a child is the one that reads or
writes the workbook. Seconds leave the start and the imports out; CPU has them in."""


@dataclass(frozen=True)
class Figures:
    seconds: float
    cpu_seconds: float
    process_mb: float
    child_mb: float


async def measured(command: Sequence[str]) -> Figures | None:
    """Run it to its end; None if it failed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    watch = _Watch(process.pid)
    try:
        output, _ = await process.communicate()
    finally:
        watch.end()
        with suppress(ProcessLookupError):  # it has ended, unless we were told to
            process.kill()
    if process.returncode != 0:
        return None
    return Figures(json.loads(output)["seconds"], watch.cpu_seconds, watch.process_mb, watch.child_mb)


class _Watch:
    """Looks at a process and its children until the end."""

    def __init__(self, pid: int) -> None:
        self.process_mb = self.child_mb = 0.0
        self._cpu: dict[int, float] = {}
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    @property
    def cpu_seconds(self) -> float:
        return sum(self._cpu.values())

    def _look(self) -> None:
        while not self._over.is_set():
            try:
                self.process_mb = max(self.process_mb, self._of(self._process))
                for child in self._process.children(recursive=True):
                    self.child_mb = max(self.child_mb, self._of(child))
            except psutil.Error:  # it ended meanwhile
                pass
            self._over.wait(LOOK_SECONDS)

    def _of(self, process: psutil.Process) -> float:
        times = process.cpu_times()
        self._cpu[process.pid] = times.user + times.system
        return float(process.memory_info().rss) / 1e6


async def report(site: Site, sizes: Sequence[int], draft: Draft, pandas_python: str | None = None) -> None:
    """Two tables. `pandas_python` is an interpreter that has pandas; without it one is made."""
    missing = ""
    try:
        pandas_python = pandas_python or str(await asyncio.to_thread(python_with, "pandas", PANDAS))
    except Missing as problem:
        missing = f"\n\npandas is left out: {problem}"
    imports, exports = _head("Import"), _head("Export")

    def tell() -> None:
        draft.write("\n".join(("## Import and export", LEGEND + missing, "", where, "", *imports, "", *exports)))

    with tempfile.TemporaryDirectory() as folder:
        async with site.container(DATABASE) as container:
            where = await circumstances(container)
            for rows in sizes:
                path, batch_id = await _made(site, container, Path(folder), rows)
                made = str(Path(folder) / "out")
                ours = [sys.executable, "-m", "benchmarks.our_tables"]
                for name, command in (
                    ("Cadencia .xlsx", [*ours, "preview", site.uri, str(path)]),
                    *_plain("read", rows, str(path), pandas_python),
                ):
                    imports += await _line(name, rows, command)
                    tell()
                for name, command in (
                    ("Cadencia .xlsx", [*ours, "xlsx", site.uri, batch_id]),
                    ("Cadencia .csv", [*ours, "csv", site.uri, batch_id]),
                    *_plain("write", rows, made, pandas_python),
                ):
                    exports += await _line(name, rows, command)
                    tell()
                if site.kept is None:
                    await container.database.collection("jobs").delete_many({})


async def prepare(site: Site, sizes: Sequence[int]) -> None:
    """Make what a later run on the same data finds."""
    async with site.container(DATABASE) as container:
        for rows in sizes:
            await _made(site, container, HOME, rows)


async def _made(site: Site, container: Container, folder: Path, rows: int) -> tuple[Path, str]:
    """A list of so many rows, and the id of a batch of so many contacts; they may be there already."""
    path = (site.kept or folder) / f"lista-{rows}.xlsx"
    account, batches = {"_id": ACCOUNT}, container.database.collection("batches")
    if not await container.database.collection("accounts").find_one(account):
        await customer(container, ACCOUNT)
    if not path.exists():
        say(f"Making a list of {rows:,} rows")
        unfinished = path.with_suffix(".part")
        await asyncio.to_thread(write_list, unfinished, rows)
        unfinished.rename(path)
    found = await batches.find_one({"bench_rows": rows}, {"_id": True}) if site.kept else None
    if found:
        return path, str(found["_id"])
    say(f"Making a batch of {rows:,} contacts")
    batch_id = await called_batch(container, rows)
    await batches.update_one({"_id": batch_id}, {"$set": {"bench_rows": rows}})
    return path, batch_id


def write_list(path: Path, rows: int) -> None:
    with path.open("wb") as file, WorkbookWriter(file) as book:
        book.begin_sheet("Hoja1", HEADER)
        for row in list_rows(rows):
            book.add_rows([row])


async def called_batch(container: Container, rows: int) -> str:
    """A batch of so many contacts, each called twice and reached."""
    batch = await campaign(container, ACCOUNT, contacts(1))
    jobs = container.database.collection("jobs")
    stored = await jobs.find_one({"batch_id": batch.batch_id})
    assert stored is not None  # noqa: S101 - it was created a line above
    job = from_document(Job, stored)
    for start in range(1, rows, CHUNK):
        people = contacts(min(CHUNK, rows - start), first=start)
        await jobs.insert_many(
            [
                to_document(_called(job, f"{batch.batch_id}-{number:06d}")) | {"contact": _contact(person)}
                for number, person in enumerate(people, start + 1)
            ]
        )
    return batch.batch_id


def _contact(person: dict[str, object]) -> dict[str, object]:
    known = ("name", "phones", "email")
    custom = {name: value for name, value in person.items() if name not in known}
    return {name: person[name] for name in known} | {"custom_fields": custom}


def _called(job: Job, job_id: str) -> Job:
    at = job.created_at
    records = [
        AttemptRecord(
            attempt_id=f"{job_id}-{number}",
            number=number,
            phone=job.contact.phones[0],
            call_id=f"call-{job_id}-{number}",
            disposition=Disposition.ANSWERED if number == 2 else Disposition.BUSY,
            counted=True,
            dialed_at=at,
            ended_at=at + timedelta(seconds=56),
            duration_seconds=55.5,
            billed_seconds=56,
            cost=Decimal("0.14"),
        )
        for number in (1, 2)
    ]
    last = CallReport(
        call_id=f"call-{job_id}-2",
        status=CallStatus.ENDED,
        duration_ms=55_500,
        transcript="User: Hola. Agent: Le llamo de Empresa XYZ.\n" * 40,
        analysis={"call_summary": "El cliente pagará el viernes y pidió el detalle por correo.", "in_voicemail": False},
        recording_url="https://example.com/recording.wav",
        collected_variables={"fecha_pago_cliente": "2026-12-05", "monto_pago_cliente": "50000"},
    )
    changes = {"job_id": job_id, "state": JobState.COMPLETED, "waiting_for": None, "finished_at": at}
    return job.model_copy(update={**changes, "history": records, "report": last, "attempts": 2})


def _plain(begin: str, rows: int, path: str, pandas_python: str | None) -> Iterator[tuple[str, list[str]]]:
    for kind, library in NEEDS.items():
        python = pandas_python if library == "pandas" else sys.executable
        if kind.startswith(begin) and python is not None:
            name = kind.removeprefix(f"{begin}_").replace("_", " ")
            yield name, [python, str(PLAIN), kind, str(rows), path]


async def _line(name: str, rows: int, command: list[str]) -> list[str]:
    """Also told at once: a large size takes long enough to be broken off."""
    line = _told(name, rows, await measured(command))
    say(line)
    return [line]


def _told(name: str, rows: int, found: Figures | None) -> str:
    if found is None:
        return f"| {rows:,} | {name} | failed | | | | |"
    child = f"{found.child_mb:.0f}" if found.child_mb else ""
    speed = f"{found.seconds:.1f} | {rows / found.seconds:,.0f} | {found.cpu_seconds:.1f}"
    return f"| {rows:,} | {name} | {speed} | {found.process_mb:.0f} | {child} |"


def _head(what: str) -> list[str]:
    return [
        f"| Rows | {what} | s | Rows/s | CPU s | MB | MB of the child |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]


def main(
    sizes: Annotated[str, typer.Option(help="Rows, such as 1k,10k for a quick look.")] = SIZES,
    pandas_python: PandasPython = None,
    kept: Kept = None,
    only_prepare: OnlyPrepare = False,
    out: Out = None,
) -> None:
    """Import and export lists of each size."""
    wanted = parse_sizes(sizes)
    if only_prepare:
        alone(lambda site, _: prepare(site, wanted), kept=kept)
    else:
        alone(lambda site, draft: report(site, wanted, draft, pandas_python), out, kept)


if __name__ == "__main__":
    typer.run(main)
