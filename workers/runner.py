"""Slots, claim, rescue, heartbeat, drain: how a worker process keeps itself busy. It knows nothing of calls.

Six loops run beside the items in hand:

* claim     takes as many new items as there are free places, and never one that it could not start
* rescue    adopts what dead workers left
* take over goes on with what other processes began that is no item
* heartbeat renews the leases of everything in hand, and notes when that last worked
* listen    passes on what was told about the items in hand from outside
* tidy      now and then, cleans up what no item refers to

A worker that is asked to drain goes on with what it has in hand, takes and adopts nothing, and then stops.

A dependency that is away makes a loop wait with backoff and say so; it never ends the process.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from app.domain.errors import Unavailable
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

LONGEST_BACKOFF_SECONDS = 15.0
HANDOVER_SECONDS = 5.0
COALESCE_SECONDS = 0.05
"""Places that come free together are filled together, and what becomes due together is taken together."""
DRAIN_LOOK_SECONDS = 0.5
MOST_AT_ONCE = 50
"""Items started together; more would queue for the database so long that their intents grow stale unsent."""


class Item(Protocol):
    @property
    def job_id(self) -> str: ...


I = TypeVar("I", bound=Item)  # noqa: E741 - the item


class Work(Protocol[I]):
    """What the runner drives. Each verb may raise Unavailable, except `process`, which keeps its troubles to itself."""

    async def claim(self, capacity: int) -> list[I]: ...
    @property
    def must_wait(self) -> bool:
        """Whether the last claim left work undone that it may take soon."""

    @property
    def next_due_in(self) -> float:
        """Seconds until there may be something to claim that the last look could not find yet; may be infinite."""

    async def adopt(self, in_hand: Container[str]) -> list[I]: ...
    async def process(self, job: I) -> None: ...
    async def renew(self, job_ids: Sequence[str]) -> None: ...
    async def hand_over(self) -> int: ...
    async def listen(self) -> None: ...
    async def take_over(self) -> int: ...
    async def tidy(self) -> None: ...


@dataclass(frozen=True)
class Pace:
    """Seconds between two rounds of each loop."""

    poll: float
    listen: float
    rescue: float
    heartbeat: float
    tidy: float
    shutdown: float
    """How long a stopping worker waits for what is under way."""


class Runner:
    def __init__(
        self,
        work: "Work[I]",
        control: WorkerControl,
        pace: Pace,
        *,
        concurrency: int,
        on_heartbeat: Callable[[], Awaitable[object]],
    ) -> None:
        """`on_heartbeat` runs before each renewal, such as taking the database's time."""
        self._work = work
        self._control = control
        self._pace = pace
        self._concurrency = concurrency
        self._on_heartbeat = on_heartbeat
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._place_free = asyncio.Event()
        self._turned_at: dict[str, float] = {}

    @property
    def in_use(self) -> int:
        """Places taken."""
        return len(self._in_hand)

    def stalled(self, seconds: float) -> list[str]:
        """The loops that have not come round for so long, or have only failed in it."""
        now = self._control.time.monotonic()
        return [name for name, turned_at in self._turned_at.items() if now - turned_at > seconds]

    async def run(self) -> None:
        """Work until told to stop, then let go of everything in order."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._heartbeat())
            loops.create_task(self._drain())
            rounds = [
                loops.create_task(self._round("claim", self._claim_apart, self._pace.poll, self._place_free)),
                loops.create_task(self._round("rescue", self._adopt, self._pace.rescue)),
                loops.create_task(self._round("listen", self._listen, self._pace.listen)),
                loops.create_task(self._round("take over", self._take_over, self._pace.rescue)),
                loops.create_task(self._round("tidy", self._tidy, self._pace.tidy)),
            ]
            await asyncio.wait(rounds)
            # Leases must hold until the last item is let go, so the heartbeat goes last.
            await self._let_go()

    async def run_once(self) -> None:
        """Take what is due, see it to its end, and return when nothing is due and nothing is in hand."""
        heartbeat, draining = asyncio.create_task(self._heartbeat()), asyncio.create_task(self._drain())
        try:
            while not self._control.stopping.is_set():
                try:
                    await self._adopt()
                    await self._take_over()
                    found = await self._claim()
                    await self._listen()
                except Unavailable as error:
                    log.warning("dependency_waited_for", loop="once", reason=error.code)
                    await self._control.pause(self._pace.poll)
                    continue
                if not found and not self._in_hand:
                    if self._control.leaves or not self._work.must_wait:
                        break
                    await self._control.pause(self._pace.poll)
                if self._in_hand:
                    await asyncio.wait(self._in_hand.values(), timeout=1, return_when=asyncio.FIRST_COMPLETED)
        finally:
            draining.cancel()
            await self._let_go()
            await heartbeat

    async def _claim(self) -> int:
        """Fill the free places; the number of items taken."""
        if self._control.leaves:
            return 0
        taken = await self._work.claim(min(self._concurrency - len(self._in_hand), MOST_AT_ONCE))
        self._start(taken)
        return len(taken)

    async def _claim_apart(self) -> int:
        """A look, and a rest as long as it took: with many batches, whose work comes in bit by bit, this process has
        its calls to attend to. Not after one that did not find all: what it left may be called now."""
        began_at = self._control.time.monotonic()
        taken = await self._claim()
        if taken < MOST_AT_ONCE:
            took = self._control.time.monotonic() - began_at
            await self._control.rest(min(max(took, COALESCE_SECONDS), self._pace.poll))
        return taken

    async def _adopt(self) -> int:
        if self._control.leaves:
            return 0
        adopted = await self._work.adopt(self._in_hand.keys())
        self._start(adopted)
        return len(adopted)

    async def _listen(self) -> int:
        # Even if there was something: one query a round is enough.
        await self._work.listen()
        return 0

    async def _take_over(self) -> int:
        return await self._work.take_over()

    async def _tidy(self) -> int:
        await self._work.tidy()
        return 0

    def _start(self, items: "Sequence[Item]") -> None:
        for item in items:
            task = asyncio.create_task(self._work.process(item), name=item.job_id)  # type: ignore[arg-type] # items come from this very work
            self._in_hand[item.job_id] = task
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._in_hand.get(task.get_name()) is task:
            del self._in_hand[task.get_name()]
        self._place_free.set()

    async def _round(
        self, name: str, step: Callable[[], Awaitable[int]], seconds: float, wake: asyncio.Event | None = None
    ) -> None:
        """Do `step` every `seconds` until the worker stops; at once while it finds something. With `wake` sooner: on
        that, and when there may be something to claim."""
        troubles = 0
        self._has_turned(name)
        while not self._control.stopping.is_set():
            try:
                if wake is not None:
                    # Before the step, so that a place which comes free during it is not overlooked.
                    wake.clear()
                found = await step()
                if troubles:
                    log.info("dependency_back", loop=name)
                troubles = 0
                self._has_turned(name)
                if not found:
                    await self._idle(seconds, wake)
            except Unavailable as error:
                troubles += 1
                self._has_turned(name)
                wait = min(seconds * 2**troubles, LONGEST_BACKOFF_SECONDS)
                log.warning("dependency_waited_for", loop=name, reason=error.code, wait_seconds=round(wait, 1))
                await self._control.pause(wait)
            except Exception:
                # An error of ours must not end a process that has calls in hand.
                log.exception("loop_failed", loop=name)
                await self._control.pause(LONGEST_BACKOFF_SECONDS)
        del self._turned_at[name]

    def _has_turned(self, name: str) -> None:
        """A dependency that is away is no fault of this process: waiting for it is a turn too."""
        self._turned_at[name] = self._control.time.monotonic()

    async def _drain(self) -> None:
        """If asked to: let what is in hand come to its end, in the time that is given for it, and stop."""
        await self._control.told(self._control.draining)
        while self._in_hand and not self._control.stopping.is_set():
            left = self._control.drain_until - self._control.time.monotonic()
            if left <= 0:
                break
            await self._control.rest(min(left, DRAIN_LOOK_SECONDS))
        if not self._control.stopping.is_set():
            log.info("worker_drained", in_hand=len(self._in_hand))
            self._control.stopping.set()

    async def _idle(self, seconds: float, wake: asyncio.Event | None) -> None:
        """Nothing to do for `seconds`, or until `wake`, or until there may be something to claim."""
        due_in = self._work.next_due_in if wake is not None and not self._control.leaves else math.inf
        if due_in < seconds:
            await self._control.rest(due_in, wake)
        else:
            await self._control.pause(seconds, wake)

    async def _heartbeat(self) -> None:
        """Ends by itself when the worker does: the driver may swallow a cancellation while it looks for a server."""
        self._has_turned("heartbeat")
        while not self._control.ending.is_set():
            asked_at = self._control.time.monotonic()
            try:
                await self._on_heartbeat()
                await self._work.renew(list(self._in_hand))
                self._control.renewed_at = asked_at
                self._has_turned("heartbeat")
            except Unavailable as error:
                self._has_turned("heartbeat")
                log.warning("heartbeat_failed", reason=error.code, in_hand=len(self._in_hand))
            except Exception:
                log.exception("heartbeat_failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._control.ending.wait(), self._pace.heartbeat)

    async def _let_go(self) -> None:
        """Wait for requests under way, then hand over what needs no process to go on."""
        if self._in_hand:
            log.info("worker_draining", in_hand=len(self._in_hand))
            _, late = await asyncio.wait(self._in_hand.values(), timeout=self._pace.shutdown)
            self._control.ending.set()
            stuck = (await asyncio.wait(late, timeout=HANDOVER_SECONDS))[1] if late else late
            for task in stuck:
                task.cancel()
        self._control.ending.set()
        try:
            handed_over = await self._work.hand_over()
            log.info("worker_handed_over", jobs=handed_over)
        except Unavailable as error:
            log.warning("worker_not_handed_over", reason=error.code)
