"""Whoever asked for peace is left in peace: at the instant of dialing, in every batch, by whatever road."""

import asyncio
from datetime import timedelta

import pytest

from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus
from app.domain.do_not_call import DoNotCallEntry, DoNotCallSource
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.outcomes import Disposition
from app.services.do_not_call import Listing
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    has_state,
    has_status,
    leased,
    let_lease_expire,
    numbers,
    until,
)


async def forbid(campaigns: Campaigns, account_id: str | None, *phones: str, seconds: float | None = None) -> None:
    expires_at = None if seconds is None else campaigns.container.clock.now() + timedelta(seconds=seconds)
    await campaigns.container.do_not_call.add(Listing(account_id, None, expires_at, "test"), phones)


async def entries(campaigns: Campaigns) -> list[DoNotCallEntry]:
    found, _ = await campaigns.container.do_not_call.page(account_id=None, phone=None, limit=500, skip=0)
    return found


def assert_refused_for_good(job: Job) -> None:
    assert (job.state, job.attempts) == (JobState.FAILED, 0)
    assert job.reason is not None
    assert job.reason.code == "on_do_not_call_list"


@pytest.mark.parametrize("everybody", [True, False])
async def test_a_number_added_between_claim_and_dial_is_not_called(
    campaigns: Campaigns, simulator: RunningSimulator, everybody: bool
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    await forbid(campaigns, None if everybody else job.account_id, *job.contact.phones)

    await worker.work.process(job)

    assert_refused_for_good(await campaigns.job(batch))
    assert await simulator.creates() == []


async def test_a_number_added_after_the_decision_is_not_called_either(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """The intent is stored already; the request is not yet sent."""
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker)
    queue = worker.work._dialing._queue
    intend = queue.intend

    async def forbidden_meanwhile(*args: object, **kwargs: object) -> Job | None:
        stored = await intend(*args, **kwargs)  # type: ignore[arg-type] # passed on as they come
        await forbid(campaigns, job.account_id, *job.contact.phones)
        return stored

    queue.intend = forbidden_meanwhile  # type: ignore[method-assign] # the moment under test
    await worker.work.process(job)
    withdrawn = await campaigns.job(batch)
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert (withdrawn.state, withdrawn.waiting_for) == (JobState.PENDING, WaitingFor.PERSON)
    assert_refused_for_good(await campaigns.job(batch))
    assert await simulator.creates() == []
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(job.account_id))


