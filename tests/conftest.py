"""Fixtures that every kind of test shares: one real mongod for the session, one database emptied for each test."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import settings as hypothesis_settings

from app.bootstrap import Container, open_container
from app.config import Settings
from app.repositories.embedded_mongod import EmbeddedMongod, start_embedded_mongod
from app.repositories.indexes import INDEXES

# No test is about how long something takes on a machine that may stand still.
hypothesis_settings.register_profile("cadencia", parent=hypothesis_settings(), deadline=None)
hypothesis_settings.load_profile("cadencia")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-rounds", type=int, default=2, help="Broken files of each kind in test_spreadsheet_fuzz.py."
    )


@pytest.fixture(scope="session")
async def mongod(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedMongod]:
    async with await start_embedded_mongod(tmp_path_factory.mktemp("session-mongod") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def settings(mongod: EmbeddedMongod) -> Settings:
    """Settings for the test database, with spans short enough for tests. Nothing comes from the environment."""
    return make_settings(mongod.uri)


def make_settings(mongodb_uri: str, **changes: object) -> Settings:
    """Test settings with `changes`, whatever the environment or a .env file say."""
    values: dict[str, object] = {
        "mongodb_uri": mongodb_uri,
        "mongodb_database": "cadencia_test",
        "retell_base_url": "http://127.0.0.1:9",
        "retell_api_key": "key_test",
        "retell_from_number": "+56225550100",
        "retell_calls_per_second": 0,
        "requests_per_minute": 1_000_000,
        "worker_poll_seconds": 0.05,
        "worker_lease_seconds": 3,
        "retell_create_timeout_seconds": 1,
        "worker_heartbeat_seconds": 0.5,
        "call_poll_seconds": 0.1,
        "call_poll_max_seconds": 0.2,
        "call_details_grace_seconds": 1,
        **changes,
    }
    return Settings.model_validate(values)


@pytest.fixture(scope="session")
async def session_container(settings: Settings) -> AsyncIterator[Container]:
    async with open_container(settings) as container:
        await container.prepare_database()
        yield container
        await container.database.drop()


@pytest.fixture
async def container(session_container: Container) -> Container:
    """The wired application on an empty database."""
    # Secrets stay: applications that live longer than a test know them by heart, and others read them.
    for collection in [*(set(INDEXES) - {"secrets"}), "provider_limits", "from_numbers", "overview"]:
        await session_container.database.collection(collection).delete_many({})
    return session_container
