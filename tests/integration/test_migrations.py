"""Data of older releases, migrated: twice, by two at once, killed at every statement; and code that is too old for it.

The documents in tests/old_data were written by the releases themselves, with their API, worker and simulator.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import json_util

from app.domain.accounts import Account
from app.domain.batches import Batch
from app.domain.contacts import Contact, person_keys
from app.domain.errors import DatabaseUnavailable, DataNotReady
from app.domain.jobs import Job, computed_of
from app.domain.schema import Stand
from app.repositories.database import Database, DatabaseUnsuitable, Document, connect
from app.repositories.do_not_call import MongoDoNotCallList
from app.repositories.documents import from_document
from app.repositories.embedded_mongod import EmbeddedMongod
from app.repositories.indexes import INDEXES, essence, indexes_of
from app.repositories.migrations import CODE_VERSION, MIGRATIONS
from app.repositories.migrations.steps import Backfill, Migration
from app.repositories.migrator import Migrator, Timing
from app.repositories.schema_document import MongoSchema
from app.repositories.workers import MongoWorkers
from tests.e2e.conftest import until
from tests.unit.test_diagnosis import vitals

OLD_DATA = Path(__file__).parents[1] / "old_data"
RELEASES = ["first_release", "second_release"]
PROMPT = Timing(lease=timedelta(seconds=20), notice=timedelta(0))


@pytest.fixture
def without_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty indexes take a second; they are another matter."""

    async def nothing(*_: object, **__: object) -> None:
        return

    monkeypatch.setattr("app.repositories.migrator.ensure_indexes", nothing)


@pytest.fixture
async def database(without_indexes: None, indexed: Database) -> Database:
    return indexed


@pytest.fixture
async def indexed(mongod: EmbeddedMongod) -> AsyncIterator[Database]:
    async with opened(mongod) as database:
        await database.drop()
        try:
            yield database
        finally:
            await database.drop()


@asynccontextmanager
async def opened(mongod: EmbeddedMongod) -> AsyncIterator[Database]:
    database = connect(mongod.uri, "cadencia_migrations", pool_size=8, timeout_seconds=10)
    try:
        yield database
    finally:
        await database.close()


async def fill(database: Database, release: str, *, indexes_of: Sequence[str] = ()) -> None:
    """As that release left it, with the indexes of these collections."""
    stored = json_util.loads((OLD_DATA / f"{release}.json").read_text("utf-8"))
    for name, documents in stored["documents"].items():
        if documents:
            await database.collection(name).insert_many(documents)
    for name in indexes_of:
        for index in stored["indexes"].get(name, []):
            options = {key: value for key, value in index.items() if key != "key"}
            await database.collection(name).create_index([tuple(part) for part in index["key"]], **options)


async def everything(database: Database) -> dict[str, list[Document]]:
    """All documents but the one about the schema and the workers'."""
    names = set(INDEXES) - {"workers"}
    return {name: await database.collection(name).find().sort("_id", 1).to_list() for name in sorted(names)}


def migrator(database: Database, holder: str = "one", **given: Any) -> Migrator:
    return Migrator(database, code="test", holder=holder, **({"timing": PROMPT} | given))


async def schema_of(database: Database) -> Document:
    document = await database.collection("schema").find_one({"_id": "schema"})
    assert document is not None
    return document


async def assert_migrated(database: Database) -> None:
    """The data is what today's code would have written."""
    jobs = await database.collection("jobs").find().to_list()
    assert jobs
    for document in jobs:
        computed = computed_of(Contact.model_validate(document["contact"]))
        assert {name: document[name] for name in computed} == computed
        from_document(Job, document)
    for document in await database.collection("batch_contacts").find().to_list():
        assert document["person_keys"] == person_keys(Contact.model_validate(document["contact"]))
    for document in await database.collection("batches").find().to_list():
        stored = document["sort_name"], document["name_words"]
        batch = from_document(Batch, document)
        assert stored == (batch.sort_name, batch.name_words)
    for document in await database.collection("accounts").find({}, {"topup_keys": False}).to_list():
        stored = document["sort_name"], document["name_words"]
        account = from_document(Account, document)
        assert stored == (account.sort_name, account.name_words)
    schema = await schema_of(database)
    assert (schema["version"], schema["min_code_version"]) == (CODE_VERSION, 2)
    assert "stand" not in schema


