"""The audit log: who changed, or tried to change, what. One entry for every request that is not a mere reading."""

import json
import re
from http import HTTPStatus

import structlog
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.authentication import PROTECTED, address_of
from app.api.lifecycle import Runtime
from app.domain.access import AuditEntry, Principal
from app.domain.errors import DatabaseUnavailable

log = structlog.get_logger("api")

READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OF_PERSONS = re.compile(r"^([^=]*=)(?:[^0-9]*[0-9]){7}.*$")
LONGEST_LOOK = 64 * 1024
"""Bodies up to this size are looked at for the names of their fields."""


class Audit:
    """Stands inside Authentication, so that whatever comes here has a principal."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = scope.get("state", {}).get("principal") if scope["type"] == "http" else None
        if principal is None or scope["method"] in READING or not scope["path"].startswith(PROTECTED):
            await self._app(scope, receive, send)
            return
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
        seen = bytearray()

        async def receive_seen() -> Message:
            message = await receive()
            if len(seen) <= LONGEST_LOOK:
                seen.extend(message.get("body", b"")[: LONGEST_LOOK + 1])
            return message

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await self._app(scope, receive_seen, send_seen)
        finally:
            await _record(Request(scope), principal, status, bytes(seen))


async def _record(request: Request, principal: Principal, status: int, body: bytes) -> None:
    runtime: Runtime = request.app.state.runtime
    container = runtime.container
    route = request.scope.get("route")
    document = _json_object(body)
    entry = AuditEntry(
        at=container.clock.now(),
        user=principal.name,
        kind=principal.kind,
        operation=getattr(route, "name", None) or "unknown",
        path=f"{request.url.path}?{_query(request.url.query)}".rstrip("?")[:500],
        status=status,
        account_id=_account_id(request, document),
        fields=sorted(_storable(name)[:100] for name in list(document)[:100]),
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
        address=address_of(request),
    )
    try:
        await container.access.audit_log.add(entry)
    except DatabaseUnavailable:
        # What the entry tells of was most likely not done either; the log keeps what the database could not.
        log.error("audit_entry_lost", **entry.model_dump(mode="json", exclude={"at"}))  # noqa: TRY400 - no traceback is of use


def _query(query: str) -> str:
    """As it was asked, but for what may be a telephone or a national id: the log outlives their owners' erasing."""
    return "&".join(_OF_PERSONS.sub(r"\1***", part) for part in query.split("&"))


def _json_object(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body) if body[:1] == b"{" and len(body) <= LONGEST_LOOK else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _account_id(request: Request, document: dict[str, object]) -> str | None:
    """The account concerned, where the request or the guard that let it in says so."""
    known = request.scope.get("state", {}).get("account_id")
    named = known or request.path_params.get("account_id") or document.get("account_id")
    return _storable(named)[:200] if isinstance(named, str) else None


def _storable(text: str) -> str:
    """Without halves of characters, which JSON can say ("\\ud800") and MongoDB cannot keep."""
    return text.encode(errors="replace").decode()
