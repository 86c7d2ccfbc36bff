"""The connection to MongoDB: how it is opened, how operations queue for it, and what its errors become.

* Majority write concern with journal and retryable writes: what we were told is stored survives a failover.
* The async driver's pool is not fair (shared/mongo.md: 54 of 64 tasks starved), so a first-in-first-out
  semaphore no larger than the pool stands before it.
* Decimals are Decimal128, datetimes are aware.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, cast

from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument
from dns.exception import DNSException
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidOperation,
    NotPrimaryError,
    OperationFailure,
    WaitQueueTimeoutError,
    WTimeoutError,
)
from pymongo.write_concern import WriteConcern

from app.domain.errors import DatabaseUnavailable

Document = dict[str, Any]
Collection = AsyncCollection[Document]
Session = AsyncClientSession

P = ParamSpec("P")
R = TypeVar("R")

AWAY = (ConnectionFailure, NotPrimaryError, ExecutionTimeout, WaitQueueTimeoutError, WTimeoutError)

# Answers of a server that is stopping, or no longer the primary. A write so answered may have happened: whoever repeats
# it is guarded by state and fence.
AWAY_CODES = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        64,  # WriteConcernFailed
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        133,  # FailedToSatisfyReadPreference
        189,  # PrimarySteppedDown
        262,  # ExceededTimeLimit
        9001,  # SocketException
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
    }
)

NOT_LET_IN = frozenset({13, 18})  # Unauthorized, AuthenticationFailed


class DatabaseUnsuitable(Exception):
    """The server is there, but Cadencia cannot work with it; the text says what to change."""


class _DecimalCodec(TypeCodec):
    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return _decimal(value.bid)


@lru_cache(maxsize=10_000)
def _decimal(bid: bytes) -> Decimal:
    """Remembered: the driver takes its time over each, and most amounts come again and again."""
    return Decimal128.from_bid(bid).to_decimal()


_CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC, type_registry=TypeRegistry([_DecimalCodec()]))


class Database:
    """The project's collections, and the gate in front of them."""

    def __init__(self, client: AsyncMongoClient[Document], name: str, pool_size: int) -> None:
        self._client = client
        self._db: AsyncDatabase[Document] = client.get_database(
            name, codec_options=_CODEC, write_concern=WriteConcern(w="majority", j=True)
        )
        self._gate = asyncio.Semaphore(pool_size)

    def collection(self, name: str) -> Collection:
        return self._db[name]

    @asynccontextmanager
    async def operation(self) -> AsyncIterator[None]:
        """One operation's turn. Raises DatabaseUnavailable for every way in which MongoDB can be away."""
        async with self._gate:
            try:
                yield
            except AWAY as error:
                raise DatabaseUnavailable from error
            except ConfigurationError as error:
                if isinstance(error.__cause__, DNSException):
                    # The name of a mongodb+srv:// address leads nowhere, or nobody tells just now.
                    raise DatabaseUnavailable from error
                raise
            except InvalidOperation as error:
                # The client was closed while an operation waited: only at shutdown.
                raise DatabaseUnavailable from error
            except BulkWriteError as error:
                if error.details.get("writeConcernErrors"):
                    # Written, but perhaps not for good: only a primary that is about to change answers so.
                    raise DatabaseUnavailable from error
                raise
            except AttributeError as error:
                # pymongo 4.20 stumbles over a stopping server's answer to a find-and-modify: it calls `update` on the
                # write concern error, which is read-only there (helpers_shared._check_command_response).
                if isinstance(error.obj, RawBSONDocument):
                    raise DatabaseUnavailable from error
                raise
            except OperationFailure as error:
                if error.code in AWAY_CODES or error.has_error_label("RetryableWriteError"):
                    raise DatabaseUnavailable from error
                raise

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Session]:
        """A session whose reads all see the database as it was at the first of them.

        For five minutes, unless the server keeps more history (`minSnapshotHistoryWindowInSeconds`).
        """
        async with self.operation(), self._client.start_session(snapshot=True) as session:
            yield session

    async def server_time(self) -> datetime:
        """The primary's clock. Raises DatabaseUnavailable."""
        async with self.operation():
            hello = await self._client.admin.command("hello")
        return cast("datetime", hello["localTime"]).replace(tzinfo=UTC)

    async def server_says(self, command: Literal["hello", "buildInfo"]) -> Document:
        """The primary's answer to a question about itself. Raises DatabaseUnavailable."""
        async with self.operation():
            return await self._client.admin.command(command)

    async def index_builds(self) -> list[str]:
        """How far the primary is with the indexes that it builds, in its own words; [] if it does not tell us.

        That takes the right `inprog`, which readWrite on the database does not have. Raises DatabaseUnavailable.
        """
        ours = {"ns": {"$regex": f"^{re.escape(self._db.name)}[.]"}, "msg": {"$regex": "^Index Build"}}
        pipeline: list[Document] = [{"$currentOp": {"allUsers": True}}, {"$match": ours}]
        try:
            async with self.operation():
                found = await (await self._client.admin.aggregate(pipeline)).to_list()
        except OperationFailure as error:
            if error.code in NOT_LET_IN:
                return []
            raise
        return [f"{build['ns']}: {build['msg']}" for build in found]

    @property
    def write_concern(self) -> Document:
        return dict(self._db.write_concern.document)

    async def check(self) -> None:
        """Refuse a server that cannot keep our promises.

        Raises DatabaseUnsuitable (standalone, too old) or DatabaseUnavailable.
        """
        try:
            async with self.operation():
                hello = await self._client.admin.command("hello")
                await self._db.command("ping")
        except OperationFailure as error:
            if error.code in NOT_LET_IN:
                raise DatabaseUnsuitable(
                    "MongoDB does not let us in: check user, password and authSource in MONGODB_URI."
                ) from None
            raise
        if "setName" not in hello:
            raise DatabaseUnsuitable(
                "MongoDB runs as a standalone server. Cadencia needs a replica set (one node is enough), for retryable "
                "and majority writes: start mongod with --replSet rs0 and run rs.initiate() once."
            )
        if hello.get("maxWireVersion", 0) < 17:
            raise DatabaseUnsuitable("MongoDB is older than 6.0, the oldest version that Cadencia is tested with.")

    async def drop(self) -> None:
        """Remove the whole database. For tests."""
        await self._client.drop_database(self._db.name)

    async def close(self) -> None:
        await self._client.close()


