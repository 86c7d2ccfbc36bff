"""What happens around every request: its id, its line in the log, the limit of its body, and the last resort."""

import re
from uuid import uuid4

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.lifecycle import Runtime
from app.api.problems import PayloadTooLarge, internal_error
from app.clock import Clock

log = structlog.get_logger("api")

MEGABYTE = 1024**2
MAX_JSON_MEGABYTES = 16
"""Some 80,000 contacts; longer lists are files, which are parsed elsewhere than on the event loop."""
MULTIPART_SLACK = 64 * 1024
"""What a multipart body may have besides the file: the other fields and the boundaries."""

SECURE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestContext:
    """Binds the request's id for every log line, writes one line about it, and answers what nobody caught."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        # Whatever a client sends ends in our log: only a harmless id is taken over.
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        started_at = self._clock.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
                self._count(scope, status, started_at)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                log.exception("request_failed")
                if status:
                    raise  # half an answer is out: only a broken connection tells the client
                await internal_error(Request(scope))(scope, receive, send_with_id)
            finally:
                elapsed = self._clock.monotonic() - started_at
                log.info(
                    "request",
                    method=scope["method"],
                    route=route_pattern(scope),
                    status=status,
                    ms=round(elapsed * 1000),
                )

    def _count(self, scope: Scope, status: int, started_at: float) -> None:
        """Until its answer begins: a stream of events lasts as long as somebody looks."""
        runtime: Runtime | None = getattr(scope["app"].state, "runtime", None)
        if runtime is None:
            return  # served without its lifespan
        elapsed = self._clock.monotonic() - started_at
        runtime.container.metrics.request_answered(scope["method"], route_pattern(scope), status, elapsed)


class SecureHeaders:
    """What OWASP asks of an API: nobody frames it, guesses its types, or learns from its addresses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURE_HEADERS)
                # Of the only page that loads anything: api/docs.py.
                headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, send_secured if scope["type"] == "http" else send)


class BodyLimit:
    """Stops reading a body that is over the limit, whatever Content-Length says."""

    def __init__(self, app: ASGIApp, max_upload_megabytes: int) -> None:
        self._app = app
        self._max_upload_megabytes = max_upload_megabytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if Headers(scope=scope).get("content-type", "").lower().startswith("multipart/"):
            code, megabytes, slack = "file_too_large", self._max_upload_megabytes, MULTIPART_SLACK
        else:
            code, megabytes, slack = "body_too_large", MAX_JSON_MEGABYTES, 0
        limit = megabytes * MEGABYTE + slack
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                await _drain(message, receive, 3 * limit)
                raise PayloadTooLarge(code, megabytes)
            return message

        await self._app(scope, receive_limited, send)


async def _drain(message: Message, receive: Receive, most: int) -> None:
    """Throw away what still comes, up to `most` bytes: many clients read no answer before they have sent all."""
    drained = 0
    while message.get("more_body") and drained <= most:
        message = await receive()
        drained += len(message.get("body", b""))


def route_pattern(scope: Scope) -> str:
    """The route's pattern, so that lines about one operation can be counted together."""
    path = getattr(scope.get("route"), "path_format", None)
    return str(path or "-")
