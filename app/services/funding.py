"""Money for calls: reserved before dialing, swapped for the charge after, given back if nothing rang.

Every call reserves its worst case from the account's balance; one of a batch with a budget also in the batch's own
document. Whatever gives money back wakes those who wait for it, and whoever goes to sleep for want of money looks once
more after: of the two one always sees the other.
"""

from datetime import timedelta
from typing import NamedTuple

import structlog

from app.domain.accounts import Account
from app.domain.batches import Batch, Shortage
from app.domain.funding import BUDGET_EXHAUSTED, NO_BALANCE, level_of, shortage_of
from app.domain.jobs import Attempt, Job
from app.domain.messages import Message
from app.domain.money import Charge
from app.domain.ports import Accounts, Batches, Budgets, Time, Transactions
from app.domain.transactions import Transaction
from app.services.batch_events import blocked, log_event
from app.services.ledger import post_left_over

log = structlog.get_logger("worker")

_EVENTS = {NO_BALANCE: "balance_low", BUDGET_EXHAUSTED: "budget_exhausted"}


class Reservation(NamedTuple):
    account_id: str
    attempt_id: str
    batch_id: str | None
    """The batch whose budget it is in; None: it is in the account's balance."""


class Funding:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        budgets: Budgets,
        transactions: Transactions,
        time: Time,
        recheck: timedelta,
    ) -> None:
        """`recheck`: how long a batch without money sleeps if nothing wakes it."""
        self._accounts = accounts
        self._batches = batches
        self._budgets = budgets
        self._transactions = transactions
        self._time = time
        self._recheck = recheck

    async def counted(self, batch: Batch) -> Batch:
        """The batch, with what its budget has been used for: counted from the ledger if that is not known.

        Nothing is reserved meanwhile. What is in a reservation is not counted: it is added when that is settled.
        """
        while batch.budget is not None and batch.budget_used is None:
            cost = await self._transactions.batch_cost(batch.batch_id, without=batch.budget_reservations)
            batch = await self._budgets.count(batch, cost) or await self._fresh(batch)
        return batch

    async def reserve(self, job: Job, attempt: Attempt) -> bool:
        """Reserve the attempt's worst case; False, and nothing is reserved, if balance or budget do not cover it."""
        if not await self._accounts.reserve(job.account_id, attempt.attempt_id, attempt.reserved):
            return False
        cost = attempt.reserved_cost
        if cost is None or await self._budgets.reserve(job.batch_id, attempt.attempt_id, cost):
            return True
        await self.release(job, attempt)
        return False

    async def release(self, job: Job, attempt: Attempt) -> None:
        """Give back what an attempt that rang nowhere had reserved."""
        if attempt.reserved_cost is not None:
            await self.give_back(Reservation(job.account_id, attempt.attempt_id, job.batch_id))
        await self.give_back(Reservation(job.account_id, attempt.attempt_id, None))

    async def charge(self, job: Job, account: Account, entry: Transaction, charge: Charge) -> Batch:
        """Charge a call that is over: safe to stop anywhere and to repeat. Answers the batch as it is after.

        The batch is read after the ledger is written: a budget that is set later is counted with this entry.
        """
        if charge.units or charge.cost:
            await self._transactions.add(entry)
        await self._accounts.settle(account.account_id, entry.transaction_id, account.plan_type, charge)
        await self._batches.wake_blocked(account.account_id, NO_BALANCE, self._time.now())
        batch = await self._batches.get(job.batch_id)
        if batch is None:
            raise LookupError(f"job {job.job_id} has no batch {job.batch_id}")
        if batch.budget is not None or entry.transaction_id in batch.budget_reservations:
            await self._budgets.settle(batch.batch_id, entry.transaction_id, charge.cost)
            await self._batches.wake_blocked(account.account_id, BUDGET_EXHAUSTED, self._time.now())
        return batch

    async def reservations(self) -> set[Reservation]:
        """All there are."""
        in_balances, in_budgets = await self._accounts.reserved(), await self._budgets.reserved()
        found = {Reservation(account, attempt, None) for account, ids in in_balances.items() for attempt in ids}
        found |= {
            Reservation(account, attempt, batch) for (account, batch), ids in in_budgets.items() for attempt in ids
        }
        return found

    async def give_back(self, reservation: Reservation) -> bool:
        """Whether it was there."""
        account_id, attempt_id, batch_id = reservation
        if batch_id is None:
            code, was_there = NO_BALANCE, await self._accounts.release(account_id, attempt_id)
        else:
            code, was_there = BUDGET_EXHAUSTED, await self._budgets.release(batch_id, attempt_id)
        if was_there:
            await self._batches.wake_blocked(account_id, code, self._time.now())
        return was_there

    async def rest(self, batch: Batch, shortage: Shortage) -> None:
        """Let a batch sleep that lacks money."""
        now = self._time.now()
        until = now + self._recheck
        if await self._batches.sleep(batch, until, blocked(batch, Message(code=shortage.code), now, until)):
            await self.note(batch, shortage)
        else:
            # Something came in since: it may sleep for another reason, and money would not wake it.
            await self._batches.wake(batch.batch_id, now)

    async def note(self, batch: Batch, shortage: Shortage) -> None:
        """Say in its log, once, that a batch which has just gone to sleep lacks money; look again if it still does."""
        if (batch.shortage is None or batch.shortage.code != shortage.code) and await self._batches.note_shortage(
            batch.batch_id, shortage
        ):
            await log_event(self._batches, self._time, batch.batch_id, _EVENTS[shortage.code])
        if await self.shortage(batch) is None:
            await self._batches.wake(batch.batch_id, self._time.now())

    async def shortage(self, batch: Batch) -> Shortage | None:
        """What the batch lacks at this moment, however it was read."""
        account = await self._accounts.get(batch.account_id)
        return shortage_of(await self._fresh(batch), account) if account is not None else None

    async def note_back(self, batch: Batch, account: Account) -> None:
        """A call of the batch could be paid: say so in its log if it was told of a shortage before the last top-up."""
        noted = batch.shortage
        if noted is None or level_of(noted.code, batch, account) == noted.level:
            return
        if await self._batches.forget_shortage(batch.batch_id, noted) and noted.code == NO_BALANCE:
            await log_event(self._batches, self._time, batch.batch_id, "balance_back")

    async def post_left_over(self) -> None:
        """Write what is missing in the ledger of money that accounts have already."""
        await post_left_over(self._accounts, self._transactions)

    async def _fresh(self, batch: Batch) -> Batch:
        fresh = await self._batches.get(batch.batch_id)
        if fresh is None:
            raise LookupError(f"batch {batch.batch_id} is gone")
        return fresh
