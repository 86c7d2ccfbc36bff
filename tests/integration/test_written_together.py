"""What many jobs write to MongoDB at the same time is written in one round trip, as if each had written by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pymongo.errors import AutoReconnect, OperationFailure

from app.bootstrap import Container
from app.domain.accounts import Account, Funds
from app.domain.batches import Batch, Pace
from app.domain.do_not_call import DoNotCallEntry, DoNotCallSource, entry_id_of
from app.domain.errors import DatabaseUnavailable
from app.domain.messages import Message
from app.domain.money import CENT_OF_A_CENT, Charge, Plan
from app.domain.transactions import Transaction, TransactionType
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.budgets import MongoBudgets
from app.repositories.do_not_call import MongoDoNotCallList
from app.repositories.transactions import MongoTransactions
from tests.builders import NOW, make_account, make_batch, phone

CREDITS = Plan.CREDIT_BASED
HOUR = timedelta(hours=1)


class Wire:
    """Stands before a collection: notes what is asked of it, and may break."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self.asked: list[str] = []
        self.breaks: str | None = None
        """`before` or `after` the next writes reach MongoDB: nobody hears what became of them."""

    def __getattr__(self, name: str) -> Any:
        if name != "bulk_write":
            self.asked.append(name)
            return getattr(self._collection, name)
        return self._bulk_write

    async def _bulk_write(self, writes: list[Any], **options: Any) -> Any:
        self.asked.append("bulk_write")
        if self.breaks == "before":
            raise AutoReconnect("broken off")
        written = await self._collection.bulk_write(writes, **options)
        if self.breaks == "after":
            raise AutoReconnect("broken off")
        return written


@pytest.fixture
def accounts(container: Container) -> MongoAccounts:
    return MongoAccounts(container.database)


@pytest.fixture
def batches(container: Container) -> MongoBatches:
    return MongoBatches(container.database)


def wired(repository: Any, name: str) -> Wire:
    wire = Wire(getattr(repository, name))
    setattr(repository, name, wire)
    return wire


def with_funds(units: str, account_id: str = "acc-1", **changes: Any) -> Account:
    amount = Decimal(units)
    return make_account(account_id=account_id, funds=Funds(credits_purchased=amount, free=amount), **changes)


def charge(units: str, cost: str = "0.5") -> Charge:
    return Charge(seconds=1, minutes=Decimal(0), units=Decimal(units), cost=Decimal(cost))


async def stored(accounts: MongoAccounts, account_id: str = "acc-1") -> Account:
    account = await accounts.get(account_id)
    assert account is not None
    return account


async def at_once(*asked: Coroutine[Any, Any, Any]) -> list[Any]:
    """The answers, or errors, of these, which are all asked before the first is answered."""
    return await asyncio.gather(*asked, return_exceptions=True)


def kinds(answers: Iterable[Any]) -> list[Any]:
    return [type(answer) if isinstance(answer, Exception) else answer for answer in answers]


# Reserving and settling ---------------------------------------------------------------------------------------------


async def test_many_reservations_and_charges_are_one_round_trip_each(accounts: MongoAccounts) -> None:
    for account_id in ("acc-1", "acc-2"):
        await accounts.insert(with_funds("100", account_id))
    wire = wired(accounts, "_accounts")
    calls = [(f"acc-{number % 2 + 1}", f"a{number}") for number in range(20)]

    assert await at_once(*(accounts.reserve(*call, Decimal("1.5")) for call in calls)) == [True] * 20
    assert await at_once(*(accounts.settle(*call, CREDITS, charge("0.25")) for call in calls)) == [None] * 20

    assert wire.asked == ["bulk_write"] * 2
    for account_id in ("acc-1", "acc-2"):
        account = await stored(accounts, account_id)
        assert (account.funds.free, account.funds.credits_used) == (Decimal("97.5"), Decimal("2.5"))
        assert (account.funds.total_spent, account.reservations) == (Decimal(5), {})


