"""Reading, listing and stopping calls, and the small preflight reads."""

from typing import Any

import pytest

from tests.contract.conftest import FROM, TO, Driver

OTHER = "+56987654321"
IDENTITY = {
    "call_id",
    "call_type",
    "call_status",
    "agent_id",
    "agent_version",
    "direction",
    "from_number",
    "to_number",
}
TALK = {"transcript", "transcript_object", "transcript_with_tool_calls", "recording_url", "telephony_identifier"}
ENDING = {"end_timestamp", "duration_ms", "disconnection_reason", "public_log_url"}


async def test_each_field_has_its_moment(retell: Driver) -> None:
    call_id = await retell.create()
    created_ms = round(retell.clock.now() * 1000)
    assert set(await retell.at(call_id, 5.9)) == IDENTITY
    ongoing = await retell.at(call_id, 6)
    assert set(ongoing) == IDENTITY | {"start_timestamp"}
    assert ongoing["start_timestamp"] == created_ms + 6000
    ended = await retell.at(call_id, 51)
    assert set(ended) == IDENTITY | {"start_timestamp"} | ENDING | TALK
    assert ended["end_timestamp"] - ended["start_timestamp"] == ended["duration_ms"] == 45_000
    assert ended["call_status"] == "ended"
    assert "call_cost" not in await retell.at(call_id, 52.9)
    priced = await retell.at(call_id, 53)
    assert set(priced) == set(ended) | {"call_cost"}
    assert set(await retell.at(call_id, 56)) == set(priced) | {"call_analysis"}


async def test_time_runs_faster_at_speed_but_durations_do_not_shrink(retell: Driver) -> None:
    retell.clock.speed = 60
    call_id = await retell.create()
    created_ms = round(retell.clock.now() * 1000)
    retell.clock.advance_real(0.099)
    assert (await retell.get(call_id))["call_status"] == "registered"
    retell.clock.advance_real(0.002)
    assert (await retell.get(call_id))["call_status"] == "ongoing"
    retell.clock.advance_real(0.75)
    ended = await retell.get(call_id)
    assert (ended["duration_ms"], ended["start_timestamp"]) == (45_000, created_ms + 6000)


async def test_an_unconnected_call_has_no_talk_and_costs_nothing(retell: Driver) -> None:
    await retell.script("dial_busy")
    call = await retell.at(await retell.create(), 60)
    assert set(call) == IDENTITY | ENDING | {"call_cost", "call_analysis"}
    assert call["call_status"] == "not_connected"
    assert call["duration_ms"] == 0
    assert call["call_cost"] == {"combined_cost": 0, "product_costs": []}
    assert "custom_analysis_data" not in call["call_analysis"]


async def test_unconnected_calls_may_have_a_start(retell: Driver) -> None:
    await retell.script("dial_busy")
    await retell.knobs(start_timestamp_when_unconnected=True)
    call_id = await retell.create()
    assert "start_timestamp" not in await retell.at(call_id, 1)
    assert "start_timestamp" in await retell.at(call_id, 60)


async def test_costs_are_cents_and_cover_voicemail(retell: Driver) -> None:
    await retell.knobs(prices_cents_per_second={"voice": 0.1, "telephony": 0.02})
    await retell.script({"disconnection_reason": "voicemail_reached", "talk_seconds": 10.2})
    cost = (await retell.at(await retell.create(), 60))["call_cost"]
    assert cost == {
        "combined_cost": 1.32,
        "product_costs": [
            {"product": "voice", "unit_price": 0.1, "cost": 1.1},
            {"product": "telephony", "unit_price": 0.02, "cost": 0.22},
        ],
        "total_duration_seconds": 11,
        "total_duration_unit_price": 0.12,
    }


async def test_cost_and_analysis_may_never_come(retell: Driver) -> None:
    await retell.knobs(cost_delay_seconds=None, analysis_delay_seconds=None)
    assert set(await retell.at(await retell.create(), 10_000)).isdisjoint({"call_cost", "call_analysis"})


