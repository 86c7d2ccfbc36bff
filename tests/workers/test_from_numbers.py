"""The breaker of our own numbers, and the provider's refusals that pause a batch at once."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from app.domain.batches import Batch, BatchStatus
from app.domain.calls import CallReport
from app.domain.from_numbers import FromNumber
from app.domain.jobs import JobState
from app.domain.provider_errors import NumberRejected
from app.repositories.from_numbers import MongoFromNumbers
from tests.workers.conftest import Campaigns, RunningSimulator, has_state, has_status, is_blocked, numbers, until

OURS = "+56225550100"


async def suspect(campaigns: Campaigns) -> FromNumber | None:
    return await MongoFromNumbers(campaigns.container.database).get(OURS)


async def let_the_rest_end(campaigns: Campaigns, batch: Batch) -> None:
    now = campaigns.container.clock.now()
    database = campaigns.container.database
    await database.collection("from_numbers").update_one({}, {"$set": {"rests_until": now - timedelta(seconds=1)}})
    await database.collection("batches").update_one(
        {"_id": batch.batch_id}, {"$set": {"wake_at": now}, "$inc": {"revision": 1}}
    )


async def rest_by_spam(campaigns: Campaigns, simulator: RunningSimulator, count: int = 12) -> Batch:
    """A batch whose number rests after three calls that were marked as spam."""
    phones = numbers(count)
    await simulator.script({phone: ["marked_as_spam", "user_hangup"] for phone in phones})
    batch = await campaigns.batch(await campaigns.account(limit=1), [[phone] for phone in phones])
    worker = await campaigns.worker(provider_retry_seconds=0.2)
    async with worker.running():
        await until(partial(is_blocked, campaigns, batch, "from_number_resting"))
    return batch


async def test_three_calls_marked_as_spam_rest_the_number_and_use_no_attempt(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    batch = await rest_by_spam(campaigns, simulator)

    assert len(await simulator.creates()) == 3
    assert {job.attempts for job in await campaigns.jobs(batch)} == {0}
    resting = await suspect(campaigns)
    assert resting is not None
    assert (resting.rests, len(resting.ends)) == (1, 3)
    stored = await campaigns.stored(batch)
    assert stored.status is BatchStatus.RUNNING
    assert stored.wake_at == resting.rests_until
    view = await campaigns.container.batches.view(batch.batch_id)
    assert view.obstacle is not None
    assert view.obstacle.reason.code == "from_number_resting"
    entries, _ = await campaigns.container.batches.logs(batch.batch_id, limit=50, skip=0)
    assert [entry.message.code for entry in entries if entry.event == "from_number_resting"] == ["from_number_blocked"]


async def test_another_number_goes_on(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    await rest_by_spam(campaigns, simulator)
    other = await campaigns.batch(await campaigns.account(), [numbers(1, start=900)], retell_from_number="+56226000001")
    async with (await campaigns.worker("other")).running():
        await until(partial(has_status, campaigns, other, BatchStatus.COMPLETED))
    assert [create["from_number"] for create in await simulator.creates()][3:] == ["+56226000001"]


async def test_after_the_rest_one_call_tries_and_if_it_succeeds_all_go_on(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    batch = await rest_by_spam(campaigns, simulator)
    await simulator.script({phone: ["user_hangup"] for phone in numbers(12)})
    await let_the_rest_end(campaigns, batch)
    await campaigns.container.database.collection("accounts").update_one(
        {"_id": batch.account_id}, {"$set": {"features.max_concurrent_calls": 10}}
    )
    first, second = await campaigns.worker("one"), await campaigns.worker("two")

    (trying,), (late,) = await first.work.claim(10), await second.work.claim(10)
    assert len(await simulator.creates()) == 3
    assert await first.work._dialing.dial(trying) is not None
    assert await second.work._dialing.dial(late) is None
    assert len(await simulator.creates()) == 4
    (put_back,) = [job for job in await campaigns.jobs(batch) if job.job_id == late.job_id]
    assert put_back.reason is not None
    assert (put_back.state, put_back.reason.code) == (JobState.PENDING, "from_number_resting")
    assert await second.work.claim(10) == []
    assert await is_blocked(campaigns, batch, "from_number_resting")

    dialed = next(job for job in await campaigns.jobs(batch) if job.state is JobState.IN_CALL)
    await first.work.process(dialed)
    assert await suspect(campaigns) is None
    async with second.running():
        await until(partial(has_status, campaigns, batch, BatchStatus.COMPLETED), seconds=60)


async def test_a_try_that_fails_rests_it_twice_as_long(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    batch = await rest_by_spam(campaigns, simulator)
    await simulator.script({phone: ["network_blocked"] for phone in numbers(12)})
    await let_the_rest_end(campaigns, batch)
    async with (await campaigns.worker("again")).running():
        await until(partial(rested_times, campaigns, 2))
    assert len(await simulator.creates()) == 4


async def test_a_job_that_is_not_dialed_lets_another_try(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    batch = await rest_by_spam(campaigns, simulator)
    await let_the_rest_end(campaigns, batch)
    worker = await campaigns.worker("again")
    (job,) = await worker.work.claim(10)
    await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
    assert await worker.work._dialing.dial(job) is None
    number = await suspect(campaigns)
    assert number is not None
    assert number.probe is None


async def test_a_try_that_retell_refuses_for_its_destination_lets_another_try(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """Nothing was placed, so there is no report; and nothing is said of our number."""
    batch = await rest_by_spam(campaigns, simulator)
    await let_the_rest_end(campaigns, batch)
    worker = await campaigns.worker("again")
    (job,) = await worker.work.claim(10)

    async def refused(_: str) -> CallReport:
        raise NumberRejected("400 to_number is not valid")

    worker.work._dialing._provider.place = refused  # type: ignore[method-assign, assignment] # Retell's answer
    await worker.work.process(job)
    number = await suspect(campaigns)
    assert number is not None
    assert number.probe is None


async def test_the_end_of_a_call_is_counted_once_however_often_it_is_settled(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    (phone,) = numbers(1)
    await simulator.script({phone: ["dial_failed"]})
    batch = await campaigns.batch(await campaigns.account(), [[phone]])
    worker = await campaigns.worker()
    (job,) = await worker.work.claim(1)
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    settling = await worker.work._following.follow(in_call)
    assert settling is not None
    for _ in range(3):
        await worker.work._settling._watch.note(settling)
    number = await suspect(campaigns)
    assert number is not None
    assert [end.phone for end in number.ends] == [phone]
    assert await has_state(campaigns, batch, JobState.SETTLING)


async def test_calls_that_end_well_write_nothing_of_the_number(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phones = numbers(3)
    await simulator.script({phones[0]: ["dial_busy"], phones[1]: ["dial_no_answer"]})
    batch = await campaigns.batch(await campaigns.account(), [[phone] for phone in phones], max_attempts=1)
    async with (await campaigns.worker()).running():
        await until(partial(has_status, campaigns, batch, BatchStatus.COMPLETED))
    assert await suspect(campaigns) is None


async def test_an_operator_resets_it_and_its_batches_go_on(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    batch = await rest_by_spam(campaigns, simulator)
    await simulator.script({phone: ["user_hangup"] for phone in numbers(12)})
    await campaigns.container.from_numbers.reset(OURS, user="test")
    assert await suspect(campaigns) is None
    async with (await campaigns.worker("again")).running():
        await until(partial(has_status, campaigns, batch, BatchStatus.COMPLETED), seconds=60)
    entries, _ = await campaigns.container.batches.logs(batch.batch_id, limit=50, skip=0)
    assert [entry.event for entry in entries].count("batch_unblocked") == 1


async def test_ten_invalid_destinations_in_a_row_rest_the_number(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phones = numbers(14)
    await simulator.script({phone: ["invalid_destination"] for phone in phones})
    batch = await campaigns.batch(await campaigns.account(limit=1), [[phone] for phone in phones])
    async with (await campaigns.worker()).running():
        await until(partial(is_blocked, campaigns, batch, "from_number_resting"))
    assert len(await simulator.creates()) == 10


REFUSALS: list[tuple[str, dict[str, Any], list[Any]]] = [
    *(
        (reason, {}, [reason])
        for reason in (
            "no_valid_payment",
            "credit_exhausted",
            "budget_reached",
            "scam_detected",
            "telephony_provider_permission_denied",
        )
    ),
    ("402", {"account_state": 402}, []),
    ("401", {"account_state": 401}, []),
    ("403", {"account_state": 403}, []),
    ("not found from phone-number", {"owned_numbers": ["+56229999999"]}, []),
]


@pytest.mark.parametrize(("said", "knobs", "script"), REFUSALS, ids=[refusal[0] for refusal in REFUSALS])
async def test_what_no_other_contact_would_fare_better_with_pauses_the_batch_at_once(
    campaigns: Campaigns, simulator: RunningSimulator, said: str, knobs: dict[str, Any], script: list[Any]
) -> None:
    phones = numbers(5)
    if script:
        await simulator.script(dict.fromkeys(phones, script))
    await simulator.knobs(**knobs)
    batch = await campaigns.batch(await campaigns.account(limit=1), [[phone] for phone in phones])
    worker = await campaigns.worker()
    async with worker.running():
        await until(partial(has_status, campaigns, batch, BatchStatus.PAUSED))
        await until(partial(has_state, campaigns, batch, JobState.PENDING))

    assert len(await simulator.creates()) == 1
    assert {job.attempts for job in await campaigns.jobs(batch)} == {0}
    reason = (await campaigns.stored(batch)).pause_reason
    assert reason is not None
    assert reason.code == "stopped_by_provider"
    assert said in reason.params["detail"]
    entries, _ = await campaigns.container.batches.logs(batch.batch_id, limit=10, skip=0)
    assert [entry.message for entry in entries if entry.event == "batch_paused"] == [reason]
    assert await suspect(campaigns) is None


async def rested_times(campaigns: Campaigns, count: int) -> bool:
    number = await suspect(campaigns)
    return number is not None and number.rests >= count
