"""The fixed entry point, `uvicorn app.main:app`, as a process of its own."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx

from app.bootstrap import Container
from app.domain.errors import DatabaseUnavailable
from app.repositories.embedded_mongod import EmbeddedMongod
from scripts.retell_simulator.server import bind
from tests.api.conftest import CREDENTIALS, let_in

ROOT = Path(__file__).parents[2]


def serve(folder: Path, port: int, **environment: str) -> "subprocess.Popen[str]":
    """uvicorn in an empty folder, so that no .env is found."""
    return subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with bind("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
        return port


async def test_without_settings_it_lists_what_is_missing(tmp_path: Path) -> None:
    process = serve(tmp_path, free_port())
    output, _ = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 2
    assert "MONGODB_URI" in output
    assert "Traceback" not in output


def test_importing_the_module_needs_no_settings(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import app.main; app.main.create_app"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
        timeout=30,
    )


async def test_it_serves_and_stops(tmp_path: Path, mongod: EmbeddedMongod, container: Container) -> None:
    await let_in(container)
    port = free_port()
    process = serve(tmp_path, port, MONGODB_URI=mongod.uri, MONGODB_DATABASE="cadencia_test")
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=CREDENTIALS) as client,
            asyncio.timeout(30),
        ):
            while True:
                try:
                    health = await client.get("/health")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.1)
            assert health.json()["status"] == "ok"
            # Over a real socket, the client gets the answer although it sends more than is read.
            files = {"file": ("lista.csv", bytes(55 * 1024**2))}
            too_large = await client.post("/api/v1/batches/excel/preview", files=files, data={"account_id": "acc-x"})
            assert too_large.status_code == 413
            assert too_large.json()["code"] == "file_too_large"
    finally:
        process.terminate()
        output, _ = await asyncio.to_thread(process.communicate, timeout=30)
    assert "Traceback" not in output
    assert output.count("route=/health") >= 1
    assert mongod.uri not in output


def test_an_unavailable_database_is_its_own_error() -> None:
    assert DatabaseUnavailable().code == "database_unavailable"
