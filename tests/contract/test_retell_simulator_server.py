"""The command: start, serve for real, and end."""

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "scripts.retell_simulator")
BODY = {"from_number": "+14157774444", "to_number": "+56912345678"}


async def start(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*COMMAND, *arguments, cwd=ROOT, stdout=pipe, stderr=pipe)


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A simulator on a free port, and its URL; killed if the test has not ended it."""
    process = await start("--port", "0", *arguments)
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        found = re.fullmatch(r"Retell simulator on (http://127\.0\.0\.1:\d+) \(speed \S+\)\n", line)
        assert found is not None, line
        yield process, found[1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def client(url: str, key: str = "key_simulator") -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


async def test_serve_a_scripted_call_and_its_webhooks(tmp_path: Path) -> None:
    hooks: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None
        await hooks.put(await reader.readexactly(int(length[1])))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    receiver = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = receiver.sockets[0].getsockname()[1]
    script = tmp_path / "script.json"
    outcome = {"disconnection_reason": "agent_hangup", "talk_seconds": 60}
    script.write_text(json.dumps({"numbers": {"+56912345678": [outcome]}}), "utf-8")
    options = ("--speed", "600", "--api-key", "k", "--script", str(script))
    async with (
        receiver,
        running(*options, "--webhook-url", f"http://127.0.0.1:{port}/hook") as (process, url),
        client(url, "k") as http,
    ):
        call_id = (await http.post("/v2/create-phone-call", json=BODY)).json()["call_id"]
        events = [json.loads(await asyncio.wait_for(hooks.get(), 10)) for _ in range(3)]
        assert [event["event"] for event in events] == ["call_started", "call_ended", "call_analyzed"]
        call = (await http.get(f"/v2/get-call/{call_id}")).json()
        assert (call["disconnection_reason"], call["duration_ms"]) == ("agent_hangup", 60_000)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 5) == 0


async def first_call(http: httpx.AsyncClient) -> None:
    for _ in range(3000):
        if (await http.get("/simulator/health")).json()["calls"] > 0:
            return
        await asyncio.sleep(0.01)
    pytest.fail("no call within half a minute")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_quickly_even_with_hanging_requests(stop: signal.Signals) -> None:
    async with running() as (process, url), client(url) as http:
        faults = {"create_faults": [{"kind": "timeout_after"}]}
        await http.patch("/simulator/knobs", json=faults)
        hanging = asyncio.create_task(http.post("/v2/create-phone-call", json=BODY))
        await first_call(http)
        process.send_signal(stop)
        assert await asyncio.wait_for(process.wait(), 60) == 0
        assert (await hanging).status_code == 504
        assert process.stderr is not None
        assert await process.stderr.read() == b""


async def test_a_client_that_gives_up_leaves_nothing_behind() -> None:
    async with running() as (process, url), client(url) as http:
        await http.patch("/simulator/knobs", json={"create_faults": [{"kind": "timeout_after", "count": 1}]})
        with pytest.raises(httpx.ReadTimeout):
            await http.post("/v2/create-phone-call", json=BODY | {"idempotency_key": "k"}, timeout=0.2)
        again = await http.post("/v2/create-phone-call", json=BODY | {"idempotency_key": "k"})
        (first, second) = (await http.get("/simulator/creates")).json()["creates"]
        assert first["call_id"] == second["call_id"] == again.json()["call_id"]
        assert (first["result"], second["result"]) == ("faulted", "replayed")
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 5)
        assert process.stderr is not None
        assert await process.stderr.read() == b""


async def failure(*arguments: str) -> str:
    """Run, expect exit code 2, and return the one line on stderr."""
    process = await start(*arguments)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (2, b"")
    assert err.count(b"\n") == 1
    return err.decode()


async def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = await failure("--port", str(port))
    assert line == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


async def test_bad_options_are_one_clear_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    assert "cannot read" in await failure("--script", str(bad))
    bad.write_text("{", "utf-8")
    assert "is not JSON" in await failure("--script", str(bad))
    bad.write_text('{"knobs": {"nonsense": 1}}', "utf-8")
    assert "knobs.nonsense: Extra inputs are not permitted" in await failure("--script", str(bad))
    assert "--speed must be above 0" in await failure("--speed", "0")


async def test_help_names_the_admin_api() -> None:
    process = await start("--help")
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    for text in ("--host", "--port", "--speed", "--api-key", "--seed", "--script", "/simulator/knobs"):
        assert text in out.decode()
