"""Indexes that take longer to build than any answer may take are waited for; nobody is held up, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from pymongo import AsyncMongoClient
from structlog.testing import capture_logs

from app.domain.errors import DataNotReady
from app.main import create_app
from app.repositories import indexes
from app.repositories.database import Database, Document, connect
from app.repositories.embedded_mongod import EmbeddedMongod
from app.repositories.indexes import INDEXES, ensure_indexes
from app.repositories.migrator import Migrator
from tests.api.conftest import problem, running
from tests.builders import NOW
from tests.conftest import make_settings
from tests.e2e.conftest import until

NAME = "cadencia_index_builds"
SOCKET_MS = 200


@pytest.fixture
async def database(mongod: EmbeddedMongod) -> AsyncIterator[Database]:
    database = connect(mongod.uri, NAME, pool_size=8, timeout_seconds=10)
    await database.drop()
    try:
        yield database
    finally:
        await database.drop()
        await database.close()


@pytest.fixture
async def impatient(
    mongod: EmbeddedMongod, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """Waits a fifth of a second for every answer but those about indexes, and asks for nothing else."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongod.uri, socketTimeoutMS=SOCKET_MS)
    impatient = Database(client, NAME, 8)

    async def there() -> datetime:
        return NOW

    monkeypatch.setattr(impatient, "server_time", there)
    try:
        yield impatient
    finally:
        await impatient.close()


@asynccontextmanager
async def held_up(mongod: EmbeddedMongod) -> AsyncIterator[asyncio.Event]:
    """No index of `accounts` can be built until the event is set: somebody else has the collection."""
    over = asyncio.Event()
    holder: AsyncMongoClient[Document] = AsyncMongoClient(mongod.uri)
    try:
        await holder[NAME].create_collection("accounts")
        async with holder.start_session() as session:
            await session.start_transaction()
            await holder[NAME]["accounts"].insert_one({"_id": "acc-1"}, session=session)

            async def let_go() -> None:
                await over.wait()
                await session.abort_transaction()

            task = asyncio.create_task(let_go())
            try:
                yield over
            finally:
                over.set()
                await task
    finally:
        await holder.close()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(indexes, "TOLD_EVERY", 1)


async def built(database: Database, collection: str) -> set[str]:
    return set(await database.collection(collection).index_information()) - {"_id_"}


async def test_one_that_takes_longer_than_an_answer_may_is_waited_for_and_that_is_told(
    mongod: EmbeddedMongod, database: Database, impatient: Database, often: None
) -> None:
    async with held_up(mongod) as over:
        with capture_logs() as log:
            both = [asyncio.create_task(ensure_indexes(impatient)) for _ in range(2)]

            async def is_told() -> bool:
                assert not any(task.done() for task in both)
                # Ten times as long as the socket waits for an answer.
                waited = [line["seconds"] for line in log if line["event"] == "indexes_waited_for"]
                return max(waited, default=0) >= 10 * SOCKET_MS / 1000

            try:
                await until(is_told)
                assert await built(database, "accounts") == set()
            finally:
                over.set()
                await asyncio.gather(*both)
    for name, declared in INDEXES.items():
        assert await built(database, name) == {index.document["name"] for index in declared}
    await ensure_indexes(impatient)


async def test_who_is_to_stop_does_not_wait_and_the_next_one_goes_on(
    mongod: EmbeddedMongod, database: Database, impatient: Database, often: None
) -> None:
    async with held_up(mongod) as over:
        for asked in ({"stopping": lambda: True}, {"patience": 0.05}):
            with pytest.raises(DataNotReady) as refused:
                await ensure_indexes(impatient, **asked)
            assert refused.value.code == "indexes_being_built"
        over.set()
    await ensure_indexes(impatient)
    assert await built(database, "accounts") == {index.document["name"] for index in INDEXES["accounts"]}


async def test_an_api_answers_503_while_indexes_are_built(
    mongod: EmbeddedMongod, database: Database, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.lifecycle.FIRST_PATIENCE_SECONDS", 0.1)
    settings = make_settings(mongod.uri, mongodb_database=NAME, authentication=False)
    # As data of today, but for an index.
    await Migrator(database, code="test", holder="test").make_ready(migrate=True)
    await database.collection("accounts").drop()
    async with held_up(mongod) as over, running(create_app(settings)) as api:

        async def says_so() -> bool:
            answer = await api.get("accounts")
            return answer.status_code == 503 and answer.json()["code"] == "indexes_being_built"

        await until(says_so)
        problem(await api.get("accounts"), 503, "indexes_being_built")
        over.set()

        async def is_ready() -> bool:
            return (await api.get("accounts")).status_code == 200

        await until(is_ready)


async def test_while_nothing_is_built_nothing_is_told(database: Database) -> None:
    assert await database.index_builds() == []
