"""Every crash point of queues.md §4, with real processes: at most one call an attempt, and nothing stays behind."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from app.repositories.embedded_mongod import EmbeddedMongod
from tests.chaos.crash_points import POINTS_IN_ORDER, Ground, Row, run
from tests.chaos.processes import Processes, answers
from tests.workers.conftest import SPEED

pytestmark = pytest.mark.timeout(600)  # the first test waits for all points, which are played side by side


@pytest.fixture(scope="module")
async def rows(
    mongod: EmbeddedMongod, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Row | BaseException]]:
    home = tmp_path_factory.mktemp("crash-points")
    processes = Processes(home)
    simulator_url = processes.simulator(SPEED)
    try:
        await answers(f"{simulator_url}/simulator/health")
        yield await run(Ground(mongod, simulator_url, home), POINTS_IN_ORDER)
    finally:
        await processes.end()


@pytest.mark.parametrize("number", POINTS_IN_ORDER)
async def test_a_process_that_dies_at_this_point_doubles_loses_and_keeps_nothing(
    rows: dict[str, Row | BaseException], number: str
) -> None:
    row = rows[number]
    if isinstance(row, BaseException):
        raise row

    assert row.verdict.findings == []
    # Not only without a doubled attempt: no contact got one call more than its campaign is made of.
    assert len(row.record.calls) == row.calls_of_a_lifetime
    assert sorted(Counter(call["to_number"] for call in row.record.calls).values()) == [1, 1, 2]
    assert (row.verdict.slots, row.verdict.reservations) == (0, 0)
