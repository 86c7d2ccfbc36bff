"""Our client against the simulated Retell, over real HTTP; and against answers that only a broken one would give."""

import asyncio
import contextlib
import json
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import uvicorn

from app.domain.calls import CallOrder, CallReport, CallStatus
from app.domain.provider_errors import (
    Ambiguous,
    CallUnknown,
    ConfigurationRejected,
    NotPlaced,
    NumberRejected,
    ProviderError,
    ProviderUnavailable,
    ProviderUnreachable,
    Throttled,
)
from app.integrations.retell import http as http_module
from app.integrations.retell.client import RetellClient
from app.integrations.retell.reports import UnreadableCall, report_of
from scripts.retell_simulator.app import build_app
from scripts.retell_simulator.clock import ManualClock
from scripts.retell_simulator.number_scripts import NumberScripts
from scripts.retell_simulator.outcomes import Outcome
from scripts.retell_simulator.server import bind, url_of
from scripts.retell_simulator.simulator import Simulator
from tests.builders import FakeTime
from tests.contract.wire import Request, Wire, reply, serving_raw

KEY = "key_3f9a1c_very_secret"
TO = "+56912345678"


class Retell:
    """The simulator behind a real port, its time standing still, and clients of it."""

    def __init__(self, simulator: Simulator, clock: ManualClock, url: str, stack: contextlib.AsyncExitStack) -> None:
        self.simulator, self.clock, self.url = simulator, clock, url
        self.stack = stack

    def client(self, key: str = KEY, url: str | None = None, timeout: float = 10) -> RetellClient:
        client = RetellClient(
            url or self.url, key, FakeTime(), create_timeout=timeout, read_timeout=timeout, max_connections=10
        )
        self.stack.push_async_callback(client.aclose)
        return client

    def knobs(self, **changes: Any) -> None:
        self.simulator.knobs = self.simulator.knobs.patched(changes)

    @property
    def calls(self) -> int:
        return len(self.simulator.calls)


@contextlib.asynccontextmanager
async def serving(simulator: Simulator) -> AsyncIterator[str]:
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        build_app(simulator), log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="off"
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment] # signals are pytest's
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield url_of(listener)
    finally:
        simulator.stopping.set()
        server.should_exit = True
        await task


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Simulator, ManualClock, str]]:
    clock = ManualClock()
    simulator = Simulator(api_key=KEY, clock=clock, seed=1)
    async with serving(simulator) as url:
        yield simulator, clock, url


@pytest.fixture
async def retell(served: tuple[Simulator, ManualClock, str]) -> AsyncIterator[Retell]:
    """A Retell without calls that refuses what it does not know."""
    simulator, clock, url = served
    simulator.reset()
    simulator.numbers = NumberScripts(1)
    async with contextlib.AsyncExitStack() as stack:
        retell = Retell(simulator, clock, url, stack)
        retell.knobs(unknown_keys="reject", bound_agent_id="agent_bound")
        yield retell


def order(**changes: Any) -> CallOrder:
    values: dict[str, Any] = {
        "attempt_id": "attempt-1",
        "job_id": "batch-1-000001",
        "batch_id": "batch-1",
        "account_id": "acc-1",
        "from_number": "+56225550100",
        "to_number": TO,
        "agent_id": "agent_x",
        "ring_seconds": 25,
        "max_duration_seconds": 180,
        "voice_id": "retell-Ana",
        "voice_speed": 0.95,
        "volume": 1.5,
        "language": "es-CL",
        "timezone": "America/Santiago",
        "variables": {"nombre": "Ana Ñandú", "script": 'Hola "Ana"'},
    }
    return CallOrder.model_validate(values | changes)


async def failure(attempt: Any) -> ProviderError:
    """The error that this ends in; nothing of it, or of what caused it, may show the key."""
    with pytest.raises(ProviderError) as caught:
        await attempt
    assert_keeps_the_key_secret(caught.value)
    return caught.value