async def test_some_analyses_are_lost(retell: Driver) -> None:
    await retell.knobs(analysis_drop_rate=0.5, concurrency_limit=0)
    ids = [await retell.create() for _ in range(100)]
    retell.clock.advance(100)
    analysed = [call_id for call_id in ids if "call_analysis" in await retell.get(call_id)]
    assert 25 < len(analysed) < 75


async def test_what_was_said(retell: Driver) -> None:
    call_id = await retell.create(
        retell_llm_dynamic_variables={"nombre": "Ana"},
        agent_override={"retell_llm": {"begin_message": "Hola {{nombre}}, deuda {{ monto }}"}},
    )
    call = await retell.at(call_id, 60)
    assert call["transcript"].startswith("Agent: Hola Ana, deuda {{ monto }}\nUser: ")
    turns = call["transcript_object"]
    words = [word for turn in turns for word in turn["words"]]
    assert [turn["role"] for turn in turns[:2]] == ["agent", "user"]
    assert words[0]["start"] == 0
    assert words[-1]["end"] == pytest.approx(45, abs=0.01)


async def test_an_empty_begin_message_lets_the_user_speak_first(retell: Driver) -> None:
    call_id = await retell.create(agent_override={"retell_llm": {"begin_message": ""}})
    assert (await retell.at(call_id, 60))["transcript"].startswith("User: ")


async def test_outcome_details_reach_the_call(retell: Driver) -> None:
    await retell.script(
        {
            "disconnection_reason": "user_hangup",
            "user_speaks": False,
            "in_voicemail": True,
            "collected": {"promesa": "si"},
            "custom_analysis": {"monto": 10},
        }
    )
    call = await retell.at(await retell.create(), 60)
    assert "User:" not in call["transcript"]
    assert call["call_analysis"]["in_voicemail"] is True
    assert call["call_analysis"]["call_successful"] is False
    assert call["call_analysis"]["custom_analysis_data"] == {"monto": 10}
    assert call["collected_dynamic_variables"] == {"promesa": "si"}


async def test_the_request_sets_ring_time_talk_time_and_voicemail(retell: Driver) -> None:
    await retell.script("dial_no_answer", {"talk_seconds": 500}, "voicemail_reached")
    agent = {"ring_duration_ms": 10_000, "max_call_duration_ms": 60_000, "voicemail_option": None}
    calls = [await retell.create(agent_override={"agent": agent}) for _ in range(3)]
    await retell.at(calls[0], 9.9)
    assert (await retell.get(calls[0]))["call_status"] == "registered"
    retell.clock.advance(1000)
    ends = [await retell.get(call_id) for call_id in calls]
    reasons = [call["disconnection_reason"] for call in ends]
    assert reasons == ["dial_no_answer", "max_duration_reached", "agent_hangup"]
    assert ends[1]["duration_ms"] == 60_000
    assert ends[0]["end_timestamp"] == round(ends[1]["start_timestamp"] - 6000 + 10_000)


async def test_the_defaults_are_30_s_of_ringing_and_an_hour_of_talk(retell: Driver) -> None:
    await retell.script("dial_no_answer", "max_duration_reached")
    missed, long = await retell.create(), await retell.create()
    assert (await retell.at(missed, 29.9))["call_status"] == "registered"
    assert (await retell.at(missed, 30))["call_status"] == "not_connected"
    assert (await retell.at(long, 4000))["duration_ms"] == 3_600_000


async def test_extra_and_missing_keys(retell: Driver) -> None:
    await retell.knobs(extra_keys={"tool_calls": []}, missing_keys=["transcript", "call_cost"])
    call = await retell.at(await retell.create(), 60)
    assert call["tool_calls"] == []
    assert "recording_url" in call
    assert set(call).isdisjoint({"transcript", "call_cost"})


async def test_an_unknown_call_is_422(retell: Driver) -> None:
    for reply in (await retell.http.get("/v2/get-call/call_x"), await retell.http.post("/v2/stop-call/call_x")):
        assert reply.status_code == 422
        assert reply.json()["message"] == "Cannot find requested asset under given api key."


