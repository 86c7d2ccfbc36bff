"""Everything that a worker does with jobs, as the verbs that the runner drives."""

from collections.abc import Container, Sequence

import structlog

from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job, JobState
from app.domain.metrics import Metrics
from app.domain.ports import JobQueue
from app.services.call_following import CallFollowing
from app.services.claiming import Claiming
from app.services.dialing import Dialing
from app.services.hints import Hints
from app.services.importing import Importing
from app.services.provider_gate import ProviderGate
from app.services.rescuing import Rescuing
from app.services.settling import Settling
from app.services.verifying import Verifying
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

_ON_THE_PHONE = frozenset({JobState.IN_CALL, JobState.VERIFYING, JobState.UNCERTAIN})


class CallWork:
    def __init__(
        self,
        queue: JobQueue,
        control: WorkerControl,
        claiming: Claiming,
        dialing: Dialing,
        verifying: Verifying,
        following: CallFollowing,
        settling: Settling,
        rescuing: Rescuing,
        importing: Importing,
        hints: Hints,
        gate: ProviderGate,
        metrics: Metrics,
    ) -> None:
        self._queue = queue
        self._control = control
        self._claiming = claiming
        self._dialing = dialing
        self._verifying = verifying
        self._following = following
        self._settling = settling
        self._rescuing = rescuing
        self._importing = importing
        self._hints = hints
        self._gate = gate
        self._metrics = metrics
        self._states: dict[str, JobState] = {}

    @property
    def calls_in_flight(self) -> int:
        """Jobs in hand whose phone rings, talks, or perhaps does."""
        return sum(state in _ON_THE_PHONE for state in self._states.values())

    async def claim(self, capacity: int) -> list[Job]:
        began_at = self._control.time.monotonic()
        claimed = await self._claiming.claim(capacity)
        if claimed:
            self._metrics.claimed(len(claimed), self._control.time.monotonic() - began_at)
        return claimed

    @property
    def must_wait(self) -> bool:
        return self._claiming.must_wait

    @property
    def next_due_in(self) -> float:
        return self._claiming.next_due_in

    async def adopt(self, in_hand: Container[str]) -> list[Job]:
        return await self._rescuing.adopt(in_hand)

    async def listen(self) -> None:
        await self._hints.take()

    async def take_over(self) -> int:
        return await self._importing.resume_expired(lambda: self._control.leaves)

    async def tidy(self) -> None:
        await self._gate.ask_ceiling()
        await self._rescuing.release_orphans()
        await self._rescuing.post_left_over()

    async def renew(self, job_ids: Sequence[str]) -> None:
        await self._queue.renew(self._control.worker_id, job_ids, self._control.lease)

    async def hand_over(self) -> int:
        return await self._queue.hand_over(self._control.worker_id)

    async def process(self, job: Job) -> None:
        """Take a job as far as it goes here: to a final or pending state, or until the worker stops.

        Without MongoDB, or after an error of ours, the job is let go as it stands: its lease runs out, and whoever
        adopts it does what its state asks for. That is the same road as after a crash.
        """
        with structlog.contextvars.bound_contextvars(
            job_id=job.job_id, batch_id=job.batch_id, account_id=job.account_id, attempt_id=job.attempt_id
        ):
            try:
                with self._hints.listening(job):
                    await self._advance(job)
            except DatabaseUnavailable:
                log.warning("job_let_go", state=self._reached(job).value, reason="mongodb_unavailable")
                self._metrics.job_let_go("mongodb_unavailable")
            except Exception:
                log.exception("job_let_go", state=self._reached(job).value, reason="error")
                self._metrics.job_let_go("error")
            finally:
                self._states.pop(job.job_id, None)

    def _reached(self, job: Job) -> JobState:
        """The state in which work on it began that did not end."""
        return self._states.get(job.job_id, job.state)

    async def _advance(self, job: Job | None) -> None:
        while job is not None:
            self._states[job.job_id] = job.state
            match job.state:
                case JobState.LEASED:
                    job = await self._dialing.dial(job)
                case JobState.VERIFYING:
                    job = await self._verifying.verify(job)
                case JobState.IN_CALL:
                    job = await self._following.follow(job)
                case JobState.UNCERTAIN:
                    job = await self._following.wait_out(job)
                case JobState.SETTLING:
                    await self._settling.apply(job)
                    return
                case _:
                    return
