"""The money of an account on a real MongoDB: reserved before, settled after, never overdrawn, never counted twice."""

import asyncio
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.accounts import Account, Funds
from app.domain.messages import Message
from app.domain.money import Charge, Plan
from app.domain.transactions import Transaction, TransactionType
from app.repositories.accounts import MongoAccounts
from tests.builders import NOW, make_account

CREDITS, MINUTES = Plan.CREDIT_BASED, Plan.MINUTES_BASED


@pytest.fixture
def accounts(container: Container) -> MongoAccounts:
    return MongoAccounts(container.database)


def bought(units: str, plan: Plan = CREDITS) -> dict[str, Any]:
    """Fields of an account that bought `units` and has used none."""
    amount = Decimal(units)
    purchased = "credits_purchased" if plan is CREDITS else "minutes_purchased"
    return {"plan_type": plan, "funds": Funds.model_validate({purchased: amount, "free": amount})}


def charge(units: str, cost: str = "0") -> Charge:
    return Charge(seconds=1, minutes=Decimal(0), units=Decimal(units), cost=Decimal(cost))


async def funds(accounts: MongoAccounts) -> Funds:
    return (await stored(accounts)).funds


async def stored(accounts: MongoAccounts) -> Account:
    account = await accounts.get("acc-1")
    assert account is not None
    return account


# Reserving --------------------------------------------------------------------------------------------------------


async def test_a_reservation_takes_what_is_free_and_nothing_else(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("10")))
    assert await accounts.reserve("acc-1", "a", Decimal("2.5"))
    account = await stored(accounts)
    assert (account.funds.free, account.funds.credits_available) == (Decimal("7.5"), Decimal(10))
    assert account.reservations == {"a": Decimal("2.5")}


async def test_a_reservation_of_exactly_what_is_free_fits_and_of_more_does_not(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("2")))
    assert not await accounts.reserve("acc-1", "a", Decimal("2.0001"))
    assert await accounts.reserve("acc-1", "b", Decimal(2))
    assert not await accounts.reserve("acc-1", "c", Decimal("0.0001"))
    account = await stored(accounts)
    assert (account.funds.free, set(account.reservations)) == (Decimal(0), {"b"})


async def test_a_repeated_reservation_is_granted_and_takes_nothing_more(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("3")))
    for _ in range(3):
        assert await accounts.reserve("acc-1", "a", Decimal(2))
    assert (await funds(accounts)).free == 1


async def test_nobody_reserves_from_an_account_that_is_not_there(accounts: MongoAccounts) -> None:
    assert not await accounts.reserve("acc-1", "a", Decimal(0))


async def test_fifty_reservations_at_once_never_overdraw(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("20")))
    granted = await asyncio.gather(*(accounts.reserve("acc-1", f"a{n}", Decimal("1.5")) for n in range(50)))
    account = await stored(accounts)
    assert sum(granted) == 13
    assert account.funds.free == Decimal("0.5")
    assert account.reservations == {f"a{n}": Decimal("1.5") for n in range(50) if granted[n]}


async def test_fifty_times_the_same_reservation_at_once_is_one(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("20")))
    assert all(await asyncio.gather(*(accounts.reserve("acc-1", "a", Decimal("1.5")) for _ in range(50))))
    assert (await funds(accounts)).free == Decimal("18.5")


# Settling and releasing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", Plan)
async def test_a_settled_call_is_paid_in_the_plans_unit_and_the_rest_is_free_again(
    accounts: MongoAccounts, plan: Plan
) -> None:
    await accounts.insert(make_account(**bought("10", plan)))
    await accounts.reserve("acc-1", "a", Decimal(4))
    await accounts.settle("acc-1", "a", plan, charge("1.25", "0.1875"))
    account = await stored(accounts)
    assert (account.funds.free, account.funds.total_spent) == (Decimal("8.75"), Decimal("0.1875"))
    assert account.funds.available(plan) == Decimal("8.75")
    used, unused = account.funds.credits_used, account.funds.minutes_used
    assert sorted([used, unused]) == [Decimal(0), Decimal("1.25")]
    assert (used > unused) == (plan is CREDITS)
    assert account.reservations == {}


async def test_a_call_is_settled_once_however_often_and_by_however_many(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("10")))
    await accounts.reserve("acc-1", "a", Decimal(4))
    await asyncio.gather(*(accounts.settle("acc-1", "a", CREDITS, charge("1", "0.5")) for _ in range(20)))
    await accounts.settle("acc-1", "a", CREDITS, charge("1", "0.5"))
    account = await stored(accounts)
    assert (account.funds.free, account.funds.credits_used, account.funds.total_spent) == (
        Decimal(9),
        Decimal(1),
        Decimal("0.5"),
    )


