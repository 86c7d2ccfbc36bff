"""`make bench`: every part has its share of the time, and none ends another. No test asserts a time."""

import asyncio
from pathlib import Path

import pytest
import typer

from benchmarks import drafts
from benchmarks.__main__ import Part, _chosen, measure_all
from benchmarks.drafts import Draft


async def good(draft: Draft) -> None:
    draft.write("## Good\n\n| 1 |")


async def endless(draft: Draft) -> None:
    draft.write("## Endless\n\n| the first row |")
    await asyncio.Event().wait()


async def broken(_: Draft) -> None:
    raise RuntimeError("no mongod")


@pytest.fixture(autouse=True)
def _logging_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "configure_logging", lambda *_: None)


def test_a_part_that_fails_or_takes_too_long_ends_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure_all([Part("endless", 1, endless), Part("broken", 1, broken), Part("good", 1, good)], 0.005, tmp_path)

    printed = capsys.readouterr().out
    assert printed == "".join((tmp_path / f"{name}.md").read_text() for name in ("endless", "broken", "good"))
    assert "| the first row |\n\nNot all of it: broken off after 0.0 minutes." in printed
    assert "## broken\n\nNot all of it: not finished: RuntimeError: no mongod." in printed
    assert printed.endswith("## Good\n\n| 1 |\n")


def test_what_a_part_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    ended: list[str] = []

    async def left() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("left")

    async def careless(draft: Draft) -> None:
        draft.write(str(asyncio.create_task(left())))
        await asyncio.sleep(0)
        raise RuntimeError("gone")

    measure_all([Part("careless", 1, careless)], 1, tmp_path)

    assert ended == ["left"]


def test_parts_by_name() -> None:
    parts = [Part("one", 1, good), Part("two", 1, good)]

    assert _chosen(parts, "") == parts
    assert _chosen(parts, "two") == parts[1:]
    with pytest.raises(typer.BadParameter, match="no part is named three"):
        _chosen(parts, "one,three")
