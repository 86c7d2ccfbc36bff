"""What a worker counts, against what the simulator has on record."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

from app.domain.batches import BatchStatus
from app.repositories.accounts import MongoAccounts
from app.repositories.overview import MongoOverviews
from tests.samples import Samples
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    Worker,
    closed_hours,
    has_status,
    leased,
    let_lease_expire,
    numbers,
    until,
)


async def scraped(worker: Worker) -> Samples:
    container = worker.container
    overview = await MongoOverviews(container.database).look(container.clock.now())
    container.metrics.show(overview, container.clock.now())
    return Samples(container.metrics.render())


async def test_the_counters_of_a_campaign_are_the_simulators_record(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    phones = numbers(12)
    await simulator.script(
        {
            phones[0]: ["dial_busy", "user_hangup"],
            phones[1]: ["voicemail_reached"],
            phones[2]: ["invalid_destination"],
        }
    )
    account = await campaigns.account()
    batch = await campaigns.batch(account, [[phone] for phone in phones], max_attempts=2)
    worker = await campaigns.worker()
    before = await scraped(worker)

    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    samples = await scraped(worker)
    jobs = await campaigns.jobs(batch)
    history = Counter(record.disposition.value for job in jobs for record in job.history)
    ended = samples.by("disposition", "cadencia_calls_ended_total")
    ended_before = before.by("disposition", "cadencia_calls_ended_total")
    # Counter's + leaves out what did not grow: other campaigns of this process have been counted before.
    assert +Counter({name: count - ended_before.get(name, 0) for name, count in ended.items()}) == history
    creates = await simulator.creates()

    def more(name: str, **labels: str) -> float:
        return samples(name, **labels) - before(name, **labels)

    asked = {"request": "place", "problem": "none"}
    assert more("cadencia_provider_request_seconds_count", **asked) == len(creates) == sum(history.values())
    assert more("cadencia_promptness_seconds_count") == len(creates)
    assert more("cadencia_promptness_seconds_sum") > 0
    assert more("cadencia_jobs_claimed_total") >= len(creates)
    assert more("cadencia_claim_seconds_count") > 0
    assert more("cadencia_jobs_let_go_total", reason="error") == 0
    # Nobody is in flight any more, and nothing is reserved.
    assert samples("cadencia_reservations") == samples("cadencia_stuck_jobs") == 0
    assert samples.by("state", "cadencia_jobs") == samples.by("account_id", "cadencia_calls_in_flight") == {}
    for private in (*phones, account.account_name, batch.batch_id, *(job.job_id for job in jobs)):
        assert private not in samples.text


async def test_troubles_at_the_provider_are_counted_by_their_class(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.knobs(create_faults=[{"kind": "500_before", "count": 1}])
    worker = await campaigns.worker()
    _, job = await leased(campaigns, worker)
    before = await scraped(worker)

    await worker.work._dialing.dial(job)

    samples = await scraped(worker)
    name, problem = "cadencia_provider_request_seconds_count", {"request": "place", "problem": "Ambiguous"}
    assert samples(name, **problem) - before(name, **problem) == 1
    assert samples("cadencia_jobs", state="verifying") == 1


async def test_what_is_in_flight_reserved_and_stuck_is_shown(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await campaigns.account(limit=7)
    batch = await campaigns.batch(account, [[phone] for phone in numbers(3)], max_call_duration=120)
    closed = await campaigns.batch(account, [[phone] for phone in numbers(2, 50)], hours=closed_hours(campaigns))
    worker = await campaigns.worker()
    first, second = await worker.work.claim(2)
    await worker.work._dialing.dial(first)
    await worker.work.claim(10)
    samples = await scraped(worker)

    assert samples("cadencia_calls_in_flight", account_id=account.account_id) == 3
    assert samples("cadencia_calls_limit", account_id=account.account_id) == 7
    assert samples.by("state", "cadencia_jobs") == {"leased": 2, "in_call": 1, "pending": 2}
    assert samples.by("waiting_for", "cadencia_pending_jobs") == {"new": 2}
    assert samples("cadencia_reservations") == 1
    assert samples.by("plan", "cadencia_reserved_units") == {"credit_based": 2}
    assert samples("cadencia_oldest_attempt_seconds") > 0
    assert samples("cadencia_stuck_jobs") == 0
    # The one whose hours are closed sleeps, and so does the other: it has nothing more to call.
    assert samples("cadencia_open_batches") == 0
    await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
    await campaigns.container.batches.change(batch.batch_id, {}, is_active=True, user="test")
    assert (await scraped(worker))("cadencia_open_batches") == 1
    assert (await campaigns.stored(closed)).block is not None

    # Left alone by a dead worker, and by everybody else.
    await campaigns.set_job(second, lease_until=campaigns.container.clock.now() - timedelta(minutes=2))
    assert (await scraped(worker))("cadencia_stuck_jobs") == 1


async def test_a_rescue_is_counted_by_what_was_left(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    dead, living = await campaigns.worker("dead"), await campaigns.worker("living")
    _, job = await leased(campaigns, dead)
    await let_lease_expire(campaigns, job)
    before = await scraped(living)

    await living.work.adopt([])

    samples = await scraped(living)
    name = "cadencia_jobs_rescued_total"
    assert samples(name, state="leased") - before(name, state="leased") == 1


async def test_money_without_a_job_is_shown_until_it_is_given_back(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await campaigns.account()
    worker = await campaigns.worker()
    await MongoAccounts(campaigns.container.database).reserve(account.account_id, "nobodys", Decimal(5))

    shown = []
    for _ in range(3):
        await worker.work.tidy()
        shown.append((await scraped(worker))("cadencia_reservations_without_jobs"))

    assert shown == [0, 1, 0]
    await campaigns.assert_ledger_exact(account)
