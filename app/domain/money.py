"""What a call costs the customer. Decimal end to end; amounts are rounded once, here, to `CENT_OF_A_CENT`.

Two plans pay in two units (credits or minutes); beside the unit every charge has a `cost` in money. The provider's
own cost is another number and is kept on the attempt, never mixed with these.
"""

import math
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

CENT_OF_A_CENT = Decimal("0.0001")
SECONDS_A_MINUTE = Decimal(60)


class Unit(StrEnum):
    CREDITS = "credits"
    MINUTES = "minutes"


class Plan(StrEnum):
    CREDIT_BASED = "credit_based"
    MINUTES_BASED = "minutes_based"

    @property
    def unit(self) -> Unit:
        return Unit.CREDITS if self is Plan.CREDIT_BASED else Unit.MINUTES


class Pricing(BaseModel):
    """An account's price list. Talk time is rounded up to `billing_increment_seconds`."""

    model_config = ConfigDict(frozen=True)

    cost_per_minute: Decimal = Field(ge=0)
    credits_per_minute: Decimal = Field(gt=0)
    billing_increment_seconds: int = Field(default=1, ge=1, le=60)


class Charge(BaseModel):
    """The price of one call: billed seconds, the same as minutes, the plan's units taken, and the money."""

    model_config = ConfigDict(frozen=True)

    seconds: int
    minutes: Decimal
    units: Decimal
    cost: Decimal


def charge_for(seconds: float, plan: Plan, pricing: Pricing) -> Charge:
    """The charge for `seconds` of billed time (fractions are rounded up to the billing increment)."""
    increment = pricing.billing_increment_seconds
    billed = math.ceil(max(seconds, 0) / increment) * increment
    exact_minutes = Decimal(billed) / SECONDS_A_MINUTE
    units = exact_minutes * pricing.credits_per_minute if plan.unit is Unit.CREDITS else exact_minutes
    return Charge(
        seconds=billed,
        minutes=_rounded(exact_minutes),
        units=_rounded(units),
        cost=_rounded(exact_minutes * pricing.cost_per_minute),
    )


def affordable_seconds(free: Decimal, wanted: int, plan: Plan, pricing: Pricing) -> int:
    """The longest call, at most `wanted` seconds, whose worst case `free` units cover; 0 if none."""
    if charge_for(wanted, plan, pricing).units <= free:
        return wanted
    return _covered(free, pricing.credits_per_minute if plan.unit is Unit.CREDITS else Decimal(1), pricing)


def seconds_within_budget(left: Decimal, wanted: int, plan: Plan, pricing: Pricing) -> int:
    """The longest call, at most `wanted` seconds, whose worst case costs no more money than is `left`; 0 if none."""
    if left < 0:
        return 0
    if charge_for(wanted, plan, pricing).cost <= left:
        return wanted
    return _covered(left, pricing.cost_per_minute, pricing)


def _covered(amount: Decimal, per_minute: Decimal, pricing: Pricing) -> int:
    # Charges are rounded, so what is left beyond the last place covers nothing.
    covered = amount.quantize(CENT_OF_A_CENT, rounding=ROUND_FLOOR)
    seconds = max(int(covered / per_minute * SECONDS_A_MINUTE), 0)
    return seconds - seconds % pricing.billing_increment_seconds


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT_OF_A_CENT, rounding=ROUND_HALF_UP)
