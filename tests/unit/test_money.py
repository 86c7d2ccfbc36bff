"""What a call costs, to the hundredth of a cent, and what is affordable."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import Charge, Plan, Pricing, Unit, affordable_seconds, charge_for

CREDITS, MINUTES = Plan.CREDIT_BASED, Plan.MINUTES_BASED
plans = st.sampled_from(Plan)
increments = st.integers(1, 60)
talks = st.integers(0, 7_200_000).map(lambda milliseconds: milliseconds / 1000)


def amounts(largest: int, places: int = 4, smallest: str = "0") -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(smallest), largest, places=places, allow_nan=False, allow_infinity=False)


pricings = st.builds(
    Pricing,
    cost_per_minute=amounts(50),
    credits_per_minute=amounts(50, smallest="0.0001"),
    billing_increment_seconds=increments,
)


def pricing(cost: str = "0.15", credits_per_minute: str = "1", increment: int = 1) -> Pricing:
    return Pricing(
        cost_per_minute=Decimal(cost),
        credits_per_minute=Decimal(credits_per_minute),
        billing_increment_seconds=increment,
    )


CHARGES = [
    # seconds, plan, pricing, billed seconds, minutes, units, cost
    (60, CREDITS, pricing(), 60, "1", "1", "0.15"),
    (0, CREDITS, pricing(), 0, "0", "0", "0"),
    (-5, CREDITS, pricing(), 0, "0", "0", "0"),
    (0.001, CREDITS, pricing(), 1, "0.0167", "0.0167", "0.0025"),
    (61, CREDITS, pricing(increment=60), 120, "2", "2", "0.3"),
    (60, CREDITS, pricing(increment=60), 60, "1", "1", "0.15"),
    (7, CREDITS, pricing(increment=6), 12, "0.2", "0.2", "0.03"),
    (90, CREDITS, pricing("0.30", "2"), 90, "1.5", "3", "0.45"),
    # The minutes plan takes minutes whatever a minute is in credits; money is beside it.
    (90, MINUTES, pricing("0.30", "2"), 90, "1.5", "1.5", "0.45"),
    # Half a hundredth of a cent rounds up, less rounds down.
    (1, CREDITS, pricing("0.003"), 1, "0.0167", "0.0167", "0.0001"),
    (1, CREDITS, pricing("0.0029"), 1, "0.0167", "0.0167", "0"),
]


@pytest.mark.parametrize(("seconds", "plan", "prices", "billed", "minutes", "units", "cost"), CHARGES)
def test_the_charge_of_a_call(
    seconds: float, plan: Plan, prices: Pricing, billed: int, minutes: str, units: str, cost: str
) -> None:
    expected = Charge(seconds=billed, minutes=Decimal(minutes), units=Decimal(units), cost=Decimal(cost))
    assert charge_for(seconds, plan, prices) == expected


def test_each_plan_pays_in_its_own_unit() -> None:
    assert (CREDITS.unit, MINUTES.unit) == (Unit.CREDITS, Unit.MINUTES)


@given(seconds=talks, plan=plans, prices=pricings)
def test_a_charge_bills_whole_increments_never_less_than_was_talked(
    seconds: float, plan: Plan, prices: Pricing
) -> None:
    charge = charge_for(seconds, plan, prices)
    assert charge.seconds >= seconds
    assert charge.seconds - seconds < prices.billing_increment_seconds
    assert charge.seconds % prices.billing_increment_seconds == 0


@given(shorter=talks, more=talks, plan=plans, prices=pricings)
def test_a_longer_call_never_costs_less(shorter: float, more: float, plan: Plan, prices: Pricing) -> None:
    one, other = charge_for(shorter, plan, prices), charge_for(shorter + more, plan, prices)
    assert one.seconds <= other.seconds
    assert one.minutes <= other.minutes
    assert one.units <= other.units
    assert one.cost <= other.cost


@given(seconds=talks, plan=plans, prices=pricings)
def test_amounts_have_four_places_and_are_off_by_half_a_unit_of_the_last_at_most(
    seconds: float, plan: Plan, prices: Pricing
) -> None:
    charge = charge_for(seconds, plan, prices)
    for amount in (charge.minutes, charge.units, charge.cost):
        assert amount.as_tuple().exponent == -4
    assert abs(charge.cost * 60 - charge.seconds * prices.cost_per_minute) <= Decimal("0.00005") * 60


# What is affordable -----------------------------------------------------------------------------------------------

AFFORDABLE = [
    # free, wanted, plan, pricing, seconds
    ("10", 300, CREDITS, pricing(), 300),
    ("5", 300, CREDITS, pricing(), 300),
    ("4.9999", 300, CREDITS, pricing(), 299),
    ("2.5", 300, CREDITS, pricing(increment=60), 120),
    ("2.5", 300, CREDITS, pricing("0.15", "2"), 75),
    ("2.5", 300, MINUTES, pricing("0.15", "2"), 150),
    ("0", 300, CREDITS, pricing(), 0),
    ("-3", 300, CREDITS, pricing(), 0),
]


@pytest.mark.parametrize(("free", "wanted", "plan", "prices", "seconds"), AFFORDABLE)
def test_the_longest_affordable_call(free: str, wanted: int, plan: Plan, prices: Pricing, seconds: int) -> None:
    assert affordable_seconds(Decimal(free), wanted, plan, prices) == seconds


@given(
    covers=st.integers(-60, 8000),
    change=amounts(1, places=6, smallest="-1"),
    wanted=st.integers(60, 7200),
    plan=plans,
    prices=pricings,
)
def test_the_worst_case_of_an_affordable_call_is_covered(
    covers: int, change: Decimal, wanted: int, plan: Plan, prices: Pricing
) -> None:
    per_minute = prices.credits_per_minute if plan.unit is Unit.CREDITS else Decimal(1)
    free = covers * per_minute / 60 + change * per_minute
    seconds = affordable_seconds(free, wanted, plan, prices)
    assert 0 <= seconds <= wanted
    assert seconds == 0 or charge_for(seconds, plan, prices).units <= free


@given(free=amounts(200), wanted=st.integers(60, 7200), plan=plans, prices=pricings)
def test_no_call_that_is_clearly_longer_would_be_affordable(
    free: Decimal, wanted: int, plan: Plan, prices: Pricing
) -> None:
    seconds = affordable_seconds(free, wanted, plan, prices)
    longer = seconds + 2 * prices.billing_increment_seconds
    if longer <= wanted:
        per_minute = prices.credits_per_minute if plan.unit is Unit.CREDITS else Decimal(1)
        assert longer * per_minute / 60 > free


def test_what_is_left_beyond_the_last_place_covers_nothing() -> None:
    cheap = pricing(credits_per_minute="0.0001")
    assert affordable_seconds(Decimal("0.00007"), 60, CREDITS, cheap) == 0
    assert affordable_seconds(Decimal("0.0001"), 60, CREDITS, cheap) == 60
