"""Which jobs a worker takes next, and what becomes of batches that have none.

One claimer a process, batch by batch: a batch that is closed, paused or waiting costs nothing, however many jobs it
has, because it sleeps (`wake_at`) until something can happen. Whatever may make work due earlier wakes it and raises
its `revision`, so that a sleep decided on older facts does not stick.
"""

import math
import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

import structlog

from app.domain.accounts import Account, AccountStatus
from app.domain.batches import Batch, BatchStatus, Block, LogEntry, Shortage
from app.domain.calling_hours import why_closed
from app.domain.fair_turns import Claimant
from app.domain.funding import shortage_of
from app.domain.jobs import FINAL, Job
from app.domain.messages import Message
from app.domain.ports import Accounts, Batches, JobQueue, Jobs, Time
from app.domain.timeline import SYSTEM
from app.domain.untold import batch_finished
from app.services.batch_deletion import CLEARING_SECONDS, clear_deleted
from app.services.batch_events import blocked, calls_again, log_event, rest
from app.services.from_numbers import FromNumberWatch
from app.services.funding import Funding
from app.services.half_made import is_being_undone, undo_import
from app.services.promptness import Promptness
from app.services.provider_gate import ProviderGate
from app.services.recurring import Recurring
from app.services.turn_taking import take_in_turns
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

BATCHES_A_LOOK = 200
CHOICE = 4
"""Free slots at the provider that a claim looks at, for each that it may fill."""
RECHECK_SECONDS = 60
"""A batch with jobs in flight, or of a suspended account, is looked at this often even if nothing wakes it."""


@dataclass
class _Look:
    """What one look found to do, and the slots that it may fill."""

    now: datetime
    accounts: dict[str, Account]
    open_batches: dict[str, list[Batch]]
    """By account."""
    slots: dict[str, list[int]]
    """Free ones, by account."""
    provider_slots: list[int]


