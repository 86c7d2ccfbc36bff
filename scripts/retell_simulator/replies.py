"""What goes back over HTTP, before any framework is involved (retell.md §9)."""

import json
from dataclasses import dataclass, field

from scripts.retell_simulator.errors import Refused, error_body
from scripts.retell_simulator.knobs import Knobs


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and headers; `hang` holds the request first."""

    status_code: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


def encode(body: object) -> bytes:
    """Compact UTF-8 JSON; lone surrogates become question marks."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def refused_reply(refusal: Refused, knobs: Knobs) -> Reply:
    """The error body, and `Retry-After` on a 429 if the knob says so."""
    body = error_body(refusal.status_code, refusal.message, schema=refusal.schema, variant=knobs.schema_error_body)
    headers = {}
    if refusal.status_code == 429 and knobs.retry_after_seconds is not None:
        headers["Retry-After"] = f"{knobs.retry_after_seconds:g}"
    return Reply(refusal.status_code, encode(body), headers)
