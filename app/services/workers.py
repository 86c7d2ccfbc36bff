"""The register of workers: how a worker keeps itself in it, and what operators see and ask there."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.ports import Time
from app.domain.workers import Vitals, Worker, Workers, WorkerState
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")


class WorkerService:
    def __init__(self, workers: Workers, time: Time) -> None:
        self._workers = workers
        self._time = time

    async def list(self) -> Sequence[Worker]:
        """Every worker of the last day, newest first."""
        return await self._workers.all()

    async def get(self, worker_id: str) -> Worker:
        """Raises NotFound."""
        worker = await self._workers.get(worker_id)
        if worker is None:
            raise NotFound("worker_not_found", worker_id=worker_id)
        return worker

    async def drain(self, worker_id: str, within: timedelta, *, user: str) -> Worker:
        """Ask a worker to take nothing new, to see its calls to their end and to stop. Raises NotFound, Conflict.

        What is not over `within` that time it hands over, as upon SIGTERM.
        """
        worker = await self.get(worker_id)
        asked = await self._workers.ask_to_drain(worker_id, within, user) if self._is_at_work(worker) else None
        if asked is None:
            raise Conflict("worker_not_at_work", worker_id=worker_id)
        return asked

    def _is_at_work(self, worker: Worker) -> bool:
        return worker.is_at_work(self._time.now())


class Registration:
    """One worker's place in the register."""

    def __init__(self, workers: Workers, control: WorkerControl, vitals: Callable[[WorkerState], Vitals]) -> None:
        self._workers = workers
        self._control = control
        self._vitals = vitals

    async def keep(self, seconds: float, ended: asyncio.Event) -> None:
        """Say how it goes every `seconds` and do what is asked there, until the worker has `ended`; then say that.

        Ends by itself: the driver may swallow a cancellation while it looks for a server.
        """
        while not ended.is_set():
            await self._say(WorkerState.DRAINING if self._control.leaves else WorkerState.RUNNING)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), seconds)
        await self._say(WorkerState.STOPPED)

    async def _say(self, state: WorkerState) -> None:
        try:
            noted = await self._workers.note(self._control.worker_id, self._vitals(state))
        except Unavailable as error:
            log.warning("worker_not_registered", reason=error.code)
        except Exception:
            # The register is for people to look at: no call depends on it.
            log.exception("worker_not_registered")
        else:
            self._do_what_is_asked(noted)

    def _do_what_is_asked(self, noted: Worker) -> None:
        if noted.drain_until is None:
            return
        if not self._control.leaves:
            log.info("worker_asked_to_drain", by=noted.drain_requested_by, until=noted.drain_until.isoformat())
        self._control.drain((noted.drain_until - self._control.time.now()).total_seconds())
