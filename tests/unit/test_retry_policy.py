"""What becomes of a job after an attempt: exact examples, and the rules for every history."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.batches import CallSettings
from app.domain.calling_hours import is_allowed
from app.domain.jobs import CALLBACK_PRIORITY, AttemptRecord, Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.outcomes import UNKNOWN_OUTCOME, Disposition, Effect, Outcome
from app.domain.retry_policy import (
    MAX_BATCH_STOPS,
    MAX_CALLBACKS,
    MAX_PROVIDER_TROUBLES,
    NextStep,
    backoff,
    first_phone,
    next_phone,
    next_step,
)
from tests.builders import NOW, OFFICE, make_attempt, make_contact, make_job, make_report, make_settings, phone

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

ANSWERED = Outcome(disposition=Disposition.ANSWERED, effect=Effect.FINISH, counted=True)
OPTED_OUT = Outcome(disposition=Disposition.OPTED_OUT, effect=Effect.FINISH, counted=True)
NO_ANSWER = Outcome(disposition=Disposition.NO_ANSWER, effect=Effect.RETRY, counted=True)
BUSY = Outcome(disposition=Disposition.BUSY, effect=Effect.RETRY, counted=True)
CALLBACK = Outcome(disposition=Disposition.CALLBACK_REQUESTED, effect=Effect.RETRY, counted=True)
TROUBLE = Outcome(disposition=Disposition.PROVIDER_TROUBLE, effect=Effect.RETRY_SOON, counted=False)
INVALID = Outcome(disposition=Disposition.INVALID_NUMBER, effect=Effect.RETIRE_PHONE, counted=False)
STOPPED = Outcome(disposition=Disposition.STOPPED_BY_PROVIDER, effect=Effect.STOP_BATCH, counted=False)


def attempted(number: int = 1, phone_index: int = 0, phones: int = 1, **changes: Any) -> Job:
    """A job whose attempt `number`, to its phone `phone_index`, has just ended."""
    values: dict[str, Any] = {
        "state": JobState.SETTLING,
        "contact": make_contact(phones),
        "attempts": number - 1,
        "next_phone_index": phone_index,
        "attempt": make_attempt(number, phone_index),
    }
    return make_job(**(values | changes))


def after(job: Job, outcome: Outcome, now: datetime = NOW, **settings: object) -> NextStep:
    return next_step(job, outcome, make_settings(**settings), now)


# Exact examples ---------------------------------------------------------------------------------------------------


def test_an_unanswered_call_is_tried_again_after_the_batchs_delay() -> None:
    step = after(attempted(), NO_ANSWER, retry_delay_hours=1.5)
    assert (step.state, step.due_at, step.attempts) == (JobState.PENDING, NOW + 1.5 * HOUR, 1)
    assert step.waiting_for is WaitingFor.RETRY
    assert step.reason is not None
    assert step.reason.code == "after_no_answer"


def test_a_retry_that_would_fall_outside_the_hours_waits_for_the_next_window() -> None:
    friday_noon = datetime(2026, 6, 5, 16, 0, tzinfo=UTC)
    step = after(attempted(), NO_ANSWER, friday_noon, retry_delay_hours=24, hours=OFFICE)
    assert step.due_at == datetime(2026, 6, 8, 13, 0, tzinfo=UTC)  # Monday, 09:00 in Santiago


def test_a_success_is_final() -> None:
    step = after(attempted(), ANSWERED)
    assert (step.state, step.due_at, step.reason, step.attempts) == (JobState.COMPLETED, None, None, 1)


def test_a_success_is_final_even_if_the_job_was_cancelled_meanwhile() -> None:
    assert after(attempted(cancel_requested=True), ANSWERED).state is JobState.COMPLETED


def test_an_opt_out_is_final_and_says_so() -> None:
    step = after(attempted(), OPTED_OUT)
    assert step.state is JobState.COMPLETED
    assert step.reason is not None
    assert step.reason.code == "contact_opted_out"


def test_a_job_cancelled_during_its_call_is_not_tried_again() -> None:
    for outcome in (NO_ANSWER, TROUBLE, INVALID, STOPPED, UNKNOWN_OUTCOME):
        step = after(attempted(phones=2, cancel_requested=True), outcome)
        assert (step.state, step.due_at) == (JobState.CANCELLED, None)


def test_the_last_attempt_fails_the_job() -> None:
    step = after(attempted(number=3), NO_ANSWER, max_attempts=3)
    assert (step.state, step.attempts) == (JobState.FAILED, 3)
    assert step.reason is not None
    assert (step.reason.code, step.reason.params) == ("max_attempts_reached", {"attempts": 3})


def test_an_operators_extra_attempt_counts_on_top() -> None:
    assert after(attempted(number=3, extra_attempts=1), NO_ANSWER, max_attempts=3).state is JobState.PENDING
    assert after(attempted(number=4, extra_attempts=1), NO_ANSWER, max_attempts=3).state is JobState.FAILED


def test_each_attempt_goes_to_the_next_phone_and_round_again() -> None:
    tried = [
        after(attempted(number, number - 1 if number < 4 else 0, phones=3), NO_ANSWER, max_attempts=9).next_phone_index
        for number in (1, 2, 3, 4)
    ]
    assert tried == [1, 2, 0, 1]


def test_an_invalid_number_retires_that_phone_at_once_and_costs_no_attempt() -> None:
    step = after(attempted(phones=2), INVALID)
    assert (step.state, step.due_at, step.attempts) == (JobState.PENDING, NOW, 0)
    assert (step.next_phone_index, step.retired_phones) == (1, [phone(1)])


def test_a_contact_whose_last_phone_is_invalid_fails() -> None:
    step = after(attempted(phone_index=1, phones=2, retired_phones=[phone(1)]), INVALID)
    assert step.state is JobState.FAILED
    assert step.reason is not None
    assert step.reason.code == "no_phone_left"
    assert step.retired_phones == [phone(1), phone(2)]


def test_trouble_is_tried_again_soon_on_the_same_phone_and_costs_no_attempt() -> None:
    step = after(attempted(phones=2), TROUBLE)
    assert (step.state, step.due_at, step.attempts) == (JobState.PENDING, NOW + MINUTE, 0)
    assert (step.waiting_for, step.next_phone_index) == (WaitingFor.PROVIDER, 0)
    assert step.provider_troubles == 1


def test_trouble_in_a_row_waits_longer_each_time_up_to_an_hour() -> None:
    waits = [
        (after(attempted(provider_troubles=troubles), TROUBLE).due_at or NOW) - NOW
        for troubles in range(MAX_PROVIDER_TROUBLES)
    ]
    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 16 * MINUTE, 32 * MINUTE, HOUR, HOUR, HOUR, HOUR]


def test_any_other_end_forgets_the_troubles_before_it() -> None:
    for outcome in (NO_ANSWER, INVALID, STOPPED, UNKNOWN_OUTCOME):
        assert after(attempted(phones=2, provider_troubles=7), outcome).provider_troubles == 0


# Callbacks ----------------------------------------------------------------------------------------------------------


def put_off(until: str | None = None, **changes: Any) -> Job:
    """A job whose contact asked to be called later: at `until`, or without a word of when."""
    report = make_report("user_requested_callback", collected_variables={"callback_at": until} if until else {})
    return attempted(**{"phones": 3, "phone_index": 1, "report": report, **changes})


def test_who_names_a_time_is_called_then_first_of_all_and_on_the_same_phone() -> None:
    step = after(put_off("2026-06-04 18:00"), CALLBACK)
    assert (step.state, step.waiting_for, step.priority) == (JobState.PENDING, WaitingFor.CALLBACK, CALLBACK_PRIORITY)
    assert step.due_at == datetime(2026, 6, 4, 22, 0, tzinfo=UTC)
    assert (step.next_phone_index, step.attempts, step.extra_attempts, step.callbacks) == (1, 1, 0, 1)
    assert step.reason is not None
    assert step.reason.params == {"at": "2026-06-04 18:00", "timezone": "America/Santiago"}


def test_the_time_is_by_the_contacts_own_clock_and_within_the_hours() -> None:
    madrid = put_off("2026-06-04 18:00", contact=make_contact(3, timezone="Europe/Madrid"))
    assert after(madrid, CALLBACK).due_at == datetime(2026, 6, 4, 16, 0, tzinfo=UTC)
    at_night = after(put_off("2026-06-05 22:00"), CALLBACK, hours=OFFICE)  # a Friday
    assert at_night.due_at == datetime(2026, 6, 8, 13, 0, tzinfo=UTC)
    assert at_night.reason is not None
    assert at_night.reason.params["at"] == "2026-06-05 22:00"


@pytest.mark.parametrize(
    ("number", "extra", "granted"), [(1, 0, 0), (2, 0, 0), (3, 0, 1), (3, 1, 1), (4, 1, 2), (5, 4, 4)]
)
def test_a_callback_is_granted_the_attempt_it_takes(number: int, extra: int, granted: int) -> None:
    step = after(put_off("18:00", number=number, extra_attempts=extra), CALLBACK, max_attempts=3)
    assert (step.state, step.extra_attempts) == (JobState.PENDING, granted)
    assert step.attempts < 3 + step.extra_attempts


def test_a_callback_without_a_usable_time_is_an_ordinary_retry_on_the_same_phone() -> None:
    for job in (put_off(), put_off("ayer"), put_off("2026-06-01 10:00"), put_off("18:00", callbacks=MAX_CALLBACKS)):
        step = after(job, CALLBACK, retry_delay_hours=2)
        assert (step.due_at, step.waiting_for, step.priority) == (NOW + 2 * HOUR, WaitingFor.RETRY, 0)
        assert (step.next_phone_index, step.callbacks) == (1, job.callbacks)
        assert step.reason == Message(code="after_callback_requested")
    assert after(put_off(number=3), CALLBACK, max_attempts=3).state is JobState.FAILED


def test_a_cancelled_job_is_not_called_back() -> None:
    assert after(put_off("18:00", cancel_requested=True), CALLBACK).state is JobState.CANCELLED


def test_the_provider_s_trouble_takes_no_callback_its_turn() -> None:
    job = attempted(phones=3, phone_index=1, priority=CALLBACK_PRIORITY)
    assert (after(job, TROUBLE).priority, after(job, TROUBLE).next_phone_index) == (CALLBACK_PRIORITY, 1)
    assert after(job, NO_ANSWER).priority == 0


def test_a_phone_that_was_picked_up_before_the_provider_failed_is_tried_first() -> None:
    broke_off = Outcome(disposition=Disposition.PROVIDER_TROUBLE, effect=Effect.RETRY, counted=True)
    assert after(attempted(phones=3, phone_index=1), broke_off).next_phone_index == 1
    assert after(attempted(phones=3, phone_index=1), NO_ANSWER).next_phone_index == 2


def test_an_operators_retry_begins_where_a_human_was_heard_last() -> None:
    job = make_job(contact=make_contact(3), next_phone_index=0)
    assert first_phone(job) == 0
    heard = [record.model_copy(update={"phone": phone(2)}) for record in ended(Disposition.CALLBACK_REQUESTED)]
    assert first_phone(job.model_copy(update={"history": [*heard, *ended(Disposition.NO_ANSWER)]})) == 1
    assert first_phone(job.model_copy(update={"history": ended(Disposition.VOICEMAIL)})) == 0


# Rules for single outcomes ------------------------------------------------------------------------------------------


def ended(*dispositions: Disposition, counted: bool = True) -> list[AttemptRecord]:
    """The records of attempts that ended so."""
    return [
        AttemptRecord(
            attempt_id=f"attempt-{number}",
            number=number,
            phone=phone(1),
            disposition=disposition,
            counted=counted,
            dialed_at=NOW,
            ended_at=NOW,
            duration_seconds=0,
            billed_seconds=0,
            cost=Decimal(0),
        )
        for number, disposition in enumerate(dispositions, 1)
    ]


def test_a_rule_for_an_outcome_has_its_own_delay() -> None:
    rules = {"no_answer": {"delay_hours": 0.5}, "busy": {"max": 3}}
    assert after(attempted(), NO_ANSWER, retry_rules=rules).due_at == NOW + HOUR / 2
    for other in (BUSY, UNKNOWN_OUTCOME):
        assert after(attempted(), other, retry_rules=rules, retry_delay_hours=7).due_at == NOW + 7 * HOUR


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_rule_bounds_how_often_an_outcome_is_followed_by_another_attempt(most: int) -> None:
    rules = {"no_answer": {"max": most}}
    for times in range(4):
        job = attempted(number=times + 1, history=ended(*[Disposition.NO_ANSWER] * times))
        step = after(job, NO_ANSWER, retry_rules=rules, max_attempts=20)
        assert step.state is (JobState.PENDING if times < most else JobState.FAILED)
    assert step.reason is not None
    assert (step.reason.code, step.reason.params) == ("retry_rule_reached", {"times": 4, "outcome": "no_answer"})


def test_a_rule_counts_only_its_own_outcome_and_only_what_was_an_attempt() -> None:
    rules = {"no_answer": {"max": 1}}
    for history in (ended(Disposition.BUSY, Disposition.VOICEMAIL), ended(Disposition.NO_ANSWER, counted=False)):
        job = attempted(number=3, history=history)
        assert after(job, NO_ANSWER, retry_rules=rules, max_attempts=20).state is JobState.PENDING


def test_a_rule_does_not_allow_more_than_the_batch() -> None:
    step = after(attempted(number=3), NO_ANSWER, max_attempts=3, retry_rules={"no_answer": {"max": 20}})
    assert step.reason is not None
    assert step.reason.code == "max_attempts_reached"


def test_endless_trouble_uses_an_attempt_in_the_end() -> None:
    step = after(attempted(provider_troubles=MAX_PROVIDER_TROUBLES), TROUBLE)
    assert step.attempts == 1
    last = after(attempted(number=3, provider_troubles=MAX_PROVIDER_TROUBLES), TROUBLE, max_attempts=3)
    assert last.state is JobState.FAILED


def test_a_stopped_batch_keeps_its_contact_unspent_and_due() -> None:
    step = after(attempted(phones=2), STOPPED)
    assert (step.state, step.due_at, step.attempts, step.next_phone_index) == (JobState.PENDING, NOW, 0, 0)


@pytest.mark.parametrize(
    ("times", "expected"), [(0, MINUTE), (1, MINUTE), (2, 2 * MINUTE), (7, HOUR), (31, HOUR), (10**6, HOUR)]
)
def test_backoff_doubles_up_to_its_cap(times: int, expected: timedelta) -> None:
    assert backoff(times) == expected


@pytest.mark.parametrize(
    ("retired", "start", "expected"),
    [
        ([], 0, 0),
        ([], 3, 0),
        ([phone(1)], 0, 1),
        ([phone(3)], 2, 0),
        ([phone(2), phone(3)], 1, 0),
        ([phone(1), phone(2), phone(3)], 0, None),
    ],
)
def test_next_phone_goes_round_over_those_not_retired(retired: list[str], start: int, expected: int | None) -> None:
    assert next_phone([phone(1), phone(2), phone(3)], retired, start) == expected


# Every history ----------------------------------------------------------------------------------------------------

OUTCOMES = [ANSWERED, OPTED_OUT, CALLBACK, NO_ANSWER, TROUBLE, INVALID, STOPPED, UNKNOWN_OUTCOME]
instants = st.integers(0, 365 * 24 * 3600).map(lambda seconds: NOW + timedelta(seconds=seconds))


def going_on(job: Job, step: NextStep) -> Job:
    """The job as the next attempt finds it, that attempt already made."""
    made = make_attempt(step.attempts + 1, step.next_phone_index)
    return job.model_copy(
        update={
            "attempts": step.attempts,
            "extra_attempts": step.extra_attempts,
            "callbacks": step.callbacks,
            "priority": step.priority,
            "provider_troubles": step.provider_troubles,
            "next_phone_index": step.next_phone_index,
            "retired_phones": step.retired_phones,
            "attempt": made,
        }
    )


@given(
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=60),
    phones=st.integers(1, 5),
    max_attempts=st.integers(1, 8),
    extra_attempts=st.integers(0, 2),
    delay=st.floats(0.01, 24 * 90),
    office=st.booleans(),
    wanted=st.sampled_from(["10:00", "23:30", "nunca"]),
    start=instants,
)
def test_the_rules_that_hold_for_every_history(
    outcomes: list[Outcome],
    phones: int,
    max_attempts: int,
    extra_attempts: int,
    delay: float,
    office: bool,
    wanted: str,
    start: datetime,
) -> None:
    changes = {"hours": OFFICE} if office else {}
    settings: CallSettings = make_settings(max_attempts=max_attempts, retry_delay_hours=delay, **changes)
    job, now, counted_ends = put_off(wanted, phones=phones, phone_index=0, extra_attempts=extra_attempts), start, 0
    granted = max_attempts + extra_attempts + MAX_CALLBACKS
    for outcome in outcomes:
        attempt = job.attempt
        assert attempt is not None
        assert attempt.phone not in job.retired_phones
        step = next_step(job, outcome, settings, now)

        limit = {Effect.RETRY_SOON: MAX_PROVIDER_TROUBLES, Effect.STOP_BATCH: MAX_BATCH_STOPS}.get(outcome.effect)
        forced = limit is not None and job.provider_troubles >= limit
        counted_ends += outcome.counted or forced
        assert step.attempts == counted_ends
        assert step.attempts <= granted
        assert step.callbacks <= MAX_CALLBACKS
        assert set(job.retired_phones) <= set(step.retired_phones)
        if step.state.is_final:
            assert step.due_at is None
            assert (step.state is JobState.COMPLETED) == (outcome.effect is Effect.FINISH)
            return

        assert outcome.effect is not Effect.FINISH
        assert step.attempts < max_attempts + step.extra_attempts
        assert (step.waiting_for is WaitingFor.CALLBACK) == (step.callbacks > job.callbacks)
        assert step.due_at is not None
        assert step.due_at >= now
        assert is_allowed(step.due_at, settings.hours)
        upcoming = job.contact.phones[step.next_phone_index]
        assert upcoming not in step.retired_phones
        others = [number for number in job.contact.phones if number not in step.retired_phones]
        if outcome is CALLBACK:
            assert upcoming == attempt.phone
        elif (outcome.counted or forced) and len(others) > 1:
            assert upcoming != attempt.phone
        job, now = going_on(job, step), step.due_at


@given(phones=st.integers(1, 5), max_attempts=st.integers(1, 20))
def test_trouble_without_end_ends(phones: int, max_attempts: int) -> None:
    job, settings = attempted(phones=phones), make_settings(max_attempts=max_attempts)
    for ends in range(1, 1000):
        step = next_step(job, TROUBLE, settings, NOW)
        if step.state.is_final:
            assert ends == (MAX_PROVIDER_TROUBLES + 1) * max_attempts
            return
        job = going_on(job, step)
    pytest.fail("the job goes round for ever")


@given(phones=st.integers(1, 20))
def test_a_contact_of_invalid_numbers_is_dialed_once_a_number(phones: int) -> None:
    job, dialed = attempted(phones=phones), []
    while True:
        assert job.attempt is not None
        dialed.append(job.attempt.phone)
        step = next_step(job, INVALID, make_settings(), NOW)
        if step.state.is_final:
            break
        job = going_on(job, step)
    assert dialed == job.contact.phones
