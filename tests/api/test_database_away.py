"""The API while MongoDB is away: it starts, answers 503, and recovers by itself."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from app.main import create_app
from app.repositories.database import DatabaseUnsuitable
from app.repositories.embedded_mongod import EmbeddedMongod, start_embedded_mongod
from tests.api.conftest import ACCOUNT, BATCH, let_in, problem, running
from tests.conftest import make_settings

HEALTH = "http://cadencia.test/health"


# pymongo 4.20 leaves the socket open if a connection is cancelled while it is made (pool_shared.py,
# _async_create_connection): the garbage collector closes it, here and now.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
async def own_mongod(tmp_path: Path) -> AsyncIterator[EmbeddedMongod]:
    async with await start_embedded_mongod(tmp_path / "mongod") as mongod:
        yield mongod
    gc.collect()


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await is_so():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.1)


def healthy(api: httpx.AsyncClient) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return (await api.get(HEALTH)).status_code == 200

    return ask


async def test_health_while_all_is_well(api: httpx.AsyncClient) -> None:
    answer = await api.get(HEALTH)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["database"]) == ("ok", "connected")
    assert body["timestamp"].endswith("Z")


async def test_mongodb_goes_and_comes_back(own_mongod: EmbeddedMongod) -> None:
    app = create_app(make_settings(own_mongod.uri, mongodb_timeout_seconds=0.5))
    async with running(app) as api:
        await let_in(app.state.runtime.container)
        assert (await api.post("accounts", json=ACCOUNT)).status_code == 201
        port = own_mongod.port
        await own_mongod.stop()
        for answer in (
            await api.get("accounts/acc-chile-001"),
            await api.post("batches", json=BATCH),
            await api.get("batches/batch-x/status", headers={"Accept-Language": "en"}),
        ):
            problem(answer, 503, "database_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        for path in (HEALTH, f"{HEALTH}/ready"):
            health = await api.get(path)
            assert (health.status_code, health.json()["database"]) == (503, "unavailable")
        assert (await api.get(f"{HEALTH}/live")).status_code == 200
        async with await start_embedded_mongod(own_mongod.data_dir, port):
            await until(healthy(api))
            assert (await api.get("accounts/acc-chile-001")).status_code == 200
            assert (await api.get("batches")).json() == []
            assert (await api.post("batches", json=BATCH)).status_code == 201


async def test_it_starts_without_mongodb_and_prepares_it_later(own_mongod: EmbeddedMongod) -> None:
    uri, port = own_mongod.uri, own_mongod.port
    await own_mongod.stop()
    with capture_logs() as log:
        app = create_app(make_settings(uri, mongodb_timeout_seconds=0.3))
        async with running(app) as api:
            problem(await api.post("accounts", json=ACCOUNT), 503, "database_unavailable")
            assert (await api.get(HEALTH)).status_code == 503
            # What needs no database is answered all the same.
            problem(await api.get("http://cadencia.test/nada"), 404, "route_not_found")
            async with await start_embedded_mongod(own_mongod.data_dir, port):
                await until(healthy(api))
                await let_in(app.state.runtime.container)
                # With its indexes, or a key would create twice.
                headers = {"Idempotency-Key": "una vez"}
                assert (await api.post("accounts", json=ACCOUNT)).status_code == 201
                both = [await api.post("batches", json=BATCH, headers=headers) for _ in range(2)]
                assert both[0].json()["batch_id"] == both[1].json()["batch_id"]
                indexes = await app_indexes(api)
                assert "idempotency" in indexes
    events = [entry["event"] for entry in log if entry["event"].startswith("mongodb")]
    assert events[0] == "mongodb_waited_for"
    assert events[-1] == "mongodb_available"


async def app_indexes(api: httpx.AsyncClient) -> set[str]:
    """The indexes of the batches, as the app's own connection sees them."""
    transport = api._transport
    assert isinstance(transport, httpx.ASGITransport)
    database = transport.app.state.runtime.container.database  # type: ignore[attr-defined]
    return set(await database.collection("batches").index_information())


async def test_a_frozen_mongodb_is_told_in_seconds(own_mongod: EmbeddedMongod) -> None:
    app = create_app(make_settings(own_mongod.uri, mongodb_timeout_seconds=0.5))
    async with running(app) as api:
        assert (await api.get(HEALTH)).status_code == 200
        os.kill(own_mongod.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(60):
                assert (await api.get(HEALTH)).status_code == 503
        finally:
            with suppress(ProcessLookupError):
                os.kill(own_mongod.pid, signal.SIGCONT)
        await until(healthy(api))


async def test_a_mongodb_that_cannot_be_used_ends_the_start(
    own_mongod: EmbeddedMongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise DatabaseUnsuitable("MongoDB runs as a standalone server.")

    monkeypatch.setattr("app.repositories.database.Database.check", refuse)
    app = create_app(make_settings(own_mongod.uri))
    with capture_logs() as log, pytest.raises(DatabaseUnsuitable):
        async with app.router.lifespan_context(app):
            pytest.fail("it must not start")
    assert [(entry["event"], entry["problem"]) for entry in log] == [
        ("mongodb_unsuitable", "MongoDB runs as a standalone server.")
    ]


async def test_one_that_turns_out_unusable_later_ends_the_process(
    own_mongod: EmbeddedMongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, port = own_mongod.uri, own_mongod.port
    await own_mongod.stop()
    signals: list[int] = []
    monkeypatch.setattr("app.api.lifecycle.signal.raise_signal", signals.append)
    async with running(create_app(make_settings(uri, mongodb_timeout_seconds=0.3))) as api:

        async def refuse(*_: object) -> None:
            raise DatabaseUnsuitable("too old")

        monkeypatch.setattr("app.repositories.database.Database.check", refuse)
        async with await start_embedded_mongod(own_mongod.data_dir, port):

            async def ended() -> bool:
                return signals == [signal.SIGTERM]

            await until(ended)

            async def preparing(path: str) -> bool:
                # The driver has not found the server until something looks for it.
                health = await api.get(path)
                assert health.status_code == 503
                return bool(health.json()["database"] == "preparing")

            for path in (HEALTH, f"{HEALTH}/ready"):
                await until(partial(preparing, path))
            assert (await api.get(f"{HEALTH}/live")).status_code == 200


@pytest.mark.timeout(60)
async def test_it_stops_whatever_the_driver_does_with_a_cancellation(
    own_mongod: EmbeddedMongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def answer_anyway(*_: object) -> None:
        asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def prepared(_: object, **__: object) -> None:
        return

    monkeypatch.setattr("app.api.lifecycle.CLOCK_SECONDS", 0.01)
    monkeypatch.setattr("app.bootstrap.Container.synchronise_clock", answer_anyway)
    monkeypatch.setattr("app.bootstrap.Container.prepare_database", prepared)
    async with running(create_app(make_settings(own_mongod.uri))):
        await asked.wait()
    # It has stopped: that this is reached is what is proved.
