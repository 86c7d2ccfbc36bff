"""Call objects as Retell returns them: each field from the moment §4 gives for it.

Timestamps are the call's real creation instant plus simulated time, so `end - start == duration_ms` (a 90 s
talk is 90 000 ms at any speed), and a timestamp runs ahead of the real clock by one call's length at most.
"""

import math
from typing import Any

from scripts.retell_simulator.calls import Call, JsonObject
from scripts.retell_simulator.conversation import converse, transcript_object, transcript_text
from scripts.retell_simulator.knobs import Knobs
from scripts.retell_simulator.outcomes import CallStatus

TRANSCRIPT_KEYS = ("transcript", "transcript_object", "transcript_with_tool_calls")
"""What list-calls leaves out (§5)."""
_ECHOED = ("metadata", "retell_llm_dynamic_variables", "custom_sip_headers")
_FILES = "https://simulator.invalid"


def render_created(call: Call, knobs: Knobs) -> JsonObject:
    """The object of a create's 201: only what is known at registration (§12)."""
    return _finish(_identity(call, CallStatus.REGISTERED), knobs)


def render_call(call: Call, elapsed_ms: int, knobs: Knobs, *, analysis: bool = True) -> JsonObject:
    """The object this many simulated milliseconds after the call's creation."""
    plan = call.plan
    status = plan.status_at(elapsed_ms)
    view = _identity(call, status)
    started = start_timestamp(call, elapsed_ms, knobs)
    if started is not None:
        view["start_timestamp"] = started
    if plan.ended_after_ms is not None and elapsed_ms >= plan.ended_after_ms:
        view |= _ending(call)
        if plan.cost_after_ms is not None and elapsed_ms >= plan.cost_after_ms:
            view["call_cost"] = call_cost(call, knobs)
        if analysis and plan.analysis_after_ms is not None and elapsed_ms >= plan.analysis_after_ms:
            view["call_analysis"] = call_analysis(call)
    return _finish(view, knobs)


def start_timestamp(call: Call, elapsed_ms: int, knobs: Knobs) -> int | None:
    """Epoch ms of the answer, once there is one; on unconnected calls a knob decides ([?] in §3.4)."""
    answered, ended = call.plan.answered_after_ms, call.plan.ended_after_ms
    if answered is not None:
        return created_ms(call) + answered if elapsed_ms >= answered else None
    if knobs.start_timestamp_when_unconnected and ended is not None and elapsed_ms >= ended:
        return created_ms(call)
    return None


def end_timestamp(call: Call, elapsed_ms: int) -> int | None:
    """Epoch ms of the end, once it has ended."""
    ended = call.plan.ended_after_ms
    return created_ms(call) + ended if ended is not None and elapsed_ms >= ended else None


def created_ms(call: Call) -> int:
    """Epoch ms of the creation."""
    return round(call.created_at * 1000)


def call_cost(call: Call, knobs: Knobs) -> JsonObject:
    """`call_cost` in fractional US cents; unconnected calls cost nothing, voicemail does (§4)."""
    seconds = math.ceil(call.plan.talk_ms / 1000)
    if seconds == 0:
        return {"combined_cost": 0, "product_costs": []}
    prices = knobs.prices_cents_per_second
    return {
        "combined_cost": round(sum(prices.values()) * seconds, 7),
        "product_costs": [
            {"product": product, "unit_price": price, "cost": round(price * seconds, 7)}
            for product, price in prices.items()
        ],
        "total_duration_seconds": seconds,
        "total_duration_unit_price": round(sum(prices.values()), 7),
    }


def call_analysis(call: Call) -> JsonObject:
    """`call_analysis`; custom data only for calls that connected (§8)."""
    plan = call.plan
    talked = plan.answered_after_ms is not None
    analysis: JsonObject = {
        "call_summary": "The user talked with the agent." if plan.user_speaks else "Nobody talked with the agent.",
        "in_voicemail": plan.in_voicemail,
        "user_sentiment": "Neutral" if plan.user_speaks else "Unknown",
        "call_successful": plan.user_speaks and not plan.in_voicemail,
    }
    if talked:
        analysis["custom_analysis_data"] = plan.custom_analysis
    return analysis


def _identity(call: Call, status: CallStatus) -> JsonObject:
    request = call.request
    view: JsonObject = {
        "call_id": call.call_id,
        "call_type": "phone_call",
        "call_status": status.value,
        "agent_id": call.agent_id,
        "agent_version": call.agent_version,
        "direction": "outbound",
        "from_number": request["from_number"],
        "to_number": request["to_number"],
    }
    view |= {key: request[key] for key in _ECHOED if key in request}
    return view


def _ending(call: Call) -> JsonObject:
    plan = call.plan
    view: JsonObject = {
        "end_timestamp": created_ms(call) + (plan.ended_after_ms or 0),
        "duration_ms": plan.talk_ms,
        "disconnection_reason": plan.disconnection_reason,
        "public_log_url": f"{_FILES}/{call.call_id}/public.log",
    }
    if plan.answered_after_ms is None:
        return view
    return view | _talk(call)


def _talk(call: Call) -> JsonObject:
    plan = call.plan
    llm: dict[str, Any] = call.request.get("agent_override", {}).get("retell_llm", {})
    variables = call.request.get("retell_llm_dynamic_variables", {})
    turns = converse(llm.get("begin_message"), variables, user_speaks=plan.user_speaks)
    spoken = transcript_object(turns, plan.talk_ms)
    view: JsonObject = {
        "transcript": transcript_text(turns),
        "transcript_object": spoken,
        "transcript_with_tool_calls": spoken,
        "recording_url": f"{_FILES}/{call.call_id}/recording.wav",
        "telephony_identifier": {"twilio_call_sid": f"CA{call.call_id.removeprefix('call_'):0>32}"},
    }
    if plan.collected:
        view["collected_dynamic_variables"] = plan.collected
    return view


def _finish(view: JsonObject, knobs: Knobs) -> JsonObject:
    view |= knobs.extra_keys
    for key in knobs.missing_keys:
        view.pop(key, None)
    return view
