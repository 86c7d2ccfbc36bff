"""A small campaign on the real MongoDB with the real services, stepped by hand: the state machine's world.

Time is the world's own, for us and for the simulator, which is reached through the real RetellClient without a
socket. A worker's verb runs to its next pause; before and after any of its database operations and of its requests to
Retell it may die, or find MongoDB away.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

import httpx
from aiohttp import ClientTimeout

from app.bootstrap import Container, open_call_work, open_container
from app.clock import Clock
from app.domain.accounts import Account, AccountStatus
from app.domain.batches import Batch, BatchStatus
from app.domain.calling_hours import CallingHours, is_allowed
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job, JobState
from app.integrations.retell.client import RetellClient
from app.integrations.retell.http import Answer, NeverSent, Unanswered
from app.repositories.documents import from_document
from app.repositories.indexes import INDEXES
from app.services.call_work import CallWork
from app.services.worker_control import WorkerControl
from scripts.retell_simulator.app import build_app
from scripts.retell_simulator.calls import Call
from scripts.retell_simulator.clock import ManualClock
from scripts.retell_simulator.simulator import Simulator
from tests.conftest import make_settings
from tests.workers.conftest import ALWAYS, Campaigns, numbers

DATABASE = "cadencia_machine"
KEY = "key_test"
LEASE = timedelta(hours=1)
"""By MongoDB's clock, which is the real one: leases end only when the machine says so."""
OFFICE = CallingHours.model_validate({"start": "09:00", "end": "18:00", "days_of_week": range(7), "timezone": "UTC"})
PAUSES_A_STEP = 3


class Died(BaseException):
    """The worker was killed. No handler of the product can catch it."""


class _StepIsOver(BaseException):
    """The verb would sleep."""


class WorldTime(Clock):
    """Moves only when told to, together with the simulator's; begins tomorrow at noon, UTC."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Back to the first noon."""
        self._now = self._start
        self.simulator = ManualClock(start=self._start.timestamp())

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self.simulator.advance_real(seconds)


