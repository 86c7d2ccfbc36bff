"""Webhooks: what is sent, when, signed how, and how it goes wrong."""

import hashlib
import hmac
import re

import httpx
import pytest

from scripts.retell_simulator.signature import sign
from tests.contract.conftest import KEY, TO, Driver

URL = "http://cadencia.test/webhooks/retell"


@pytest.fixture
async def hooked(retell: Driver) -> Driver:
    await retell.knobs(webhooks={"url": URL, "retry_spacing_seconds": 0})
    return retell


def verify(request: httpx.Request, now_ms: float) -> bool:
    """The receiver's side of retell.md §8.1, written from the text and not from the simulator."""
    found = re.fullmatch(r"v=(\d+),d=([0-9a-f]{64})", request.headers["X-Retell-Signature"])
    assert found is not None
    digest = hmac.new(KEY.encode(), request.content + found[1].encode(), hashlib.sha256).hexdigest()
    return abs(now_ms - int(found[1])) <= 300_000 and hmac.compare_digest(digest, found[2])


def test_the_signature_is_the_one_of_the_test_vector() -> None:
    body = '{"event":"call_ended","call":{"call_id":"call_ñ"}}'.encode()
    digest = "a115faab1916d2b9b75f8a6bfc91df6aa0f4f8697d97507d8e97b71b585481b1"
    assert sign("key_test", body, 1_700_000_000_000) == f"v=1700000000000,d={digest}"


async def test_three_events_each_at_its_time(hooked: Driver) -> None:
    call_id = await hooked.create(metadata={"attempt_id": "a1"})
    assert await hooked.webhooks_until(5.9) == []
    (started,) = await hooked.webhooks_until(0.1)
    assert (started["event"], started["call"]["call_status"]) == ("call_started", "ongoing")
    (ended,) = await hooked.webhooks_until(45)
    assert (ended["event"], ended["call"]["call_id"]) == ("call_ended", call_id)
    assert ended["call"]["metadata"] == {"attempt_id": "a1"}
    assert ended["call"]["disconnection_reason"] == "user_hangup"
    assert ended["event_timestamp"] == ended["call"]["end_timestamp"]
    assert "call_analysis" not in ended["call"]
    (analyzed,) = await hooked.webhooks_until(5)
    assert (analyzed["event"], analyzed["call"]["call_analysis"]["in_voicemail"]) == ("call_analyzed", False)
    assert await hooked.webhooks_until(1000) == []


async def test_a_late_delivery_shows_the_moment_of_the_event(hooked: Driver) -> None:
    await hooked.create()
    payloads = await hooked.webhooks_until(1000)
    assert [payload["event"] for payload in payloads] == ["call_started", "call_ended", "call_analyzed"]
    assert payloads[0]["call"]["call_status"] == "ongoing"
    assert "call_analysis" not in payloads[1]["call"]


async def test_call_ended_never_carries_the_analysis(hooked: Driver) -> None:
    await hooked.knobs(analysis_delay_seconds=0, cost_delay_seconds=0)
    await hooked.create()
    _started, ended, analyzed = await hooked.webhooks_until(1000)
    assert "call_analysis" not in ended["call"]
    assert "call_cost" in ended["call"]
    assert "call_analysis" in analyzed["call"]


async def test_webhooks_are_signed_over_the_raw_body_in_real_time(hooked: Driver) -> None:
    hooked.clock.speed = 60
    await hooked.create(metadata={"nombre": "Íñigo"})
    await hooked.webhooks_until(1000)
    assert "Íñigo".encode() in hooked.received[0].content
    assert all(verify(request, hooked.clock.now() * 1000) for request in hooked.received)


async def test_signatures_can_be_wrong(hooked: Driver) -> None:
    await hooked.knobs(webhooks={"bad_signature_rate": 1})
    await hooked.create()
    await hooked.webhooks_until(1000)
    assert len(hooked.received) == 3
    assert not any(verify(request, hooked.clock.now() * 1000) for request in hooked.received)


