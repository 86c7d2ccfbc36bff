"""A worker in this process, a Retell simulator behind real HTTP, and campaigns to work on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import uvicorn

from app.bootstrap import Container, open_call_work
from app.domain.accounts import Account, Features
from app.domain.batches import Batch, BatchStatus, CallSettings, Priority, ScheduleType, VoiceSettings
from app.domain.calling_hours import CallingHours
from app.domain.jobs import Job, JobState
from app.domain.money import Plan
from app.repositories.documents import from_document
from app.services.accounts import NewAccount
from app.services.batch_creation import NewBatch
from app.services.call_work import CallWork
from app.services.worker_control import WorkerControl
from scripts.retell_simulator.app import build_app
from scripts.retell_simulator.clock import Clock as SimulatorClock
from scripts.retell_simulator.server import bind, url_of
from scripts.retell_simulator.simulator import Simulator
from workers.runner import Pace, Runner

ALWAYS = CallingHours.model_validate(
    {"start": "00:00", "end": "00:00", "days_of_week": range(7), "timezone": "America/Santiago"}
)
SOON_HOURS = 0.0002
"""A retry delay of 0.7 s."""
SPEED = 60


HEART_OF_STEPS_SECONDS = 30


@dataclass
class RunningSimulator:
    url: str
    http: httpx.AsyncClient
    simulator: Simulator

    async def script(self, numbers: dict[str, list[Any]]) -> None:
        (await self.http.put("/simulator/numbers", json=numbers)).raise_for_status()

    async def knobs(self, **changes: Any) -> None:
        (await self.http.patch("/simulator/knobs", json=changes)).raise_for_status()

    async def creates(self) -> list[dict[str, Any]]:
        return list((await self.http.get("/simulator/creates")).json()["creates"])

    async def summary(self) -> dict[str, Any]:
        return dict((await self.http.get("/simulator/summary")).json())


@contextlib.asynccontextmanager
async def serving_simulator(port: int = 0) -> AsyncIterator[RunningSimulator]:
    """A simulator on a real port, at SPEED times real time."""
    listener = bind("127.0.0.1", port)
    simulator = Simulator(api_key="key_test", clock=SimulatorClock(SPEED), seed=1)
    config = uvicorn.Config(build_app(simulator), log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment] # signals are pytest's
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with httpx.AsyncClient(base_url=url_of(listener)) as http:
            yield RunningSimulator(url_of(listener), http, simulator)
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with serving_simulator() as running:
        yield running


@dataclass
class Worker:
    """A worker that can be asked for single steps, or run."""

    work: CallWork
    control: WorkerControl
    container: Container

    @contextlib.asynccontextmanager
    async def running(self, concurrency: int = 50) -> AsyncIterator[None]:
        runner = self.runner(concurrency)
        task = asyncio.create_task(runner.run())
        try:
            yield
        finally:
            self.control.stopping.set()
            await task

    def runner(self, concurrency: int = 50) -> Runner:
        pace = Pace(poll=0.05, listen=0.05, rescue=0.2, heartbeat=0.3, tidy=0.3, shutdown=5)
        return Runner(
            self.work, self.control, pace, concurrency=concurrency, on_heartbeat=self.container.synchronise_clock
        )


class Campaigns:
    """Makes accounts, batches and workers on the test's database, and looks at what became of them."""

    def __init__(self, container: Container, simulator_url: str, stack: contextlib.AsyncExitStack) -> None:
        self.container = container
        self._simulator_url = simulator_url
        self._stack = stack

    async def account(self, *, funds: int = 1000, limit: int = 20, plan: Plan = Plan.CREDIT_BASED) -> Account:
        new = NewAccount(
            account_id=None,
            account_name="Empresa XYZ",
            contact_name="María",
            contact_email="maria@example.com",
            contact_phone=None,
            plan_type=plan,
            initial_credits=Decimal(funds if plan is Plan.CREDIT_BASED else 0),
            initial_minutes=Decimal(funds if plan is Plan.MINUTES_BASED else 0),
            features=Features(max_concurrent_calls=limit),
            timezone="America/Santiago",
            country=None,
            pricing=None,
            retell_agent_id=None,
            retell_from_number=None,
        )
        return await self.container.accounts.create(new)

    async def batch(self, account: Account, phones: list[list[str]], **changes: Any) -> Batch:
        """A batch with one contact for each list of phones; `changes` to NewBatch, or to its call settings."""
        settings = {
            "max_call_duration": 120,
            "ring_timeout": 20,
            "max_attempts": 3,
            "retry_delay_hours": SOON_HOURS,
            "hours": ALWAYS,
        }
        settings |= {key: changes.pop(key) for key in list(changes) if key in settings}
        new = NewBatch(
            account_id=account.account_id,
            name="Prueba",
            description=None,
            script_content="",
            voice_settings=VoiceSettings(),
            call_settings=CallSettings.model_validate(settings),
            schedule_type=ScheduleType.IMMEDIATE,
            scheduled_at=None,
            recurring=None,
            priority=Priority.NORMAL,
            budget=None,
            retell_agent_id=None,
            retell_from_number=None,
            contacts=[{"name": f"Contacto {i}", "phones": numbers} for i, numbers in enumerate(phones)],
            upload_id=None,
            allow_missing_variables=False,
            idempotency_key=None,
            request_digest="",
        )
        return await self.container.batch_creation.create(replace(new, **changes), user="test")

    async def worker(self, name: str = "w", **changes: Any) -> Worker:
        """A worker with settings changed by `changes`."""
        settings = self.container.settings.model_copy(update={"retell_base_url": self._simulator_url, **changes})
        container = replace(self.container, settings=settings)
        control = WorkerControl(
            worker_id=name, time=container.clock, lease=timedelta(seconds=settings.worker_lease_seconds)
        )
        # Single steps have no heartbeat: a machine that stands still for a moment must not fence this worker off.
        control.renewed_at += HEART_OF_STEPS_SECONDS
        work = await self._stack.enter_async_context(open_call_work(container, control))
        return Worker(work, control, container)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let `work` go on beside the test and no longer: what a failed test began must not reach the next ones."""
        task = asyncio.create_task(work)
        self._stack.push_async_callback(ended, task)
        return task

    async def jobs(self, batch: Batch) -> list[Job]:
        """The batch's jobs in their contacts' order."""
        cursor = self.container.database.collection("jobs").find({"batch_id": batch.batch_id}).sort("_id")
        return [from_document(Job, document) async for document in cursor]

    async def job(self, batch: Batch) -> Job:
        """The only job of the batch."""
        (job,) = await self.jobs(batch)
        return job

    async def stored(self, batch: Batch) -> Batch:
        return await self.container.batches.get(batch.batch_id)

    async def set_job(self, job: Job, **fields: Any) -> None:
        """Change a job behind everybody's back, as a crash or the passing of time would."""
        await self.container.database.collection("jobs").update_one({"_id": job.job_id}, {"$set": fields})

    async def assert_ledger_exact(self, account: Account) -> None:
        """Ledger, balance, jobs and budgets tell the same, and nothing is reserved any more."""
        now = await self.container.accounts.get(account.account_id)
        assert now.reservations == {}
        report = await self.container.reconciling.check(account.account_id, second_look_after=0)
        assert report.differences == []
        assert report.in_progress == 0


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
async def campaigns(container: Container, simulator: RunningSimulator) -> AsyncIterator[Campaigns]:
    async with contextlib.AsyncExitStack() as stack:
        yield Campaigns(container, simulator.url, stack)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait for a fact; fail if it does not come true in `seconds`."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the fact is in another process or in the database
            await asyncio.sleep(0.03)


