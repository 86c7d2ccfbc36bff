"""The records of one sheet of an .xls, for what calamine does not tell of it.

An .xls is a file system in a file ([MS-CFB]), of which one stream is a row of records ([MS-XLS]): two bytes of type,
two of length, and so many more. Call this only in the child: a hostile file makes it take long.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

Record = tuple[int, bytes]

_ENTRY_BYTES = 128
_STREAMS = ("workbook", "book")
_ROOT = 5
_LAST_SECTOR = 0xFFFF_FFFA
"""This one and those above are marks."""

_BOF, _EOF, _SHEET = 0x0809, 0x000A, 0x0085
_EXCEL_97 = 0x0600


def records_of(path: Path, sheet: str) -> Iterator[Record]:
    """What the sheet of that name consists of, without charts in it. Raises ValueError, struct.error or IndexError for
    a file that is not put together as these are."""
    stream = _workbook(path.read_bytes())
    begin = next(begin for name, begin in _sheets(stream) if name == sheet)
    depth = 0
    for kind, data in _records(stream, begin):
        depth += (kind == _BOF) - (kind == _EOF)
        if depth == 0:
            return
        if depth == 1:
            yield kind, data


def _records(stream: bytes, at: int) -> Iterator[Record]:
    end = len(stream) - 4
    while at <= end:
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


def _sheets(stream: bytes) -> Iterator[tuple[str, int]]:
    """Name and beginning of each. Raises ValueError after the last one."""
    is_97 = True
    for kind, data in _records(stream, 0):
        if kind == _BOF:
            is_97 = struct.unpack_from("<H", data)[0] == _EXCEL_97
        elif kind == _SHEET:
            length, name = data[6], data[7:]
            wide = is_97 and name[0] & 1
            text = name[is_97 : is_97 + length * (2 if wide else 1)]
            yield (
                text.decode("utf-16-le" if wide else "latin-1" if is_97 else "cp1252"),
                *struct.unpack_from("<I", data),
            )
        elif kind == _EOF:
            break
    raise ValueError("no such sheet")


def _workbook(file: bytes) -> bytes:
    """The stream of that name; it lies in sectors that a table chains together."""
    shift, small_shift = struct.unpack_from("<HH", file, 0x1E)
    directory, small_below, small_table = (struct.unpack_from("<I", file, at)[0] for at in (0x30, 0x38, 0x3C))
    if not (7 <= shift <= 16 and small_shift <= shift):
        raise ValueError("no such sectors")
    size = 1 << shift

    def sector(number: int) -> bytes:
        return file[(number + 1) * size : (number + 2) * size]

    def joined(first: int) -> bytes:
        return b"".join(map(sector, _chain(table, first)))

    table = [number for part in _table_sectors(file, size) for number in _numbers(sector(part))]
    entries = joined(directory)
    streams: dict[str, tuple[int, int]] = {}
    root = _LAST_SECTOR
    for at in range(0, len(entries) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
        length, kind = struct.unpack_from("<HB", entries, at + 0x40)
        first, stream_size = struct.unpack_from("<II", entries, at + 0x74)
        name = entries[at : at + max(length - 2, 0)].decode("utf-16-le", errors="replace").lower()
        streams[name] = first, stream_size
        root = first if kind == _ROOT else root
    found = [streams[name] for name in _STREAMS if name in streams]
    first, stream_size = found[0]
    if stream_size >= small_below:
        return joined(first)[:stream_size]
    small_sectors, small_size = joined(root), 1 << small_shift
    chain = _chain(_numbers(joined(small_table)), first)
    return b"".join(small_sectors[n * small_size : (n + 1) * small_size] for n in chain)[:stream_size]


def _table_sectors(file: bytes, size: int) -> Iterator[int]:
    """Where the table of sectors is: the first 109 in the header, the others in sectors of their own."""
    yield from (number for number in struct.unpack_from("<109I", file, 0x4C) if number < _LAST_SECTOR)
    more: int = struct.unpack_from("<I", file, 0x44)[0]
    for _ in range(len(file) // size):
        if more >= _LAST_SECTOR:
            return
        *numbers, more = _numbers(file[(more + 1) * size : (more + 2) * size])
        yield from (number for number in numbers if number < _LAST_SECTOR)


def _numbers(part: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(part) // 4}I", part[: len(part) // 4 * 4])


def _chain(table: list[int] | tuple[int, ...], first: int) -> Iterator[int]:
    for _ in range(len(table) + 1):
        if first >= _LAST_SECTOR:
            return
        yield first
        first = table[first]
    raise ValueError("a chain without end")
