"""Caps of calls to one person hold over batches, phones, workers and operators' retries."""

from datetime import timedelta

from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.person_caps import CapCounts, CapPeriod, PersonCap
from tests.workers.conftest import Campaigns, RunningSimulator, has_state, has_status, numbers, until

ONCE_A_WEEK = PersonCap(counts=CapCounts.ATTEMPTS, max=1, period=CapPeriod.ROLLING, days=7)
ONE_TALK_A_WEEK = PersonCap(counts=CapCounts.CONVERSATIONS, max=1, period=CapPeriod.ROLLING, days=7)


async def capped(campaigns: Campaigns, *caps: PersonCap) -> Account:
    account = await campaigns.account()
    return await campaigns.container.accounts.change(account.account_id, {"person_caps": list(caps)})


def is_held_back(job: Job) -> bool:
    return (
        job.state is JobState.PENDING
        and job.waiting_for is WaitingFor.PERSON
        and job.reason is not None
        and job.reason.code == "person_cap_reached"
    )


async def all_held_back_or_done(campaigns: Campaigns, batches: list[Batch]) -> bool:
    jobs = [job for batch in batches for job in await campaigns.jobs(batch)]
    return all(is_held_back(job) or job.state.is_final for job in jobs)


async def test_once_a_week_over_two_batches_and_two_workers(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """Twelve people, each in both batches, with another phone in each; nobody picks up."""
    account = await capped(campaigns, ONCE_A_WEEK)
    phones = [numbers(12), numbers(12, 100)]
    await simulator.script({phone: ["dial_no_answer"] for half in phones for phone in half})
    batches = [
        await campaigns.batch(
            account,
            [],
            contacts=[
                {"name": f"{n}", "phones": [phone], "rut": f"{10_000_000 + n}-1"} for n, phone in enumerate(half)
            ],
        )
        for half in phones
    ]
    left, right = await campaigns.worker("left"), await campaigns.worker("right")

    async with left.running(), right.running():
        await until(lambda: all_settled(campaigns, account, batches))

    dialed = [create["to_number"] for create in await simulator.creates()]
    persons = [int(number[-2:]) for number in dialed]
    assert sorted(persons) == list(range(12)), "each person once, on one of the two phones"
    for batch in batches:
        for job in await campaigns.jobs(batch):
            own = job.history[-1].ended_at if job.history else None
            assert job.due_at > campaigns.container.clock.now() + timedelta(days=6)
            assert own is None or job.due_at == own + timedelta(days=7)


async def all_settled(campaigns: Campaigns, account: Account, batches: list[Batch]) -> bool:
    """Whether all are held back by the cap; whoever only met the person's other call may ask again at once."""
    waiting = {"account_id": account.account_id, "state": "pending", "reason.code": "person_in_another_call"}
    now = campaigns.container.clock.now()
    await campaigns.container.database.collection("jobs").update_many(waiting, {"$set": {"due_at": now}})
    await campaigns.container.database.collection("batches").update_many({}, {"$set": {"wake_at": now}})
    return await all_held_back(campaigns, *batches)


async def test_a_conversation_holds_the_other_batch_back_and_unanswered_calls_do_not(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await capped(campaigns, ONE_TALK_A_WEEK)
    talked, silent = numbers(2)
    await simulator.script({silent: ["dial_no_answer"]})
    first = await campaigns.batch(account, [[talked], [silent]], max_attempts=1)
    worker = await campaigns.worker()
    async with worker.running():
        await until(lambda: has_status(campaigns, first, BatchStatus.COMPLETED))
        second = await campaigns.batch(account, [[talked], [silent]], max_attempts=1)
        await until(lambda: all_held_back_or_done(campaigns, [second]))

    held, called = await campaigns.jobs(second)
    assert is_held_back(held)
    assert (held.attempts, called.attempts) == (0, 1)


async def test_an_operators_retry_obeys_the_cap(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await capped(campaigns, ONCE_A_WEEK)
    phone = numbers(1)
    await simulator.script({phone[0]: ["dial_busy"]})
    batch = await campaigns.batch(account, [phone], max_attempts=1)
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_state(campaigns, batch, JobState.FAILED))
        await campaigns.container.jobs.retry((await campaigns.job(batch)).job_id, user="test")
        await until(lambda: all_held_back(campaigns, batch))

    assert (await simulator.summary())["calls_created"] == 1


async def all_held_back(campaigns: Campaigns, *batches: Batch) -> bool:
    jobs = [job for batch in batches for job in await campaigns.jobs(batch)]
    return all(is_held_back(job) for job in jobs)


async def test_one_person_who_is_held_back_holds_up_nobody_else(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await capped(campaigns, ONE_TALK_A_WEEK)
    phones = numbers(6)
    before = await campaigns.batch(account, [[phones[0]]])
    worker = await campaigns.worker()
    async with worker.running():
        await until(lambda: has_status(campaigns, before, BatchStatus.COMPLETED))
        batch = await campaigns.batch(account, [[phone] for phone in phones])
        await until(lambda: all_held_back_or_done(campaigns, [batch]))

    held, *others = await campaigns.jobs(batch)
    assert is_held_back(held)
    assert {job.state for job in others} == {JobState.COMPLETED}


async def test_lifting_the_caps_lets_those_go_on_who_waited_for_them(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await capped(campaigns, ONE_TALK_A_WEEK)
    phone = numbers(1)
    first = await campaigns.batch(account, [phone])
    worker = await campaigns.worker()
    async with worker.running():
        await until(lambda: has_status(campaigns, first, BatchStatus.COMPLETED))
        second = await campaigns.batch(account, [phone])
        await until(lambda: all_held_back(campaigns, second))
        await campaigns.container.accounts.change(account.account_id, {"person_caps": []})
        await until(lambda: has_status(campaigns, second, BatchStatus.COMPLETED))

    assert (await simulator.summary())["calls_created"] == 2


async def test_an_account_without_caps_calls_as_often_as_its_batches_say(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account, phone = await campaigns.account(), numbers(1)
    worker = await campaigns.worker()
    async with worker.running():
        for _ in range(2):
            batch = await campaigns.batch(account, [phone])
            await until(lambda batch=batch: has_status(campaigns, batch, BatchStatus.COMPLETED))  # type: ignore[misc] # bound now

    assert (await simulator.summary())["calls_created"] == 2