@pytest.mark.parametrize("release", RELEASES)
async def test_a_release_s_data_becomes_today_s(database: Database, release: str) -> None:
    await fill(database, release)
    before = await everything(database)
    await migrator(database).make_ready(migrate=True)
    await assert_migrated(database)
    after = await everything(database)
    # Nothing that was there is gone or changed.
    for name, documents in before.items():
        kept = {document["_id"]: document for document in after[name]}
        for document in documents:
            assert kept[document["_id"]].items() >= document.items()

    await migrator(database, "two").make_ready(migrate=True)
    assert await everything(database) == after
    history = (await schema_of(database))["history"]
    assert [done["version"] for done in history] == list(range(1, CODE_VERSION + 1))
    assert {done["code"] for done in history} == {"test"}


async def test_who_opted_out_before_there_were_lists_is_listed(database: Database) -> None:
    await fill(database, "first_release")
    opted_out = await database.collection("jobs").find_one({"disposition": "opted_out"})
    assert opted_out is not None
    await migrator(database).make_ready(migrate=True)
    lists = MongoDoNotCallList(database)
    listed = await lists.standing(opted_out["account_id"], ["+56980000002", "+56980000012", "id:123456785"])
    assert len(listed) == 3
    assert {entry.created_at for entry in listed} == {opted_out["history"][-1]["ended_at"]}
    assert await database.collection("do_not_call").count_documents({}) == 3

    # Whom an operator takes off stays off, also if everything is done once more.
    await lists.remove(listed[0].entry_id)
    await database.collection("jobs").update_many({}, {"$unset": {"zone": ""}})
    assert await migrator(database).begin_again()
    await migrator(database).make_ready(migrate=True)
    assert await database.collection("do_not_call").count_documents({}) == 2


async def test_what_the_lists_know_already_is_not_added(database: Database) -> None:
    await fill(database, "second_release")
    before = await database.collection("do_not_call").find().to_list()
    await migrator(database).make_ready(migrate=True)
    assert await database.collection("do_not_call").find().to_list() == before


# Interrupted, and by two at once ------------------------------------------------------------------------------------


class Dead(BaseException):
    """The process is gone: not even its `finally` reaches the database."""


class Mortal(Database):
    """Dies before, or right after, its n-th operation."""

    def __init__(self, other: Database, dies_at: int, *, after: bool) -> None:
        self.__dict__.update(other.__dict__)
        self._left = dies_at
        self._after = after
        self.died = False

    @asynccontextmanager
    async def operation(self) -> AsyncIterator[None]:
        self._left -= 1
        if self.died or (self._left <= 0 and not self._after):
            self.died = True
            raise Dead
        async with super().operation():
            yield
        if self._left <= 0:
            self.died = True
            raise Dead


def in_small_pieces(migrations: Sequence[Migration] = MIGRATIONS) -> list[Migration]:
    return [
        replace(
            migration,
            steps=[
                replace(step, window=3, batch=2) if isinstance(step, Backfill) else step for step in migration.steps
            ],
        )
        for migration in migrations
    ]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("release", RELEASES)
async def test_killed_at_every_statement(database: Database, release: str, *, after: bool) -> None:
    await fill(database, release)
    # No lease outlives its holder by more than this, as if each start came after it had run out.
    timing = Timing(lease=timedelta(0), notice=timedelta(0))
    deaths = 0
    while True:
        mortal = Mortal(database, 1 + deaths, after=after)
        one = migrator(mortal, f"life {deaths}", timing=timing, migrations=in_small_pieces())
        try:
            await one.make_ready(migrate=True)
            break
        except Dead:
            deaths += 1
            assert deaths < 200
        except DataNotReady:
            assert not mortal.died
    assert deaths > 5
    await assert_migrated(database)


