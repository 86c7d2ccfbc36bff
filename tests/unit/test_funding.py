"""Whether there is money for a call is asked twice, before a batch is taken up and before a call: with one answer."""

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.accounts import Funds
from app.domain.funding import longest_call, shortage_of
from app.domain.money import Plan, Pricing, charge_for
from tests.builders import make_account, make_batch

PRICES = st.decimals("0.0001", 100, places=4)


@given(
    prices=st.tuples(PRICES, PRICES),
    increment=st.integers(1, 60),
    calls=st.sampled_from([1, 2]),
    over=st.integers(-1, 1),
    budgeted=st.booleans(),
)
@example(prices=(Decimal(1), Decimal("7.09")), increment=34, calls=1, over=0, budgeted=False)
def test_a_call_is_possible_exactly_where_nothing_is_short(
    prices: tuple[Decimal, Decimal], increment: int, calls: int, over: int, budgeted: bool
) -> None:
    pricing = Pricing(cost_per_minute=prices[0], credits_per_minute=prices[1], billing_increment_seconds=increment)
    shortest = charge_for(60, Plan.CREDIT_BASED, pricing)
    hair = over * Decimal("0.0001")
    free = Decimal(1_000_000) if budgeted else shortest.units * calls + hair
    account = make_account(plan_type=Plan.CREDIT_BASED, pricing=pricing, funds=Funds(free=free))
    batch = make_batch(budget=shortest.cost * calls + hair if budgeted else None, budget_used=Decimal(0))

    seconds = longest_call(batch, account, 300)

    assert (seconds > 0) is (shortage_of(batch, account) is None)
    if seconds:
        worst = charge_for(seconds, Plan.CREDIT_BASED, pricing)
        assert seconds >= 60
        assert worst.units <= free
        assert batch.budget is None or worst.cost <= batch.budget
