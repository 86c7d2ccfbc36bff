"""The webhook signature, exactly as retell.md §8.1 gives it."""

import hashlib
import hmac


def sign(api_key: str, body: bytes, at_ms: int) -> str:
    """`v=<unix ms>,d=<hex>`: HMAC-SHA256 of the raw body immediately followed by the decimal milliseconds."""
    digest = hmac.new(api_key.encode(), body + str(at_ms).encode(), hashlib.sha256).hexdigest()
    return f"v={at_ms},d={digest}"
