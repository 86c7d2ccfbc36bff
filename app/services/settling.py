"""The end of an attempt: its outcome and charge are stored first, then their effects, each safe to repeat.

    settling stored in the job → do-not-call entries, if asked for → ledger entry (id = attempt id) → charge swapped for
    the reservation (its presence is the once-only token), in the balance and in the batch's budget → batch paused if
    the outcome says so → the number called from is judged → job leaves `settling`, with what its account's webhooks are
    to be told of it (services/telling.py) → batch woken

A crash anywhere leaves a job in `settling`, and whoever adopts it calls `apply` again.
"""

from datetime import timedelta

import structlog

from app.domain.accounts import Account
from app.domain.batches import Pace
from app.domain.calls import CallReport, CallStatus
from app.domain.jobs import AttemptRecord, Job, JobState, Settlement
from app.domain.messages import Message
from app.domain.metrics import Metrics
from app.domain.money import Charge, charge_for
from app.domain.opting_out import entries_after
from app.domain.outcomes import Effect, Outcome
from app.domain.ports import Accounts, Batches, DoNotCallList, JobQueue, Time
from app.domain.retry_policy import NextStep, next_step
from app.domain.transactions import Transaction, TransactionType
from app.domain.untold import after_call
from app.services.batch_events import pause_by_system
from app.services.call_tuning import CallTuning
from app.services.from_numbers import FromNumberWatch
from app.services.funding import Funding

log = structlog.get_logger("worker")


class Settling:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        queue: JobQueue,
        funding: Funding,
        do_not_call: DoNotCallList,
        watch: FromNumberWatch,
        time: Time,
        tuning: CallTuning,
        metrics: Metrics,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._queue = queue
        self._funding = funding
        self._do_not_call = do_not_call
        self._watch = watch
        self._time = time
        self._tuning = tuning
        self._metrics = metrics

    async def decide(
        self, job: Job, outcome: Outcome, report: CallReport | None, detail: str | None = None
    ) -> Job | None:
        """Store what the attempt came to; the job is `settling` afterwards, or None if it is no longer ours."""
        account = await self._account(job)
        settlement = Settlement(
            outcome=outcome,
            charge=_charge(job, account, report),
            decided_at=self._time.now(),
            detail=detail,
        )
        return await self._queue.settle(job, settlement, report)

    async def apply(self, job: Job) -> None:
        """Write the effects of a job that is `settling`, and move it on."""
        account = await self._account(job)
        attempt, settlement = job.attempt, job.settlement
        if attempt is None or settlement is None:
            raise LookupError(f"job {job.job_id} is settling without attempt or settlement")
        # Before the job leaves `settling`: until then no other job of this person is dialed (ADR 9).
        await self._do_not_call.add(entries_after(job, settlement))
        usage = _usage(job, settlement, attempt.attempt_id)
        batch = await self._funding.charge(job, account, usage, settlement.charge)
        if settlement.outcome.effect is Effect.STOP_BATCH:
            reason = settlement.detail or (job.report and job.report.disconnection_reason) or "?"
            await pause_by_system(
                self._batches, self._time, job.batch_id, Message(code="stopped_by_provider", params={"detail": reason})
            )
        await self._watch.note(job)
        step = next_step(
            job,
            settlement.outcome,
            batch.call_settings,
            settlement.decided_at,
            soon_base=self._tuning.provider_retry,
        )
        now = self._time.now()
        untold = after_call(job, step, account.webhook_events, now)
        if await self._queue.finish(job, step, _record(job, step), now, untold):
            self._metrics.call_ended(settlement.outcome.disposition)
            now = self._time.now()
            await self._batches.wake(job.batch_id, step.due_at or now, _pace(job, step, now - attempt.intent_at))
            _say(settlement, step)

    async def _account(self, job: Job) -> Account:
        account = await self._accounts.get(job.account_id)
        if account is None:
            raise LookupError(f"job {job.job_id} has no account {job.account_id}")
        return account


def _charge(job: Job, account: Account, report: CallReport | None) -> Charge:
    """The price of the provider's billed time, never more than was reserved for the call."""
    charge = charge_for(_billed_seconds(report), account.plan_type, account.pricing)
    attempt = job.attempt
    if attempt is None:
        return charge
    if charge.units > attempt.reserved:
        charge = charge_for(attempt.max_duration_seconds, account.plan_type, account.pricing)
    # The price may have been raised since the reservations were made.
    most = charge.cost if attempt.reserved_cost is None else attempt.reserved_cost
    return charge.model_copy(update={"units": min(charge.units, attempt.reserved), "cost": min(charge.cost, most)})


def _billed_seconds(report: CallReport | None) -> float:
    if report is None:
        return 0
    if report.billed_seconds is not None:
        return report.billed_seconds
    return report.seconds if report.status is not CallStatus.NOT_CONNECTED else 0


def _usage(job: Job, settlement: Settlement, attempt_id: str) -> Transaction:
    return Transaction(
        transaction_id=attempt_id,
        account_id=job.account_id,
        type=TransactionType.CALL_USAGE,
        amount=-settlement.charge.units,
        minutes=settlement.charge.minutes,
        cost=settlement.charge.cost,
        description=Message(code="call_usage", params={"job_id": job.job_id, "seconds": settlement.charge.seconds}),
        batch_id=job.batch_id,
        job_id=job.job_id,
        created_at=settlement.decided_at,
    )


def _record(job: Job, step: NextStep) -> AttemptRecord:
    attempt, settlement, report = job.attempt, job.settlement, job.report
    assert attempt is not None and settlement is not None  # noqa: S101, PT018 - `apply` has checked both
    return AttemptRecord(
        attempt_id=attempt.attempt_id,
        number=attempt.number,
        phone=attempt.phone,
        call_id=attempt.call_id,
        disposition=settlement.outcome.disposition,
        disconnection_reason=report.disconnection_reason if report else None,
        counted=step.attempts == attempt.number,
        dialed_at=attempt.intent_at,
        ended_at=settlement.decided_at,
        duration_seconds=report.seconds if report else 0,
        billed_seconds=settlement.charge.seconds,
        cost=settlement.charge.cost,
        provider_cost_cents=report.cost_cents if report else None,
        key_mark=attempt.key_mark,
    )


def _pace(job: Job, step: NextStep, took: timedelta) -> Pace:
    """What the call of `job` adds to its batch's pace."""
    spent = step.reason is not None and step.reason.code == "max_attempts_reached"
    return Pace(
        calls=1,
        seconds=took.total_seconds(),
        ended=int(step.state.is_final and not spent),
        calls_of_finished=len(job.history) + 1 if step.state.is_final else 0,
    )


def _say(settlement: Settlement, step: NextStep) -> None:
    """One line a call: what happened and what follows."""
    common = {
        "disposition": settlement.outcome.disposition.value,
        "attempts": step.attempts,
        "billed_seconds": settlement.charge.seconds,
        "cost": str(settlement.charge.cost),
    }
    if step.state is JobState.PENDING:
        due_at = step.due_at and step.due_at.isoformat()
        log.info("job_retry_scheduled", due_at=due_at, waiting_for=step.waiting_for, **common)
    else:
        log.info("job_finished", state=step.state.value, reason=step.reason and step.reason.code, **common)
