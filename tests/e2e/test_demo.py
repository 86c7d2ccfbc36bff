"""`make demo ARGS=--exit`, as a newcomer runs it, with its own embedded mongod."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import ROOT, processes_with, until


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "MONGODB_URI"} | {"COLUMNS": "160"}


def command(data_dir: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "scripts.demo", "--data-dir", str(data_dir), *arguments]


def test_the_demo_ends_as_the_simulators_script_says_and_leaves_nothing_running(tmp_path: Path) -> None:
    for run in ("first", "second"):  # the second finds the first one's database
        done = subprocess.run(
            command(tmp_path, "--exit"), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=150
        )

        assert done.returncode == 0, f"{run} run: {done.stdout}\n{done.stderr}"
        assert "Every contact ended as the simulator's script says" in done.stdout
        assert "48 rows, 44 valid" in done.stdout
        api = re.search(r"API (http://\S+)", done.stdout)
        assert api is not None
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{api[1]}/health")
        assert processes_with(str(tmp_path)) == []
        for worker in ("worker-1", "worker-2"):
            assert "worker_stopped" in (tmp_path / "logs" / f"{worker}.log").read_text("utf-8")


async def test_a_killed_demo_takes_its_processes_with_it(tmp_path: Path) -> None:
    """Even SIGKILL: nothing of a demo keeps a port or calls on."""
    with (tmp_path / "out").open("wb") as output:
        demo = await asyncio.create_subprocess_exec(
            *command(tmp_path), cwd=ROOT, env=environment(), stdout=output, stderr=output
        )

        async def workers_are_up() -> bool:
            assert demo.returncode is None, (tmp_path / "out").read_text()
            # Both: one that is killed before it listens to signals ends without a word.
            return all("worker_started" in log for log in _worker_logs(tmp_path))

        await until(workers_are_up)
        demo.send_signal(signal.SIGKILL)
        await demo.wait()

        async def nothing_is_left() -> bool:
            return processes_with(str(tmp_path)) == []

        async def workers_have_ended() -> bool:
            return all("worker_stopped" in log for log in _worker_logs(tmp_path))

        # They go on for as long as a stopping worker waits for its database, which died with the demo.
        await until(nothing_is_left, seconds=150)
        await until(workers_have_ended, seconds=150)


def _worker_logs(home: Path) -> list[str]:
    logs = [home / "logs" / f"{name}.log" for name in ("worker-1", "worker-2")]
    return [log.read_text("utf-8", "replace") if log.exists() else "" for log in logs]
