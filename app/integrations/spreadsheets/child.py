"""The process in which one upload is read: `python -m app.integrations.spreadsheets.child KIND FILE ORDER`.

A 2.4 KB workbook can make the parser abort its process, so it gets one of its own, with limits the kernel keeps; and
a long list takes seconds of computation, for which the API's event loop should not wait.

KIND is `contacts` or `numbers` (do not call), ORDER a ListOrder as JSON. Standard output carries one JSON value a line,
with the rows behind a tab that are passed on unread. Of contacts:

    {"contacts": [[4, ["id:…", "+569…"]], …]} TAB [[4, {"name": …}], …]   a ContactPiece
    {"rejected": …} TAB [{"row_number": 5, …}, …]                         RejectedRows
    {"list": {…}}                                                         last: the ListSummary

Of numbers:

    {"numbers": ["+569…", …]}
    {"list": {…}}                                                         last: the NumberSummary

Of either, instead of the last, if it is refused:

    {"rejected_file": {"code": "file_is_pdf", "params": {}}}
    {"invalid": [{"loc": ["column_mapping", "Fono"], "message": {…}}]}

Anything else, and any exit status but 0, means that the file broke the reader.
"""

import gc
import sys
import zipfile
from pathlib import Path
from typing import Any

from pydantic_core import to_json
from python_calamine import CalamineError, PasswordError

from app.domain.contact_list import ListOrder
from app.domain.errors import InvalidInput, SpreadsheetRejected
from app.integrations.spreadsheets.list_sender import Send, send_list, send_numbers
from app.integrations.spreadsheets.reader import read_table

# A list of 500,000 rows by 8 columns takes 0.8 GiB and 25 s here.
MEMORY_BYTES = 3 * 1024**3 // 2
CPU_SECONDS = 50


def main(kind: str, path: Path, order: ListOrder) -> None:
    _limit_resources()
    gc.disable()  # a fifth of the time: it would go through the whole table again and again, which has no cycles
    answer(kind, path, order, _send)


def answer(kind: str, path: Path, order: ListOrder, send: Send) -> None:
    """All that is said of a file; what raises here broke the reader."""
    try:
        table = read_table(path, order.choices)
        if kind == "numbers":
            send_numbers(table, order, send)
        else:
            send_list(table, order, send)
    except SpreadsheetRejected as rejected:
        send({"rejected_file": rejected.message})
    except InvalidInput as invalid:
        send({"invalid": invalid.errors})
    except PasswordError:
        send({"rejected_file": {"code": "file_password_protected", "params": {}}})
    except (CalamineError, zipfile.BadZipFile, UnicodeError):
        send({"rejected_file": {"code": "file_unreadable", "params": {}}})


def _send(said: dict[str, Any], rows: bytes = b"") -> None:
    sys.stdout.buffer.write(to_json(said) + b"\t" + rows + b"\n")


def _limit_resources() -> None:
    if sys.platform == "win32":  # no such limits there; the parent's time-out remains
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), ListOrder.model_validate_json(sys.argv[3]))
