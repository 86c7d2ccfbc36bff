"""`python -m workers.call_worker` as an operator meets it: help, wrong settings, unsuitable servers, --once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.repositories.embedded_mongod import EmbeddedMongod, find_mongod
from scripts.dev_stack import free_port
from tests.e2e.conftest import ROOT

COMPLETE = {"RETELL_API_KEY": "key_secret_1234", "RETELL_FROM_NUMBER": "+56226000000", "MONGODB_TIMEOUT_SECONDS": "2"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder without a .env, with only these settings."""
    clean = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}}
    return subprocess.run(
        [sys.executable, "-m", "workers.call_worker", *arguments],
        env={**clean, **environment, "PYTHONPATH": str(ROOT)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_help_names_the_options_without_any_settings() -> None:
    done = run("--help", COLUMNS="120")

    assert done.returncode == 0
    for option in ("--concurrency", "--worker-id", "--once", "--drain", "--health-file", "--metrics-port"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "MONGODB_URI"),
        ({"MONGODB_URI": "mongodb://127.0.0.1:9/"}, "RETELL_FROM_NUMBER: must be set"),
        ({"MONGODB_URI": "mongodb://127.0.0.1:9/", **COMPLETE, "WORKER_LEASE_SECONDS": "10"}, "WORKER_LEASE_SECONDS"),
        ({"MONGODB_URI": "mongodb://127.0.0.1:9/", **COMPLETE, "CALL_POLL_SECONDS": "never"}, "CALL_POLL_SECONDS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_settings_are_named_and_never_shown(settings: dict[str, str], named: str) -> None:
    done = run(**settings)

    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert "key_secret_1234" not in done.stderr


def test_once_with_nothing_due_ends_well(mongod: EmbeddedMongod) -> None:
    done = run("--once", MONGODB_URI=mongod.uri, MONGODB_DATABASE="cadencia_once", LOG_FORMAT="json", **COMPLETE)

    assert done.returncode == 0, done.stderr
    assert '"event": "worker_stopped"' in done.stderr
    assert "key_secret_1234" not in done.stderr
    assert mongod.uri not in done.stderr


@pytest.mark.parametrize(
    ("spoil", "remedy"),
    [
        (lambda uri: uri.replace("mongodb://", "mongo//"), "MONGODB_URI: must look like"),
        (lambda uri: uri.replace("@", "x@", 1), "does not let us in"),
    ],
    ids=["no address", "wrong password"],
)
def test_a_wrong_address_or_password_is_said_without_showing_it(
    mongod: EmbeddedMongod, spoil: Callable[[str], str], remedy: str
) -> None:
    done = run("--once", MONGODB_URI=spoil(mongod.uri), **COMPLETE)

    assert done.returncode == 2
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    assert mongod.uri.partition("@")[0].rpartition(":")[2] not in done.stderr


def test_a_standalone_server_is_refused_with_the_remedy(tmp_path: Path) -> None:
    port = free_port(0)
    options = ["--dbpath", str(tmp_path), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    with subprocess.Popen([str(find_mongod()), *options], stdout=subprocess.DEVNULL) as standalone:
        try:
            done = run(
                "--once", MONGODB_URI=f"mongodb://127.0.0.1:{port}/", **COMPLETE | {"MONGODB_TIMEOUT_SECONDS": "15"}
            )
        finally:
            standalone.terminate()

    assert done.returncode == 2
    assert "--replSet" in done.stderr
    assert "Traceback" not in done.stderr
