"""What the end of a call means: every reason that Retell documents lands in a bucket that somebody chose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calls import CallReport, CallStatus
from app.domain.outcomes import (
    BLOCKED,
    CALLBACK,
    HUMAN,
    NOBODY,
    PROVIDER_TROUBLE,
    SHORTEST_CONVERSATION_SECONDS,
    STOP_SET,
    Disposition,
    Effect,
    outcome_of,
)
from scripts.retell_simulator.vocabulary import ALL_REASONS
from tests.builders import make_report

ENDED, NOT_CONNECTED, ERROR = CallStatus.ENDED, CallStatus.NOT_CONNECTED, CallStatus.ERROR

# retell.md §4.1 in its order: reason, status, and what a call that ended so comes to when somebody was heard as long as
# the status lets anybody be heard.
REASONS = [
    ("user_hangup", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("agent_hangup", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("call_transfer", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("voicemail_reached", ENDED, Disposition.VOICEMAIL, Effect.RETRY, True),
    ("ivr_reached", ENDED, Disposition.VOICEMAIL, Effect.RETRY, True),
    ("inactivity", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("max_duration_reached", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("user_requested_dnc", ENDED, Disposition.OPTED_OUT, Effect.FINISH, True),
    ("user_requested_callback", ENDED, Disposition.CALLBACK_REQUESTED, Effect.RETRY, True),
    ("no_concurrency_fallback", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("transfer_bridged", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("transfer_cancelled", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("manual_stopped", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("call_take_over", ENDED, Disposition.ANSWERED, Effect.FINISH, True),
    ("dial_busy", NOT_CONNECTED, Disposition.BUSY, Effect.RETRY, True),
    ("dial_no_answer", NOT_CONNECTED, Disposition.NO_ANSWER, Effect.RETRY, True),
    ("dial_failed", NOT_CONNECTED, Disposition.FAILED, Effect.RETRY, True),
    ("user_declined", NOT_CONNECTED, Disposition.DECLINED, Effect.RETRY, True),
    ("invalid_destination", NOT_CONNECTED, Disposition.INVALID_NUMBER, Effect.RETIRE_PHONE, False),
    (
        "telephony_provider_permission_denied",
        NOT_CONNECTED,
        Disposition.STOPPED_BY_PROVIDER,
        Effect.STOP_BATCH,
        False,
    ),
    ("telephony_provider_unavailable", NOT_CONNECTED, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("sip_routing_error", NOT_CONNECTED, Disposition.BLOCKED, Effect.RETRY_SOON, False),
    ("marked_as_spam", NOT_CONNECTED, Disposition.BLOCKED, Effect.RETRY_SOON, False),
    ("network_blocked", NOT_CONNECTED, Disposition.BLOCKED, Effect.RETRY_SOON, False),
    ("concurrency_limit_reached", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("no_valid_payment", ERROR, Disposition.STOPPED_BY_PROVIDER, Effect.STOP_BATCH, False),
    ("credit_exhausted", ERROR, Disposition.STOPPED_BY_PROVIDER, Effect.STOP_BATCH, False),
    ("budget_reached", ERROR, Disposition.STOPPED_BY_PROVIDER, Effect.STOP_BATCH, False),
    ("scam_detected", ERROR, Disposition.STOPPED_BY_PROVIDER, Effect.STOP_BATCH, False),
    ("error_llm_websocket_open", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("error_llm_websocket_lost_connection", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("error_llm_websocket_runtime", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("error_llm_websocket_corrupt_payload", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("error_no_audio_received", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("error_asr", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("error_retell", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("error_unknown", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
    ("error_user_not_joined", ERROR, Disposition.UNKNOWN, Effect.RETRY, True),
    ("registered_call_timeout", ERROR, Disposition.PROVIDER_TROUBLE, Effect.RETRY_SOON, False),
]
NOT_FOR_OUTBOUND = {"no_concurrency_fallback", "error_user_not_joined"}
"""Inbound calls and web calls only: should one come, it is as good as unknown."""


def talked(reason: str | None, status: CallStatus = ENDED) -> CallReport:
    """A report of a call in which, if it connected, somebody talked for 40 seconds."""
    if status is not ENDED:
        return make_report(reason, status)
    return make_report(reason, status, duration_ms=40_000, user_spoke=True, in_voicemail=False)


@pytest.mark.parametrize(("reason", "status", "disposition", "effect", "counted"), REASONS)
def test_each_documented_reason_has_its_bucket(
    reason: str, status: CallStatus, disposition: Disposition, effect: Effect, counted: bool
) -> None:
    outcome = outcome_of(talked(reason, status))
    assert (outcome.disposition, outcome.effect, outcome.counted) == (disposition, effect, counted)


def test_the_table_above_names_all_39_reasons() -> None:
    assert len(REASONS) == 39
    assert {reason for reason, *_ in REASONS} == ALL_REASONS


def test_every_documented_reason_but_those_of_inbound_and_web_calls_is_named_in_one_bucket() -> None:
    special = {"user_requested_dnc", "invalid_destination"}
    buckets = [HUMAN, frozenset(NOBODY), PROVIDER_TROUBLE, STOP_SET, BLOCKED, special]
    named = [reason for bucket in buckets for reason in bucket]
    assert len(named) == len(set(named))
    assert set(named) == ALL_REASONS - NOT_FOR_OUTBOUND


@pytest.mark.parametrize("status", [ENDED, NOT_CONNECTED, ERROR])
@pytest.mark.parametrize("reason", [None, "", "a_reason_of_next_year", "USER_HANGUP"])
def test_a_reason_nobody_knows_is_an_attempt_that_reached_nobody(reason: str | None, status: CallStatus) -> None:
    outcome = outcome_of(make_report(reason, status, duration_ms=40_000))
    assert (outcome.disposition, outcome.effect, outcome.counted) == (Disposition.UNKNOWN, Effect.RETRY, True)


def test_whoever_talked_was_reached_whatever_a_new_reason_says() -> None:
    assert outcome_of(talked("a_reason_of_next_year", ENDED)).disposition is Disposition.ANSWERED
    assert outcome_of(talked("a_reason_of_next_year", NOT_CONNECTED)).disposition is Disposition.UNKNOWN


@given(
    reason=st.none() | st.text() | st.sampled_from(sorted(ALL_REASONS)),
    status=st.sampled_from([ENDED, NOT_CONNECTED, ERROR]),
    duration_ms=st.none() | st.integers(0, 10**7),
    user_spoke=st.none() | st.booleans(),
    in_voicemail=st.none() | st.booleans(),
)
def test_only_a_finish_is_a_success_or_an_opt_out_and_every_other_end_goes_on(
    reason: str | None,
    status: CallStatus,
    duration_ms: int | None,
    user_spoke: bool | None,
    in_voicemail: bool | None,
) -> None:
    outcome = outcome_of(
        make_report(reason, status, duration_ms=duration_ms, user_spoke=user_spoke, in_voicemail=in_voicemail)
    )
    finished = outcome.disposition in {Disposition.ANSWERED, Disposition.OPTED_OUT}
    assert (outcome.effect is Effect.FINISH) == finished
    if status is NOT_CONNECTED and user_spoke is not True:
        assert outcome.disposition is not Disposition.ANSWERED


# What is heard decides whether a "human" end was one --------------------------------------------------------------

HEARD = [
    # in_voicemail, user_spoke, seconds, what it was
    (True, True, 40, Disposition.VOICEMAIL),  # the greeting of a machine is transcribed as the user's turn
    (True, None, 40, Disposition.VOICEMAIL),
    (False, True, 40, Disposition.ANSWERED),
    (None, True, 40, Disposition.ANSWERED),  # the analysis never came
    (None, True, 1, Disposition.ANSWERED),  # "no, gracias" is short
    (False, False, 40, Disposition.SILENCE),
    (None, False, 600, Disposition.SILENCE),
    (None, None, SHORTEST_CONVERSATION_SECONDS, Disposition.ANSWERED),
    (None, None, SHORTEST_CONVERSATION_SECONDS - 0.001, Disposition.SILENCE),
    (None, None, None, Disposition.SILENCE),
]


@pytest.mark.parametrize("reason", sorted(HUMAN))
@pytest.mark.parametrize(("in_voicemail", "user_spoke", "seconds", "disposition"), HEARD)
def test_a_human_end_is_believed_only_if_a_human_was_heard(
    reason: str, in_voicemail: bool | None, user_spoke: bool | None, seconds: float | None, disposition: Disposition
) -> None:
    duration_ms = None if seconds is None else round(seconds * 1000)
    report = make_report(reason, in_voicemail=in_voicemail, user_spoke=user_spoke, duration_ms=duration_ms)
    outcome = outcome_of(report)
    if reason == CALLBACK and disposition is Disposition.ANSWERED:
        disposition = Disposition.CALLBACK_REQUESTED
    assert outcome.disposition is disposition
    assert outcome.counted
    assert outcome.effect is (Effect.FINISH if disposition is Disposition.ANSWERED else Effect.RETRY)


@pytest.mark.parametrize("status", [NOT_CONNECTED, ERROR])
@pytest.mark.parametrize("reason", sorted(HUMAN))
def test_a_human_end_of_a_call_that_never_ended_normally_is_not_a_success(reason: str, status: CallStatus) -> None:
    assert outcome_of(make_report(reason, status)).disposition is Disposition.UNKNOWN


# Trouble, perhaps in the middle of a call -------------------------------------------------------------------------


@pytest.mark.parametrize("reason", sorted(PROVIDER_TROUBLE))
def test_trouble_after_somebody_talked_is_an_answered_call_that_is_not_repeated(reason: str) -> None:
    outcome = outcome_of(make_report(reason, ERROR, duration_ms=12_000, user_spoke=True))
    assert (outcome.disposition, outcome.effect, outcome.counted) == (Disposition.ANSWERED, Effect.FINISH, True)


@pytest.mark.parametrize("user_spoke", [None, False])
@pytest.mark.parametrize("reason", sorted(PROVIDER_TROUBLE))
def test_trouble_after_the_phone_was_picked_up_costs_an_attempt(reason: str, user_spoke: bool | None) -> None:
    outcome = outcome_of(make_report(reason, ERROR, duration_ms=1, user_spoke=user_spoke))
    assert (outcome.disposition, outcome.effect, outcome.counted) == (
        Disposition.PROVIDER_TROUBLE,
        Effect.RETRY,
        True,
    )


@pytest.mark.parametrize("duration_ms", [None, 0])
@pytest.mark.parametrize("reason", sorted(PROVIDER_TROUBLE))
def test_trouble_before_anybody_picked_up_costs_nothing(reason: str, duration_ms: int | None) -> None:
    outcome = outcome_of(make_report(reason, ERROR, duration_ms=duration_ms, user_spoke=None))
    assert (outcome.effect, outcome.counted) == (Effect.RETRY_SOON, False)


def test_trouble_while_a_machine_greeted_is_a_voicemail() -> None:
    report = make_report("error_retell", ERROR, duration_ms=12_000, user_spoke=True, in_voicemail=True)
    assert outcome_of(report).disposition is Disposition.VOICEMAIL
