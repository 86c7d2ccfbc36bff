"""The connection to MongoDB: which servers are refused, what "away" means, and that nobody starves at the gate."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pymongo import AsyncMongoClient, errors
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure

from app.bootstrap import Container
from app.domain.calling_hours import CallingHours
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import JobState
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.database import Database, DatabaseUnsuitable, connect
from app.repositories.documents import plain, set_or_unset
from app.repositories.embedded_mongod import EmbeddedMongod, find_mongod
from app.repositories.indexes import INDEXES, ensure_indexes
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.repositories.transactions import MongoTransactions
from tests.builders import NOW

TIMEOUT = 0.5
MARGIN = 2.0
"""What a loaded machine may add to the time-out."""


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextlib.asynccontextmanager
async def connected(uri: str, *, pool_size: int = 4, seconds: float = TIMEOUT) -> AsyncIterator[Database]:
    database = connect(uri, "cadencia_test", pool_size=pool_size, timeout_seconds=seconds)
    try:
        yield database
    finally:
        await database.close()


# Which servers are refused ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def standalone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a mongod without replica set."""
    folder = tmp_path_factory.mktemp("standalone")
    port = free_port()
    command = [str(find_mongod()), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
    command += ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--logpath", str(folder / "log")]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    uri = f"mongodb://127.0.0.1:{port}"
    try:
        async with AsyncMongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=30_000) as client:
            await client.admin.command("ping")
        yield uri
    finally:
        process.kill()
        await process.wait()


async def test_a_server_without_replica_set_is_refused_with_what_to_do(standalone: str) -> None:
    async with connected(standalone, seconds=10) as database:
        with pytest.raises(DatabaseUnsuitable, match=r"standalone.*--replSet rs0.*rs\.initiate"):
            await database.check()


async def test_a_replica_set_of_one_node_will_do(container: Container) -> None:
    await container.database.check()


@pytest.mark.parametrize(("version", "fits"), [(17, True), (25, True), (13, False), (None, False)])
async def test_a_server_older_than_6_is_refused(
    container: Container, monkeypatch: pytest.MonkeyPatch, version: int | None, fits: bool
) -> None:
    class Admin:
        async def command(self, _name: str) -> dict[str, Any]:
            return {"setName": "rs0"} | ({} if version is None else {"maxWireVersion": version})

    class Client:
        admin = Admin()

    monkeypatch.setattr(container.database, "_client", Client())
    if fits:
        await container.database.check()
    else:
        with pytest.raises(DatabaseUnsuitable, match=r"older than 6\.0"):
            await container.database.check()


# A server that is away --------------------------------------------------------------------------------------------


async def assert_away(database: Database) -> None:
    """Every repository says so, within the time-out."""
    now = NOW
    questions = [
        database.check,
        database.server_time,
        lambda: ensure_indexes(database),
        lambda: MongoAccounts(database).get("x"),
        lambda: MongoAccounts(database).reserve("x", "a", Decimal(1)),
        lambda: MongoBatches(database).due(now, 1),
        lambda: MongoJobs(database).get("x"),
        lambda: MongoJobQueue(database).claim("x", [0], [0], worker_id="w", lease=timedelta(1), now=now),
        lambda: MongoJobQueue(database).renew("w", ["x"], timedelta(1)),
        lambda: MongoTransactions(database).get("x"),
    ]
    # One turn for each at the gate, so that they wait at once and not one after another.
    async with asyncio.timeout(TIMEOUT + MARGIN):
        answers = await asyncio.gather(*(question() for question in questions), return_exceptions=True)  # type: ignore[no-untyped-call]
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * len(questions)


async def test_a_server_that_is_not_there_is_away_within_the_time_out() -> None:
    async with connected(f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0", pool_size=16) as database:
        await assert_away(database)


async def test_a_server_that_takes_the_connection_and_never_answers_is_away_within_the_time_out() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        uri = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/?replicaSet=rs0"
        async with connected(uri, pool_size=16) as database:
            await assert_away(database)


async def test_a_server_without_primary_is_away_within_the_time_out(mongod: EmbeddedMongod) -> None:
    async with connected(mongod.uri.replace("replicaSet=", "replicaSet=another-"), pool_size=16) as database:
        await assert_away(database)


async def test_a_closed_connection_is_away(mongod: EmbeddedMongod) -> None:
    async with connected(mongod.uri) as database:
        await database.check()
    with pytest.raises(DatabaseUnavailable):
        await database.server_time()


AWAY_ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ConnectionFailure)]


@pytest.mark.parametrize("kind", AWAY_ERRORS)
async def test_each_failure_of_a_connection_means_away(container: Container, kind: type[ConnectionFailure]) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        async with container.database.operation():
            raise kind("text")
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (errors.ExecutionTimeout("text"), True),
        (errors.WTimeoutError("text"), True),
        (errors.InvalidOperation("closed"), True),
        (OperationFailure("shutting down", 91), True),
        (OperationFailure("text", 112, {"errorLabels": ["RetryableWriteError"]}), True),
        (OperationFailure("text", 112), False),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}), True),
        (BulkWriteError({"writeErrors": [{"code": 121}], "writeConcernErrors": []}), False),
        (OperationFailure("unauthorized", 13), False),
        (errors.DuplicateKeyError("text"), False),
        (errors.DocumentTooLarge("text"), False),
        (ValueError("ours"), False),
    ],
)
async def test_only_a_database_that_may_come_back_is_away(container: Container, error: Exception, away: bool) -> None:
    with pytest.raises(DatabaseUnavailable if away else type(error)):
        async with container.database.operation():
            raise error


