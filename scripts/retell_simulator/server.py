"""Serving the app: one socket, one line on start, and a quick end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType

import uvicorn

from scripts.retell_simulator.app import build_app
from scripts.retell_simulator.simulator import Simulator

_KEEP_ALIVE_SECONDS = 600
"""A client that was frozen for minutes finds its connection open, and sends what it was about to."""
_GRACE_SECONDS = 1


class _Server(uvicorn.Server):
    """uvicorn that lets go of hanging requests when told to stop, and then simply returns."""

    def __init__(self, config: uvicorn.Config, simulator: Simulator, banner: str) -> None:
        super().__init__(config)
        self._simulator, self._banner = simulator, banner

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where it listens once it does."""
        await super().startup(sockets)
        if self.started:
            print(self._banner, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came in."""
        self._simulator.stopping.set()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Like uvicorn's, but the signal is not raised again: a stop that was asked for is a success."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port shows before anything starts; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Where clients find it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(simulator: Simulator, listener: socket.socket, banner: str) -> None:
    """Run until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        build_app(simulator),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_Server(config, simulator, banner).serve(sockets=[listener]))
