"""Users, API keys, refresh tokens, login failures and shared secrets in MongoDB."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import DESCENDING, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from app.domain.access import ApiKey, RefreshToken, Role, User
from app.repositories.database import Database, Repository, guarded
from app.repositories.documents import from_document, optional, set_or_unset, to_document

FAILURES_KEPT = timedelta(days=1)


class MongoUsers(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._users = database.collection("users")

    @guarded
    async def insert(self, user: User) -> bool:
        try:
            await self._users.insert_one(to_document(user))
        except DuplicateKeyError:
            return False
        return True

    @guarded
    async def get(self, user_id: str) -> User | None:
        return optional(User, await self._users.find_one({"_id": user_id}))

    @guarded
    async def by_email(self, email: str) -> User | None:
        return optional(User, await self._users.find_one({"email": email}))

    @guarded
    async def page(self, *, limit: int, skip: int) -> tuple[list[User], int]:
        cursor = self._users.find().sort([("created_at", DESCENDING), ("_id", DESCENDING)]).skip(skip).limit(limit)
        found = [from_document(User, document) async for document in cursor]
        return found, await self._users.estimated_document_count()

    @guarded
    async def update(self, user_id: str, changes: dict[str, Any]) -> User | None:
        document = await self._users.find_one_and_update(
            {"_id": user_id}, set_or_unset(changes), return_document=ReturnDocument.AFTER
        )
        return optional(User, document)

    @guarded
    async def active_admins(self, *, besides: str) -> int:
        return await self._users.count_documents(
            {
                "role": Role.ADMIN.value,
                "is_active": True,
                "account_ids": {"$exists": False},
                "_id": {"$ne": besides},
            }
        )


class MongoApiKeys(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._keys = database.collection("api_keys")

    @guarded
    async def insert(self, key: ApiKey) -> None:
        await self._keys.insert_one(to_document(key))

    @guarded
    async def get(self, key_id: str) -> ApiKey | None:
        return optional(ApiKey, await self._keys.find_one({"_id": key_id}))

    @guarded
    async def page(self, *, limit: int, skip: int) -> tuple[list[ApiKey], int]:
        cursor = self._keys.find().sort([("created_at", DESCENDING), ("_id", DESCENDING)]).skip(skip).limit(limit)
        found = [from_document(ApiKey, document) async for document in cursor]
        return found, await self._keys.estimated_document_count()

    @guarded
    async def revoke(self, key_id: str, now: datetime) -> ApiKey | None:
        await self._keys.update_one({"_id": key_id, "revoked_at": {"$exists": False}}, {"$set": {"revoked_at": now}})
        return optional(ApiKey, await self._keys.find_one({"_id": key_id}))

    @guarded
    async def mark_used(self, key_id: str, now: datetime) -> None:
        await self._keys.update_one({"_id": key_id}, {"$max": {"last_used_at": now}})


class MongoRefreshTokens(Repository):
    """They remove themselves when they expire."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._tokens = database.collection("refresh_tokens")

    @guarded
    async def insert(self, token: RefreshToken) -> None:
        await self._tokens.insert_one(to_document(token))

    @guarded
    async def get(self, token_hash: str) -> RefreshToken | None:
        return optional(RefreshToken, await self._tokens.find_one({"_id": token_hash}))

    @guarded
    async def spend(self, token_hash: str, now: datetime) -> bool:
        result = await self._tokens.update_one(
            {"_id": token_hash, "spent_at": {"$exists": False}}, {"$set": {"spent_at": now}}
        )
        return result.modified_count == 1

    @guarded
    async def forget_family(self, family: str) -> None:
        await self._tokens.delete_many({"family": family})

    @guarded
    async def forget_user(self, user_id: str) -> None:
        await self._tokens.delete_many({"user_id": user_id})


class MongoLoginFailures(Repository):
    """They remove themselves a day after the last."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._failures = database.collection("login_failures")

    @guarded
    async def read(self, keys: Sequence[str]) -> dict[str, tuple[int, datetime]]:
        cursor = self._failures.find({"_id": {"$in": list(keys)}})
        return {document["_id"]: (document["failures"], document["last_at"]) async for document in cursor}

    @guarded
    async def add(self, keys: Sequence[str], now: datetime) -> None:
        update = {"$inc": {"failures": 1}, "$max": {"last_at": now, "expires_at": now + FAILURES_KEPT}}
        await self._failures.bulk_write([UpdateOne({"_id": key}, update, upsert=True) for key in keys], ordered=False)

    @guarded
    async def forget(self, keys: Sequence[str]) -> None:
        await self._failures.delete_many({"_id": {"$in": list(keys)}})


class MongoSecrets(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._secrets = database.collection("secrets")

    @guarded
    async def shared(self, name: str, proposed: str) -> str:
        document = await self._secrets.find_one_and_update(
            {"_id": name}, {"$setOnInsert": {"value": proposed}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert document is not None  # noqa: S101 - an upsert answers what it made
        return str(document["value"])