async def test_an_unconnected_call_never_started(hooked: Driver) -> None:
    await hooked.script("dial_busy")
    await hooked.create()
    assert [payload["event"] for payload in await hooked.webhooks_until(60)] == ["call_ended", "call_analyzed"]


async def test_the_calls_own_target_wins(hooked: Driver) -> None:
    await hooked.create_with_agent(webhook_url="http://other.test/x", webhook_events=["call_ended"])
    await hooked.create_with_agent(webhook_url=None)
    await hooked.webhooks_until(1000)
    assert [str(request.url) for request in hooked.received] == ["http://other.test/x"]


async def test_without_a_url_nothing_is_sent(retell: Driver) -> None:
    await retell.create()
    assert await retell.webhooks_until(1000) == []


async def test_events_and_delay(hooked: Driver) -> None:
    await hooked.knobs(webhooks={"events": ["call_ended"], "delay_seconds": 30})
    await hooked.create()
    assert await hooked.webhooks_until(80.9) == []
    assert len(await hooked.webhooks_until(0.1)) == 1


async def test_drop_duplicate_and_lost_analysis(hooked: Driver) -> None:
    await hooked.knobs(webhooks={"duplicate_rate": 1}, analysis_drop_rate=1)
    await hooked.create()
    events = [payload["event"] for payload in await hooked.webhooks_until(1000)]
    assert events == ["call_started", "call_started", "call_ended", "call_ended"]
    await hooked.knobs(webhooks={"duplicate_rate": 0, "drop_rate": 1})
    await hooked.create()
    assert await hooked.webhooks_until(1000) == []
    log = (await hooked.http.get("/simulator/webhooks")).json()["webhooks"]
    assert [entry["result"] for entry in log] == ["delivered"] * 4 + ["dropped"] * 2


async def test_reordering_brings_the_end_after_the_analysis(hooked: Driver) -> None:
    await hooked.knobs(webhooks={"reorder_rate": 1, "reorder_hold_seconds": 60})
    await hooked.create()
    events = [payload["event"] for payload in await hooked.webhooks_until(1000)]
    assert events == ["call_analyzed", "call_started", "call_ended"]


async def test_three_retries_then_no_more(hooked: Driver) -> None:
    await hooked.knobs(webhooks={"events": ["call_ended"]})
    await hooked.create()
    hooked.webhook_answers = [500, 404]
    assert len(await hooked.webhooks_until(60)) == 3
    await hooked.create()
    hooked.webhook_answers = [500] * 10
    assert len(await hooked.webhooks_until(60)) == 4
    log = (await hooked.http.get("/simulator/webhooks")).json()["webhooks"]
    outcomes = [(entry["result"], entry["attempts"], entry["status_code"]) for entry in log]
    assert outcomes == [("delivered", 3, 204), ("failed", 4, 500)]


async def test_nobody_answers(hooked: Driver) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    hooked.simulator.webhooks.transport = httpx.MockTransport(refuse)
    await hooked.knobs(webhooks={"retries": 0, "events": ["call_ended"]})
    await hooked.create()
    await hooked.webhooks_until(60)
    (entry,) = (await hooked.http.get("/simulator/webhooks")).json()["webhooks"]
    assert (entry["result"], entry["status_code"]) == ("failed", None)


async def test_stopping_moves_the_end(hooked: Driver) -> None:
    call_id = await hooked.create()
    await hooked.webhooks_until(10)
    assert await hooked.stop(call_id) == 204
    (ended,) = await hooked.webhooks_until(0)
    assert (ended["event"], ended["call"]["disconnection_reason"]) == ("call_ended", "manual_stopped")
    assert [payload["event"] for payload in await hooked.webhooks_until(5)] == ["call_analyzed"]
    assert await hooked.webhooks_until(1000) == [], "what was planned for the old ending has lapsed"


async def test_reset_forgets_what_was_due(hooked: Driver) -> None:
    await hooked.create(to_number=TO)
    await hooked.http.post("/simulator/reset")
    assert await hooked.webhooks_until(1000) == []
