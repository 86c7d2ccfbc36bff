"""Saying which rows are nowhere: a list left them out for an import that somebody then undid."""

from typing import Any

from app.domain.imports import Import, ImportStatus
from app.domain.ports import Batches, Imports, Time
from app.services.batch_events import log_event

_TAKEN_BACK = frozenset({ImportStatus.UNDOING, ImportStatus.UNDONE, ImportStatus.FAILED})


async def tell_left_out(batches: Batches, imports: Imports, time: Time, work: Import) -> None:
    """`work` is over, and saved so: tell in their batches' logs which lists left rows out for one that was taken back.

    Of two that end at once the later one sees the other, so somebody tells.
    """
    if work.status in _TAKEN_BACK:
        for later in await imports.that_left_out([work.import_id]):
            if later.status not in _TAKEN_BACK | {ImportStatus.IMPORTING}:
                await _tell(batches, time, later, work)
    elif work.left_out:
        named = [left.import_id for left in work.left_out if left.import_id is not None]
        for before in await imports.get_many(named):
            if before.status in _TAKEN_BACK:
                await _tell(batches, time, work, before)


async def _tell(batches: Batches, time: Time, later: Import, undone: Import) -> None:
    (left,) = [left for left in later.left_out if left.import_id == undone.import_id][:1]
    more = "…" * (left.rows > len(left.first_rows))
    params: dict[str, Any] = {
        "rows": left.rows,
        "numbers": ", ".join(str(number) for number in left.first_rows) + more,
        "filename": later.filename,
        "undone": undone.filename,
    }
    await log_event(batches, time, later.batch_id, "left_out_for_undone", **params)
