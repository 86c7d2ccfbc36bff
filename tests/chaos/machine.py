"""Any history at all: hypothesis invents what workers, operators, Retell, time and death do to a small campaign.

After every step the invariants hold, and from wherever the history ends the world comes to rest: every contact
final, nothing reserved, the ledger exact.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.domain.accounts import AccountStatus
from app.domain.batches import BatchStatus
from app.domain.errors import CadenciaError
from tests.chaos.invariants import left_behind, violated
from tests.chaos.world import OFFICE, Fate, World, new_world
from tests.workers.conftest import ALWAYS

T = TypeVar("T")

OUTCOMES: list[Any] = [
    "user_hangup",
    "dial_busy",
    "dial_no_answer",
    "voicemail_reached",
    "invalid_destination",
    "error_retell",
    "sip_routing_error",
    {"disconnection_reason": "user_hangup", "talk_seconds": 10_000},
    {"stuck": "registered"},
    {"stuck": "ongoing"},
]
SPANS = [1.0, 20.0, 90.0, 600.0, 1800.0, 3600.0, 4 * 3600.0, 24 * 3600.0]
ROUNDS_TO_REST = 300

MEDDLING = [
    "pause or resume",
    "hours",
    "cancel batch",
    "cancel job",
    "retry job",
    "limit",
    "limit",
    "suspend or activate",
    "top up",
]

contacts = st.integers(1, 24)
"""Which of a step's contacts with the outside is meant; a step that has fewer is spared."""
fates = st.builds(
    Fate,
    dies_at=st.one_of(st.none(), st.none(), contacts),
    away_at=st.one_of(st.none(), st.none(), contacts),
    retell=st.sampled_from(["well", "well", "unreachable", "request_lost", "answer_lost"]),
)
which = st.integers(0, 100)


