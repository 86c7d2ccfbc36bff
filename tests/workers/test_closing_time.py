"""The window closes between any two steps on the way to the telephone: nobody's phone rings after it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.calling_hours import CLOSING_MARGIN
from app.domain.jobs import Job, JobState, WaitingFor
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import from_document
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.services.admission import Admission
from tests.builders import NOW, OFFICE, make_account, make_batch, make_contact, make_job, make_settings
from tests.workers.stepping import SteppedWorker, stepped_worker

CLOSING = datetime(2026, 6, 3, 22, 0, tzinfo=UTC)
"""Wednesday, 18:00 in Santiago."""
OPENING = datetime(2026, 6, 4, 13, 0, tzinfo=UTC)
LAST_MOMENT = CLOSING - CLOSING_MARGIN - timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
RICH = {"credits_purchased": 1000, "free": 1000}


class Evening:
    """One contact, due, a moment before closing time."""

    def __init__(self, container: Container, worker: SteppedWorker) -> None:
        self._database = container.database
        self._accounts = MongoAccounts(container.database)
        self._batches = MongoBatches(container.database)
        self._jobs = MongoJobs(container.database)
        self.worker = worker

    async def begin(self, **contact: Any) -> None:
        await self._accounts.insert(make_account(funds=RICH))
        settings = make_settings(hours=OFFICE)
        zones = [contact["timezone"]] if "timezone" in contact else []
        await self._batches.insert(make_batch(call_settings=settings, total_jobs=1, contact_timezones=zones))
        await self._jobs.insert_many([make_job(contact=make_contact(**contact))])

    async def job(self) -> Job:
        document = await self._database.collection("jobs").find_one({})
        assert document is not None
        return from_document(Job, document)

    async def assert_waits_until_morning(self) -> None:
        assert self.worker.retell.placed == []
        job = await self.job()
        assert (job.state, job.waiting_for, job.due_at) == (JobState.PENDING, WaitingFor.HOURS, OPENING)
        assert (job.attempts, job.slot) == (0, None)
        account = await self._accounts.get("acc-1")
        assert account is not None
        assert account.reservations == {}
        # And in the morning it is called.
        await self.worker.step_to(OPENING - timedelta(seconds=1))
        assert await self.worker.call_all() == 0
        await self.worker.step_to(OPENING)
        assert await self.worker.call_all() == 1
        assert [at for at, _ in self.worker.retell.placed] == [OPENING]


@pytest.fixture
async def evening(container: Container, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Evening]:
    async with stepped_worker(container, NOW, monkeypatch) as worker:
        await worker.step_to(LAST_MOMENT)
        yield Evening(container, worker)


def later(method: Callable[..., Any], worker: SteppedWorker, span: timedelta, *, call: int = 1, before: bool) -> Any:
    """`method`, at whose `call`th call time passes, before it begins or after it is done."""
    calls = 0

    async def slow(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and before:
            worker.time.advance(span)
        done = await method(*args, **kwargs)
        if calls == call and not before:
            worker.time.advance(span)
        return done

    return slow


async def test_at_the_last_moment_a_call_is_placed(evening: Evening) -> None:
    """Its request is answered within 20 seconds or given up, so it has begun to ring by closing time."""
    await evening.begin()
    assert await evening.worker.call_all() == 1
    assert [at for at, _ in evening.worker.retell.placed] == [LAST_MOMENT]


async def test_between_claim_and_dial(evening: Evening) -> None:
    await evening.begin()
    (job,) = await evening.worker.work.claim(1)
    await evening.worker.step_to(CLOSING - CLOSING_MARGIN)
    await evening.worker.work.process(job)
    await evening.assert_waits_until_morning()


async def test_between_decision_and_intent(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    await evening.begin()
    slow = later(MongoJobQueue.intend, evening.worker, SECOND, before=True)
    monkeypatch.setattr(MongoJobQueue, "intend", slow)
    assert await evening.worker.call_all() == 1
    await evening.assert_waits_until_morning()


async def test_between_intent_and_second_decision(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    await evening.begin()
    slow = later(MongoJobQueue.intend, evening.worker, SECOND, before=False)
    monkeypatch.setattr(MongoJobQueue, "intend", slow)
    assert await evening.worker.call_all() == 1
    await evening.assert_waits_until_morning()


async def test_between_second_decision_and_sending(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intent is still fresh, and what was decided a second ago holds no more."""
    await evening.begin()
    monkeypatch.setattr(Admission, "judge", later(Admission.judge, evening.worker, SECOND, call=2, before=False))
    assert await evening.worker.call_all() == 1
    await evening.assert_waits_until_morning()


async def test_a_batch_that_is_paused_while_the_money_is_waited_for_calls_nobody(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmetered = container.settings.model_copy(update={"retell_calls_per_second": 0})
    reserve = MongoAccounts.reserve

    async def slow(*args: Any) -> bool:
        reserved = await reserve(*args)
        await container.database.collection("batches").update_one({}, {"$set": {"status": "paused"}})
        worker.time.advance(10 * SECOND)
        return reserved

    async with stepped_worker(replace(container, settings=unmetered), NOW, monkeypatch) as worker:
        morning = Evening(container, worker)
        await morning.begin()
        monkeypatch.setattr(MongoAccounts, "reserve", slow)

        assert await worker.call_all() == 1

        assert worker.retell.placed == []
        job, account = await morning.job(), await MongoAccounts(container.database).get("acc-1")
        assert (job.state, job.attempts, job.slot) == (JobState.PENDING, 0, None)
        assert account is not None
        assert account.reservations == {}


async def test_everything_goes_by_the_contacts_clock(evening: Evening) -> None:
    """Closing time in Santiago is long past when it is nine in Tokyo, on the next day there."""
    await evening.begin(timezone="Asia/Tokyo")
    assert await evening.worker.call_all() == 0
    nine_in_tokyo = datetime(2026, 6, 4, 0, 0, tzinfo=UTC)
    await evening.worker.step_to(nine_in_tokyo - timedelta(milliseconds=1))
    assert await evening.worker.call_all() == 0
    await evening.worker.step_to(nine_in_tokyo)
    assert await evening.worker.call_all() == 1
    assert [at for at, _ in evening.worker.retell.placed] == [nine_in_tokyo]
    assert evening.worker.retell.bodies[0]["variables"]["fecha_hoy"] == "04/06/2026"
    assert evening.worker.retell.bodies[0]["timezone"] == "Asia/Tokyo"
