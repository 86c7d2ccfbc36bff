"""Whether this process can do its work."""

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Response

from app.api.deps import RuntimeDep
from app.api.schemas.common import Instant, Reply
from app.domain.errors import DatabaseUnavailable

router = APIRouter(tags=["health"])

PATIENCE_SECONDS = 2
"""Shorter than a container's health check waits."""


class Health(Reply):
    status: str
    timestamp: Instant
    database: str


@router.get(
    "/health",
    summary="Is the API well?",
    responses={503: {"model": Health, "description": "MongoDB does not answer."}},
)
async def get_health(runtime: RuntimeDep, response: Response) -> Health:
    """200 while MongoDB answers, 503 otherwise."""
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
