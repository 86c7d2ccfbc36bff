"""Signing, waiting and the guard of outgoing webhooks."""

import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.config import Settings
from app.domain.jobs import JobState
from app.domain.messages import Message
from app.domain.untold import Untold, as_it_was
from app.domain.webhooks import (
    LONGEST_REST,
    LONGEST_WAIT,
    MOST_TRIES,
    SHORTEST_REST,
    EventType,
    Webhook,
    WebhookSecret,
    is_address,
    is_public,
    may_be_public,
    rest_after_failing,
    secret_of,
    signature,
    wait_after,
)
from tests.builders import make_attempt, make_job, make_record, make_report

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_signature_of_the_reference_library() -> None:
    """Secret, id, time, body and signature of the standard-webhooks library's own test."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signed = signature([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=24, max_size=64), st.binary(min_size=24, max_size=64), st.binary(max_size=200))
def test_each_secret_signs(first: bytes, second: bytes, body: bytes) -> None:
    signed = signature([secret_of(first), secret_of(second)], "evt_1", 1700000000, body).split(" ")
    for key, one in zip((first, second), signed, strict=True):
        mac = hmac.digest(key, b"evt_1.1700000000." + body, "sha256")
        assert one == "v1," + b64encode(mac).decode()


def test_secrets_sign_until_they_end_and_are_not_shown() -> None:
    secrets = [secret_of(bytes([n]) * 32) for n in range(2)]
    webhook = Webhook(
        webhook_id="wh-1",
        account_id="acc-1",
        url="https://a.cl",
        event_types=[],
        secrets=[WebhookSecret(value=secrets[0]), WebhookSecret(value=secrets[1], until=NOW)],
        created_at=NOW,
        updated_at=NOW,
    )
    assert webhook.signing(NOW - timedelta(seconds=1)) == secrets
    assert webhook.signing(NOW) == secrets[:1]
    assert secrets[0] not in repr(webhook)
    assert b64decode(secrets[0].removeprefix("whsec_")) == bytes(32)


@given(st.floats(0, 1))
def test_tries_are_spread_over_about_a_day(jitter: float) -> None:
    waits = [wait_after(tried, jitter) for tried in range(1, MOST_TRIES)]
    assert all(wait is not None for wait in waits)
    total = sum((wait for wait in waits if wait is not None), timedelta())
    assert timedelta(hours=17) < total < timedelta(hours=30)
    assert waits[0] is not None
    assert waits[0] <= timedelta(seconds=6)
    assert wait_after(MOST_TRIES, jitter) is None


def test_the_receivers_wish_is_heard_within_reason() -> None:
    assert wait_after(1, 0.5, timedelta(minutes=10)) == timedelta(minutes=10)
    assert wait_after(1, 0.5, timedelta(seconds=1)) == wait_after(1, 0.5)
    assert wait_after(1, 0.5, timedelta(days=30)) == LONGEST_WAIT


def test_a_receiver_at_which_nothing_succeeds_is_left_alone_longer_and_longer() -> None:
    rests = [rest_after_failing(NOW, NOW + timedelta(seconds=seconds)) for seconds in (0, 60, 3600, 10**6)]
    assert rests == sorted(rests)
    assert (rests[0], rests[-1]) == (SHORTEST_REST, LONGEST_REST)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "fec0::1",
        "168.63.129.16",
        "192.0.0.192",
        "192.88.99.1",
    ],
)
def test_no_address_of_a_private_network(address: str) -> None:
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    assert not may_be_public(f"https://{host}/hook")


@pytest.mark.parametrize("address", ["8.8.8.8", "200.1.123.4", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_does_not_make_it_public(address: IPv4Address) -> None:
    assert is_public(ip_address(f"::ffff:{address}")) == is_public(address)
    assert not is_public(ip_address(f"64:ff9b::{address}"))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "db.internal", "nas.local", "mongo", "x.localhost", "a.lan"]
)
def test_names_that_say_they_are_private(host: str) -> None:
    assert not may_be_public(f"https://{host}/hook")


def test_a_name_of_the_internet() -> None:
    assert may_be_public("https://crm.empresaxyz.cl:8443/hook?x=1")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.cl/x",
        "https://",
        "https:///x",
        "a.cl",
        "https://user@a.cl/",
        "https://user:pass@a.cl/",
        "https://a.cl/#x",
        "https://a.cl:99999/",
        "https://a.cl:0/",
        "https://a.cl/ x",
        "https://a.cl\\@b.cl/",
        "https://á.cl/",
        "https://[::1/",
        "https://a.cl/\nx",
    ],
)
def test_what_is_no_address(url: str) -> None:
    assert not is_address(url)


@given(st.text(max_size=60))
def test_nothing_breaks_the_check(text: str) -> None:
    for url in (text, f"https://{text}", f"http://{text}/x"):
        if is_address(url):
            assert url.startswith(("http://", "https://")) or url.lower().startswith("http")
            may_be_public(url)


def test_a_job_is_told_as_it_was_when_it_happened() -> None:
    """The next call is in progress already when a crash lets the first be told late."""
    records = [make_record(attempt_id=f"a{n}", number=n) for n in (1, 2)]
    then, later = make_report(call_id="call-1"), make_report(call_id="call-2")
    now = make_job(
        state=JobState.IN_CALL, history=records, report=later, attempt=make_attempt(attempt_id="a3"), reason=None
    )
    why = Message(code="no_balance")
    event = Untold(
        event_id="call_finished_a1",
        type=EventType.CALL_FINISHED,
        at=NOW,
        state=JobState.PENDING,
        reason=why,
        attempt_id="a1",
        report=then,
    )
    was = as_it_was(now, event)
    assert (was.state, was.reason, was.attempt) == (JobState.PENDING, why, None)
    assert (was.report, was.history) == (then, records[:1])
    # What ended without a call keeps what is known of the calls before.
    cancelled = Untold(event_id="contact_final_1", type=EventType.CONTACT_FINAL, at=NOW, state=JobState.CANCELLED)
    assert (as_it_was(now, cancelled).report, as_it_was(now, cancelled).history) == (later, records)


def test_no_delivery_leaves_the_log_before_its_last_try() -> None:
    asking_for_the_longest = [wait_after(tried, 1, LONGEST_WAIT) for tried in range(1, MOST_TRIES)]
    longest = sum((wait + LONGEST_REST for wait in asking_for_the_longest if wait), timedelta())
    shortest = {"mongodb_uri": "mongodb://h", "webhook_log_days": 3}
    assert longest < timedelta(days=Settings.model_validate(shortest).webhook_log_days)
    with pytest.raises(ValidationError, match="webhook_log_days"):
        Settings.model_validate(shortest | {"webhook_log_days": 2})
