"""In the child: a list understood row by row, and sent in pieces (see child.py for the lines)."""

from typing import Any, Protocol

from pydantic_core import to_json

from app.domain.contact_import import read_rows
from app.domain.contact_list import ListOrder, ListSummary, RejectedRow
from app.domain.contact_sheet import shown_rows, understand
from app.domain.contacts import keys_of_person
from app.domain.do_not_call_import import NumberSummary, read_numbers
from app.domain.tables import Table

PIECE_ROWS = 1000
"""Rows in a piece, which becomes one document."""
PIECE_BYTES = 1024 * 1024
"""Bytes after which a piece ends early: with the last row far below the 16 MB of a document."""

MOST_REJECTED_BYTES = 64 * 1024 * 1024
"""Of rejected rows so much is kept for the file of errors; what is beyond is counted."""


class Send(Protocol):
    def __call__(self, said: dict[str, Any], rows: bytes = b"", /) -> None: ...


def send_list(table: Table, order: ListOrder, send: Send) -> None:
    """Raises SpreadsheetRejected or InvalidInput before anything is sent."""
    mapping, rows = understand(table, order.choices)
    mapping, data = (mapping, rows) if order.include_hidden_rows else shown_rows(table, mapping, rows)
    hidden = len(rows) - len(data)
    summary = ListSummary(
        sheet=table.sheet, country=order.country, mapping=mapping, total_rows=hidden, hidden_rows=hidden
    )
    contacts, rejected = _Piece("contacts", send), _Piece("rejected", send)
    kept: dict[str, int] = {}
    for read in read_rows(mapping, data, order.country):
        number, fields = read.row.number, read.fields
        keys = keys_of_person(fields.get("dni"), fields["phones"]) if fields else []
        twin = next((kept[key] for key in keys if key in kept), None) if kept else None
        summary.count(read, twin)
        if fields and twin is None:
            if order.skip_duplicates:
                kept.update(dict.fromkeys(keys, number))
            contacts.add((number, fields), (number, keys))
        elif fields is None and rejected.sent_bytes < MOST_REJECTED_BYTES:
            rejected.add(RejectedRow.of(read))
    contacts.end()
    rejected.end()
    send({"list": summary})


def send_numbers(table: Table, order: ListOrder, send: Send) -> None:
    """Each number of a do-not-call file once, those of hidden rows too: better one call less. Raises
    SpreadsheetRejected before anything is sent."""
    summary = NumberSummary()
    seen: set[str] = set()
    piece: list[str] = []
    for row in read_numbers(table, country=order.country):
        summary.count(row)
        new = [phone for phone in row.phones if phone not in seen]
        seen.update(new)
        piece += new
        if len(piece) >= PIECE_ROWS:
            send({"numbers": piece})
            piece = []
    if piece:
        send({"numbers": piece})
    summary.numbers = len(seen)
    send({"list": summary})


class _Piece:
    """Collects rows, and what is said of each before all of them."""

    def __init__(self, name: str, send: Send) -> None:
        self._name = name
        self._send = send
        self._begin()
        self.sent_bytes = 0

    def add(self, row: Any, head: Any = None) -> None:
        text = to_json(row)
        self._rows.append(text)
        self._heads.append(head)
        self._bytes += len(text)
        if len(self._rows) >= PIECE_ROWS or self._bytes >= PIECE_BYTES:
            self.end()

    def end(self) -> None:
        if self._rows:
            self._send({self._name: self._heads}, b"[" + b",".join(self._rows) + b"]")
            self.sent_bytes += self._bytes
            self._begin()

    def _begin(self) -> None:
        self._rows: list[bytes] = []
        self._heads: list[Any] = []
        self._bytes = 0
