"""The tables of the engine beside its rivals, and what may be asked for. The rivals themselves are run by hand."""

from pathlib import Path

import pytest
import typer

from benchmarks.rivals.figures import Case, Measurement, Medians, medians, remember, remembered, tables
from benchmarks.rivals.measuring import due_in
from benchmarks.rivals.python_rivals import kinds
from benchmarks.rivals.report import parse_cases, parse_names


def measured(system: str, seconds: float, *, size: int = 1000, mix: str = "due", batches: int = 1) -> Measurement:
    return Measurement(system, mix, size, batches, 100, seconds, server_ms=seconds, worker_ms=2 * seconds, load=0.5)


def test_medians_of_each_system_in_each_case() -> None:
    found = medians([measured("us", 1), measured("us", 4), measured("us", 2), measured("us", 1, size=5000)])

    assert found[Case("due", 1000, 1), "us"] == Medians(50, 2, 4, rounds=3, seconds=7)
    assert found[Case("due", 5000, 1), "us"].rounds == 1


def test_the_tables_name_the_quickest_and_what_is_missing() -> None:
    figures = [
        measured("us", 50, mix="future", size=100_000),
        measured("us", 1),
        measured("them", 2),
        measured("us", 1, batches=200),
    ]
    lines = tables(figures, ["us", "them", "others"], {"others": "not installed: others-server"}).splitlines()

    assert "| 1,000 due | **100** | 50 | – |" in lines
    assert "| 1,000 due | 1 + 2 | 2 + 4 | – |" in lines
    assert "| 1,000 due, 200 batches | **100** | – | – |" in lines
    assert "| 100,000 future | **2.0** | – | – |" in lines
    assert lines.count("| 1,000 due | 100% | 100% | – |") == 1
    assert "Not run: others: not installed: others-server" in lines
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| 1")] == [
        "1,000 due", "1,000 due, 200 batches", "100,000 future",
    ] * 3  # fmt: skip


def test_how_flat_each_system_is() -> None:
    figures = [
        measured("us", 1),
        measured("us", 2, size=5000),
        measured("them", 4, size=5000),
        measured("us", 5, batches=2),
    ]
    lines = tables(figures, ["us", "them"], {}).splitlines()

    assert {"| 1,000 due | 100% | – |", "| 5,000 due | 50% | 100% |", "| 1,000 due, 2 batches | 100% | – |"} <= {*lines}


def test_without_figures_there_are_only_heads() -> None:
    assert tables([], ["us"], {}).count("\n| ---") == 3


def test_figures_of_several_runs_make_one_table(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert remembered(path) == []
    remember(path, measured("us", 1))
    remember(path, measured("them", 2))

    assert remembered(path) == [measured("us", 1), measured("them", 2)]


def test_cases_are_sizes_within_batches_within_mixes() -> None:
    assert parse_cases("1k,2k", "due,future", "1,200") == [
        Case("due", 1000, 1),
        Case("due", 2000, 1),
        Case("due", 1000, 200),
        Case("due", 2000, 200),
        Case("future", 1000, 1),
        Case("future", 2000, 1),
        Case("future", 1000, 200),
        Case("future", 2000, 200),
    ]


@pytest.mark.parametrize(
    ("sizes", "mixes", "batches"), [("1x", "due", "1"), ("1k", "late", "1"), ("1k", "due", "many"), ("1k", "due", "0")]
)
def test_cases_that_cannot_be(sizes: str, mixes: str, batches: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_cases(sizes, mixes, batches)


def test_systems_by_name() -> None:
    assert parse_names("cadencia, ARQ", ["Cadencia", "arq"]) == ["Cadencia", "arq"]
    with pytest.raises(typer.BadParameter):
        parse_names("celery", ["Cadencia", "arq"])


@pytest.mark.parametrize(("due", "others"), [(3, 9), (4500, 100_000), (5, 0), (0, 5)])
def test_due_jobs_are_spread_evenly(due: int, others: int) -> None:
    written = [kind for chunk in kinds(due, others, "future") for kind in chunk]

    assert (written.count("due"), written.count("future")) == (due, others)
    half = written[: len(written) // 2].count("due")
    assert abs(half - due / 2) <= 1


def test_what_is_due() -> None:
    assert due_in(Case("due", 5000, 1)) == 5000
    assert due_in(Case("future", 1_000_000, 1)) == due_in(Case("finished", 1000, 1))
