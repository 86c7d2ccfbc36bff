"""What a process's CPU goes into, by py-spy: an environment of its own has it, and it looks from outside."""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rivals.installed import Missing, python_with

PY_SPY = "py-spy==0.4.2"
RATE = 200
"""Samples a second."""
LOOP = "the event loop"
KINDS = {
    # Every coroutine runs in it: what no other kind is further in, is its own.
    LOOP: ("/asyncio/runners.py",),
    "MongoDB, in pymongo and bson": ("/pymongo/", "/bson/"),
    "HTTP to Retell": ("/aiohttp/", "/yarl/", "/app/integrations/retell/"),
    "the log": ("/structlog/", "/app/log_config"),
    "models, in pydantic": ("/pydantic/",),
    "reading and writing documents": ("/app/repositories/",),
    "decisions and their order": ("/app/domain/", "/app/services/", "/workers/", "/app/"),
}
"""A sample is of the first kind that a path names, from the innermost frame outwards."""
OTHER = "anything else"
OWN = 12
"""Functions that are named, by the time in themselves."""


class Samples:
    """Stacks as py-spy writes them, `frame;frame;frame count` a line, the innermost frame last."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def told(self) -> str:
        """Two tables, as Markdown; nothing if there are no samples."""
        kinds: Counter[str] = Counter()
        functions: Counter[str] = Counter()
        for line in self.lines:
            stack, _, count = line.rpartition(" ")
            frames = stack.split(";")
            kinds[kind_of(frames)] += int(count)
            functions[_short(frames[-1])] += int(count)
        if not kinds:
            return ""
        shares = _table("Its CPU goes into", kinds.most_common(), kinds.total())
        return f"{shares}\n\n{_table('Function, alone', functions.most_common(OWN), kinds.total())}"


def kind_of(frames: Iterable[str]) -> str:
    for frame in reversed(list(frames)):
        for kind, parts in KINDS.items():
            if any(part in frame for part in parts):
                return kind
    return OTHER


def _short(frame: str) -> str:
    """`function (package/file.py)` of `function (/where/it/is/package/file.py:line)`."""
    name, _, place = frame.partition(" (")
    path = place.rpartition(":")[0] or place.rstrip(")")
    return f"{name} ({'/'.join(Path(path).parts[-2:])})"


def _table(head: str, counts: list[tuple[str, int]], total: int) -> str:
    rows = [f"| {name} | {count / total:.0%} |" for name, count in counts]
    return "\n".join([f"| {head} | Share |", "| --- | ---: |", *rows])


@asynccontextmanager
async def sampled(pid: int) -> AsyncIterator[Samples]:
    """Sample the process until the end of the block; the samples are there afterwards. Raises Missing."""
    python = await asyncio.to_thread(python_with, "py-spy", [PY_SPY])
    samples = Samples()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "stacks.txt"
        options = ["--rate", str(RATE), "--format", "raw", "--full-filenames", "--nonblocking", "--output", str(path)]
        # With no limit of time it ends on SIGINT, and writes then.
        command = [str(python.with_name("py-spy")), "record", "--pid", str(pid), "--duration", "unlimited", *options]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            yield samples
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            _, said = await process.communicate()
        if not path.exists():
            raise Missing(f"py-spy wrote nothing: {said.decode(errors='replace')[-300:]}")
        samples.lines = path.read_text().splitlines()
