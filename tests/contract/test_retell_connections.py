"""What becomes of a create when the connection misbehaves: it is written at most once, and "nothing was sent" is only
said where that is sure."""

import asyncio
import contextlib
import gzip
import json
import math
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions, http_exceptions
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from app.domain.provider_errors import Ambiguous, ProviderError, ProviderUnavailable, ProviderUnreachable
from app.integrations.retell import http as http_module
from app.integrations.retell.client import RetellClient
from tests.builders import FakeTime
from tests.contract.wire import RawServer, Request, Wire, reply, serving_raw
from workers.call_worker import loop_factory

KEY = "key_3f9a1c_very_secret"
Handle = Callable[[Wire, Request], Awaitable[None]]


@contextlib.asynccontextmanager
async def retell(handle: Handle, *, seconds: float = 10) -> AsyncIterator[tuple[RawServer, RetellClient]]:
    """A Retell that does as it likes, and a client of it."""
    async with serving_raw(handle) as raw, client_of(raw.url, seconds=seconds) as client:
        yield raw, client


@contextlib.asynccontextmanager
async def client_of(url: str, *, seconds: float = 10) -> AsyncIterator[RetellClient]:
    client = RetellClient(url, KEY, FakeTime(), create_timeout=seconds, read_timeout=seconds, max_connections=10)
    try:
        yield client
    finally:
        await client.aclose()


def body_of(attempt_id: str) -> str:
    return json.dumps({"idempotency_key": attempt_id, "metadata": {"attempt_id": attempt_id}})


def attempts(raw: RawServer) -> list[str]:
    """The creates that were seen."""
    return [json.loads(request.body)["idempotency_key"] for request in raw.requests]


def created(request: Request, **fields: Any) -> bytes:
    attempt_id = json.loads(request.body)["idempotency_key"]
    call = {"call_id": f"call-{attempt_id}", "call_status": "registered", "metadata": {"attempt_id": attempt_id}}
    return reply(201, json.dumps(call | fields).encode())


async def answer(wire: Wire, request: Request) -> None:
    wire.write(created(request))


async def failure(attempt: Awaitable[Any]) -> ProviderError:
    """The error that this ends in; neither it nor anything that hangs on it shows the key."""
    with pytest.raises(ProviderError) as caught:
        await attempt
    shown, error = "".join(traceback.format_exception(caught.value)), list[BaseException | None]([caught.value])
    while (one := error.pop()) is not None:
        shown += f"{one!r} {one} {vars(one)} {one.args!r}"
        error.append(one.__cause__ or one.__context__)
    assert KEY not in shown
    return caught.value


# Answers that are none ---------------------------------------------------------------------------------------------


async def hang_up(wire: Wire, _request: Request) -> None:
    await wire.close()


async def reset(wire: Wire, _request: Request) -> None:
    wire.reset()


async def say_nothing(_wire: Wire, _request: Request) -> None:
    pass


def saying(text: bytes) -> Handle:
    """These bytes, and the end of the connection."""

    async def handle(wire: Wire, _request: Request) -> None:
        wire.write(text)
        await wire.close()

    return handle


