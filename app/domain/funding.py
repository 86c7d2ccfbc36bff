"""Is there money for a call? In the account's balance (the plan's unit) and in the batch's budget (money). Pure.

What is answered here is decided again by the database when the money is reserved.
"""

from decimal import Decimal

from app.domain.accounts import Account
from app.domain.batches import CALL_SECONDS, Batch, Shortage
from app.domain.money import Unit, affordable_seconds, seconds_within_budget

NO_BALANCE = "no_balance"
BUDGET_EXHAUSTED = "budget_exhausted"


def longest_call(batch: Batch, account: Account, wanted: int) -> int:
    """The longest call in seconds, at most `wanted`, that balance and budget cover at worst; 0 if none may be made."""
    shortest = CALL_SECONDS[0]
    # Amounts are rounded: what buys the shortest call exactly may be a hair too little by the second. Where
    # `shortage_of` sees no shortage a call must be possible, or its job would be taken and put back for ever.
    return next((seconds for most in (wanted, shortest) if (seconds := _covered(batch, account, most)) >= shortest), 0)


def _covered(batch: Batch, account: Account, wanted: int) -> int:
    seconds = affordable_seconds(account.funds.free, wanted, account.plan_type, account.pricing)
    if batch.budget is None:
        return seconds
    left = budget_left(batch)
    return min(seconds, 0 if left is None else seconds_within_budget(left, wanted, account.plan_type, account.pricing))


def shortage_of(batch: Batch, account: Account) -> Shortage | None:
    """What there is too little of for even the shortest call; None if nothing, or if that is still to be counted."""
    shortest = CALL_SECONDS[0]
    if affordable_seconds(account.funds.free, shortest, account.plan_type, account.pricing) < shortest:
        return Shortage(code=NO_BALANCE, level=level_of(NO_BALANCE, batch, account))
    left = budget_left(batch)
    if left is not None and seconds_within_budget(left, shortest, account.plan_type, account.pricing) < shortest:
        return Shortage(code=BUDGET_EXHAUSTED, level=level_of(BUDGET_EXHAUSTED, batch, account))
    return None


def level_of(code: str, batch: Batch, account: Account) -> Decimal:
    """What only a top-up (or another budget) changes: money that a call gives back is no news for the batch's log."""
    if code == BUDGET_EXHAUSTED:
        return batch.budget or Decimal(0)
    funds = account.funds
    return funds.credits_purchased if account.plan_type.unit is Unit.CREDITS else funds.minutes_purchased


def budget_left(batch: Batch) -> Decimal | None:
    """What may still be reserved; None without a budget, or while what was used is still to be counted."""
    if batch.budget is None or batch.budget_used is None:
        return None
    return batch.budget - batch.budget_used - batch.budget_reserved