def assert_keeps_the_key_secret(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    assert KEY not in shown


async def answering(retell: Retell, answer: bytes | Callable[[Request], bytes], key: str = KEY) -> RetellClient:
    """A client whose every request is answered so."""

    async def handle(wire: Wire, request: Request) -> None:
        wire.write(answer if isinstance(answer, bytes) else answer(request))

    return retell.client(key, url=(await retell.stack.enter_async_context(serving_raw(handle))).url)


# The request ------------------------------------------------------------------------------------------------------

BODY = (
    '{"from_number":"+56225550100","to_number":"+56912345678","idempotency_key":"attempt-1","honor_internal_dnc":true,'
    '"metadata":{"attempt_id":"attempt-1","job_id":"batch-1-000001","batch_id":"batch-1","account_id":"acc-1"},'
    '"retell_llm_dynamic_variables":{"nombre":"Ana Ñandú","script":"Hola \\"Ana\\""},'
    '"agent_override":{"agent":{"ring_duration_ms":25000,"max_call_duration_ms":180000,"voice_speed":0.95,'
    '"volume":1.5,"language":"es-419","timezone":"America/Santiago","voice_id":"retell-Ana"}},'
    '"override_agent_id":"agent_x"}'
)


def test_the_body_of_an_order_is_this_to_the_byte(retell: Retell) -> None:
    assert retell.client().request_body(order()) == BODY


def test_the_same_order_always_gives_the_same_body(retell: Retell) -> None:
    client = retell.client()
    assert {client.request_body(order()) for _ in range(20)} == {BODY}


async def test_the_body_arrives_as_it_is_and_is_accepted(retell: Retell) -> None:
    report = await retell.client().place(BODY)
    (record,) = retell.simulator.ledger.records
    assert (record.result, record.status_code, record.body) == ("created", 201, json.loads(BODY))
    assert (report.status, report.attempt_id) == (CallStatus.REGISTERED, "attempt-1")
    assert retell.simulator.calls.get(report.call_id) is not None


async def test_what_is_not_set_is_not_sent(retell: Retell) -> None:
    client = retell.client()
    body = json.loads(client.request_body(order(agent_id=None, voice_id=None)))
    assert "override_agent_id" not in body
    assert "voice_id" not in body["agent_override"]["agent"]
    await client.place(json.dumps(body))


@pytest.mark.parametrize(("ring", "longest"), [(5, 60), (300, 7200)])
async def test_the_extremes_of_ring_time_and_duration_are_sent_and_accepted(
    retell: Retell, ring: int, longest: int
) -> None:
    client = retell.client()
    report = await client.place(client.request_body(order(ring_seconds=ring, max_duration_seconds=longest)))
    call = retell.simulator.calls.get(report.call_id)
    assert call is not None
    assert call.override["ring_duration_ms"] == ring * 1000
    assert call.override["max_call_duration_ms"] == longest * 1000


async def test_the_ring_time_is_what_the_phone_rings(retell: Retell) -> None:
    retell.simulator.numbers.set({TO: [Outcome(disconnection_reason="dial_no_answer")]})
    client = retell.client()
    call_id = (await client.place(client.request_body(order(ring_seconds=17)))).call_id
    retell.clock.advance(16.9)
    assert (await client.get(call_id)).status is CallStatus.REGISTERED
    retell.clock.advance(0.2)
    assert (await client.get(call_id)).status is CallStatus.NOT_CONNECTED


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("es-CL", "es-419"),
        ("es-MX", "es-419"),
        ("es", "es-419"),
        ("ES-cl", "es-419"),
        ("es-419", "es-419"),
        ("es-ES", "es-ES"),
        ("pt-BR", "pt-BR"),
        ("en-US", "en-US"),
    ],
)
async def test_a_language_becomes_one_that_retell_has(retell: Retell, ours: str, theirs: str) -> None:
    client = retell.client()
    body = client.request_body(order(language=ours))
    assert json.loads(body)["agent_override"]["agent"]["language"] == theirs
    await client.place(body)