async def has_status(campaigns: Campaigns, batch: Batch, status: BatchStatus) -> bool:
    return (await campaigns.stored(batch)).status is status


async def is_blocked(campaigns: Campaigns, batch: Batch, code: str) -> bool:
    block = (await campaigns.stored(batch)).block
    return block is not None and block.reason.code == code


async def has_state(campaigns: Campaigns, batch: Batch, *states: JobState) -> bool:
    """Whether every job of the batch is in one of `states`."""
    return all(job.state in states for job in await campaigns.jobs(batch))


async def leased(campaigns: Campaigns, worker: Worker, **batch: object) -> tuple[Batch, Job]:
    """A batch of one contact, whose job this worker holds without having dialed it."""
    created = await campaigns.batch(await campaigns.account(), [numbers(1)], **batch)
    (job,) = await worker.work.claim(10)
    return created, job


class Killed(Exception):
    """Stands for kill -9: nobody catches it by name, and nothing is done after it."""


async def dies_at(subject: Any, method: str, work: Awaitable[Any], *, after: bool = False) -> None:
    """Let `work` go on up to its call of `subject.method`, or to just `after` it, and no further."""
    real = getattr(subject, method)

    async def killed(*args: Any, **kwargs: Any) -> Any:
        if after:
            await real(*args, **kwargs)
        raise Killed

    setattr(subject, method, killed)
    try:
        with pytest.raises(Killed):
            await work
    finally:
        setattr(subject, method, real)


async def let_lease_expire(campaigns: Campaigns, job: Job) -> None:
    await campaigns.set_job(job, lease_until=campaigns.container.clock.now() - timedelta(seconds=1))


def closed_hours(campaigns: Campaigns) -> CallingHours:
    """One hour a day that is some ten hours away from now."""
    hour = (campaigns.container.clock.now() + timedelta(hours=10)).hour
    return CallingHours.model_validate(
        {"start": f"{hour:02}:00", "end": f"{hour:02}:30", "days_of_week": range(7), "timezone": "UTC"}
    )


def numbers(count: int, start: int = 0) -> list[str]:
    """Valid Chilean mobile numbers, all different."""
    return [f"+5698{start + i:07d}" for i in range(count)]
