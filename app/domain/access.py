"""Who asks, and what they may do. Roles are few; an account scope narrows what a user or an API key can see.

What is not visible does not exist: a stranger's object is answered like one that was never there.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from app.domain.errors import Forbidden, NotFound

PASSWORD_LENGTH: Final = (12, 128)
"""NIST SP 800-63B asks for length, not for kinds of characters."""


class Role(StrEnum):
    ADMIN = "admin"
    """Everything: customers, money, users and keys."""
    OPERATOR = "operator"
    """Campaigns: contacts, batches, jobs, the do-not-call list."""
    VIEWER = "viewer"
    """Reads, and changes nothing."""


class Permission(StrEnum):
    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"


PERMISSIONS: Final[dict[Role, tuple[Permission, ...]]] = {
    Role.ADMIN: (Permission.READ, Permission.OPERATE, Permission.ADMINISTER),
    Role.OPERATOR: (Permission.READ, Permission.OPERATE),
    Role.VIEWER: (Permission.READ,),
}


class PrincipalKind(StrEnum):
    USER = "user"
    API_KEY = "api_key"
    SYSTEM = "system"


class Principal(BaseModel):
    """Whoever a request comes from. `account_ids` None: sees every account."""

    model_config = ConfigDict(frozen=True)

    kind: PrincipalKind
    id: str
    name: str
    """What logs show: a user's email, a key's name."""
    role: Role
    account_ids: frozenset[str] | None = None

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Raises Forbidden."""
        if not self.may(permission):
            raise Forbidden("not_permitted", role=self.role.value)

    def sees(self, account_id: str | None) -> bool:
        """Whether the account is within the scope; None is what belongs to all accounts together."""
        return self.account_ids is None or account_id in self.account_ids

    def require_account(self, account_id: str) -> None:
        """Raises NotFound, as if the account were not there."""
        if not self.sees(account_id):
            raise NotFound("account_not_found", account_id=account_id)

    def require_all_accounts(self) -> None:
        """For what concerns every account. Raises Forbidden."""
        if self.account_ids is not None:
            raise Forbidden("not_permitted_for_scope")

    def visible(self, account_id: str | None) -> Collection[str] | None:
        """The accounts that a list may show, given the one that was asked for; None: all of them."""
        if account_id is None:
            return self.account_ids
        return [account_id] if self.sees(account_id) else []


EVERYBODY: Final = Principal(kind=PrincipalKind.SYSTEM, id="api", name="api", role=Role.ADMIN)
"""Every request, where authentication is switched off."""


class User(BaseModel):
    model_config = ConfigDict(frozen=True)

    user_id: str
    email: str
    """Lower case; unique."""
    name: str
    role: Role
    account_ids: frozenset[str] | None = None
    password_hash: str
    is_active: bool = True
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None = None

    @property
    def principal(self) -> Principal:
        return Principal(
            kind=PrincipalKind.USER, id=self.user_id, name=self.email, role=self.role, account_ids=self.account_ids
        )


class ApiKey(BaseModel):
    """A machine's way in. The secret is shown once, when it is made; only its hash is kept."""

    model_config = ConfigDict(frozen=True)

    key_id: str
    name: str
    role: Role
    account_ids: frozenset[str] | None = None
    secret_hash: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def principal(self) -> Principal:
        return Principal(
            kind=PrincipalKind.API_KEY, id=self.key_id, name=self.name, role=self.role, account_ids=self.account_ids
        )


class RefreshToken(BaseModel):
    """One link of a login's chain: each refresh spends it and makes the next of the same `family`."""

    model_config = ConfigDict(frozen=True)

    token_hash: str
    user_id: str
    family: str
    expires_at: datetime
    spent_at: datetime | None = None


FREE_FAILURES = 5
FIRST_LOCK = timedelta(seconds=30)
LONGEST_LOCK = timedelta(minutes=15)


def locked_until(failures: int, last_at: datetime, free: int = FREE_FAILURES) -> datetime | None:
    """Until when no login is tried after `failures` in a row; None while there are free tries left."""
    if failures < free:
        return None
    doublings = min(failures - free, 20)
    return last_at + min(FIRST_LOCK * (1 << doublings), LONGEST_LOCK)


class AuditEntry(BaseModel):
    """One request that changed something, or tried to."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    user: str
    kind: PrincipalKind
    operation: str
    """The operation's name in the API's description, such as `cancel_batch`."""
    path: str
    status: int
    account_id: str | None = None
    fields: list[str] = []
    """Names of the fields that were sent; never their values."""
    request_id: str
    address: str | None = None
