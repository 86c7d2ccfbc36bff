"""What the access use cases need from outside: their collections, password hashes and signed tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from app.domain.access import ApiKey, AuditEntry, RefreshToken, User


class Passwords(Protocol):
    async def hash(self, password: str) -> str: ...
    async def verify(self, password_hash: str | None, password: str) -> bool:
        """None for a user who does not exist: it takes as long as for one who does."""


class AccessTokens(Protocol):
    def sign(self, user_id: str, now: datetime, lifetime: timedelta, secret: str) -> str: ...
    def bearer_of(self, token: str, now: datetime, secret: str) -> str | None: ...


class Tickets(Protocol):
    def sign_ticket(self, holder: str, batch_id: str, now: datetime, lifetime: timedelta, secret: str) -> str: ...
    def holder_of_ticket(self, text: str, batch_id: str, now: datetime, secret: str) -> str | None: ...


class Users(Protocol):
    async def insert(self, user: User) -> bool:
        """False if the email is taken."""

    async def get(self, user_id: str) -> User | None: ...
    async def by_email(self, email: str) -> User | None: ...
    async def page(self, *, limit: int, skip: int) -> tuple[list[User], int]: ...
    async def update(self, user_id: str, changes: dict[str, Any]) -> User | None:
        """Set `changes`; None removes the field."""

    async def active_admins(self, *, besides: str) -> int: ...


class RefreshTokens(Protocol):
    async def insert(self, token: RefreshToken) -> None: ...
    async def get(self, token_hash: str) -> RefreshToken | None: ...
    async def spend(self, token_hash: str, now: datetime) -> bool:
        """False if it was spent before, or is gone."""

    async def forget_family(self, family: str) -> None: ...
    async def forget_user(self, user_id: str) -> None: ...


class ApiKeys(Protocol):
    async def insert(self, key: ApiKey) -> None: ...
    async def get(self, key_id: str) -> ApiKey | None: ...
    async def page(self, *, limit: int, skip: int) -> tuple[list[ApiKey], int]: ...
    async def revoke(self, key_id: str, now: datetime) -> ApiKey | None: ...
    async def mark_used(self, key_id: str, now: datetime) -> None: ...


class LoginFailures(Protocol):
    async def read(self, keys: Sequence[str]) -> dict[str, tuple[int, datetime]]:
        """Failures in a row, and the last one, of those keys that have any."""

    async def add(self, keys: Sequence[str], now: datetime) -> None: ...
    async def forget(self, keys: Sequence[str]) -> None: ...


class Secrets(Protocol):
    async def shared(self, name: str, proposed: str) -> str:
        """The secret of that name that all processes share: `proposed`, if there was none yet."""


class AuditLog(Protocol):
    async def add(self, entry: AuditEntry) -> None: ...
    async def page(
        self, *, account_id: str | None, user: str | None, limit: int, skip: int
    ) -> tuple[list[AuditEntry], int]:
        """Newest first."""
