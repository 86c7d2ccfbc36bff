"""The do-not-call list: numbers that nobody, or one account, may dial, for good or until a date. Pure."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class DoNotCallScope(StrEnum):
    ACCOUNT = "account"
    GLOBAL = "global"
    """For every account."""


class DoNotCallSource(StrEnum):
    MANUAL = "manual"
    IMPORT = "import"
    CALL = "call"
    """The called person asked for it."""


class DoNotCallEntry(BaseModel):
    """One number on one list: an account's, or everybody's (`account_id` None)."""

    model_config = ConfigDict(frozen=True)

    entry_id: str
    account_id: str | None = None
    phone: str
    """E.164."""
    reason: str | None = None
    source: DoNotCallSource
    expires_at: datetime | None = None
    """From then on it is as if it were not there; None: for good."""
    created_at: datetime
    created_by: str

    @property
    def scope(self) -> DoNotCallScope:
        return DoNotCallScope.GLOBAL if self.account_id is None else DoNotCallScope.ACCOUNT

    def stands_at(self, now: datetime) -> bool:
        return self.expires_at is None or self.expires_at > now


class DoNotCallMatch(BaseModel):
    """Why a number may not be dialed, and until when (None: for good)."""

    model_config = ConfigDict(frozen=True)

    until: datetime | None
    scope: DoNotCallScope


def matches(entries: Iterable[DoNotCallEntry], now: datetime) -> dict[str, DoNotCallMatch]:
    """What stands against each number at `now`; of several entries the one that stands longest."""
    found: dict[str, DoNotCallMatch] = {}
    for entry in entries:
        if not entry.stands_at(now):
            continue
        before = found.get(entry.phone)
        longer = before is None or (
            before.until is not None and (entry.expires_at is None or entry.expires_at > before.until)
        )
        if longer:
            found[entry.phone] = DoNotCallMatch(until=entry.expires_at, scope=entry.scope)
    return found
