"""The body of a create request (retell.md §2), as the exact text that is stored and sent."""

import json
from typing import Any

from app.domain.call_events import CallEventKind
from app.domain.calls import CallOrder

# retell.md §2.3: of Spanish, Retell has es-ES and es-419; of Portuguese, pt-PT and pt-BR.
_SPANISH_OF_SPAIN = "es-ES"
_LATIN_AMERICAN_SPANISH = "es-419"


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


def retell_language(language: str) -> str:
    """Retell's code for ours: every Spanish but Spain's is `es-419` (there is no es-CL); the rest as it is."""
    if language.lower().startswith("es") and language != _SPANISH_OF_SPAIN:
        return _LATIN_AMERICAN_SPANISH
    return language


def _agent_override(order: CallOrder) -> dict[str, Any]:
    override: dict[str, Any] = {
        "ring_duration_ms": order.ring_seconds * 1000,
        "max_call_duration_ms": order.max_duration_seconds * 1000,
        "voice_speed": order.voice_speed,
        "volume": order.volume,
        "language": retell_language(order.language),
        "timezone": order.timezone,
    }
    if order.voice_id is not None:
        override["voice_id"] = order.voice_id
    if order.webhook_url is not None:
        override["webhook_url"] = order.webhook_url
        override["webhook_events"] = [kind.value for kind in CallEventKind]
    return override
