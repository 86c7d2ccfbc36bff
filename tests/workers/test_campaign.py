"""A campaign from claim to final: what is dialed, when it is tried again, and what it costs."""

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from app.domain.batches import Batch, BatchStatus, ScheduleType
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job, JobState
from app.domain.money import Plan
from app.domain.outcomes import Disposition
from tests.workers.conftest import Campaigns, RunningSimulator, has_status, is_blocked, numbers, until


async def test_every_contact_ends_final_and_the_batch_completes(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await campaigns.account()
    phones = numbers(30)
    batch = await campaigns.batch(account, [[phone] for phone in phones])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    jobs = await campaigns.jobs(batch)
    assert {job.state for job in jobs} == {JobState.COMPLETED}
    assert {job.disposition for job in jobs} == {Disposition.ANSWERED}
    creates = await simulator.creates()
    assert sorted(create["to_number"] for create in creates) == phones
    assert len({create["idempotency_key"] for create in creates}) == 30
    await campaigns.assert_ledger_exact(account)


async def test_ring_timeout_and_maximum_duration_reach_retell(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.knobs(unknown_keys="reject")
    batch = await campaigns.batch(
        await campaigns.account(), [numbers(1)], ring_timeout=17, max_call_duration=95, script_content="Hola {{nombre}}"
    )
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    (create,) = await simulator.creates()
    agent = create["body"]["agent_override"]["agent"]
    assert agent["ring_duration_ms"] == 17_000
    assert agent["max_call_duration_ms"] == 95_000
    assert create["body"]["retell_llm_dynamic_variables"]["script"] == "Hola Contacto 0"
    assert create["metadata"]["batch_id"] == batch.batch_id


async def test_attempts_rotate_over_the_phones_and_end_at_the_maximum(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    first, second = numbers(2)
    await simulator.script({first: ["dial_no_answer"], second: ["dial_busy"]})
    batch = await campaigns.batch(await campaigns.account(), [[first, second]], max_attempts=3)
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    job = await campaigns.job(batch)
    assert [create["to_number"] for create in await simulator.creates()] == [first, second, first]
    assert (job.state, job.attempts) == (JobState.FAILED, 3)
    assert job.reason is not None
    assert job.reason.code == "max_attempts_reached"


async def test_a_retry_waits_for_its_delay(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: ["dial_busy", "user_hangup"]})
    batch = await campaigns.batch(await campaigns.account(), [phone], retry_delay_hours=2 / 3600)
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    job = await campaigns.job(batch)
    busy, answered = job.history
    assert answered.dialed_at - busy.ended_at >= timedelta(seconds=2)
    assert job.attempts == 2


async def test_an_invalid_number_retires_the_phone_and_not_the_contact(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    bad, good = numbers(2)
    await simulator.script({bad: ["invalid_destination"]})
    batch = await campaigns.batch(await campaigns.account(), [[bad, good]], max_attempts=1, retry_delay_hours=24)
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    job = await campaigns.job(batch)
    assert (job.state, job.attempts, job.retired_phones) == (JobState.COMPLETED, 1, [bad])


async def test_voicemail_and_silence_are_not_a_success(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    machine, silent, detected = numbers(3)
    await simulator.script(
        {
            machine: [{"disconnection_reason": "agent_hangup", "talk_seconds": 20, "in_voicemail": True}],
            silent: [{"disconnection_reason": "inactivity", "talk_seconds": 20, "user_speaks": False}],
            detected: ["voicemail_reached"],
        }
    )
    batch = await campaigns.batch(await campaigns.account(), [[machine], [silent], [detected]], max_attempts=1)
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    jobs = await campaigns.jobs(batch)
    assert [job.disposition for job in jobs] == [Disposition.VOICEMAIL, Disposition.SILENCE, Disposition.VOICEMAIL]
    assert {job.state for job in jobs} == {JobState.FAILED}


async def test_two_workers_never_exceed_the_accounts_limit(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await campaigns.account(limit=3)
    batches = [await campaigns.batch(account, [[n] for n in numbers(12, start)]) for start in (0, 100)]
    one, two = await campaigns.worker("one"), await campaigns.worker("two")

    async with one.running(), two.running():
        for batch in batches:
            await until(partial(has_status, campaigns, batch, BatchStatus.COMPLETED))

    summary = await simulator.summary()
    assert summary["peak_simultaneous_by_account"] == {account.account_id: 3}
    assert summary["calls_created"] == 24
    assert not summary["duplicate_attempt_ids"]


async def test_a_call_is_charged_by_its_billed_seconds(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: [{"disconnection_reason": "user_hangup", "talk_seconds": 90}]})
    account = await campaigns.account(funds=100, plan=Plan.MINUTES_BASED)
    batch = await campaigns.batch(account, [phone])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    after = await campaigns.container.accounts.get(account.account_id)
    billed = (await campaigns.job(batch)).history[0].billed_seconds
    assert billed >= 90
    assert after.funds.minutes_used == (Decimal(billed) / 60).quantize(Decimal("0.0001"))
    await campaigns.assert_ledger_exact(account)


async def test_an_empty_account_suspends_and_a_top_up_resumes(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await campaigns.account(funds=0)
    batch = await campaigns.batch(account, [[n] for n in numbers(4)])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: is_blocked(campaigns, batch, "no_balance"))
        assert await simulator.creates() == []
        await campaigns.container.accounts.top_up(
            account.account_id, bought_credits=Decimal(50), bought_minutes=Decimal(0), idempotency_key="k1"
        )
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    jobs = await campaigns.jobs(batch)
    assert {(job.state, job.attempts) for job in jobs} == {(JobState.COMPLETED, 1)}
    await campaigns.assert_ledger_exact(account)


async def test_little_money_shortens_the_call_instead_of_overrunning(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: [{"disconnection_reason": "user_hangup", "talk_seconds": 600}]})
    account = await campaigns.account(funds=1, limit=1)
    batch = await campaigns.batch(account, [phone], max_call_duration=300, max_attempts=1)
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    (create,) = await simulator.creates()
    assert create["body"]["agent_override"]["agent"]["max_call_duration_ms"] == 60_000
    after = await campaigns.container.accounts.get(account.account_id)
    assert after.funds.credits_available >= 0
    await campaigns.assert_ledger_exact(account)


async def test_a_scheduled_batch_starts_at_its_time(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    at = campaigns.container.clock.now() + timedelta(seconds=1.5)
    batch = await campaigns.batch(
        await campaigns.account(), [numbers(1)], schedule_type=ScheduleType.SCHEDULED, scheduled_at=at
    )
    assert batch.status is BatchStatus.SCHEDULED
    one, two = await campaigns.worker("one"), await campaigns.worker("two")

    async with one.running(), two.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    job = await campaigns.job(batch)
    assert job.history[0].dialed_at >= at - timedelta(milliseconds=1)
    logs, _ = await campaigns.container.batches.logs(batch.batch_id, limit=50, skip=0)
    assert [entry.event for entry in logs].count("batch_started") == 1


async def test_once_starts_what_was_scheduled_for_now(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    batch = await campaigns.batch(
        await campaigns.account(),
        [numbers(1)],
        schedule_type=ScheduleType.SCHEDULED,
        scheduled_at=campaigns.container.clock.now() + timedelta(seconds=1),
    )
    worker = await campaigns.worker()
    await until(lambda: _is_due(campaigns, batch))

    await worker.runner().run_once()

    assert (await campaigns.job(batch)).state is JobState.COMPLETED


async def test_once_waits_for_a_database_that_is_away(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker()
    queue, real = worker.work._rescuing._queue, worker.work._rescuing._queue.expired
    outages = iter([DatabaseUnavailable(), DatabaseUnavailable()])

    async def expired(*args: Any) -> list[Job]:
        if (outage := next(outages, None)) is not None:
            raise outage
        return await real(*args)

    queue.expired = expired  # type: ignore[method-assign, assignment] # the outage
    await worker.runner().run_once()

    assert (await campaigns.job(batch)).state is JobState.COMPLETED


async def test_once_sees_what_is_due_to_its_end_and_returns(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    busy, answered = numbers(2)
    await simulator.script({busy: ["dial_busy"]})
    batch = await campaigns.batch(await campaigns.account(), [[busy], [answered]], retry_delay_hours=24)
    worker = await campaigns.worker()

    await worker.runner().run_once()

    states = [job.state for job in await campaigns.jobs(batch)]
    assert states == [JobState.PENDING, JobState.COMPLETED]
    assert (await campaigns.stored(batch)).status is BatchStatus.RUNNING


async def _is_due(campaigns: Campaigns, batch: Batch) -> bool:
    return batch.scheduled_at is not None and campaigns.container.clock.now() >= batch.scheduled_at
