"""A batch's live stream, over real HTTP."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.api.event_streams import MOST_STREAMS, OpenStreams
from app.bootstrap import Container
from app.config import Settings
from app.domain.access import EVERYBODY
from app.domain.errors import TooManyRequests
from app.domain.jobs import JobState
from app.integrations.credentials.access_tokens import AccessTokens
from app.main import create_app
from app.repositories.embedded_mongod import EmbeddedMongod, start_embedded_mongod
from app.services import live_batches
from app.services.stream_tickets import LIFETIME
from tests.api.conftest import ACCOUNT, BATCH, CREDENTIALS, let_in, problem
from tests.api.event_streams import Served, listening, serving
from tests.api.test_access import somebody
from tests.api.test_serving import free_port, serve
from tests.conftest import make_settings
from tests.workers.conftest import until


@pytest.fixture
async def served(settings: Settings, container: Container) -> AsyncIterator[Served]:
    """The API behind a real socket, on the test's database."""
    async with serving(create_app(settings)) as running:
        yield running


def events_of(served: Served, batch: dict[str, Any]) -> str:
    return f"{served.url}/api/v1/batches/{batch['batch_id']}/events"


def no_one_listens(served: Served) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return served.under_way == 0

    return ask


async def finish(container: Container, batch: dict[str, Any]) -> None:
    """Its job ended, and the worker has found it so."""
    match = {"batch_id": batch["batch_id"]}
    ended = {"state": JobState.COMPLETED.value, "finished_at": container.clock.now()}
    await container.database.collection("jobs").update_many(match, {"$set": ended})
    completed = {"status": "completed", "finished_at": container.clock.now()}
    await container.database.collection("batches").update_one({"_id": batch["batch_id"]}, {"$set": completed})


async def test_status_at_once_then_what_changes_then_the_end(
    api: httpx.AsyncClient, batch: dict[str, Any], served: Served, container: Container
) -> None:
    path = f"batches/{batch['batch_id']}"
    async with listening(events_of(served, batch), headers=CREDENTIALS) as listener:
        headers = listener.answer.headers
        assert headers["content-type"].startswith("text/event-stream")
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache, no-transform", "no")
        first = await listener.until("status")
        # The log so far comes before, in order, each line with an id.
        assert [said.data["event"] for said in first[:-1]] == ["batch_created", "batch_started"]
        assert first[0].event_id
        passing = ("estimated_end_at", "estimate", "blocked_by")
        asked = (await api.get(f"{path}/status")).json()
        assert {k: v for k, v in first[-1].data.items() if k not in passing} == {
            k: v for k, v in asked.items() if k not in passing
        }
        await api.patch(path, json={"is_active": False})
        heard = [await listener.next(), await listener.next()]
        said = {said.name: said.data for said in heard if said}
        assert said["status"]["status"] == "paused"
        assert (said["log"]["event"], said["log"]["message"]) == ("batch_paused_by_user", "Batch pausado")
        await finish(container, batch)
        last = (await listener.until("over"))[-1]
        assert (last.data["status"], last.data["completed_jobs"]) == ("completed", 1)
        assert await listener.rest() == []
        assert listener.retry


async def test_who_comes_back_is_told_what_was_missed(
    api: httpx.AsyncClient, batch: dict[str, Any], served: Served, container: Container
) -> None:
    path = f"batches/{batch['batch_id']}"
    for active in (False, True):
        await api.patch(path, json={"is_active": active})
    async with listening(events_of(served, batch), headers=CREDENTIALS) as listener:
        lines = [said for said in await listener.until("status") if said.name == "log"]
    events = ["batch_created", "batch_started", "batch_paused_by_user", "batch_resumed"]
    assert [line.data["event"] for line in lines] == events
    # One that is still among the newest, and one that is far behind.
    live = served.app.state.runtime.container.live_batches
    for newest in (live_batches.NEWEST, 1):
        live._looks.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(live_batches, "NEWEST", newest)
            headers = {**CREDENTIALS, "Last-Event-ID": str(lines[0].event_id)}
            async with listening(events_of(served, batch), headers=headers) as listener:
                again = [said for said in await listener.until("status") if said.name == "log"]
        assert again == lines[1:]
    live._looks.clear()
    # An id that is none of this log's: the newest lines.
    headers = {**CREDENTIALS, "Last-Event-ID": "0" * 24}
    async with listening(events_of(served, batch), headers=headers) as listener:
        assert [said for said in await listener.until("status") if said.name == "log"] == lines
    await finish(container, batch)
    headers = {**CREDENTIALS, "Last-Event-ID": "over"}

    async def told_to_stay_away() -> bool:
        async with listening(events_of(served, batch), headers=headers) as listener:
            return listener.answer.status_code == 204

    await until(told_to_stay_away)


