"""A batch whose contacts live in several time zones: who is claimed when, and what the others cost meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest

from app.bootstrap import Container
from app.domain.accounts import Features
from app.domain.batches import BATCH_ZONE, Batch, BatchStatus
from app.domain.holiday_calendar import HolidayCalendar
from app.domain.jobs import Job, JobState
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import to_document
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from tests.builders import NOW, OFFICE, FakeTime, make_account, make_batch, make_contact, make_job, make_settings
from tests.integration.wiring import make_claiming
from tests.profiling import keys_examined, profiled, unfit

HOUR = timedelta(hours=1)
RICH = {"credits_purchased": 1000, "free": 1000}
LEASE = timedelta(seconds=60)
TIJUANA, LIMA, MADRID = "America/Tijuana", "America/Lima", "Europe/Madrid"
"""At NOW it is 11:00 in Santiago, 08:00 in Tijuana, 10:00 in Lima and 17:00 in Madrid."""


class Site:
    def __init__(self, container: Container) -> None:
        self.database = container.database
        self.accounts = MongoAccounts(container.database)
        self.batches = MongoBatches(container.database)
        self.queue = MongoJobQueue(container.database)
        self.jobs = MongoJobs(container.database)
        self.time = FakeTime()
        self._parts = (self.database, self.accounts, self.batches, self.jobs, self.queue, self.time)

    async def fill(self, **counts: int) -> None:
        """A batch in Santiago's office hours; `counts` due jobs by the name of their zone."""
        zones = {"own": None, "tijuana": TIJUANA, "lima": LIMA, "madrid": MADRID}
        await self.accounts.insert(make_account(features=Features(max_concurrent_calls=50), funds=RICH))
        settings = make_settings(hours=OFFICE)
        own = sorted(zone for name in counts if (zone := zones[name]))
        await self.batches.insert(
            make_batch(call_settings=settings, contact_timezones=own, total_jobs=sum(counts.values()))
        )
        documents = [
            to_document(make_job(contact=make_contact(timezone=zones[name]))) | {"_id": f"{name}-{number:04}"}
            for name, count in counts.items()
            for number in range(count)
        ]
        await self.database.collection("jobs").insert_many(documents)

    async def claim(self, capacity: int = 40) -> list[Job]:
        # A fresh claimer each time: its heartbeat does not move with the test's time.
        return await make_claiming(*self._parts, LEASE).claim(capacity)

    async def batch(self) -> Batch:
        batch = await self.batches.get("batch-1")
        assert batch is not None
        return batch


@pytest.fixture
def site(container: Container) -> Site:
    return Site(container)


def count_by_zone(jobs: list[Job]) -> dict[str, int]:
    return {zone: sum(job.zone == zone for job in jobs) for zone in {job.zone for job in jobs}}


async def test_only_contacts_whose_clocks_show_an_allowed_time_are_claimed(site: Site) -> None:
    await site.fill(own=3, tijuana=3, lima=3, madrid=3)
    assert count_by_zone(await site.claim()) == {BATCH_ZONE: 3, LIMA: 3, MADRID: 3}
    site.time.advance(HOUR)  # 18:00 in Madrid, 09:00 in Tijuana
    assert count_by_zone(await site.claim()) == {TIJUANA: 3}


async def test_a_backlog_that_is_still_closed_costs_the_claim_nothing(site: Site) -> None:
    await site.fill(own=10, tijuana=1500, madrid=10)
    async with profiled(site.database) as operations:
        claimed = await site.claim(20)
    assert count_by_zone(claimed) == {BATCH_ZONE: 10, MADRID: 10}
    assert unfit(operations) == []
    # Found, leased, read back, and a few seeks for each zone and priority.
    assert keys_examined(operations, "jobs") <= 3 * 20 + 24


async def test_of_several_zones_the_most_urgent_and_longest_due_come_first(site: Site) -> None:
    await site.fill(own=5, lima=5, madrid=5)
    jobs = site.database.collection("jobs")
    await jobs.update_one({"_id": "madrid-0004"}, {"$set": {"priority": 1}})
    await jobs.update_one({"_id": "lima-0003"}, {"$set": {"due_at": NOW - HOUR}})
    assert {job.job_id for job in await site.claim(2)} == {"madrid-0004", "lima-0003"}


async def test_a_batch_sleeps_until_the_first_of_its_zones_opens(site: Site) -> None:
    await site.fill(own=1, tijuana=1, madrid=1)
    site.time.advance(timedelta(hours=11))  # 22:00 in Santiago, 19:00 in Tijuana, 04:00 in Madrid
    assert await site.claim() == []
    batch = await site.batch()
    assert batch.wake_at == datetime(2026, 6, 4, 7, 0, tzinfo=UTC)  # Madrid's nine o'clock
    assert batch.block is not None
    assert batch.block.reason.code == "hours_closed"

    site.time.advance(timedelta(hours=5))
    assert count_by_zone(await site.claim()) == {MADRID: 1}


async def test_a_batch_whose_open_zones_are_done_sleeps_and_says_why(site: Site) -> None:
    await site.fill(tijuana=2)
    assert await site.claim() == []
    batch = await site.batch()
    assert batch.wake_at == NOW + HOUR
    assert batch.block is not None
    assert (batch.block.reason.code, batch.block.until) == ("hours_closed", NOW + HOUR)
    # Asleep, it costs nothing: which batches are awake, and when the next one wakes, is all that is asked.
    async with profiled(site.database) as operations:
        assert await site.claim() == []
    assert [operation.collection for operation in operations] == ["batches", "batches"]


async def test_on_a_holiday_a_batch_sleeps_until_it_is_over_and_says_so(site: Site) -> None:
    await site.fill(own=1)
    hours = OFFICE.model_copy(update={"holidays": HolidayCalendar(country="CL")})
    await site.batches.update("batch-1", {"call_settings.hours": hours})
    site.time.advance(datetime(2026, 6, 29, 15, 0, tzinfo=UTC) - NOW)  # a Monday, Saint Peter and Saint Paul
    assert await site.claim() == []
    batch = await site.batch()
    assert batch.wake_at == datetime(2026, 6, 30, 13, 0, tzinfo=UTC)
    assert batch.block is not None
    assert batch.block.reason.code == "holiday_today"


async def test_a_batch_is_not_complete_while_a_closed_zone_has_jobs(site: Site) -> None:
    await site.fill(own=1, tijuana=1)
    (job,) = await site.claim()
    await site.database.collection("jobs").update_one(
        {"_id": job.job_id},
        {
            "$set": {"state": JobState.COMPLETED.value},
            "$unset": dict.fromkeys(("slot", "worker_id", "lease_until"), ""),
        },
    )
    await site.batches.wake("batch-1", NOW)
    assert await site.claim() == []
    assert (await site.batch()).status is BatchStatus.RUNNING