class JobMachine(RuleBasedStateMachine):
    runner: ClassVar[asyncio.Runner]
    make: ClassVar[Callable[[], Awaitable[World]]]

    def __init__(self) -> None:
        super().__init__()
        self.world = self.run(type(self).make())
        self.fences: dict[str, int] = {}

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    @initialize(
        outcomes=st.lists(st.lists(st.sampled_from(OUTCOMES), max_size=2), min_size=4, max_size=4),
        limit=st.integers(1, 3),
        funds=st.integers(1, 8),
        office_hours=st.booleans(),
    )
    def begin(self, outcomes: list[Any], limit: int, funds: int, office_hours: bool) -> None:
        # Whatever a phone does at first, in the end somebody answers: else coming to rest takes days of retries.
        outcomes = [[*script, "user_hangup"] for script in outcomes]
        self.run(self.world.begin(outcomes, limit=limit, funds=funds, office_hours=office_hours))

    # Workers -------------------------------------------------------------------------------------------------------

    @rule(worker=st.integers(0, 1), capacity=st.integers(1, 3), fate=fates)
    def claim(self, worker: int, capacity: int, fate: Fate) -> None:
        self.run(self.world.claim(self.world.workers[worker], capacity, replace(fate)))

    @rule(worker=st.integers(0, 1), hand=which, fate=fates)
    def step(self, worker: int, hand: int, fate: Fate) -> None:
        hands = self.world.workers[worker].hands
        if hands:
            self.run(self.world.step(hands[hand % len(hands)], replace(fate)))

    @rule(worker=st.integers(0, 1), capacity=st.integers(1, 3), first=fates, second=fates)
    def claims_and_dials(self, worker: int, capacity: int, first: Fate, second: Fate) -> None:
        """Claim without trouble, then dial with some: without this, few histories get far."""
        self._claim_and_step(worker, capacity, [first, second])

    @rule(worker=st.integers(0, 1), capacity=st.integers(1, 3), dial=fates, rescue=fates)
    def dials_and_is_rescued(self, worker: int, capacity: int, dial: Fate, rescue: Fate) -> None:
        """Whatever became of the dial, its worker's leases run out and the other one goes on with the jobs."""
        self._claim_and_step(worker, capacity, [dial])
        for job in self.run(self.world.jobs()):
            self.run(self.world.expire(job.job_id))
        rescuer = self.world.workers[1 - worker]
        self.run(self.world.adopt(rescuer, Fate()))
        for hand in list(rescuer.hands)[-2:]:
            if hand in rescuer.hands:
                self.run(self.world.step(hand, replace(rescue)))

    @rule(worker=st.integers(0, 1))
    def all_goes_well_for_a_while(self, worker: int) -> None:
        self._claim_and_step(worker, 3, [Fate()])
        subject = self.world.workers[worker]
        for hand in list(subject.hands):
            if hand in subject.hands:
                self.run(self.world.step(hand, Fate()))

    def _claim_and_step(self, worker: int, capacity: int, fates: list[Fate]) -> None:
        """The jobs claimed are stepped once each, with these fates in turn."""
        subject = self.world.workers[worker]
        before = list(subject.hands)
        self.run(self.world.claim(subject, capacity, Fate()))
        for number, hand in enumerate([hand for hand in subject.hands if hand not in before]):
            if hand in subject.hands:
                self.run(self.world.step(hand, replace(fates[number % len(fates)])))

    @rule(hand=which, fate=fates)
    def a_frozen_worker_goes_on(self, hand: int, fate: Fate) -> None:
        if self.world.ghosts:
            self.run(self.world.step(self.world.ghosts[hand % len(self.world.ghosts)], fate))

    @rule(worker=st.integers(0, 1))
    def worker_dies(self, worker: int) -> None:
        self.run(self.world.die(self.world.workers[worker]))

    @rule(job=which)
    def lease_expires(self, job: int) -> None:
        jobs = self.run(self.world.jobs())
        self.run(self.world.expire(jobs[job % len(jobs)].job_id))

    @rule(worker=st.integers(0, 1), fate=fates)
    def adopt(self, worker: int, fate: Fate) -> None:
        self.run(self.world.adopt(self.world.workers[worker], fate))

    @rule(worker=st.integers(0, 1), fate=fates)
    def tidy(self, worker: int, fate: Fate) -> None:
        self.run(self.world.tidy(self.world.workers[worker], fate))

    # Time and Retell -----------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from(SPANS))
    def time_goes_by(self, seconds: float) -> None:
        self.world.time.advance(seconds)

    @rule(lag=st.sampled_from([0, 0, 600, 10**7]), analysis=st.sampled_from([5, None]))
    def retell_changes(self, lag: int, analysis: int | None) -> None:
        self.run(self.world.knobs(list_lag_seconds=lag, analysis_delay_seconds=analysis))

    # Operators -----------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(MEDDLING), on=which, how=st.integers(0, 3))
    def an_operator_meddles(self, what: str, on: int, how: int) -> None:
        """One rule for all they can do, so that workers have their turn more often."""
        world, batch = self.world, on % 2
        match what:
            case "pause or resume":
                self._change_batch(batch, {}, how > 1)
            case "hours":
                current = self.run(world.stored_batches())[world.batches[batch].batch_id]
                hours = ALWAYS if how > 1 else OFFICE
                settings = current.call_settings.model_copy(update={"hours": hours})
                self._change_batch(batch, {"call_settings": settings}, None)
            case "cancel batch" if how == 0:
                self._operate(world.container.batches.cancel(world.batches[batch].batch_id, user="test"))
            case "cancel job" if how == 0:
                self._operate(world.container.jobs.cancel(self._job_id(on), user="test"))
            case "retry job":
                self._operate(world.container.jobs.retry(self._job_id(on), user="test"))
            case "limit":
                limit = max(how, 1)
                world.highest_limit = max(world.highest_limit, limit)
                self._change_account(
                    {"features": world.account.features.model_copy(update={"max_concurrent_calls": limit})}
                )
            case "suspend or activate":
                self._change_account({"status": AccountStatus.SUSPENDED if how == 0 else AccountStatus.ACTIVE})
            case "top up":
                self.run(self._top_up(how + 1))

    @invariant()
    def nothing_is_wrong(self) -> None:
        if self.world.batches:
            wrong = self.run(violated(self.world, self.fences))
            assert not wrong, wrong

    def teardown(self) -> None:
        try:
            if self.world.batches and not self.world.violations:
                self.run(self._come_to_rest())
        finally:
            self.run(self.world.close())

    async def _come_to_rest(self) -> None:
        """Everything is mended, every worker but one new one is dead, and time goes on."""
        world = self.world
        await world.knobs(list_lag_seconds=0, analysis_delay_seconds=5)
        await self._top_up(1000)
        features = world.account.features.model_copy(update={"max_concurrent_calls": 3})
        world.highest_limit = 3
        changes = {"features": features, "status": AccountStatus.ACTIVE}
        await world.container.accounts.change(world.account.account_id, changes)
        for worker in world.workers:
            await world.die(worker)
        for job in await world.jobs():
            await world.expire(job.job_id)
        rounds = 0
        while not await self._rests():
            rounds += 1
            assert rounds < ROUNDS_TO_REST, f"no rest: {await left_behind(world)}"
            await self._round()
        worker = world.workers[0]
        for _ in range(2):
            await world.tidy(worker, Fate())
        wrong = await violated(world, self.fences) + await left_behind(world)
        assert not wrong, wrong

    async def _round(self) -> None:
        world, worker = self.world, self.world.workers[0]
        for batch in (await world.stored_batches()).values():
            if batch.status is BatchStatus.PAUSED:
                await world.container.batches.change(batch.batch_id, {}, is_active=True, user="test")
        await world.adopt(worker, Fate())
        await world.claim(worker, 10, Fate())
        for hand in list(worker.hands):
            await world.step(hand, Fate())
        world.time.advance(60 if worker.hands else await self._until_something_is_due())

    async def _until_something_is_due(self) -> float:
        """Seconds to the next instant at which a worker that has nothing in hand may find something."""
        now = self.world.time.now()
        wakes = [batch.wake_at for batch in (await self.world.stored_batches()).values() if batch.wake_at is not None]
        return max(1.0, (min(wakes, default=now) - now).total_seconds())

    async def _rests(self) -> bool:
        closed = {BatchStatus.COMPLETED, BatchStatus.CANCELLED}
        if not all(batch.status in closed for batch in (await self.world.stored_batches()).values()):
            return False
        return all(job.state.is_final for job in await self.world.jobs())

    def _change_batch(self, batch: int, changes: dict[str, Any], is_active: bool | None) -> None:
        batch_id = self.world.batches[batch].batch_id
        self._operate(self.world.container.batches.change(batch_id, changes, is_active=is_active, user="test"))

    def _change_account(self, changes: dict[str, Any]) -> None:
        self._operate(self.world.container.accounts.change(self.world.account.account_id, changes))

    def _operate(self, request: Coroutine[Any, Any, object]) -> None:
        """What an operator asks for may be refused; it is never an error of ours."""
        with contextlib.suppress(CadenciaError):
            self.run(request)

    def _job_id(self, job: int) -> str:
        jobs = self.run(self.world.jobs())
        return jobs[job % len(jobs)].job_id

    async def _top_up(self, units: int) -> None:
        await self.world.container.accounts.top_up(
            self.world.account.account_id,
            bought_credits=Decimal(units),
            bought_minutes=Decimal(0),
            idempotency_key=None,
        )


def play(mongodb_uri: str, *, histories: int, steps: int, shrink: bool) -> None:
    """Play so many histories of so many steps. Raises the first that goes wrong.

    With `shrink` the dice are new ones each time, and a history that goes wrong is cut down to its shortest form, which
    takes minutes; without, the same histories are played in every run.

    Blocks, with an event loop of its own: call it from a thread that has none.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        stack.callback(structlog.reset_defaults)
        worlds = new_world(mongodb_uri)
        JobMachine.make = staticmethod(runner.run(worlds.__aenter__()))
        JobMachine.runner = runner
        stack.callback(lambda: runner.run(worlds.__aexit__(None, None, None)))
        run_state_machine_as_test(
            JobMachine,
            settings=settings(
                max_examples=histories,
                stateful_step_count=steps,
                deadline=None,
                derandomize=not shrink,
                database=None,
                print_blob=shrink,
                phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