async def test_the_same_body_again_is_the_same_call(retell: Retell) -> None:
    client = retell.client()
    first, second = await client.place(BODY), await client.place(BODY)
    assert first.call_id == second.call_id
    assert retell.calls == 1


async def test_another_attempt_is_another_call(retell: Retell) -> None:
    client = retell.client()
    first = await client.place(BODY)
    second = await client.place(client.request_body(order(attempt_id="attempt-2")))
    assert first.call_id != second.call_id
    assert retell.calls == 2


# What an answer to a create means ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "created"),
    [
        ("timeout_before", 0),
        ("timeout_after", 1),
        ("500_before", 0),
        ("500_after", 1),
        ("malformed_201", 1),
    ],
)
async def test_an_answer_that_is_none_is_ambiguous_and_asked_for_once(retell: Retell, kind: str, created: int) -> None:
    retell.knobs(create_faults=[{"kind": kind}])
    error = await failure(retell.client(timeout=0.3).place(BODY))
    assert type(error) is Ambiguous
    assert len(retell.simulator.ledger.records) == 1
    assert retell.calls == created


async def test_a_refused_connection_means_that_nothing_was_sent(retell: Retell) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error = await failure(retell.client(url=f"http://127.0.0.1:{port}").place(BODY))
    assert type(error) is ProviderUnreachable


async def test_an_unresolvable_host_means_that_nothing_was_sent(retell: Retell) -> None:
    error = await failure(retell.client(url="http://retell.invalid").place(BODY))
    assert type(error) is ProviderUnreachable


async def test_a_connection_that_is_never_accepted_means_that_nothing_was_sent(
    retell: Retell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "CONNECT_SECONDS", 0.2)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with contextlib.ExitStack() as queue:
            for _ in range(4):
                waiting = queue.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            error = await failure(retell.client(url=f"http://127.0.0.1:{full.getsockname()[1]}").place(BODY))
    assert type(error) is ProviderUnreachable


async def test_waiting_for_a_free_connection_means_that_nothing_was_sent(
    retell: Retell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "CONNECT_SECONDS", 0.2)
    retell.knobs(create_faults=[{"kind": "timeout_before"}])
    client = RetellClient(retell.url, KEY, FakeTime(), create_timeout=0.8, read_timeout=0.8, max_connections=1)
    first = asyncio.create_task(failure(client.place(BODY)))
    async with asyncio.timeout(60):
        while not retell.simulator.ledger.records:  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.005)
    second = await failure(client.place(BODY))
    assert type(second) is ProviderUnreachable
    assert type(await first) is Ambiguous
    await client.aclose()
    assert len(retell.simulator.ledger.records) == 1


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, None), (7, 7), (2.5, 2.5), (3600, 60), (0, None)])
async def test_a_429_is_throttling_with_what_the_provider_asks_for(
    retell: Retell, retry_after: float | None, seconds: float | None
) -> None:
    retell.knobs(concurrency_limit=1, over_limit="http_429", retry_after_seconds=retry_after)
    client = retell.client()
    await client.place(BODY)
    error = await failure(client.place(client.request_body(order(attempt_id="attempt-2"))))
    assert type(error) is Throttled
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Wed, 03 Jun 2026 15:00:30 GMT", 30),
        ("Wed, 03 Jun 2026 15:00:30 -0000", 30),
        ("Wed, 03 Jun 2026 17:00:30 +0200", 30),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 60),
    ],
)
async def test_retry_after_may_be_a_date(retell: Retell, text: str, seconds: float) -> None:
    """The client's time stands at 2026-06-03 15:00 UTC."""
    client = await answering(retell, reply(429, headers={"Retry-After": text}))
    assert (await failure(client.place(BODY))).retry_after == seconds
    assert (await failure(client.get("call-1"))).retry_after == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "-5", "soon", "", "Wed, 03 Jun 2026 14:59:59 GMT", "Wed, 33 Jun 2026"])