async def test_stopping_a_live_call(retell: Driver) -> None:
    call_id = await retell.create()
    await retell.at(call_id, 10)
    assert await retell.stop(call_id) == 204
    call = await retell.get(call_id)
    assert (call["call_status"], call["disconnection_reason"]) == ("ended", "manual_stopped")
    assert call["duration_ms"] == 4000
    assert (await retell.http.get("/get-concurrency")).json()["current_concurrency"] == 0
    assert await retell.stop(call_id) == 400
    await retell.knobs(stop_on_ended=422)
    assert await retell.stop(call_id) == 422


@pytest.mark.parametrize(
    ("behaviour", "status", "reason"),
    [("end", 204, "manual_stopped"), ("ignore", 204, "user_hangup"), ("reject", 400, "user_hangup")],
)
async def test_stopping_a_ringing_call(retell: Driver, behaviour: str, status: int, reason: str) -> None:
    await retell.knobs(stop_on_ringing=behaviour)
    call_id = await retell.create()
    assert await retell.stop(call_id) == status
    assert (await retell.at(call_id, 60))["disconnection_reason"] == reason


async def test_stuck_calls_stay_until_stopped(retell: Driver) -> None:
    await retell.script({"stuck": "ongoing"}, {"stuck": "registered"})
    talking, ringing = await retell.create(), await retell.create()
    assert (await retell.at(talking, 10**6))["call_status"] == "ongoing"
    assert (await retell.get(ringing))["call_status"] == "registered"
    assert (await retell.http.get("/get-concurrency")).json()["current_concurrency"] == 2
    assert await retell.stop(talking) == await retell.stop(ringing) == 204
    assert (await retell.get(talking))["call_status"] == "ended"


async def test_reads_can_fail(retell: Driver) -> None:
    call_id = await retell.create()
    await retell.knobs(read_faults=[{"status_code": 500, "count": 1}, {"status_code": 429, "count": 1}])
    statuses = [(await retell.http.get(f"/v2/get-call/{call_id}")).status_code for _ in range(3)]
    assert statuses == [500, 429, 200]


async def test_preflight_reads(retell: Driver) -> None:
    await retell.knobs(owned_numbers=[FROM], known_agents=["agent_a"], concurrency_limit=7)
    assert (await retell.http.get("/get-api-key-info")).json()["org_id"]
    assert (await retell.http.get("/get-agent/agent_a")).json()["agent_id"] == "agent_a"
    assert (await retell.http.get("/get-agent/agent_b")).status_code == 422
    assert (await retell.http.get(f"/get-phone-number/{FROM}")).json()["outbound_agent_id"] == "agent_simulator"
    assert (await retell.http.get(f"/get-phone-number/{TO}")).status_code == 404
    assert (await retell.http.get("/get-concurrency")).json()["concurrency_limit"] == 7


def metadata_is(value: str, key: str = "attempt_id") -> dict[str, Any]:
    return {"metadata": [{"type": "string", "op": "eq", "key": key, "value": value}]}


async def ids(retell: Driver, criteria: dict[str, Any], **query: Any) -> list[str]:
    page = await retell.list_calls(filter_criteria=criteria, **query)
    return [item["call_id"] for item in page["items"]]


async def test_a_call_is_found_again_by_metadata_and_number(retell: Driver) -> None:
    first = await retell.create(metadata={"attempt_id": "a1"})
    await retell.create(metadata={"attempt_id": "a2"})
    await retell.create(to_number=OTHER, metadata={"attempt_id": "a1"})
    to = {"to_number": {"type": "string", "op": "eq", "value": TO}}
    assert await ids(retell, metadata_is("a1") | to) == [first]
    assert len(await ids(retell, metadata_is("a1"))) == 2
    assert await ids(retell, metadata_is("a3")) == []
    assert await ids(retell, metadata_is("a1", key="other")) == []


