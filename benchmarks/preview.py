"""What a preview costs: `python -m benchmarks.preview --rows 100000`.

One upload through the API's own service, on a mongod of its own: what this process (the API's) and the child that
reads the file use.
"""

import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from app.domain.contact_list import ListOrder
from app.domain.national_ids import is_rut
from app.integrations.spreadsheets.workbook_writer import WorkbookWriter
from benchmarks.backlog import customer
from benchmarks.drafts import Draft, alone
from benchmarks.site import Site, circumstances, say

ACCOUNT = "acc-bench"
HEADER = ("nombre", "rut", "telefono_1", "telefono_2", "correo", "empresa", "monto_deuda", "vence")
_KIB = 1024


def main(rows: Annotated[int, typer.Option(min=1, max=500_000)] = 100_000) -> None:
    """Preview one list of ROWS contacts by 8 columns, one in fifty of them without a telephone."""

    async def measure(site: Site, draft: Draft) -> None:
        draft.write(await _measure(site, rows))

    alone(measure)


async def _measure(site: Site, rows: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lista.xlsx"
        say(f"Writing {rows} rows")
        _write(path, rows)
        async with site.container("bench_preview") as container:
            await customer(container, ACCOUNT)
            before_mb, before_cpu = _peak_mb(), time.process_time()
            child_before = _child_seconds()
            began = time.perf_counter()  # noqa: TID251 - what is measured is this machine's time
            found = await container.uploads.preview(ACCOUNT, path, path.name, ListOrder())
            seconds = time.perf_counter() - began  # noqa: TID251
            cpu, child_cpu = time.process_time() - before_cpu, _child_seconds() - child_before
            child_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // _KIB
            summary = found.summary
            counts = (
                f"{summary.valid_rows} contacts, {summary.invalid_rows} rejected rows, {summary.warning_rows} warned of"
            )
            return "\n".join(
                (
                    await circumstances(container),
                    "",
                    f"{counts}, {found.active_checked} compared with active batches: {seconds:.1f} s.",
                    "",
                    "| Process | CPU s | Peak MB | Before MB |",
                    "| --- | ---: | ---: | ---: |",
                    f"| API | {cpu:.2f} | {_peak_mb()} | {before_mb} |",
                    f"| child | {child_cpu:.2f} | {child_mb} | |",
                )
            )


def _write(path: Path, rows: int) -> None:
    with path.open("wb") as file, WorkbookWriter(file) as book:
        book.begin_sheet("Hoja1", HEADER)
        for row in list_rows(rows):
            book.add_rows([row])


def list_rows(count: int) -> Iterator[tuple[str, ...]]:
    """A list under HEADER, one in fifty of its rows without a telephone."""
    for number in range(count):
        mobile = f"+569{50_000_000 + number}" if number % 50 else "no tiene"
        yield (
            f"Persona Número {number}",
            _rut(10_000_000 + number),
            mobile,
            f"+562{22_000_000 + number}" if number % 50 else "",
            f"persona{number}@correo.cl",
            "Empresa SpA",
            str(number % 900_000),
            "2026-12-31",
        )


def _rut(number: int) -> str:
    return next(rut for digit in "0123456789K" if is_rut(rut := f"{number}-{digit}"))


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _KIB


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    typer.run(main)
