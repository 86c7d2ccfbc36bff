"""Text files of values: the encoding and the separator are guessed, for nothing in the file tells them.

Measured: general detectors take Spanish Windows text for cp1250 and turn ñ into ń; csv.Sniffer gives up on one column.
"""

import codecs
import csv
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from app.domain.errors import SpreadsheetRejected
from app.domain.tables import Row, filled_rows

_DELIMITERS = (";", ",", "\t", "|")
_SAMPLE_RECORDS = 20
_LONGEST_FIELD = 131_072

# UTF-32 first: its little-endian mark begins with UTF-16's.
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SPANISH = "áéíóúñÁÉÍÓÚÑüãçõ"
# Bytes that are quotes and dashes on Windows ("O’Higgins") are no evidence for the Macintosh.
_WINDOWS_PUNCTUATION = "‘’“”–—…•".encode("cp1252")


def read_rows(path: Path) -> Iterator[Row]:
    """The rows that are not blank, numbered as a spreadsheet program would number them.

    Raises SpreadsheetRejected `csv_malformed`, which names the row, for quotes that do not close.
    """
    encoding = guess_encoding(path.read_bytes())
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        delimiter = _take_separator_line(file) or guess_delimiter(file)
        yield from filled_rows(_records(csv.reader(file, delimiter=delimiter)))


def guess_encoding(content: bytes) -> str:
    """A byte order mark, else UTF-8 if it is, else the code page in which most bytes are Spanish letters."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return encoding
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        counts = Counter(content)
        # The first wins a tie.
        return max(("cp1252", "cp850", "mac_roman"), key=lambda encoding: _votes(counts, encoding))
    return "utf-8"


def guess_delimiter(file: TextIO) -> str:
    """The one that divides most of the first records into the same number of fields; "," for a single column."""
    start = file.tell()
    best, best_score = ",", (0, 0)
    for delimiter in _DELIMITERS:
        score = _regularity(file, delimiter)
        file.seek(start)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _votes(counts: Counter[int], encoding: str) -> int:
    letters = set(_SPANISH.encode(encoding))
    if encoding == "mac_roman":
        letters -= set(_WINDOWS_PUNCTUATION)
    return sum(counts[byte] for byte in letters)


def _take_separator_line(file: TextIO) -> str | None:
    """The separator that a first line "sep=;" (Excel's own convention) names; else the file is left at its start."""
    start = file.tell()
    line = file.readline(16).strip().strip('"')
    if line[:4].lower() == "sep=" and len(line) <= 5:
        return line[4:] or "\t"
    file.seek(start)
    return None


def _regularity(file: TextIO, delimiter: str) -> tuple[int, int]:
    """How many of the first records agree on the number of separators, and that number; (0, 0) if it is none."""
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        records = list(islice(csv.reader(file, delimiter=delimiter), _SAMPLE_RECORDS))
    except csv.Error:
        return (0, 0)
    counts = Counter(len(record) - 1 for record in records if len(record) > 1)
    return max(((rows, count) for count, rows in counts.items()), default=(0, 0))


def _records(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    csv.field_size_limit(_LONGEST_FIELD)
    number = 1
    try:
        for record in reader:
            yield record
            number += 1
    except csv.Error as error:
        raise SpreadsheetRejected("csv_malformed", row=number) from error
