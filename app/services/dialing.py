"""From a leased job to a phone that rings, at most once: design.md §5 "Dial".

    decide → reserve the money → store the intent → decide once more → is the intent fresh? → POST → in call

Any error in deciding means "do not call". Until the intent is stored nothing can ring; from then on only a sure "not
placed" leads back to `pending`, everything else to `verifying`.

The second decision is what keeps two jobs of one person apart (docs/adr/0009-one-person-one-call.md): whoever stores
its intent later sees the other's. It also honours what changed meanwhile: hours, cancellation, the do-not-call list.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.domain.accounts import Account
from app.domain.admission import Circumstances, Refusal, RefusalKind, callable_phone, outside_hours
from app.domain.batches import Batch
from app.domain.calling_hours import is_allowed
from app.domain.calls import CallOrder
from app.domain.funding import BUDGET_EXHAUSTED, longest_call
from app.domain.jobs import Attempt, Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.money import charge_for
from app.domain.outcomes import Disposition, Effect, Outcome
from app.domain.phone_numbers import mask
from app.domain.ports import Accounts, Batches, CallProvider, JobQueue, Time
from app.domain.provider_errors import (
    Ambiguous,
    ConfigurationRejected,
    NumberRejected,
    ProviderUnreachable,
    Throttled,
)
from app.domain.untold import after_end
from app.domain.variables import call_variables, contact_variables
from app.domain.voice import provider_voice_id
from app.services.admission import Admission
from app.services.call_tuning import CallTuning
from app.services.from_numbers import FromNumberWatch
from app.services.funding import Funding
from app.services.persisting import persist
from app.services.promptness import Promptness
from app.services.provider_gate import ProviderGate
from app.services.settling import Settling
from app.services.worker_control import WorkerControl

log = structlog.get_logger("worker")

NUMBER_REJECTED = Outcome(disposition=Disposition.INVALID_NUMBER, effect=Effect.RETIRE_PHONE, counted=False)
DO_NOT_CALL = Outcome(disposition=Disposition.OPTED_OUT, effect=Effect.RETIRE_PHONE, counted=False)
CONFIGURATION_REJECTED = Outcome(disposition=Disposition.STOPPED_BY_PROVIDER, effect=Effect.STOP_BATCH, counted=False)

PERSON_PAUSE_SECONDS = (15, 60)
"""Drawn between these, so that two jobs of one person that turned each other away do not meet again."""
UNFUNDED = Refusal(kind=RefusalKind.NO_BALANCE, reason=Message(code="no_balance"))


@dataclass(frozen=True)
class CallDefaults:
    """What a call uses where neither the batch nor the account has its own."""

    agent_id: str
    webhook_url: str
    """Empty: not ours to say."""


class Dialing:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        queue: JobQueue,
        provider: CallProvider,
        settling: Settling,
        admission: Admission,
        funding: Funding,
        control: WorkerControl,
        gate: ProviderGate,
        watch: FromNumberWatch,
        promptness: Promptness,
        time: Time,
        tuning: CallTuning,
        defaults: CallDefaults,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._queue = queue
        self._provider = provider
        self._settling = settling
        self._admission = admission
        self._funding = funding
        self._control = control
        self._gate = gate
        self._watch = watch
        self._promptness = promptness
        self._time = time
        self._tuning = tuning
        self._defaults = defaults

    async def dial(self, job: Job) -> Job | None:
        """Take a leased job to `in_call`, `verifying` or `settling`; None if it went back or is no longer ours."""
        try:
            dialed = await self._dial(job)
        finally:
            self._promptness.forget(job)
        if dialed is None:
            await self._watch.let_go(job)
        return dialed

    async def _dial(self, job: Job) -> Job | None:
        latest = await self._gate.wait_for_start(job)
        if not self._control.may_dial() or self._gate.is_held:
            waiting_for, reason = job.own_wait
            await self._put_back(job, waiting_for, Message(code="provider_hold") if self._gate.is_held else reason)
            return None
        read_at = self._time.monotonic()
        batch, account = await self._read(job)
        batch = await self._funding.counted(batch)
        _say_taken(job, batch, self._time.now())
        decision = await self._decide(job, batch, account)
        if isinstance(decision, Refusal):
            await self._turn_away(job, batch, decision)
            return None
        if not await self._funding.reserve(job, decision):
            await self._turn_away(job, batch, UNFUNDED)
            return None
        await self._funding.note_back(batch, account)
        if timedelta(seconds=self._time.monotonic() - read_at) > self._tuning.intent_freshness:
            # Where a connection hangs, all who reserve wait for it: what was paused or suspended meanwhile counts.
            batch, account = await self._read(job)
        return await self._send(job, batch, account, decision, latest)

    async def _read(self, job: Job) -> tuple[Batch, Account]:
        batch, account = await self._batches.get(job.batch_id), await self._accounts.get(job.account_id)
        if batch is None or account is None:
            raise LookupError(f"job {job.job_id} has no batch or no account")
        return batch, account

    async def _send(
        self, job: Job, batch: Batch, account: Account, attempt: Attempt, latest: datetime | None
    ) -> Job | None:
        """Store the intent and ask Retell, once, and not after `latest`."""
        asked_at = self._time.monotonic()
        dialing = await self._queue.intend(job, attempt, lease=self._control.lease)
        if dialing is None:
            await self._funding.release(job, attempt)
            return None
        judged_from = asked_at
        judged = await self._admission.judge(dialing, batch, account)
        if self._is_late(latest) and not isinstance(judged, Refusal):
            # Where MongoDB is slow, all of the above takes longer than a start lasts, every time. Now that little is
            # left to ask, the next start is in time.
            latest = await self._gate.wait_for_start(job)
            judged_from = self._time.monotonic()
            current = await self._queue.still_mine(dialing)
            if current is None:
                return None
            # Many may wait there: what was paused or suspended meanwhile counts.
            batch, account = await self._read(job)
            judged = await self._admission.judge(current, batch, account)
        # Asked last, for the questions before it take time.
        now = self._time.monotonic()
        took = timedelta(seconds=now - asked_at)
        refusal = judged if isinstance(judged, Refusal) else _closed(dialing, batch, took)
        if refusal is not None:
            log.warning("intent_withdrawn", kind=refusal.kind.value, reason=refusal.reason.code)
            await self._withdraw(dialing, attempt, _waiting(job, refusal), refusal.reason, self._due_at(refusal))
            return None
        stale = timedelta(seconds=now - judged_from) > self._tuning.intent_freshness
        late = self._is_late(latest)
        if stale or late or not self._control.may_dial():
            log.warning("intent_withdrawn", stale=stale, late=late)
            await self._withdraw(dialing, attempt, WaitingFor.PROVIDER, None)
            return None
        log.info(
            "call_placing",
            phone=mask(attempt.phone),
            attempt=attempt.number,
            ring_timeout=attempt.ring_seconds,
            max_call_duration=attempt.max_duration_seconds,
        )
        return await self._place(dialing, attempt)

    def _is_late(self, latest: datetime | None) -> bool:
        """Whether the start is lost: a call now would fall together with those of the starts that follow."""
        return latest is not None and self._time.now() > latest

    async def _place(self, job: Job, attempt: Attempt) -> Job | None:
        self._promptness.asked(job)
        try:
            report = await self._provider.place(attempt.request_body)
        except (ProviderUnreachable, Throttled) as error:
            reason = Message(code="provider_waited_for", params={"detail": error.detail})
            await self._gate.not_placed(error)
            await self._withdraw(job, attempt, WaitingFor.PROVIDER, reason)
            return None
        except NumberRejected as error:
            log.info("number_rejected", detail=error.detail)
            outcome, detail = rejection_of(error), error.detail
        except ConfigurationRejected as error:
            log.error("retell_refuses", detail=error.detail)  # noqa: TRY400 - their answer, not our traceback
            outcome, detail = CONFIGURATION_REJECTED, error.detail
        except Ambiguous as error:
            log.warning("call_perhaps_placed", detail=error.detail)
            return await persist(self._control, lambda: self._queue.mark_verifying(job, self._time.now()))
        else:
            log.info("call_placed", call_id=report.call_id)
            placed = await persist(self._control, lambda: self._queue.mark_in_call(job, report, self._time.now()))
            await self._gate.placed()
            return placed
        return await persist(self._control, lambda: self._settling.decide(job, outcome, None, detail))

    async def _decide(self, job: Job, batch: Batch, account: Account) -> Attempt | Refusal:
        judged = await self._admission.judge(job, batch, account)
        if isinstance(judged, Refusal):
            return judged
        try:
            return self._attempt(job, batch, account, judged) or UNFUNDED
        except Exception as error:  # noqa: BLE001 - logged there, and a refusal like any other
            return self._admission.undecided(error)

    def _attempt(self, job: Job, batch: Batch, account: Account, circumstances: Circumstances) -> Attempt | None:
        """The attempt to make, with the exact request; None if the money covers no call at all."""
        settings = batch.call_settings
        seconds = longest_call(batch, account, settings.max_call_duration)
        if not seconds:
            return None
        phone_index = callable_phone(job, circumstances)
        if phone_index is None or job.attempt_id is None:
            raise LookupError(f"job {job.job_id} has no phone or no attempt")
        phone = job.contact.phones[phone_index]
        now = self._time.now()
        worst = charge_for(seconds, account.plan_type, account.pricing)
        order = self._order(job, batch, account, phone, seconds, now)
        return Attempt(
            attempt_id=job.attempt_id,
            number=job.attempts + 1,
            phone=phone,
            phone_index=phone_index,
            from_number=order.from_number,
            max_duration_seconds=seconds,
            ring_seconds=settings.ring_timeout,
            reserved=worst.units,
            reserved_cost=None if batch.budget is None else worst.cost,
            request_body=self._provider.request_body(order),
            key_mark=self._provider.key_mark,
            intent_at=now,
        )

    def _order(self, job: Job, batch: Batch, account: Account, phone: str, seconds: int, now: datetime) -> CallOrder:
        voice, settings = batch.voice_settings, batch.call_settings
        timezone = settings.hours_for(job.contact).timezone
        variables = contact_variables(
            job.contact, account_name=account.account_name, phone=phone, now=now, timezone=timezone
        )
        return CallOrder(
            attempt_id=job.attempt_id or "",
            job_id=job.job_id,
            batch_id=job.batch_id,
            account_id=job.account_id,
            from_number=self._watch.number_of(batch, account),
            to_number=phone,
            agent_id=batch.retell_agent_id or account.retell_agent_id or self._defaults.agent_id or None,
            ring_seconds=settings.ring_timeout,
            max_duration_seconds=seconds,
            voice_id=provider_voice_id(voice),
            voice_speed=voice.speed,
            volume=voice.volume,
            language=voice.language,
            webhook_url=self._defaults.webhook_url or None,
            timezone=timezone,
            variables=call_variables(batch.script_content, variables),
        )

    async def _turn_away(self, job: Job, batch: Batch, refusal: Refusal) -> None:
        """Not now, or never: nothing was sent and no attempt is used."""
        log.info(
            "job_not_dialed",
            kind=refusal.kind.value,
            reason=refusal.reason.code,
            until=refusal.until and refusal.until.isoformat(),
        )
        if refusal.kind is RefusalKind.CANCELLED:
            await self._end(job, JobState.CANCELLED, refusal.reason)
        elif refusal.is_for_good:
            await self._end(job, JobState.FAILED, refusal.reason)
        elif refusal.kind is RefusalKind.NO_BALANCE:
            await self._wait_for_money(job, batch)
        else:
            await self._put_back(job, _waiting(job, refusal), refusal.reason, self._due_at(refusal))

    def _due_at(self, refusal: Refusal) -> datetime | None:
        """When to ask again; None keeps the job's turn."""
        if refusal.kind is RefusalKind.PERSON_BUSY:
            return self._time.now() + timedelta(seconds=random.uniform(*PERSON_PAUSE_SECONDS))  # noqa: S311 - jitter, not a secret
        # The number concerns the whole batch, which sleeps as long: its jobs keep their order.
        return None if refusal.kind is RefusalKind.FROM_NUMBER_RESTING else refusal.until

    async def _wait_for_money(self, job: Job, batch: Batch) -> None:
        """The contact keeps its turn: it is due as soon as there is money."""
        shortage = await self._funding.shortage(batch)
        if shortage is None:
            # Others were quicker to reserve; what they left, or a top-up, covers a call.
            await self._put_back(job, *job.own_wait)
            return
        waiting_for = WaitingFor.BUDGET if shortage.code == BUDGET_EXHAUSTED else WaitingFor.BALANCE
        reason = Message(code=shortage.code)
        await self._queue.release(job, self._time.now(), waiting_for=waiting_for, reason=reason, due_at=None)
        await self._funding.rest(batch, shortage)

    async def _end(self, job: Job, state: JobState, reason: Message) -> None:
        account, now = await self._accounts.get(job.account_id), self._time.now()
        wanted = account.webhook_events if account else []
        await self._queue.end_unsent(job, state, reason, now, after_end(job.job_id, state, reason, wanted, now))
        await self._batches.wake(job.batch_id, self._time.now())

    async def _put_back(
        self, job: Job, waiting_for: WaitingFor, reason: Message | None, due_at: datetime | None = None
    ) -> None:
        now = self._time.now()
        await self._queue.release(job, now, waiting_for=waiting_for, reason=reason, due_at=due_at)
        await self._batches.wake(job.batch_id, due_at or now)

    async def _withdraw(
        self,
        job: Job,
        attempt: Attempt,
        waiting_for: WaitingFor,
        reason: Message | None,
        due_at: datetime | None = None,
    ) -> None:
        """Back to pending from `dialing`: only the living holder may, and only knowing that nothing was placed.

        The job goes first: as long as an attempt may still be made, its reservation must stand.
        """
        released = await persist(
            self._control,
            lambda: self._queue.release(job, self._time.now(), waiting_for=waiting_for, reason=reason, due_at=due_at),
        )
        if not released:
            # Somebody adopted the job meanwhile: the attempt, and the money for it, are theirs.
            return
        await self._funding.release(job, attempt)
        await self._batches.wake(job.batch_id, due_at or self._time.now())


