"""Runs of recurring batches: each occurrence once, whichever workers live and die; never two at the same time."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.batches import Batch, BatchStatus, Priority, ScheduleType, VoiceSettings
from app.domain.imports import IMPORT_LEASE
from app.domain.jobs import JobState
from app.domain.recurrence import Frequency, RecurrenceRule
from app.repositories.accounts import MongoAccounts
from app.repositories.batch_contacts import MongoBatchContacts
from app.repositories.batches import MongoBatches
from app.repositories.documents import to_document
from app.repositories.jobs import MongoJobs
from app.repositories.provider_limits import MongoProviderLimits
from app.repositories.transactions import MongoTransactions
from app.repositories.uploads import MongoUploads
from app.services import recurring
from app.services.batch_creation import BatchCreation, NewBatch
from app.services.batches import BatchService
from app.services.explaining import Explaining
from app.services.import_tasks import ImportTasks
from app.services.recurring import Recurring
from app.services.worker_control import WorkerControl
from tests.builders import NOW, FakeTime, make_account, make_job, make_settings, phone
from tests.integration.wiring import make_importing

DAY = timedelta(days=1)
CONTACTS = 25
DAILY = RecurrenceRule(frequency=Frequency.DAILY, interval=1)


class Killed(Exception):
    """Stands for kill -9."""


class Site:
    """A series, workers that look after it, and an operator; at a time of the test's own."""

    def __init__(self, container: Container) -> None:
        self._database = container.database
        self.time = FakeTime()
        self.batches, self.jobs = MongoBatches(container.database), MongoJobs(container.database)
        self.accounts = MongoAccounts(container.database)
        self.new_creation()
        transactions = MongoTransactions(container.database)
        explaining = Explaining(self.accounts, MongoProviderLimits(container.database), self.time)
        self.service = BatchService(self.batches, self.jobs, transactions, explaining, self.time)

    def new_creation(self) -> None:
        """By the present clock."""
        uploads = MongoUploads(self._database, DAY)
        tasks = ImportTasks(make_importing(self._database, self.time), waited_for=1000)
        self.creation = BatchCreation(self.accounts, self.batches, uploads, tasks, self.time)

    async def create(self, rule: RecurrenceRule = DAILY, *, in_: timedelta = DAY, **changes: Any) -> Batch:
        new = NewBatch(
            account_id="acc-1",
            name="Cobranza",
            description=None,
            script_content="",
            voice_settings=VoiceSettings(),
            call_settings=make_settings(),
            schedule_type=ScheduleType.RECURRING,
            scheduled_at=self.time.now() + in_,
            recurring=rule,
            priority=Priority.NORMAL,
            budget=None,
            retell_agent_id=None,
            retell_from_number=None,
            contacts=[{"name": f"C{n}", "phones": [phone(n)]} for n in range(CONTACTS)],
            upload_id=None,
            allow_missing_variables=False,
            idempotency_key=None,
            request_digest="",
        )
        return await self.creation.create(new, user="ana")

    def worker(self) -> Recurring:
        """With repositories of its own, so that one worker's can be broken."""
        control = WorkerControl("worker", self.time, timedelta(days=1000))
        batches, jobs = MongoBatches(self._database), MongoJobs(self._database)
        return Recurring(batches, jobs, MongoBatchContacts(self._database), control, self.time)

    async def look(self, worker: Recurring | None = None) -> None:
        """What a claimer does with every batch that is due."""
        for batch in await self.batches.due(self.time.now(), 100):
            await (worker or self.worker()).attend(batch, self.time.now())

    async def stored(self, batch: Batch) -> Batch:
        return await self.service.get(batch.batch_id)

    async def runs(self, series: Batch) -> list[Batch]:
        found, _ = await self.batches.page(
            account_ids=None, statuses=None, parent_batch_id=series.batch_id, limit=50, skip=0
        )
        return sorted(found, key=lambda run: run.created_at)

    async def numbers(self, run: Batch) -> list[str]:
        jobs = await self._jobs_of(run)
        return [job["contact"]["phones"][0] for job in jobs]

    async def states(self, run: Batch) -> Counter[str]:
        return Counter(job["state"] for job in await self._jobs_of(run))

    async def _jobs_of(self, run: Batch) -> list[dict[str, Any]]:
        cursor = self._database.collection("jobs").find({"batch_id": run.batch_id}).sort("_id")
        return [job async for job in cursor]

    async def end(self, run: Batch, status: BatchStatus = BatchStatus.COMPLETED) -> None:
        await self.batches.move(run.batch_id, list(BatchStatus), status, {"wake_at": None})

    async def events(self, batch: Batch) -> Counter[str]:
        entries, _ = await self.batches.logs(batch.batch_id, limit=100, skip=0)
        return Counter(entry.event for entry in entries)


