"""A recurring batch through the worker: its first run is called, once, by whoever is quicker."""

from app.domain.batches import Batch, BatchStatus, ScheduleType
from app.domain.recurrence import Frequency, RecurrenceRule
from tests.workers.conftest import Campaigns, RunningSimulator, has_status, numbers, until

DAILY = RecurrenceRule(frequency=Frequency.DAILY, interval=1)


async def test_two_workers_call_the_contacts_of_a_run_once(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await campaigns.account()
    phones = numbers(12)
    series = await campaigns.batch(
        account, [[n] for n in phones], schedule_type=ScheduleType.RECURRING, recurring=DAILY
    )
    one, two = await campaigns.worker("one"), await campaigns.worker("two")

    async def its_run_is_over() -> bool:
        run = await run_of(campaigns, series)
        return run is not None and await has_status(campaigns, run, BatchStatus.COMPLETED)

    async with one.running(), two.running():
        await until(its_run_is_over)

    assert sorted(create["to_number"] for create in await simulator.creates()) == phones
    stored = await campaigns.stored(series)
    assert (stored.status, stored.runs_started) == (BatchStatus.SCHEDULED, 1)
    await campaigns.assert_ledger_exact(account)


async def test_once_sees_a_run_that_is_due_to_its_end(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    series = await campaigns.batch(
        await campaigns.account(), [numbers(1)], schedule_type=ScheduleType.RECURRING, recurring=DAILY
    )
    worker = await campaigns.worker()
    await worker.runner().run_once()
    run = await run_of(campaigns, series)
    assert run is not None
    assert run.status is BatchStatus.COMPLETED


async def run_of(campaigns: Campaigns, series: Batch) -> Batch | None:
    """Its only run."""
    views, total = await campaigns.container.batches.page(
        account_ids=None, status=None, is_active=None, limit=5, skip=0, parent_batch_id=series.batch_id
    )
    assert total <= 1
    return views[0].batch if views else None
