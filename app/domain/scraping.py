"""Who may read `/metrics`: whoever knows METRICS_TOKEN; without one, only who asks from this very machine.

Not the tokens of users and API keys: these are looked up in MongoDB, and when that is away the metrics are wanted most.
"""

import hmac
import ipaddress
from collections.abc import Mapping

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers of proxies: behind one, everybody seems to ask from its machine."""


def may_scrape(token: str, client: str, headers: Mapping[str, str]) -> bool:
    """`token` is the setting, `client` the address that asks, and the names of `headers` are in lower case."""
    if token:
        given = headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    return _is_loopback(client) and not any(name in headers for name in FORWARDED)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
