"""The table of a batch's results: its columns and their order."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.messages import Language
from app.domain.outcomes import Disposition
from app.domain.results import Line, ResultColumn, ResultTable, Shape, merged
from app.services.jobs import ShownStatus
from tests.builders import make_job, make_record

SHEET = "abcdefg"


@given(st.lists(st.sets(st.sampled_from(SHEET)).map(lambda names: sorted(names)), max_size=8))
def test_columns_come_in_the_order_of_the_sheet_as_far_as_rows_tell(rows: list[list[str]]) -> None:
    """Each row leaves out what is empty in it."""
    found = merged(rows)
    assert sorted(found) == sorted({name for row in rows for name in row})
    for row in rows:
        assert [name for name in found if name in row] == row


@given(st.lists(st.sets(st.sampled_from(SHEET)).map(lambda names: sorted(names)), max_size=8))
def test_one_full_row_says_it_all(rows: list[list[str]]) -> None:
    assert merged([*rows, list(SHEET)]) == list(SHEET)


def test_orders_that_contradict_one_another_lose_no_column() -> None:
    assert sorted(merged(permutations("abc"))) == ["a", "b", "c"]


@pytest.mark.parametrize("language", ["es", "en"])
def test_every_column_has_a_header_and_cells_below_it(language: Language) -> None:
    shape = Shape(phones=2, custom_fields=["x", "y", "z"], collected=["a_cliente"], grows=True)
    table = ResultTable(list(ResultColumn), shape, "America/Santiago", language)
    header = table.header()
    assert len(header) == len(ResultColumn) - 3 + 7
    assert len(set(header)) == len(header)
    for record in (None, *(make_record(disposition=disposition) for disposition in Disposition)):
        for status in ShownStatus:
            assert len(table.row(Line(make_job(), status.value, None, record))) == len(header)
