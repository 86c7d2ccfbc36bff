"""The API while data is migrated, and when a newer code's data comes while it runs."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from app.main import create_app
from app.repositories.database import Database, DatabaseUnsuitable, connect
from app.repositories.embedded_mongod import EmbeddedMongod
from app.repositories.migrations import CODE_VERSION
from tests.api.conftest import problem, running
from tests.conftest import make_settings
from tests.e2e.conftest import until

NAME = "cadencia_api_migrating"


@pytest.fixture
async def database(mongod: EmbeddedMongod) -> AsyncIterator[Database]:
    database = connect(mongod.uri, NAME, pool_size=8, timeout_seconds=10)
    await database.drop()
    try:
        yield database
    finally:
        await database.drop()
        await database.close()


async def test_it_answers_503_until_somebody_has_migrated(
    mongod: EmbeddedMongod, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.repositories.migrator.ensure_indexes", lambda *_, **__: asyncio.sleep(0))
    # Of the time before there were versions, and to be changed.
    await database.collection("accounts").insert_one({"_id": "acc-1", "account_name": "Zeta"})
    app = create_app(make_settings(mongod.uri, mongodb_database=NAME, migrate_at_start=False, authentication=False))
    async with running(app) as api:
        refused = await api.get("accounts", headers={"Accept-Language": "en"})
        assert "python -m scripts.migrate" in problem(refused, 503, "data_outdated")["detail"]
        assert (await api.get("http://cadencia.test/health/ready")).json()["database"] == "preparing"
        await app.state.runtime.container.prepare_database(migrate=True)
        account = await database.collection("accounts").find_one({})
        assert account is not None
        assert account["sort_name"] == "zeta"

        async def is_ready() -> bool:
            return (await api.get("http://cadencia.test/health/ready")).status_code == 200

        await until(is_ready)


async def test_it_ends_when_data_comes_that_it_would_misread(
    mongod: EmbeddedMongod, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[int]()
    monkeypatch.setattr("app.repositories.migrator.ensure_indexes", lambda *_, **__: asyncio.sleep(0))
    monkeypatch.setattr("app.api.lifecycle.CLOCK_SECONDS", 0.01)
    monkeypatch.setattr(signal, "raise_signal", told.append)
    async with running(create_app(make_settings(mongod.uri, mongodb_database=NAME))):
        newer = {"version": CODE_VERSION + 1, "min_code_version": CODE_VERSION + 1}
        await database.collection("schema").update_one({}, {"$set": newer})

        async def is_told() -> bool:
            return told == [signal.SIGTERM]

        await until(is_told)


async def test_it_does_not_start_on_data_that_it_would_misread(mongod: EmbeddedMongod, database: Database) -> None:
    newer = {"version": CODE_VERSION + 1, "min_code_version": CODE_VERSION + 1}
    await database.collection("schema").insert_one({"_id": "schema", **newer})
    app = create_app(make_settings(mongod.uri, mongodb_database=NAME))
    with capture_logs() as log, pytest.raises(DatabaseUnsuitable, match="Start the newer Cadencia"):
        async with running(app):
            pass
    assert [(entry["event"], entry["log_level"]) for entry in log] == [("mongodb_unsuitable", "critical")]
    assert await database.collection("jobs").index_information() == {}
