"""What happens to batches outside any request: pauses by the system, blocks, completions, and their log."""

from datetime import datetime
from typing import Any

from app.domain.batches import Batch, BatchStatus, Block, LogEntry
from app.domain.messages import Message
from app.domain.ports import Batches, Time
from app.domain.timeline import SYSTEM


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


def blocked(batch: Batch, reason: Message, now: datetime, until: datetime) -> Block:
    """A block until `until`, that began when the same reason began."""
    same = batch.block if batch.block is not None and batch.block.reason.code == reason.code else None
    return Block(reason=reason, since=same.since if same else now, until=until)
