"""What openpyxl and pandas take for a table by themselves: `python benchmarks/plain_tables.py KIND ROWS PATH`.

A script of its own that needs nothing of ours, so that any Python that has pandas can run it. It prints the seconds
that the work took, without the interpreter's start and the imports.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

HEADER = [f"columna_{number}" for number in range(1, 21)]


def rows(count: int) -> Iterator[list[Any]]:
    """As wide as an export, and of the same kinds: texts, telephones, whole and decimal numbers, a time."""
    at = datetime(2026, 11, 23, 9, 30, 15)  # noqa: DTZ001 - on some wall
    for number in range(count):
        texts = [f"texto {number} {column}" for column in range(10)]
        phones = [f"+5698{number:07d}", f"+5697{number:07d}", f"+5698{number:07d}"]
        yield [
            number,
            *texts,
            *phones,
            number % 7,
            55.5,
            0.28,
            at,
            "2026-11-23T12:30:15Z",
            "El cliente pagará el viernes.",
        ]


def library(name: str) -> Any:
    """Imported when it is needed: whoever has only one of them can measure that one."""
    return import_module(name)


def read_openpyxl(path: Path, count: int) -> None:
    book = library("openpyxl").load_workbook(path, read_only=True, data_only=True)
    if sum(1 for _ in book.worksheets[0].iter_rows(values_only=True)) != count + 1:
        raise ValueError("not all rows were read")


def read_pandas(path: Path, _: int) -> None:
    library("pandas").read_excel(path, dtype=str, engine="openpyxl")


def write_openpyxl(path: Path, count: int) -> None:
    book = library("openpyxl").Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(HEADER)
    for row in rows(count):
        sheet.append(row)
    book.save(path)


def write_openpyxl_whole(path: Path, count: int) -> None:
    book = library("openpyxl").Workbook()
    sheet = book.active
    sheet.append(HEADER)
    for row in rows(count):
        sheet.append(row)
    book.save(path)


def write_pandas_xlsx(path: Path, count: int) -> None:
    library("pandas").DataFrame(list(rows(count)), columns=HEADER).to_excel(path, index=False, engine="openpyxl")


def write_pandas_csv(path: Path, count: int) -> None:
    library("pandas").DataFrame(list(rows(count)), columns=HEADER).to_csv(
        path, index=False, sep=";", encoding="utf-8-sig"
    )


KINDS: dict[str, Callable[[Path, int], None]] = {
    "read_openpyxl": read_openpyxl,
    "read_pandas": read_pandas,
    "write_openpyxl": write_openpyxl,
    "write_openpyxl_whole": write_openpyxl_whole,
    "write_pandas_xlsx": write_pandas_xlsx,
    "write_pandas_csv": write_pandas_csv,
}
NEEDS = {kind: ("pandas" if "pandas" in kind else "openpyxl") for kind in KINDS}


def main(kind: str, count: int, path: Path) -> None:
    library(NEEDS[kind])
    began = time.perf_counter()  # noqa: TID251 - what is measured is this machine's time
    KINDS[kind](path, count)
    print(json.dumps({"seconds": time.perf_counter() - began}))  # noqa: TID251


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
