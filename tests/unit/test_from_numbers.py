"""When one of our own numbers rests, and what lets it be called from again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.from_numbers import (
    LONGEST_REST,
    REST,
    CallEnd,
    FromNumber,
    Probe,
    Sign,
    Verdict,
    breaker,
    rested,
    sign_of,
    suspicion,
)
from tests.builders import NOW, phone

OURS = "+56226000000"
MINUTE = timedelta(minutes=1)
GOOD = ["user_hangup", "dial_no_answer", "voicemail_reached", "dial_busy", "user_declined", "user_requested_dnc"]


def number(reasons: list[str], *, same_phone: bool = False, **changes: object) -> FromNumber:
    ends = [
        CallEnd(attempt_id=f"a{place}", phone=phone(1 if same_phone else place), reason=reason, at=NOW)
        for place, reason in enumerate(reasons)
    ]
    return FromNumber.model_validate({"number": OURS, "ends": ends, **changes})


def code(reasons: list[str], *, same_phone: bool = False) -> str | None:
    reason = suspicion(number(reasons, same_phone=same_phone))
    return None if reason is None else reason.code


@pytest.mark.parametrize("reason", GOOD)
def test_who_is_reached_or_not_there_says_that_the_number_works(reason: str) -> None:
    assert sign_of(reason) is Sign.GOOD


@pytest.mark.parametrize(
    "reason", [None, "", "error_retell", "concurrency_limit_reached", "no_valid_payment", "new_one"]
)
def test_what_is_the_providers_own_says_nothing_of_the_number(reason: str | None) -> None:
    assert sign_of(reason) is Sign.NEUTRAL


def test_ten_invalid_destinations_in_a_row_suspect_the_trunk() -> None:
    assert code(["invalid_destination"] * 9) is None
    assert code(["invalid_destination"] * 10) == "from_number_suspect_trunk"
    assert code([*["invalid_destination"] * 5, "dial_busy", *["invalid_destination"] * 5]) is None
    assert code(["invalid_destination"] * 30, same_phone=True) is None


@pytest.mark.parametrize("reason", ["marked_as_spam", "network_blocked", "sip_routing_error"])
def test_three_blocked_of_the_last_twenty_rest_the_number(reason: str) -> None:
    assert code([reason, "user_hangup", reason]) is None
    assert code([reason, "user_hangup", reason, "user_hangup", "marked_as_spam"]) == "from_number_blocked"
    assert code([reason, *["user_hangup"] * 18, reason, reason]) is None


def test_nine_of_ten_failed_of_the_last_thirty_rest_the_number() -> None:
    assert code(["dial_failed"] * 29) is None
    assert code([*["user_hangup"] * 3, *["dial_failed"] * 27]) == "from_number_failing"
    assert code([*["user_hangup"] * 4, *["dial_failed"] * 26]) is None


@given(st.lists(st.sampled_from(GOOD), max_size=50))
def test_a_number_that_works_never_rests(reasons: list[str]) -> None:
    assert suspicion(number(reasons)) is None
    assert breaker(number(reasons), "a0", "user_hangup") is Verdict.WELL


def test_a_suspicion_ends_when_the_bad_end_is_far_behind() -> None:
    assert breaker(number(["marked_as_spam", *["user_hangup"] * 29]), "a29", "user_hangup") is Verdict.UNCHANGED
    assert breaker(number(["marked_as_spam", *["user_hangup"] * 30]), "a30", "user_hangup") is Verdict.WELL


def test_each_rest_in_a_row_is_twice_as_long_up_to_a_day() -> None:
    resting = number(["marked_as_spam"] * 3)
    spans = []
    for _ in range(8):
        resting = rested(resting, NOW)
        assert resting.rests_until is not None
        spans.append(resting.rests_until - NOW)
    assert spans[:3] == [REST, 2 * REST, 4 * REST]
    assert spans[-1] == LONGEST_REST
    assert resting.reason is not None
    assert resting.reason.code == "from_number_blocked"


def test_while_it_rests_nothing_goes_and_then_one_call_at_a_time() -> None:
    resting = rested(number(["marked_as_spam"] * 3), NOW)
    rest = resting.rest(NOW + REST - MINUTE)
    assert rest is not None
    assert rest.until == NOW + REST
    assert not resting.is_tried(NOW + REST - MINUTE)
    assert resting.is_tried(NOW + REST)
    assert resting.rest(NOW + REST) is None
    probed = resting.model_copy(update={"probe": Probe(attempt_id="p", until=NOW + REST + MINUTE)})
    assert probed.rest(NOW + REST) is not None
    assert probed.rest(NOW + REST + MINUTE) is None


@pytest.mark.parametrize(
    ("attempt_id", "reason", "verdict"),
    [
        ("p", "dial_no_answer", Verdict.WELL),
        ("p", "marked_as_spam", Verdict.REST),
        ("p", "error_retell", Verdict.TRY_ON),
        ("placed before", "marked_as_spam", Verdict.UNCHANGED),
        ("placed before", "user_hangup", Verdict.UNCHANGED),
    ],
)
def test_only_the_one_call_decides_whether_it_rests_on(attempt_id: str, reason: str, verdict: Verdict) -> None:
    tried = number(["marked_as_spam"] * 3, rests=1, rests_until=NOW, probe=Probe(attempt_id="p", until=NOW + MINUTE))
    assert breaker(tried, attempt_id, reason) is verdict
