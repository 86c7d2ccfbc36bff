"""Which calls an attempt has at Retell: none, one, or (what must never be) several; and how they are asked for.

The first one counts. Whatever else turns up is stopped there, once, and the batch's log says so; nobody dials because
of it.
"""

from typing import NamedTuple

import structlog

from app.domain.calls import CallReport, first_placed
from app.domain.jobs import Attempt, Job
from app.domain.ports import Batches, CallHints, CallProvider, Time
from app.domain.provider_errors import CallUnknown, ProviderError, Throttled
from app.services.batch_events import log_event
from app.services.hints import Heard
from app.services.read_pace import ReadPace

log = structlog.get_logger("worker")


class Answer(NamedTuple):
    """Whether Retell answered at all, and the calls it knows."""

    given: bool
    calls: list[CallReport]

    @property
    def call(self) -> CallReport | None:
        return self.calls[0] if self.calls else None


class AttemptCalls:
    def __init__(self, provider: CallProvider, pace: ReadPace, hints: CallHints, batches: Batches, time: Time) -> None:
        self._provider = provider
        self._pace = pace
        self._hints = hints
        self._batches = batches
        self._time = time

    async def look(self, call_id: str, heard: Heard, *, urgent: bool) -> Answer:
        """Ask for one call."""
        if not await self._pace.turn(urgent=urgent, news=heard.news):
            return Answer(given=False, calls=[])
        # Before asking: what is heard while the answer is on its way is worth another look.
        heard.news.clear()
        try:
            calls = [await self._provider.get(call_id)]
        except ProviderError as error:
            return self._no_call(error, call_id)
        self._pace.answered()
        return Answer(given=True, calls=calls)

    async def trace(self, attempt: Attempt, heard: Heard) -> Answer:
        """Ask for every call of an attempt whose call id we were not given: those heard of, else Retell's list."""
        heard.news.clear()
        calls: list[CallReport] = []
        for call_id in heard.call_ids:
            answer = await self.look(call_id, heard, urgent=True)
            calls += [call for call in answer.calls if call.attempt_id in {None, attempt.attempt_id}]
        if calls:
            return Answer(given=True, calls=calls)
        if not await self._pace.turn(urgent=False, news=heard.news):
            return Answer(given=False, calls=[])
        try:
            calls = await self._provider.find(attempt.attempt_id, attempt.phone)
        except ProviderError as error:
            return self._no_call(error, None)
        self._pace.answered()
        return Answer(given=True, calls=calls)

    async def choose(self, job: Job, calls: list[CallReport]) -> CallReport:
        """The call that counts. The others are noted in the job, so that whoever follows it stops them."""
        first = first_placed(calls)
        for call in calls:
            if call.call_id != first.call_id:
                await self._hints.hear(job.job_id, job.attempt_id or "", call.call_id)
        return first

    async def stop_others(self, job: Job, attempt: Attempt, heard: Heard, stopped: set[str]) -> bool:
        """Stop every call of the attempt but its own; False if one could not be stopped now.

        `stopped`: those that this process has stopped already.
        """
        done = True
        for call_id in heard.call_ids:
            if call_id in {attempt.call_id, *attempt.stopped_call_ids, *stopped}:
                continue
            log.error("attempt_has_several_calls", call_id=attempt.call_id, extra_call_id=call_id)
            try:
                await self._provider.stop(call_id)
            except ProviderError as error:
                log.warning("call_not_stopped", call_id=call_id, detail=error.detail)
                done = False
                continue
            stopped.add(call_id)
            if await self._hints.note_stopped(job, call_id):
                await log_event(
                    self._batches,
                    self._time,
                    job.batch_id,
                    "attempt_had_several_calls",
                    job_id=job.job_id,
                    call_id=attempt.call_id,
                    extra_call_id=call_id,
                )
        return done

    def _no_call(self, error: ProviderError, call_id: str | None) -> Answer:
        if isinstance(error, CallUnknown):
            log.warning("call_unknown_to_retell", call_id=call_id, detail=error.detail)
            self._pace.answered()
            return Answer(given=True, calls=[])
        wait = self._pace.throttled(error.retry_after) if isinstance(error, Throttled) else None
        log.warning("retell_does_not_answer", call_id=call_id, detail=error.detail, wait_seconds=wait)
        return Answer(given=False, calls=[])
