"""Did the phone ring? For a job whose create was answered by nobody we could hear, or whose holder died on the way.

Inside Retell's idempotency window the byte-identical request under the same key tells: it gives the call that exists,
or places the first one. It may only be sent if the call would be allowed now; otherwise, and after the window, the
list of calls is asked by metadata. Not found proves nothing (retell.md §3.5): the job becomes `uncertain`, and nobody
dials. A call that a webhook has named for the attempt is asked for before anything else.
"""

from datetime import timedelta

import structlog

from app.domain.admission import Refusal
from app.domain.calls import CallReport
from app.domain.jobs import Attempt, Job
from app.domain.messages import Message
from app.domain.ports import Accounts, Batches, CallProvider, JobQueue, Time
from app.domain.provider_errors import ConfigurationRejected, NumberRejected, ProviderError
from app.domain.retry_policy import backoff
from app.services.admission import Admission
from app.services.attempt_calls import AttemptCalls
from app.services.batch_events import pause_by_system
from app.services.call_tuning import CallTuning
from app.services.dialing import rejection_of
from app.services.hints import Heard, Hints
from app.services.persisting import persist
from app.services.provider_gate import ProviderGate
from app.services.settling import Settling
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

TRY_AGAIN_BASE = timedelta(seconds=1)
TRY_AGAIN_CAP = timedelta(seconds=30)


class Verifying:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        queue: JobQueue,
        provider: CallProvider,
        calls: AttemptCalls,
        hints: Hints,
        settling: Settling,
        admission: Admission,
        control: WorkerControl,
        gate: ProviderGate,
        time: Time,
        tuning: CallTuning,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._queue = queue
        self._provider = provider
        self._calls = calls
        self._hints = hints
        self._settling = settling
        self._admission = admission
        self._control = control
        self._gate = gate
        self._time = time
        self._tuning = tuning

    async def verify(self, job: Job) -> Job | None:
        """Take a `verifying` job to `in_call`, `settling` or `uncertain`. None: stopped, or no longer ours."""
        attempt = job.attempt
        if attempt is None:
            raise LookupError(f"job {job.job_id} is verifying without an attempt")
        heard = self._hints.of(job)
        tries, resend_tells = 0, True
        while not self._control.stopping.is_set():
            tries += 1
            if resend_tells and not heard.call_ids and self._in_resend_window(attempt):
                # What is sent again may be the first that arrives: it, too, is a start.
                await self._gate.wait_for_start(job)
            checked_at = self._time.monotonic()
            # What was decided meanwhile counts: the contact may be cancelled, or the job somebody else's.
            current = await self._queue.still_mine(job)
            if current is None:
                return None
            job = current
            heard.add(job.heard_call_ids)
            may_send = resend_tells and not heard.call_ids and await self._may_send(job, attempt)
            try:
                calls = (
                    await self._send_again(job, attempt, checked_at) if may_send else await self._trace(attempt, heard)
                )
            except NumberRejected as error:
                if error.do_not_call:
                    # The mark may be the first request's own doing: its call may have rung, and asked for it.
                    log.warning("resend_tells_nothing", detail=error.detail)
                    resend_tells = False
                    continue
                # The answer depends on the number alone: it would have been the same the first time.
                return await self._settling.decide(job, rejection_of(error), None, error.detail)
            if calls:
                return await self._found(job, calls)
            if not may_send and self._time.now() - attempt.intent_at > self._tuning.verify_patience:
                log.warning("call_uncertain")
                return await self._queue.mark_uncertain(job, self._time.now())
            await self._control.pause(backoff(tries, TRY_AGAIN_BASE, TRY_AGAIN_CAP).total_seconds(), heard.news)
        return None

    async def _found(self, job: Job, calls: list[CallReport]) -> Job | None:
        report = await self._calls.choose(job, calls)
        log.info("call_found", call_id=report.call_id)
        return await persist(self._control, lambda: self._queue.mark_in_call(job, report, self._time.now()))

    async def _may_send(self, job: Job, attempt: Attempt) -> bool:
        """Whether the call, if it was never placed, may be placed by sending the request again."""
        batch, account = await self._batches.get(job.batch_id), await self._accounts.get(job.account_id)
        if batch is None or account is None or not self._in_resend_window(attempt):
            return False
        if attempt.key_mark not in {None, self._provider.key_mark}:
            return False  # the API key was changed since
        judged = await self._admission.judge(job, batch, account)
        return self._control.may_dial() and not isinstance(judged, Refusal)

    def _in_resend_window(self, attempt: Attempt) -> bool:
        return self._time.now() - attempt.intent_at <= self._tuning.resend_window

    async def _trace(self, attempt: Attempt, heard: Heard) -> list[CallReport]:
        return (await self._calls.trace(attempt, heard)).calls

    async def _send_again(self, job: Job, attempt: Attempt, checked_at: float) -> list[CallReport]:
        """The call, or nothing if this try told nothing. Raises NumberRejected."""
        if self._time.monotonic() - checked_at > self._tuning.intent_freshness.total_seconds():
            # This process was frozen: what it has checked may be true no more.
            return []
        try:
            return [await self._provider.place(attempt.request_body)]
        except NumberRejected:
            raise
        except ConfigurationRejected as error:
            # It says no to this request, not whether it had said yes to the one before.
            log.error("retell_refuses", detail=error.detail)  # noqa: TRY400 - their answer, not our traceback
            reason = Message(code="stopped_by_provider", params={"detail": error.detail})
            await pause_by_system(self._batches, self._time, job.batch_id, reason)
        except ProviderError as error:
            log.warning("call_still_unverified", error=type(error).__name__, detail=error.detail)
            if error.retry_after is not None:
                await self._control.pause(error.retry_after)
        return []
