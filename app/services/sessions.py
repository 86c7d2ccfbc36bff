"""Logging in and staying so: short-lived access tokens, and refresh tokens that are spent at each use.

A refresh token that is used twice is in two hands: its whole family is forgotten, and both must log in again. A short
grace lets two tabs of one browser refresh at the same moment.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from app.domain.access import Principal, RefreshToken, User, locked_until
from app.domain.access_ports import AccessTokens, LoginFailures, Passwords, RefreshTokens, Secrets, Users
from app.domain.errors import TooManyRequests, Unauthenticated
from app.domain.ports import Time

SPENT_GRACE = timedelta(seconds=10)
FREE_FAILURES_OF_ADDRESS = 50
"""An office shares one address; only a machine fails so often."""
KNOWN_FOR = timedelta(seconds=10)
"""How long a user read from the database is believed: a deactivation takes effect within it."""
MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Lifetimes:
    access: timedelta
    refresh: timedelta


@dataclass(frozen=True, repr=False)
class Session:
    """What a login or refresh gives. `repr` off: the tokens are secrets."""

    access_token: str
    refresh_token: str
    expires_in: timedelta
    user: User


class SessionService:
    def __init__(
        self,
        users: Users,
        tokens: RefreshTokens,
        failures: LoginFailures,
        shared_secrets: Secrets,
        passwords: Passwords,
        access_tokens: AccessTokens,
        time: Time,
        lifetimes: Lifetimes,
        secret: str,
    ) -> None:
        """`secret` signs access tokens; empty: one that all processes share is kept in the database."""
        self._users = users
        self._tokens = tokens
        self._failures = failures
        self._secrets = shared_secrets
        self._passwords = passwords
        self._access_tokens = access_tokens
        self._time = time
        self._lifetimes = lifetimes
        self._secret = secret
        self._known: dict[str, tuple[float, User | None]] = {}

    async def log_in(self, email: str, password: str, address: str) -> Session:
        """Raises Unauthenticated, which does not tell whether the email exists, or TooManyRequests."""
        email = email.lower()
        keys = [f"{email}|{address}", f"address:{address}"]
        await self._refuse_guessing(keys)
        # Counted before the password is looked at, so that many tries at once are counted too.
        await self._failures.add(keys, self._time.now())
        user = await self._users.by_email(email)
        is_right = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not is_right or not user.is_active:
            raise Unauthenticated("login_failed")
        await self._failures.forget(keys)
        logged_in = await self._users.update(user.user_id, {"last_login_at": self._time.now()})
        return await self._session(logged_in or user, family=secrets.token_hex(16))

    async def refresh(self, refresh_token: str) -> Session:
        """A new pair for a token that was not spent. Raises Unauthenticated."""
        now = self._time.now()
        token = await self._tokens.get(_hash(refresh_token))
        if token is None or token.expires_at <= now:
            raise Unauthenticated("session_over")
        if not await self._tokens.spend(token.token_hash, now):
            # Read again: of two at the same moment the other may have spent it just now.
            spent = await self._tokens.get(token.token_hash)
            if spent is None or spent.spent_at is None or now - spent.spent_at > SPENT_GRACE:
                await self._tokens.forget_family(token.family)
                raise Unauthenticated("session_over")
        user = await self._users.get(token.user_id)
        if user is None or not user.is_active:
            await self._tokens.forget_family(token.family)
            raise Unauthenticated("session_over")
        return await self._session(user, token.family)

    async def log_out(self, refresh_token: str) -> None:
        """End the session; one that is over already is no error."""
        token = await self._tokens.get(_hash(refresh_token))
        if token is not None:
            await self._tokens.forget_family(token.family)

    async def authenticate(self, access_token: str) -> Principal:
        """Whose token it is, as that user is now. Raises Unauthenticated."""
        user_id = self._access_tokens.bearer_of(access_token, self._time.now(), await self.signing_secret())
        return await self.principal_of(user_id or "")

    async def principal_of(self, user_id: str) -> Principal:
        """The user as of now. Raises Unauthenticated if there is none, or none that is active."""
        user = await self._user(user_id) if user_id else None
        if user is None or not user.is_active:
            raise Unauthenticated("token_not_valid")
        return user.principal

    async def _refuse_guessing(self, keys: list[str]) -> None:
        now = self._time.now()
        for key, (failures, last_at) in (await self._failures.read(keys)).items():
            free = {"free": FREE_FAILURES_OF_ADDRESS} if key.startswith("address:") else {}
            until = locked_until(failures, last_at, **free)
            if until is not None and now < until:
                raise TooManyRequests("login_locked", (until - now).total_seconds())

    async def _session(self, user: User, family: str) -> Session:
        now = self._time.now()
        refresh_token = secrets.token_urlsafe(32)
        await self._tokens.insert(
            RefreshToken(
                token_hash=_hash(refresh_token),
                user_id=user.user_id,
                family=family,
                expires_at=now + self._lifetimes.refresh,
            )
        )
        access_token = self._access_tokens.sign(user.user_id, now, self._lifetimes.access, await self.signing_secret())
        return Session(access_token, refresh_token, self._lifetimes.access, user)

    async def signing_secret(self) -> str:
        """What this application's tokens are signed with."""
        if not self._secret:
            self._secret = await self._secrets.shared("access_tokens", secrets.token_urlsafe(48))
        return self._secret

    async def _user(self, user_id: str) -> User | None:
        """The user, read at most once in KNOWN_FOR: every request asks."""
        now = self._time.monotonic()
        known = self._known.get(user_id)
        if known is not None and now - known[0] < KNOWN_FOR.total_seconds():
            return known[1]
        user = await self._users.get(user_id)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[user_id] = (now, user)
        return user


def _hash(token: str) -> str:
    """Of a token of 256 random bits, which needs no salt and no slow hash."""
    return sha256(token.encode()).hexdigest()
