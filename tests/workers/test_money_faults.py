"""A process killed between any two writes of money: the books are exact at once, and closed by whoever comes next."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus, Block
from app.domain.errors import Conflict
from app.domain.jobs import Job, JobState
from app.domain.transactions import Transaction
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    Worker,
    dies_at,
    has_state,
    has_status,
    leased,
    let_lease_expire,
    numbers,
    until,
)


async def books_agree(container: Container) -> bool:
    return not (await container.reconciling.check(second_look_after=0)).differences


async def ledger(container: Container, account_id: str) -> list[Transaction]:
    """As it is stored: reading it through the service would mend it."""
    return await container.accounts._transactions.page(account_id, limit=50, skip=0)


async def top_up(campaigns: Campaigns, account: Account, units: int, key: str | None) -> tuple[Account, Transaction]:
    return await campaigns.container.accounts.top_up(
        account.account_id, bought_credits=Decimal(units), bought_minutes=Decimal(0), idempotency_key=key
    )


# Buying -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("repository", "method", "after", "exists"),
    [
        ("_accounts", "insert", False, False),
        ("_accounts", "insert", True, True),
        ("_transactions", "add", False, True),
        ("_transactions", "add", True, True),
        ("_accounts", "posted", True, True),
    ],
)
async def test_an_account_whose_creator_is_killed(
    campaigns: Campaigns, repository: str, method: str, after: bool, exists: bool
) -> None:
    container = campaigns.container
    service = container.accounts
    await dies_at(getattr(service, repository), method, campaigns.account(funds=10), after=after)

    assert await books_agree(container)
    accounts, _ = await service.page(account_ids=None, limit=10, skip=0)
    assert len(accounts) == exists
    assert not exists or accounts[0].funds.credits_purchased == 10
    worker = await campaigns.worker()
    await worker.work.tidy()
    assert await books_agree(container)
    for account in accounts:
        (entry,) = await ledger(container, account.account_id)
        assert entry.amount == 10
        assert entry.description.code == "initial_balance"
        assert (await service.get(account.account_id)).unposted == []


async def test_reading_the_ledger_completes_it(campaigns: Campaigns) -> None:
    service = campaigns.container.accounts
    await dies_at(service._transactions, "add", campaigns.account(funds=10))
    (account,), _ = await service.page(account_ids=None, limit=10, skip=0)
    entries, total = await service.transactions(account.account_id, limit=10, skip=0)
    assert total == 1
    assert entries[0].amount == 10


@pytest.mark.parametrize("key", [None, "a key"])
@pytest.mark.parametrize(
    ("repository", "method", "after", "bought"),
    [
        ("_accounts", "top_up", False, False),
        ("_accounts", "top_up", True, True),
        ("_transactions", "add", False, True),
        ("_transactions", "add", True, True),
        ("_accounts", "posted", True, True),
        ("_batches", "wake_account", False, True),
    ],
)
async def test_a_top_up_whose_process_is_killed(
    campaigns: Campaigns, repository: str, method: str, after: bool, bought: bool, key: str | None
) -> None:
    container = campaigns.container
    account = await campaigns.account(funds=10)
    await dies_at(getattr(container.accounts, repository), method, top_up(campaigns, account, 5, key), after=after)

    assert await books_agree(container)
    assert (await container.accounts.get(account.account_id)).funds.free == 10 + 5 * bought
    if key is not None:
        after_repeat, _ = await top_up(campaigns, account, 5, key)
        assert after_repeat.funds.free == 15
        with pytest.raises(Conflict, match="idempotency_key_reused"):
            await top_up(campaigns, account, 6, key)
    await (await campaigns.worker()).work.tidy()
    assert await books_agree(container)
    expected = [10] + [5] * (bought or key is not None)
    assert sorted(entry.amount for entry in await ledger(container, account.account_id)) == sorted(expected)


async def test_one_key_at_once_is_one_top_up(campaigns: Campaigns) -> None:
    account = await campaigns.account(funds=10)
    keys = ["one", "two", "three"] * 7
    await asyncio.gather(*(top_up(campaigns, account, 5, key) for key in keys))
    assert (await campaigns.container.accounts.get(account.account_id)).funds.free == 25
    assert len(await ledger(campaigns.container, account.account_id)) == 4
    assert await books_agree(campaigns.container)


async def test_a_key_is_remembered_for_ever(campaigns: Campaigns) -> None:
    account = await campaigns.account(funds=10)
    await top_up(campaigns, account, 5, "key")
    for _ in range(5):
        await top_up(campaigns, account, 1, None)
    again, entry = await top_up(campaigns, account, 5, "key")
    assert again.funds.free == 20
    assert entry.amount == 5


# Calling ----------------------------------------------------------------------------------------------------------

Subject = Callable[[Worker], Any]
ACCOUNTS: Subject = lambda worker: worker.work._settling._funding._accounts  # noqa: E731 - a table of subjects
BUDGETS: Subject = lambda worker: worker.work._settling._funding._budgets  # noqa: E731
LEDGER: Subject = lambda worker: worker.work._settling._funding._transactions  # noqa: E731
QUEUE: Subject = lambda worker: worker.work._settling._queue  # noqa: E731
BATCHES: Subject = lambda worker: worker.work._settling._batches  # noqa: E731

SETTLING = [
    ("the outcome is stored", QUEUE, "settle", True),
    ("before the ledger", LEDGER, "add", False),
    ("after the ledger", LEDGER, "add", True),
    ("before the balance", ACCOUNTS, "settle", False),
    ("after the balance", ACCOUNTS, "settle", True),
    ("before the budget", BUDGETS, "settle", False),
    ("after the budget", BUDGETS, "settle", True),
    ("before the job moves on", QUEUE, "finish", False),
    ("after the job moved on", QUEUE, "finish", True),
]


@pytest.mark.parametrize(
    ("subject", "method", "after", "budget"),
    [
        pytest.param(subject, method, after, budget, id=f"{name}-{'a budget' if budget else 'no budget'}")
        for name, subject, method, after in SETTLING
        for budget in (None, Decimal(5))
        # A batch without a budget has none to settle.
        if budget is not None or subject is not BUDGETS
    ],
)
async def test_a_settler_that_is_killed(
    campaigns: Campaigns,
    simulator: RunningSimulator,
    subject: Subject,
    method: str,
    after: bool,
    budget: Decimal | None,
) -> None:
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead, budget=budget)
    in_call = await dead.work._dialing.dial(job)
    assert in_call is not None

    await dies_at(subject(dead), method, _to_the_end(dead, in_call), after=after)

    assert await books_agree(campaigns.container)
    await _a_minute_passes(campaigns, batch)
    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
    account = await campaigns.container.accounts.get(job.account_id)
    cost = (await campaigns.job(batch)).total_cost
    assert account.funds.total_spent == cost > 0
    await campaigns.assert_ledger_exact(account)
    stored = await campaigns.stored(batch)
    assert stored.budget_reservations == {}
    assert stored.budget_used in ({None} if budget is None else {cost, None})


async def _to_the_end(worker: Worker, in_call: Job) -> None:
    settling = await worker.work._following.follow(in_call)
    assert settling is not None
    await worker.work._settling.apply(settling)


@pytest.mark.parametrize(
    ("subject", "method", "after"),
    [
        (ACCOUNTS, "reserve", False),
        (ACCOUNTS, "reserve", True),
        (BUDGETS, "reserve", False),
        (BUDGETS, "reserve", True),
        (lambda worker: worker.work._dialing._queue, "intend", False),
        (lambda worker: worker.work._dialing._queue, "intend", True),
    ],
)
async def test_a_dialer_that_is_killed(
    campaigns: Campaigns, simulator: RunningSimulator, subject: Subject, method: str, after: bool
) -> None:
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead, budget=Decimal(5))
    await dies_at(subject(dead), method, dead.work._dialing.dial(job), after=after)

    assert await books_agree(campaigns.container)
    await _a_minute_passes(campaigns, batch)
    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
        await until(lambda: _nothing_is_reserved(campaigns, batch.batch_id))
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(job.account_id))


@pytest.mark.parametrize(
    ("method", "of"), [("release", QUEUE), ("release", BUDGETS), ("release", ACCOUNTS), ("wake", BATCHES)]
)
@pytest.mark.parametrize("after", [False, True])
async def test_a_worker_killed_while_it_withdraws_a_call_that_was_not_placed(
    campaigns: Campaigns, simulator: RunningSimulator, method: str, of: Subject, after: bool
) -> None:
    dead = await campaigns.worker("dead", retell_base_url="http://127.0.0.1:9")
    rescuer = await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead, budget=Decimal(5))
    await dies_at(of(dead), method, dead.work._dialing.dial(job), after=after)

    await _a_minute_passes(campaigns, batch)
    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
        await until(lambda: _nothing_is_reserved(campaigns, batch.batch_id))
    assert await has_state(campaigns, batch, JobState.COMPLETED)
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(job.account_id))


async def _a_minute_passes(campaigns: Campaigns, batch: Batch) -> None:
    """The dead worker's lease runs out, and the batch is looked at even if nobody woke it."""
    job = await campaigns.job(batch)
    if job.lease_until is not None:
        await let_lease_expire(campaigns, job)
    await campaigns.container.batches._batches.wake(batch.batch_id, campaigns.container.clock.now())