async def test_a_strange_retry_after_is_none(retell: Retell, text: str) -> None:
    client = await answering(retell, reply(429, headers={"Retry-After": text}))
    error = await failure(client.place(BODY))
    assert (type(error), error.retry_after) == (Throttled, None)


@pytest.mark.parametrize("state", [402, 403])
async def test_a_closed_account_is_a_matter_of_configuration(retell: Retell, state: int) -> None:
    retell.knobs(account_state=state)
    assert type(await failure(retell.client().place(BODY))) is ConfigurationRejected


async def test_a_wrong_key_is_a_matter_of_configuration(retell: Retell) -> None:
    assert type(await failure(retell.client("key_other").place(BODY))) is ConfigurationRejected


async def test_a_from_number_that_is_not_ours_is_a_matter_of_configuration(retell: Retell) -> None:
    retell.knobs(owned_numbers=["+14155550100"])
    error = await failure(retell.client().place(BODY))
    assert type(error) is ConfigurationRejected
    assert error.detail.startswith("404 ")


@pytest.mark.parametrize("status", [404, 422])
async def test_an_unknown_agent_is_a_matter_of_configuration(retell: Retell, status: int) -> None:
    retell.knobs(known_agents=["agent_y"], unknown_agent_status=status)
    assert type(await failure(retell.client().place(BODY))) is ConfigurationRejected


async def test_a_number_without_agent_is_a_matter_of_configuration(retell: Retell) -> None:
    retell.knobs(bound_agent_id=None)
    client = retell.client()
    error = await failure(client.place(client.request_body(order(agent_id=None))))
    assert type(error) is ConfigurationRejected
    assert error.detail == "400 No outbound agent id set up for phone number."


@pytest.mark.parametrize("variant", ["error_message", "message"])
async def test_a_400_about_the_request_is_a_matter_of_configuration(retell: Retell, variant: str) -> None:
    retell.knobs(schema_error_body=variant)
    client = retell.client()
    error = await failure(client.place(client.request_body(order(voice_speed=9))))
    assert type(error) is ConfigurationRejected
    assert "voice_speed must be <= 2" in error.detail


@pytest.mark.parametrize("number", ["912345678", "+56 9 1234 5678"])
async def test_a_400_about_the_number_rejects_the_number(retell: Retell, number: str) -> None:
    client = retell.client()
    error = await failure(client.place(client.request_body(order(to_number=number))))
    assert type(error) is NumberRejected


async def test_a_400_for_a_contact_that_is_not_to_be_called_rejects_the_number(retell: Retell) -> None:
    retell.knobs(do_not_call=[TO])
    body = json.loads(BODY) | {"honor_internal_dnc": True}
    assert type(await failure(retell.client().place(json.dumps(body)))) is NumberRejected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, ConfigurationRejected) for status in (400, 401, 402, 403, 404, 413, 422, 451)),
        (429, Throttled),
        *((status, Ambiguous) for status in (302, 304, 408, 409, 425, 500, 501, 502, 503, 504, 520, 599)),
    ],
)
async def test_only_a_clear_no_is_a_no(retell: Retell, status: int, kind: type[ProviderError]) -> None:
    error = await failure((await answering(retell, reply(status, b"<html>nope</html>"))).place(BODY))
    assert type(error) is kind
    assert isinstance(error, NotPlaced) == (400 <= status < 500 and status not in {408, 409, 425})


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"7", b"{}", b'{"call_id":"call_1"}', b"\xff\xfe", b'{"call_id":"","call_status":']
)
@pytest.mark.parametrize("status", [200, 201, 204])
async def test_a_yes_that_cannot_be_read_is_ambiguous(retell: Retell, status: int, content: bytes) -> None:
    error = await failure((await answering(retell, reply(status, content))).place(BODY))
    assert type(error) is Ambiguous


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_readable_yes_is_a_yes(retell: Retell, status: int) -> None:
    client = await answering(retell, reply(status, b'{"call_id": "call_1", "call_status": "registered"}'))
    assert (await client.place(BODY)).call_id == "call_1"