@pytest.fixture
async def site(container: Container) -> Site:
    site = Site(container)
    await site.accounts.insert(make_account(funds={"credits_purchased": 100, "free": 100}))
    return site


ALL = [phone(n) for n in range(CONTACTS)]


async def test_a_series_waits_and_is_not_called(site: Site) -> None:
    series = await site.create()
    await site.look()
    assert (series.status, series.next_run_at, series.total_jobs) == (BatchStatus.SCHEDULED, NOW + DAY, CONTACTS)
    assert await site.runs(series) == []
    assert await site.states(series) == {}
    (view,) = await site.service.views([series])
    assert view.obstacle is not None
    assert view.obstacle.reason.code == "batch_is_scheduled"


async def test_a_run_is_a_batch_of_its_own(site: Site) -> None:
    series = await site.create()
    site.time.advance(DAY)
    await site.look()

    (run,) = await site.runs(series)
    assert (run.batch_id, run.parent_batch_id) == (f"{series.batch_id}-r1", series.batch_id)
    assert (run.status, run.scheduled_at, run.total_jobs) == (BatchStatus.RUNNING, NOW + DAY, CONTACTS)
    assert (run.import_expires_at, run.started_at, run.wake_at) == (None, NOW + DAY, NOW + DAY)
    assert run.call_settings == series.call_settings
    assert await site.numbers(run) == ALL
    assert await site.states(run) == {"pending": CONTACTS}
    after = await site.stored(series)
    assert (after.status, after.runs_started, after.next_run_at) == (BatchStatus.SCHEDULED, 1, NOW + 2 * DAY)
    assert after.wake_at == after.next_run_at
    assert await site.events(series) == {"batch_created": 1, "run_started": 1}
    assert await site.events(run) == {"batch_created": 1, "batch_started": 1}


async def test_runs_follow_one_another(site: Site) -> None:
    series = await site.create()
    for day in range(1, 4):
        site.time.advance(DAY)
        await site.look()
        runs = await site.runs(series)
        assert len(runs) == day
        await site.end(runs[-1])
    assert [run.scheduled_at for run in runs] == [NOW + n * DAY for n in (1, 2, 3)]
    assert (await site.stored(series)).runs_started == 3


async def test_a_series_without_a_start_runs_at_once(site: Site) -> None:
    series = await site.create(in_=timedelta(0))
    await site.look()
    assert [run.status for run in await site.runs(series)] == [BatchStatus.RUNNING]


async def test_many_workers_make_one_run(site: Site) -> None:
    series = await site.create()
    site.time.advance(DAY)
    for _ in range(3):
        await asyncio.gather(*(site.look() for _ in range(6)))
    (run,) = await site.runs(series)
    assert await site.numbers(run) == ALL
    assert (run.status, run.total_jobs) == (BatchStatus.RUNNING, CONTACTS)
    assert (await site.stored(series)).runs_started == 1
    assert (await site.events(series))["run_started"] == 1


