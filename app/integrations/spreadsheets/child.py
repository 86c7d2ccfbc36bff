"""The process in which one upload is read: `python -m app.integrations.spreadsheets.child FILE`.

A 2.4 KB workbook can make the parser abort its process, so it gets one of its own, with limits the kernel keeps.
Standard output carries one JSON value a line:

    {"sheet": "Hoja1"}          first; null in a CSV
    [4, ["Juan", 987654321.0]]  a row: its number and its cells, dates as texts
    {"end": true}               last, if all went well
    {"rejected": {"code": "file_is_pdf", "params": {}}}   last, if not

Anything else, and any exit status but 0, means that the file broke the reader.
"""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, PasswordError

from app.domain.errors import SpreadsheetRejected
from app.domain.tables import cell_text
from app.integrations.spreadsheets.reader import open_table

MEMORY_BYTES = 1024**3
CPU_SECONDS = 20


def main(path: Path) -> None:
    _limit_resources()
    try:
        _send_table(path)
    except SpreadsheetRejected as rejected:
        _send({"rejected": rejected.message.model_dump()})
    except PasswordError:
        _send({"rejected": {"code": "file_password_protected", "params": {}}})
    except (CalamineError, zipfile.BadZipFile, UnicodeError):
        _send({"rejected": {"code": "file_unreadable", "params": {}}})


def _send_table(path: Path) -> None:
    table = open_table(path)
    _send({"sheet": table.sheet})
    for row in table.rows:
        _send(row)
    _send({"end": True})


def _send(value: Any) -> None:
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=cell_text)
    sys.stdout.buffer.write(line.encode() + b"\n")


def _limit_resources() -> None:
    if sys.platform == "win32":  # no such limits there; the parent's time-out remains
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