async def test_an_unsure_call_to_a_number_added_meanwhile_is_not_sent_again(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.knobs(create_faults=[{"kind": "500_before", "count": 1}])
    worker = await campaigns.worker()
    _, job = await leased(campaigns, worker)
    unsure = await worker.work._dialing.dial(job)
    assert unsure is not None
    assert unsure.state is JobState.VERIFYING
    await forbid(campaigns, job.account_id, *job.contact.phones)
    asked = asyncio.Event()
    find = worker.work._verifying._provider.find

    async def find_and_tell(attempt_id: str, to_number: str) -> object:
        asked.set()
        return await find(attempt_id, to_number)

    worker.work._verifying._provider.find = find_and_tell  # type: ignore[method-assign, assignment] # to know when
    verifying = campaigns.begin(worker.work.process(unsure))
    async with asyncio.timeout(30):
        await asked.wait()
    worker.control.stopping.set()
    await verifying

    assert (await simulator.summary())["calls_created"] == 0


async def test_a_listed_phone_is_skipped_and_the_other_one_called(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await campaigns.account()
    listed, free = numbers(2)
    await forbid(campaigns, account.account_id, listed)
    batch = await campaigns.batch(account, [[listed, free]])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert [create["to_number"] for create in await simulator.creates()] == [free]
    assert (await campaigns.job(batch)).state is JobState.COMPLETED


async def test_a_number_is_called_once_its_entry_has_expired(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await campaigns.account()
    phone = numbers(1)
    await forbid(campaigns, account.account_id, *phone, seconds=1.5)
    batch = await campaigns.batch(account, [phone])
    worker = await campaigns.worker()
    await worker.runner().run_once()
    waiting = await campaigns.job(batch)
    worker.control.stopping.clear()
    worker.control.ending.clear()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert (waiting.state, waiting.waiting_for, waiting.attempts) == (JobState.PENDING, WaitingFor.PERSON, 0)
    assert waiting.reason is not None
    assert waiting.reason.code == "on_do_not_call_list_until"
    (entry,) = await entries(campaigns)
    done = await campaigns.job(batch)
    assert done.state is JobState.COMPLETED
    assert entry.expires_at is not None
    assert done.history[0].dialed_at >= entry.expires_at


@pytest.mark.parametrize("everybody", [True, False])
async def test_who_is_taken_off_the_list_is_called_at_once(
    campaigns: Campaigns, simulator: RunningSimulator, everybody: bool
) -> None:
    account = await campaigns.account()
    phone, other = numbers(2)
    await forbid(campaigns, None if everybody else account.account_id, phone, seconds=86_400)
    await forbid(campaigns, account.account_id, other, seconds=86_400)
    batch = await campaigns.batch(account, [[phone], [other]])
    worker = await campaigns.worker()

    async def both_wait() -> bool:
        return all(job.waiting_for is WaitingFor.PERSON for job in await campaigns.jobs(batch))

    async def one_is_done() -> bool:
        return any(job.state is JobState.COMPLETED for job in await campaigns.jobs(batch))

    async with worker.running():
        await until(both_wait)
        (entry,) = [entry for entry in await entries(campaigns) if entry.key == phone]
        await campaigns.container.do_not_call.remove(entry.entry_id, user="test")
        await until(one_is_done)

    assert [create["to_number"] for create in await simulator.creates()] == [phone]
    (waiting,) = [job for job in await campaigns.jobs(batch) if job.state is JobState.PENDING]
    assert waiting.due_at > campaigns.container.clock.now() + timedelta(hours=1), "the other's entry still stands"


async def opt_out(campaigns: Campaigns, simulator: RunningSimulator, account: Account) -> list[str]:
    """Somebody with three phones asks for peace on the first of them."""
    phones = numbers(3)
    await simulator.script({phones[0]: ["user_requested_dnc"]})
    contact = {"name": "Ana", "phones": phones, "rut": "12.345.678-5"}
    batch = await campaigns.batch(account, [], contacts=[contact])
    worker = await campaigns.worker("asker")
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
    assert (await campaigns.job(batch)).disposition is Disposition.OPTED_OUT
    return phones


async def test_who_opts_out_is_called_by_no_other_batch_of_the_account(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Neither on another of the phones, nor on one that only the next list has: the person asked, not the phone."""
    account, stranger = await campaigns.account(), await campaigns.account()
    phones = await opt_out(campaigns, simulator, account)
    contacts = [{"name": "Ana", "phones": [phone]} for phone in phones]
    contacts.append({"name": "Ana", "phones": numbers(1, 50), "rut": "12345678-5"})
    batch = await campaigns.batch(account, [], contacts=contacts)
    elsewhere = await campaigns.batch(stranger, [[phones[1]]])
    worker = await campaigns.worker()

    async with worker.running():
        for one in (batch, elsewhere):
            await until(lambda one=one: has_status(campaigns, one, BatchStatus.COMPLETED))  # type: ignore[misc] # bound now

    for job in await campaigns.jobs(batch):
        assert_refused_for_good(job)
    assert (await campaigns.job(elsewhere)).attempts == 1, "what one customer was told is not the other's"
    assert (await simulator.summary())["calls_created"] == 2
    found = await entries(campaigns)
    assert {entry.key for entry in found} == {"id:123456785", *phones}
    assert {(entry.account_id, entry.source) for entry in found} == {(account.account_id, DoNotCallSource.CALL)}


async def test_a_number_that_retell_has_marked_comes_on_the_list_alone(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Retell keeps one list for all of our accounts: it refuses the number to whoever else wants to call it."""
    phones = await opt_out(campaigns, simulator, await campaigns.account())
    account = await campaigns.account()
    batch = await campaigns.batch(account, [phones[:2]])
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    own = [entry for entry in await entries(campaigns) if entry.account_id == account.account_id]
    assert [entry.key for entry in own] == phones[:1]
    assert own[0].reason is not None
    assert own[0].reason.code == "marked_at_retell"
    assert (await campaigns.job(batch)).history[-1].phone == phones[1]


async def test_an_operators_retry_calls_nobody_who_is_listed(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await campaigns.account()
    phone = numbers(1)
    await simulator.script({phone[0]: ["dial_busy"]})
    batch = await campaigns.batch(account, [phone], max_attempts=1)
    worker = await campaigns.worker()
    async with worker.running():
        await until(lambda: has_state(campaigns, batch, JobState.FAILED))
        await forbid(campaigns, account.account_id, *phone)
        await campaigns.container.jobs.retry((await campaigns.job(batch)).job_id, user="test")
        await until(lambda: _ended_by_the_list(campaigns, batch))

    assert (await simulator.summary())["calls_created"] == 1


async def _ended_by_the_list(campaigns: Campaigns, batch: Batch) -> bool:
    job = await campaigns.job(batch)
    return job.state is JobState.FAILED and job.reason is not None and job.reason.code == "on_do_not_call_list"


async def test_a_job_does_not_leave_settling_before_the_entry_is_written(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phone = numbers(1)
    await simulator.script({phone[0]: ["user_requested_dnc"]})
    account = await campaigns.account()
    batch = await campaigns.batch(account, [phone])
    worker, rescuer = await campaigns.worker("dies"), await campaigns.worker("rescuer")
    (job,) = await worker.work.claim(10)

    async def away(*_: object) -> int:
        raise DatabaseUnavailable

    worker.work._settling._do_not_call.add = away  # type: ignore[method-assign, assignment] # the outage
    await worker.work.process(job)
    assert (await campaigns.job(batch)).state is JobState.SETTLING
    assert await entries(campaigns) == []

    await let_lease_expire(campaigns, job)
    (adopted,) = await rescuer.work.adopt(())
    await rescuer.work.process(adopted)
    await rescuer.work.process(adopted)

    assert (await campaigns.job(batch)).state is JobState.COMPLETED
    assert [entry.key for entry in await entries(campaigns)] == phone
    await campaigns.assert_ledger_exact(account)
