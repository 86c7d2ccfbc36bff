"""What a benchmark has found so far, written down with each new figure: who breaks a run off loses nothing."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from app.clock import Clock
from app.log_config import configure_logging
from benchmarks.site import UNTIL, Site, own_mongod, say

Out = Annotated[Path | None, typer.Option(help="Also written here, anew with each new figure.", dir_okay=False)]

Kept = Annotated[
    Path | None, typer.Option(help="Data are left in this folder, and found there by another run.", file_okay=False)
]
OnlyPrepare = Annotated[bool, typer.Option("--prepare", help="With --kept: only make the data.")]


class Draft:
    """Markdown that grows. `path`: where it is kept besides."""

    def __init__(self, path: Path | None = None) -> None:
        self.text = ""
        self._path = path

    def write(self, text: str) -> None:
        """All of it, again."""
        self.text = text
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(text + "\n")


def told(measure: Callable[[Draft], Awaitable[None]], path: Path | None = None) -> None:
    """Print what `measure` has written, also if it fails, or is ended by Ctrl-C or SIGTERM."""
    try:
        asyncio.run(_told(measure, path))
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)


async def _told(measure: Callable[[Draft], Awaitable[None]], path: Path | None) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine is run by one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    configure_logging("console", "WARNING")
    draft = Draft(path)
    try:
        await measure(draft)
    finally:
        print(draft.text)


def alone(
    measure: Callable[[Site, Draft], Awaitable[None]], path: Path | None = None, kept: Path | None = None
) -> None:
    """The same of what needs a mongod of its own."""

    async def on_a_site(draft: Draft) -> None:
        async with own_mongod(kept) as site:
            await measure(site, draft)

    told(on_a_site, path)


async def within(minutes: float, measure: Callable[[Draft], Awaitable[None]], draft: Draft) -> str:
    """Why it did not come to its end, if it did not: it took longer, or failed."""
    limit = UNTIL.set(Clock().monotonic() + minutes * 60)
    try:
        async with asyncio.timeout(minutes * 60):
            await measure(draft)
    except TimeoutError:
        return f"broken off after {minutes:.1f} minutes"
    except Exception as error:  # noqa: BLE001 - whatever ails a part, the others are run
        say(f"{type(error).__name__}: {error}")
        return f"not finished: {type(error).__name__}: {error}"
    finally:
        UNTIL.reset(limit)
    return ""