async def test_where_the_money_is_not_enough_for_all_those_are_served_whom_it_is_enough_for(
    accounts: MongoAccounts,
) -> None:
    await accounts.insert(with_funds("5"))
    await accounts.insert(with_funds("100", "acc-2"))
    wanted = ["2", "2", "2", "1", "0.5"]

    asked = [accounts.reserve("acc-1", f"a{number}", Decimal(units)) for number, units in enumerate(wanted)]
    answers = await at_once(
        *asked, accounts.reserve("acc-2", "b", Decimal(7)), accounts.reserve("none", "c", Decimal(0))
    )

    assert answers == [True, True, False, True, False, True, False]
    account = await stored(accounts)
    assert account.reservations == {"a0": Decimal(2), "a1": Decimal(2), "a3": Decimal(1)}
    assert account.funds.free == 0
    assert (await stored(accounts, "acc-2")).funds.free == 93


@pytest.mark.parametrize("before", [False, True])
async def test_one_attempt_twice_among_others_counts_once(accounts: MongoAccounts, before: bool) -> None:
    """`before`: one more that was done already, so that not all can be done in one update."""
    await accounts.insert(with_funds("10"))
    more = ["before"] * before
    for key in more:
        await accounts.reserve("acc-1", key, Decimal(1))

    keys = ["a", *more, "a", "b"]
    assert await at_once(*(accounts.reserve("acc-1", key, Decimal(1)) for key in keys)) == [True] * len(keys)
    assert (await stored(accounts)).funds.free == 8 - len(more)

    for key in more:
        await accounts.settle("acc-1", key, CREDITS, charge("0.5"))
    await at_once(*(accounts.settle("acc-1", key, CREDITS, charge("0.5")) for key in keys))
    account = await stored(accounts)
    used = Decimal("0.5") * (2 + len(more))
    assert (account.funds.free, account.funds.credits_used, account.reservations) == (10 - used, used, {})
    assert account.funds.total_spent == used


async def test_who_pays_by_another_plan_meanwhile_pays_in_its_unit(accounts: MongoAccounts) -> None:
    await accounts.insert(with_funds("10"))
    await at_once(*(accounts.reserve("acc-1", key, Decimal(2)) for key in ("a", "b")))
    await at_once(
        accounts.settle("acc-1", "a", CREDITS, charge("1")),
        accounts.settle("acc-1", "b", Plan.MINUTES_BASED, charge("0.5")),
    )
    funds = (await stored(accounts)).funds
    assert (funds.credits_used, funds.minutes_used, funds.free) == (Decimal(1), Decimal("0.5"), Decimal("8.5"))


async def test_what_cannot_be_settled_stops_nobody_else(accounts: MongoAccounts, container: Container) -> None:
    for account_id in ("acc-1", "acc-2"):
        await accounts.insert(with_funds("10", account_id))
    calls = [("acc-1", "a"), ("acc-1", "broken"), ("acc-2", "b")]
    await at_once(*(accounts.reserve(*call, Decimal(2)) for call in calls))
    documents = container.database.collection("accounts")
    await documents.update_one({"_id": "acc-1"}, {"$set": {"reservations.broken": "two"}})

    answers = await at_once(*(accounts.settle(*call, CREDITS, charge("1")) for call in calls))

    assert isinstance(answers[1], OperationFailure)
    assert answers[1].details is None, "what was to be written is not for the log"
    assert [answers[0], answers[2]] == [None, None]
    found = [document async for document in documents.find().sort("_id")]
    assert [document["funds"]["credits_used"] for document in found] == [1, 1]
    assert [set(document["reservations"]) for document in found] == [{"broken"}, set()]


