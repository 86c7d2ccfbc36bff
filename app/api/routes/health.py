"""Whether this process can do its work."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response

from app.api.deps import RuntimeDep
from app.api.lifecycle import Runtime
from app.api.schemas.common import Instant, Reply
from app.domain.errors import DatabaseUnavailable

router = APIRouter(tags=["health"])

PATIENCE_SECONDS = 2
"""Shorter than a container's health check waits."""


class Health(Reply):
    status: str
    timestamp: Instant
    database: str


class Liveness(Reply):
    status: str


_AWAY: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "MongoDB does not answer."}}


@router.get("/health", summary="Is the API well?", responses=_AWAY)
async def get_health(runtime: RuntimeDep, response: Response) -> Health:
    """200 while MongoDB answers, 503 otherwise."""
    return await _health(runtime, response)


@router.get("/health/ready", summary="Can this process serve requests?", responses=_AWAY)
async def get_readiness(runtime: RuntimeDep, response: Response) -> Health:
    """503 until the database is prepared, and while MongoDB does not answer: send requests elsewhere."""
    return await _health(runtime, response)


@router.get("/health/live", summary="Does this process turn?")
async def get_liveness() -> Liveness:
    """200 as long as it answers at all, whatever MongoDB does: restarting the API would not bring that back."""
    return Liveness(status="ok")


async def _health(runtime: Runtime, response: Response) -> Health:
    container = runtime.container
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await container.database.server_time()
    except (DatabaseUnavailable, TimeoutError):
        well, database = False, "unavailable"
    else:
        well, database = runtime.is_ready, "connected" if runtime.is_ready else "preparing"
    if not well:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Health(status="ok" if well else "unavailable", timestamp=container.clock.now(), database=database)
