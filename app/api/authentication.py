"""Who asks, decided before anything of a request's body is read: nothing below /api/v1 is open unless it is listed.

Authorization: Bearer with an access token (users) or an API key (machines); a key may also come as X-API-Key.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.lifecycle import Runtime
from app.api.problems import problem_of
from app.bootstrap import Access
from app.domain.access import EVERYBODY, Principal
from app.domain.errors import CadenciaError, TooManyRequests, Unauthenticated
from app.services.api_keys import PREFIX

PROTECTED = "/api/v1/"
OPEN = frozenset({"/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout", "/api/v1/webhooks/retell"})
"""The last carries a signature of its own."""
STREAM = re.compile(r"/api/v1/batches/(?P<batch_id>[^/]+)/events")
"""Where a ticket in the address does instead of a token: a browser's EventSource can send no headers."""
ANONYMOUS_PER_MINUTE = 120
"""Requests without a valid token, from one address."""


class Authentication:
    """Puts the principal into `scope["state"]`, or answers 401; and 429 to whoever asks too often."""

    def __init__(self, app: ASGIApp, *, required: bool, requests_per_minute: int) -> None:
        self._app = app
        self._required = required
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(requests_per_minute)
        self._anonymous_limit = RateLimitItemPerMinute(min(ANONYMOUS_PER_MINUTE, requests_per_minute))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PROTECTED) or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            principal = await self._principal(request)
            await self._count(self._limit, f"{principal.kind}:{principal.id}")
        except CadenciaError as error:
            await problem_of(request, error)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    async def _principal(self, request: Request) -> Principal:
        if not self._required:
            return EVERYBODY
        runtime: Runtime = request.app.state.runtime
        if not runtime.is_ready:
            raise runtime.waits_for
        try:
            return await _authenticate(request, runtime.container.access)
        except Unauthenticated:
            await self._count(self._anonymous_limit, f"address:{address_of(request)}")
            raise

    async def _count(self, limit: RateLimitItemPerMinute, key: str) -> None:
        if not await self._limiter.hit(limit, key):
            raise TooManyRequests("too_many_requests", 60 / limit.amount + 1)


async def _authenticate(request: Request, access: Access) -> Principal:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    token = request.headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else "")
    if not token:
        ticket, streamed = request.query_params.get("ticket"), STREAM.fullmatch(request.scope["path"])
        if ticket and streamed and request.method == "GET":
            return await access.tickets.authenticate(ticket, streamed["batch_id"])
        raise Unauthenticated("token_missing")
    authenticate: Callable[[str], Awaitable[Principal]]
    authenticate = access.api_keys.authenticate if token.startswith(PREFIX) else access.sessions.authenticate
    return await authenticate(token)


def address_of(request: Request) -> str:
    """The client's address; behind a proxy the one that uvicorn's --proxy-headers takes over."""
    return request.client.host if request.client else "unknown"


def describe(schema: dict[str, Any]) -> None:
    """Say in the OpenAPI document what is open, and what everything else may answer."""
    schema["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token of `POST /auth/login`, or an API key.",
        },
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
        "ticket": {
            "type": "apiKey",
            "in": "query",
            "name": "ticket",
            "description": "For one stream of events, of its `…/ticket`: browsers send no headers there.",
        },
    }
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            is_open = not path.startswith(PROTECTED) or path in OPEN
            operation["security"] = [] if is_open else [{"bearer": []}, {"api_key": []}]
            if STREAM.fullmatch(path):
                operation["security"].append({"ticket": []})
