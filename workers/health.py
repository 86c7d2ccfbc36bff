"""Whether a worker is alive, for whoever restarts what is not: `python -m workers.health FILE`, exit code 0 or 1.

The worker's event loop writes into FILE, every few seconds, what the system's monotonic clock shows, as long as all
its loops come round. A loop that waits for MongoDB does: restarting the worker would not bring that back. So an old
FILE, or none, means a worker that hangs, or is gone. Monotonic time: setting the machine's clock makes nobody ill.

The check imports next to nothing, for it runs every few seconds in every container.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from app.clock import Clock

WRITE_SECONDS = 5.0
FRESH_SECONDS = 60.0
"""Several times what a busy event loop may be late."""


class Monotonic(Protocol):
    def monotonic(self) -> float: ...


class HealthFile:
    def __init__(
        self, path: Path, time: Monotonic, stalled: Callable[[], Sequence[str]], complain: Callable[[str], None]
    ) -> None:
        """`stalled` names the loops that do not come round. `complain` is told, once each time, why the file is not
        written any more."""
        self._path = path
        self._time = time
        self._complain = complain
        self._complained = ""
        self._stalled = stalled

    async def keep(self, ended: asyncio.Event) -> None:
        """Write as long as all is well, until `ended`; then the file goes."""
        while not ended.is_set():
            problem = self._write()
            if problem and problem != self._complained:
                self._complain(problem)
            self._complained = problem
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), WRITE_SECONDS)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _write(self) -> str:
        """What is wrong; empty if nothing is."""
        if stalled := self._stalled():
            return f"these loops do not come round: {', '.join(stalled)}"
        # Whole or not at all: the check must never read half a number.
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            draft.write_text(str(self._time.monotonic()), "ascii")
            draft.replace(self._path)
        except OSError as error:
            return f"{self._path} cannot be written: {error.strerror}"
        return ""


def is_alive(path: Path, now: float) -> bool:
    try:
        written_at = float(path.read_text("ascii"))
    except (OSError, ValueError):
        return False
    # Of another boot it may lie in the future.
    return 0 <= now - written_at <= FRESH_SECONDS


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m workers.health FILE")
    sys.exit(0 if is_alive(Path(sys.argv[1]), Clock().monotonic()) else 1)