# Questions --------------------------------------------------------------------------------------------------------


async def test_a_call_is_followed_to_its_end(retell: Retell) -> None:
    client = retell.client()
    call_id = (await client.place(BODY)).call_id
    retell.clock.advance(600)
    report = await client.get(call_id)
    assert (report.status, report.disconnection_reason) == (CallStatus.ENDED, "user_hangup")
    assert (report.seconds, report.billed_seconds) == (45, 45)
    assert report.cost_cents == Decimal("9.7500015")
    assert (report.user_spoke, report.in_voicemail) == (True, False)
    assert report.started_at is not None
    assert report.ended_at is not None
    assert (report.ended_at - report.started_at).total_seconds() == 45
    assert report.is_complete


@pytest.mark.parametrize("call_id", ["call_unknown", "../get-agent/x", "a/b", "a?b#c", "ñ", "\x00\n"])
async def test_a_call_that_retell_does_not_know_is_unknown(retell: Retell, call_id: str) -> None:
    assert type(await failure(retell.client().get(call_id))) is CallUnknown


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_retells_other_words_for_an_unknown_call_are_understood(retell: Retell, status: int) -> None:
    assert type(await failure((await answering(retell, reply(status))).get("call_1"))) is CallUnknown


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failed_question_tells_nothing(retell: Retell, status: int) -> None:
    client = retell.client()
    call_id = (await client.place(BODY)).call_id
    retell.knobs(read_faults=[{"status_code": status}])
    for question in (client.get(call_id), client.find("attempt-1", TO), client.stop(call_id)):
        assert type(await failure(question)) is ProviderUnavailable


async def test_a_question_can_be_throttled(retell: Retell) -> None:
    retell.knobs(read_faults=[{"status_code": 429}], retry_after_seconds=3)
    client = retell.client()
    for question in (client.get("call_1"), client.find("attempt-1", TO), client.stop("call_1")):
        error = await failure(question)
        assert (type(error), error.retry_after) == (Throttled, 3)


@pytest.mark.parametrize("status", [401, 402, 403, 418])
async def test_a_refused_question_tells_nothing(retell: Retell, status: int) -> None:
    assert type(await failure((await answering(retell, reply(status))).get("call_1"))) is ProviderUnavailable


@pytest.mark.parametrize("content", [b"null", b"[]", b"{", b"\xff", b'{"call_id":"call_1","call_status":"new"}'])
async def test_an_unreadable_answer_tells_nothing(retell: Retell, content: bytes) -> None:
    client = await answering(retell, reply(200, content))
    for question in (client.get("call_1"), client.find("attempt-1", TO)):
        assert type(await failure(question)) is ProviderUnavailable


async def test_a_call_is_found_by_its_attempt(retell: Retell) -> None:
    client = retell.client()
    placed = await client.place(BODY)
    await client.place(client.request_body(order(attempt_id="attempt-2")))
    (found,) = await client.find("attempt-1", TO)
    assert (found.call_id, found.attempt_id) == (placed.call_id, "attempt-1")
    assert await client.find("attempt-3", TO) == []
    assert await client.find("attempt-1", "+56900000000") == []


async def test_a_list_that_ignores_the_filter_does_not_give_another_attempts_call(retell: Retell) -> None:
    calls = [
        {"call_id": "call_1", "call_status": "ended", "metadata": {"attempt_id": "attempt-0"}},
        {"call_id": "call_2", "call_status": "ended"},
        {"call_id": "call_3", "call_status": "ended", "metadata": {"attempt_id": "attempt-1"}},
    ]
    client = await answering(retell, reply(200, json.dumps({"items": calls, "has_more": False}).encode()))
    assert [report.call_id for report in await client.find("attempt-1", TO)] == ["call_3"]