async def _nothing_is_reserved(campaigns: Campaigns, batch_id: str) -> bool:
    batch = await campaigns.container.batches.get(batch_id)
    account = await campaigns.container.accounts.get(batch.account_id)
    return not account.reservations and not batch.budget_reservations


# Running out ------------------------------------------------------------------------------------------------------


async def test_ten_credits_and_many_calls_at_once_never_go_below_zero(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phones = numbers(40)
    await simulator.script({phone: [{"disconnection_reason": "user_hangup", "talk_seconds": 50}] for phone in phones})
    account = await campaigns.account(funds=10, limit=20)
    batches = [await campaigns.batch(account, [[n] for n in phones[start::2]]) for start in range(2)]
    one, two = await campaigns.worker("one"), await campaigns.worker("two")
    lowest = Decimal(10)

    async def all_rest() -> bool:
        nonlocal lowest
        now = await campaigns.container.accounts.get(account.account_id)
        lowest = min(lowest, now.funds.free)
        stored = [await campaigns.stored(batch) for batch in batches]
        rest = [await has_state(campaigns, batch, JobState.PENDING, JobState.COMPLETED) for batch in batches]
        return (
            not now.reservations
            and all(rest)
            and all(batch.block and batch.block.reason.code == "no_balance" for batch in stored)
        )

    async with one.running(), two.running():
        await until(all_rest, seconds=60)
        jobs = [job for batch in batches for job in await campaigns.jobs(batch)]
        # A look that began before the money was gone may take one more, to put it back.
        assert {job.state for job in jobs} - {JobState.LEASED} == {JobState.PENDING, JobState.COMPLETED}
        assert {job.attempts for job in jobs if job.state is not JobState.COMPLETED} == {0}
        assert await _events(campaigns, batches, "balance_low") == 2
        assert await _events(campaigns, batches, "balance_back") == 0

        await top_up(campaigns, account, 1000, None)
        for batch in batches:
            await until(lambda batch=batch: has_status(campaigns, batch, BatchStatus.COMPLETED), seconds=60)  # type: ignore[misc] # bound now

    assert lowest >= 0
    assert await _events(campaigns, batches, "balance_low") == 2
    assert await _events(campaigns, batches, "balance_back") == 2
    assert {job.attempts for batch in batches for job in await campaigns.jobs(batch)} == {1}
    await campaigns.assert_ledger_exact(account)


async def test_an_account_without_money_takes_no_job(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    batch = await campaigns.batch(await campaigns.account(funds=0), [[n] for n in numbers(5)])
    worker = await campaigns.worker()
    for _ in range(5):
        assert await worker.work.claim(10) == []
        await campaigns.container.database.collection("batches").update_one(
            {"_id": batch.batch_id}, {"$set": {"wake_at": campaigns.container.clock.now()}}
        )
    assert {job.fence for job in await campaigns.jobs(batch)} == {0}
    assert await _events(campaigns, [batch], "balance_low") == 1


async def test_money_that_comes_back_while_a_batch_of_the_account_goes_to_sleep(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """It comes after the worker looked and before the batch sleeps: nobody is asleep yet who could be woken."""
    account = await campaigns.account(funds=2)
    worker = await campaigns.worker()
    funding = worker.work._dialing._funding
    assert await funding._accounts.reserve(account.account_id, "other", Decimal(2))
    batch = await campaigns.batch(account, [numbers(1)])
    batches = worker.work._claiming._batches
    sleep, released = batches.sleep, list[bool]()

    async def sleep_after_money_came(batch: Batch, until: datetime | None, block: Block | None) -> bool:
        if not released:
            released.append(await funding._accounts.release(account.account_id, "other"))
        return await sleep(batch, until, block)

    batches.sleep = sleep_after_money_came  # type: ignore[method-assign] # the race
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED), seconds=20)
    assert released == [True]


async def _events(campaigns: Campaigns, batches: list[Any], event: str) -> int:
    entries = [(await campaigns.container.batches.logs(batch.batch_id, limit=200, skip=0))[0] for batch in batches]
    return sum(entry.event == event for log in entries for entry in log)
