"""From Retell's call id to the end of the call: polling makes it true, whoever placed it; a webhook makes it quick.

A local time-out never fails a job while its call may live: a call past its maximum is stopped at Retell and followed
to its end; one whose record never ends becomes `uncertain`.
"""

from datetime import datetime

import structlog

from app.domain.calls import CallReport
from app.domain.jobs import Attempt, Job
from app.domain.outcomes import UNKNOWN_OUTCOME, outcome_of
from app.domain.polling import look_again_in
from app.domain.ports import CallProvider, JobQueue, Time
from app.domain.provider_errors import ProviderError
from app.services.attempt_calls import AttemptCalls
from app.services.call_tuning import CallTuning
from app.services.hints import Hints
from app.services.provider_gate import ProviderGate
from app.services.settling import Settling
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

UNCERTAIN_POLL_SECONDS = 30


class CallFollowing:
    def __init__(
        self,
        queue: JobQueue,
        provider: CallProvider,
        calls: AttemptCalls,
        hints: Hints,
        settling: Settling,
        control: WorkerControl,
        gate: ProviderGate,
        time: Time,
        tuning: CallTuning,
    ) -> None:
        self._queue = queue
        self._provider = provider
        self._calls = calls
        self._hints = hints
        self._settling = settling
        self._control = control
        self._gate = gate
        self._time = time
        self._tuning = tuning

    async def follow(self, job: Job) -> Job | None:
        """Poll a job that is `in_call` to its end. None: stopped or no longer ours, the call goes on."""
        attempt, heard = _attempt_of(job), self._hints.of(job)
        placed_at = attempt.placed_by or attempt.intent_at
        over_since: datetime | None = None
        stop_asked_at: datetime | None = None
        others_stopped = set[str]()
        if self._time.now() - placed_at < self._tuning.poll:
            # Retell has just said that it is registered.
            await self._control.pause(self._tuning.poll.total_seconds(), heard.news)
        while not self._control.stopping.is_set():
            urgent = self._time.now() > attempt.latest_end
            answered, calls = await self._calls.look(attempt.call_id or "", heard, urgent=urgent)
            report = calls[0] if calls else None
            is_alone = await self._calls.stop_others(job, attempt, heard, others_stopped)
            now = self._time.now()
            if not answered:
                # Nothing may be concluded from silence, however long: the call is known and will tell.
                pass
            elif report is not None and report.is_over:
                over_since = over_since or now
                if (report.is_complete and is_alone) or now - over_since >= self._tuning.details_grace:
                    await self._gate.ended(report.disconnection_reason)
                    return await self._settling.decide(job, outcome_of(report), report)
            elif now > attempt.latest_end + self._tuning.stuck_after:
                log.warning("call_record_stuck", call_id=attempt.call_id, status=report and report.status.value)
                return await self._queue.mark_uncertain(job, now)
            elif self._must_be_stopped(attempt, stop_asked_at, now) and await self._stop(attempt):
                stop_asked_at = now
            wait = look_again_in(
                now,
                heard_at=max(placed_at, over_since or placed_at, heard.at or placed_at),
                latest_end=attempt.latest_end,
                base=self._tuning.poll,
                longest=self._tuning.longest_poll,
            )
            await self._control.pause(wait.total_seconds(), heard.news)
        return None

    async def wait_out(self, job: Job) -> Job | None:
        """An `uncertain` job keeps its slot until its call must have ended; meanwhile every trace of it is looked
        for."""
        attempt, heard = _attempt_of(job), self._hints.of(job)
        until = attempt.latest_end + self._tuning.uncertain_for
        others_stopped = set[str]()
        while not self._control.stopping.is_set():
            if attempt.call_id is None:
                answered, calls = await self._calls.trace(attempt, heard)
                if calls:
                    # Over or not: the list tells neither what was said nor what it cost.
                    chosen = await self._calls.choose(job, calls)
                    return await self._queue.mark_in_call(job, chosen, self._time.now())
                report: CallReport | None = None
            else:
                answered, calls = await self._calls.look(attempt.call_id, heard, urgent=False)
                await self._calls.stop_others(job, attempt, heard, others_stopped)
                report = calls[0] if calls else None
            if report is not None and report.is_over:
                return await self._settling.decide(job, outcome_of(report), report)
            if answered and self._time.now() > until:
                log.warning("attempt_closed_as_unknown", call_id=attempt.call_id)
                return await self._settling.decide(job, UNKNOWN_OUTCOME, report)
            await self._control.pause(UNCERTAIN_POLL_SECONDS, heard.news)
        return None

    def _must_be_stopped(self, attempt: Attempt, asked_at: datetime | None, now: datetime) -> bool:
        """Past its maximum, and once more for every further minute that it goes on."""
        return now > max(attempt.latest_end, asked_at or attempt.latest_end) + self._tuning.stop_margin

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
