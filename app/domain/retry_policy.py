"""What becomes of a job after an attempt: is it final, or when and on which phone is it tried again. Pure."""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from app.domain.batches import CallSettings
from app.domain.calling_hours import ASK_AGAIN, next_call_at
from app.domain.jobs import Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.outcomes import Disposition, Effect, Outcome
from app.domain.retry_rules import RetryRule

MAX_PROVIDER_TROUBLES = 10
"""After so many uncounted ends in a row, one counts as an attempt, so that no job goes round for ever."""
MAX_BATCH_STOPS = 1
"""A contact at which the provider stops its batch again uses an attempt: else it would do so for ever."""
_UNCOUNTED_LIMITS = {Effect.RETRY_SOON: MAX_PROVIDER_TROUBLES, Effect.STOP_BATCH: MAX_BATCH_STOPS}
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
    attempts: int
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
    phone_index = job.attempt.phone_index
    retired = list(job.retired_phones)
    if outcome.effect is Effect.RETIRE_PHONE:
        retired.append(job.attempt.phone)
    troubles = job.provider_troubles + 1 if outcome.effect in _UNCOUNTED_LIMITS else 0
    counted = outcome.counted or troubles > _UNCOUNTED_LIMITS.get(outcome.effect, 0) > 0
    attempts = job.attempt.number if counted else job.attempt.number - 1
    following = next_phone(job.contact.phones, retired, phone_index + (1 if counted else 0))

    def final(state: JobState, reason: Message | None) -> NextStep:
        return NextStep(
            state=state,
            reason=reason,
            attempts=attempts,
            provider_troubles=0 if counted else troubles,
            next_phone_index=phone_index,
            retired_phones=retired,
        )

    if outcome.effect is Effect.FINISH:
        return final(JobState.COMPLETED, _finish_reason(outcome))
    if job.cancel_requested:
        return final(JobState.CANCELLED, Message(code="cancelled_by_operator"))
    if following is None:
        return final(JobState.FAILED, Message(code="no_phone_left"))
    if attempts >= job.max_attempts(settings.max_attempts):
        return final(JobState.FAILED, Message(code="max_attempts_reached", params={"attempts": attempts}))
    times = _times(job, outcome.disposition)
    if counted and _is_last(times, settings.retry_rules.get(outcome.disposition)):
        params = {"times": times, "outcome": outcome.disposition.value}
        return final(JobState.FAILED, Message(code="retry_rule_reached", params=params))

    wanted = now + _delay(outcome, settings, troubles, soon_base)
    due_at = next_call_at(wanted, settings.hours_for(job.contact)) or wanted + ASK_AGAIN
    return NextStep(
        state=JobState.PENDING,
        reason=Message(code=f"after_{outcome.disposition.value}"),
        due_at=due_at,
        waiting_for=WaitingFor.RETRY if counted or outcome.effect is Effect.RETIRE_PHONE else WaitingFor.PROVIDER,
        attempts=attempts,
        provider_troubles=0 if counted else troubles,
        next_phone_index=following,
        retired_phones=retired,
    )


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