async def test_two_at_once(database: Database, mongod: EmbeddedMongod) -> None:
    await fill(database, "first_release")
    async with opened(mongod) as other:
        # Without leases that hold, both do all of it.
        for timing in (PROMPT, Timing(lease=timedelta(0), notice=timedelta(0))):
            runners = [
                migrator(database, "one", migrations=in_small_pieces(), timing=timing),
                migrator(other, "two", migrations=in_small_pieces(), timing=timing),
            ]
            await asyncio.gather(*(until_ready(runner) for runner in runners))
            await assert_migrated(database)
            assert await runners[0].begin_again()
            await database.collection("jobs").update_many({}, {"$unset": {"zone": "", "name_words": ""}})
    await until_ready(migrator(database))
    await assert_migrated(database)


async def until_ready(runner: Migrator) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await runner.make_ready(migrate=True)
                return
            except (DataNotReady, DatabaseUnavailable):
                await asyncio.sleep(0.05)


async def test_who_was_overtaken_changes_nothing_any_more(database: Database) -> None:
    await fill(database, "first_release")
    slow = MongoSchema(database)
    await slow.begin()
    assert await slow.take_lease("slow", timedelta(0)) is not None
    await migrator(database).make_ready(migrate=True)
    before = await schema_of(database)
    assert not await slow.note("slow", Stand(migration=2, step=0, after="x"))
    assert not await slow.demand("slow", 99)
    await slow.record(1, 1, {"name": "late"})
    # Nor if nobody has taken the lease since.
    assert await slow.take_lease("slow", timedelta(0)) is not None
    assert not await slow.note("slow", Stand(migration=2, step=0, after="x"))
    await slow.release("slow")
    assert await schema_of(database) == before


async def test_a_name_that_changes_meanwhile_is_computed_from_what_it_is(database: Database) -> None:
    await fill(database, "first_release")
    batch = await database.collection("batches").find_one({"name": "Encuesta"})
    assert batch is not None
    renamed = False

    async def rename(_: Database, found: Sequence[Document]) -> None:
        nonlocal renamed
        if not renamed and batch["_id"] in {document["_id"] for document in found}:
            await database.collection("batches").update_one({"_id": batch["_id"]}, {"$set": {"name": "Zapatos"}})
            renamed = True

    names = next(step for step in MIGRATIONS[1].steps if step.name == "batches")
    assert isinstance(names, Backfill)
    changed = [MIGRATIONS[0], replace(MIGRATIONS[1], steps=[replace(names, beforehand=rename)])]
    await migrator(database, migrations=changed).make_ready(migrate=True)
    assert renamed
    found = await database.collection("batches").find_one({"_id": batch["_id"]})
    assert found is not None
    assert (found["name"], found["sort_name"]) == ("Zapatos", "zapatos")


async def test_a_document_that_cannot_be_read_is_left_and_told(database: Database) -> None:
    await fill(database, "first_release")
    broken = await database.collection("jobs").find_one({}, sort=[("_id", 1)])
    assert broken is not None
    await database.collection("jobs").update_one({"_id": broken["_id"]}, {"$set": {"contact": {"phones": "none"}}})
    await migrator(database).make_ready(migrate=True)
    schema = await schema_of(database)
    assert (schema["version"], schema["history"][-1]["skipped"]) == (CODE_VERSION, 1)
    assert await database.collection("jobs").count_documents({"zone": {"$exists": False}}) == 1


@pytest.mark.parametrize("history", ["none", ["x"], [{"disposition": "opted_out"}], None])
async def test_a_history_that_cannot_be_read_stops_nobody(database: Database, history: object) -> None:
    await fill(database, "first_release")
    await database.collection("jobs").update_one({"disposition": "busy"}, {"$set": {"history": history}})
    await migrator(database).make_ready(migrate=True)
    assert (await schema_of(database))["version"] == CODE_VERSION
    assert await database.collection("do_not_call").count_documents({}) == 3


async def test_who_is_told_to_stop_leaves_the_rest_to_the_next(database: Database) -> None:
    await fill(database, "first_release")
    with pytest.raises(DataNotReady):
        await migrator(database, migrations=in_small_pieces()).make_ready(migrate=True, stopping=lambda: True)
    assert "lease" not in await schema_of(database)
    await migrator(database, "two").make_ready(migrate=True)
    await assert_migrated(database)