async def test_a_call_without_charge_gives_everything_back(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("10")))
    await accounts.reserve("acc-1", "a", Decimal(4))
    await accounts.settle("acc-1", "a", CREDITS, charge("0"))
    account = await stored(accounts)
    assert (account.funds.free, account.funds.credits_used, account.reservations) == (Decimal(10), Decimal(0), {})


async def test_a_reservation_is_released_once(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("10")))
    await accounts.reserve("acc-1", "a", Decimal(4))
    await accounts.reserve("acc-1", "b", Decimal(1))
    assert sum(await asyncio.gather(*(accounts.release("acc-1", "a") for _ in range(20)))) == 1
    account = await stored(accounts)
    assert (account.funds.free, account.reservations) == (Decimal(9), {"b": Decimal(1)})


async def test_of_settling_and_releasing_one_wins(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(**bought("10")))
    await accounts.reserve("acc-1", "a", Decimal(4))
    _, released = await asyncio.gather(
        accounts.settle("acc-1", "a", CREDITS, charge("3")), accounts.release("acc-1", "a")
    )
    after = await funds(accounts)
    used = 0 if released else 3
    assert (after.free, after.credits_used) == (Decimal(10 - used), Decimal(used))


async def test_reserved_names_the_attempts_of_every_account_that_has_some(accounts: MongoAccounts) -> None:
    for account_id in ("acc-1", "acc-2", "acc-3"):
        await accounts.insert(make_account(account_id=account_id, **bought("10")))
    await accounts.reserve("acc-1", "a", Decimal(1))
    await accounts.reserve("acc-1", "b", Decimal(1))
    await accounts.reserve("acc-2", "c", Decimal(1))
    await accounts.release("acc-2", "c")
    assert await accounts.reserved() == {"acc-1": ["a", "b"]}


# Topping up -------------------------------------------------------------------------------------------------------


def entry(key: str, units: Decimal) -> Transaction:
    return Transaction(
        transaction_id=key,
        account_id="acc-1",
        type=TransactionType.TOPUP_CREDITS,
        amount=units,
        description=Message(code="topup"),
        created_at=NOW,
    )


@pytest.mark.parametrize("plan", Plan)
async def test_a_top_up_is_free_to_use_in_the_plans_unit(accounts: MongoAccounts, plan: Plan) -> None:
    await accounts.insert(make_account(plan_type=plan))
    account = await accounts.top_up(await stored(accounts), entry("key-1", Decimal("5.5")))
    assert account is not None
    assert (account.funds.free, account.funds.available(plan)) == (Decimal("5.5"), Decimal("5.5"))
    assert account == await stored(accounts)


async def test_of_top_ups_decided_on_the_same_facts_one_is_carried_out(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account())
    before = await stored(accounts)
    answers = await asyncio.gather(*(accounts.top_up(before, entry(f"k{n}", Decimal(5))) for n in range(20)))
    assert sum(answer is not None for answer in answers) == 1
    assert (await funds(accounts)).credits_purchased == 5
    assert await accounts.top_up(await stored(accounts), entry("later", Decimal(5))) is not None
    assert (await funds(accounts)).credits_purchased == 10


async def test_an_account_of_an_older_version_can_be_topped_up(accounts: MongoAccounts, container: Container) -> None:
    await accounts.insert(make_account())
    documents = container.database.collection("accounts")
    await documents.update_one({"_id": "acc-1"}, {"$unset": {"topups": "", "unposted": ""}})
    assert await accounts.top_up(await stored(accounts), entry("new", Decimal(1))) is not None


async def test_an_account_that_is_not_there_is_not_topped_up(accounts: MongoAccounts) -> None:
    assert await accounts.top_up(make_account(), entry("key-1", Decimal(5))) is None


async def test_a_top_up_is_remembered_until_it_is_posted(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account())
    for key in ("one", "two"):
        await accounts.top_up(await stored(accounts), entry(key, Decimal(1)))
    assert [account.account_id for account in await accounts.unposted()] == ["acc-1"]
    await accounts.posted("acc-1", "one")
    await accounts.posted("acc-1", "one")
    assert (await stored(accounts)).unposted == [entry("two", Decimal(1))]
    await accounts.posted("acc-1", "two")
    assert await accounts.unposted() == []


# Everything together ----------------------------------------------------------------------------------------------