def connect(uri: str, name: str, *, pool_size: int, timeout_seconds: float) -> Database:
    """A Database that connects on first use. `timeout_seconds` bounds the search for a primary.

    Raises DatabaseUnsuitable for an address that cannot be one.
    """
    try:
        return _connect(uri, name, pool_size, int(timeout_seconds * 1000))
    except (ConfigurationError, ValueError):
        # The driver's text may quote the address, and with it the password.
        raise DatabaseUnsuitable(
            "MONGODB_URI cannot be read. It looks like mongodb://user:password@host:27017/?replicaSet=rs0, with "
            "special characters of the password percent-encoded."
        ) from None
    except OSError as error:
        raise DatabaseUnsuitable(
            f"A file that MONGODB_URI names (tlsCAFile, tlsCertificateKeyFile) cannot be read: {error.filename}"
        ) from None


def _connect(uri: str, name: str, pool_size: int, milliseconds: int) -> Database:
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        uri,
        appname="cadencia",
        maxPoolSize=pool_size,
        serverSelectionTimeoutMS=milliseconds,
        connectTimeoutMS=milliseconds,
        socketTimeoutMS=max(milliseconds * 4, 20_000),
        waitQueueTimeoutMS=milliseconds,
        retryWrites=True,
        retryReads=True,
    )
    return Database(client, name, pool_size)


class Repository:
    """Base of all repositories: holds the Database that `guarded` takes a turn from."""

    def __init__(self, database: Database) -> None:
        self._database = database


Self_ = TypeVar("Self_", bound=Repository)


def guarded(
    method: Callable[Concatenate[Self_, P], Awaitable[R]],
) -> Callable[Concatenate[Self_, P], Coroutine[Any, Any, R]]:
    """A repository method that takes one turn at the gate and raises only DatabaseUnavailable for a MongoDB that is
    away.

    Guarded methods must not call one another: each holds its turn.
    """

    @wraps(method)
    async def wrapper(self: Self_, /, *args: P.args, **kwargs: P.kwargs) -> R:
        async with self._database.operation():
            return await method(self, *args, **kwargs)

    return wrapper
