"""The process in which one workbook is written: `python -m app.integrations.spreadsheets.workbook_child`.

Writing takes some 15 s of computation for 100,000 rows, for which the API's event loop should not wait. Standard input
carries one JSON value a line:

    {"sheet": "Resultados", "header": ["Fila", "Nombre"]}   the next sheet
    [[2, "Juan", {"number": "1.50"}, {"time": "2026-11-23T09:00:00"}], …]   its next rows
    {"end": true}   last

The workbook is written to standard output, a file, after the last line. Input that ends before it makes no workbook:
whoever asked went away.
"""

import json
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.tables_written import WrittenCell
from app.integrations.spreadsheets.workbook_writer import WorkbookWriter

MEMORY_BYTES = 1024**3
"""Far more than it needs, whatever the number of rows; a leak shall not take the machine."""


class _NobodyWaitsError(Exception):
    """Raised to leave the workbook unwritten."""


def main() -> None:
    _limit_memory()
    with WorkbookWriter(sys.stdout.buffer) as book:
        for line in sys.stdin.buffer:
            value = json.loads(line)
            if isinstance(value, list):
                book.add_rows([[_cell(cell) for cell in row] for row in value])
            elif "sheet" in value:
                book.begin_sheet(value["sheet"], value["header"])
            else:
                return
        raise _NobodyWaitsError


def line_of(value: object) -> bytes:
    """A line of the input, for the process that sends it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_json).encode(errors="replace") + b"\n"


def _json(value: object) -> dict[str, str]:
    if isinstance(value, Decimal):
        return {"number": str(value)}
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    raise TypeError(type(value).__name__)


def _cell(value: Any) -> WrittenCell:
    if isinstance(value, dict):
        return Decimal(value["number"]) if "number" in value else datetime.fromisoformat(value["time"])
    found: WrittenCell = value
    return found


def _limit_memory() -> None:
    if sys.platform == "win32":  # no such limit there
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
