"""A worker through whole nights on which clocks change: claim, dial, retry and sleep, in a time of the test's own."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from app.bootstrap import Container
from app.domain.accounts import Features
from app.domain.batches import BatchStatus
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.jobs import MongoJobs
from tests.builders import make_account, make_batch, make_contact, make_job, make_settings, phone
from tests.nights import MINUTE, Night, WallClock, hours_of, night
from tests.workers.stepping import stepped_worker

BEFORE, AFTER = 80, 130
"""Minutes around the change."""
EVERY = 20
"""Minutes from one contact to the next."""

CASES = [
    (night("America/Santiago", "2026-04-05T03:00Z"), "23:15-23:45"),  # comes twice
    (night("America/Santiago", "2026-09-06T04:00Z"), "00:30-02:30"),  # opens inside the missing hour
    (night("America/Asuncion", "2024-10-06T04:00Z"), "22:30-00:30"),  # ends inside it
    (night("America/New_York", "2026-03-08T07:00Z"), "02:30-04:30"),
    (night("America/New_York", "2026-11-01T06:00Z"), "01:15-01:45"),
    (night("Australia/Lord_Howe", "2026-04-04T15:00Z"), "01:40-03:00"),
    (night("Australia/Lord_Howe", "2026-10-03T15:30Z"), "01:00-02:15"),
    (night("America/Santiago", "2027-01-01T03:00Z"), "22:00-02:00"),  # New Year: closed from midnight on
]


@pytest.mark.parametrize(
    ("night", "window", "abroad"),
    [*((*case, False) for case in CASES), *((*case, True) for case in CASES[:2])],
    ids=str,
)
async def test_all_are_called_as_soon_as_they_may_be_and_nobody_before_or_after(
    container: Container, monkeypatch: pytest.MonkeyPatch, night: Night, window: str, abroad: bool
) -> None:
    """One contact becomes due every 20 minutes; every other one is busy at first, and tried again within 30 minutes."""
    hours = hours_of(night, window, holidays=night.change.year == 2027)
    wall, start = WallClock(hours), night.change - BEFORE * MINUTE
    due = [start + n * MINUTE for n in range(0, BEFORE + AFTER, EVERY)]
    settings = make_settings(
        hours=hours.in_zone("Asia/Kathmandu") if abroad else hours, retry_delay_hours=29.5 / 60, max_attempts=2
    )
    zones = [night.zone] if abroad else []
    account = make_account(features=Features(max_concurrent_calls=50), funds={"credits_purchased": 99, "free": 99})
    await MongoAccounts(container.database).insert(account)
    batches = MongoBatches(container.database)
    batch = make_batch(call_settings=settings, contact_timezones=zones, total_jobs=len(due) + 1, wake_at=start)
    await batches.insert(batch)
    jobs = [
        make_job(
            job_id=f"job-{n:02}",
            due_at=at,
            contact=make_contact([phone(n)], timezone=night.zone if abroad else None),
        )
        for n, at in enumerate([*due, start + timedelta(days=3)])
    ]
    await MongoJobs(container.database).insert_many(jobs)
    waiting = {phone(n): at for n, at in enumerate(due)}
    again = {phone(n) for n in range(1, len(due), 2)}

    async with stepped_worker(container, start, monkeypatch) as worker:
        worker.retell.reasons = dict.fromkeys(again, "dial_busy")
        for minute in range(BEFORE + AFTER):
            now = start + minute * MINUTE
            await worker.step_to(now)
            await worker.call_all()
            placed, worker.retell.placed[:] = list(worker.retell.placed), []
            expected = {number for number, at in waiting.items() if at <= now} if wall.allows(now) else set()
            assert {number for _, number in placed} == expected, now.astimezone(ZoneInfo(night.zone))
            assert len(placed) == len(expected)
            for number in expected:
                del waiting[number]
                if number in again:
                    again.remove(number)
                    waiting[number] = now + 30 * MINUTE
            if not expected and waiting:
                # It sleeps, and no longer than until the next one may be called.
                stored = await batches.get("batch-1")
                assert stored is not None
                assert stored.wake_at is not None
                assert stored.wake_at <= min(wall.next_allowed(max(at, now)) for at in waiting.values())
        stored = await batches.get("batch-1")
        assert stored is not None
        assert stored.status is BatchStatus.RUNNING, "one contact is due in three days"