# The gate ---------------------------------------------------------------------------------------------------------


async def test_operations_take_their_turns_in_the_order_they_came(mongod: EmbeddedMongod) -> None:
    async with connected(mongod.uri, pool_size=2) as database:
        order: list[int] = []

        async def operate(number: int) -> None:
            async with database.operation():
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(operate(number) for number in range(100)))
        assert order == list(range(100))


async def test_who_comes_back_queues_behind_those_who_wait(mongod: EmbeddedMongod) -> None:
    async with connected(mongod.uri, pool_size=3) as database:
        turns = [0] * 64

        async def operate_for_ever(number: int) -> None:
            while True:
                async with database.operation():
                    turns[number] += 1
                    await asyncio.sleep(0)
                if sum(turns) >= 6400:
                    return

        await asyncio.gather(*(operate_for_ever(number) for number in range(64)))
        assert min(turns) >= 99
        assert max(turns) <= 101


async def test_no_more_operations_run_at_once_than_there_are_connections(mongod: EmbeddedMongod) -> None:
    async with connected(mongod.uri, pool_size=3) as database:
        running, most = 0, 0

        async def operate() -> None:
            nonlocal running, most
            async with database.operation():
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                running -= 1

        await asyncio.gather(*(operate() for _ in range(50)))
        assert most == 3


async def test_a_turn_is_given_back_by_those_who_fail_or_give_up(mongod: EmbeddedMongod) -> None:
    async with connected(mongod.uri, pool_size=1) as database:
        for error in (ConnectionFailure("x"), ValueError("x"), asyncio.CancelledError()):
            with pytest.raises(BaseException):  # noqa: B017, PT011 - each of its kind
                async with database.operation():
                    raise error
        async with asyncio.timeout(60):
            await database.check()


async def test_many_real_operations_through_few_connections_all_get_through(mongod: EmbeddedMongod) -> None:
    async with connected(mongod.uri, pool_size=2, seconds=10) as database:
        answers = await asyncio.gather(*(MongoJobs(database).get(f"job-{number}") for number in range(300)))
        assert answers == [None] * 300


# What is stored ---------------------------------------------------------------------------------------------------


async def test_decimals_and_instants_come_back_as_they_were(container: Container) -> None:
    collection = container.database.collection("things")
    amount = Decimal("12345678901234567890.1234567891234")
    await collection.insert_one({"_id": 1, "amount": amount, "at": NOW, "deep": [{"amount": Decimal("0.10")}]})
    found = await collection.find_one({"_id": 1})
    await collection.drop()
    assert found == {"_id": 1, "amount": amount, "at": NOW, "deep": [{"amount": Decimal("0.10")}]}
    assert str(found["deep"][0]["amount"]) == "0.10"
    assert found["at"].tzinfo is UTC


async def test_what_is_written_is_written_to_a_majority_and_its_journal(container: Container) -> None:
    assert container.database.collection("jobs").write_concern.document == {"w": "majority", "j": True}


async def test_the_servers_time_is_an_instant_near_ours(container: Container) -> None:
    server = await container.database.server_time()
    assert abs(server - datetime.now(UTC)) < timedelta(seconds=5)


async def test_a_model_becomes_plain_values_without_what_is_none() -> None:
    hours = CallingHours(start=time(9), end=time(18, 30), days_of_week=frozenset({5, 1}), timezone="America/Santiago")
    assert plain({"hours": hours, "state": JobState.PENDING, "list": (1, Decimal("0.1"))}) == {
        "hours": {"start": "09:00", "end": "18:30", "days_of_week": [1, 5], "timezone": "America/Santiago"},
        "state": "pending",
        "list": [1, Decimal("0.1")],
    }


def test_none_removes_and_everything_else_is_set() -> None:
    assert set_or_unset({"a": 1, "b": None, "c": False}) == {"$set": {"a": 1, "c": False}, "$unset": {"b": ""}}
    assert set_or_unset({"a": 1}) == {"$set": {"a": 1}}
    assert set_or_unset({"b": None}) == {"$unset": {"b": ""}}


async def test_indexes_are_made_once_and_again_without_harm(container: Container) -> None:
    await ensure_indexes(container.database)
    await ensure_indexes(container.database)
    for name, indexes in INDEXES.items():
        present = await container.database.collection(name).index_information()
        # A collection without indexes of its own is made by its first document.
        assert set(present) - {"_id_"} == {index.document["name"] for index in indexes}


async def test_a_name_that_leads_nowhere_is_a_database_that_is_away() -> None:
    """Also a mongodb+srv:// one, which pymongo calls a wrong configuration."""
    away = connect("mongodb+srv://user:hunter2@db.cadencia.invalid/", "x", pool_size=4, timeout_seconds=0.5)
    try:
        with pytest.raises(DatabaseUnavailable):
            await away.check()
    finally:
        await away.close()


def test_a_file_of_the_address_that_is_not_there_is_named() -> None:
    with pytest.raises(DatabaseUnsuitable, match=r"tlsCAFile.*: /nonexistent/ca\.pem$"):
        connect("mongodb://127.0.0.1:9/?tls=true&tlsCAFile=/nonexistent/ca.pem", "x", pool_size=4, timeout_seconds=0.5)