async def test_a_live_call_is_stopped(retell: Retell) -> None:
    client = retell.client()
    call_id = (await client.place(BODY)).call_id
    retell.clock.advance(10)
    await client.stop(call_id)
    report = await client.get(call_id)
    assert (report.status, report.disconnection_reason) == (CallStatus.ENDED, "manual_stopped")


@pytest.mark.parametrize("status", [400, 422])
async def test_stopping_a_call_that_is_over_is_no_error(retell: Retell, status: int) -> None:
    retell.knobs(stop_on_ended=status)
    client = retell.client()
    call_id = (await client.place(BODY)).call_id
    retell.clock.advance(600)
    await client.stop(call_id)


async def test_a_deleted_call_is_gone_and_deleting_it_again_is_no_error(retell: Retell) -> None:
    client = retell.client()
    call_id = (await client.place(BODY)).call_id
    retell.clock.advance(600)
    assert await client.delete(call_id)
    assert type(await failure(client.get(call_id))) is CallUnknown
    assert await client.find("attempt-1", TO) == []
    assert not await client.delete(call_id)


async def test_a_refusal_to_delete_a_call_that_is_there_is_no_deletion(retell: Retell) -> None:
    there = reply(200, b'{"call_id": "call_1", "call_status": "ongoing"}')
    client = await answering(retell, lambda request: reply(422) if request.method == "DELETE" else there)
    assert type(await failure(client.delete("call_1"))) is ProviderUnavailable


# Call objects, read leniently -------------------------------------------------------------------------------------


async def test_keys_that_we_do_not_know_are_ignored(retell: Retell) -> None:
    retell.knobs(extra_keys={"tool_calls": [], "mood": {"deep": [None]}})
    client = retell.client()
    call_id = (await client.place(BODY)).call_id
    retell.clock.advance(600)
    assert (await client.get(call_id)).is_complete


OPTIONAL = [
    "metadata",
    "start_timestamp",
    "end_timestamp",
    "duration_ms",
    "disconnection_reason",
    "call_cost",
    "call_analysis",
    "transcript",
    "transcript_object",
    "recording_url",
    "public_log_url",
]


@pytest.mark.parametrize("missing", [*([key] for key in OPTIONAL), OPTIONAL])
async def test_a_missing_key_is_not_known_yet(retell: Retell, missing: list[str]) -> None:
    retell.knobs(missing_keys=missing)
    client = retell.client()
    call_id = (await client.place(BODY)).call_id
    retell.clock.advance(600)
    report = await client.get(call_id)
    assert report.is_over
    if "call_cost" in missing:
        assert (report.cost_cents, report.billed_seconds) == (None, None)
    if "transcript_object" in missing:
        assert report.user_spoke is (None if "transcript" in missing else True)


@pytest.mark.parametrize("key", ["call_id", "call_status"])
def test_without_id_or_status_it_is_no_call(key: str) -> None:
    call = {"call_id": "call_1", "call_status": "ended"}
    del call[key]
    with pytest.raises(UnreadableCall, match=key):
        report_of(call)


