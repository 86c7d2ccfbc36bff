"""/accounts/{id}: balance, top-up, ledger, numbers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.domain.messages import Message
from app.domain.money import Charge, Plan
from app.domain.transactions import Transaction, TransactionType
from app.repositories.accounts import MongoAccounts
from app.repositories.transactions import MongoTransactions
from tests.api.conftest import ACCOUNT, error_at, problem, stored


async def spend(container: Container, units: str, cost: str, at: datetime, number: int) -> None:
    """What a settled call leaves behind."""
    attempt_id = f"attempt-{number}"
    charge = Charge(seconds=60, minutes=Decimal("1.5"), units=Decimal(units), cost=Decimal(cost))
    accounts = MongoAccounts(container.database)
    assert await accounts.reserve("acc-chile-001", attempt_id, charge.units)
    await accounts.settle("acc-chile-001", attempt_id, Plan.CREDIT_BASED, charge)
    transaction = Transaction(
        transaction_id=attempt_id,
        account_id="acc-chile-001",
        type=TransactionType.CALL_USAGE,
        amount=-charge.units,
        minutes=charge.minutes,
        cost=charge.cost,
        description=Message(code="call_usage", params={"job_id": "job-1", "seconds": 60}),
        batch_id="batch-1",
        job_id="job-1",
        created_at=at,
    )
    assert await MongoTransactions(container.database).add(transaction)


async def test_a_fresh_balance(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    assert (await api.get("accounts/acc-chile-001/balance")).json() == {
        "account_id": "acc-chile-001",
        "current_balance": {"credits": 1000, "minutes": 0, "total_spent": 0},
        "usage_this_month": {"credits_used": 0, "minutes_used": 0, "total_cost": 0},
        "estimated_depletion_date": None,
    }


async def test_a_balance_after_calls(api: httpx.AsyncClient, account: dict[str, Any], container: Container) -> None:
    now = container.clock.now()
    await spend(container, "7.5", "1.125", now, 1)
    await spend(container, "2.5", "0.375", now, 2)
    await spend(container, "90", "13.5", now - timedelta(days=40), 3)
    body = (await api.get("accounts/acc-chile-001/balance")).json()
    assert body["current_balance"] == {"credits": 900, "minutes": 0, "total_spent": 15}
    assert body["usage_this_month"] == {"credits_used": 10, "minutes_used": 3, "total_cost": 1.5}
    # 10 credits within the first day: 900 last 90 days.
    depleted = datetime.fromisoformat(body["estimated_depletion_date"])
    assert abs(depleted - (now + timedelta(days=90))) < timedelta(minutes=1)


async def test_a_used_up_account_is_depleted_now(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    now = container.clock.now()
    await spend(container, "1000", "150", now, 1)
    body = (await api.get("accounts/acc-chile-001/balance")).json()
    assert body["current_balance"]["credits"] == 0
    assert abs(datetime.fromisoformat(body["estimated_depletion_date"]) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_top_up_adds_and_is_written_down(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    answer = await api.post("accounts/acc-chile-001/topup", json={"credits": 250.5})
    assert answer.status_code == 200
    body = answer.json()
    assert body["current_balance"] == {"credits": 1250.5, "minutes": 0, "total_spent": 0}
    ledger = await api.get("accounts/acc-chile-001/transactions")
    assert ledger.headers["x-total-count"] == "2"
    newest, first = ledger.json()
    assert newest == body["transaction"]
    assert newest["_id"] == newest["transaction_id"]
    assert (newest["type"], newest["amount"], newest["cost"], newest["description"]) == (
        "topup_credits",
        250.5,
        0,
        "Recarga",
    )
    assert (first["amount"], first["description"]) == (1000, "Saldo inicial")
    english = await api.get("accounts/acc-chile-001/transactions", headers={"Accept-Language": "en"})
    assert [entry["description"] for entry in english.json()] == ["Top-up", "Initial balance"]


async def test_a_call_in_the_ledger(api: httpx.AsyncClient, account: dict[str, Any], container: Container) -> None:
    await spend(container, "1.5", "0.225", container.clock.now() + timedelta(seconds=1), 1)
    entry = (await api.get("accounts/acc-chile-001/transactions")).json()[0]
    assert (entry["type"], entry["amount"], entry["minutes"], entry["cost"]) == ("call_usage", -1.5, 1.5, 0.225)
    assert entry["description"] == "Llamada de 60 s (job job-1)"
    assert (entry["batch_id"], entry["job_id"]) == ("batch-1", "job-1")


async def test_a_key_tops_up_once(api: httpx.AsyncClient, account: dict[str, Any], container: Container) -> None:
    headers = {"Idempotency-Key": "recarga-1"}
    once = await api.post("accounts/acc-chile-001/topup", json={"credits": 100}, headers=headers)
    again = await api.post("accounts/acc-chile-001/topup", json={"credits": 100}, headers=headers)
    assert again.status_code == 200
    assert again.json() == once.json()
    assert again.json()["current_balance"]["credits"] == 1100
    other = await api.post("accounts/acc-chile-001/topup", json={"credits": 200}, headers=headers)
    problem(other, 409, "idempotency_key_reused")
    assert (await stored(container))["transactions"] == 2
    assert (await api.get("accounts/acc-chile-001")).json()["credit_balance"] == 1100


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({}, ["credits"], "topup_amount_missing"),
        ({"credits": 0}, ["credits"], "topup_amount_missing"),
        ({"credits": -5}, ["credits"], "greater_than_equal"),
        ({"minutes": 5}, ["minutes"], "wrong_unit_for_plan"),
        ({"credits": 5, "minutes": 5}, ["minutes"], "wrong_unit_for_plan"),
        ({"credits": 0.00001}, ["credits"], "decimal_max_places"),
        ({"credits": "NaN"}, ["credits"], "finite_number"),
        ({"amount": 5}, ["amount"], "extra_forbidden"),
    ],
)
async def test_a_wrong_top_up_adds_nothing(
    api: httpx.AsyncClient,
    account: dict[str, Any],
    container: Container,
    body: dict[str, Any],
    loc: list[str],
    kind: str,
) -> None:
    assert error_at(await api.post("accounts/acc-chile-001/topup", json=body), *loc)["type"] == kind
    assert (await stored(container))["transactions"] == 1
    assert (await api.get("accounts/acc-chile-001")).json() == account


async def test_minutes_top_up_a_plan_of_minutes(api: httpx.AsyncClient) -> None:
    body = ACCOUNT | {"plan_type": "minutes_based", "initial_credits": 0, "initial_minutes": 10}
    assert (await api.post("accounts", json=body)).status_code == 201
    answer = (await api.post("accounts/acc-chile-001/topup", json={"minutes": 5})).json()
    assert answer["current_balance"] == {"credits": 0, "minutes": 15, "total_spent": 0}
    assert answer["transaction"]["type"] == "topup_minutes"


async def test_numbers_of_an_account(api: httpx.AsyncClient, batch: dict[str, Any], container: Container) -> None:
    job = (await api.get("jobs")).json()[0]
    draft = {"account_id": "acc-chile-001", "name": "Borrador"}
    assert (await api.post("batches", json=draft)).status_code == 201
    await container.database.collection("jobs").update_one(
        {"_id": job["job_id"]}, {"$set": {"state": "completed"}, "$unset": {"waiting_for": ""}}
    )
    await spend(container, "3", "0.45", container.clock.now(), 1)
    assert (await api.get("accounts/acc-chile-001/stats")).json() == {
        "account_id": "acc-chile-001",
        "total_batches": 2,
        "active_batches": 1,
        "total_jobs": 1,
        "completed_jobs": 1,
        "success_rate": 100.0,
        "total_cost_this_month": 0.45,
    }
