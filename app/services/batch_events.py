"""What happens to batches outside any request: pauses by the system, blocks, completions, and their log."""

from datetime import datetime
from typing import Any

from app.domain.batches import Batch, BatchStatus, Block, LogEntry
from app.domain.messages import Message
from app.domain.ports import Batches, Time
from app.domain.timeline import SYSTEM

_LOGGED_WITH_THE_MONEY = frozenset({"no_balance", "budget_exhausted"})


async def log_event(batches: Batches, time: Time, batch_id: str, event: str, user: str = SYSTEM, **params: Any) -> None:
    """Add a line to the batch's log. Its text is `event`'s in the catalogue."""
    entry = LogEntry(timestamp=time.now(), event=event, message=Message(code=event, params=params), user=user)
    await batches.log(batch_id, entry)


async def pause_by_system(batches: Batches, time: Time, batch_id: str, reason: Message) -> None:
    """Pause a running batch and say why in its log; does nothing if it is not running."""
    now = time.now()
    changes = {
        "pause_reason": reason,
        "paused_at": now,
        "paused_by": SYSTEM,
        "block": None,
        "wake_at": None,
        "updated_at": now,
    }
    if await batches.move(batch_id, [BatchStatus.RUNNING], BatchStatus.PAUSED, changes) is not None:
        await batches.log(batch_id, LogEntry(timestamp=now, event="batch_paused", message=reason, user=SYSTEM))


async def rest(batches: Batches, time: Time, batch: Batch, until: datetime | None, block: Block | None) -> bool:
    """Let a batch sleep; whether it does. When what blocks it is another reason than before, or none any more, its log
    says so, once."""
    if not await batches.sleep(batch, until, block):
        return False
    before = batch.block.reason.code if batch.block is not None else None
    if block is None:
        await _log_unblocked(batches, time, batch)
    elif block.reason.code not in {before, *_LOGGED_WITH_THE_MONEY}:
        entry = LogEntry(timestamp=time.now(), event="batch_blocked", message=block.reason, user=SYSTEM)
        await batches.log(batch.batch_id, entry)
    return True


async def calls_again(batches: Batches, time: Time, batch: Batch) -> None:
    """Jobs of `batch` were claimed: nothing blocks it any more."""
    if batch.block is not None and await batches.unblock(batch):
        await _log_unblocked(batches, time, batch)


async def _log_unblocked(batches: Batches, time: Time, batch: Batch) -> None:
    if batch.block is not None and batch.block.reason.code not in _LOGGED_WITH_THE_MONEY:
        await log_event(batches, time, batch.batch_id, "batch_unblocked")


def blocked(batch: Batch, reason: Message, now: datetime, until: datetime) -> Block:
    """A block until `until`, that began when the same reason began."""
    same = batch.block if batch.block is not None and batch.block.reason.code == reason.code else None
    return Block(reason=reason, since=same.since if same else now, until=until)