class SteppedControl(WorkerControl):
    """A worker that ends its step where it would sleep; time goes on as if it had slept."""

    pauses = 0

    async def pause(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        assert isinstance(self.time, WorldTime)
        self.time.advance(seconds)
        self.renewed_at = self.time.monotonic()
        self.pauses += 1
        if self.pauses >= PAUSES_A_STEP:
            raise _StepIsOver

    async def told(self, *events: asyncio.Event) -> None:
        """Wait for its turn to ask Retell; turns are handed out by this time, which goes on meanwhile."""
        assert isinstance(self.time, WorldTime)
        while not any(event.is_set() for event in (self.stopping, *events)):
            self.time.advance(0.1)
            await asyncio.sleep(0)


@dataclass
class Fate:
    """What happens to the step under way: at which of its contacts with the outside it dies or loses MongoDB."""

    dies_at: int | None = None
    away_at: int | None = None
    retell: str = "well"
    """What the next create request meets: well, unreachable, request_lost or answer_lost."""
    contacts: int = 0

    def contact(self, *, database: bool) -> None:
        """Raises Died or DatabaseUnavailable where this step's fate says so."""
        self.contacts += 1
        if self.contacts == self.dies_at:
            raise Died
        if database and self.contacts == self.away_at:
            raise DatabaseUnavailable


@dataclass
class Hand:
    """A job as a worker remembers it."""

    worker: "SteppedWorker"
    job: Job


@dataclass
class SteppedWorker:
    work: CallWork
    control: SteppedControl
    hands: list[Hand] = field(default_factory=list)

    @property
    def in_hand(self) -> set[str]:
        return {hand.job.job_id for hand in self.hands}


class World:
    """One account, two batches, two workers, and Retell. `violations` must stay empty."""

    def __init__(self, container: Container, time: WorldTime) -> None:
        self.container = container
        self.time = time
        self.fate = Fate()
        self.violations: list[str] = []
        self.workers: list[SteppedWorker] = []
        self.ghosts: list[Hand] = []
        """What frozen workers still believe to hold; adopted or not, they may go on with it at any time."""
        self.simulator = Simulator(api_key=KEY, clock=time.simulator, seed=1)
        self._retell = httpx.ASGITransport(build_app(self.simulator))
        self._stack = contextlib.AsyncExitStack()
        self.account: Account
        self.batches: list[Batch] = []
        self.highest_limit = 0

    async def begin(self, outcomes: list[Any], *, limit: int, funds: int, office_hours: bool) -> None:
        """Four contacts; one has two phones, and one is in both batches. `outcomes` are those of the phones' calls."""
        campaigns = Campaigns(self.container, "http://retell.invalid", self._stack)
        phones = numbers(4)
        await self._admin("PUT", "numbers", dict(zip(phones, outcomes, strict=True)))
        await self._admin("PATCH", "knobs", {"concurrency_limit": 0})
        self.account = await campaigns.account(funds=funds, limit=limit)
        self.highest_limit = limit
        rules = {"max_attempts": 2, "retry_delay_hours": 1, "ring_timeout": 20, "max_call_duration": 120}
        self.batches = [
            await campaigns.batch(self.account, [[phones[0]], phones[1:3]], **rules),
            await campaigns.batch(
                self.account, [[phones[3]], [phones[0]]], hours=OFFICE if office_hours else ALWAYS, **rules
            ),
        ]
        self.workers = [await self.new_worker(), await self.new_worker()]

    async def close(self) -> None:
        await self._stack.aclose()

    async def new_worker(self) -> SteppedWorker:
        control = SteppedControl(worker_id=uuid4().hex, time=self.time, lease=LEASE)
        with mock.patch("app.bootstrap.RetellClient", self._client):
            work = await self._stack.enter_async_context(open_call_work(self.container, control))
        self._tell_this_time(work)
        return SteppedWorker(work, control)

    def _tell_this_time(self, work: CallWork) -> None:
        """The hours are judged by MongoDB's time of the intent; here that is the world's."""
        queue = work._dialing._queue
        real = queue.intend

        async def intend(*args: Any, **kwargs: Any) -> Job | None:
            job = await real(*args, **kwargs)
            return None if job is None else job.model_copy(update={"updated_at": self.time.now()})

        queue.intend = intend  # type: ignore[method-assign] # MongoDB cannot be told the time

    def _client(self, *args: Any, **options: Any) -> RetellClient:
        client = RetellClient(*args, **options)
        client._http.send = _Line(self).send  # type: ignore[method-assign] # no network in between
        return client

    async def knobs(self, **changes: Any) -> None:
        await self._admin("PATCH", "knobs", changes)

    async def _admin(self, method: str, path: str, body: dict[str, Any]) -> None:
        async with httpx.AsyncClient(transport=self._retell, base_url="http://retell.invalid") as http:
            (await http.request(method, f"/simulator/{path}", json=body)).raise_for_status()

    # A worker's verbs ----------------------------------------------------------------------------------------------

    async def claim(self, worker: SteppedWorker, capacity: int, fate: Fate) -> None:
        await self._verb(worker, fate, lambda: self._take(worker, worker.work.claim(capacity)))

    async def adopt(self, worker: SteppedWorker, fate: Fate) -> None:
        await self._verb(worker, fate, lambda: self._take(worker, worker.work.adopt(worker.in_hand)))

    async def tidy(self, worker: SteppedWorker, fate: Fate) -> None:
        await self._verb(worker, fate, worker.work.tidy)

    async def step(self, hand: Hand, fate: Fate) -> None:
        """One verb of the job's state; the worker lets go of the job as `CallWork.process` does."""
        worker = hand.worker
        # Whoever dies or lets go within the verb does not begin it again: only what lies between verbs can be thawed.
        for hands in (worker.hands, self.ghosts):
            if hand in hands:
                hands.remove(hand)
        after: list[Job] = []

        async def advance() -> None:
            try:
                moved = await _one_verb(worker.work, hand.job)
            except _StepIsOver:
                after.append(hand.job)
            else:
                after.extend([moved] if moved is not None else [])

        if await self._verb(worker, fate, advance):
            (worker.hands if worker in self.workers else self.ghosts).extend(Hand(worker, job) for job in after)

    async def _take(self, worker: SteppedWorker, taking: Awaitable[list[Job]]) -> None:
        worker.hands += [Hand(worker, job) for job in await taking]

    async def _verb(self, worker: SteppedWorker, fate: Fate, verb: Callable[[], Awaitable[None]]) -> bool:
        """Whether the worker survived."""
        self.fate = fate
        worker.control.pauses = 0
        worker.control.renewed_at = self.time.monotonic()
        try:
            await verb()
        except Died:
            await self.die(worker)
            return False
        except (DatabaseUnavailable, _StepIsOver):
            pass
        finally:
            self.fate = Fate()
        return True

    async def die(self, worker: SteppedWorker) -> None:
        """Killed or frozen, and a successor in its place: what it held between two verbs may be thawed later."""
        self.ghosts += worker.hands
        worker.hands = []
        if worker in self.workers:
            self.workers[self.workers.index(worker)] = await self.new_worker()

    async def expire(self, job_id: str) -> None:
        """The lease of this job runs out, whether or not its holder lives."""
        past = datetime.now(UTC) - timedelta(seconds=1)
        await self.container.database.collection("jobs").update_one(
            {"_id": job_id, "lease_until": {"$exists": True}}, {"$set": {"lease_until": past}}
        )

    # What is to be seen --------------------------------------------------------------------------------------------

    async def jobs(self) -> list[Job]:
        cursor = self.container.database.collection("jobs").find({}).sort("_id")
        return [from_document(Job, document) async for document in cursor]

    async def stored_batches(self) -> dict[str, Batch]:
        cursor = self.container.database.collection("batches").find({})
        return {document["_id"]: from_document(Batch, document) async for document in cursor}

    async def stored_account(self) -> Account:
        document = await self.container.database.collection("accounts").find_one({"_id": self.account.account_id})
        assert document is not None
        return from_document(Account, document)

    def calls(self) -> list[Call]:
        return list(self.simulator.calls.all())

    def is_live(self, call: Call) -> bool:
        """Whether a phone may ring or somebody talk now; a record that is stuck does not keep a line open."""
        longest = (call.override["ring_duration_ms"] + call.override["max_call_duration_ms"]) / 1000
        end = min(call.planned_end(self.time.simulator) or float("inf"), call.created_at + longest)
        return bool(self.time.simulator.now() < end)

    async def witness(self, call: Call, others: list[Call]) -> None:
        """A phone begins to ring: was that allowed at this instant?"""
        job_id, attempt_id = call.metadata["job_id"], call.metadata["attempt_id"]
        jobs, batches = {job.job_id: job for job in await self.jobs()}, await self.stored_batches()
        job, account, now = jobs[job_id], await self.stored_account(), self.time.now()
        batch, live = batches[job.batch_id], [other for other in others if self.is_live(other)]
        wrongs = {
            "its attempt has a call": any(other.metadata["attempt_id"] == attempt_id for other in others),
            "its contact is in a call": any(other.metadata["job_id"] == job_id for other in live),
            "its phone is in a call": any(other.to_number == call.to_number for other in live),
            "as many calls as the account allows": len(live) >= account.features.max_concurrent_calls,
            f"its batch is {batch.status.value}": batch.status is not BatchStatus.RUNNING,
            "its hours are closed": not is_allowed(now, batch.call_settings.hours),
            "its account is suspended": account.status is not AccountStatus.ACTIVE,
            "its contact is cancelled": job.cancel_requested or job.state is JobState.CANCELLED,
            "its money is not reserved": attempt_id not in account.reservations,
            "it has no slot": job.slot is None,
            "its attempts are used up": job.attempts >= job.max_attempts(batch.call_settings.max_attempts),
            "its phone was retired": call.to_number in job.retired_phones,
        }
        self.violations += [f"{job_id} was called although {wrong}" for wrong, is_so in wrongs.items() if is_so]


class _Line:
    """Between the client and the simulator: where requests and answers are lost."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def send(self, method: str, path: str, body: bytes | None, patience: ClientTimeout) -> Answer:
        world = self._world
        world.fate.contact(database=False)
        if not path.endswith("/create-phone-call"):
            return await self._pass_on(method, path, body)
        mood, world.fate.retell = world.fate.retell, "well"
        if mood == "unreachable":
            raise NeverSent("unreachable")
        if mood == "request_lost":
            raise Unanswered("the request got lost")
        before = world.calls()
        answer = await self._pass_on(method, path, body)
        for call in world.calls()[len(before) :]:
            await world.witness(call, before)
        world.fate.contact(database=False)
        if mood == "answer_lost":
            raise Unanswered("the answer got lost")
        return answer

    async def _pass_on(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        async with httpx.AsyncClient(transport=self._world._retell, base_url="http://retell.invalid") as http:
            response = await http.request(method, path, content=body, headers=headers)
        return Answer(response.status_code, response.headers, response.content)


async def _one_verb(work: CallWork, job: Job) -> Job | None:
    match job.state:
        case JobState.LEASED:
            return await work._dialing.dial(job)
        case JobState.VERIFYING:
            return await work._verifying.verify(job)
        case JobState.IN_CALL:
            return await work._following.follow(job)
        case JobState.UNCERTAIN:
            return await work._following.wait_out(job)
        case JobState.SETTLING:
            await work._settling.apply(job)
            return None
        case _:
            raise AssertionError(f"a worker holds a job that is {job.state.value}")


@contextlib.asynccontextmanager
async def new_world(mongodb_uri: str) -> AsyncIterator[Callable[[], Awaitable[World]]]:
    """Makes worlds, one after the other, on one emptied database."""
    async with contextlib.AsyncExitStack() as whole:
        time = WorldTime()
        settings = make_settings(
            mongodb_uri,
            mongodb_database=DATABASE,
            mongodb_pool_size=4,
            retell_base_url="http://retell.invalid",
            retell_api_key=KEY,
            call_poll_seconds=5,
            retell_reads_per_second=1000,
            call_details_grace_seconds=3,  # less than a pause: a step may end before the next one
        )
        whole.enter_context(mock.patch("app.bootstrap.Clock", return_value=time))
        whole.enter_context(mock.patch("app.services.persisting.FIRST_WAIT_SECONDS", 0))
        container = await whole.enter_async_context(open_container(settings))
        await container.prepare_database()
        real = container.database.operation
        current: list[World] = []

        @contextlib.asynccontextmanager
        async def operation() -> AsyncIterator[None]:
            fate = current[-1].fate if current else Fate()
            fate.contact(database=True)
            async with real():
                yield
            fate.contact(database=True)

        whole.enter_context(mock.patch.object(container.database, "operation", operation))

        async def make() -> World:
            for collection in INDEXES:
                await container.database.collection(collection).delete_many({})
            time.reset()
            current[:] = [World(container, time)]
            return current[-1]

        try:
            yield make
        finally:
            await container.database.drop()
