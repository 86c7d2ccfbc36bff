"""Bodies of /auth, /users, /api-keys and /audit-log."""

from typing import Annotated, Any

from pydantic import Field, SecretStr, StringConstraints

from app.api.schemas.accounts import AccountId
from app.api.schemas.common import AnyCase, Email, FutureInstant, Instant, Name, Reply, Request, optional_field
from app.domain.access import PASSWORD_LENGTH, PERMISSIONS, ApiKey, AuditEntry, Permission, PrincipalKind, Role, User
from app.services.api_keys import NewApiKey
from app.services.sessions import Session
from app.services.users import NewUser

NewPassword = Annotated[
    SecretStr, Field(min_length=PASSWORD_LENGTH[0], max_length=PASSWORD_LENGTH[1], description="12 characters or more.")
]
GivenPassword = Annotated[SecretStr, Field(min_length=1, max_length=PASSWORD_LENGTH[1])]
RoleRequest = Annotated[Role, AnyCase]
Scope = Annotated[
    list[AccountId] | None,
    Field(min_length=1, max_length=500, description="Only these accounts; null: all, also those to come."),
]
Token = Annotated[SecretStr, Field(min_length=1, max_length=500)]


class Login(Request):
    email: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320)]
    password: GivenPassword


class Refresh(Request):
    refresh_token: Token


class ChangePassword(Request):
    current_password: GivenPassword
    new_password: NewPassword


class CreateUser(Request):
    email: Email
    name: Name
    role: RoleRequest
    password: NewPassword
    account_ids: Scope = None

    def to_new_user(self) -> NewUser:
        return NewUser(
            email=self.email,
            name=self.name,
            role=self.role,
            password=self.password.get_secret_value(),
            account_ids=_scope(self.account_ids),
        )


class ChangeUser(Request):
    """Any subset. A new password or scope, another role and `is_active: false` end the user's sessions."""

    name: Name = optional_field("")
    role: RoleRequest = optional_field(Role.VIEWER)
    account_ids: Scope = None
    is_active: bool = optional_field(True)
    password: NewPassword = optional_field(SecretStr(""))

    def to_changes(self) -> dict[str, Any]:
        changes = {name: getattr(self, name) for name in self.model_fields_set}
        if "password" in changes:
            changes["password"] = self.password.get_secret_value()
        if "account_ids" in changes:
            changes["account_ids"] = _scope(self.account_ids)
        return changes


class CreateApiKey(Request):
    name: Name
    role: RoleRequest
    account_ids: Scope = None
    expires_at: FutureInstant | None = None

    def to_new_key(self) -> NewApiKey:
        return NewApiKey(
            name=self.name, role=self.role, account_ids=_scope(self.account_ids), expires_at=self.expires_at
        )


def _scope(account_ids: list[str] | None) -> frozenset[str] | None:
    return None if account_ids is None else frozenset(account_ids)


class SessionUser(Reply):
    id: str
    email: str
    name: str
    role: Role
    permissions: list[Permission]
    account_ids: list[str] | None = Field(description="Null: all accounts.")


class SessionReply(Reply):
    access_token: str
    refresh_token: str = Field(description="Good for one use; the reply to it has the next one.")
    token_type: str = "bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="Seconds that the access token lasts.")
    user: SessionUser


class UserReply(SessionUser):
    is_active: bool
    created_at: Instant
    updated_at: Instant
    last_login_at: Instant | None


class ApiKeyReply(Reply):
    key_id: str
    name: str
    role: Role
    account_ids: list[str] | None
    created_by: str
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None


class CreatedApiKeyReply(ApiKeyReply):
    api_key: str = Field(description="Shown this once; only its hash is kept.")


class AuditEntryReply(Reply):
    at: Instant
    user: str
    kind: PrincipalKind
    operation: str = Field(description="The `operationId`.")
    path: str
    status: int
    account_id: str | None
    fields: list[str] = Field(description="Names of the fields sent, never their values.")
    request_id: str
    address: str | None


def session_reply(session: Session) -> SessionReply:
    return SessionReply(
        access_token=session.access_token,
        refresh_token=session.refresh_token,
        expires_in=int(session.expires_in.total_seconds()),
        user=SessionUser(**_identity(session.user)),
    )


def user_reply(user: User) -> UserReply:
    return UserReply(
        **_identity(user),
        is_active=user.is_active,
        created_at=user.created_at,
        updated_at=user.updated_at,
        last_login_at=user.last_login_at,
    )


def api_key_reply(key: ApiKey) -> ApiKeyReply:
    return ApiKeyReply(**_key(key))


def created_api_key_reply(key: ApiKey, text: str) -> CreatedApiKeyReply:
    return CreatedApiKeyReply(**_key(key), api_key=text)


def audit_entry_reply(entry: AuditEntry) -> AuditEntryReply:
    return AuditEntryReply(**entry.model_dump())


def _identity(user: User) -> dict[str, Any]:
    return {
        "id": user.user_id,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "permissions": list(PERMISSIONS[user.role]),
        "account_ids": None if user.account_ids is None else sorted(user.account_ids),
    }


def _key(key: ApiKey) -> dict[str, Any]:
    fields = key.model_dump(exclude={"secret_hash"})
    return {**fields, "account_ids": None if key.account_ids is None else sorted(key.account_ids)}
