"""In the child: a contact list understood row by row, and sent in pieces (see child.py for the lines)."""

import json
from collections.abc import Callable
from typing import Any

from app.domain.contact_import import read_rows
from app.domain.contact_list import ListOrder, ListSummary, RejectedRow
from app.domain.contact_sheet import understand
from app.domain.contacts import person_keys
from app.domain.tables import Table

PIECE_ROWS = 1000
"""Rows in a piece, which becomes one document."""
PIECE_CHARS = 1024 * 1024
"""Characters after which a piece ends early: with the last row far below the 16 MB of a document."""

MOST_REJECTED_CHARS = 64 * 1024 * 1024
"""Of rejected rows so much is kept for the file of errors; what is beyond is counted."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Send = Callable[[str], None]


def send_list(table: Table, order: ListOrder, send: Send) -> None:
    """Raises SpreadsheetRejected or InvalidInput before anything is sent."""
    mapping, data = understand(table, order.choices)
    summary = ListSummary(sheet=table.sheet, country=order.country, mapping=mapping)
    contacts, rejected = _Piece("contacts", send), _Piece("rejected", send)
    for read in read_rows(mapping, data, order.country):
        summary.count(read)
        if read.contact:
            fields = read.contact.model_dump(exclude_none=True)
            contacts.add([read.row.number, fields, person_keys(read.contact)])
        elif rejected.sent_chars < MOST_REJECTED_CHARS:
            rejected.add(RejectedRow.of(read).model_dump(mode="json"))
    contacts.end()
    rejected.end()
    send('{"list":' + summary.model_dump_json() + "}")


class _Piece:
    def __init__(self, name: str, send: Send) -> None:
        self._name = name
        self._send = send
        self._rows: list[str] = []
        self._chars = 0
        self.sent_chars = 0

    def add(self, row: Any) -> None:
        text = _ENCODER.encode(row)
        self._rows.append(text)
        self._chars += len(text)
        if len(self._rows) >= PIECE_ROWS or self._chars >= PIECE_CHARS:
            self.end()

    def end(self) -> None:
        if self._rows:
            self._send(f'{{"{self._name}":[{",".join(self._rows)}]}}')
            self.sent_chars += self._chars
        self._rows, self._chars = [], 0
