"""A batch that is made whole or not at all: one test call, for which nobody waits once its request is gone.

It stands as `importing`, with an `import_expires_at`, until it is whole. If its maker dies, a worker removes it. The
imports of contacts are not undone but gone on with (services/importing.py).
"""

from app.domain.batches import Batch, BatchStatus
from app.domain.ports import Batches, Jobs


async def undo_import(batches: Batches, jobs: Jobs, batch: Batch) -> None:
    """Remove a batch that is being made, with its jobs, unless it was finished.

    The batch is closed first, so that a maker that is only slow cannot finish what is being removed, and removed last,
    so that a crash here is repeated: until then it stands as `cancelled` with an `import_expires_at`. If it is gone,
    the maker may have written its job since.
    """
    current = await batches.move(batch.batch_id, [BatchStatus.IMPORTING], BatchStatus.CANCELLED, {})
    if current is None:
        current = await batches.get(batch.batch_id)
    if current is not None and not is_being_undone(current):
        return
    await jobs.delete_of_batch(batch.batch_id)
    await batches.delete(batch.batch_id)


def is_being_undone(batch: Batch) -> bool:
    """Whether this is what an undoing left when it was interrupted."""
    return batch.status is BatchStatus.CANCELLED and batch.import_expires_at is not None
