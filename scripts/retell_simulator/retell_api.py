"""Retell's own endpoints (retell.md §1): HTTP in, HTTP out."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scripts.retell_simulator.calls import Call, JsonObject
from scripts.retell_simulator.creation import create_phone_call
from scripts.retell_simulator.errors import Refused, error_body
from scripts.retell_simulator.listing import list_calls
from scripts.retell_simulator.rendering import render_call
from scripts.retell_simulator.replies import Reply, encode, refused_reply
from scripts.retell_simulator.simulator import Simulator
from scripts.retell_simulator.validation import parse_json_object

Handler = Callable[[Request], Awaitable[Response]]
_Action = Callable[[Simulator, Request], Awaitable[JsonObject | None]]
_BASE_CONCURRENCY_IF_UNLIMITED = 100_000


def simulator_of(request: Request) -> Simulator:
    """The simulator behind this app."""
    simulator: Simulator = request.app.state.simulator
    return simulator


def json_response(body: object, status_code: int = 200) -> Response:
    """Compact JSON."""
    return Response(encode(body), status_code, media_type="application/json")


async def create(request: Request) -> Response:
    """POST /v2/create-phone-call."""
    simulator = simulator_of(request)
    raw = await request.body()
    reply = create_phone_call(simulator, request.headers.get("authorization"), raw)
    if reply.hang:
        await _hang(request, simulator)
    else:
        await _delay(simulator)
    return _http(reply)


def _endpoint(action: _Action, *, faults: bool = True) -> Handler:
    """Wrap an action with the key check, the read faults, the reply delay and Retell's error bodies."""

    async def handle(request: Request) -> Response:
        simulator = simulator_of(request)
        await _delay(simulator)
        try:
            simulator.check_access(request.headers.get("authorization"))
            fault = simulator.draw_read_fault() if faults else None
            if fault is not None:
                raise Refused(fault.status_code)
            body = await action(simulator, request)
        except Refused as refusal:
            return _http(refused_reply(refusal, simulator.knobs))
        return Response(status_code=204) if body is None else json_response(body)

    return handle


async def _get_call(simulator: Simulator, request: Request) -> JsonObject:
    call = _call(simulator, request)
    return render_call(call, simulator.clock.elapsed_ms(call.created_at), simulator.knobs)


async def _list_calls(simulator: Simulator, request: Request) -> JsonObject:
    raw = await request.body()
    return list_calls(parse_json_object(raw or b"{}"), simulator.calls, simulator.clock, simulator.knobs)


async def _stop_call(simulator: Simulator, request: Request) -> None:
    simulator.stop_call(_call(simulator, request))


async def _delete_call(simulator: Simulator, request: Request) -> None:
    simulator.calls.remove(_call(simulator, request))


async def _get_concurrency(simulator: Simulator, _request: Request) -> JsonObject:
    limit = simulator.knobs.concurrency_limit or _BASE_CONCURRENCY_IF_UNLIMITED
    return {
        "current_concurrency": simulator.calls.live_count(),
        "concurrency_limit": limit,
        "base_concurrency": limit,
        "purchased_concurrency": 0,
        "concurrency_purchase_limit": 100,
        "remaining_purchase_limit": 100,
        "reserved_inbound_concurrency": simulator.knobs.reserved_inbound_concurrency,
        "concurrency_burst_enabled": False,
        "concurrency_burst_limit": 0,
    }


async def _get_api_key_info(_simulator: Simulator, _request: Request) -> JsonObject:
    return {"org_id": "org_simulator", "org_name": "Retell simulator", "api_key_name": "simulator"}


async def _get_agent(simulator: Simulator, request: Request) -> JsonObject:
    agent_id, knobs = request.path_params["agent_id"], simulator.knobs
    if knobs.known_agents and agent_id not in knobs.known_agents:
        raise Refused(knobs.unknown_agent_status)
    return {
        "agent_id": agent_id,
        "version": 0,
        "is_published": True,
        "agent_name": "Simulated agent",
        "response_engine": {"type": "retell-llm", "llm_id": "llm_simulator", "version": 0},
        "voice_id": "retell-simulator",
        "language": "es-419",
        "ring_duration_ms": 30_000,
        "max_call_duration_ms": 3_600_000,
        "last_modification_timestamp": 1_767_225_600_000,
    }


async def _get_phone_number(simulator: Simulator, request: Request) -> JsonObject:
    number, knobs = request.path_params["number"], simulator.knobs
    if knobs.owned_numbers and number not in knobs.owned_numbers:
        raise Refused(404, f"Item {number} not found from phone-number")
    view: JsonObject = {
        "phone_number": number,
        "phone_number_type": "custom",
        "phone_number_pretty": number,
        "last_modification_timestamp": 1_767_225_600_000,
    }
    if knobs.allowed_outbound_countries:
        view["allowed_outbound_country_list"] = knobs.allowed_outbound_countries
    if knobs.bound_agent_id is None:
        return view
    agents = [{"agent_id": knobs.bound_agent_id, "weight": 1, "agent_version": 0}]
    return view | {"outbound_agent_id": knobs.bound_agent_id, "outbound_agents": agents}


async def not_found(_request: Request, _error: Exception) -> Response:
    """Any other path."""
    return json_response(error_body(404), 404)


def _call(simulator: Simulator, request: Request) -> Call:
    """The call of the path, or the 422 that Retell answers for an unknown id (§4)."""
    call = simulator.calls.get(request.path_params["call_id"])
    if call is None:
        raise Refused(422)
    return call


def _http(reply: Reply) -> Response:
    return Response(reply.body, reply.status_code, reply.headers, media_type="application/json")


async def _delay(simulator: Simulator) -> None:
    seconds = simulator.knobs.reply_delay_seconds
    if seconds > 0:
        await asyncio.wait([stop := asyncio.ensure_future(simulator.stopping.wait())], timeout=seconds)
        stop.cancel()


async def _hang(request: Request, simulator: Simulator) -> None:
    """Hold the request until the client gives up, the simulator stops or `hang_seconds` (real) are over."""
    ways_out = [asyncio.ensure_future(simulator.stopping.wait()), asyncio.ensure_future(_gone(request))]
    try:
        timeout = simulator.knobs.hang_seconds
        await asyncio.wait(ways_out, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way_out in ways_out:
            way_out.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


ROUTES = [
    Route("/v2/create-phone-call", create, methods=["POST"]),
    Route("/v2/get-call/{call_id}", _endpoint(_get_call), methods=["GET"]),
    Route("/v3/list-calls", _endpoint(_list_calls), methods=["POST"]),
    Route("/v2/stop-call/{call_id}", _endpoint(_stop_call), methods=["POST"]),
    Route("/v2/delete-call/{call_id}", _endpoint(_delete_call), methods=["DELETE"]),
    Route("/get-concurrency", _endpoint(_get_concurrency), methods=["GET"]),
    Route("/get-api-key-info", _endpoint(_get_api_key_info, faults=False), methods=["GET"]),
    Route("/get-agent/{agent_id}", _endpoint(_get_agent, faults=False), methods=["GET"]),
    Route("/get-phone-number/{number}", _endpoint(_get_phone_number, faults=False), methods=["GET"]),
]
