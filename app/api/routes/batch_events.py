"""/batches/{batch_id}/events: a batch's progress as it happens."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from app.api.deps import ContainerDep, LanguageDep, PrincipalDep, RuntimeDep
from app.api.event_streams import DOCUMENTED, HEARTBEAT_SECONDS, beginning, event, heartbeat, passes, stream
from app.api.openapi import problems
from app.api.schemas.batch_events import TicketReply, log_entry_reply, ticket_reply, trouble
from app.api.schemas.batch_replies import PASSING, status_reply
from app.bootstrap import Container
from app.domain.batches import LoggedEntry
from app.domain.errors import DatabaseUnavailable, NotFound
from app.domain.messages import Language
from app.services.live_batches import LOOK_SECONDS, Look

router = APIRouter(prefix="/batches", tags=["batches"])

OVER = "over"
"""The id of the last event: a browser that comes back with it is told not to (204)."""


@router.post("/{batch_id}/events/ticket", summary="Get a ticket for a batch's live progress", responses=problems(404))
async def create_events_ticket(batch_id: str, container: ContainerDep, principal: PrincipalDep) -> TicketReply:
    """For a browser's `EventSource`, which can send no `Authorization`: `?ticket=` in the address of the stream.

    It is good for this batch and for a minute. When the stream ends by itself, get another.
    """
    await container.batches.get(batch_id)
    return ticket_reply(await container.access.tickets.issue(principal, batch_id))


@router.get(
    "/{batch_id}/events",
    summary="A batch's progress as it happens",
    response_class=Response,
    responses={**DOCUMENTED, 204: {"description": "`Last-Event-ID` says that the batch was over, and it is."}}
    | problems(404, 429),
)
async def stream_batch_events(
    batch_id: str,
    container: ContainerDep,
    runtime: RuntimeDep,
    principal: PrincipalDep,
    language: LanguageDep,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The log's lines after this one; else the newest.")
    ] = None,
    ticket: Annotated[  # noqa: ARG001 - app.api.authentication has taken it
        str | None, Query(description="Of `POST …/events/ticket`, instead of `Authorization`.")
    ] = None,
) -> Response:
    """Server-sent events. `status` has what `GET …/status` answers, at once and whenever it changes; `log` a line of
    the log, with an `id` to go on from; `unavailable` says that MongoDB is away, and the next `status` that it is back;
    `gone` that the batch was deleted; `over`, the last one, has the final status.

    It ends after as long as an access token lives, and when the server stops: come back with `Last-Event-ID`. One user
    or key may have twenty open at one process.
    """
    look = await container.live_batches.look(batch_id)
    if last_event_id == OVER and look.looks_idle:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    live = _Live(container, runtime.stopping, batch_id, language, last_event_id)
    runtime.streams.admit(principal, live)
    return stream(_counted(live, look, partial(runtime.streams.ended, principal, live)))


async def _counted(live: "_Live", look: Look, ended: Callable[[], None]) -> AsyncIterator[bytes]:
    try:
        async with aclosing(live.events(look)) as events:
            async for said in events:
                yield said
    finally:
        ended()


class _Live:
    """One listener: what it was told already."""

    def __init__(
        self, container: Container, stopping: asyncio.Event, batch_id: str, language: Language, last: str | None
    ) -> None:
        self._container = container
        self._stopping = stopping
        self._batch_id = batch_id
        self._language = language
        self._last = last
        self._facts = ""
        self._told: set[str] = set()
        """The lines of the look before."""

    async def events(self, look: Look) -> AsyncGenerator[bytes, None]:
        clock = self._container.clock
        ends_at = clock.monotonic() + 60 * self._container.settings.access_token_minutes
        said_at = clock.monotonic()
        away = False
        yield beginning()
        while True:
            try:
                for said in await self._news(look):
                    said_at = clock.monotonic()
                    yield said
                if look.is_over or clock.monotonic() > ends_at:
                    return
                if clock.monotonic() - said_at >= HEARTBEAT_SECONDS:
                    said_at = clock.monotonic()
                    yield heartbeat()
                if not await passes(LOOK_SECONDS, self._stopping):
                    return
                look = await self._container.live_batches.look(self._batch_id)
                away = False
            except DatabaseUnavailable as error:
                if not away:
                    yield event("unavailable", trouble(error, self._language).model_dump_json())
                # So that the next status is sent, whatever it says.
                away, self._facts, said_at = True, "", clock.monotonic()
                if clock.monotonic() > ends_at or not await passes(LOOK_SECONDS, self._stopping):
                    return
            except NotFound as error:
                yield event("gone", trouble(error, self._language).model_dump_json())
                return

    async def _news(self, look: Look) -> list[bytes]:
        lines = await self._new_lines(look)
        status = status_reply(look.view, look.estimate, self._language)
        facts = status.model_dump_json(by_alias=True, exclude=set(PASSING))
        said = []
        if look.is_over:
            said = [event(OVER, status.model_dump_json(by_alias=True), OVER)]
        elif facts != self._facts:
            said = [event("status", status.model_dump_json(by_alias=True))]
        self._facts = facts
        logged = [
            event("log", log_entry_reply(line, self._language).model_dump_json(), line.entry_id) for line in lines
        ]
        return logged + said

    async def _new_lines(self, look: Look) -> list[LoggedEntry]:
        """Lines that the listener was not sent; those that came since it was last here, too."""
        ids = [line.entry_id for line in look.log]
        if self._last is None or self._last in ids:
            if not self._told and self._last in ids:
                self._told = set(ids[: ids.index(self._last) + 1])
            found = [line for line in look.log if line.entry_id not in self._told]
        else:
            missed = await self._container.live_batches.missed(self._batch_id, self._last)
            found = look.log if missed is None else missed
        self._told = set(ids)
        if found:
            self._last = found[-1].entry_id
        return found
