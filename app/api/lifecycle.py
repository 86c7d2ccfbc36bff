"""The API's life: the container opens, the database is made ready as soon as it is there, the clock is kept right.

The API starts without MongoDB and answers 503 meanwhile; it recovers by itself.
"""

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.event_streams import OpenStreams, told_to_stop
from app.bootstrap import Container, open_container
from app.config import Settings
from app.domain.errors import DatabaseUnavailable, Unavailable
from app.domain.retry_policy import backoff
from app.repositories.database import DatabaseUnsuitable

log = structlog.get_logger("api")

CLOCK_SECONDS = 30
FIRST_WAIT = timedelta(seconds=0.5)
LONGEST_WAIT = timedelta(seconds=10)
FIRST_PATIENCE_SECONDS = 5.0
"""For indexes, before requests are answered at all."""


class Runtime:
    """What requests find in `app.state.runtime`: the container, and whether its database was prepared."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.is_ready = False
        self.waits_for: Unavailable = DatabaseUnavailable()
        """Why it is not ready."""
        self.streams = OpenStreams()
        self.stopping = asyncio.Event()
        """The process was told to end; answers that would last end now."""

    async def prepare(self, *, migrate: bool | None = None, patience: float = math.inf) -> None:
        """One try. Raises DatabaseUnsuitable."""
        stopping = self.stopping.is_set
        try:
            await self.container.prepare_database(migrate=migrate, stopping=stopping, patience=patience)
        except Unavailable as error:
            self.waits_for = error
            return
        self.is_ready = True

    async def keep(self) -> None:
        """Until stopped: prepare the database if it was away at the start, then keep to its time."""
        tries = 0
        while not self.is_ready:
            tries += 1
            wait = backoff(tries, FIRST_WAIT, LONGEST_WAIT).total_seconds()
            log.warning("mongodb_waited_for", reason=self.waits_for.code, next_try_seconds=wait, answering="503")
            if await self._stopped_within(wait):
                return
            try:
                await self.prepare()
            except DatabaseUnsuitable as error:
                self._end(error)
                return
            except Exception:
                # Whatever it is, giving up silently would leave an API that answers 503 for ever.
                log.exception("database_not_prepared")
        if tries:
            log.info("mongodb_available", answering="requests")
        await self._keep_time()

    def _end(self, error: DatabaseUnsuitable) -> None:
        """The server's own way to end, so that requests under way are answered."""
        log.critical("mongodb_unsuitable", problem=str(error))
        signal.raise_signal(signal.SIGTERM)

    async def _keep_time(self) -> None:
        away = False
        while not await self._stopped_within(CLOCK_SECONDS):
            try:
                await self.container.synchronise_clock()
                await self.container.check_data()
            except DatabaseUnsuitable as error:
                self._end(error)
                return
            except DatabaseUnavailable:
                if not away:
                    log.warning("mongodb_unavailable")
                away = True
                continue
            except Exception:
                log.exception("clock_not_synchronised")
                continue
            if away:
                log.info("mongodb_available")
            away = False

    async def stop(self, keeper: asyncio.Task[None]) -> None:
        """End `keeper`. Cancelling is not enough: pymongo 4.20 swallows it when its answer comes at the same time."""
        self.stopping.set()
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return False
        return True


def lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan of an app with these settings. Raises DatabaseUnsuitable."""

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                runtime = Runtime(await stack.enter_async_context(open_container(settings)))
                # What takes long is done while requests are answered: by 503.
                await runtime.prepare(migrate=False, patience=FIRST_PATIENCE_SECONDS)
            except DatabaseUnsuitable as error:
                log.critical("mongodb_unsuitable", problem=str(error))
                app.state.refused = True
                raise
            app.state.runtime = runtime
            stack.enter_context(told_to_stop(runtime.stopping))
            keeper = asyncio.create_task(runtime.keep())
            try:
                yield
            finally:
                await runtime.container.import_tasks.stop()
                await runtime.stop(keeper)

    return run


class OneLineRefusal:
    """The log says in one line why the API cannot start; this keeps the server from adding our traceback to it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_briefly(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and getattr(scope["app"].state, "refused", False):
                message = {"type": message["type"], "message": ""}
            await send(message)

        await self._app(scope, receive, send_briefly)