async def test_many_listeners_cost_one_look(
    api: httpx.AsyncClient, batch: dict[str, Any], served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_batches, "LOOK_SECONDS", 3600)
    service = served.app.state.runtime.container.batches
    asked = 0
    status = service.status

    async def counted(batch_id: str) -> Any:
        nonlocal asked
        asked += 1
        return await status(batch_id)

    monkeypatch.setattr(service, "status", counted)

    async def listen() -> None:
        async with listening(events_of(served, batch), headers=CREDENTIALS) as listener:
            assert (await listener.until("status"))[-1].data["batch_id"] == batch["batch_id"]

    await asyncio.gather(*(listen() for _ in range(8)))
    assert asked == 1


async def test_one_user_has_no_end_of_streams(
    api: httpx.AsyncClient, batch: dict[str, Any], served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.event_streams.MOST_STREAMS", 2)
    key = (await api.post("api-keys", json={"name": "panel", "role": "viewer"})).json()
    events = events_of(served, batch)

    async def is_admitted() -> bool:
        async with listening(events, headers=CREDENTIALS) as listener:
            return listener.answer.status_code == 200

    async with listening(events, headers=CREDENTIALS) as first:
        await first.until("status")
        async with listening(events, headers=CREDENTIALS) as second:
            await second.until("status")
            async with httpx.AsyncClient(headers=CREDENTIALS) as http:
                refused = await http.get(events)
            problem(refused, 429, "too_many_streams")
            assert int(refused.headers["retry-after"]) > 0
            async with listening(events, headers={"X-API-Key": key["api_key"]}) as other:
                await other.until("status")
        await until(is_admitted)
    await until(no_one_listens(served))
    assert not served.app.state.runtime.streams._open


def test_a_stream_that_never_began_is_forgotten() -> None:
    streams = OpenStreams()
    for _ in range(3 * MOST_STREAMS):
        streams.admit(EVERYBODY, OpenStreams())
    gc.collect()
    kept = [OpenStreams() for _ in range(MOST_STREAMS)]
    for listener in kept:
        streams.admit(EVERYBODY, listener)
    with pytest.raises(TooManyRequests):
        streams.admit(EVERYBODY, OpenStreams())


async def test_a_ticket_opens_one_batchs_stream_and_nothing_else(
    api: httpx.AsyncClient, batch: dict[str, Any], served: Served, container: Container
) -> None:
    other = (await api.post("batches", json={**BATCH, "name": "Otra"})).json()
    key = (await api.post("api-keys", json={"name": "panel", "role": "viewer"})).json()
    with capture_logs() as log:
        async with somebody(api, key["api_key"]) as viewer:
            answer = await viewer.post(f"batches/{batch['batch_id']}/events/ticket")
            assert answer.status_code == 200, answer.text
            ticket = answer.json()["ticket"]
            assert answer.json()["expires_at"].endswith("Z")
            problem(await viewer.post("batches/batch-x/events/ticket"), 404, "batch_not_found")
        async with listening(events_of(served, batch), params={"ticket": ticket}) as listener:
            assert (await listener.until("status"))[-1].data["batch_id"] == batch["batch_id"]
        async with somebody(api) as nobody:
            for path, code in (
                (f"batches/{other['batch_id']}/events", "ticket_not_valid"),
                (f"batches/{batch['batch_id']}/status", "token_missing"),
                (f"batches/{batch['batch_id']}/events/", "token_missing"),
            ):
                problem(await nobody.get(path, params={"ticket": ticket}), 401, code)
            problem(
                await nobody.post(f"batches/{batch['batch_id']}/events", params={"ticket": ticket}),
                401,
                "token_missing",
            )
        async with somebody(api, ticket) as bearer:
            problem(await bearer.get("jobs"), 401, "token_not_valid")
        # Taken from whoever has it: the ticket is worth nothing either.
        await api.delete(f"api-keys/{key['key_id']}")
        served.app.state.runtime.container.access.api_keys._known.clear()
        async with listening(events_of(served, batch), params={"ticket": ticket}) as refused:
            assert refused.answer.status_code == 401
        await until(no_one_listens(served))
    assert ticket not in str(log)
    assert any(entry.get("route") == "/batches/{batch_id}/events" for entry in log)
    entries = [entry async for entry in container.database.collection("audit_log").find()]
    assert ticket not in str(entries)


async def test_a_ticket_is_no_access_token_and_expires(
    api: httpx.AsyncClient, batch: dict[str, Any], container: Container
) -> None:
    secret = await container.access.sessions.signing_secret()
    tokens, now, batch_id = AccessTokens(), container.clock.now(), batch["batch_id"]
    fresh = tokens.sign_ticket("api_key:key-tests", batch_id, now, LIFETIME, secret)
    assert tokens.holder_of_ticket(fresh, batch_id, now, secret) == "api_key:key-tests"
    assert tokens.holder_of_ticket(fresh, batch_id, now + LIFETIME, secret) is None
    assert tokens.holder_of_ticket(fresh, "batch-other", now, secret) is None
    assert tokens.bearer_of(fresh, now, secret) is None
    access = tokens.sign("user-1", now, timedelta(minutes=5), secret)
    assert tokens.holder_of_ticket(access, batch_id, now, secret) is None


async def test_a_listener_who_leaves_is_forgotten(
    api: httpx.AsyncClient, batch: dict[str, Any], served: Served
) -> None:
    async with listening(events_of(served, batch), headers=CREDENTIALS) as listener:
        await listener.until("status")
        assert served.under_way == 1
    await until(no_one_listens(served))


async def test_silence_is_filled_and_a_deleted_batch_ends(
    api: httpx.AsyncClient, batch: dict[str, Any], served: Served, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.routes.batch_events.HEARTBEAT_SECONDS", 0.0)
    async with listening(events_of(served, batch), headers=CREDENTIALS) as listener:
        await listener.until("status")

        async def filled() -> bool:
            return listener.comments > 0

        async def deleted() -> None:
            await until(filled)
            await container.database.collection("batches").delete_many({})

        _, heard = await asyncio.gather(deleted(), listener.rest())
    assert [said.name for said in heard][-1:] == ["gone"]
    assert heard[-1].data["code"] == "batch_not_found"


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # as in test_database_away
async def test_mongodb_goes_and_comes_back(tmp_path: Path) -> None:
    async with await start_embedded_mongod(tmp_path / "mongod") as mongod:
        app = create_app(make_settings(mongod.uri, mongodb_timeout_seconds=0.3))
        async with serving(app) as served:
            await let_in(app.state.runtime.container)
            async with httpx.AsyncClient(
                base_url=f"{served.url}/api/v1/", headers=CREDENTIALS, trust_env=False, timeout=30
            ) as client:
                await client.post("accounts", json=ACCOUNT)
                batch = (await client.post("batches", json=BATCH)).json()
            async with listening(events_of(served, batch), headers=CREDENTIALS) as listener:
                await listener.until("status")
                await mongod.stop()
                heard = await listener.until("unavailable")
                assert heard[-1].data["code"] == "database_unavailable"
                async with await start_embedded_mongod(mongod.data_dir, mongod.port):
                    # The same status as before, for it says that MongoDB is back; and no second complaint.
                    assert [said.name for said in await listener.until("status")] == ["status"]
    gc.collect()


async def test_a_server_that_is_stopped_ends_its_streams(
    tmp_path: Path, mongod: EmbeddedMongod, api: httpx.AsyncClient, batch: dict[str, Any]
) -> None:
    port = free_port()
    process = serve(tmp_path, port, MONGODB_URI=mongod.uri, MONGODB_DATABASE="cadencia_test")
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def healthy() -> bool:
                try:
                    return (await client.get("/health")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(healthy)
        url = f"http://127.0.0.1:{port}/api/v1/batches/{batch['batch_id']}/events"
        async with listening(url, headers=CREDENTIALS) as listener:
            await listener.until("status")
            process.terminate()
            # uvicorn alone would wait for the stream, for ever.
            await listener.rest()
        # uvicorn ends itself by the signal once everything is answered.
        assert await asyncio.to_thread(process.wait, 30) == -signal.SIGTERM
    finally:
        process.kill()
        output, _ = await asyncio.to_thread(process.communicate, timeout=30)
    assert "Traceback" not in output
