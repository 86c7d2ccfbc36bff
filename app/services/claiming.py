"""Which jobs a worker takes next, and what becomes of batches that have none.

One claimer a process, batch by batch: a batch that is closed, paused or waiting costs nothing, however many jobs it
has, because it sleeps (`wake_at`) until something can happen. Whatever may make work due earlier wakes it and raises
its `revision`, so that a sleep decided on older facts does not stick.
"""

from collections import defaultdict
from datetime import datetime, timedelta

import structlog

from app.domain.accounts import Account, AccountStatus
from app.domain.batches import Batch, BatchStatus, Block, Shortage
from app.domain.calling_hours import why_closed
from app.domain.funding import shortage_of
from app.domain.jobs import FINAL, Job
from app.domain.messages import Message
from app.domain.ports import Accounts, Batches, JobQueue, Jobs, Time
from app.domain.timeline import SYSTEM
from app.services.batch_events import blocked, calls_again, log_event, rest
from app.services.batch_import import is_being_undone, undo_import
from app.services.fair_turns import FairTurns
from app.services.funding import Funding
from app.services.worker_control import ProviderHold, WorkerControl

log = structlog.get_logger("worker")

BATCHES_A_LOOK = 200
RECHECK_SECONDS = 60
"""A batch with jobs in flight, or of a suspended account, is looked at this often even if nothing wakes it."""


class Claiming:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        jobs: Jobs,
        queue: JobQueue,
        funding: Funding,
        control: WorkerControl,
        hold: ProviderHold,
        time: Time,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._jobs = jobs
        self._queue = queue
        self._funding = funding
        self._control = control
        self._hold = hold
        self._time = time
        self._account_turns = FairTurns()
        self._batch_turns = FairTurns()

    async def claim(self, capacity: int) -> list[Job]:
        """Lease at most `capacity` due jobs, within every account's limit and every batch's hours."""
        if capacity <= 0 or self._hold.active or not self._control.may_dial():
            return []
        now = self._time.now()
        due = await self._batches.due(now, BATCHES_A_LOOK)
        if not due:
            return []
        accounts = await self._accounts.get_many({batch.account_id for batch in due})
        open_batches: dict[str, list[Batch]] = defaultdict(list)
        for batch in due:
            started = await self._start(batch, now) if batch.status is BatchStatus.SCHEDULED else batch
            if started is not None and await self._is_open(started, accounts.get(batch.account_id), now):
                open_batches[batch.account_id].append(started)
        if not open_batches:
            return []
        claimed = await self._share_out(open_batches, accounts, capacity, now)
        if len(due) == BATCHES_A_LOOK:
            # There may be more: let those behind come forward next time.
            await self._batches.to_the_back([batch.batch_id for batch in due], now)
        return claimed

    async def _is_open(self, batch: Batch, account: Account | None, now: datetime) -> bool:
        """Whether jobs of `batch` may be claimed now; if not, do what is to be done with it instead."""
        if batch.status is BatchStatus.RUNNING:
            return await self._is_callable(batch, account, now)
        if batch.status is BatchStatus.IMPORTING or is_being_undone(batch):
            log.warning("import_undone", batch_id=batch.batch_id)
            await undo_import(self._batches, self._jobs, batch)
        elif batch.status is BatchStatus.CANCELLED:
            # In flight is asked first: what comes back from there meanwhile is cancelled in the next look.
            in_flight = await self._queue.in_flight([batch.batch_id])
            await self._jobs.cancel_pending(batch.batch_id, Message(code="batch_cancelled"), now, by=SYSTEM)
            await self._batches.sleep(batch, now + timedelta(seconds=RECHECK_SECONDS) if in_flight else None, None)
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
            return True
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

    async def _start(self, batch: Batch, now: datetime) -> Batch | None:
        """The batch, running; None if another worker was quicker."""
        changes = {"started_at": now, "updated_at": now, "wake_at": now}
        started = await self._batches.move(batch.batch_id, [BatchStatus.SCHEDULED], BatchStatus.RUNNING, changes)
        if started is not None:
            await log_event(self._batches, self._time, batch.batch_id, "batch_started")
        return started

    async def _share_out(
        self, open_batches: dict[str, list[Batch]], accounts: dict[str, Account], capacity: int, now: datetime
    ) -> list[Job]:
        """Give every account its turn, in proportion to its limit."""
        claimed: list[Job] = []
        for turn, account_id in enumerate(self._account_turns.in_turn(open_batches)):
            share = -(-(capacity - len(claimed)) // (len(open_batches) - turn))
            limit = accounts[account_id].features.max_concurrent_calls
            used = await self._queue.used_slots(account_id)
            free = [slot for slot in range(limit) if slot not in used][:share]
            jobs = await self._claim_in_turn(open_batches[account_id], free, now)
            self._account_turns.give(account_id, len(jobs), weight=limit)
            claimed += jobs
        return claimed

    async def _claim_in_turn(self, open_batches: list[Batch], free: list[int], now: datetime) -> list[Job]:
        """Give every batch of an account its turn; each step of priority weighs double."""
        claimed: list[Job] = []
        by_id = {batch.batch_id: batch for batch in sorted(open_batches, key=lambda batch: -batch.priority)}
        for turn, batch_id in enumerate(self._batch_turns.in_turn(by_id)):
            batch = by_id[batch_id]
            share = -(-len(free) // (len(by_id) - turn))
            slots, free = free[:share], free[share:]
            if not slots:
                break
            jobs = await self._queue.claim(
                batch_id,
                slots,
                worker_id=self._control.worker_id,
                lease=self._control.lease,
                now=now,
                zones=batch.open_zones(now),
            )
            self._batch_turns.give(batch_id, len(jobs), weight=2**batch.priority)
            taken = {job.slot for job in jobs}
            free += [slot for slot in slots if slot not in taken]
            claimed += jobs
            if len(jobs) < len(slots):
                await self._rest(batch, now)
            elif jobs:
                await calls_again(self._batches, self._time, batch)
        return claimed

    async def _rest(self, batch: Batch, now: datetime, block: Block | None = None) -> None:
        """Let a batch sleep that is blocked or had fewer due jobs than slots; or complete it.

        In flight is asked before pending, and completion also needs every job counted as final: a job on its way from
        one to the other between the questions must not be overlooked.
        """
        in_flight = (await self._queue.in_flight([batch.batch_id])).get(batch.batch_id, 0)
        earliest, closed = await self._next_work(batch, now)
        if earliest is None and in_flight == 0 and await self._all_final(batch):
            if await self._batches.complete(batch, now):
                await log_event(self._batches, self._time, batch.batch_id, "batch_completed")
            return
        block = block or closed
        recheck = now + timedelta(seconds=RECHECK_SECONDS)
        until = block.until if block else earliest or recheck
        if until > now:
            await rest(self._batches, self._time, batch, min(until, recheck) if in_flight else until, block)

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
