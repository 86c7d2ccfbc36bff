"""The plan of a call: pure arithmetic on what a script asks and the terms of the request."""

import random

import pytest

from scripts.retell_simulator.outcomes import CallPlan, CallStatus, CallTerms, Outcome, plan_call, stop_plan
from scripts.retell_simulator.vocabulary import (
    ALL_REASONS,
    ENDED_REASONS,
    ERROR_REASONS,
    LANGUAGES,
    NOT_CONNECTED_REASONS,
)


def plan(terms: CallTerms | None = None, **outcome: object) -> CallPlan:
    return plan_call(Outcome.model_validate(outcome), terms or CallTerms(), random.Random(1))


def test_the_vocabulary_is_complete() -> None:
    assert len(ALL_REASONS) == 39
    assert len(LANGUAGES) == 63
    assert "es-419" in LANGUAGES
    assert "es-CL" not in LANGUAGES


def test_an_answered_call_walks_through_its_states() -> None:
    call = plan(disconnection_reason="user_hangup", ring_seconds=6, talk_seconds=45)
    walk = [call.status_at(ms) for ms in (0, 5999, 6000, 50_999, 51_000, 10**9)]
    assert walk == ["registered", "registered", "ongoing", "ongoing", "ended", "ended"]
    assert call.talk_ms == 45_000


@pytest.mark.parametrize("reason", sorted(ENDED_REASONS))
def test_reasons_of_a_connected_call_end_it(reason: str) -> None:
    call = plan(disconnection_reason=reason)
    assert call.final_status is CallStatus.ENDED
    assert call.disconnection_reason == reason
    assert call.answered_after_ms is not None


@pytest.mark.parametrize("reason", sorted(NOT_CONNECTED_REASONS))
def test_reasons_of_an_unconnected_call(reason: str) -> None:
    call = plan(disconnection_reason=reason)
    assert call.final_status is CallStatus.NOT_CONNECTED
    assert call.disconnection_reason == reason
    assert call.answered_after_ms is None
    assert call.talk_ms == 0


@pytest.mark.parametrize("reason", sorted(ERROR_REASONS))
def test_errors_come_before_or_amid_the_call(reason: str) -> None:
    before, amid = plan(disconnection_reason=reason), plan(disconnection_reason=reason, talk_seconds=12)
    assert before.final_status is amid.final_status is CallStatus.ERROR
    assert before.answered_after_ms is None
    assert amid.talk_ms == 12_000


def test_no_answer_takes_the_whole_ring_timeout() -> None:
    call = plan(CallTerms(ring_timeout_ms=25_000), disconnection_reason="dial_no_answer")
    assert (call.ended_after_ms, call.final_status) == (25_000, CallStatus.NOT_CONNECTED)


def test_the_carrier_may_give_up_before_the_ring_timeout() -> None:
    assert plan(disconnection_reason="dial_no_answer", ring_seconds=12).ended_after_ms == 12_000


@pytest.mark.parametrize("reason", ["user_hangup", "voicemail_reached", "dial_busy", "error_retell"])
def test_a_ring_longer_than_the_timeout_is_no_answer(reason: str) -> None:
    terms = CallTerms(ring_timeout_ms=20_000)
    late = plan(terms, disconnection_reason=reason, ring_seconds=20.001, talk_seconds=30)
    assert late.disconnection_reason == "dial_no_answer"
    assert late.final_status is CallStatus.NOT_CONNECTED
    assert late.ended_after_ms == 20_000
    just = plan(terms, disconnection_reason=reason, ring_seconds=20, talk_seconds=30)
    assert just.disconnection_reason == reason


def test_registered_call_timeout_is_not_cut_by_the_ring_timeout() -> None:
    call = plan(disconnection_reason="registered_call_timeout")
    assert (call.ended_after_ms, call.disconnection_reason) == (300_000, "registered_call_timeout")


def test_a_talk_longer_than_the_limit_is_cut_there() -> None:
    terms = CallTerms(max_talk_ms=60_000)
    cut = plan(terms, disconnection_reason="error_asr", talk_seconds=61)
    assert (cut.disconnection_reason, cut.final_status) == ("max_duration_reached", CallStatus.ENDED)
    assert cut.talk_ms == 60_000
    assert plan(terms, talk_seconds=60).disconnection_reason == "user_hangup"
    assert plan(terms, disconnection_reason="max_duration_reached").talk_ms == 60_000


def test_unknown_reasons_and_no_reason() -> None:
    assert plan(disconnection_reason="eaten_by_whale").final_status is CallStatus.ENDED
    assert plan(disconnection_reason=None).final_status is CallStatus.NOT_CONNECTED
    odd = plan(disconnection_reason="eaten_by_whale", call_status="not_connected")
    assert (odd.final_status, odd.answered_after_ms) == (CallStatus.NOT_CONNECTED, None)


def test_voicemail_is_billed_talk_without_a_user() -> None:
    call = plan(disconnection_reason="voicemail_reached")
    assert call.in_voicemail
    assert not call.user_speaks
    assert call.talk_ms == 8000


def test_without_voicemail_detection_the_machine_goes_unnoticed() -> None:
    call = plan(CallTerms(voicemail_detection=False), disconnection_reason="voicemail_reached")
    assert call.disconnection_reason == "agent_hangup"
    assert call.in_voicemail


def test_analysis_may_contradict_the_reason() -> None:
    assert plan(disconnection_reason="user_hangup", in_voicemail=True).in_voicemail
    assert not plan(disconnection_reason="voicemail_reached", in_voicemail=False).in_voicemail


def test_a_machine_that_never_answered_left_no_trace() -> None:
    call = plan(ring_seconds=31, in_voicemail=True, user_speaks=True, collected={"a": "b"})
    assert (call.in_voicemail, call.user_speaks, call.collected) == (False, False, {})


def test_a_stuck_call_stays_for_ever() -> None:
    ringing, talking = plan(stuck="registered"), plan(stuck="ongoing")
    assert ringing.status_at(10**12) is CallStatus.REGISTERED
    assert talking.status_at(10**12) is CallStatus.ONGOING
    assert ringing.cost_after_ms is talking.analysis_after_ms is None


def test_cost_and_analysis_follow_the_end_or_never_come() -> None:
    call = plan(CallTerms(cost_delay_ms=2000, analysis_delay_ms=None), ring_seconds=1, talk_seconds=9)
    assert call.cost_after_ms == 12_000
    assert call.analysis_after_ms is None


def test_stopping_ends_a_talk_and_cancels_a_ring() -> None:
    call = plan(ring_seconds=6, talk_seconds=45)
    talking, ringing = stop_plan(call, 10_000), stop_plan(call, 3000)
    assert (talking.final_status, talking.talk_ms) == (CallStatus.ENDED, 4000)
    assert (ringing.final_status, ringing.talk_ms) == (CallStatus.NOT_CONNECTED, 0)
    assert talking.disconnection_reason == ringing.disconnection_reason == "manual_stopped"


def test_a_span_is_drawn_between_its_bounds() -> None:
    outcome = Outcome.model_validate({"talk_seconds": [10, 20]})
    talks = {plan_call(outcome, CallTerms(), random.Random(n)).talk_ms for n in range(50)}
    assert len(talks) > 40
    assert min(talks) >= 10_000
    assert max(talks) <= 20_000