async def test_another_waits_while_one_migrates(database: Database) -> None:
    await fill(database, "first_release")
    blocked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: Database, __: Sequence[Document]) -> None:
        blocked.set()
        await go_on.wait()

    jobs, *rest = MIGRATIONS[1].steps
    assert isinstance(jobs, Backfill)
    slow = [MIGRATIONS[0], replace(MIGRATIONS[1], steps=[replace(jobs, beforehand=hold), *rest])]
    running = asyncio.create_task(migrator(database, migrations=slow).make_ready(migrate=True))
    try:
        await asyncio.wait_for(blocked.wait(), 30)
        with pytest.raises(DataNotReady) as refused:
            await migrator(database, "two").make_ready(migrate=True)
        assert refused.value.code == "data_being_migrated"
        assert not await migrator(database, "two").begin_again()
    finally:
        go_on.set()
        await running
    assert (await schema_of(database))["version"] == CODE_VERSION


# Who may work with what ----------------------------------------------------------------------------------------------


async def test_a_new_database_needs_no_migration(database: Database) -> None:
    await migrator(database).make_ready(migrate=False)
    schema = await schema_of(database)
    assert (schema["version"], schema["min_code_version"]) == (CODE_VERSION, 2)
    assert await migrator(database).outstanding() == []


async def test_data_in_today_s_shape_is_recognised_and_nobody_has_to_leave(database: Database) -> None:
    await fill(database, "first_release")
    await migrator(database).make_ready(migrate=True)
    await database.collection("schema").delete_many({})
    workers = MongoWorkers(database)
    await workers.note("old-worker:1", vitals())
    await migrator(database).make_ready(migrate=False)
    assert (await schema_of(database))["version"] == CODE_VERSION
    noted = await workers.get("old-worker:1")
    assert noted is not None
    assert noted.drain_until is None


async def test_the_plan_says_how_much_there_is_to_do(database: Database) -> None:
    await fill(database, "first_release", indexes_of=["jobs"])
    before = await everything(database)
    planned = await migrator(database, migrations=in_small_pieces()).outstanding()
    assert [one.migration.number for one in planned] == [1, 2]
    # Every job, batch and account; the index of jobs that changed, and two that lists do not use any more.
    lacking = sum(len(before[name]) for name in ("jobs", "batches", "accounts"))
    assert [one.things for one in planned] == [3, lacking]
    with pytest.raises(DataNotReady) as refused:
        await migrator(database).make_ready(migrate=False)
    assert refused.value.code == "data_outdated"
    assert await everything(database) == before


def later(*, compatible: bool) -> list[Migration]:
    """What a code of the future knows."""
    return [*MIGRATIONS, Migration(CODE_VERSION + 1, "later", "Something.", steps=[], compatible=compatible)]


async def test_older_code_is_refused_where_it_would_misread(database: Database) -> None:
    await migrator(database).make_ready(migrate=True)
    await migrator(database, "new", migrations=later(compatible=False)).make_ready(migrate=True)
    with pytest.raises(DatabaseUnsuitable, match=rf"version {CODE_VERSION + 1} or later only; this code has version"):
        await migrator(database).make_ready(migrate=True)
    with pytest.raises(DatabaseUnsuitable):
        await migrator(database).check()


async def test_older_code_goes_on_beside_what_it_understands(indexed: Database) -> None:
    await migrator(indexed).make_ready(migrate=True)
    await migrator(indexed, "new", migrations=later(compatible=True)).make_ready(migrate=True)
    # An index that only the newer code knows to be gone is not made again.
    await indexed.collection("webhooks").drop_index("of_account")
    await migrator(indexed).make_ready(migrate=True)
    assert "of_account" not in await indexes_of(indexed, "webhooks")
    assert (await schema_of(indexed))["version"] == CODE_VERSION + 1


