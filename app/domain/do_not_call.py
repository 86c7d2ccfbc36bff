"""The do-not-call list: numbers and persons that nobody, or one account, may call, for good or until a date. Pure.

What is on it is named by its key, one of a contact's `person_keys`: a number, or `id:` and a national id. Of a person
whose data were erased it is the keyed hash of that (`hidden_key`).
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import new as hmac

from pydantic import BaseModel, ConfigDict

from app.domain.contacts import ID_PREFIX
from app.domain.messages import Message

HIDDEN_PREFIX = "hash:"


class DoNotCallScope(StrEnum):
    ACCOUNT = "account"
    GLOBAL = "global"
    """For every account."""


class DoNotCallSource(StrEnum):
    MANUAL = "manual"
    IMPORT = "import"
    CALL = "call"
    """The called person asked for it."""
    ERASURE = "erasure"
    """Their data were erased: only who knows the number can find the entry."""


class DoNotCallEntry(BaseModel):
    """One key on one list: an account's, or everybody's (`account_id` None)."""

    model_config = ConfigDict(frozen=True)

    entry_id: str
    """`entry_id_of` list and key: adding twice adds once."""
    account_id: str | None = None
    key: str
    reason: Message | None = None
    source: DoNotCallSource
    expires_at: datetime | None = None
    """From then on it is as if it were not there; None: for good."""
    created_at: datetime
    created_by: str

    @property
    def phone(self) -> str | None:
        """E.164, if it is a number that is listed."""
        return None if self.key.startswith((ID_PREFIX, HIDDEN_PREFIX)) else self.key

    @property
    def national_id(self) -> str | None:
        return self.key.removeprefix(ID_PREFIX) if self.key.startswith(ID_PREFIX) else None

    @property
    def scope(self) -> DoNotCallScope:
        return DoNotCallScope.GLOBAL if self.account_id is None else DoNotCallScope.ACCOUNT

    def stands_at(self, now: datetime) -> bool:
        return self.expires_at is None or self.expires_at > now


def hidden_key(secret: bytes, key: str) -> str:
    """By which a person is known who is not to be known any more: nobody makes a number of it without the secret."""
    return HIDDEN_PREFIX + hmac(secret, key.encode(), sha256).hexdigest()[:40]


def entry_id_of(account_id: str | None, key: str) -> str:
    """The id of the only entry that there may be for `key` on this list. It does not show the number."""
    place = f"{account_id or '*'}:{key}"  # no account id has a star or a colon
    return f"dnc-{sha256(place.encode()).hexdigest()[:24]}"


class DoNotCallMatch(BaseModel):
    """That a key is listed, and until when (None: for good)."""

    model_config = ConfigDict(frozen=True)

    until: datetime | None
    scope: DoNotCallScope


def matches(entries: Iterable[DoNotCallEntry], now: datetime) -> dict[str, DoNotCallMatch]:
    """What stands against each key at `now`; of several entries the one that stands longest."""
    found: dict[str, DoNotCallMatch] = {}
    for entry in entries:
        if not entry.stands_at(now):
            continue
        before = found.get(entry.key)
        longer = before is None or (
            before.until is not None and (entry.expires_at is None or entry.expires_at > before.until)
        )
        if longer:
            found[entry.key] = DoNotCallMatch(until=entry.expires_at, scope=entry.scope)
    return found
