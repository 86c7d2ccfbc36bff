"""A table that is given away as a file: its cells, and the port through which services write one."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

WrittenCell = str | int | Decimal | datetime | None
"""A `str` is a text, whatever it begins with, and never a formula; a `datetime` is naive: a time on some wall."""

WrittenRow = Sequence[WrittenCell]


class WrittenSheet(NamedTuple):
    """`chunks` are asked for as they are written, so nobody ever holds all the rows. The first row is the header."""

    name: str
    chunks: AsyncGenerator[Sequence[WrittenRow], None]


class TableFile(Protocol):
    """A format in which a table is written."""

    def blocks(self, sheets: Sequence[WrittenSheet]) -> AsyncGenerator[bytes, None]:
        """The file's bytes, block by block. To be closed by whoever does not read to the end.

        What the sheets raise is raised; then what was read so far is no file. Before the first block it may raise
        TooManyRequests, if too many are being written, or Unavailable, if there is no room for this one.
        """
        ...


async def in_one_chunk(rows: Sequence[WrittenRow]) -> AsyncGenerator[Sequence[WrittenRow], None]:
    """The chunks of a sheet so small that it is there already."""
    yield rows
