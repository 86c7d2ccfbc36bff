"""The ASGI application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette

from scripts.retell_simulator import admin_api, retell_api
from scripts.retell_simulator.simulator import Simulator


def build_app(simulator: Simulator) -> Starlette:
    """Serve this simulator. The lifespan sends webhooks; without it call `simulator.webhooks.deliver_due()`."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sender = asyncio.create_task(simulator.webhooks.run())
        try:
            yield
        finally:
            simulator.stopping.set()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    app = Starlette(
        routes=[*retell_api.ROUTES, *admin_api.ROUTES],
        lifespan=lifespan,
        exception_handlers={404: retell_api.not_found},
    )
    app.state.simulator = simulator
    return app
