"""The ledger on a real MongoDB: each movement once, and sums to the last place."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.messages import Message
from app.domain.transactions import Transaction, TransactionType, Usage
from app.repositories.transactions import MongoTransactions
from tests.builders import NOW

DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def transactions(container: Container) -> MongoTransactions:
    return MongoTransactions(container.database)


def usage(transaction_id: str, **changes: Any) -> Transaction:
    values: dict[str, Any] = {
        "transaction_id": transaction_id,
        "account_id": "acc-1",
        "type": TransactionType.CALL_USAGE,
        "amount": Decimal("-1.5"),
        "minutes": Decimal("1.5"),
        "cost": Decimal("0.225"),
        "description": Message(code="call_usage", params={"seconds": 90}),
        "batch_id": "batch-1",
        "job_id": "job-1",
        "created_at": NOW,
    }
    return Transaction.model_validate(values | changes)


def top_up(transaction_id: str, **changes: Any) -> Transaction:
    described = Message(code="topup_credits")
    values = {"type": TransactionType.TOPUP_CREDITS, "amount": Decimal(100), "minutes": Decimal(0), "cost": Decimal(0)}
    return usage(transaction_id, **values, batch_id=None, job_id=None, description=described, **changes)


async def test_a_movement_is_written_once_and_never_changed(transactions: MongoTransactions) -> None:
    first = usage("attempt-1")
    assert await transactions.add(first)
    assert not await transactions.add(usage("attempt-1", amount=Decimal(-99)))
    assert await transactions.get("attempt-1") == first
    assert await transactions.get("attempt-2") is None


async def test_of_many_that_write_the_same_movement_one_does(transactions: MongoTransactions) -> None:
    assert sum(await asyncio.gather(*(transactions.add(usage("attempt-1")) for _ in range(20)))) == 1


async def test_movements_are_paged_newest_first(transactions: MongoTransactions) -> None:
    for number in range(4):
        await transactions.add(usage(f"t{number}", created_at=NOW + number * DAY))
    await transactions.add(usage("others", account_id="acc-2"))
    page = await transactions.page("acc-1", limit=2, skip=1)
    total = await transactions.count("acc-1")
    assert ([transaction.transaction_id for transaction in page], total) == (["t2", "t1"], 4)


async def test_the_usage_of_a_span_is_the_calls_from_its_start_to_before_its_end(
    transactions: MongoTransactions,
) -> None:
    await transactions.add(usage("before", created_at=NOW - MOMENT))
    await transactions.add(usage("first", created_at=NOW))
    await transactions.add(usage("last", created_at=NOW + DAY - MOMENT, batch_id="batch-2"))
    await transactions.add(usage("after", created_at=NOW + DAY))
    await transactions.add(usage("others", account_id="acc-2"))
    await transactions.add(top_up("top-up"))
    assert await transactions.usage("acc-1", NOW, NOW + DAY) == Usage(
        calls=2, units=Decimal("3.0"), minutes=Decimal("3.0"), cost=Decimal("0.450"), first_at=NOW
    )


async def test_a_span_without_calls_has_no_usage(transactions: MongoTransactions) -> None:
    await transactions.add(top_up("top-up"))
    assert await transactions.usage("acc-1", NOW - DAY, NOW + DAY) == Usage()


async def test_each_batch_is_summed_for_itself_and_one_without_charge_is_left_out(
    transactions: MongoTransactions,
) -> None:
    await transactions.add(usage("a"))
    await transactions.add(usage("b", amount=Decimal("-0.0001"), minutes=Decimal("0.0001"), cost=Decimal("0.0001")))
    await transactions.add(usage("c", batch_id="batch-2"))
    await transactions.add(usage("d", batch_id="batch-9"))
    assert await transactions.batch_usage(["batch-1", "batch-2", "batch-3"]) == {
        "batch-1": Usage(calls=2, units=Decimal("1.5001"), minutes=Decimal("1.5001"), cost=Decimal("0.2251")),
        "batch-2": Usage(calls=1, units=Decimal("1.5"), minutes=Decimal("1.5"), cost=Decimal("0.225")),
    }
    assert await transactions.batch_usage([]) == {}


async def test_a_thousand_small_amounts_add_up_exactly(transactions: MongoTransactions) -> None:
    tenth = {"amount": Decimal("-0.1"), "minutes": Decimal("0.1"), "cost": Decimal("0.1")}
    await asyncio.gather(*(transactions.add(usage(f"t{number}", **tenth)) for number in range(1000)))
    assert (await transactions.batch_usage(["batch-1"]))["batch-1"].cost == 100


async def test_what_a_batch_has_cost_is_read_from_the_index_alone(
    transactions: MongoTransactions, container: Container
) -> None:
    for number in range(5):
        await transactions.add(usage(f"t{number}"))
        await transactions.add(usage(f"o{number}", batch_id="batch-2"))
        await transactions.add(top_up(f"u{number}"))
    match = {"$match": {"batch_id": {"$in": ["batch-1"]}}}
    sums = {
        "$group": {
            "_id": "$batch_id",
            "cost": {"$sum": "$cost"},
            "minutes": {"$sum": "$minutes"},
            "units": {"$sum": "$amount"},
        }
    }
    collection = container.database.collection("transactions")
    explained = await collection.database.command(
        "explain", {"aggregate": collection.name, "pipeline": [match, sums], "cursor": {}}, verbosity="executionStats"
    )
    stages = explained.get("stages", [{"$cursor": explained}])
    statistics = stages[0]["$cursor"]["executionStats"]
    assert (statistics["totalDocsExamined"], statistics["totalKeysExamined"]) == (0, 5)
