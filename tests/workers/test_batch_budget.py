"""A batch's budget: never exceeded by calls that start under it, whoever calls at the same time."""

from decimal import Decimal

from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import JobState
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    has_state,
    has_status,
    is_blocked,
    leased,
    numbers,
    until,
)

MINUTE = Decimal("0.15")


async def spent(campaigns: Campaigns, batch: Batch) -> Decimal:
    """By the ledger."""
    usage = await campaigns.container.batches._figures._transactions.batch_usage([batch.batch_id])
    return usage[batch.batch_id].cost


async def events(campaigns: Campaigns, batch: Batch, event: str) -> int:
    log, _ = await campaigns.container.batches.logs(batch.batch_id, limit=200, skip=0)
    return sum(entry.event == event for entry in log)


async def test_simultaneous_calls_never_exceed_the_budget_and_a_raise_resumes(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phones = numbers(20)
    await simulator.script({phone: [{"disconnection_reason": "user_hangup", "talk_seconds": 500}] for phone in phones})
    account = await campaigns.account(limit=20)
    budget = 5 * MINUTE + MINUTE / 2
    batch = await campaigns.batch(account, [[n] for n in phones], budget=budget, max_attempts=1)
    one, two = await campaigns.worker("one"), await campaigns.worker("two")

    async def rests() -> bool:
        now = await campaigns.stored(batch)
        assert now.budget_used is not None
        assert now.budget_used + now.budget_reserved <= budget
        at_rest = await has_state(campaigns, batch, JobState.PENDING, JobState.COMPLETED)
        return at_rest and await is_blocked(campaigns, batch, "budget_exhausted")

    async with one.running(), two.running():
        await until(rests, seconds=60)
        assert 4 * MINUTE < await spent(campaigns, batch) <= budget
        view = await campaigns.container.batches.view(batch.batch_id)
        assert view.batch.status is BatchStatus.RUNNING
        assert await events(campaigns, batch, "budget_exhausted") == 1
        waiting = [job for job in await campaigns.jobs(batch) if job.state is JobState.PENDING]
        assert {job.attempts for job in waiting} == {0}
        await campaigns.assert_ledger_exact(account)

        await campaigns.container.batches.change(batch.batch_id, {"budget": Decimal(100)}, is_active=None, user="test")
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED), seconds=60)

    durations = {
        create["body"]["agent_override"]["agent"]["max_call_duration_ms"] for create in await simulator.creates()
    }
    assert 120_000 in durations
    assert min(durations) < 120_000, "a call was shortened to what was left"
    assert (await campaigns.stored(batch)).budget_used == await spent(campaigns, batch)
    await campaigns.assert_ledger_exact(account)


async def test_what_a_call_gives_back_resumes_the_batch(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    phones = numbers(3)
    await simulator.script({phone: ["dial_no_answer"] for phone in phones})
    batch = await campaigns.batch(
        await campaigns.account(), [[n] for n in phones], budget=2 * MINUTE, retry_delay_hours=24
    )
    worker = await campaigns.worker()

    async def all_called() -> bool:
        return {job.attempts for job in await campaigns.jobs(batch)} == {1}

    async with worker.running():
        await until(all_called)


async def test_a_budget_set_later_counts_what_was_spent_and_what_is_being_spent(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    change = campaigns.container.batches.change
    await change(batch.batch_id, {"budget": Decimal(5)}, is_active=None, user="test")
    funding = worker.work._dialing._funding
    counted = await funding.counted(await campaigns.stored(batch))
    assert counted.budget_used == 0

    await worker.work.process(in_call)

    cost = await spent(campaigns, batch)
    assert cost > 0
    assert (await funding.counted(await campaigns.stored(batch))).budget_used == cost
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(job.account_id))


async def test_a_count_is_not_fooled_by_a_call_that_settles_meanwhile(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker, budget=Decimal(5))
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    change = campaigns.container.batches.change
    await change(batch.batch_id, {"budget": None}, is_active=None, user="test")
    await change(batch.batch_id, {"budget": Decimal(7)}, is_active=None, user="test")
    funding = worker.work._dialing._funding
    real, settled = funding._transactions.batch_cost, list[bool]()

    async def settles_after_the_sum(batch_id: str, without: object) -> Decimal:
        total = await real(batch_id, without)  # type: ignore[arg-type] # passed on
        if not settled:
            settled.append(True)
            await worker.work.process(in_call)
        return total

    funding._transactions.batch_cost = settles_after_the_sum  # type: ignore[method-assign] # the race
    counted = await funding.counted(await campaigns.stored(batch))
    assert counted.budget_used == await spent(campaigns, batch) > 0
    assert counted.budget_reservations == {}


async def test_a_call_costs_no_more_than_was_reserved_though_the_price_rose(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: [{"disconnection_reason": "user_hangup", "talk_seconds": 100}]})
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker, budget=Decimal("0.3"))
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    await campaigns.container.accounts.change(job.account_id, {"pricing.cost_per_minute": Decimal(9)})
    await worker.work.process(in_call)
    assert await spent(campaigns, batch) <= Decimal("0.3")


async def test_a_batch_without_a_budget_is_written_no_more_often(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch, _ = await leased(campaigns, worker)
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED), seconds=60)
    assert (await campaigns.stored(batch)).budget_settled == 0