async def test_a_run_that_another_worker_has_just_made_is_not_taken_for_the_one_before(site: Site) -> None:
    series = await site.create()
    site.time.advance(DAY)
    slow, quick = site.worker(), site.worker()
    real = slow._batches.get

    async def overtaken(batch_id: str) -> Batch | None:
        found = await real(batch_id)
        if batch_id.endswith("-r1") and found is None:
            quick._batches.revise = dies  # type: ignore[method-assign, assignment] # before it moves the series on
            with pytest.raises(Killed):
                await site.look(quick)
        return found

    async def dies(*_: object) -> Batch | None:
        raise Killed

    slow._batches.get = overtaken  # type: ignore[method-assign] # the race
    await site.look(slow)
    assert (await site.stored(series)).runs_started == 1
    assert (await site.events(series))["run_skipped"] == 0


STEPS = {("_batches", "insert"): 1, ("_batches", "revise"): 6, ("_jobs", "insert_many"): 3, ("_contacts", "after"): 4}
"""What a run of 25 contacts in chunks of 10 is made by, and how often each is called."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("repository", "method", "time"), [(*step, time) for step, times in STEPS.items() for time in range(1, times + 1)]
)
async def test_a_worker_killed_at_any_write_leaves_a_run_that_the_next_one_finishes(
    site: Site, monkeypatch: pytest.MonkeyPatch, repository: str, method: str, time: int, after: bool
) -> None:
    monkeypatch.setattr(recurring, "CHUNK", 10)
    series = await site.create()
    site.time.advance(DAY)
    doomed = site.worker()
    subject = getattr(doomed, repository)
    real, calls = getattr(subject, method), 0

    async def killed(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls < time:
            return await real(*args, **kwargs)
        if after:
            await real(*args, **kwargs)
        raise Killed

    setattr(subject, method, killed)
    with pytest.raises(Killed):
        await site.look(doomed)

    for _ in range(3):
        await site.look()
        site.time.advance(IMPORT_LEASE)
    (run,) = await site.runs(series)
    assert (run.status, run.total_jobs) == (BatchStatus.RUNNING, CONTACTS)
    assert await site.numbers(run) == ALL
    stored = await site.stored(series)
    assert (stored.runs_started, stored.next_run_at) == (1, NOW + 2 * DAY)


async def test_a_frozen_copier_that_wakes_up_copies_nothing_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurring, "CHUNK", 10)
    series = await site.create()
    site.time.advance(DAY)
    frozen = site.worker()
    real, froze = frozen._jobs.insert_many, list[bool]()

    async def freezes(jobs: Any) -> None:
        if not froze:
            froze.append(True)
            site.time.advance(IMPORT_LEASE)
            await site.look()
            (run,) = await site.runs(series)
            assert run.status is BatchStatus.RUNNING
        await real(jobs)

    frozen._jobs.insert_many = freezes  # type: ignore[method-assign] # the freeze
    await site.look(frozen)
    (run,) = await site.runs(series)
    assert (run.status, run.total_jobs) == (BatchStatus.RUNNING, CONTACTS)
    assert await site.numbers(run) == ALL
    assert (await site.events(series))["run_started"] == 1


async def test_a_large_series_is_copied_in_turns(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurring, "CHUNK", 10)
    series = await site.create()
    site.time.advance(DAY)
    slow = site.worker()
    real = slow._jobs.insert_many

    async def takes_long(jobs: Any) -> None:
        site.time.advance(timedelta(seconds=recurring.SECONDS_A_LOOK + 1))
        await real(jobs)

    slow._jobs.insert_many = takes_long  # type: ignore[method-assign] # a slow machine
    for copied in (10, 20, 25):
        await site.look(slow)
        (run,) = await site.runs(series)
        assert (run.status, run.total_jobs) == (BatchStatus.IMPORTING, copied)
    await site.look()
    (run,) = await site.runs(series)
    assert run.status is BatchStatus.RUNNING
    assert await site.numbers(run) == ALL


async def test_of_missed_occurrences_the_latest_is_run(site: Site) -> None:
    series = await site.create()
    site.time.advance(5 * DAY + timedelta(hours=1))
    await site.look()
    (run,) = await site.runs(series)
    assert (run.batch_id, run.scheduled_at) == (f"{series.batch_id}-r5", NOW + 5 * DAY)
    entries, _ = await site.batches.logs(series.batch_id, limit=10, skip=0)
    (missed,) = [entry for entry in entries if entry.event == "runs_missed"]
    assert missed.message.params == {"count": 4}
    assert (await site.stored(series)).next_run_at == NOW + 6 * DAY


@pytest.mark.parametrize("status", [BatchStatus.RUNNING, BatchStatus.PAUSED, BatchStatus.IMPORTING])
async def test_a_run_is_skipped_while_the_one_before_goes_on(site: Site, status: BatchStatus) -> None:
    series = await site.create()
    site.time.advance(DAY)
    await site.look()
    (first,) = await site.runs(series)
    await site.end(first, status)
    site.time.advance(DAY)
    await site.look()
    assert len(await site.runs(series)) == 1
    assert (await site.events(series))["run_skipped"] == 1
    assert (await site.stored(series)).runs_started == 1
    await site.end(first)
    site.time.advance(DAY)
    await site.look()
    assert [run.batch_id[-2:] for run in await site.runs(series)] == ["r1", "r3"]


async def test_the_last_calls_of_a_cancelled_run_count_as_going_on(site: Site, container: Container) -> None:
    series = await site.create()
    site.time.advance(DAY)
    await site.look()
    (run,) = await site.runs(series)
    live = make_job(job_id="live", batch_id=run.batch_id, state=JobState.IN_CALL)
    await container.database.collection("jobs").insert_one(to_document(live))
    await site.service.cancel(run.batch_id, user="ana")
    site.time.advance(DAY)
    await site.look()
    assert len(await site.runs(series)) == 1
    assert (await site.events(series))["run_skipped"] == 1


@pytest.mark.parametrize(
    "rule",
    [
        RecurrenceRule(frequency=Frequency.DAILY, interval=1, count=2),
        RecurrenceRule(frequency=Frequency.DAILY, interval=1, until=NOW + 2 * DAY),
    ],
)
async def test_a_series_ends_with_its_last_occurrence(site: Site, rule: RecurrenceRule) -> None:
    series = await site.create(rule)
    for _ in range(4):
        site.time.advance(DAY)
        await site.look()
        for run in await site.runs(series):
            await site.end(run)
    stored = await site.stored(series)
    assert (stored.status, stored.runs_started, stored.next_run_at) == (BatchStatus.COMPLETED, 2, None)
    assert stored.finished_at == NOW + 2 * DAY
    assert (await site.events(series))["series_completed"] == 1


async def test_a_pause_stops_new_runs_and_resuming_makes_up_for_none(site: Site) -> None:
    series = await site.create()
    site.time.advance(DAY)
    await site.look()
    paused = (await site.service.change(series.batch_id, {}, is_active=False, user="ana")).batch
    assert (paused.status, paused.next_run_at, paused.wake_at) == (BatchStatus.PAUSED, None, None)
    (first,) = await site.runs(series)
    assert first.status is BatchStatus.RUNNING
    await site.end(first)
    site.time.advance(3 * DAY + timedelta(hours=1))
    await site.look()
    resumed = (await site.service.change(series.batch_id, {}, is_active=True, user="ana")).batch
    assert (resumed.status, resumed.next_run_at) == (BatchStatus.SCHEDULED, NOW + 5 * DAY)
    await site.look()
    assert len(await site.runs(series)) == 1
    site.time.advance(DAY)
    await site.look()
    assert [run.batch_id[-2:] for run in await site.runs(series)] == ["r1", "r5"]


async def test_a_series_resumed_after_its_end_is_completed(site: Site) -> None:
    series = await site.create(RecurrenceRule(frequency=Frequency.DAILY, interval=1, count=1))
    await site.service.change(series.batch_id, {}, is_active=False, user="ana")
    site.time.advance(2 * DAY)
    await site.service.change(series.batch_id, {}, is_active=True, user="ana")
    await site.look()
    assert (await site.stored(series)).status is BatchStatus.COMPLETED
    assert await site.runs(series) == []


async def test_edits_apply_to_runs_to_come(site: Site) -> None:
    series = await site.create()
    site.time.advance(DAY)
    await site.look()
    (first,) = await site.runs(series)
    await site.end(first)
    edited = await site.service.change(
        series.batch_id, {"call_settings.max_attempts": 7, "name": "Otra"}, is_active=None, user="ana"
    )
    assert (edited.batch.status, edited.batch.wake_at) == (BatchStatus.SCHEDULED, NOW + 2 * DAY)
    site.time.advance(DAY)
    await site.look()
    first, second = await site.runs(series)
    assert (first.call_settings.max_attempts, first.name) == (3, "Cobranza #1")
    assert (second.call_settings.max_attempts, second.name) == (7, "Otra #2")


async def test_cancelling_a_series_cancels_its_unfinished_runs(site: Site) -> None:
    series = await site.create()
    site.time.advance(DAY)
    await site.look()
    await site.service.cancel(series.batch_id, user="ana")
    (run,) = await site.runs(series)
    assert run.status is BatchStatus.CANCELLED
    assert await site.states(run) == {"cancelled": CONTACTS}
    site.time.advance(2 * DAY)
    await site.look()
    assert len(await site.runs(series)) == 1


async def test_a_cancel_that_died_half_way_is_finished_by_a_worker(site: Site) -> None:
    series = await site.create()
    site.time.advance(DAY)
    await site.look()
    changes = {"wake_at": site.time.now()}
    await site.batches.move(series.batch_id, [BatchStatus.SCHEDULED], BatchStatus.CANCELLED, changes)
    await site.look()
    (run,) = await site.runs(series)
    assert run.status is BatchStatus.CANCELLED
    assert (await site.stored(series)).wake_at is None


@pytest.mark.parametrize(
    ("repository", "method"), [("_batches", "insert"), ("_jobs", "insert_many"), ("_contacts", "after")]
)
@pytest.mark.parametrize("after", [False, True])
async def test_a_series_cancelled_while_its_run_is_made_has_no_run_that_calls(
    site: Site, monkeypatch: pytest.MonkeyPatch, repository: str, method: str, after: bool
) -> None:
    monkeypatch.setattr(recurring, "CHUNK", 10)
    series = await site.create()
    site.time.advance(DAY)
    worker = site.worker()
    subject = getattr(worker, repository)
    real, cancelled = getattr(subject, method), list[bool]()

    async def meanwhile() -> None:
        if not cancelled:
            cancelled.append(True)
            await site.service.cancel(series.batch_id, user="ana")

    async def with_a_cancellation(*args: Any, **kwargs: Any) -> Any:
        if not after:
            await meanwhile()
        answer = await real(*args, **kwargs)
        if after:
            await meanwhile()
        return answer

    setattr(subject, method, with_a_cancellation)
    await site.look(worker)
    for _ in range(3):
        await site.look()
        site.time.advance(IMPORT_LEASE)
    assert cancelled
    for run in await site.runs(series):
        assert run.status is BatchStatus.CANCELLED
        assert (await site.states(run))["pending"] == 0
        assert (await site.events(run))["batch_started"] == 0, "not even for a moment"


async def test_occurrences_stay_at_the_wall_clocks_time(site: Site) -> None:
    """Chile's clock goes forward on 6 September 2026: nine o'clock is an hour earlier in UTC from then on."""
    site.time = FakeTime(datetime(2026, 9, 5, 12, 0, tzinfo=UTC))
    site.new_creation()
    series = await site.create(in_=timedelta(hours=1))  # 09:00 in Santiago
    assert series.next_run_at == datetime(2026, 9, 5, 13, 0, tzinfo=UTC)
    site.time.advance(timedelta(hours=1))
    await site.look()
    assert (await site.stored(series)).next_run_at == datetime(2026, 9, 6, 12, 0, tzinfo=UTC)
