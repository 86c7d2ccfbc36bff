"""Webhooks that we send: where to, what about, how they are signed, and when one is tried again. Pure.

Signed as Standard Webhooks 1.0.0 asks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import new as hmac
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from app.domain.messages import Message

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the specification's mark, no secret
SECRET_BYTES: Final = 32
"""The specification asks for 24 to 64."""
OVERLAP: Final = timedelta(hours=24)
"""How long the secret before still signs, beside the new one."""
MOST_WEBHOOKS: Final = 10
"""Of one account: each event is sent to, and kept for, every one of them."""
MOST_TRIES: Final = 12
"""The eleven waits between them add up to some 23 hours."""
FIRST_WAIT: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(hours=6)
SHORTEST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)
KEPT_TRIES: Final = 20
ANSWER_KEPT: Final = 500
"""Characters of a receiver's answer."""


class EventType(StrEnum):
    CALL_FINISHED = "call.finished"
    """An attempt is over, whatever it came to, and charged."""
    CONTACT_FINAL = "contact.final"
    """A contact is not called any more. Not sent one by one for contacts that the cancelling of their batch ended."""
    BATCH_FINISHED = "batch.finished"
    """Every contact of a batch is final, or it was cancelled and its last call is over."""
    PING = "ping"
    """Asked for by hand, to try a receiver out."""


SUBSCRIBABLE: Final = (EventType.CALL_FINISHED, EventType.CONTACT_FINAL, EventType.BATCH_FINISHED)


class WebhookSecret(BaseModel):
    model_config = ConfigDict(frozen=True)

    value: str = Field(repr=False)
    until: datetime | None = None
    """None: the present one."""


class Webhook(BaseModel):
    """An address of the account's that wants to be told."""

    model_config = ConfigDict(frozen=True)

    webhook_id: str
    account_id: str
    url: str
    description: str | None = None
    event_types: list[EventType]
    secrets: list[WebhookSecret]
    """The present one first."""
    is_active: bool = True
    disabled_reason: Message | None = None
    """Why the system switched it off."""
    disabled_at: datetime | None = None
    failing_since: datetime | None = None
    """When it began to fail without a success since."""
    wake_at: datetime | None = None
    """Something is to be sent then; None: nothing waits."""
    lease_until: datetime | None = None
    worker_id: str | None = None
    """Who sends to it just now: one worker at a time."""
    rest_until: datetime | None = None
    """It fails, and is left alone until then."""
    revision: int = 0
    """Raised whenever something comes to be sent, so that a sleep decided on older facts does not stick."""
    created_at: datetime
    updated_at: datetime

    def signing(self, now: datetime) -> list[str]:
        """The secrets that sign now."""
        return [secret.value for secret in self.secrets if secret.until is None or secret.until > now]


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    """To be sent at `due_at`, for the first time or again. A worker moves it on."""
    DELIVERED = "delivered"
    """Answered with 2xx."""
    FAILED = "failed"
    """Tried as often as it is worth. Only somebody's hand sends it again."""


class Try(BaseModel):
    """One request, and what came of it."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    status: int | None = None
    """Of the answer; None: there was none, and `error` says why."""
    error: str | None = None
    """`timeout`, `refused_address`, or the kind of network error."""
    duration_ms: int
    answer: str | None = None
    """The first characters of the answer's body."""

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def problem(self) -> str | None:
        """Why it is none, as one of few words: `http_5xx` for any such status, else `error`."""
        if self.is_success:
            return None
        return self.error or "no_answer" if self.status is None else f"http_{self.status // 100}xx"


class Delivery(BaseModel):
    """One event for one webhook, until it is delivered or given up."""

    model_config = ConfigDict(frozen=True)

    delivery_id: str
    event_id: str
    """`webhook-id` of every try, and of the same event to another webhook."""
    webhook_id: str
    account_id: str
    type: EventType
    body: str
    """The exact bytes, so that every try says the same."""
    batch_id: str | None = None
    job_id: str | None = None
    status: DeliveryStatus = DeliveryStatus.PENDING
    due_at: datetime | None = None
    """When it is tried next; None: not by itself."""
    tries: list[Try] = []
    """The last KEPT_TRIES."""
    tried: int = 0
    """Since it was first to be sent, or was sent again by hand."""
    created_at: datetime
    expires_at: datetime


def delivery_id(event_id: str, webhook_id: str) -> str:
    """One a pair, so that an effect that is repeated writes it once."""
    return f"{event_id}_{webhook_id}"


def secret_of(random: bytes) -> str:
    return SECRET_PREFIX + b64encode(random).decode()


def signature(secrets: Iterable[str], event_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: one signature a secret, so that a receiver may change to the new one in time."""
    content = f"{event_id}.{timestamp}.".encode() + body
    keys = [b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in secrets]
    return " ".join(f"v1,{b64encode(hmac(key, content, sha256).digest()).decode()}" for key in keys)


def wait_after(tried: int, jitter: float, retry_after: timedelta | None = None) -> timedelta | None:
    """How long to wait after so many tries; None: no more. `jitter` is 0 to 1; `retry_after` is the receiver's wish."""
    if tried >= MOST_TRIES:
        return None
    growing: timedelta = FIRST_WAIT * 3 ** (tried - 1)
    wait = min(growing, LONGEST_WAIT) * (0.8 + 0.4 * jitter)
    return max(wait, min(retry_after or wait, LONGEST_WAIT))


def rest_after_failing(failing_since: datetime, now: datetime) -> timedelta:
    """How long to leave a receiver alone at which nothing succeeds: the longer, the longer it has been failing."""
    return min(max((now - failing_since) / 4, SHORTEST_REST), LONGEST_REST)


def is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def is_address(url: str) -> bool:
    """Whether it is an http(s) address that a request can be sent to, without a user's name in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    known = parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
    return plain and known and parts.username is None and parts.password is None and not parts.fragment


_LOCAL_NAMES: Final = ("localhost", ".localhost", ".local", ".internal", ".home.arpa", ".lan")
# Addresses of IPv4 inside IPv6: the check below would judge the wrapping, not what is in it.
_WRAPPINGS: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("2002::/16"))

# Global by the registry, but of whoever's network we are in: IETF protocol assignments (some clouds' services), the
# relays of 6to4, and Azure's services of each machine.
_NOT_FOR_CUSTOMERS: Final = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("168.63.129.16/32"),
)


def may_be_public(url: str) -> bool:
    """Whether the address does not say that it is of a private network. Its name is looked up when it is used."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    try:
        address = ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_NAMES)
    return is_public(address)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is one of the public Internet, and nothing of ours or of our host's network is behind it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.teredo is not None or any(address in network for network in _WRAPPINGS):
            return False
        if address.is_site_local:
            return False
    if any(address in network for network in _NOT_FOR_CUSTOMERS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