def rejection_of(error: NumberRejected) -> Outcome:
    """What Retell's refusal of a number means for it."""
    return DO_NOT_CALL if error.do_not_call else NUMBER_REJECTED


def _closed(job: Job, batch: Batch, took: timedelta) -> Refusal | None:
    """The hours once more, by the database's own time: whatever this process takes for the time may be wrong.

    The intent was stored at `updated_at`, at most `took` ago; both ends of that span must be within the hours.
    """
    stored_at = job.updated_at
    return outside_hours(job, batch, stored_at) or outside_hours(job, batch, stored_at + took)


_WAITS = {
    RefusalKind.OUTSIDE_HOURS: WaitingFor.HOURS,
    RefusalKind.ON_DO_NOT_CALL_LIST: WaitingFor.PERSON,
    RefusalKind.PERSON_BUSY: WaitingFor.PERSON,
    RefusalKind.PERSON_CAP: WaitingFor.PERSON,
}


def _waiting(job: Job, refusal: Refusal) -> WaitingFor:
    """What a job waits for; not kept back by anything of its own, it is what it was."""
    usual, _ = job.own_wait
    return _WAITS.get(refusal.kind, usual)


def _say_taken(job: Job, batch: Batch, now: datetime) -> None:
    """What the contract asks the worker to print for each job that it takes."""
    settings = batch.call_settings
    hours = settings.hours_for(job.contact)
    log.info(
        "job_taken",
        batch=batch.name,
        call_settings={
            "allowed_hours": f"{hours.start:%H:%M}-{hours.end:%H:%M}",
            "days_of_week": sorted(hours.days_of_week),
            "timezone": hours.timezone,
            "retry_delay_hours": settings.retry_delay_hours,
        },
        inside_allowed_hours=is_allowed(now, hours),
        attempts=job.attempts,
        max_attempts=job.max_attempts(settings.max_attempts),
        ring_timeout=settings.ring_timeout,
        max_call_duration=settings.max_call_duration,
    )
