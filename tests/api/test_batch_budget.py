"""POST and PATCH /batches with a budget."""

from typing import Any

import httpx
import pytest

from tests.api.conftest import batch_body, error_at


async def test_a_budget_is_shown_changed_and_removed(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    created = (await api.post("batches", json=batch_body(budget=12.5))).json()
    url = f"batches/{created['batch_id']}"
    assert (created["budget"], created["budget_used"], created["budget_reserved"]) == (12.5, 0, 0)
    changed = (await api.patch(url, json={"budget": 20})).json()
    assert (changed["budget"], changed["budget_used"]) == (20, 0)
    assert (await api.patch(url, json={"name": "Otra"})).json()["budget"] == 20
    removed = (await api.patch(url, json={"budget": None})).json()
    assert (removed["budget"], removed["budget_used"], removed["budget_reserved"]) == (None, None, None)
    assert (await api.get(f"{url}/status")).json()["budget"] is None
    logs = (await api.get(f"{url}/logs")).json()["logs"]
    assert [entry["message"] for entry in logs if entry["event"] == "batch_edited"] == [
        "Batch modificado: budget",
        "Batch modificado: name",
        "Batch modificado: budget",
    ]


async def test_a_batch_has_no_budget_unless_it_gets_one(batch: dict[str, Any]) -> None:
    assert (batch["budget"], batch["budget_used"], batch["budget_reserved"]) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(0, "greater_than"), (-1, "greater_than"), ("NaN", "finite_number"), (0.00001, "decimal_max_places")],
)
async def test_a_budget_that_is_none_is_refused(
    api: httpx.AsyncClient, account: dict[str, Any], batch: dict[str, Any], value: Any, kind: str
) -> None:
    assert error_at(await api.post("batches", json=batch_body(budget=value)), "budget")["type"] == kind
    answer = await api.patch(f"batches/{batch['batch_id']}", json={"budget": value})
    assert error_at(answer, "budget")["type"] == kind
