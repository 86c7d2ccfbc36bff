"""Tables as CSV, sent while they are made, as Excel opens them: UTF-8 with its mark, CRLF.

A spreadsheet program runs a text that begins with = + - or @ as a formula (OWASP, "CSV Injection"), and CSV has no way
to say that it is a text. So an apostrophe goes before it, unless it is just a number or a telephone in E.164. The
program may split at another separator than ours, so the same holds for what follows one inside a text.
"""

import csv
import io
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from decimal import Decimal
from typing import Literal

from app.domain.tables_written import WrittenCell, WrittenRow, WrittenSheet
from app.integrations.spreadsheets.turns import Turns

MEDIA_TYPE = "text/csv; charset=utf-8"
Separator = Literal[";", ","]

_NEVER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BREAKS = r";,|\t\r\n"
_JUST_A_NUMBER = rf"[+-]?\d+(?:[.,]\d+)?(?:$|[{_BREAKS}])"
_RISKY = re.compile(rf"^(?=[\t\r\n])|(?:^|[{_BREAKS}])[\" \u00a0]*(?=[=+\-@＝＋－＠])(?!{_JUST_A_NUMBER})", re.ASCII)


class CsvFiles:
    """CSV in any dialect; so many at once, whatever the dialect."""

    def __init__(self, *, at_once: int, patience_seconds: float = 10) -> None:
        self._turns = Turns(at_once, patience_seconds)

    def separated_by(self, separator: Separator) -> "CsvFile":
        return CsvFile(self._turns, separator)


class CsvFile:
    """A TableFile (app.domain.tables_written): the first sheet as CSV.

    Where ";" separates, "," is the decimal sign: so it is in the countries whose Excel expects ";".
    """

    def __init__(self, turns: Turns, separator: Separator) -> None:
        self._turns = turns
        self._separator = separator

    async def blocks(self, sheets: Sequence[WrittenSheet]) -> AsyncGenerator[bytes, None]:
        """See TableFile: a block for each chunk of rows, when it is asked for."""
        async with self._turns.turn(), aclosing(sheets[0].chunks) as chunks:
            mark = "\ufeff"
            async for rows in chunks:
                yield (mark + self._lines(rows)).encode(errors="replace")
                mark = ""

    def _lines(self, rows: Sequence[WrittenRow]) -> str:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self._separator)
        writer.writerows([self._cell(cell) for cell in row] for row in rows)
        return text.getvalue()

    def _cell(self, cell: WrittenCell) -> str:
        match cell:
            case None:
                return ""
            case str():
                return harmless(cell)
            case datetime():
                return f"{cell:%Y-%m-%d %H:%M:%S}"
            case Decimal():
                plain = f"{cell:f}"
                return plain.replace(".", ",") if self._separator == ";" else plain
            case _:
                return str(cell)


def harmless(text: str) -> str:
    """The text, with an apostrophe wherever a spreadsheet program would begin a formula, and without controls."""
    return _RISKY.sub(lambda found: found.group() + "'", _NEVER.sub("", text))
