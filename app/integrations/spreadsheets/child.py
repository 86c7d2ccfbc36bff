"""The process in which one upload is read: `python -m app.integrations.spreadsheets.child FILE [ORDER]`.

A 2.4 KB workbook can make the parser abort its process, so it gets one of its own, with limits the kernel keeps; and
a long list takes seconds of computation, for which the API's event loop should not wait.
Standard output carries one JSON value a line. Of a table:

    {"sheet": "Hoja1"}          first; null in a CSV
    [4, ["Juan", 987654321.0]]  a row: its number and its cells, dates as texts
    {"end": true}               last

With ORDER (a ListOrder as JSON), of a contact list:

    {"contacts": [[4, {"name": …}, ["+569…"]], …]}   ListedContacts
    {"rejected": [{"row_number": 5, …}, …]}          RejectedRows
    {"list": {…}}                                    last: the ListSummary

Of either, instead of the last, if it is refused:

    {"rejected_file": {"code": "file_is_pdf", "params": {}}}
    {"invalid": [{"loc": ["column_mapping", "Fono"], "message": {…}}]}

Anything else, and any exit status but 0, means that the file broke the reader.
"""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, PasswordError

from app.domain.contact_list import ListOrder
from app.domain.errors import InvalidInput, SpreadsheetRejected
from app.domain.tables import cell_text
from app.integrations.spreadsheets.list_sender import send_list
from app.integrations.spreadsheets.reader import open_table, read_table

# A list of 500,000 rows by 8 columns takes 0.8 GiB and 25 s here.
MEMORY_BYTES = 3 * 1024**3 // 2
CPU_SECONDS = 50


def main(path: Path, order: str | None) -> None:
    _limit_resources()
    try:
        if order is None:
            _send_table(path)
        else:
            wanted = ListOrder.model_validate_json(order)
            send_list(read_table(path, wanted.choices), wanted, _send_line)
    except SpreadsheetRejected as rejected:
        _refuse(rejected.message.model_dump())
    except InvalidInput as invalid:
        _send({"invalid": [error.model_dump(mode="json") for error in invalid.errors]})
    except PasswordError:
        _refuse({"code": "file_password_protected", "params": {}})
    except (CalamineError, zipfile.BadZipFile, UnicodeError):
        _refuse({"code": "file_unreadable", "params": {}})


def _refuse(message: dict[str, Any]) -> None:
    _send({"rejected_file": message})


def _send_table(path: Path) -> None:
    table = open_table(path)
    _send({"sheet": table.sheet})
    for row in table.rows:
        _send(row)
    _send({"end": True})


def _send(value: Any) -> None:
    _send_line(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=cell_text))


def _send_line(line: str) -> None:
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
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
