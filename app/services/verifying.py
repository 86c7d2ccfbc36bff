"""Did the phone ring? For a job whose create was answered by nobody we could hear, or whose holder died on the way.

Inside Retell's idempotency window the byte-identical request under the same key tells: it gives the call that exists,
or places the first one. It may only be sent if the call would be allowed now; otherwise, and after the window, the
list of calls is asked by metadata. Not found proves nothing (retell.md §3.5): the job becomes `uncertain`, and nobody
dials.
"""

import structlog

from app.domain.admission import Refusal
from app.domain.calls import CallReport
from app.domain.jobs import Attempt, Job
from app.domain.messages import Message
from app.domain.ports import Accounts, Batches, CallProvider, JobQueue, Time
from app.domain.provider_errors import ConfigurationRejected, NumberRejected, ProviderError
from app.domain.retry_policy import backoff
from app.services.admission import Admission
from app.services.batch_events import pause_by_system
from app.services.call_tuning import CallTuning
from app.services.dialing import rejection_of
from app.services.persisting import persist
from app.services.settling import Settling
from app.services.worker_control import ProviderHold, WorkerControl

log = structlog.get_logger("worker")


class Verifying:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        queue: JobQueue,
        provider: CallProvider,
        settling: Settling,
        admission: Admission,
        control: WorkerControl,
        time: Time,
        tuning: CallTuning,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._queue = queue
        self._provider = provider
        self._settling = settling
        self._admission = admission
        self._control = control
        self._time = time
        self._tuning = tuning

    async def verify(self, job: Job) -> Job | None:
        """Take a `verifying` job to `in_call`, `settling` or `uncertain`. None: stopped, or no longer ours."""
        attempt = job.attempt
        if attempt is None:
            raise LookupError(f"job {job.job_id} is verifying without an attempt")
        tries = 0
        while not self._control.stopping.is_set():
            tries += 1
            # What was decided meanwhile counts: the contact may be cancelled, or the job somebody else's.
            current = await self._queue.still_mine(job)
            if current is None:
                return None
            job = current
            may_send = await self._may_send(job, attempt)
            try:
                report = await self._ask(job, attempt, may_send=may_send)
            except NumberRejected as error:
                # The answer depends on the number alone: it would have been the same the first time.
                return await self._settling.decide(job, rejection_of(error), None, error.detail)
            if report is not None:
                return await self._found(job, report)
            if not may_send and self._time.now() - attempt.intent_at > self._tuning.verify_patience:
                log.warning("call_uncertain")
                return await self._queue.mark_uncertain(job, self._time.now())
            await self._control.pause(backoff(tries, ProviderHold.BASE, ProviderHold.CAP / 2).total_seconds())
        return None

    async def _found(self, job: Job, report: CallReport) -> Job | None:
        log.info("call_found", call_id=report.call_id)
        return await persist(self._control, lambda: self._queue.mark_in_call(job, report, self._time.now()))

    async def _may_send(self, job: Job, attempt: Attempt) -> bool:
        """Whether the call, if it was never placed, may be placed by sending the request again."""
        batch, account = await self._batches.get(job.batch_id), await self._accounts.get(job.account_id)
        if batch is None or account is None or self._time.now() - attempt.intent_at > self._tuning.resend_window:
            return False
        judged = await self._admission.judge(job, batch, account)
        return self._control.may_dial() and not isinstance(judged, Refusal)

    async def _ask(self, job: Job, attempt: Attempt, *, may_send: bool) -> CallReport | None:
        """The call, or None if this try told nothing. Raises NumberRejected."""
        try:
            if may_send:
                return await self._provider.place(attempt.request_body)
            found = await self._provider.find(attempt.attempt_id, attempt.phone)
            if len(found) > 1:
                log.error("attempt_has_several_calls", call_ids=[call.call_id for call in found])
            return found[0] if found else None
        except NumberRejected:
            raise
        except ConfigurationRejected as error:
            # It says no to this request, not whether it had said yes to the one before.
            log.error("retell_refuses", detail=error.detail)  # noqa: TRY400 - their answer, not our traceback
            reason = Message(code="stopped_by_provider", params={"detail": error.detail})
            await pause_by_system(self._batches, self._time, job.batch_id, reason)
        except ProviderError as error:
            log.warning("call_still_unverified", error=type(error).__name__, detail=error.detail)
        return None