async def test_list_filters(retell: Driver) -> None:
    await retell.script("user_hangup", "dial_busy", {"stuck": "ongoing"}, "error_retell")
    hangup, busy, stuck, error = [await retell.create() for _ in range(4)]
    retell.clock.advance(100)
    started = (await retell.get(hangup))["start_timestamp"]

    def one_of(*values: str) -> dict[str, Any]:
        return {"type": "enum", "op": "in", "value": list(values)}

    assert await ids(retell, {"call_status": one_of("ended")}) == [hangup]
    assert set(await ids(retell, {"call_status": one_of("ongoing", "error")})) == {stuck, error}
    assert await ids(retell, {"disconnection_reason": one_of("dial_busy", "user_declined")}) == [busy]
    assert await ids(retell, {"call_id": {"type": "string", "op": "eq", "value": busy}}) == [busy]
    assert await ids(retell, {"direction": one_of("inbound")}) == []
    assert len(await ids(retell, {"direction": one_of("outbound")})) == 4
    assert await ids(retell, {"duration_ms": {"type": "number", "op": "gt", "value": 1000}}) == [hangup]
    assert await ids(retell, {"combined_cost": {"type": "number", "op": "gt", "value": 0}}) == [hangup]
    between = {"type": "range", "op": "bt", "value": [started, started]}
    assert set(await ids(retell, {"start_timestamp": between})) == {hangup, stuck}, "never started: excluded"
    between["value"] = [started + 1, started + 10**6]
    assert await ids(retell, {"start_timestamp": between}) == []


@pytest.mark.parametrize(
    "query",
    [
        {"filter_criteria": {"call_status": {"type": "enum", "op": "in", "value": ["registered"]}}},
        {"filter_criteria": {"to_number": [TO]}},
        {"filter_criteria": {"metadata.attempt_id": ["a1"]}},
        {"filter_criteria": {"metadata": [{"type": "string", "op": "eq", "value": "a1"}]}},
        {"filter_criteria": {"to_number": {"type": "string", "op": "like", "value": TO}}},
        {"limit": 0},
        {"limit": 1001},
        {"skip": 1, "pagination_key": "x"},
        {"pagination_key": "x"},
        {"sort_order": "up"},
    ],
)
async def test_bad_list_queries_are_400(retell: Driver, query: dict[str, Any]) -> None:
    assert (await retell.http.post("/v3/list-calls", json=query)).status_code == 400


async def test_pages_cover_every_call_once_in_order(retell: Driver) -> None:
    await retell.knobs(concurrency_limit=0)
    created = []
    for _ in range(7):
        created.append(await retell.create())
        retell.clock.advance(1)
    retell.clock.advance(60)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = await retell.list_calls(**query)
        seen += [item["call_id"] for item in page["items"]]
        if not page["has_more"]:
            break
        query["pagination_key"] = page["pagination_key"]
    assert seen == created[::-1]
    assert await ids(retell, {}, sort_order="ascending", skip=2, limit=2) == created[2:4]
    assert (await retell.list_calls(include_total=True))["total"] == 7
    assert "total" not in await retell.list_calls()


async def test_the_page_limit_is_fifty(retell: Driver) -> None:
    await retell.knobs(concurrency_limit=0)
    for _ in range(51):
        await retell.create()
    page = await retell.list_calls()
    assert (len(page["items"]), page["has_more"]) == (50, True)


async def test_list_items_have_no_transcripts(retell: Driver) -> None:
    await retell.create()
    retell.clock.advance(60)
    (item,) = (await retell.list_calls())["items"]
    assert set(item).isdisjoint({"transcript", "transcript_object", "transcript_with_tool_calls"})
    assert {"call_cost", "disconnection_reason", "recording_url"} <= set(item)


async def test_the_list_may_lag_and_hide_calls(retell: Driver) -> None:
    await retell.knobs(list_lag_seconds=10)
    await retell.create()
    retell.clock.advance(9.9)
    assert await ids(retell, {}) == []
    retell.clock.advance(0.1)
    assert len(await ids(retell, {})) == 1

    await retell.knobs(list_lag_seconds=0, list_registered=False, list_not_connected=False)
    await retell.script("dial_busy")
    await retell.create()
    assert len(await ids(retell, {})) == 1, "still registered: hidden"
    retell.clock.advance(5)
    assert len(await ids(retell, {})) == 1, "not connected: hidden"
    await retell.knobs(list_not_connected=True)
    assert len(await ids(retell, {})) == 2