@pytest.mark.parametrize("breaks", ["before", "after"])
async def test_whoever_repeats_what_broke_off_has_it_done_once(accounts: MongoAccounts, breaks: str) -> None:
    await accounts.insert(with_funds("10"))
    wire = wired(accounts, "_accounts")

    async def twice(ask: Callable[[str], Awaitable[Any]]) -> list[Any]:
        wire.breaks = breaks
        broken = kinds(await at_once(*(ask(key) for key in "abc")))  # type: ignore[arg-type] # both are coroutines
        assert broken == [DatabaseUnavailable] * 3
        wire.breaks = None
        return await at_once(*(ask(key) for key in "abc"))  # type: ignore[arg-type] # as above

    assert await twice(lambda key: accounts.reserve("acc-1", key, Decimal(2))) == [True] * 3
    assert (await stored(accounts)).funds.free == 4
    assert await twice(lambda key: accounts.settle("acc-1", key, CREDITS, charge("1"))) == [None] * 3
    account = await stored(accounts)
    assert (account.funds.free, account.funds.credits_used, account.reservations) == (Decimal(7), Decimal(3), {})


async def test_one_that_is_stopped_while_it_waits_takes_nothing_from_the_others(accounts: MongoAccounts) -> None:
    await accounts.insert(with_funds("10"))
    asked = [asyncio.create_task(accounts.reserve("acc-1", key, Decimal(2))) for key in "abc"]
    await asyncio.sleep(0)
    asked[1].cancel()

    assert kinds(await asyncio.gather(asked[0], asked[2])) == [True, True]
    with pytest.raises(asyncio.CancelledError):
        await asked[1]
    # As if it had been killed right after: whoever looks for reservations without a job gives it back.
    account = await stored(accounts)
    assert (account.funds.free, set(account.reservations)) == (Decimal(4), {"a", "b", "c"})
    assert await accounts.reserved() == {"acc-1": ["a", "b", "c"]}
    assert await accounts.release("acc-1", "b")


Step = tuple[str, list[tuple[int, int]]]
"""What is done, and to which account's which attempt."""
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "release"]),
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=8),
    ),
    max_size=6,
)
CENTS = st.decimals(0, 4, places=4)


