"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): what every stream has.

A stream ends with the client, after its time, and when the server is told to stop: uvicorn waits for answers under way
before it tells the application anything, so the application hears of the signal itself.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

HEARTBEAT_SECONDS = 15.0
"""Proxies close what is silent for a minute, some sooner."""
RETRY_MILLISECONDS = 3000
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""nginx holds nothing back, and nobody stores or compresses."""
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The stream.", "content": {"text/event-stream": {"example": "event: status\ndata: {}\n\n"}}}
}


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
