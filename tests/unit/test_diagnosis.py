"""How the doctor judges what it was told; what a test's mongod and simulator cannot be made to say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.diagnosis import (
    DatabaseFacts,
    Level,
    LookedUp,
    of_concurrency,
    of_database,
    of_key,
    of_machine_clock,
    of_number,
    of_primary_clock,
    of_workers,
)
from app.domain.workers import Vitals, Worker, WorkerState

FROM = "+56225550100"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
WELL = DatabaseFacts(
    version="8.0.4",
    replica_set="rs0",
    members=3,
    arbiters=0,
    write_concern={"w": "majority", "j": True},
    majority_keeps_up=True,
    is_new=False,
    data_version=2,
    code_version=2,
    missing_indexes=[],
    different_indexes=[],
)


def vitals(**changes: Any) -> Vitals:
    values: dict[str, Any] = {
        "host": "h",
        "pid": 1,
        "version": "1.0",
        "state": WorkerState.RUNNING,
        "concurrency": 10,
        "in_use": 0,
        "calls_in_flight": 0,
        "clock_offset_seconds": 0,
        "lease_seconds": 60,
    }
    return Vitals.model_validate(values | changes)


def worker(**changes: Any) -> Worker:
    times = {"worker_id": "w:1", "started_at": NOW, "last_seen_at": NOW}
    return Worker.model_validate(vitals().model_dump() | times | changes)


@pytest.mark.parametrize(
    ("changes", "subject", "level"),
    [
        ({"members": 1}, "mongodb replica set", Level.WARNING),
        ({"members": 2}, "mongodb replica set", Level.WARNING),
        ({"members": 2, "arbiters": 1}, "mongodb replica set", Level.WARNING),
        ({"write_concern": {"w": 1}}, "mongodb writes", Level.ERROR),
        ({"majority_keeps_up": False}, "mongodb writes", Level.ERROR),
        ({"is_new": True, "missing_indexes": ["jobs.claim"]}, "mongodb indexes", Level.WARNING),
        ({"data_version": 1}, "data version", Level.WARNING),
        ({"data_version": None}, "data version", Level.WARNING),
        ({"missing_indexes": ["jobs.claim"]}, "mongodb indexes", Level.ERROR),
        ({"different_indexes": ["jobs.claim"]}, "mongodb indexes", Level.ERROR),
    ],
)
def test_a_database_with_one_fault(changes: dict[str, Any], subject: str, level: Level) -> None:
    assert all(finding.level is Level.OK for finding in of_database(WELL))
    faults = [finding for finding in of_database(replace(WELL, **changes)) if finding.level is not Level.OK]
    assert [(fault.subject, fault.level) for fault in faults] == [(subject, level)]
    assert faults[0].advice


@pytest.mark.parametrize("sign", [1, -1])
def test_clocks(sign: int) -> None:
    assert [of_machine_clock(sign * off).level for off in (4.9, 5.1, 9000)] == [Level.OK, Level.WARNING, Level.WARNING]
    assert [of_primary_clock(sign * off).level for off in (4.9, 5.1, 61)] == [Level.OK, Level.WARNING, Level.ERROR]


@pytest.mark.parametrize(
    ("workers", "level"),
    [
        ([], Level.WARNING),
        ([worker()], Level.OK),
        ([worker(state=WorkerState.STOPPED)], Level.WARNING),
        ([worker(last_seen_at=NOW - timedelta(seconds=61))], Level.ERROR),
        ([worker(), worker(last_seen_at=NOW - timedelta(seconds=61))], Level.OK),
        ([worker(), worker(version="2.0")], Level.WARNING),
        ([worker(), worker(version="2.0", state=WorkerState.STOPPED)], Level.OK),
        ([worker(clock_offset_seconds=-6)], Level.WARNING),
    ],
)
def test_workers(workers: list[Worker], level: Level) -> None:
    assert of_workers(workers, NOW).level is level


def test_an_answer_that_says_nothing_is_no_refusal() -> None:
    answer = LookedUp(status=503, fields={}, detail="later", date=None)
    for finding in (of_key(answer), of_number(FROM, answer, needs_agent=True, countries=frozenset())):
        assert finding.level is Level.ERROR
        assert finding.text == "no usable answer: 503 later"


@pytest.mark.parametrize("bound", [{"outbound_agents": [{"agent_id": "a", "weight": 1}]}, {"outbound_agent_id": "a"}])
def test_either_way_of_binding_an_agent_counts(bound: dict[str, Any]) -> None:
    for fields, level in ((bound, Level.OK), ({"outbound_agents": [], "outbound_agent_id": None}, Level.ERROR)):
        answer = LookedUp(status=200, fields=fields, detail="", date=None)
        assert of_number(FROM, answer, needs_agent=True, countries=frozenset({"CL"})).level is level


def test_a_limit_of_ours_that_retell_does_not_reach() -> None:
    assert of_concurrency(20, 20, 5).level is Level.OK
    assert of_concurrency(20, 21, 5).level is Level.WARNING
    assert of_concurrency(20, 4, 5).level is Level.WARNING
