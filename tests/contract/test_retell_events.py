"""Retell's webhooks as we read them: whose they are (retell.md §8.1), and what they say."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.call_events import CallEvent, CallEventKind
from app.domain.errors import CadenciaError, InvalidInput, Unauthenticated, Unavailable
from app.integrations.retell.webhooks import RetellEvents, is_signed
from scripts.retell_simulator.signature import sign
from tests.contract.conftest import Driver

KEY = "key_test"
AT_MS = 1_700_000_000_000
AT = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=AT_MS)
VECTOR_BODY = '{"event":"call_ended","call":{"call_id":"call_ñ"}}'.encode()
VECTOR_DIGEST = "a115faab1916d2b9b75f8a6bfc91df6aa0f4f8697d97507d8e97b71b585481b1"
VECTOR = f"v={AT_MS},d={VECTOR_DIGEST}"


def milliseconds(count: int) -> timedelta:
    return timedelta(milliseconds=count)


def read(payload: Any, *, key: str = KEY) -> CallEvent | None:
    body = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    return RetellEvents(key).read(body, sign(KEY, body, AT_MS), AT)


def refusal(payload: Any) -> CadenciaError:
    with pytest.raises(CadenciaError) as caught:
        read(payload)
    return caught.value


# Whose it is -------------------------------------------------------------------------------------------------------


def test_the_test_vector_is_right() -> None:
    assert is_signed(KEY.encode(), VECTOR_BODY, VECTOR, AT)


@pytest.mark.parametrize(("off_by", "valid"), [(300_000, True), (300_001, False), (-300_000, True), (-300_001, False)])
def test_a_signature_holds_for_five_minutes_both_ways(off_by: int, valid: bool) -> None:
    assert is_signed(KEY.encode(), VECTOR_BODY, VECTOR, AT + milliseconds(off_by)) is valid


@pytest.mark.parametrize(
    "signature",
    [
        "",
        VECTOR.upper(),
        f"v={AT_MS},d={VECTOR_DIGEST.upper()}",
        f" {VECTOR}",
        f"{VECTOR}\n",
        f"{VECTOR},d={VECTOR_DIGEST}",
        f"v={AT_MS},d={VECTOR_DIGEST[:-1]}",
        f"v={AT_MS + 1},d={VECTOR_DIGEST}",
        f"v=,d={VECTOR_DIGEST}",
        f"v={'9' * 5000},d={VECTOR_DIGEST}",
        f"v=١٧٠٠٠٠٠٠٠٠٠٠٠,d={VECTOR_DIGEST}",
        VECTOR_DIGEST,
        # Of the body alone: the mistake that rejects every webhook (retell.md §8.1).
        f"v={AT_MS},d={hmac.new(KEY.encode(), VECTOR_BODY, hashlib.sha256).hexdigest()}",
    ],
)
def test_nothing_else_is_a_signature(signature: str) -> None:
    assert not is_signed(KEY.encode(), VECTOR_BODY, signature, AT)


def test_it_is_over_the_bytes_and_not_over_what_they_mean() -> None:
    assert not is_signed(KEY.encode(), json.dumps(json.loads(VECTOR_BODY)).encode(), VECTOR, AT)


def test_another_key_signs_differently() -> None:
    assert not is_signed(b"key_tesT", VECTOR_BODY, VECTOR, AT)


@given(body=st.binary(max_size=60), position=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_no_byte_can_be_changed(body: bytes, position: int, flip: int) -> None:
    signature = sign(KEY, body, AT_MS)
    assert is_signed(KEY.encode(), body, signature, AT)
    changed = bytearray(body or b"\0")
    changed[position % len(changed)] ^= flip
    assert not is_signed(KEY.encode(), bytes(changed), signature, AT)


def test_an_unsigned_body_is_not_even_read() -> None:
    with pytest.raises(Unauthenticated):
        RetellEvents(KEY).read(b"no json", "", AT)


def test_while_the_key_is_being_changed_either_of_two_will_do() -> None:
    both = RetellEvents(f"key_new, {KEY}")
    assert both.read(VECTOR_BODY, VECTOR, AT) is not None
    assert both.read(VECTOR_BODY, sign("key_new", VECTOR_BODY, AT_MS), AT) is not None
    with pytest.raises(Unauthenticated):
        both.read(VECTOR_BODY, sign(f"key_new, {KEY}", VECTOR_BODY, AT_MS), AT)


@pytest.mark.parametrize("key", ["", "  ", " , "])
def test_without_a_key_nothing_can_be_said_of_it(key: str) -> None:
    """An empty key would make a signature that anybody can make."""
    with pytest.raises(Unavailable):
        RetellEvents(key).read(VECTOR_BODY, sign("", VECTOR_BODY, AT_MS), AT)


def test_white_space_around_the_key_is_not_part_of_it() -> None:
    assert RetellEvents(f" {KEY}\n").read(VECTOR_BODY, VECTOR, AT) is not None


# What it says ------------------------------------------------------------------------------------------------------


def test_an_event_names_the_call_and_the_attempt() -> None:
    event = read(
        {
            "event": "call_ended",
            "event_timestamp": AT_MS,
            "call": {
                "call_id": "call_ñ",
                "call_status": "ended",
                "metadata": {"attempt_id": "a1", "job_id": "j1", "batch_id": "b1"},
            },
        }
    )
    assert event is not None
    assert (event.kind, event.call_id) == (CallEventKind.CALL_ENDED, "call_ñ")
    assert (event.job_id, event.attempt_id) == ("j1", "a1")
    assert event.report is not None
    assert event.report.is_over


@pytest.mark.parametrize("kind", ["transcript_updated", "transfer_started", "something_new"])
def test_other_events_do_not_concern_us(kind: str) -> None:
    assert read({"event": kind, "call": {"call_id": "c"}}) is None


@pytest.mark.parametrize(
    "metadata", [..., None, "text", {}, {"attempt_id": 5, "job_id": ["j"]}, {"attempt_id": None, "job_id": {"$ne": 1}}]
)
def test_a_call_of_another_system_has_no_attempt(metadata: Any) -> None:
    call = {"call_id": "c", "call_status": "ended"} | ({} if metadata is ... else {"metadata": metadata})
    event = read({"event": "call_ended", "call": call})
    assert event is not None
    assert (event.job_id, event.attempt_id) == (None, None)


def test_a_call_that_cannot_be_read_is_still_a_hint() -> None:
    event = read({"event": "call_started", "call": {"call_id": "c", "call_status": "brand_new"}})
    assert event is not None
    assert event.report is None


def test_half_a_character_does_not_reach_the_database() -> None:
    event = read(b'{"event":"call_ended","call":{"call_id":"c\\ud83d","metadata":{"job_id":"j\\ud83d"}}}')
    assert event is not None
    assert (event.call_id, event.job_id) == ("c?", "j?")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'"call_ended"',
        {"call": {"call_id": "c"}},
        {"event": None, "call": {"call_id": "c"}},
        {"event": "call_ended"},
        {"event": "call_ended", "call": []},
        {"event": "call_ended", "call": {"call_id": ""}},
        {"event": "call_ended", "call": {"call_id": 5}},
    ],
)
def test_what_is_signed_and_no_event_is_wrong_input(payload: Any) -> None:
    error = refusal(payload)
    assert isinstance(error, InvalidInput)
    assert error.code == "webhook_unreadable"


async def test_what_the_simulator_sends_can_be_read(retell: Driver) -> None:
    await retell.knobs(webhooks={"url": "http://account.test"})
    url = "http://call.test/hooks"
    metadata = {"attempt_id": "a1", "job_id": "j1", "note": "¿Ñandú? 🎧"}
    reply = await retell.post_create(metadata=metadata, agent_override={"agent": {"webhook_url": url}})
    await retell.webhooks_until(1000)

    events = [
        RetellEvents(KEY).read(
            request.content,
            request.headers["X-Retell-Signature"],
            datetime.fromtimestamp(retell.clock.now(), UTC),
        )
        for request in retell.received
    ]

    assert [str(request.url) for request in retell.received] == [url] * 3, "the call's own address wins"
    assert [event and event.kind.value for event in events] == ["call_started", "call_ended", "call_analyzed"]
    assert {event and event.call_id for event in events} == {reply.json()["call_id"]}
    assert {event and event.attempt_id for event in events} == {"a1"}