CALL = b'{"call_id":"call_1","call_status":"registered"}'
BROKEN = {
    "hangs up": hang_up,
    "resets": reset,
    "half a status line": saying(b"HTTP/1.1 20"),
    "no HTTP": saying(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "the key, and no HTTP": saying(f"HTTP/1.1 abc {KEY}\r\n{KEY}: {KEY}\r\n\r\n".encode()),
    "headers cut off": saying(b"HTTP/1.1 201 Created\r\nContent-Le"),
    "body cut off": saying(reply(201, CALL)[:-5]),
    "refusal cut off": saying(reply(400, b'{"message":"no"}')[:-5]),
    "chunks cut off": saying(b"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(CALL), CALL)),
    "chunks that are none": saying(b"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n%s" % CALL),
    "two lengths": saying(b"HTTP/1.1 201 C\r\nContent-Length: 5\r\nContent-Length: 47\r\n\r\n" + CALL),
    "no gzip": saying(reply(201, CALL, {"Content-Encoding": "gzip"})),
    "half a gzip": saying(reply(201, gzip.compress(CALL)[:-20], {"Content-Encoding": "gzip"})),
    "a depth": saying(reply(201, b"[" * 200_000)),
    "a depth that can be parsed": saying(reply(201, b'{"call_analysis":' + b"[" * 900 + b"]" * 900 + b"}")),
    "another protocol": saying(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
}


@pytest.mark.parametrize("handle", BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_is_no_whole_answer_is_ambiguous(handle: Handle) -> None:
    async with retell(handle) as (raw, client):
        error = await failure(client.place(body_of("a")))
        assert type(error) is Ambiguous
        assert attempts(raw) == ["a"]


@pytest.mark.parametrize("handle", [hang_up, saying(reply(200, CALL)[:-5]), saying(b"no")])
async def test_a_question_without_a_whole_answer_tells_nothing(handle: Handle) -> None:
    async with retell(handle) as (_, client):
        assert type(await failure(client.get("call_1"))) is ProviderUnavailable
        assert type(await failure(client.find("a", "+56912345678"))) is ProviderUnavailable


async def test_no_answer_in_time_is_ambiguous() -> None:
    async with retell(say_nothing, seconds=0.2) as (raw, client):
        assert type(await failure(client.place(body_of("a")))) is Ambiguous
        assert attempts(raw) == ["a"]


async def test_an_answer_that_never_ends_is_ambiguous() -> None:
    async def dribble(wire: Wire, _request: Request) -> None:
        wire.write(b"HTTP/1.1 201 Created\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            wire.write(b" ")
            await asyncio.sleep(0.01)

    async with retell(dribble, seconds=0.2) as (raw, client):
        assert type(await failure(client.place(body_of("a")))) is Ambiguous
        assert attempts(raw) == ["a"]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_ambiguous_and_not_followed(status: int) -> None:
    async def elsewhere(wire: Wire, request: Request) -> None:
        wire.write(reply(status, headers={"Location": request.target}))

    async with retell(elsewhere) as (raw, client):
        assert type(await failure(client.place(body_of("a")))) is Ambiguous
        assert type(await failure(client.get("call_1"))) is ProviderUnavailable
        assert [request.method for request in raw.requests] == ["POST", "GET"]


async def test_an_answer_about_another_attempt_is_ambiguous() -> None:
    async def mistake(wire: Wire, request: Request) -> None:
        wire.write(created(request, metadata={"attempt_id": "b"}))

    async with retell(mistake) as (_, client):
        assert type(await failure(client.place(body_of("a")))) is Ambiguous


async def test_an_answer_about_another_call_tells_nothing() -> None:
    async with retell(saying(reply(200, CALL))) as (_, client):
        assert type(await failure(client.get("call_2"))) is ProviderUnavailable


async def test_an_answer_with_long_headers_and_many_is_read() -> None:
    async def talk(wire: Wire, _request: Request) -> None:
        many = {f"X-{number}": "x" for number in range(300)}
        wire.write(reply(201, gzip.compress(CALL), {"X-Long": "x" * 20_000, "Content-Encoding": "gzip", **many}))

    async with retell(talk) as (_, client):
        assert (await client.place(body_of("a"))).call_id == "call_1"


# Connections that are kept -----------------------------------------------------------------------------------------


async def test_a_connection_is_used_again() -> None:
    async with retell(answer) as (raw, client):
        for attempt_id in "abc":
            assert (await client.place(body_of(attempt_id))).call_id == f"call-{attempt_id}"
        assert len(raw.wires) == 1


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_kept_connection_that_the_server_has_closed_is_not_used(end: str) -> None:
    async with retell(answer) as (raw, client):
        await client.place(body_of("a"))
        if end == "close":
            await raw.wires[0].close()
        else:
            raw.wires[0].reset()
            await asyncio.sleep(0)
        assert (await client.place(body_of("b"))).call_id == "call-b"
        assert attempts(raw) == ["a", "b"]
        assert len(raw.wires) == 2


@pytest.mark.parametrize("end", [hang_up, reset])
async def test_a_kept_connection_that_ends_as_the_create_arrives_leaves_it_ambiguous_and_seen_once(end: Handle) -> None:
    async def once(wire: Wire, request: Request) -> None:
        await (answer if attempts(raw) == ["a"] else end)(wire, request)

    async with retell(once) as (raw, client):
        await client.place(body_of("a"))
        assert type(await failure(client.place(body_of("b")))) is Ambiguous
        assert attempts(raw) == ["a", "b"]
        assert len(raw.wires) == 1


async def test_what_an_idle_connection_brings_is_nobodys_answer() -> None:
    """A server's words as it gives a quiet connection up; they would say "surely not placed" of the next create."""
    async with retell(answer) as (raw, client):
        await client.place(body_of("a"))
        raw.wires[0].write(reply(400, b"too quiet"))
        assert (await client.place(body_of("b"))).call_id == "call-b", "before the event loop has read it"
        raw.wires[1].write(reply(400, b"too quiet"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await client.place(body_of("c"))).call_id == "call-c", "after"
        assert attempts(raw) == ["a", "b", "c"]
        assert len(raw.wires) == 3


async def test_an_answer_too_many_is_nobodys_answer() -> None:
    async def twice(wire: Wire, request: Request) -> None:
        wire.write(created(request) + created(request))

    async with retell(twice) as (raw, client):
        assert (await client.place(body_of("a"))).call_id == "call-a"
        assert (await client.place(body_of("b"))).call_id == "call-b"
        assert len(raw.wires) == 2


async def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "KEPT_SECONDS", -1)
    async with retell(answer) as (raw, client):
        await client.place(body_of("a"))
        await client.place(body_of("b"))
        assert len(raw.wires) == 2


async def test_the_answer_to_a_create_that_was_given_up_is_not_the_next_ones() -> None:
    arrived, may_answer = asyncio.Event(), asyncio.Event()

    async def late(wire: Wire, request: Request) -> None:
        if attempts(raw) == ["a"]:
            arrived.set()
            await may_answer.wait()
        wire.write(created(request))

    async with retell(late) as (raw, client):
        given_up = asyncio.create_task(client.place(body_of("a")))
        await arrived.wait()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        may_answer.set()
        assert (await client.place(body_of("b"))).call_id == "call-b"
        assert attempts(raw) == ["a", "b"]


@pytest.mark.parametrize(
    "scenario",
    [
        partial(test_a_kept_connection_that_the_server_has_closed_is_not_used, "close"),
        partial(test_a_kept_connection_that_the_server_has_closed_is_not_used, "reset"),
        partial(test_a_kept_connection_that_ends_as_the_create_arrives_leaves_it_ambiguous_and_seen_once, hang_up),
        test_what_an_idle_connection_brings_is_nobodys_answer,
        test_an_answer_too_many_is_nobodys_answer,
        test_the_answer_to_a_create_that_was_given_up_is_not_the_next_ones,
    ],
)
async def test_it_is_so_in_the_workers_event_loop_too(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(scenario())

    await asyncio.to_thread(run)


async def test_no_cookies_are_kept() -> None:
    async def sweet(wire: Wire, request: Request) -> None:
        wire.write(reply(201, created(request).partition(b"\r\n\r\n")[2], {"Set-Cookie": "id=1; Path=/"}))

    async with serving_raw(sweet) as raw, client_of(raw.url.replace("127.0.0.1", "localhost")) as client:
        await client.place(body_of("a"))
        await client.place(body_of("b"))
        assert [request.headers.get("cookie") for request in raw.requests] == [None, None]


# Connections that never were ---------------------------------------------------------------------------------------


async def test_a_failed_tls_handshake_means_that_nothing_was_sent() -> None:
    def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ready\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, client_of(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        assert type(await failure(client.place(body_of("a")))) is ProviderUnreachable


def test_certificates_are_verified() -> None:
    context = aiohttp.connector._SSL_CONTEXT_VERIFIED
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def errors_of_aiohttp() -> Iterator[type[Exception]]:
    for module in (client_exceptions, http_exceptions):
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Exception) and thing.__module__ == module.__name__:
                yield thing


ERRORS = {*errors_of_aiohttp(), TimeoutError, ConnectionResetError, OSError} - {aiohttp.WSMessageTypeError}
NEVER_SENT = {
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorDNSError,
    aiohttp.ClientConnectorSSLError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientSSLError,
    client_exceptions.UnixClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.InvalidUrlClientError,
    aiohttp.NonHttpUrlClientError,
}


def instance(kind: type[Exception]) -> Exception:
    place = ConnectionKey("retell", 443, True, True, None, None, None)
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {KEY}"}))
    if issubclass(kind, client_exceptions.UnixClientConnectorError):
        return kind("/socket", place, OSError(KEY))
    if issubclass(kind, aiohttp.ClientConnectorCertificateError):
        return kind(place, ssl.CertificateError(KEY))
    if issubclass(kind, aiohttp.ClientConnectorError):
        return kind(place, OSError(KEY))
    if issubclass(kind, aiohttp.ClientResponseError):
        return kind(RequestInfo(URL("http://retell"), "POST", headers), (), message=KEY)
    if issubclass(kind, aiohttp.ServerFingerprintMismatch):
        return kind(b"", b"", "retell", 443)
    if issubclass(kind, http_exceptions.HttpProcessingError) and not issubclass(kind, http_exceptions.BadHttpMessage):
        return kind(message=KEY)
    if issubclass(kind, http_exceptions.BadStatusLine | http_exceptions.InvalidHeader):
        return kind(KEY)
    if issubclass(kind, http_exceptions.LineTooLong):
        return kind(KEY.encode(), 1)
    return kind(KEY)


@pytest.mark.parametrize("kind", sorted(ERRORS, key=str))
async def test_each_failure_of_aiohttp_says_whether_a_call_may_exist(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: Any, **_kwargs: Any) -> None:
        raise instance(kind)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", fail)
    async with client_of("http://retell.invalid") as client:
        error = await failure(client.place(body_of("a")))
        assert type(error) is (ProviderUnreachable if kind in NEVER_SENT else Ambiguous)
        assert kind.__name__ in error.detail
        assert type(await failure(client.get("call_1"))) is ProviderUnavailable


def test_aiohttp_has_the_failures_that_this_test_thinks_of() -> None:
    assert NEVER_SENT | {aiohttp.SocketTimeoutError, aiohttp.ServerDisconnectedError} < ERRORS


# Proxies of the environment ----------------------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["", "http://"])
async def test_a_proxy_of_the_environment_is_asked(environment: pytest.MonkeyPatch, name: str, scheme: str) -> None:
    async with serving_raw(answer) as raw:
        environment.setenv(name, scheme + raw.url.removeprefix("http://"))
        async with client_of("http://retell.invalid") as client:
            assert (await client.place(body_of("a"))).call_id == "call-a"
        assert [request.target for request in raw.requests] == ["http://retell.invalid/v2/create-phone-call"]


async def test_a_proxy_is_not_asked_for_what_needs_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    environment.setenv("NO_PROXY", "127.0.0.1")
    async with retell(answer) as (_, client):
        assert (await client.place(body_of("a"))).call_id == "call-a"


async def test_a_proxy_that_is_away_means_that_nothing_was_sent(environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        async with client_of("http://retell.invalid") as client:
            assert type(await failure(client.place(body_of("a")))) is ProviderUnreachable


async def test_a_proxy_that_cannot_be_used_means_that_nothing_was_sent(environment: pytest.MonkeyPatch) -> None:
    """Nobody has to find out whether a phone rang: the contacts wait, and it is said for what."""
    environment.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    async with client_of("http://retell.invalid") as client:
        error = await failure(client.place(body_of("a")))
        assert type(error) is ProviderUnreachable
        assert "not socks5" in error.detail
        assert type(await failure(client.max_concurrent())) is ProviderUnavailable


@pytest.mark.parametrize("status", [400, 402, 429])
async def test_what_a_refusal_says_can_be_stored(status: int) -> None:
    refusal = reply(status, rb'{"message":"the value \"Hola \ud83d\" is too long"}')
    async with retell(saying(refusal)) as (_, client):
        error = await failure(client.place(body_of("a")))
        assert error.detail.encode().decode().endswith('the value "Hola ?" is too long')


# What is sent ------------------------------------------------------------------------------------------------------


async def test_this_is_what_is_sent() -> None:
    async def tell(wire: Wire, request: Request) -> None:
        wire.write(created(request) if request.body else reply(204, headers={"Date": "Wed, 03 Jun 2026 15:00:30 GMT"}))

    async with retell(tell) as (raw, client):
        await client.place(body_of("a"))
        await client.stop("call_1")
        looked = await client.agent("agent/1")
    creation, stop, look = raw.requests
    assert (creation.method, creation.target, creation.body) == ("POST", "/v2/create-phone-call", body_of("a").encode())
    assert creation.headers["content-type"] == "application/json"
    assert creation.headers["authorization"] == f"Bearer {KEY}"
    assert creation.headers["host"] == raw.url.removeprefix("http://")
    assert (stop.method, stop.target, stop.headers["content-length"]) == ("POST", "/v2/stop-call/call_1", "0")
    assert (look.method, look.target, look.body) == ("GET", "/get-agent/agent%2F1", b"")
    assert looked.date == datetime(2026, 6, 3, 15, 0, 30, tzinfo=UTC)


def test_a_request_takes_no_longer_than_it_is_given() -> None:
    """docs/proofs.md counts on it: a worker that lost its leases asks for two thirds of one, and then for a third."""
    patience = http_module.within(20)
    assert (patience.total, patience.connect) == (20, http_module.CONNECT_SECONDS)
    assert patience.ceil_threshold == math.inf
