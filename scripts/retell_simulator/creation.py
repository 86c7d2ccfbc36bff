"""POST /v2/create-phone-call, from the raw body to the reply (retell.md §2, §3.5, §7.2).

Everything here is synchronous: two requests with the same idempotency key can never both create a call.
"""

from dataclasses import dataclass

from scripts.retell_simulator.calls import Call, JsonObject
from scripts.retell_simulator.errors import SERVER_ERROR, Refused, error_body
from scripts.retell_simulator.ledger import CreateResult
from scripts.retell_simulator.outcomes import Outcome
from scripts.retell_simulator.rendering import render_created
from scripts.retell_simulator.replies import Reply, encode, refused_reply
from scripts.retell_simulator.simulator import Simulator
from scripts.retell_simulator.validation import parse_json_object, validate_create

_OVER_LIMIT = Outcome(disconnection_reason="concurrency_limit_reached", ring_seconds=0)


@dataclass(slots=True)
class _Request:
    """One request on its way; `body` is None until it could be read."""

    body: JsonObject | None = None
    known: Call | None = None
    over_limit: bool = False


def create_phone_call(simulator: Simulator, authorization: str | None, raw: bytes) -> Reply:
    """Decide, act and write it down."""
    request = _Request()
    try:
        simulator.check_access(authorization, creating=True)
        request.body = parse_json_object(raw)
        validate_create(request.body, simulator.knobs)
        request.known = _find_known(simulator, request.body)
        if request.known is None:
            _check_assets(simulator, request.body)
            request.over_limit = _check_limits(simulator)
    except Refused as refusal:
        body = _readable(raw) if request.body is None else request.body
        simulator.ledger.add(body, "rejected", refusal.status_code, error=refusal.message)
        return refused_reply(refusal, simulator.knobs)
    return _fulfil(simulator, request.body, request)


def _readable(raw: bytes) -> JsonObject | None:
    """The body of a request refused before it was read, for the record."""
    try:
        return parse_json_object(raw)
    except Refused:
        return None


def _find_known(simulator: Simulator, body: JsonObject) -> Call | None:
    found = simulator.idempotency.find(body, simulator.knobs.idempotency_window_seconds)
    if found is None:
        return None
    call, same_body = found
    if not same_body and simulator.knobs.idempotency_conflict == "400":
        raise Refused(400, "idempotency_key was already used with a different request.")
    return call


def _check_assets(simulator: Simulator, body: JsonObject) -> None:
    knobs, from_number = simulator.knobs, body["from_number"]
    if knobs.owned_numbers and from_number not in knobs.owned_numbers:
        raise Refused(404, f"Item {from_number} not found from phone-number")
    agent_id = simulator.agent_for(body)
    if agent_id is None:
        raise Refused(400, "No outbound agent id set up for phone number.")
    if knobs.known_agents and agent_id not in knobs.known_agents:
        raise Refused(knobs.unknown_agent_status)
    if body.get("honor_internal_dnc", False) and simulator.is_do_not_call(body["to_number"]):
        raise Refused(400, "The contact is on the do not call list.")


def _check_limits(simulator: Simulator) -> bool:
    """Raise 429, or return whether the call must fail as `concurrency_limit_reached` (§7.2)."""
    knobs = simulator.knobs
    if knobs.cps_limit is not None and simulator.calls.created_within(1.0) >= knobs.cps_limit:
        raise Refused(429)
    outbound = max(0, knobs.concurrency_limit - knobs.reserved_inbound_concurrency)
    over = knobs.concurrency_limit > 0 and simulator.calls.live_count() >= outbound
    if over and knobs.over_limit == "http_429":
        raise Refused(429)
    return over


def _fulfil(simulator: Simulator, body: JsonObject, request: _Request) -> Reply:
    """Create or find the call, unless a fault comes first; then answer, unless a fault spoils it."""
    fault = simulator.draw_create_fault(body["to_number"])
    kind = "none" if fault is None else fault.kind
    call = request.known
    created = call is None and kind not in ("timeout_before", "500_before")
    if created:
        call = simulator.place_call(body, _OVER_LIMIT if request.over_limit else None)
    reply = _reply(simulator, call, kind, replayed=not created)
    result: CreateResult = "created" if created else "replayed"
    simulator.ledger.add(
        body,
        "faulted" if kind != "none" else result,
        None if reply.hang else reply.status_code,
        call_id=None if call is None else call.call_id,
        call_created=created,
        fault=None if kind == "none" else kind,
    )
    return reply


def _reply(simulator: Simulator, call: Call | None, kind: str, *, replayed: bool) -> Reply:
    if call is None or kind.startswith(("timeout", "500")):
        hang = kind.startswith("timeout")
        return Reply(504 if hang else 500, encode(error_body(500, SERVER_ERROR)), hang=hang)
    body = encode(render_created(call, simulator.knobs))
    status_code = simulator.knobs.replay_status if replayed else 201
    if kind == "malformed_201":
        return Reply(201, body[: len(body) // 2])
    return Reply(status_code, body)
