"""Tickets for live streams: a browser's EventSource can send no Authorization header, so its address carries a ticket.

A ticket opens one batch's stream within a minute, for whoever asked for it, as that user or key is then. It is signed
with the access tokens' secret but for another audience: neither is taken for the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.access import Principal, PrincipalKind
from app.domain.access_ports import Tickets
from app.domain.errors import Unauthenticated
from app.domain.ports import Time
from app.services.api_keys import ApiKeyService
from app.services.sessions import SessionService

LIFETIME = timedelta(seconds=60)
"""To connect in; the stream itself lasts longer."""


@dataclass(frozen=True, repr=False)
class Ticket:
    """`repr` off: the text is a secret."""

    text: str
    expires_at: datetime


class StreamTickets:
    def __init__(self, sessions: SessionService, api_keys: ApiKeyService, tickets: Tickets, time: Time) -> None:
        self._sessions = sessions
        self._api_keys = api_keys
        self._tickets = tickets
        self._time = time

    async def issue(self, principal: Principal, batch_id: str) -> Ticket:
        now = self._time.now()
        secret = await self._sessions.signing_secret()
        holder = f"{principal.kind}:{principal.id}"
        return Ticket(self._tickets.sign_ticket(holder, batch_id, now, LIFETIME, secret), now + LIFETIME)

    async def authenticate(self, text: str, batch_id: str) -> Principal:
        """Whose ticket it is. Raises Unauthenticated, also for another batch's ticket."""
        secret = await self._sessions.signing_secret()
        holder = self._tickets.holder_of_ticket(text, batch_id, self._time.now(), secret)
        kind, _, holder_id = (holder or "").partition(":")
        match kind:
            case PrincipalKind.USER:
                return await self._sessions.principal_of(holder_id)
            case PrincipalKind.API_KEY:
                return await self._api_keys.principal_of(holder_id)
            case _:
                raise Unauthenticated("ticket_not_valid")
