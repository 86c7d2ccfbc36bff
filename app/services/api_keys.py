"""API keys: how machines get in. Made, listed, revoked; the secret is shown once and only its hash is kept."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from app.domain.access import ApiKey, Principal, Role
from app.domain.access_ports import ApiKeys
from app.domain.errors import NotFound, Unauthenticated
from app.domain.ports import Accounts, Time
from app.services.ids import new_id
from app.services.users import require_accounts

PREFIX = "cad_"
"""So that a leaked key is recognised for what it is, by people and by secret scanners."""
USE_NOTED_EVERY = timedelta(minutes=1)
KNOWN_FOR_SECONDS = 10.0
MOST_KNOWN = 10_000


@dataclass(frozen=True)
class NewApiKey:
    name: str
    role: Role
    account_ids: frozenset[str] | None
    expires_at: datetime | None


class ApiKeyService:
    def __init__(self, keys: ApiKeys, accounts: Accounts, time: Time) -> None:
        self._keys = keys
        self._accounts = accounts
        self._time = time
        self._known: dict[str, tuple[float, ApiKey]] = {}

    async def create(self, new: NewApiKey, *, user: str) -> tuple[ApiKey, str]:
        """The key and its text, which nobody will see again. Raises NotFound (an account of the scope)."""
        await require_accounts(self._accounts, new.account_ids)
        secret = secrets.token_urlsafe(32)
        key = ApiKey(
            key_id=new_id("key"),
            name=new.name,
            role=new.role,
            account_ids=new.account_ids,
            secret_hash=_hash(secret),
            created_by=user,
            created_at=self._time.now(),
            expires_at=new.expires_at,
        )
        await self._keys.insert(key)
        return key, f"{PREFIX}{key.key_id}.{secret}"

    async def page(self, *, limit: int, skip: int) -> tuple[list[ApiKey], int]:
        return await self._keys.page(limit=limit, skip=skip)

    async def revoke(self, key_id: str) -> ApiKey:
        """Repeating it is harmless. Raises NotFound."""
        key = await self._keys.revoke(key_id, self._time.now())
        if key is None:
            raise NotFound("api_key_not_found", key_id=key_id)
        self._known.pop(key_id, None)
        return key

    async def authenticate(self, text: str) -> Principal:
        """Whose key it is. Raises Unauthenticated."""
        key_id, _, secret = text.removeprefix(PREFIX).partition(".")
        key = await self._key(key_id)
        now = self._time.now()
        if key is None or not compare_digest(key.secret_hash, _hash(secret)) or not key.is_valid(now):
            raise Unauthenticated("token_not_valid")
        if key.last_used_at is None or now - key.last_used_at > USE_NOTED_EVERY:
            await self._keys.mark_used(key_id, now)
            self._known[key_id] = (self._time.monotonic(), key.model_copy(update={"last_used_at": now}))
        return key.principal

    async def principal_of(self, key_id: str) -> Principal:
        """The key as of now. Raises Unauthenticated if there is none, or none that is valid."""
        key = await self._key(key_id)
        if key is None or not key.is_valid(self._time.now()):
            raise Unauthenticated("token_not_valid")
        return key.principal

    async def _key(self, key_id: str) -> ApiKey | None:
        now = self._time.monotonic()
        known = self._known.get(key_id)
        if known is not None and now - known[0] < KNOWN_FOR_SECONDS:
            return known[1]
        key = await self._keys.get(key_id)
        if key is None:
            return None
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[key_id] = (now, key)
        return key


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