@given(STEPS, st.lists(CENTS, min_size=6, max_size=6), CENTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_together_is_as_one_by_one(
    session_container: Container, steps: list[Step], amounts: list[Decimal], bought: Decimal
) -> None:
    accounts = MongoAccounts(session_container.database)
    run = uuid4().hex
    for way in ("together", "single"):
        for number in range(2):
            await accounts.insert(with_funds(str(2 * bought), f"{run}-{way}-{number}"))

    async def step(way: str, what: str, account: int, key: int) -> Any:
        account_id, attempt_id, units = f"{run}-{way}-{account}", f"k{key}", amounts[key]
        if what == "reserve":
            return await accounts.reserve(account_id, attempt_id, units)
        if what == "settle":
            third = (units / 3).quantize(CENT_OF_A_CENT)
            return await accounts.settle(account_id, attempt_id, CREDITS, charge(str(third), "0.0001"))
        return await accounts.release(account_id, attempt_id)

    for what, drawn in steps:
        # Of two that release one reservation either may be told that it was there.
        calls = drawn if what != "release" else sorted(set(drawn))
        together = await at_once(*(step("together", what, *call) for call in calls))
        singly = [await step("single", what, *call) for call in calls]
        assert together == singly
        for number in range(2):
            one, other = [await stored(accounts, f"{run}-{way}-{number}") for way in ("together", "single")]
            assert (one.funds, one.reservations) == (other.funds, other.reservations)
            reserved = sum(one.reservations.values(), Decimal(0))
            assert one.funds.free == one.funds.credits_available - reserved >= 0


# Budgets ------------------------------------------------------------------------------------------------------------


async def test_the_budgets_of_several_batches(container: Container, batches: MongoBatches) -> None:
    budgets = MongoBudgets(container.database)
    funded = {"budget": Decimal(1), "budget_used": Decimal(0)}
    for batch_id in ("b1", "b2"):
        await batches.insert(make_batch(batch_id=batch_id, **funded))
    wire = wired(budgets, "_batches")
    calls = [("b1", "a"), ("b1", "b"), ("b1", "c"), ("b2", "d"), ("b1", "a")]

    assert await at_once(*(budgets.reserve(*call, Decimal("0.4")) for call in calls)) == [True, True, False, True, True]
    assert wire.asked == ["bulk_write", "find"]
    settled = [("b1", "a"), ("b1", "a"), ("b1", "b"), ("b2", "d")]
    assert await at_once(*(budgets.settle(*call, Decimal("0.1")) for call in settled)) == [None] * 4
    assert wire.asked == ["bulk_write", "find", "bulk_write"]

    after = await at_once(*(batches.get(batch_id) for batch_id in ("b1", "b2")))
    assert [batch.budget_used for batch in after] == [Decimal("0.2"), Decimal("0.1")]
    assert [batch.budget_reservations for batch in after] == [{}, {}]


async def test_a_budget_that_cannot_be_worked_out_stops_nobody_else(
    container: Container, batches: MongoBatches
) -> None:
    budgets = MongoBudgets(container.database)
    for batch_id in ("b1", "b2"):
        await batches.insert(make_batch(batch_id=batch_id, budget=Decimal(1), budget_used=Decimal(0)))
    await container.database.collection("batches").update_one({"_id": "b1"}, {"$set": {"budget": "much"}})

    answers = await at_once(*(budgets.reserve(batch_id, "a", Decimal("0.4")) for batch_id in ("b1", "b2")))

    assert isinstance(answers[0], OperationFailure)
    assert answers[1] is True


# The ledger ---------------------------------------------------------------------------------------------------------


def entry(key: str, units: str = "-1") -> Transaction:
    return Transaction(
        transaction_id=key,
        account_id="acc-1",
        type=TransactionType.CALL_USAGE,
        amount=Decimal(units),
        description=Message(code="call_usage"),
        created_at=NOW,
    )


async def test_of_entries_written_together_each_is_there_once(container: Container) -> None:
    ledger = MongoTransactions(container.database)
    assert await ledger.add(entry("there"))
    wire = wired(ledger, "_transactions")

    added = await at_once(*(ledger.add(one) for one in (entry("a"), entry("there"), entry("a", "-9"), entry("b"))))

    assert added == [True, False, False, True]
    assert wire.asked == ["bulk_write"]
    written = await ledger.page("acc-1", limit=9, skip=0)
    assert {one.transaction_id: one.amount for one in written} == {"a": -1, "b": -1, "there": -1}


async def test_entries_that_broke_off_are_not_taken_for_written(container: Container) -> None:
    ledger = MongoTransactions(container.database)
    wire = wired(ledger, "_transactions")
    wire.breaks = "after"
    assert kinds(await at_once(*(ledger.add(entry(key)) for key in "ab"))) == [DatabaseUnavailable] * 2
    wire.breaks = None
    assert await at_once(*(ledger.add(entry(key)) for key in "ab")) == [False, False]


# Read together ------------------------------------------------------------------------------------------------------


async def test_a_document_that_cannot_be_read_fails_only_those_who_asked_for_it(
    accounts: MongoAccounts, batches: MongoBatches, container: Container
) -> None:
    for number in (1, 2):
        await accounts.insert(make_account(account_id=f"acc-{number}"))
        await batches.insert(make_batch(batch_id=f"b{number}"))
    await container.database.collection("accounts").update_one({"_id": "acc-1"}, {"$set": {"plan_type": "?"}})
    await container.database.collection("batches").update_one({"_id": "b1"}, {"$set": {"status": "?"}})
    wires = wired(accounts, "_accounts"), wired(batches, "_batches")

    found = await at_once(*(accounts.get(account_id) for account_id in ("acc-1", "acc-2", "none", "acc-1", "acc-2")))
    assert kinds(found[:1] + found[3:4]) == [ValidationError] * 2
    assert [found[1].account_id, found[2], found[4].account_id] == ["acc-2", None, "acc-2"]

    read = await at_once(*(batches.get(batch_id) for batch_id in ("b1", "b2", "none")))
    assert kinds(read[:1]) == [ValidationError]
    assert [read[1].batch_id, read[2]] == ["b2", None]
    assert [wire.asked for wire in wires] == [["find"], ["find"]]


async def test_nobody_sees_what_is_on_another_accounts_list(container: Container) -> None:
    lists = MongoDoNotCallList(container.database)
    entries = [
        DoNotCallEntry(
            entry_id=entry_id_of(account_id, phone(number)),
            account_id=account_id,
            key=phone(number),
            source=DoNotCallSource.MANUAL,
            created_at=NOW,
            created_by="ana",
        )
        for account_id, number in (("acc-1", 1), ("acc-2", 1), ("acc-2", 2), (None, 3))
    ]
    await lists.add(entries)
    wire = wired(lists, "_entries")

    async def standing(account_id: str) -> list[tuple[str | None, str]]:
        keys = [phone(number) for number in (1, 2, 3)]
        return sorted((entry.account_id or "", entry.key) for entry in await lists.standing(account_id, keys))

    await standing("acc-1")  # the secret of the hashes is known from here on
    wire.asked.clear()
    found = await at_once(*(standing(account_id) for account_id in ("acc-1", "acc-2", "acc-3")))

    assert found == [
        [("", phone(3)), ("acc-1", phone(1))],
        [("", phone(3)), ("acc-2", phone(1)), ("acc-2", phone(2))],
        [("", phone(3))],
    ]
    assert wire.asked == ["find"]


# Wakings ------------------------------------------------------------------------------------------------------------


async def test_several_batches_are_woken_in_one_round_trip(batches: MongoBatches, container: Container) -> None:
    asleep = [make_batch(batch_id=f"b{number}", wake_at=NOW + 9 * HOUR) for number in range(3)]
    for batch in asleep:
        await batches.insert(batch)
    documents = container.database.collection("batches")
    await documents.update_one({"_id": "b0"}, {"$set": {"revision": "?"}})
    wire = wired(batches, "_batches")
    ended = Pace(calls=1, seconds=2.5, ended=1)
    wakes = [("b0", 1), ("b1", 3), ("b2", 4), ("b1", 2)]

    answers = await at_once(*(batches.wake(batch_id, NOW + hours * HOUR, ended) for batch_id, hours in wakes))

    assert isinstance(answers[0], OperationFailure)
    assert answers[1:] == [None] * 3
    assert wire.asked == ["bulk_write"]
    found = await at_once(*(batches.get(batch_id) for batch_id in ("b1", "b2")))
    assert [(one.wake_at, one.pace.calls, one.pace.seconds) for one in found] == [
        (NOW + 2 * HOUR, 2, 5),
        (NOW + 4 * HOUR, 1, 2.5),
    ]


async def test_those_blocked_by_different_things_are_woken_each_by_its_own(
    batches: MongoBatches,
) -> None:
    def blocked(batch_id: str, account_id: str, code: str) -> Batch:
        block = {"reason": {"code": code}, "since": NOW, "until": NOW + 9 * HOUR}
        return make_batch(batch_id=batch_id, account_id=account_id, wake_at=NOW + 9 * HOUR, block=block)

    for batch in (
        blocked("b1", "acc-1", "no_balance"),
        blocked("b2", "acc-1", "budget_exhausted"),
        blocked("b3", "acc-2", "no_balance"),
        blocked("b4", "acc-3", "no_balance"),
    ):
        await batches.insert(batch)
    wire = wired(batches, "_batches")

    await at_once(
        batches.wake_blocked("acc-1", "no_balance", NOW + HOUR),
        batches.wake_blocked("acc-2", "no_balance", NOW + 3 * HOUR),
        batches.wake_blocked("acc-1", "no_balance", NOW + 2 * HOUR),
    )

    assert wire.asked == ["bulk_write"]
    found = await at_once(*(batches.get(f"b{number}") for number in (1, 2, 3, 4)))
    # Of several accounts that wait for the same, all at the earliest time: none too late.
    assert [one.wake_at for one in found] == [NOW + hours * HOUR for hours in (1, 9, 1, 9)]
    assert [one.revision for one in found] == [1, 0, 1, 0]
