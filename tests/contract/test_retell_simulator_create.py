"""POST /v2/create-phone-call: what is accepted, refused, limited, repeated and spoiled."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from scripts.retell_simulator.app import build_app
from scripts.retell_simulator.clock import ManualClock
from tests.contract.conftest import FROM, KEY, TO, Driver

AGENT = {
    "ring_duration_ms": 25_000,
    "max_call_duration_ms": 180_000,
    "voice_id": "v1",
    "voice_speed": 0.95,
    "voice_temperature": 1,
    "volume": 1.5,
    "language": "es-419",
    "voicemail_option": {"action": {"type": "hangup"}},
    "timezone": "America/Santiago",
}


async def test_the_example_of_the_contract_is_accepted(retell: Driver) -> None:
    metadata, variables = {"attempt_id": "camp7:row19:try1"}, {"nombre": "Ana", "monto": "12990"}
    reply = await retell.post_create(
        override_agent_id="agent_x",
        override_agent_version=3,
        idempotency_key="camp7:row19:try1",
        metadata=metadata,
        retell_llm_dynamic_variables=variables,
        agent_override={"agent": AGENT, "retell_llm": {"begin_message": "Hola, ¿hablo con {{nombre}}?"}},
    )
    assert reply.status_code == 201
    body = reply.json()
    assert body.pop("call_id").startswith("call_")
    assert body == {
        "call_type": "phone_call",
        "call_status": "registered",
        "agent_id": "agent_x",
        "agent_version": 3,
        "direction": "outbound",
        "from_number": FROM,
        "to_number": TO,
        "metadata": metadata,
        "retell_llm_dynamic_variables": variables,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"to_number": ...},
        {"to_number": ""},
        {"to_number": None},
        {"to_number": "56912345678"},
        {"to_number": "+56 9 1234 5678"},
        {"to_number": "+56-912345678"},
        {"to_number": "+0912345678"},
        {"to_number": "+1234567890123456"},
        {"to_number": FROM},
        {"from_number": ...},
        {"from_number": "14157774444"},
        {"to_number": "56912345678", "ignore_e164_validation": True},
        {"retell_llm_dynamic_variables": {"monto": 12990}},
        {"retell_llm_dynamic_variables": {"monto": None}},
        {"retell_llm_dynamic_variables": None},
        {"metadata": "x"},
        {"metadata": None},
        {"override_agent_id": ""},
        {"override_agent_version": -1},
        {"override_agent_version": "Version One"},
        {"custom_sip_headers": {"Foo": "1"}},
        {"honor_internal_dnc": "yes"},
        {"idempotency_key": 7},
        {"agent_override": {"retell_llm": {"begin_message": 1}}},
        {"agent_override": {"retell_llm": {"start_speaker": "nobody"}}},
        {"agent_override": {"conversation_flow": {"start_speaker": "nobody"}}},
        {"agent_override": []},
    ],
)
async def test_malformed_requests_are_400(retell: Driver, fields: dict[str, Any]) -> None:
    assert (await retell.post_create(**fields)).status_code == 400
    assert (await retell.summary())["calls_created"] == 0


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("ring_duration_ms", 5000, 300_000),
        ("max_call_duration_ms", 60_000, 7_200_000),
        ("voice_speed", 0.5, 2),
        ("voice_temperature", 0, 2),
        ("volume", 0, 2),
        ("begin_message_delay_ms", 0, 5000),
        ("interruption_sensitivity", 0, 1),
        ("responsiveness", 0, 1),
        ("backchannel_frequency", 0, 1),
        ("denoising_enhancement_level", 0, 1),
        ("ambient_sound_volume", 0, 2),
        ("data_storage_retention_days", 1, 730),
    ],
)
async def test_bounds_of_the_overrides(retell: Driver, field: str, low: float, high: float) -> None:
    step = 1 if isinstance(low, int) and field.endswith(("_ms", "_days")) else 0.01
    for value, expected in ((low, 201), (high, 201), (low - step, 400), (high + step, 400)):
        assert (await retell.create_with_agent(**{field: value})).status_code == expected, value
    assert (await retell.create_with_agent(**{field: str(low)})).status_code == 400
    assert (await retell.create_with_agent(**{field: True})).status_code == 400


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ({"language": "es-419"}, 201),
        ({"language": ["es-419", "en-US"]}, 201),
        ({"language": "es-CL"}, 400),
        ({"language": ["es-419", "es-MX"]}, 400),
        ({"language": []}, 400),
        ({"language": "multi"}, 400),
        ({"language": None}, 400),
        ({"voice_model": None}, 201),
        ({"voice_model": "sonic-3"}, 201),
        ({"voice_model": "sonic-99"}, 400),
        ({"voicemail_option": None}, 201),
        ({"voicemail_option": {"action": {"type": "static_text", "text": "Adiós"}}}, 201),
        ({"voicemail_option": {"action": {"type": "prompt"}}}, 400),
        ({"voicemail_option": {"action": {"type": "sing"}}}, 400),
        ({"voicemail_option": {}}, 400),
        ({"voicemail_option": {"action": {"type": "hangup"}, "detection_prompt": "x" * 2001}}, 400),
        ({"ivr_option": {"action": {"type": "hangup"}}}, 201),
        ({"ivr_option": {"action": {"type": "prompt"}}}, 400),
        ({"call_screening_option": {"agent_identity": "Ana"}}, 400),
        ({"end_call_after_silence_ms": 9999}, 400),
        ({"end_call_after_silence_ms": 10_000}, 201),
        ({"ring_duration_ms": None}, 400),
        ({"ring_duration_ms": 25_000.5}, 400),
        ({"webhook_url": None}, 201),
        ({"stt_mode": "psychic"}, 400),
        ({"ambient_sound": "jungle"}, 400),
        ({"response_engine": {"type": "retell-llm", "llm_id": "x"}}, 201),
    ],
)
async def test_values_of_the_overrides(retell: Driver, agent: dict[str, Any], expected: int) -> None:
    assert (await retell.create_with_agent(**agent)).status_code == expected


NOT_JSON = f'{{"from_number":"{FROM}","to_number":"{TO}","metadata":{{"a":NaN}}}}'.encode()


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', NOT_JSON, b"\xff"])
async def test_a_body_that_is_no_json_object_is_400(retell: Driver, raw: bytes) -> None:
    assert (await retell.http.post("/v2/create-phone-call", content=raw)).status_code == 400
    assert [record["result"] for record in await retell.creates()] == ["rejected"]


async def test_ignore_e164_validation_spares_from_number_only(retell: Driver) -> None:
    assert (await retell.post_create(from_number="555", ignore_e164_validation=True)).status_code == 201


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule": "now"},
        {"agent_override": {"voice": {}}},
        {"agent_override": {"agent": {"pitch": 0}}},
        {"agent_override": {"agent": {"voice_emotion": "calm"}}},
        {"agent_override": {"retell_llm": {"general_prompt": "x"}}},
        {"agent_override": {"conversation_flow": {"begin_message": "x"}}},
    ],
)
async def test_unknown_keys_pass_unless_the_knob_says_no(retell: Driver, fields: dict[str, Any]) -> None:
    assert (await retell.post_create(**fields)).status_code == 201
    await retell.knobs(unknown_keys="reject")
    assert (await retell.post_create(**fields)).status_code == 400
    assert (await retell.create_with_agent(**AGENT)).status_code == 201


async def test_schema_errors_come_in_two_bodies(retell: Driver) -> None:
    live = (await retell.post_create(from_number="")).json()
    assert live == {"error_message": "request/body/from_number must NOT have fewer than 1 characters"}
    await retell.knobs(schema_error_body="message")
    documented = (await retell.create_with_agent(ring_duration_ms=1)).json()
    path = "request/body/agent_override/agent/ring_duration_ms"
    assert documented == {"status": "error", "message": f"{path} must be >= 5000"}


async def test_a_wrong_key_is_401_and_still_recorded(retell: Driver) -> None:
    for headers in ({"Authorization": "Bearer nope"}, {"Authorization": KEY}, {"Authorization": ""}):
        body = {"from_number": FROM, "to_number": TO}
        reply = await retell.http.post("/v2/create-phone-call", json=body, headers=headers)
        assert reply.status_code == 401
        assert reply.json() == {"status": "error", "message": "API key is missing or invalid."}
        assert (await retell.http.get("/get-concurrency", headers=headers)).status_code == 401
    assert [record["status_code"] for record in await retell.creates(to_number=TO)] == [401] * 3


@pytest.mark.parametrize(
    ("state", "create", "read"), [(402, 402, 200), ("402", 402, 200), (401, 401, 401), (403, 403, 403)]
)
async def test_account_states(retell: Driver, state: object, create: int, read: int) -> None:
    call_id = await retell.create()
    await retell.knobs(account_state=state)
    assert (await retell.post_create()).status_code == create
    assert (await retell.http.get(f"/v2/get-call/{call_id}")).status_code == read
    await retell.knobs(account_state="ok")
    assert (await retell.post_create()).status_code == 201


async def test_numbers_and_agents_that_are_not_ours(retell: Driver) -> None:
    await retell.knobs(owned_numbers=[FROM], known_agents=["agent_a"], bound_agent_id=None)
    assert (await retell.post_create()).status_code == 400
    assert (await retell.post_create(override_agent_id="agent_a")).status_code == 201
    assert (await retell.post_create(override_agent_id="agent_b")).status_code == 422
    await retell.knobs(unknown_agent_status=404)
    assert (await retell.post_create(override_agent_id="agent_b")).status_code == 404
    unowned = await retell.post_create(from_number="+14150000000", override_agent_id="agent_a")
    assert unowned.status_code == 404
    assert unowned.json()["message"] == "Item +14150000000 not found from phone-number"


async def test_do_not_call_is_honoured_only_when_asked(retell: Driver) -> None:
    await retell.knobs(do_not_call=[TO])
    assert (await retell.post_create()).status_code == 201
    assert (await retell.post_create(honor_internal_dnc=True)).status_code == 400


async def test_asking_not_to_be_called_puts_the_contact_on_the_list(retell: Driver) -> None:
    await retell.script("user_requested_dnc")
    await retell.create(honor_internal_dnc=True)
    assert (await retell.post_create(honor_internal_dnc=True)).status_code == 201, "the first has not ended yet"
    retell.clock.advance(60)
    assert (await retell.post_create(honor_internal_dnc=True)).status_code == 400


async def test_metadata_can_be_limited(retell: Driver) -> None:
    await retell.knobs(metadata_limit_bytes=20)
    assert (await retell.post_create(metadata={"a": "x" * 10})).status_code == 201
    assert (await retell.post_create(metadata={"a": "x" * 20})).status_code == 400


async def test_over_the_concurrency_limit_http_429(retell: Driver) -> None:
    await retell.knobs(concurrency_limit=2, retry_after_seconds=1.5)
    await retell.create()
    await retell.create()
    refused = await retell.post_create()
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1.5"
    retell.clock.advance(50.999)
    assert (await retell.post_create()).status_code == 429
    retell.clock.advance(0.001)
    assert (await retell.post_create()).status_code == 201
    assert (await retell.summary())["peak_simultaneous"] == 2


async def test_over_the_concurrency_limit_error_call(retell: Driver) -> None:
    await retell.knobs(concurrency_limit=1, over_limit="error_call")
    await retell.script("dial_busy", "user_hangup")
    await retell.create()
    call = await retell.get(await retell.create())
    assert call["call_status"] == "error"
    assert call["disconnection_reason"] == "concurrency_limit_reached"
    assert (await retell.summary())["peak_simultaneous"] == 1
    retell.clock.advance(60)
    later = await retell.at(await retell.create(), 60)
    assert later["disconnection_reason"] == "user_hangup", "the refused call took nothing from the script"


async def test_no_concurrency_limit(retell: Driver) -> None:
    await retell.knobs(concurrency_limit=0)
    for _ in range(30):
        await retell.create()
    assert (await retell.http.get("/get-concurrency")).json()["current_concurrency"] == 30


async def test_the_default_limit_is_twenty(retell: Driver) -> None:
    statuses = [(await retell.post_create()).status_code for _ in range(21)]
    assert statuses == [201] * 20 + [429]


async def test_calls_per_second_are_counted_in_real_seconds(retell: Driver) -> None:
    await retell.knobs(cps_limit=2)
    retell.clock.speed = 60
    assert [(await retell.post_create()).status_code for _ in range(3)] == [201, 201, 429]
    retell.clock.advance_real(0.99)
    assert (await retell.post_create()).status_code == 429
    retell.clock.advance_real(0.02)
    assert (await retell.post_create()).status_code == 201


async def test_the_same_key_is_the_same_call_for_an_hour(retell: Driver) -> None:
    first = await retell.post_create(idempotency_key="k", metadata={"attempt_id": "a"})
    retell.clock.advance_real(3600)
    again = await retell.post_create(idempotency_key="k", metadata={"attempt_id": "a"})
    assert (again.status_code, again.json()) == (201, first.json())
    retell.clock.advance_real(0.01)
    assert await retell.create(idempotency_key="k", metadata={"attempt_id": "a"}) != first.json()["call_id"]
    assert [record["result"] for record in await retell.creates()] == ["created", "replayed", "created"]
    assert [record["call_created"] for record in await retell.creates()] == [True, False, True]
    assert list((await retell.summary())["duplicate_attempt_ids"]) == ["a"]


async def test_the_idempotency_window_is_real_time_at_any_speed(retell: Driver) -> None:
    retell.clock.speed = 60
    call_id = await retell.create(idempotency_key="k")
    retell.clock.advance_real(3599)
    assert await retell.create(idempotency_key="k") == call_id


async def test_calls_without_a_key_are_separate(retell: Driver) -> None:
    assert await retell.create() != await retell.create()


async def test_the_same_key_with_another_body(retell: Driver) -> None:
    call_id = await retell.create(idempotency_key="k")
    assert (await retell.post_create(idempotency_key="k", metadata={"a": 1})).status_code == 400
    await retell.knobs(idempotency_conflict="replay", replay_status=200)
    replayed = await retell.post_create(idempotency_key="k", metadata={"a": 1})
    assert (replayed.status_code, replayed.json()["call_id"]) == (200, call_id)
    assert (await retell.summary())["calls_created"] == 1


async def test_concurrent_duplicates_make_one_call(retell: Driver) -> None:
    await retell.knobs(reply_delay_seconds=0.01)
    ids = await asyncio.gather(*(retell.create(idempotency_key="k") for _ in range(20)))
    assert len(set(ids)) == 1
    assert (await retell.summary())["calls_created"] == 1


async def test_a_repeat_is_answered_even_over_the_limit(retell: Driver) -> None:
    await retell.knobs(concurrency_limit=1, cps_limit=1)
    call_id = await retell.create(idempotency_key="k")
    assert await retell.create(idempotency_key="k") == call_id


@pytest.mark.parametrize(("kind", "created"), [("500_before", False), ("500_after", True)])
async def test_a_500_before_or_after_the_call_exists(retell: Driver, kind: str, created: bool) -> None:
    await retell.knobs(create_faults=[{"kind": kind, "count": 1}])
    assert (await retell.post_create(idempotency_key="k")).status_code == 500
    (record,) = await retell.creates()
    assert (record["result"], record["fault"], record["call_created"]) == ("faulted", kind, created)
    assert (record["call_id"] is not None) == created
    call_id = await retell.create(idempotency_key="k")
    assert (record["call_id"] == call_id) == created
    assert (await retell.summary())["calls_created"] == 1


async def test_a_malformed_201(retell: Driver) -> None:
    await retell.knobs(create_faults=[{"kind": "malformed_201", "count": 1}])
    reply = await retell.post_create(idempotency_key="k")
    assert reply.status_code == 201
    with pytest.raises(json.JSONDecodeError):
        reply.json()
    (record,) = await retell.creates()
    assert await retell.create(idempotency_key="k") == record["call_id"]


@pytest.mark.parametrize(("kind", "created"), [("timeout_before", 0), ("timeout_after", 1)])
async def test_a_request_left_hanging(retell: Driver, kind: str, created: int) -> None:
    await retell.knobs(create_faults=[{"kind": kind, "count": 1}])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(retell.post_create(idempotency_key="k"), 0.05)
    (record,) = await retell.creates()
    assert (record["result"], record["status_code"]) == ("faulted", None)
    assert (await retell.summary())["calls_created"] == created
    await retell.create(idempotency_key="k")
    assert (await retell.summary())["calls_created"] == 1


async def test_hanging_ends_after_its_time_or_with_the_simulator(retell: Driver) -> None:
    await retell.knobs(create_faults=[{"kind": "timeout_before"}], hang_seconds=0.01)
    assert (await retell.post_create()).status_code == 504
    await retell.knobs(hang_seconds=600)
    hanging = asyncio.create_task(retell.post_create())
    await asyncio.sleep(0.01)
    assert not hanging.done()
    retell.simulator.stopping.set()
    assert (await asyncio.wait_for(hanging, 5)).status_code == 504


async def test_hanging_ends_when_the_client_gives_up(retell: Driver) -> None:
    await retell.knobs(create_faults=[{"kind": "timeout_after"}])
    body = json.dumps({"from_number": FROM, "to_number": TO}).encode()
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_message: Any) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v2/create-phone-call",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {KEY}".encode())],
    }
    await asyncio.wait_for(build_app(retell.simulator)(scope, receive, send), 5)
    assert (await retell.summary())["calls_created"] == 1


async def test_faults_by_number_probability_and_kind(retell: Driver) -> None:
    await retell.knobs(create_faults=[{"kind": "none"}, {"kind": "500_before", "to_number": "+56900000000"}])
    assert (await retell.post_create()).status_code == 201
    assert (await retell.post_create(to_number="+56900000000")).status_code == 500
    await retell.knobs(create_faults=[{"kind": "500_before", "probability": 0.5}], concurrency_limit=0)
    statuses = [(await retell.post_create()).status_code for _ in range(200)]
    assert 60 < statuses.count(500) < 140


async def test_a_refused_request_uses_up_no_fault(retell: Driver) -> None:
    await retell.knobs(create_faults=[{"kind": "500_before", "count": 1}])
    assert (await retell.post_create(to_number="x")).status_code == 400
    assert (await retell.post_create()).status_code == 500
    assert (await retell.post_create()).status_code == 201


async def test_every_create_is_on_record(retell: Driver) -> None:
    retell.clock.advance_real(7)
    body = {"to_number": TO, "metadata": {"attempt_id": "a1"}, "idempotency_key": "k1"}
    call_id = await retell.create(**body)
    (record,) = await retell.creates()
    assert record == {
        "at": ManualClock().now() + 7,
        "idempotency_key": "k1",
        "to_number": TO,
        "from_number": FROM,
        "metadata": {"attempt_id": "a1"},
        "body": {"from_number": FROM, **body},
        "result": "created",
        "status_code": 201,
        "call_id": call_id,
        "call_created": True,
        "fault": None,
        "error": None,
    }


async def test_lone_surrogates_do_no_harm(retell: Driver) -> None:
    raw = f'{{"from_number":"{FROM}","to_number":"{TO}","metadata":{{"a":"\\ud800"}}}}'
    reply = await retell.http.post("/v2/create-phone-call", content=raw)
    assert reply.status_code == 201
    assert len(await retell.creates()) == 1


async def test_wrong_paths_and_methods(retell: Driver) -> None:
    unknown = await retell.http.get("/v2/nothing")
    assert (unknown.status_code, unknown.json()["status"]) == (404, "error")
    wrong: httpx.Response = await retell.http.get("/v2/create-phone-call")
    assert wrong.status_code == 405
