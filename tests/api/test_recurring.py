"""POST /batches with schedule_type recurring, and its runs."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from tests.api.conftest import batch_body, error_at, stored

WEEKLY: dict[str, Any] = {"frequency": "weekly", "interval": 2}


async def test_a_recurring_batch_is_a_series_with_contacts_and_no_jobs(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    start = (container.clock.now() + timedelta(days=2)).replace(microsecond=0)
    config = {"frequency": "MONTHLY", "interval": 1, "until": "2035-01-01T00:00:00Z", "count": 12}
    body = batch_body(schedule_type="RECURRING", recurring_config=config, scheduled_at=start.isoformat())
    answer = await api.post("batches", json=body)
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert (created["status"], created["is_active"], created["schedule_type"]) == ("scheduled", True, "recurring")
    assert created["recurring_config"] == config | {"frequency": "monthly"}
    assert created["next_run_at"] == created["scheduled_at"] == f"{start:%Y-%m-%dT%H:%M:%SZ}"
    assert (created["runs_started"], created["parent_batch_id"], created["total_jobs"]) == (0, None, 1)
    assert (await stored(container))["jobs"] == 0
    read = (await api.get(f"batches/{created['batch_id']}")).json()
    assert read["next_run_at"] == created["next_run_at"]
    paused = (await api.patch(f"batches/{created['batch_id']}", json={"is_active": False})).json()
    assert (paused["status"], paused["next_run_at"]) == ("paused", None)
    resumed = (await api.patch(f"batches/{created['batch_id']}", json={"is_active": True})).json()
    assert (resumed["status"], resumed["next_run_at"]) == ("scheduled", created["next_run_at"])


async def test_the_runs_of_a_batch_are_listed_by_their_parent(
    api: httpx.AsyncClient, batch: dict[str, Any], container: Container
) -> None:
    await container.database.collection("batches").update_one(
        {"_id": batch["batch_id"]}, {"$set": {"parent_batch_id": "batch-series"}}
    )
    listed = (await api.get("batches", params={"parent_batch_id": "batch-series"})).json()
    assert [(run["batch_id"], run["parent_batch_id"]) for run in listed] == [(batch["batch_id"], "batch-series")]
    other = await api.get("batches", params={"parent_batch_id": "another"})
    assert (other.json(), other.headers["x-total-count"]) == ([], "0")


@pytest.mark.parametrize(
    ("changes", "loc", "kind"),
    [
        ({"recurring_config": None}, ["recurring_config"], "recurring_config_missing"),
        ({"schedule_type": "immediate"}, ["recurring_config"], "recurring_config_not_wanted"),
        ({"contacts": None}, ["contacts"], "recurring_needs_contacts"),
        (
            {"recurring_config": WEEKLY | {"until": "2020-01-01T00:00:00Z"}},
            ["recurring_config", "until"],
            "recurring_until_before_start",
        ),
        ({"scheduled_at": "2020-01-01T00:00:00Z"}, ["scheduled_at"], "scheduled_at_past"),
        ({"recurring_config": {"frequency": "daily", "interval": 0}}, ["recurring_config", "interval"], None),
    ],
)
async def test_a_wrong_recurring_batch_leaves_nothing(
    api: httpx.AsyncClient,
    account: dict[str, Any],
    container: Container,
    changes: dict[str, Any],
    loc: list[str],
    kind: str | None,
) -> None:
    before = await stored(container)
    body = batch_body(schedule_type="recurring") | {"recurring_config": WEEKLY} | changes
    error = error_at(await api.post("batches", json=body), *loc)
    assert kind is None or error["type"] == kind
    assert await stored(container) == before
