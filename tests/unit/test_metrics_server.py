"""The little HTTP of a worker's metrics, by a real client and a rude one."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
from structlog.testing import capture_logs

from app.bootstrap import open_container
from tests.conftest import make_settings
from workers.call_worker import Loops, _serve_metrics
from workers.metrics_server import MetricsServer

TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def test_it_serves_metrics_and_liveness_and_nothing_else() -> None:
    stalled = list[str]()
    server = MetricsServer("", TYPE, lambda: b"cadencia_info 1\n", lambda: stalled)
    async with (
        server.serving("127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        metrics = await http.get("/metrics?name[]=x")
        assert (metrics.status_code, metrics.content, metrics.headers["content-type"]) == (
            200,
            b"cadencia_info 1\n",
            TYPE,
        )
        assert (await http.get("/health/live")).text == "ok"
        stalled.append("claim")
        ill = await http.get("/health/live")
        assert (ill.status_code, ill.text) == (503, "claim")
        assert (await http.get("/")).status_code == 404
        assert (await http.post("/metrics")).status_code == 404


async def test_the_token_is_asked_for() -> None:
    async with (
        MetricsServer("s3cret", TYPE, lambda: b"x 1\n", list).serving("127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        assert (await http.get("/metrics")).status_code == 401
        answer = await http.get("/metrics", headers={"Authorization": "Bearer s3cret"})
        assert (answer.status_code, answer.text) == (200, "x 1\n")
        # Whoever restarts what hangs has no token.
        assert (await http.get("/health/live")).status_code == 200


async def test_a_taken_port_is_said_and_costs_no_call() -> None:
    metrics = MetricsServer("", TYPE, lambda: b"x 1\n", list)
    async with metrics.serving("127.0.0.1", 0) as port, AsyncExitStack() as beside:
        settings = make_settings("mongodb://127.0.0.1:9/?replicaSet=rs0", worker_metrics_port=port)
        async with open_container(settings) as container:
            with capture_logs() as log:
                await _serve_metrics(container, Loops(), beside)
    assert [(entry["event"], entry["port"]) for entry in log] == [("metrics_not_served", port)]


async def test_nonsense_and_silence_harm_nobody() -> None:
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    async with MetricsServer("", TYPE, lambda: b"x 1\n", list).serving("127.0.0.1", 0) as port:
        for rude in (b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe /\r\n\r\n", b"x" * 20_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(rude)
            writer.write_eof()
            assert b"200" not in await reader.read()
            writer.close()
        assert troubles == []
        silent = await asyncio.open_connection("127.0.0.1", port)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{port}/metrics")).status_code == 200
        silent[1].close()
