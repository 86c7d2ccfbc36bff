"""A machine whose clock is ten minutes wrong, before and after it was told the database's time."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.bootstrap import open_call_work
from app.clock import Clock
from app.domain.calling_hours import CallingHours
from app.domain.jobs import JobState, WaitingFor
from app.services.worker_control import WorkerControl
from tests.workers.conftest import Campaigns, RunningSimulator, Worker, is_blocked, leased, numbers, until

MINUTE = timedelta(minutes=1)
OFF = 10 * MINUTE
AHEAD, BEHIND = OFF, -OFF

RUN_WITH_A_WRONG_CLOCK = """
import datetime, sys
import app.clock

OFF = datetime.timedelta(seconds=float(sys.argv.pop(1)))

class WrongClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) + OFF

app.clock.datetime = WrongClock
from workers.call_worker import cli
cli()
"""


def hours_between(start: datetime, end: datetime) -> CallingHours:
    return CallingHours.model_validate(
        {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}", "days_of_week": range(7), "timezone": "UTC"}
    )


def open_only_by_a_clock_that_is(off: timedelta, now: datetime) -> CallingHours:
    """Hours that are closed now, by minutes, and open for a clock that is `off`."""
    return hours_between(now + off - 6 * MINUTE, now + off + 6 * MINUTE)


@pytest.fixture(params=[AHEAD, BEHIND], ids=["ahead", "behind"])
def off(request: pytest.FixtureRequest) -> timedelta:
    assert isinstance(request.param, timedelta)
    return request.param


@pytest.fixture
async def mistaken(campaigns: Campaigns, simulator: RunningSimulator, off: timedelta) -> AsyncIterator[Worker]:
    """A worker on such a machine that was not told the time yet."""
    clock = Clock()
    clock.synchronise(clock.now() + off, clock.monotonic())
    settings = campaigns.container.settings.model_copy(update={"retell_base_url": simulator.url})
    container = replace(campaigns.container, settings=settings, clock=clock)
    control = WorkerControl("mistaken", clock, timedelta(seconds=settings.worker_lease_seconds))
    async with open_call_work(container, control) as work:
        yield Worker(work, control, container)


async def test_a_process_that_was_never_told_the_time_calls_nobody_at_a_wrong_hour(
    campaigns: Campaigns, simulator: RunningSimulator, mistaken: Worker, off: timedelta
) -> None:
    """The database's own time comes with the intent, and is asked right before sending."""
    now = campaigns.container.clock.now()
    hours = open_only_by_a_clock_that_is(off, now)
    account = await campaigns.account()
    batch = await campaigns.batch(account, [[number] for number in numbers(3)], hours=hours)

    # Due for long, also by a clock that is behind.
    database = campaigns.container.database
    await database.collection("jobs").update_many({}, {"$set": {"due_at": now - timedelta(hours=1)}})
    await database.collection("batches").update_many({}, {"$set": {"wake_at": now - timedelta(hours=1)}})
    taken = await mistaken.work.claim(10)
    assert len(taken) == 3, "it believes that the hours are open"
    for job in taken:
        await mistaken.work.process(job)

    assert await simulator.creates() == []
    opening = now.replace(hour=hours.start.hour, minute=hours.start.minute, second=0, microsecond=0)
    for job in await campaigns.jobs(batch):
        assert (job.state, job.waiting_for, job.attempts) == (JobState.PENDING, WaitingFor.HOURS, 0)
        assert job.due_at == (opening if opening > now else opening + timedelta(days=1))
    await campaigns.assert_ledger_exact(account)


async def test_a_process_that_was_told_the_time_does_not_even_take_the_jobs(
    campaigns: Campaigns, simulator: RunningSimulator, mistaken: Worker, off: timedelta
) -> None:
    hours = open_only_by_a_clock_that_is(off, campaigns.container.clock.now())
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)], hours=hours)
    correction = await mistaken.container.synchronise_clock()
    assert abs(correction + off) < MINUTE

    async with mistaken.running():
        await until(lambda: is_blocked(campaigns, batch, "hours_closed"))

    assert await simulator.creates() == []
    job = await campaigns.job(batch)
    assert (job.state, job.fence) == (JobState.PENDING, 0)


async def test_a_lease_that_holds_by_the_databases_time_is_not_taken_over(
    campaigns: Campaigns, mistaken: Worker
) -> None:
    batch, job = await leased(campaigns, await campaigns.worker("right"))
    assert await mistaken.work.adopt(()) == []
    kept = await campaigns.job(batch)
    assert (kept.fence, kept.worker_id, kept.state) == (job.fence, "right", JobState.LEASED)


@pytest.mark.parametrize("truly_open", [True, False])
async def test_a_real_worker_process_on_such_a_machine_goes_by_the_databases_time(
    campaigns: Campaigns, simulator: RunningSimulator, off: timedelta, truly_open: bool
) -> None:
    now = campaigns.container.clock.now()
    believed = open_only_by_a_clock_that_is(off, now)
    hours = hours_between(now - 6 * MINUTE, now + 6 * MINUTE) if truly_open else believed
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)], hours=hours)

    output = await run_once(campaigns, simulator, off)

    assert len(await simulator.creates()) == (1 if truly_open else 0), output
    assert (await campaigns.job(batch)).state is (JobState.COMPLETED if truly_open else JobState.PENDING)


async def run_once(campaigns: Campaigns, simulator: RunningSimulator, off: timedelta) -> str:
    """`call_worker --once` in a process whose machine's clock is `off`; its output."""
    settings = campaigns.container.settings
    environment = {
        "PATH": os.environ["PATH"],
        "MONGODB_URI": settings.mongodb_uri.get_secret_value(),
        "MONGODB_DATABASE": settings.mongodb_database,
        "RETELL_BASE_URL": simulator.url,
        "RETELL_API_KEY": "key_test",
        "RETELL_FROM_NUMBER": "+56225550100",
        "CALL_POLL_SECONDS": "0.2",
        "CALL_DETAILS_GRACE_SECONDS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN_WITH_A_WRONG_CLOCK,
        str(off.total_seconds()),
        "--once",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()
