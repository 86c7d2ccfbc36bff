"""Retell's call object (retell.md §4) read leniently: unknown keys are ignored; missing, and unreadable, ones are None.

Only without an id or a known status it is no call object: whatever else Retell changes or garbles, a call must not
become one that nobody can follow to its end.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain.calls import CallReport, CallStatus
from app.domain.restoring import PastCall


class _Cost(BaseModel):
    combined_cost: Decimal | None = None
    total_duration_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class _Metadata(BaseModel):
    attempt_id: str | None = None


class _Analysis(BaseModel):
    in_voicemail: bool | None = None


_Milliseconds = Annotated[int, Field(ge=0, le=253_370_764_800_000)]
"""An epoch up to the year 9999."""
_REQUIRED = {"call_id", "call_status"}
_LARGEST_INTEGER = 2**63 - 1


class _Call(BaseModel):
    model_config = ConfigDict(extra="ignore")

    call_id: str = Field(min_length=1)
    call_status: CallStatus
    metadata: _Metadata | None = None
    disconnection_reason: str | None = None
    start_timestamp: _Milliseconds | None = None
    end_timestamp: _Milliseconds | None = None
    duration_ms: _Milliseconds | None = None
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
        call = _call_of(storable(payload))
    except RecursionError as error:
        raise UnreadableCall("nested too deeply") from error
    cost = call.call_cost or _Cost()
    analysis = call.call_analysis
    return CallReport(
        call_id=call.call_id,
        status=call.call_status,
        attempt_id=None if call.metadata is None else call.metadata.attempt_id,
        disconnection_reason=call.disconnection_reason,
        started_at=_instant(call.start_timestamp),
        ended_at=_instant(call.end_timestamp),
        duration_ms=call.duration_ms,
        billed_seconds=cost.total_duration_seconds,
        cost_cents=cost.combined_cost,
        user_spoke=_user_spoke(call),
        in_voicemail=_in_voicemail(analysis),
        analysis=analysis,
        transcript=call.transcript,
        recording_url=call.recording_url,
        public_log_url=call.public_log_url,
        collected_variables={
            name: str(value) for name, value in (call.collected_dynamic_variables or {}).items() if value is not None
        },
    )


class _Ours(BaseModel):
    job_id: str | None = None
    batch_id: str | None = None
    account_id: str | None = None


class _Listed(BaseModel):
    """Beside the report, what we had given Retell of the call."""

    to_number: str = ""
    from_number: str | None = None
    metadata: _Ours | None = None


def past_call_of(payload: Any) -> PastCall:
    """Raises UnreadableCall also if what concerns us is unreadable: a call that is overlooked is made again."""
    report = report_of(payload)
    try:
        listed = _Listed.model_validate(storable(payload))
    except ValidationError as error:
        raise UnreadableCall(f"call {report.call_id} has unreadable numbers or metadata") from error
    ours = listed.metadata or _Ours()
    numbers = {"to_number": listed.to_number, "from_number": listed.from_number}
    return PastCall(report=report, **ours.model_dump(), **numbers)


def _call_of(payload: Any) -> _Call:
    try:
        return _Call.model_validate(payload)
    except ValidationError as error:
        unreadable = {problem["loc"][0] if problem["loc"] else "" for problem in error.errors()}
    if not isinstance(payload, dict) or unreadable & _REQUIRED:
        raise UnreadableCall(f"not a call object: {', '.join(sorted(map(str, unreadable))) or 'no object'}")
    return _Call.model_validate({key: value for key, value in payload.items() if key not in unreadable})


def storable(value: Any) -> Any:
    """What MongoDB can hold of a JSON value: half a surrogate pair (an emoji cut in two) and the like replaced."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(key).replace("\0", ""): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return str(value)
    return value


def _in_voicemail(analysis: dict[str, Any] | None) -> bool | None:
    try:
        return _Analysis.model_validate(analysis or {}).in_voicemail
    except ValidationError:
        return None


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
