"""Retell's call object (retell.md §4) read leniently: unknown keys are ignored, missing ones are None."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain.calls import CallReport, CallStatus


class _Cost(BaseModel):
    combined_cost: Decimal | None = None
    total_duration_seconds: float | None = None


class _Call(BaseModel):
    model_config = ConfigDict(extra="ignore")

    call_id: str = Field(min_length=1)
    call_status: CallStatus
    metadata: dict[str, Any] | None = None
    disconnection_reason: str | None = None
    start_timestamp: int | None = None
    end_timestamp: int | None = None
    duration_ms: int | None = None
    call_cost: _Cost | None = None
    call_analysis: dict[str, Any] | None = None
    transcript: str | None = None
    transcript_object: list[dict[str, Any]] | None = None
    recording_url: str | None = None
    public_log_url: str | None = None
    collected_dynamic_variables: dict[str, Any] | None = None


class UnreadableCall(Exception):
    """What Retell sent is not a call object."""


def report_of(payload: Any) -> CallReport:
    """Raises UnreadableCall if the payload lacks an id or has an unknown status."""
    try:
        call = _Call.model_validate(payload)
    except ValidationError as error:
        fields = ", ".join(".".join(str(part) for part in problem["loc"]) for problem in error.errors())
        raise UnreadableCall(f"not a call object: {fields or 'no object'}") from None
    cost = call.call_cost or _Cost()
    analysis = call.call_analysis
    return CallReport(
        call_id=call.call_id,
        status=call.call_status,
        attempt_id=(call.metadata or {}).get("attempt_id"),
        disconnection_reason=call.disconnection_reason,
        started_at=_instant(call.start_timestamp),
        ended_at=_instant(call.end_timestamp),
        duration_ms=call.duration_ms,
        billed_seconds=cost.total_duration_seconds,
        cost_cents=cost.combined_cost,
        user_spoke=_user_spoke(call),
        in_voicemail=None if analysis is None else analysis.get("in_voicemail"),
        analysis=analysis,
        transcript=call.transcript,
        recording_url=call.recording_url,
        public_log_url=call.public_log_url,
        collected_variables={
            name: str(value) for name, value in (call.collected_dynamic_variables or {}).items() if value is not None
        },
    )


def _user_spoke(call: _Call) -> bool | None:
    """Whether the called person has a turn in the transcript; None if there is no transcript to tell."""
    if call.transcript_object is not None:
        return any(
            turn.get("role") == "user" and str(turn.get("content", "")).strip() for turn in call.transcript_object
        )
    if call.transcript is not None:
        return any(line.startswith("User:") and line[5:].strip() for line in call.transcript.splitlines())
    return None


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
