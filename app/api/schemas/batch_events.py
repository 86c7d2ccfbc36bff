"""What the live stream of a batch says."""

from app.api.schemas.batch_replies import LogEntryReply
from app.api.schemas.common import Instant, Reason, Reply
from app.domain.batches import LoggedEntry
from app.domain.errors import CadenciaError
from app.domain.messages import Language
from app.services.stream_tickets import Ticket


class TicketReply(Reply):
    """Opens one batch's stream: `GET /batches/{batch_id}/events?ticket=`."""

    ticket: str
    expires_at: Instant


def ticket_reply(ticket: Ticket) -> TicketReply:
    return TicketReply(ticket=ticket.text, expires_at=ticket.expires_at)


def log_entry_reply(entry: LoggedEntry, language: Language) -> LogEntryReply:
    return LogEntryReply(
        timestamp=entry.timestamp, event=entry.event, message=entry.message.render(language), user=entry.user
    )


def trouble(error: CadenciaError, language: Language) -> Reason:
    return Reason(code=error.code, message=error.message.render(language))