async def test_workers_of_older_code_leave_before_the_data_changes(database: Database) -> None:
    await migrator(database).make_ready(migrate=True)
    workers = MongoWorkers(database)
    await workers.note("old:1", vitals(schema_version=CODE_VERSION))
    await workers.note("new:1", vitals(schema_version=CODE_VERSION + 1))
    running = asyncio.create_task(
        migrator(database, "new", migrations=later(compatible=False)).make_ready(migrate=True)
    )
    try:

        async def asked_to_drain() -> bool:
            noted = await workers.get("old:1")
            return noted is not None and noted.drain_until is not None

        await until(asked_to_drain)
        schema = await schema_of(database)
        # Told, before anything is done: from now on none starts.
        assert (schema["version"], schema["min_code_version"]) == (CODE_VERSION, CODE_VERSION + 1)
        old = await workers.get("old:1")
        assert old is not None
        assert old.drain_requested_by == f"migration to version {CODE_VERSION + 1}"
        await workers.note("old:1", vitals(state="stopped", schema_version=CODE_VERSION))
        await asyncio.wait_for(running, 30)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert (await schema_of(database))["version"] == CODE_VERSION + 1
    new = await workers.get("new:1")
    assert new is not None
    assert new.drain_until is None


async def test_apis_of_older_code_get_their_time_to_notice(database: Database) -> None:
    await migrator(database).make_ready(migrate=True)
    patient = Timing(lease=timedelta(seconds=20), notice=timedelta(hours=1))
    started = migrator(database, "new", migrations=later(compatible=False), timing=patient)
    running = asyncio.create_task(started.make_ready(migrate=True))
    try:

        async def is_demanded() -> bool:
            return bool((await schema_of(database))["min_code_version"] > CODE_VERSION)

        await until(is_demanded)
        # The time counts from when they were told, whoever waits for it.
        told = (await schema_of(database))["demanded_at"] - timedelta(hours=2)
        await database.collection("schema").update_one({}, {"$set": {"demanded_at": told}})
        await asyncio.wait_for(running, 30)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert (await schema_of(database))["version"] == CODE_VERSION + 1


@pytest.mark.parametrize(
    "broken",
    [
        {"version": "2", "min_code_version": 2},
        {"version": None, "min_code_version": 2},
        {"version": 2.5, "min_code_version": 2},
        {"min_code_version": 2},
        {"version": 2},
        {"version": 1, "min_code_version": 1, "stand": {"migration": "two"}},
    ],
)
async def test_a_version_that_cannot_be_read_is_told(database: Database, broken: Document) -> None:
    await migrator(database).make_ready(migrate=True)
    await database.collection("schema").replace_one({"_id": "schema"}, broken)
    before = await everything(database)
    with pytest.raises(DatabaseUnsuitable, match=r"cannot be read: (version|min_code_version|stand)\. Nothing is done"):
        await migrator(database).make_ready(migrate=True)
    assert await everything(database) == before


# Indexes -------------------------------------------------------------------------------------------------------------


async def test_an_index_in_the_way_is_named(indexed: Database) -> None:
    await migrator(indexed).make_ready(migrate=True)
    await indexed.collection("jobs").drop_index("lease")
    await indexed.collection("jobs").create_index([("lease_until", -1)], name="lease")
    with pytest.raises(DatabaseUnsuitable, match=r"jobs\.lease is .*-1.*, lease must be .*lease_until.*1") as refused:
        await migrator(indexed).make_ready(migrate=True)
    assert "jobs.slot" not in str(refused.value)
    await indexed.collection("jobs").drop_index("lease")
    await indexed.collection("jobs").create_index([("email", 1)], name="theirs")
    await indexed.collection("jobs").create_index([("worker_id", 1), ("heard_at", 1)], name="mine", sparse=True)
    await migrator(indexed).make_ready(migrate=True)


async def test_a_unique_index_over_doubles_is_told(indexed: Database) -> None:
    await indexed.collection("users").insert_many([{"email": "a@example.com"}, {"email": "a@example.com"}])
    with pytest.raises(DatabaseUnsuitable, match="users over email cannot be built") as refused:
        await migrator(indexed).make_ready(migrate=True)
    assert "a@example.com" not in str(refused.value)


@pytest.mark.parametrize("release", ["first_release", "third_release"])
async def test_no_index_of_a_release_is_forgotten(indexed: Database, release: str) -> None:
    """Fails where an index is dropped or changed in indexes.py without a migration that drops the old one."""
    await fill(indexed, release, indexes_of=list(INDEXES))
    await migrator(indexed).make_ready(migrate=True)
    for name, declared in INDEXES.items():
        there = {index: essence(spec) for index, spec in (await indexes_of(indexed, name)).items() if index != "_id_"}
        assert there == {index.document["name"]: essence(index.document) for index in declared}
