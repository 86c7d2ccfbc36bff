"""Everything at once: workers killed and frozen, mongod killed, a Retell that misbehaves, operators who meddle.

Three workers call the contacts of six batches of three accounts, while a bag of troubles is emptied over them in random
order. What operators did is noted with its time, so that the simulator's record can be held against it: who was
called while paused, outside the hours, above a limit, twice, or not at all.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx

from app.bootstrap import open_container
from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus
from app.domain.calling_hours import CallingHours
from app.domain.errors import Unavailable
from app.repositories.embedded_mongod import EmbeddedMongod, start_embedded_mongod
from scripts.dev_stack import Part, free_port
from tests.chaos.processes import Processes, answers, environment_for, freeze, kill, kill_mongod, thaw
from tests.chaos.verdict import Record, Verdict, judge, peak_simultaneous, read_record
from tests.conftest import make_settings
from tests.workers.conftest import ALWAYS, Campaigns, numbers

T = TypeVar("T")

_PLENTY, _NONE = Decimal(1_000_000), Decimal(0)

DATABASE = "cadencia_storm"
SPEED = 60
WORKERS = 3
LEASE_SECONDS = 3.0
MARGIN_SECONDS = LEASE_SECONDS * 2 / 3 + 1.0
"""How long after a pause or a closing hour a call may still begin: a worker that was frozen dials for two thirds of
its lease at most, and a request takes RETELL_CREATE_TIMEOUT_SECONDS."""
TROUBLES = {
    "create_faults": [
        {"kind": "timeout_after", "probability": 0.01},
        {"kind": "timeout_before", "probability": 0.01},
        {"kind": "500_after", "probability": 0.02},
        {"kind": "500_before", "probability": 0.02},
        {"kind": "malformed_201", "probability": 0.02},
    ],
    "read_faults": [{"status_code": 500, "probability": 0.02}, {"status_code": 429, "probability": 0.01}],
    "hang_seconds": 3,
    "list_lag_seconds": 300,
    "concurrency_limit": 0,
    "mix": [
        {"weight": 60, "outcome": {"disconnection_reason": "user_hangup", "talk_seconds": [15, 60]}},
        {"weight": 12, "outcome": "dial_no_answer"},
        {"weight": 10, "outcome": "dial_busy"},
        {"weight": 8, "outcome": "voicemail_reached"},
        {"weight": 4, "outcome": "invalid_destination"},
        {"weight": 3, "outcome": "error_retell"},
        {"weight": 3, "outcome": "inactivity"},
    ],
    "webhooks": {"drop_rate": 0.2, "duplicate_rate": 0.2, "reorder_rate": 0.2, "delay_seconds": 5},
}


@dataclass(frozen=True)
class Plan:
    """How much of everything. `spacing`: mean seconds between two troubles."""

    contacts: int
    kills: int
    short_freezes: int
    long_freezes: int
    slow_spells: int
    mongod_kills: int = 1
    pauses: int = 3
    spacing: float = 3.0
    limits: tuple[int, int, int] = (20, 12, 5)
    patience: float = 1200.0
    seed: int = 1


SHORT = Plan(
    contacts=250, kills=5, short_freezes=1, long_freezes=1, slow_spells=1, pauses=1, spacing=2.0, patience=240.0
)
FULL = Plan(contacts=3000, kills=30, short_freezes=8, long_freezes=4, slow_spells=4, spacing=4.0)


@dataclass(frozen=True)
class Closed:
    """A span of real seconds in which no call of a batch may begin."""

    batch_id: str
    why: str
    since: float
    until: float


@dataclass
class Report:
    seconds: float
    record: Record
    verdict: Verdict
    troubles: Counter[str]
    wrong_moments: list[str]
    peaks: dict[str, tuple[int, int]]
    """Most simultaneous calls and the limit, by account."""
    states: Counter[str]
    rescued: int
    webhooks: Counter[str]
    server_version: str

    @property
    def findings(self) -> list[str]:
        return [*self.verdict.findings, *self.wrong_moments]


@dataclass
class Storm:
    plan: Plan
    home: Path
    tell: Callable[[int, int, str], None]
    """Told of progress: contacts done, contacts in all, and what happens."""
    mongods: list[EmbeddedMongod] = field(default_factory=list)
    workers: list[Part] = field(default_factory=list)
    frozen: list[Part] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    batches: list[Batch] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)

    async def run(self) -> Report:
        """Raises AssertionError if it does not come to rest in time."""
        async with AsyncExitStack() as stack:
            await self._start(stack)
            began = time.monotonic()
            async with asyncio.timeout(self.plan.patience), asyncio.TaskGroup() as meddlers:
                meddlers.create_task(self._pause_and_resume(self.batches[1]))
                meddlers.create_task(self._close_and_reopen(self.batches[3]))
                meddlers.create_task(self._empty_the_bag())
                meddlers.create_task(self._top_up_when_empty())
                meddlers.create_task(self._come_to_rest())
            return await self._report(time.monotonic() - began)

    async def _start(self, stack: AsyncExitStack) -> None:
        self._random = random.Random(self.plan.seed)
        self.mongods.append(await start_embedded_mongod(self.home / "mongod", free_port(0)))
        stack.push_async_callback(lambda: self.mongods[-1].stop())
        self._processes = Processes(self.home)
        stack.push_async_callback(self._processes.end)
        uri = self.mongods[-1].uri
        settings = make_settings(uri, mongodb_database=DATABASE, mongodb_pool_size=8, mongodb_timeout_seconds=2)
        self._container = await stack.enter_async_context(open_container(settings))
        await self._container.database.drop()
        await self._container.prepare_database()
        # The API has to know the simulator's address no more than the simulator its: both ports are chosen here.
        environment = environment_for(uri, DATABASE, "")
        _, api_url = self._processes.api("api", environment)
        self.simulator_url = self._processes.simulator(
            SPEED, "--seed", str(self.plan.seed), "--webhook-url", f"{api_url}/api/v1/webhooks/retell"
        )
        self._environment = environment | {"RETELL_BASE_URL": self.simulator_url}
        await answers(f"{self.simulator_url}/simulator/health")
        await self._knobs(TROUBLES)
        await self._campaigns(stack)
        for _ in range(WORKERS):
            self._new_worker()

    async def _campaigns(self, stack: AsyncExitStack) -> None:
        """Two batches an account: the second of each is the one that somebody meddles with."""
        campaigns = Campaigns(self._container, self.simulator_url, stack)
        big, middle, poor = self.plan.limits
        self.accounts = [
            await campaigns.account(funds=1_000_000, limit=big),
            await campaigns.account(funds=1_000_000, limit=middle),
            # Enough for two calls at their longest: it runs out at once, and again after each settlement.
            await campaigns.account(funds=4, limit=poor),
        ]
        opens_at = _next_minute()
        hours = [ALWAYS, ALWAYS, _from(opens_at), ALWAYS, ALWAYS, ALWAYS]
        first = 0
        for index, part in enumerate((0.4, 0.1, 0.1, 0.2, 0.15, 0.05)):
            phones = numbers(max(int(self.plan.contacts * part), 1), start=first)
            first += len(phones)
            batch = await campaigns.batch(
                self.accounts[index // 2], [[phone] for phone in phones], hours=hours[index], max_attempts=3
            )
            self.batches.append(batch)
        self._contacts = first
        self.closed.append(Closed(self.batches[2].batch_id, "before its hours", 0, opens_at.timestamp()))

    def _new_worker(self) -> None:
        self.workers.append(self._processes.worker("worker", self._environment))

    async def _knobs(self, changes: dict[str, Any]) -> None:
        async with httpx.AsyncClient(base_url=self.simulator_url, timeout=30) as http:
            (await http.patch("/simulator/knobs", json=changes)).raise_for_status()

    # Troubles ------------------------------------------------------------------------------------------------------

    async def _empty_the_bag(self) -> None:
        plan = self.plan
        bag: list[Callable[[], Coroutine[Any, Any, None]]] = [
            *[self._kill_a_worker] * plan.kills,
            *[self._freeze_shortly] * plan.short_freezes,
            *[self._freeze_past_the_lease] * plan.long_freezes,
            *[self._slow_spell] * plan.slow_spells,
            *[self._kill_mongod] * plan.mongod_kills,
        ]
        self._random.shuffle(bag)
        async with asyncio.TaskGroup() as troubles:
            for trouble in bag:
                await asyncio.sleep(self._random.uniform(0.5, 1.5) * plan.spacing)
                troubles.create_task(trouble())

    def _victim(self) -> Part:
        return self._random.choice([worker for worker in self.workers if worker not in self.frozen] or self.workers)

    async def _kill_a_worker(self) -> None:
        victim = self._victim()
        self.workers.remove(victim)
        kill(victim)
        self._new_worker()
        self.happened["workers killed"] += 1

    async def _freeze_shortly(self) -> None:
        await self._freeze(self._random.uniform(0.3, 1.5))
        self.happened["workers frozen within their lease"] += 1

    async def _freeze_past_the_lease(self) -> None:
        await self._freeze(self._random.uniform(1.5, 3.0) * LEASE_SECONDS)
        self.happened["workers frozen past their lease"] += 1

    async def _freeze(self, seconds: float) -> None:
        victim = self._victim()
        self.frozen.append(victim)
        freeze(victim)
        await asyncio.sleep(seconds)
        thaw(victim)
        self.frozen.remove(victim)

    async def _slow_spell(self) -> None:
        """Every answer comes later than anybody waits for: all calls of that time are placed, and unsure."""
        await self._knobs({"reply_delay_seconds": 1.5})
        await asyncio.sleep(2.5)
        await self._knobs({"reply_delay_seconds": 0})
        self.happened["slow spells of Retell"] += 1

    async def _kill_mongod(self) -> None:
        mongod = self.mongods[-1]
        await kill_mongod(mongod)
        await asyncio.sleep(self._random.uniform(0.5, 2))
        self.mongods.append(await start_embedded_mongod(mongod.data_dir, mongod.port))
        self.happened["mongod killed and restarted"] += 1

    # Operators -----------------------------------------------------------------------------------------------------

    async def _pause_and_resume(self, batch: Batch) -> None:
        for _ in range(self.plan.pauses):
            await asyncio.sleep(self._random.uniform(1, 2) * self.plan.spacing)
            if (await self._stored(batch)).status is not BatchStatus.RUNNING:
                return
            await self._insist(lambda: self._change(batch, is_active=False))
            since = time.time()
            await asyncio.sleep(self._random.uniform(5, 8))
            self.closed.append(Closed(batch.batch_id, "while paused", since + MARGIN_SECONDS, time.time()))
            await self._insist(lambda: self._change(batch, is_active=True))
            self.happened["batches paused and resumed"] += 1

    async def _close_and_reopen(self, batch: Batch) -> None:
        """Its hours are changed to some that are over, and some seconds later to the whole day."""
        over = _from(datetime.now(UTC) + timedelta(hours=6))
        await self._insist(lambda: self._change(batch, hours=over))
        since = time.time()
        await asyncio.sleep(8)
        self.closed.append(Closed(batch.batch_id, "outside its hours", since + MARGIN_SECONDS, time.time()))
        await self._insist(lambda: self._change(batch, hours=ALWAYS))
        self.happened["batches closed and reopened"] += 1

    async def _change(self, batch: Batch, *, is_active: bool | None = None, hours: CallingHours | None = None) -> None:
        stored = await self._container.batches.get(batch.batch_id)
        changes: dict[str, Any] = {}
        if hours is not None:
            changes["call_settings"] = stored.call_settings.model_copy(update={"hours": hours})
        await self._container.batches.change(batch.batch_id, changes, is_active=is_active, user="storm")

    async def _top_up_when_empty(self) -> None:
        """Once the poor account has used most of what it had, it gets enough for the rest."""
        while not await self._insist(self._is_nearly_empty):  # noqa: ASYNC110 - the fact is in the database
            await asyncio.sleep(1)
        await asyncio.sleep(self.plan.spacing)
        await self._insist(lambda: self._buy())
        self.happened["empty accounts topped up"] += 1

    async def _is_nearly_empty(self) -> bool:
        account = await self._container.accounts.get(self.accounts[2].account_id)
        return account.funds.available(account.plan_type) < 2

    async def _buy(self) -> None:
        await self._container.accounts.top_up(
            self.accounts[2].account_id, bought_credits=_PLENTY, bought_minutes=_NONE, idempotency_key="storm"
        )

    async def _insist(self, request: Callable[[], Awaitable[T]]) -> T:
        """An operator tries again while MongoDB is away; each of these requests may be repeated."""
        while True:
            try:
                return await request()
            except Unavailable:
                await asyncio.sleep(0.3)

    async def _stored(self, batch: Batch) -> Batch:
        return await self._insist(lambda: self._container.batches.get(batch.batch_id))

    # The end -------------------------------------------------------------------------------------------------------

    async def _come_to_rest(self) -> None:
        """Wait until every batch is completed and nothing is reserved; tell of progress meanwhile."""
        while not await self._insist(self._rests):
            done = await self._insist(self._done)
            self.tell(done, self._contacts, ", ".join(f"{count} {what}" for what, count in self.happened.items()))
            await asyncio.sleep(1)
        self.tell(self._contacts, self._contacts, "at rest")

    async def _done(self) -> int:
        final = {"state": {"$in": ["completed", "failed", "cancelled"]}}
        async with self._container.database.operation():
            return await self._container.database.collection("jobs").count_documents(final)

    async def _rests(self) -> bool:
        batches = [await self._container.batches.get(batch.batch_id) for batch in self.batches]
        accounts = [await self._container.accounts.get(account.account_id) for account in self.accounts]
        completed = all(batch.status is BatchStatus.COMPLETED for batch in batches)
        return completed and not any(account.reservations for account in accounts)

    async def _report(self, seconds: float) -> Report:
        record = await read_record(self.simulator_url)
        verdict = await judge(self._container, record, [batch.batch_id for batch in self.batches])
        jobs = self._container.database.collection("jobs").find({}, {"state": True})
        async with httpx.AsyncClient(base_url=self.simulator_url, timeout=60) as http:
            webhooks = (await http.get("/simulator/webhooks")).json()["webhooks"]
        return Report(
            seconds,
            record,
            verdict,
            self.happened + Counter(f"creates {create['fault']}" for create in record.creates if create["fault"]),
            [finding for closed in self.closed for finding in _begun_in(closed, record)],
            {account.account_id: self._peak(account, record) for account in self.accounts},
            Counter([job["state"] async for job in jobs]),
            sum(part.log.read_text("utf-8", "replace").count('"job_rescued"') for part in self._processes.parts),
            Counter(f"{webhook['result']} {webhook['status_code'] or ''}".strip() for webhook in webhooks),
            (await self._container.database.collection("jobs").database.command("buildInfo"))["version"],
        )

    @staticmethod
    def _peak(account: Account, record: Record) -> tuple[int, int]:
        calls = [call for call in record.calls if call["metadata"]["account_id"] == account.account_id]
        return peak_simultaneous(calls), account.features.max_concurrent_calls


def _begun_in(closed: Closed, record: Record) -> list[str]:
    return [
        f"{call['to_number']} was called {closed.why}, {call['created_at'] - closed.since + MARGIN_SECONDS:.1f} s in"
        for call in record.calls
        if call["metadata"]["batch_id"] == closed.batch_id and closed.since < call["created_at"] < closed.until
    ]


def _next_minute() -> datetime:
    """At least ten seconds from now, so that there is something to wait for."""
    soon = datetime.now(UTC) + timedelta(seconds=70)
    return soon.replace(second=0, microsecond=0)


def _from(opens_at: datetime) -> CallingHours:
    """A window of two hours a day that begins in the minute of `opens_at`."""
    closes_at = opens_at + timedelta(hours=2)
    return CallingHours.model_validate(
        {
            "start": f"{opens_at:%H:%M}",
            "end": f"{closes_at:%H:%M}",
            "days_of_week": range(7),
            "timezone": "UTC",
        }
    )
