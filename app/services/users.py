"""Use cases of users: create, read, change. Emails are compared in lower case."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from app.domain.access import Role, User
from app.domain.access_ports import Passwords, RefreshTokens, Users
from app.domain.errors import Conflict, NotFound
from app.domain.ports import Accounts, Time
from app.services.ids import new_id


@dataclass(frozen=True, repr=False)
class NewUser:
    """`repr` off: it has the password."""

    email: str
    name: str
    role: Role
    password: str
    account_ids: frozenset[str] | None = None


class UserService:
    def __init__(
        self, users: Users, tokens: RefreshTokens, accounts: Accounts, passwords: Passwords, time: Time
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._accounts = accounts
        self._passwords = passwords
        self._time = time

    async def create(self, new: NewUser) -> User:
        """Raises Conflict (email taken) or NotFound (an account of the scope)."""
        await require_accounts(self._accounts, new.account_ids)
        now = self._time.now()
        user = User(
            user_id=new_id("user"),
            email=new.email.lower(),
            name=new.name,
            role=new.role,
            account_ids=new.account_ids,
            password_hash=await self._passwords.hash(new.password),
            created_at=now,
            updated_at=now,
        )
        if not await self._users.insert(user):
            raise Conflict("email_taken", email=user.email)
        return user

    async def get(self, user_id: str) -> User:
        """Raises NotFound."""
        user = await self._users.get(user_id)
        if user is None:
            raise NotFound("user_not_found", user_id=user_id)
        return user

    async def page(self, *, limit: int, skip: int) -> tuple[list[User], int]:
        return await self._users.page(limit=limit, skip=skip)

    async def change(self, user_id: str, changes: dict[str, Any]) -> User:
        """Name, role, scope, whether active, or `password`. Whatever narrows access ends the user's sessions.

        Raises NotFound, or Conflict if nobody would be left who can administer.
        """
        before = await self.get(user_id)
        changes = dict(changes)
        await require_accounts(self._accounts, changes.get("account_ids"))
        if "password" in changes:
            changes["password_hash"] = await self._passwords.hash(changes.pop("password"))
        after = before.model_copy(update=changes)
        was, remains = _administers(before), _administers(after)
        if was and not remains and not await self._users.active_admins(besides=user_id):
            raise Conflict("last_admin")
        changed = await self._users.update(user_id, {**changes, "updated_at": self._time.now()})
        if changed is None:
            raise NotFound("user_not_found", user_id=user_id)
        if changes.keys() & {"password_hash", "is_active", "role", "account_ids"}:
            await self._tokens.forget_user(user_id)
        return changed


async def require_accounts(accounts: Accounts, account_ids: Collection[str] | None) -> None:
    """Raises NotFound for the first that does not exist."""
    if account_ids:
        found = await accounts.get_many(account_ids)
        for account_id in sorted(set(account_ids) - found.keys()):
            raise NotFound("account_not_found", account_id=account_id)


def _administers(user: User) -> bool:
    return user.is_active and user.role is Role.ADMIN and user.account_ids is None
