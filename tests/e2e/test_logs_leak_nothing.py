"""What real processes write while everything goes wrong around them: no secret of theirs, no phone."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.repositories.embedded_mongod import EmbeddedMongod
from scripts.dev_stack import free_port
from tests.e2e.conftest import ROOT, until
from tests.e2e.test_call_worker_command import run

SECRETS = {
    "RETELL_API_KEY": "key_hunter2hunter2",
    "RETELL_WEBHOOK_KEY": "key_hunter3hunter3,key_hunter4hunter4",
    "AUTH_SECRET": "hunter5-hunter5-hunter5-hunter5-hunter5",
    "METRICS_TOKEN": "hunter6hunter6",
}
PASSWORD = "hunter7hunter7"
AWAY = f"mongodb://cadencia:{PASSWORD}@127.0.0.1:9/?replicaSet=rs0"


def assert_nothing_leaks(output: str) -> None:
    assert "hunter" not in output
    assert "12345678" not in output


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_worker_that_mongodb_does_not_let_in(mongod: EmbeddedMongod, log_format: str) -> None:
    wrong = re.sub(r"://[^@]+@", f"://cadencia:{PASSWORD}@", mongod.uri)
    done = run("--once", MONGODB_URI=wrong, LOG_FORMAT=log_format, RETELL_FROM_NUMBER="+56912345678", **SECRETS)
    assert done.returncode == 2
    assert "MongoDB" in done.stderr
    assert_nothing_leaks(done.stdout + done.stderr)


@contextmanager
def api_without_database(port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    settings = {"MONGODB_URI": AWAY, "MONGODB_TIMEOUT_SECONDS": "0.2", "LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    clean = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}}
    environment = {**clean, **settings, **SECRETS, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=log.parent, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()


async def test_an_api_without_its_database(tmp_path: Path) -> None:
    port, log = free_port(0), tmp_path / "api.log"
    with api_without_database(port, log) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

            async def answers() -> bool:
                assert process.poll() is None, log.read_text("utf-8")
                try:
                    return (await http.get("/health/live")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(answers)
            asked = [
                await http.get("/api/v1/do-not-call/check?account_id=a&phone=%2B56912345678", headers=_bearer()),
                await http.get("/api/v1/batches/b/events?ticket=hunter8hunter8"),
                await http.post("/api/v1/auth/login", json={"email": "a@example.com", "password": "hunter9hunter9"}),
                await http.post("/api/v1/webhooks/retell", json={"to_number": "+56912345678"}),
            ]
            assert {answer.status_code for answer in asked} <= {401, 422, 503}
            assert_nothing_leaks("".join(answer.text for answer in asked))
    written = log.read_text("utf-8")
    assert '"event": "request"' in written
    assert_nothing_leaks(written)


def _bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS['AUTH_SECRET']}"}
