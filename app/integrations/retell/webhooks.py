"""Retell's webhooks: is it from Retell, and what does it say (retell.md §8)."""

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.call_events import CallEvent, CallEventKind
from app.domain.errors import InvalidInput, Unauthenticated, Unavailable
from app.integrations.retell.reports import UnreadableCall, report_of, storable

MAX_AGE_MS = 300_000
_SIGNATURE = re.compile(r"v=([0-9]{1,15}),d=([0-9a-f]{64})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {kind.value for kind in CallEventKind}


class RetellEvents:
    """Reads webhooks that are signed with one of `keys`: Retell's API key that has the webhook badge; two with a comma
    between them while it is being changed."""

    def __init__(self, keys: str) -> None:
        self._keys = [key.strip().encode() for key in keys.split(",") if key.strip()]

    def read(self, body: bytes, signature: str, now: datetime) -> CallEvent | None:
        """The event of a webhook, from its body as received; None if it is one that does not concern us.

        Raises Unavailable (we have no key), Unauthenticated, or InvalidInput (signed, but not an event of a call).
        """
        if not self._keys:
            raise Unavailable("webhook_key_missing")
        if not any(is_signed(key, body, signature, now) for key in self._keys):
            raise Unauthenticated("webhook_signature_invalid")
        try:
            return _event(storable(json.loads(body)))
        except (ValueError, RecursionError) as error:
            raise _unreadable() from error


def is_signed(key: bytes, body: bytes, signature: str, now: datetime) -> bool:
    """Whether `signature` is `key`'s over these very bytes, made at most five minutes from `now`.

    `v=<unix ms>,d=<hex>`, an HMAC-SHA256 of the body immediately followed by the decimal milliseconds (retell.md §8.1).
    """
    found = _SIGNATURE.fullmatch(signature)
    if found is None:
        return False
    digest = hmac.new(key, body + found[1].encode(), hashlib.sha256).hexdigest()
    age_ms = abs((now - _EPOCH) // timedelta(milliseconds=1) - int(found[1]))
    return hmac.compare_digest(digest, found[2]) and age_ms <= MAX_AGE_MS


def _event(payload: Any) -> CallEvent | None:
    if not isinstance(payload, dict) or not isinstance(payload.get("event"), str):
        raise _unreadable()
    if payload["event"] not in _KINDS:
        return None
    call = payload.get("call")
    if not isinstance(call, dict) or not isinstance(call.get("call_id"), str) or not call["call_id"]:
        raise _unreadable()
    given = call.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    try:
        report = report_of(call)
    except UnreadableCall:
        # Its id is enough for a hint.
        report = None
    return CallEvent(
        kind=CallEventKind(payload["event"]),
        call_id=call["call_id"],
        job_id=_text(metadata.get("job_id")),
        attempt_id=_text(metadata.get("attempt_id")),
        report=report,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _unreadable() -> InvalidInput:
    return InvalidInput([], code="webhook_unreadable")
