"""Asking whether a job may be dialed now: the facts are read, the domain decides, and any error is a refusal."""

from datetime import timedelta

import structlog

from app.domain.accounts import Account
from app.domain.admission import Circumstances, Refusal, RefusalKind, refuse
from app.domain.batches import Batch
from app.domain.do_not_call import matches
from app.domain.errors import Unavailable
from app.domain.jobs import Job
from app.domain.messages import Message
from app.domain.person_caps import reach_of
from app.domain.ports import DoNotCallList, JobQueue, Time
from app.services.from_numbers import FromNumberWatch
from app.services.provider_gate import ProviderGate

log = structlog.get_logger("worker")

UNDECIDED_PAUSE = timedelta(minutes=1)


class Admission:
    def __init__(
        self, queue: JobQueue, do_not_call: DoNotCallList, gate: ProviderGate, watch: FromNumberWatch, time: Time
    ) -> None:
        self._queue = queue
        self._do_not_call = do_not_call
        self._gate = gate
        self._watch = watch
        self._time = time

    async def judge(self, job: Job, batch: Batch, account: Account) -> Circumstances | Refusal:
        """The circumstances under which `job` may be dialed now, or why it may not."""
        try:
            circumstances = await self._circumstances(job, batch, account)
            return refuse(job, batch, account, circumstances, self._time.now()) or circumstances
        except Exception as error:  # noqa: BLE001 - logged, and a refusal like any other
            return self.undecided(error)

    def undecided(self, error: Exception) -> Refusal:
        """Whatever went wrong, an undecided call is not placed (design.md §1.2)."""
        if isinstance(error, Unavailable):
            log.warning("admission_failed", reason=error.code)
        else:
            log.error("admission_failed", exc_info=error)
        reason = Message(code="admission_failed", params={"error": type(error).__name__})
        return Refusal(kind=RefusalKind.UNDECIDED, reason=reason, until=self._time.now() + UNDECIDED_PAUSE)

    async def _circumstances(self, job: Job, batch: Batch, account: Account) -> Circumstances:
        now = self._time.now()
        reach = reach_of(account.person_caps)
        # The lists after the calls: whoever opts out in one is listed before that call counts as over.
        others = await self._queue.others_of_person(job, since=None if reach is None else now - reach)
        entries = await self._do_not_call.standing(account.account_id, job.person_keys)
        return Circumstances(
            do_not_call=matches(entries, now),
            others=others,
            from_number_rest=await self._watch.rest_of(job, batch, account),
            provider_limit=self._gate.ceiling,
        )
