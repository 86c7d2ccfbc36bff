"""The imports that this process works on, each a task of its own, so that no request waits for a long one."""

import asyncio

import structlog

from app.domain.batches import Batch
from app.services.importing import Importing

log = structlog.get_logger("imports")

REQUEST_SECONDS = 10.0
"""A request that is to tell how a short import ended waits no longer than this."""
STOP_SECONDS = 10.0
"""What a piece of an import may take while the process stops; whoever is slower is resumed by a worker."""


class ImportTasks:
    def __init__(self, importing: Importing, *, waited_for: int) -> None:
        """Requests wait for imports of at most `waited_for` contacts."""
        self._importing = importing
        self._waited_for = waited_for
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, batch: Batch) -> None:
        """Go on with the batch's import; return when it is over, or at once if it is a long one."""
        if batch.current_import is None:
            return
        task = asyncio.create_task(self._importing.carry_on(batch, self._stopping.is_set))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if batch.current_import.total <= self._waited_for:
            await asyncio.wait({task}, timeout=REQUEST_SECONDS)

    async def stop(self) -> None:
        """Let each end the piece that it is at. What is left is for the workers, at once."""
        self._stopping.set()
        if not self._tasks:
            return
        log.info("imports_handed_over", imports=len(self._tasks))
        _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=STOP_SECONDS)
