"""From Retell's call id to the end of the call: polling makes it true, whoever placed it.

A local time-out never fails a job while its call may live: a call past its maximum is stopped at Retell and followed
to its end; one whose record never ends becomes `uncertain`.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from app.domain.calls import CallReport
from app.domain.jobs import Attempt, Job
from app.domain.outcomes import UNKNOWN_OUTCOME, outcome_of
from app.domain.ports import CallProvider, JobQueue, Time
from app.domain.provider_errors import CallUnknown, ProviderError
from app.services.call_tuning import CallTuning
from app.services.settling import Settling
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

UNCERTAIN_POLL_SECONDS = 30


class CallFollowing:
    def __init__(
        self,
        queue: JobQueue,
        provider: CallProvider,
        settling: Settling,
        control: WorkerControl,
        time: Time,
        tuning: CallTuning,
    ) -> None:
        self._queue = queue
        self._provider = provider
        self._settling = settling
        self._control = control
        self._time = time
        self._tuning = tuning

    async def follow(self, job: Job) -> Job | None:
        """Poll a job that is `in_call` to its end. None: stopped or no longer ours, the call goes on."""
        attempt = _attempt_of(job)
        latest_end = attempt.latest_end
        over_since: datetime | None = None
        stopped = False
        while not self._control.stopping.is_set():
            answered, report = await self._ask(self._look, attempt)
            now = self._time.now()
            if not answered:
                # Nothing may be concluded from silence, however long: the call is known and will tell.
                pass
            elif report is not None and report.is_over:
                over_since = over_since or now
                if report.is_complete or now - over_since >= self._tuning.details_grace:
                    return await self._settling.decide(job, outcome_of(report), report)
            elif now > latest_end + self._tuning.stuck_after:
                log.warning("call_record_stuck", call_id=attempt.call_id)
                return await self._queue.mark_uncertain(job, now)
            elif now > latest_end + self._tuning.stop_margin and not stopped:
                stopped = await self._stop(attempt)
            await self._control.pause(self._tuning.poll.total_seconds())
        return None

    async def wait_out(self, job: Job) -> Job | None:
        """An `uncertain` job keeps its slot until its call must have ended; meanwhile every trace of it is looked
        for."""
        attempt = _attempt_of(job)
        until = attempt.latest_end + self._tuning.uncertain_for
        while not self._control.stopping.is_set():
            ask = self._search if attempt.call_id is None else self._look
            answered, report = await self._ask(ask, attempt)
            if report is not None and attempt.call_id is None:
                # Over or not: the list tells neither what was said nor what it cost.
                return await self._queue.mark_in_call(job, report, self._time.now())
            if report is not None and report.is_over:
                return await self._settling.decide(job, outcome_of(report), report)
            if answered and self._time.now() > until:
                log.warning("attempt_closed_as_unknown", call_id=attempt.call_id)
                return await self._settling.decide(job, UNKNOWN_OUTCOME, report)
            await self._control.pause(UNCERTAIN_POLL_SECONDS)
        return None

    async def _ask(
        self, question: Callable[[Attempt], Awaitable[CallReport | None]], attempt: Attempt
    ) -> tuple[bool, CallReport | None]:
        """Whether Retell answered at all, and the call if it knows it."""
        try:
            return True, await question(attempt)
        except CallUnknown as error:
            log.warning("call_unknown_to_retell", call_id=attempt.call_id, detail=error.detail)
            return True, None
        except ProviderError as error:
            log.warning("retell_does_not_answer", call_id=attempt.call_id, detail=error.detail)
            return False, None

    async def _look(self, attempt: Attempt) -> CallReport | None:
        return await self._provider.get(attempt.call_id or "")

    async def _search(self, attempt: Attempt) -> CallReport | None:
        found = await self._provider.find(attempt.attempt_id, attempt.phone)
        return found[0] if found else None

    async def _stop(self, attempt: Attempt) -> bool:
        log.warning("call_over_its_maximum_stopped", call_id=attempt.call_id)
        try:
            await self._provider.stop(attempt.call_id or "")
        except ProviderError as error:
            log.warning("call_not_stopped", call_id=attempt.call_id, detail=error.detail)
            return False
        return True


def _attempt_of(job: Job) -> Attempt:
    if job.attempt is None:
        raise LookupError(f"job {job.job_id} is {job.state.value} without an attempt")
    return job.attempt
