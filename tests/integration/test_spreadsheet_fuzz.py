"""Broken files of every format: whatever they do to the child, this process gets a list or a refusal, and goes on.

A few of each kind here; for many: `make test ARGS="tests/integration/test_spreadsheet_fuzz.py --fuzz-rounds=500"`.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from app.domain.contact_list import ListOrder, ListSummary
from app.domain.errors import SpreadsheetRejected
from app.domain.messages import CATALOGUE
from app.integrations.spreadsheets.files import SpreadsheetFiles
from tests.spreadsheets import OLE2, Taken, bytes_of_parts, ods, xls, xlsx, zipped

ROWS = [["Nombre", "Teléfono", "Nota"], *([f"Año {n}", f"+5698765{n:04}", "x" * n] for n in range(30))]
KNOWN = frozenset(CATALOGUE)


def csv_file() -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows(ROWS)
    return text.getvalue().encode("cp1252")


SOUND = {"xlsx": xlsx(*ROWS), "ods": ods(*ROWS), "xls": xls(*ROWS), "csv": csv_file()}


def cut(content: bytes, chance: Random) -> bytes:
    return content[: chance.randrange(1, len(content))]


def flip(content: bytes, chance: Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(chance.choice((1, 4, 16)) if flipped else 0):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def shuffle(content: bytes, chance: Random) -> bytes:
    """Some of it twice, some of it nowhere."""
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    place = chance.randrange(len(content) + 1)
    return content[:place] + content[start:end] + content[place + chance.randrange(40) :]


def spoil(content: bytes, chance: Random) -> bytes:
    """What is typed and pasted into lists, at any place."""
    for _ in range(chance.choice((1, 5, 50))):
        place = chance.randrange(len(content) + 1)
        noise = chance.choice(
            (b'"', b"'", b";", b",", b"\t", b"\n", b"\r", b"\0", b"\xff", b"=1+1", b'";"', b"\xef\xbb\xbf")
        )
        content = content[:place] + noise + content[place:]
    return content


def in_a_part(break_it: Callable[[bytes, Random], bytes]) -> Callable[[bytes, Random], bytes]:
    """Break one part of a zip that is sound otherwise, check sums and all: what is broken reaches the parser."""

    def breaking(content: bytes, chance: Random) -> bytes:
        parts = bytes_of_parts(content)
        name = chance.choice(sorted(parts))
        return zipped({**parts, name: break_it(parts[name], chance)})

    return breaking


def swap(content: bytes, chance: Random) -> bytes:
    """Two parts under each other's names."""
    parts = bytes_of_parts(content)
    one, other = chance.sample(sorted(parts), 2)
    return zipped({**parts, one: parts[other], other: parts[one]})


def leave_out(content: bytes, chance: Random) -> bytes:
    parts = bytes_of_parts(content)
    del parts[chance.choice(sorted(parts))]
    return zipped(parts)


OF_A_ZIP = (in_a_part(flip), in_a_part(cut), in_a_part(shuffle), swap, leave_out)
BREAKINGS = {
    "xlsx": (cut, flip, *OF_A_ZIP),
    "ods": (cut, flip, *OF_A_ZIP),
    "xls": (cut, flip, shuffle),
    "csv": (cut, flip, shuffle, spoil),
}
CASES = [(kind, number) for kind, breakings in BREAKINGS.items() for number in range(len(breakings))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--fuzz-rounds")))


async def outcome(content: bytes | Path) -> ListSummary | str:
    try:
        return await SpreadsheetFiles(wall_seconds=30).read_list(content, "x", ListOrder(country="CL"), Taken())
    except SpreadsheetRejected as rejected:
        return rejected.code if rejected.message.render("es") else "silent"


@pytest.mark.parametrize("kind", SOUND)
async def test_the_sound_file_is_read(kind: str) -> None:
    found = await outcome(SOUND[kind])
    assert isinstance(found, ListSummary)
    assert (found.valid_rows, found.invalid_rows) == (30, 0)


@pytest.mark.parametrize(("kind", "number"), CASES)
async def test_a_broken_file_is_a_list_or_refused(kind: str, number: int, seed: int) -> None:
    breaking = BREAKINGS[kind][number]
    found = await outcome(breaking(SOUND[kind], Random(f"{kind} {number} {seed}")))
    assert isinstance(found, ListSummary) or found in KNOWN
    if breaking is cut and kind in ("xlsx", "ods"):
        assert isinstance(found, str), "half a workbook passed for a whole one"


@pytest.mark.parametrize(
    "head", [b"", b"PK\x03\x04", OLE2, OLE2 + "Workbook".encode("utf-16-le"), b"\xff\xfe", b"sep=;"]
)
async def test_noise(head: bytes) -> None:
    found = await outcome(head + Random(len(head)).randbytes(20_000))
    assert isinstance(found, str), "noise passed for a list"
    assert found in KNOWN
