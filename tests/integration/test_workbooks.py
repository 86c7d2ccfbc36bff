"""Workbooks as they are written for downloads: in a child process, row by row, every text a text."""

import asyncio
import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import psutil
import pytest

from app.domain.errors import DatabaseUnavailable, TooManyRequests, Unavailable
from app.domain.tables_written import WrittenRow, WrittenSheet, in_one_chunk
from app.integrations.spreadsheets.workbook_files import Workbooks
from app.integrations.spreadsheets.workbook_writer import WorkbookWriter

HOSTILE = [
    "=1+1",
    '=HYPERLINK("http://malo")',
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1+1",
    "{=1}",
    "#N/A",
    "#REF!",
    "TRUE",
    "007",
    "1e5",
    "2026-11-23",
    "12:30",
    "50%",
    "+56912345678",
    "http://malo",
]


async def content_of(workbooks: Workbooks, *sheets: WrittenSheet) -> bytes:
    return b"".join([block async for block in workbooks.blocks(sheets)])


def cells(content: bytes) -> list[list[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return [list(row) for sheet in book.worksheets for row in sheet.iter_rows()]


async def test_no_text_is_ever_a_formula() -> None:
    sheet = WrittenSheet("Datos", in_one_chunk([HOSTILE, HOSTILE]))
    header, row = cells(await content_of(Workbooks(at_once=1), sheet))
    for line in (header, row):
        # "\r" ends a line in XML, whoever wrote it.
        assert [cell.value for cell in line] == [text.replace("\r", "\n") for text in HOSTILE]
        assert {cell.data_type for cell in line} <= {"s", "inlineStr"}
        assert all(cell.hyperlink is None for cell in line)
        assert {cell.number_format for cell in line} == {"@"}
    assert all(cell.font.bold for cell in header)
    assert not any(cell.font.bold for cell in row)


async def test_numbers_and_times_are_what_they_are() -> None:
    at = datetime(2026, 11, 23, 9, 30, 15)  # noqa: DTZ001 - on some wall
    rows: list[WrittenRow] = [["A", "B", "C", "D", "E"], [2, Decimal("1.50"), at, None, ""]]
    _, row = cells(await content_of(Workbooks(at_once=1), WrittenSheet("Datos", in_one_chunk(rows))))
    assert [cell.value for cell in row] == [2, 1.5, at, None, None][: len(row)]
    assert [cell.data_type for cell in row[:3]] == ["n", "n", "d"]


async def test_what_xml_or_excel_cannot_hold() -> None:
    texts = ["a\x00b\x0bc\ud800d\uffffe", "_x0041_", "x" * 40_000, " a ", "dos\nlíneas", "<&>😀"]
    _, row = cells(await content_of(Workbooks(at_once=1), WrittenSheet("Datos", in_one_chunk([["H"], texts]))))
    # Excel shows the second as it was; openpyxl leaves its escapes.
    expected = ["abcde", "_x005F_x0041_", "x" * 32_766 + "…", " a ", "dos\nlíneas", "<&>😀"]
    # A lone surrogate is replaced on its way to the child.
    assert [cell.value for cell in row] == [expected[0].replace("cd", "c?d"), *expected[1:]]


def test_a_full_sheet_goes_on_as_another_one() -> None:
    file = io.BytesIO()
    with WorkbookWriter(file, most_rows=3) as book:
        book.begin_sheet("Datos", ["N"])
        book.add_rows([[number] for number in range(5)])
        book.begin_sheet("Otra", ["M"])
    read = openpyxl.load_workbook(file)
    found = {sheet.title: [row[0] for row in sheet.iter_rows(values_only=True)] for sheet in read.worksheets}
    assert found == {"Datos": ["N", 0, 1], "Datos 2": ["N", 2, 3], "Datos 3": ["N", 4], "Otra": ["M"]}


class Rows:
    """Chunks that count how often they are asked for, and may fail or wait half-way."""

    def __init__(self, chunks: int, *, fails_after: int | None = None, waits_after: int | None = None) -> None:
        self.asked = 0
        self.closed = False
        self.begun, self.waiting, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._chunks = chunks
        self._fails_after = fails_after
        self._waits_after = waits_after

    async def chunks(self) -> AsyncGenerator[Sequence[WrittenRow], None]:
        try:
            yield [["N"]]
            for number in range(self._chunks):
                self.asked += 1
                self.begun.set()
                if number == self._fails_after:
                    raise DatabaseUnavailable
                if number == self._waits_after:
                    self.waiting.set()
                    await self.go_on.wait()
                yield [[number]] * 10
        finally:
            self.closed = True


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children() if "workbook_child" in " ".join(child.cmdline())}


def traces(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


async def test_the_rows_are_asked_for_as_fast_as_they_are_written(temporary: Path) -> None:
    """A child that does not read stops the asking, after what the pipe and a chunk hold."""
    rows = Rows(100_000)
    workbooks = Workbooks(at_once=1)
    writing = asyncio.create_task(content_of(workbooks, WrittenSheet("Datos", rows.chunks())))
    await rows.begun.wait()
    (child,) = children()
    psutil.Process(child).suspend()
    before = -1
    while before != rows.asked or not before:
        before = rows.asked
        await asyncio.sleep(0.3)
    assert rows.asked < 20_000
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert rows.closed
    assert not children()
    assert traces(temporary) == []


async def test_who_goes_away_leaves_nothing_behind(temporary: Path) -> None:
    rows = Rows(10, waits_after=5)
    workbooks = Workbooks(at_once=1)
    writing = asyncio.create_task(content_of(workbooks, WrittenSheet("Datos", rows.chunks())))
    await rows.waiting.wait()
    assert children()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert rows.closed
    assert not children()
    assert traces(temporary) == []
    # And its turn is free.
    assert await content_of(workbooks, WrittenSheet("Datos", in_one_chunk([["A"]])))


async def test_rows_that_fail_make_no_workbook(temporary: Path) -> None:
    blocks = Workbooks(at_once=1).blocks([WrittenSheet("Datos", Rows(10, fails_after=5).chunks())])
    async with aclosing(blocks):
        with pytest.raises(DatabaseUnavailable):
            await anext(blocks)
    assert not children()
    assert traces(temporary) == []


async def test_a_child_that_dies_makes_no_workbook() -> None:
    rows = Rows(10_000, waits_after=5)
    writing = asyncio.create_task(content_of(Workbooks(at_once=1), WrittenSheet("Datos", rows.chunks())))
    await rows.waiting.wait()
    (child,) = children()
    psutil.Process(child).kill()
    rows.go_on.set()
    with pytest.raises(Unavailable, match="file_not_written"):
        await writing
    assert rows.closed


async def test_only_so_many_are_written_at_once() -> None:
    rows = Rows(10, waits_after=5)
    workbooks = Workbooks(at_once=1, patience_seconds=0.05)
    writing = asyncio.create_task(content_of(workbooks, WrittenSheet("Datos", rows.chunks())))
    await rows.waiting.wait()
    with pytest.raises(TooManyRequests) as refused:
        await content_of(workbooks, WrittenSheet("Datos", in_one_chunk([["A"]])))
    assert refused.value.code == "too_many_files"
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_a_broken_child_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(Unavailable, match="file_not_written"):
        await content_of(Workbooks(at_once=1), WrittenSheet("Datos", in_one_chunk([["A"]] * 10_000)))
