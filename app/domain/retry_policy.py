"""What becomes of a job after an attempt: is it final, or when and on which phone is it tried again. Pure."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from app.domain.batches import CallSettings
from app.domain.callbacks import callback_time
from app.domain.calling_hours import ASK_AGAIN, next_call_at
from app.domain.jobs import CALLBACK_PRIORITY, Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.outcomes import HEARD, Disposition, Effect, Outcome
from app.domain.retry_rules import RetryRule

MAX_PROVIDER_TROUBLES = 10
"""After so many uncounted ends in a row, one counts as an attempt, so that no job goes round for ever."""
MAX_BATCH_STOPS = 1
"""A contact at which the provider stops its batch again uses an attempt: else it would do so for ever."""
_UNCOUNTED_LIMITS = {Effect.RETRY_SOON: MAX_PROVIDER_TROUBLES, Effect.STOP_BATCH: MAX_BATCH_STOPS}
MAX_CALLBACKS = 3
"""A contact that puts us off more often is called like any other."""
SOON_BASE = timedelta(minutes=1)
SOON_CAP = timedelta(hours=1)


class NextStep(BaseModel):
    """The job's next state with all that belongs to it.

    `state` is final, or PENDING with `due_at`, `waiting_for` and the phone to try.
    """

    model_config = ConfigDict(frozen=True)

    state: JobState
    reason: Message | None = None
    due_at: datetime | None = None
    waiting_for: WaitingFor | None = None
    priority: int
    attempts: int
    extra_attempts: int
    callbacks: int
    provider_troubles: int
    next_phone_index: int
    retired_phones: list[str]


def next_step(
    job: Job, outcome: Outcome, settings: CallSettings, now: datetime, *, soon_base: timedelta = SOON_BASE
) -> NextStep:
    """Decide what follows `outcome` of the job's current attempt.

    `soon_base` is the first delay after the provider's own trouble; it doubles up to an hour.
    """
    assert job.attempt is not None, "an outcome belongs to an attempt"  # noqa: S101 - a broken invariant, not input
    retired = list(job.retired_phones)
    if outcome.effect is Effect.RETIRE_PHONE:
        retired.append(job.attempt.phone)
    troubles = job.provider_troubles + 1 if outcome.effect in _UNCOUNTED_LIMITS else 0
    counted = outcome.counted or troubles > _UNCOUNTED_LIMITS.get(outcome.effect, 0) > 0
    ended = NextStep(
        state=JobState.PENDING,
        # What made it urgent was this attempt, unless it was none.
        priority=0 if counted else job.priority,
        attempts=job.attempt.number if counted else job.attempt.number - 1,
        extra_attempts=job.extra_attempts,
        callbacks=job.callbacks,
        provider_troubles=0 if counted else troubles,
        next_phone_index=job.attempt.phone_index,
        retired_phones=retired,
    )
    turns = counted and not _somebody_answered(outcome)
    following = next_phone(job.contact.phones, retired, job.attempt.phone_index + (1 if turns else 0))
    if outcome.effect is Effect.FINISH:
        return _final(ended, JobState.COMPLETED, _finish_reason(outcome))
    if job.cancel_requested:
        return _final(ended, JobState.CANCELLED, Message(code="cancelled_by_operator"))
    if job.test_of is not None:
        # Who asked for it watched it happen, and may ask again: that phone shall not ring by itself.
        return _final(ended, JobState.FAILED, Message(code=f"after_{outcome.disposition.value}"))
    if following is None:
        return _final(ended, JobState.FAILED, Message(code="no_phone_left"))
    asked_for = _callback(job, outcome, settings, now)
    if asked_for is not None:
        return _called_back(ended, asked_for, following, job, settings)
    last = _last_attempt(job, outcome, settings, ended.attempts, counted=counted)
    if last is not None:
        return _final(ended, JobState.FAILED, last)
    wanted = now + _delay(outcome, settings, troubles, soon_base)
    is_retry = counted or outcome.effect is Effect.RETIRE_PHONE
    return ended.model_copy(
        update={
            "reason": Message(code=f"after_{outcome.disposition.value}"),
            "due_at": next_call_at(wanted, settings.hours_for(job.contact)) or wanted + ASK_AGAIN,
            "waiting_for": WaitingFor.RETRY if is_retry else WaitingFor.PROVIDER,
            "next_phone_index": following,
        }
    )


def first_phone(job: Job) -> int:
    """The phone to begin with when an operator wants a job tried again: where a human was heard last, if anywhere."""
    heard = [record.phone for record in job.history if record.disposition in HEARD]
    return job.contact.phones.index(heard[-1]) if heard and heard[-1] in job.contact.phones else job.next_phone_index


def _final(ended: NextStep, state: JobState, reason: Message | None) -> NextStep:
    return ended.model_copy(update={"state": state, "reason": reason})


def _somebody_answered(outcome: Outcome) -> bool:
    """Whether a human, or at least a hand, was at this phone and the talk remained unfinished: it is tried first."""
    broke_off = outcome.disposition is Disposition.PROVIDER_TROUBLE and outcome.effect is Effect.RETRY
    return outcome.disposition is Disposition.CALLBACK_REQUESTED or broke_off


def _callback(job: Job, outcome: Outcome, settings: CallSettings, now: datetime) -> datetime | None:
    """When the person wants to be called; None if they do not, named no usable time, or said so too often."""
    if outcome.disposition is not Disposition.CALLBACK_REQUESTED or job.callbacks >= MAX_CALLBACKS:
        return None
    return callback_time(job.report, settings.hours_for(job.contact).timezone, now)


def _called_back(ended: NextStep, at: datetime, phone_index: int, job: Job, settings: CallSettings) -> NextStep:
    """Before others, on the same phone, and also if it takes an attempt more than the batch grants."""
    hours = settings.hours_for(job.contact)
    local = at.astimezone(ZoneInfo(hours.timezone))
    params = {"at": f"{local:%Y-%m-%d %H:%M}", "timezone": hours.timezone}
    return ended.model_copy(
        update={
            "reason": Message(code="callback_requested", params=params),
            "due_at": next_call_at(at, hours) or at + ASK_AGAIN,
            "waiting_for": WaitingFor.CALLBACK,
            "priority": CALLBACK_PRIORITY,
            "extra_attempts": max(ended.extra_attempts, ended.attempts + 1 - settings.max_attempts),
            "callbacks": ended.callbacks + 1,
            "next_phone_index": phone_index,
        }
    )


def _last_attempt(
    job: Job, outcome: Outcome, settings: CallSettings, attempts: int, *, counted: bool
) -> Message | None:
    """Why no other attempt follows; None if one may."""
    if attempts >= job.max_attempts(settings.max_attempts):
        return Message(code="max_attempts_reached", params={"attempts": attempts})
    times = _times(job, outcome.disposition)
    if counted and _is_last(times, settings.retry_rules.get(outcome.disposition)):
        return Message(code="retry_rule_reached", params={"times": times, "outcome": outcome.disposition.value})
    return None


def next_phone(phones: list[str], retired: list[str], start: int) -> int | None:
    """The index, at or after `start` and going round, of a phone that is not retired; None if none is left."""
    for offset in range(len(phones)):
        index = (start + offset) % len(phones)
        if phones[index] not in retired:
            return index
    return None


def backoff(times: int, base: timedelta = SOON_BASE, cap: timedelta = SOON_CAP) -> timedelta:
    """`base` doubled for every time after the first, at most `cap`."""
    doublings = min(max(times - 1, 0), 30)
    return min(base * (1 << doublings), cap)


def _delay(outcome: Outcome, settings: CallSettings, troubles: int, soon_base: timedelta) -> timedelta:
    if outcome.effect is Effect.RETRY_SOON:
        return backoff(troubles, soon_base)
    if outcome.effect is Effect.RETRY:
        rule = settings.retry_rules.get(outcome.disposition)
        return timedelta(hours=(rule and rule.delay_hours) or settings.retry_delay_hours)
    # A retired phone never rang, and a stopped batch decides when: the job itself may go on at once.
    return timedelta(0)


def _times(job: Job, disposition: Disposition) -> int:
    """How many of the job's attempts ended so, with the present one."""
    return 1 + sum(record.counted and record.disposition is disposition for record in job.history)


def _is_last(times: int, rule: RetryRule | None) -> bool:
    return rule is not None and rule.max is not None and times > rule.max


def _finish_reason(outcome: Outcome) -> Message | None:
    return Message(code="contact_opted_out") if outcome.disposition is Disposition.OPTED_OUT else None