class Ledger:
    """What the account must say after the same operations, by plain arithmetic."""

    def __init__(self) -> None:
        self.purchased = self.used = self.spent = Decimal(0)
        self.reservations: dict[str, Decimal] = {}

    @property
    def free(self) -> Decimal:
        return self.purchased - self.used - sum(self.reservations.values())

    async def apply(self, accounts: MongoAccounts, plan: Plan, operation: str, key: str, amount: Decimal) -> None:
        """Do one operation on both and compare the answers."""
        if operation == "reserve":
            granted = key in self.reservations or amount <= self.free
            assert await accounts.reserve("acc-1", key, amount) == granted
            if granted:
                self.reservations.setdefault(key, amount)
        elif operation == "settle":
            units = min(amount, self.reservations.get(key, amount))
            await accounts.settle("acc-1", key, plan, charge(str(units), "0.5"))
            if self.reservations.pop(key, None) is not None:
                self.used += units
                self.spent += Decimal("0.5")
        elif operation == "release":
            assert await accounts.release("acc-1", key) == (key in self.reservations)
            self.reservations.pop(key, None)
        else:
            assert await accounts.top_up(await stored(accounts), entry(key, amount)) is not None
            self.purchased += amount


def operations(seed: int) -> Iterator[tuple[str, str, Decimal]]:
    chance = random.Random(seed)
    for _ in range(60):
        operation = chance.choice(["reserve", "reserve", "settle", "release", "top_up"])
        yield operation, f"k{chance.randrange(6)}", Decimal(chance.randrange(100_000)) / 10_000


@pytest.mark.parametrize("plan", Plan)
@pytest.mark.parametrize("seed", range(5))
async def test_free_is_always_what_was_bought_less_what_is_used_and_reserved(
    accounts: MongoAccounts, plan: Plan, seed: int
) -> None:
    await accounts.insert(make_account(plan_type=plan))
    ledger = Ledger()
    for operation, key, amount in operations(seed):
        await ledger.apply(accounts, plan, operation, key, amount)
        account = await stored(accounts)
        assert account.reservations == ledger.reservations
        assert account.funds.free == ledger.free >= 0
        assert account.funds.available(plan) == ledger.purchased - ledger.used
        assert account.funds.total_spent == ledger.spent


@pytest.mark.parametrize("seed", range(3))
async def test_the_sum_holds_after_many_operations_at_once(accounts: MongoAccounts, seed: int) -> None:
    await accounts.insert(make_account(**bought("30")))

    async def one(operation: str, key: str, amount: Decimal) -> None:
        if operation == "reserve":
            await accounts.reserve("acc-1", key, amount)
        elif operation == "settle":
            await accounts.settle("acc-1", key, CREDITS, charge("0.0001"))
        elif operation == "release":
            await accounts.release("acc-1", key)
        else:
            await accounts.top_up(await stored(accounts), entry(key, amount))

    await asyncio.gather(*(one(*operation) for operation in operations(seed)))
    account = await stored(accounts)
    reserved = sum(account.reservations.values(), Decimal(0))
    assert account.funds.free == account.funds.credits_available - reserved >= 0


# Accounts themselves ----------------------------------------------------------------------------------------------


async def test_an_account_comes_back_as_it_was_stored(accounts: MongoAccounts) -> None:
    account = make_account(contact_phone="+56912345678", retell_agent_id="agent_x", **bought("1.2345"))
    assert await accounts.insert(account)
    assert await accounts.get("acc-1") == account
    assert await accounts.get("acc-2") is None
    assert await accounts.get_many(["acc-1", "acc-2"]) == {"acc-1": account}


async def test_an_account_id_is_taken_once(accounts: MongoAccounts) -> None:
    assert await accounts.insert(make_account())
    assert not await accounts.insert(make_account(account_name="Otra"))
    assert (await stored(accounts)).account_name == "Empresa XYZ"


async def test_a_change_sets_and_removes_and_leaves_the_rest(accounts: MongoAccounts) -> None:
    await accounts.insert(make_account(suspension_reason="x", **bought("10")))
    changed = await accounts.update("acc-1", {"account_name": "Nueva", "suspension_reason": None})
    assert changed is not None
    assert (changed.account_name, changed.suspension_reason, changed.funds.free) == ("Nueva", None, Decimal(10))
    assert await accounts.update("acc-2", {"account_name": "Nueva"}) is None


async def test_accounts_are_paged_newest_first(accounts: MongoAccounts) -> None:
    for number in range(5):
        account = make_account(account_id=f"acc-{number}")
        later = account.created_at.replace(minute=number)
        await accounts.insert(account.model_copy(update={"created_at": later}))
    page, total = await accounts.page(account_ids=None, limit=2, skip=1)
    assert ([account.account_id for account in page], total) == (["acc-3", "acc-2"], 5)
