"""What the end of a call means for its contact. Buckets after retell.md §10; the words after `Disposition` are ours.

The list of Retell's reasons grows, so an unknown one is never an error: it is treated as an attempt that reached
nobody.
"""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from app.domain.calls import CallReport, CallStatus


class Disposition(StrEnum):
    ANSWERED = "answered"
    OPTED_OUT = "opted_out"
    """Answered, and asked not to be called again."""
    CALLBACK_REQUESTED = "callback_requested"
    """Answered, and asked to be called at another time."""
    VOICEMAIL = "voicemail"
    SILENCE = "silence"
    """Connected, but nobody said anything: a machine, or dead air."""
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    FAILED = "failed"
    INVALID_NUMBER = "invalid_number"
    PROVIDER_TROUBLE = "provider_trouble"
    STOPPED_BY_PROVIDER = "stopped_by_provider"
    """Retell refuses to go on (payment, permission): the batch pauses."""
    BLOCKED = "blocked"
    """The network refused a call from our number (spam label, block, routing)."""
    UNKNOWN = "unknown"
    """Retell could not tell, or said something we do not know."""


class Effect(StrEnum):
    """What follows for the job."""

    FINISH = "finish"
    RETRY = "retry"
    RETRY_SOON = "retry_soon"
    RETIRE_PHONE = "retire_phone"
    STOP_BATCH = "stop_batch"


class Outcome(BaseModel):
    """`counted` says whether it used one of the contact's attempts."""

    model_config = ConfigDict(frozen=True)

    disposition: Disposition
    effect: Effect
    counted: bool


HEARD: Final = frozenset({Disposition.ANSWERED, Disposition.OPTED_OUT, Disposition.CALLBACK_REQUESTED})
"""A human was at the phone."""
CALLBACK: Final = "user_requested_callback"
HUMAN: Final = frozenset(
    {
        CALLBACK,
        "user_hangup",
        "agent_hangup",
        "call_transfer",
        "inactivity",
        "max_duration_reached",
        "transfer_bridged",
        "transfer_cancelled",
        "call_take_over",
        "manual_stopped",
    }
)
NOBODY: Final = {
    "voicemail_reached": Disposition.VOICEMAIL,
    "ivr_reached": Disposition.VOICEMAIL,
    "dial_no_answer": Disposition.NO_ANSWER,
    "dial_busy": Disposition.BUSY,
    "user_declined": Disposition.DECLINED,
    "dial_failed": Disposition.FAILED,
}
PROVIDER_TROUBLE: Final = frozenset(
    {
        "telephony_provider_unavailable",
        "concurrency_limit_reached",
        "registered_call_timeout",
        "error_retell",
        "error_unknown",
        "error_asr",
        "error_no_audio_received",
        "error_llm_websocket_open",
        "error_llm_websocket_lost_connection",
        "error_llm_websocket_runtime",
        "error_llm_websocket_corrupt_payload",
    }
)
STOP_SET: Final = frozenset(
    {
        "no_valid_payment",
        "credit_exhausted",
        "budget_reached",
        "scam_detected",
        "telephony_provider_permission_denied",
    }
)
BLOCKED: Final = frozenset({"marked_as_spam", "network_blocked", "sip_routing_error"})
"""They say something of the number that calls come from, not of the one called: see from_numbers.py."""

SHORTEST_CONVERSATION_SECONDS = 3
"""Without a transcript, a connection shorter than this is taken for silence."""

UNKNOWN_OUTCOME = Outcome(disposition=Disposition.UNKNOWN, effect=Effect.RETRY, counted=True)


def outcome_of(report: CallReport) -> Outcome:
    """Classify a call that is over. Pure; the report need not be complete."""
    reason = report.disconnection_reason or ""
    if reason == "user_requested_dnc":
        return Outcome(disposition=Disposition.OPTED_OUT, effect=Effect.FINISH, counted=True)
    if reason == "invalid_destination":
        return Outcome(disposition=Disposition.INVALID_NUMBER, effect=Effect.RETIRE_PHONE, counted=False)
    if reason in STOP_SET:
        return Outcome(disposition=Disposition.STOPPED_BY_PROVIDER, effect=Effect.STOP_BATCH, counted=False)
    if reason in NOBODY:
        return Outcome(disposition=NOBODY[reason], effect=Effect.RETRY, counted=True)
    if reason in PROVIDER_TROUBLE:
        return _trouble(report, Disposition.PROVIDER_TROUBLE)
    if reason in BLOCKED:
        return _trouble(report, Disposition.BLOCKED)
    if report.status is CallStatus.ENDED and (reason in HUMAN or report.user_spoke):
        # Retell's list of reasons grows: whoever is known to have talked was reached, whatever the new one says.
        return _connected(report)
    return UNKNOWN_OUTCOME


def _connected(report: CallReport) -> Outcome:
    """A "human" reason is not proof of a human (retell.md §10): look at what was heard."""
    if report.in_voicemail:
        return Outcome(disposition=Disposition.VOICEMAIL, effect=Effect.RETRY, counted=True)
    heard = report.user_spoke
    if heard is None:
        heard = report.seconds >= SHORTEST_CONVERSATION_SECONDS
    if not heard:
        return Outcome(disposition=Disposition.SILENCE, effect=Effect.RETRY, counted=True)
    if report.disconnection_reason == CALLBACK:
        return Outcome(disposition=Disposition.CALLBACK_REQUESTED, effect=Effect.RETRY, counted=True)
    return Outcome(disposition=Disposition.ANSWERED, effect=Effect.FINISH, counted=True)


def _trouble(report: CallReport, disposition: Disposition) -> Outcome:
    """The platform failed, perhaps in the middle of a conversation; a phone that rang and was answered counts."""
    if report.user_spoke:
        return _connected(report)
    if report.seconds > 0:
        return Outcome(disposition=disposition, effect=Effect.RETRY, counted=True)
    return Outcome(disposition=disposition, effect=Effect.RETRY_SOON, counted=False)
