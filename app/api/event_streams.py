"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): what every stream has.

A stream ends with the client, after its time, and when the server is told to stop: uvicorn waits for answers under way
before it tells the application anything, so the application hears of the signal itself.
"""

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from weakref import WeakSet

from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from app.domain.access import Principal
from app.domain.errors import TooManyRequests

HEARTBEAT_SECONDS = 15.0
"""Proxies close what is silent for a minute, some sooner."""
RETRY_MILLISECONDS = 3000
MOST_STREAMS = 20
"""That one user or key may have open at one process: as many tabs as somebody can look at."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""nginx holds nothing back, and nobody stores or compresses."""
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The stream.", "content": {"text/event-stream": {"example": "event: status\ndata: {}\n\n"}}}
}


class OpenStreams:
    """Of this process: who has how many. Each is looked after every second, for as long as an access token lives."""

    def __init__(self) -> None:
        # Weak: a stream whose client went away before it began never ends, it is only forgotten.
        self._open: defaultdict[str, WeakSet[object]] = defaultdict(WeakSet)

    def admit(self, principal: Principal, listener: object) -> None:
        """Raises TooManyRequests."""
        theirs = self._open[f"{principal.kind}:{principal.id}"]
        if len(theirs) >= MOST_STREAMS:
            raise TooManyRequests("too_many_streams", RETRY_MILLISECONDS / 1000)
        theirs.add(listener)

    def ended(self, principal: Principal, listener: object) -> None:
        name = f"{principal.kind}:{principal.id}"
        self._open[name].discard(listener)
        if not self._open[name]:
            del self._open[name]


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


def event(name: str, data: str, event_id: str | None = None) -> bytes:
    """One event; `data` is JSON."""
    return format_sse_event(event=name, data_str=data, id=event_id)


def heartbeat() -> bytes:
    """A comment, which no client hands on."""
    return format_sse_event(comment="")


def beginning() -> bytes:
    """How long a client waits before it comes back."""
    return format_sse_event(retry=RETRY_MILLISECONDS)


async def passes(seconds: float, stopping: asyncio.Event) -> bool:
    """Wait; False if the server is told to stop meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return True
    return False


@contextmanager
def told_to_stop(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` at the signals that end the server, which then does what it did before."""
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Callable[[int, FrameType | None], Any]] = {}

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stopping.set)
        before[signal.Signals(number)](number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if callable(handler):
            before[number] = handler
            try:
                signal.signal(number, heard)
            except ValueError:  # not in the main thread, where no signal comes either
                del before[number]
    try:
        yield
    finally:
        stopping.set()
        for number, handler in before.items():
            if signal.getsignal(number) is heard:
                signal.signal(number, handler)
