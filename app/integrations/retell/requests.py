"""The body of a create request (retell.md §2), as the exact text that is stored and sent."""

import json
from typing import Any

from app.domain.call_events import CallEventKind
from app.domain.calls import CallOrder
from app.domain.voice import provider_language


def create_request(order: CallOrder) -> str:
    """The JSON text of `order`. The same order always gives the same text."""
    body: dict[str, Any] = {
        "from_number": order.from_number,
        "to_number": order.to_number,
        "idempotency_key": order.attempt_id,
        # Who told the agent not to call again is a contact marked do_not_call at Retell (retell.md §2.1).
        "honor_internal_dnc": True,
        "metadata": {
            "attempt_id": order.attempt_id,
            "job_id": order.job_id,
            "batch_id": order.batch_id,
            "account_id": order.account_id,
        },
        "retell_llm_dynamic_variables": order.variables,
        "agent_override": {"agent": _agent_override(order)},
    }
    if order.agent_id:
        body["override_agent_id"] = order.agent_id
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _agent_override(order: CallOrder) -> dict[str, Any]:
    override: dict[str, Any] = {
        "ring_duration_ms": order.ring_seconds * 1000,
        "max_call_duration_ms": order.max_duration_seconds * 1000,
        "voice_speed": order.voice_speed,
        "volume": order.volume,
        # A batch older than the check of languages may have one that Retell refuses: that pauses it, and says why.
        "language": provider_language(order.language) or order.language,
        "timezone": order.timezone,
    }
    if order.voice_id is not None:
        override["voice_id"] = order.voice_id
    if order.webhook_url is not None:
        override["webhook_url"] = order.webhook_url
        override["webhook_events"] = [kind.value for kind in CallEventKind]
    return override