class Claiming:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        jobs: Jobs,
        queue: JobQueue,
        funding: Funding,
        recurring: Recurring,
        control: WorkerControl,
        gate: ProviderGate,
        watch: FromNumberWatch,
        promptness: Promptness,
        time: Time,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._jobs = jobs
        self._queue = queue
        self._funding = funding
        self._recurring = recurring
        self._control = control
        self._gate = gate
        self._watch = watch
        self._promptness = promptness
        self._time = time
        self.must_wait = False
        """Whether there was work at the last look that could not be begun yet: Retell is waited for."""
        self._next_wake: datetime | None = None

    @property
    def next_due_in(self) -> float:
        """Seconds until the first batch wakes that slept after a look that found nothing; infinite if none does."""
        if self._next_wake is None:
            return math.inf
        return max(0.0, (self._next_wake - self._time.now()).total_seconds())

    async def claim(self, capacity: int) -> list[Job]:
        """Lease at most `capacity` due jobs, within every limit and every batch's hours.

        Without capacity, too, batches are started, completed and put to sleep when it is time.
        """
        self.must_wait, self._next_wake = False, None
        if not self._control.may_dial():
            return []
        now = self._time.now()
        claimed = await self._claim(capacity, now)
        if not claimed:
            # After `now`: a batch that woke while we looked is not overlooked, and one that stays awake (its account
            # has no line free) is not waited for.
            self._next_wake = await self._batches.next_wake(now)
        return claimed

    async def _claim(self, capacity: int, now: datetime) -> list[Job]:
        due = await self._batches.due(now, BATCHES_A_LOOK)
        if not due:
            return []
        await self._watch.look()
        accounts = await self._accounts.get_many({batch.account_id for batch in due})
        open_batches: dict[str, list[Batch]] = defaultdict(list)
        has_time, until = True, self._time.monotonic() + CLEARING_SECONDS
        for found in due:
            if found.deleted_at is not None:
                has_time = has_time and await clear_deleted(self._batches, self._jobs, self._time, found, until=until)
                continue
            batch = await self._recurring.attend(found, now)
            if batch is None:
                continue
            started = await self._start(batch, now) if batch.status is BatchStatus.SCHEDULED else batch
            if started is not None and await self._is_open(started, accounts.get(batch.account_id), now):
                open_batches[batch.account_id].append(started)
        claimed = await self._share_out(capacity, open_batches, accounts, now) if open_batches else []
        self._promptness.looked((batch for found in open_batches.values() for batch in found), now)
        if len(due) == BATCHES_A_LOOK:
            # There may be more: let those behind come forward next time.
            await self._batches.to_the_back([batch.batch_id for batch in due], now)
        return claimed

    async def _is_open(self, batch: Batch, account: Account | None, now: datetime) -> bool:
        """Whether jobs of `batch` may be claimed now; if not, do what is to be done with it instead."""
        if batch.status is BatchStatus.RUNNING:
            if batch.is_too_late(now):
                await self._jobs.cancel_pending(batch.batch_id, Message(code="test_call_too_late"), now, by=SYSTEM)
            return await self._is_callable(batch, account, now)
        half_made = batch.status is BatchStatus.IMPORTING and batch.current_import is None
        if half_made or is_being_undone(batch):
            log.warning("import_undone", batch_id=batch.batch_id)
            await undo_import(self._batches, self._jobs, batch)
        elif batch.status is BatchStatus.CANCELLED:
            # In flight is asked first: what comes back from there meanwhile is cancelled in the next look.
            in_flight = await self._queue.in_flight([batch.batch_id])
            await self._jobs.cancel_pending(batch.batch_id, Message(code="batch_cancelled"), now, by=SYSTEM)
            if in_flight or batch.current_import is not None:
                # Whoever writes contacts stops, and wakes it: it is told as finished once, with all of them.
                await self._batches.sleep(batch, now + timedelta(seconds=RECHECK_SECONDS), None)
            else:
                await self._batches.close(batch, now, [batch_finished(batch, now)])
        else:
            await self._batches.sleep(batch, None, batch.block)
        return False

    async def _is_callable(self, batch: Batch, account: Account | None, now: datetime) -> bool:
        if account is None:
            reason, until = Message(code="account_unreadable"), now + timedelta(seconds=RECHECK_SECONDS)
        elif account.status is not AccountStatus.ACTIVE:
            reason, until = Message(code="account_suspended"), now + timedelta(seconds=RECHECK_SECONDS)
        elif not batch.open_zones(now):
            reason, until = why_closed(now, batch.call_settings.hours), batch.opens_at(now)
        elif (shortage := shortage_of(batch, account)) is not None:
            await self._rest_unfunded(batch, shortage, now)
            return False
        else:
            return await self._has_number(batch, account, now)
        await self._rest(batch, now, blocked(batch, reason, now, until))
        return False

    async def _rest_unfunded(self, batch: Batch, shortage: Shortage, now: datetime) -> None:
        """Taking jobs only to put them back for want of money would go round and round."""
        earliest, _ = await self._next_work(batch, now)
        if earliest is None or earliest > now:
            await self._rest(batch, now)  # nothing waits for the money
            return
        until = now + timedelta(seconds=RECHECK_SECONDS)
        await self._rest(batch, now, blocked(batch, Message(code=shortage.code), now, until))
        await self._funding.note(batch, shortage)

    async def _has_number(self, batch: Batch, account: Account, now: datetime) -> bool:
        """Whether the batch's own number may be called from."""
        suspect = self._watch.suspect_of(batch, account)
        pause = None if suspect is None else suspect.rest(now)
        if suspect is None or pause is None:
            return True
        # While it is tried, the one call may be over any moment.
        soon = now + timedelta(seconds=RECHECK_SECONDS)
        until = min(pause.until, soon) if suspect.is_tried(now) else pause.until
        block = blocked(batch, pause.reason(batch.call_settings.hours.timezone), now, until)
        news = not suspect.is_tried(now) and (batch.block is None or batch.block.reason != block.reason)
        if await self._rest(batch, now, block) and news and suspect.reason is not None:
            # Once a rest, in the log of each batch that it keeps from calling.
            entry = LogEntry(timestamp=now, event="from_number_resting", message=suspect.reason, user=SYSTEM)
            await self._batches.log(batch.batch_id, entry)
        return False

    async def _start(self, batch: Batch, now: datetime) -> Batch | None:
        """The batch, running; None if another worker was quicker, or something else woke it before its time."""
        if batch.scheduled_at is not None and batch.scheduled_at > now:
            await self._batches.sleep(batch, batch.scheduled_at, batch.block)
            return None
        changes = {"started_at": now, "updated_at": now, "wake_at": now}
        started = await self._batches.move(batch.batch_id, [BatchStatus.SCHEDULED], BatchStatus.RUNNING, changes)
        if started is not None:
            await log_event(self._batches, self._time, batch.batch_id, "batch_started")
        return started

    async def _share_out(
        self, capacity: int, open_batches: dict[str, list[Batch]], accounts: dict[str, Account], now: datetime
    ) -> list[Job]:
        """Accounts take turns in proportion to their limits, and the batches of each by priority."""
        await self._gate.look()
        startable = self._gate.startable(max(capacity, 0))
        self.must_wait = startable < capacity
        if not startable:
            return []
        slots = await self._free_slots([accounts[account_id] for account_id in open_batches])
        if not slots:
            return []
        used = await self._queue.used_provider_slots()
        # A few more than are needed, for two workers to choose differently; of a limit that was lowered, none.
        room = max(0, min(self._gate.ceiling - len(used), CHOICE * startable))
        free = list(islice((slot for slot in range(self._gate.ceiling) if slot not in used), room))
        look = _Look(now, accounts, open_batches, slots, random.sample(free, len(free)))
        claimants = {
            account_id: Claimant(account.turn, account.features.max_concurrent_calls, most=len(slots[account_id]))
            for account_id, account in accounts.items()
            if account_id in slots
        }
        items = min(startable, len(look.provider_slots))
        claimed = await take_in_turns(items, claimants, self._accounts, partial(self._claim_of_account, look))
        await self._gate.schedule(claimed)
        return claimed

    async def _free_slots(self, accounts: list[Account]) -> dict[str, list[int]]:
        """The slots that accounts with any left may still fill. A limit that was lowered drains first."""
        used = await self._queue.used_slots([account.account_id for account in accounts])
        free: dict[str, list[int]] = {}
        for account in accounts:
            taken, limit = used[account.account_id], account.features.max_concurrent_calls
            if len(taken) < limit:
                slots = [slot for slot in range(limit) if slot not in taken]
                free[account.account_id] = slots[: limit - len(taken)]
        return free

    async def _claim_of_account(self, look: _Look, account_id: str, items: int) -> list[Job]:
        batches = sorted(look.open_batches[account_id], key=lambda batch: -batch.priority)
        claimants = {
            batch.batch_id: Claimant(batch.turn, 2.0**batch.priority, most=self._most(look, batch, items))
            for batch in batches
        }
        return await take_in_turns(items, claimants, self._batches, partial(self._claim_of_batch, look, account_id))

    def _most(self, look: _Look, batch: Batch, items: int) -> int:
        """A number that rested is tried with one call at a time."""
        suspect = self._watch.suspect_of(batch, look.accounts[batch.account_id])
        return 1 if suspect is not None and suspect.is_tried(look.now) else items

    async def _claim_of_batch(self, look: _Look, account_id: str, batch_id: str, items: int) -> list[Job]:
        (batch,) = (batch for batch in look.open_batches[account_id] if batch.batch_id == batch_id)
        # Several batches claim side by side: what one may fill is no other's meanwhile.
        slots, look.slots[account_id] = look.slots[account_id][:items], look.slots[account_id][items:]
        provider_slots, look.provider_slots = look.provider_slots[:items], look.provider_slots[items:]
        jobs, is_all = await self._queue.claim(
            batch_id,
            slots,
            provider_slots,
            worker_id=self._control.worker_id,
            lease=self._control.lease,
            now=look.now,
            zones=batch.open_zones(look.now),
        )
        self._promptness.claimed(batch, jobs)
        taken, taken_at_provider = {job.slot for job in jobs}, {job.provider_slot for job in jobs}
        look.slots[account_id] += [slot for slot in slots if slot not in taken]
        look.provider_slots += [slot for slot in provider_slots if slot not in taken_at_provider]
        if is_all:
            await self._rest(batch, look.now)
        elif jobs:
            await calls_again(self._batches, self._time, batch)
        return jobs

    async def _rest(self, batch: Batch, now: datetime, block: Block | None = None) -> bool:
        """Let a batch sleep that is blocked or had fewer due jobs than slots; or complete it. Whether it sleeps.

        In flight is asked before pending, and completion also needs every job counted as final: a job on its way from
        one to the other between the questions must not be overlooked.
        """
        in_flight = (await self._queue.in_flight([batch.batch_id])).get(batch.batch_id, 0)
        earliest, closed = await self._next_work(batch, now)
        if earliest is None and in_flight == 0 and await self._all_final(batch):
            if await self._batches.complete(batch, now, [batch_finished(batch, now)]):
                await log_event(self._batches, self._time, batch.batch_id, "batch_completed")
            return False
        block = block or closed
        recheck = now + timedelta(seconds=RECHECK_SECONDS)
        until = block.until if block else earliest or recheck
        if batch.no_calls_after is not None and not batch.is_too_late(now):
            until = min(until, batch.no_calls_after)
        if until <= now:
            return False
        return await rest(self._batches, self._time, batch, min(until, recheck) if in_flight else until, block)

    async def _next_work(self, batch: Batch, now: datetime) -> tuple[datetime | None, Block | None]:
        """When the first pending job may be called, None if none is pending; and the block, if some are due but all of
        these are of zones that are closed."""
        due = {zone: at for zone in batch.zones if (at := await self._queue.earliest_due(batch.batch_id, zone))}
        if not due:
            return None, None
        earliest = min(batch.opens_at(max(at, now), zone) for zone, at in due.items())
        waits = earliest > now and min(due.values()) <= now
        return earliest, blocked(batch, why_closed(now, batch.call_settings.hours), now, earliest) if waits else None

    async def _all_final(self, batch: Batch) -> bool:
        counts = (await self._jobs.counts([batch.batch_id])).get(batch.batch_id, {})
        return sum(count for state, count in counts.items() if state in FINAL) >= batch.total_jobs