@pytest.mark.parametrize(
    "strange",
    [
        {"start_timestamp": 10**18},
        {"end_timestamp": -1},
        {"duration_ms": "long"},
        {"duration_ms": 12.5},
        {"call_cost": "free"},
        {"call_cost": {"combined_cost": float("nan"), "total_duration_seconds": float("inf")}},
        {"call_cost": {"total_duration_seconds": -3}},
        {"call_analysis": []},
        {"call_analysis": {"in_voicemail": "perhaps"}},
        {"metadata": {"attempt_id": 5}},
        {"metadata": "x"},
        {"transcript": {}},
        {"transcript_object": "x"},
        {"transcript_object": [1]},
        {"collected_dynamic_variables": []},
        {"disconnection_reason": 7},
        {"recording_url": 7},
    ],
)
def test_a_strange_value_is_taken_for_unknown_so_that_the_call_can_still_end(strange: dict[str, Any]) -> None:
    report = report_of({"call_id": "call_1", "call_status": "ended", **strange})
    nothing = CallReport(call_id="call_1", status=CallStatus.ENDED, analysis=strange.get("call_analysis") or None)
    assert report == nothing


def test_what_no_database_can_hold_is_replaced() -> None:
    half_an_emoji = json.loads('"\\ud83d"')
    report = report_of(
        {
            "call_id": "call_1",
            "call_status": "ended",
            "transcript": f"User: hola {half_an_emoji}",
            "call_analysis": {f"a{half_an_emoji}\0": [half_an_emoji, 2**63, -(2**63), 5, None, 1.5, True]},
        }
    )
    assert report.transcript == "User: hola ?"
    assert report.analysis == {"a?": ["?", str(2**63), str(-(2**63)), 5, None, 1.5, True]}


@pytest.mark.parametrize(
    ("call", "spoke"),
    [
        ({}, None),
        ({"transcript": ""}, False),
        ({"transcript": "Agent: Hola\nUser: sí\n"}, True),
        ({"transcript": "Agent: Hola\nUser:  \n"}, False),
        ({"transcript": "Agent: User: no"}, False),
        ({"transcript_object": []}, False),
        ({"transcript_object": [{"role": "agent", "content": "Hola"}]}, False),
        ({"transcript_object": [{"role": "user", "content": " "}]}, False),
        ({"transcript_object": [{"role": "user", "content": "sí"}]}, True),
        ({"transcript_object": [{"role": "user"}]}, False),
    ],
)
def test_who_spoke_is_read_from_the_transcript(call: dict[str, Any], spoke: bool | None) -> None:
    assert report_of({"call_id": "call_1", "call_status": "ended", **call}).user_spoke is spoke


def test_times_are_instants_and_costs_are_cents() -> None:
    report = report_of(
        {
            "call_id": "call_1",
            "call_status": "ended",
            "start_timestamp": 1_767_225_600_500,
            "duration_ms": 1500,
            "call_cost": {"combined_cost": 42.312, "total_duration_seconds": 2},
            "collected_dynamic_variables": {"a": 1, "b": None},
        }
    )
    assert report.started_at == datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert (report.seconds, report.billed_seconds, report.cost_cents) == (1.5, 2, Decimal("42.312"))
    assert report.collected_variables == {"a": "1"}


# The key ----------------------------------------------------------------------------------------------------------


async def test_the_key_travels_as_a_bearer_token_and_shows_nowhere(retell: Retell) -> None:
    seen: list[str] = []

    def answer(request: Request) -> bytes:
        seen.append(request.headers["authorization"])
        return reply(400, json.dumps({"message": f"bad header: {request.headers['authorization']}"}).encode())

    client = await answering(retell, answer)
    for attempt in (client.place(BODY), client.get("call_1")):
        error = await failure(attempt)
        assert "bad header: Bearer ***" in error.detail
    assert seen == [f"Bearer {KEY}"] * 2
    assert KEY not in repr(client)


@pytest.mark.parametrize("padded", [f"{KEY}\n", f" {KEY}", f"{KEY}\r\n"])
async def test_white_space_around_the_key_is_not_part_of_it(retell: Retell, padded: str) -> None:
    assert (await retell.client(padded).place(BODY)).call_id


@pytest.mark.parametrize("broken", [f"{KEY}\nX", f"{KEY}ñ", f"{KEY}\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(retell: Retell, broken: str) -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        retell.client(broken)
    assert_keeps_the_key_secret(caught.value)
