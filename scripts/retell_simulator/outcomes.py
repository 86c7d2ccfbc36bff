"""What a call does, millisecond by millisecond (retell.md §3, §4.1). Pure: no clock, no I/O.

An `Outcome` is what a script asks for; `plan_call` turns it into a `CallPlan` under the terms of one request
(ring time-out, longest talk); the state at any moment is then a function of the plan and the elapsed time.
"""

import random
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from scripts.retell_simulator.vocabulary import ERROR_REASONS, NOT_CONNECTED_REASONS


class CallStatus(StrEnum):
    """`call_status` (retell.md §3.2)."""

    REGISTERED = "registered"
    NOT_CONNECTED = "not_connected"
    ONGOING = "ongoing"
    ENDED = "ended"
    ERROR = "error"


FOREVER_SECONDS = 10**9
"""Longer than any ring time-out or talk limit: the limit decides."""

_ANSWER_RING_SECONDS = 6.0
_RING_SECONDS = {
    "dial_no_answer": FOREVER_SECONDS,
    "dial_busy": 2.0,
    "dial_failed": 3.0,
    "user_declined": 5.0,
    "registered_call_timeout": 300.0,
}
_TALK_SECONDS = {
    "voicemail_reached": 8.0,
    "ivr_reached": 10.0,
    "inactivity": 20.0,
    "max_duration_reached": FOREVER_SECONDS,
}
_SILENT_REASONS = frozenset({"voicemail_reached", "ivr_reached", "inactivity"})

Seconds = Annotated[float, Field(ge=0)]
Span = Seconds | tuple[Seconds, Seconds]
"""Simulated seconds, or `[low, high]` to draw from."""


class Outcome(BaseModel):
    """One scripted call. Spans are simulated seconds; what is left out follows from the reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    disconnection_reason: str | None = "user_hangup"
    """Any of the 39, or a string Retell has not invented yet; null ends the call without one (§11.10)."""
    call_status: Literal["ended", "not_connected", "error"] | None = None
    """The final status; normally the one §4.1 gives for the reason (`ended` for an unknown reason)."""
    ring_seconds: Span | None = None
    talk_seconds: Span | None = None
    """An `error` reason connects only if this is given and above 0 (§10: errors can come mid-call)."""
    in_voicemail: bool | None = None
    """`call_analysis.in_voicemail`; may contradict the reason, as it does live (§10)."""
    user_speaks: bool | None = None
    """Whether the transcript has a user turn."""
    collected: dict[str, str] = {}
    """`collected_dynamic_variables`."""
    custom_analysis: dict[str, Any] = {}
    """`call_analysis.custom_analysis_data`."""
    stuck: Literal["registered", "ongoing"] | None = None
    """The call never leaves this state (§11.4)."""


def _from_shorthand(value: Any) -> Any:
    return {"disconnection_reason": value} if isinstance(value, str) else value


ScriptedOutcome = Annotated[Outcome, BeforeValidator(_from_shorthand)]
"""An outcome, or just its reason as a string."""


@dataclass(frozen=True, slots=True)
class CallTerms:
    """What the request and the knobs say about one call. Simulated milliseconds."""

    ring_timeout_ms: int = 30_000
    max_talk_ms: int = 3_600_000
    voicemail_detection: bool = True
    cost_delay_ms: int | None = 0
    """After the end; None: the cost never appears."""
    analysis_delay_ms: int | None = 0
    """After the end; None: the analysis never appears."""


@dataclass(frozen=True, slots=True)
class CallPlan:
    """When a call is answered and ends, in simulated milliseconds after its creation, and how."""

    answered_after_ms: int | None
    """None: nobody ever answers."""
    ended_after_ms: int | None
    """None: stuck, it never ends."""
    final_status: CallStatus
    disconnection_reason: str | None
    in_voicemail: bool
    user_speaks: bool
    collected: dict[str, str]
    custom_analysis: dict[str, Any]
    cost_delay_ms: int | None
    analysis_delay_ms: int | None

    @property
    def cost_after_ms(self) -> int | None:
        """When `call_cost` appears."""
        return _later(self.ended_after_ms, self.cost_delay_ms)

    @property
    def analysis_after_ms(self) -> int | None:
        """When `call_analysis` appears."""
        return _later(self.ended_after_ms, self.analysis_delay_ms)

    @property
    def talk_ms(self) -> int:
        """How long the line was open; 0 if it never was, or still is for ever."""
        if self.answered_after_ms is None or self.ended_after_ms is None:
            return 0
        return self.ended_after_ms - self.answered_after_ms

    def status_at(self, elapsed_ms: int) -> CallStatus:
        """The call's state this long after its creation."""
        if self.ended_after_ms is not None and elapsed_ms >= self.ended_after_ms:
            return self.final_status
        if self.answered_after_ms is not None and elapsed_ms >= self.answered_after_ms:
            return CallStatus.ONGOING
        return CallStatus.REGISTERED


def final_status_of(reason: str | None) -> CallStatus:
    """The status §4.1 gives for a reason; unknown strings end a conversation, no reason means no connection."""
    if reason in ERROR_REASONS:
        return CallStatus.ERROR
    if reason is None or reason in NOT_CONNECTED_REASONS:
        return CallStatus.NOT_CONNECTED
    return CallStatus.ENDED


def plan_call(outcome: Outcome, terms: CallTerms, rng: random.Random) -> CallPlan:
    """Lay out one call. A ring longer than the ring time-out becomes `dial_no_answer` there; a talk longer than
    the limit becomes `max_duration_reached` (retell.md §2.2)."""
    outcome = _without_detection(outcome) if not terms.voicemail_detection else outcome
    reason = outcome.disconnection_reason
    if outcome.stuck == "registered":
        return _plan(outcome, terms, CallStatus.ERROR, reason, None, None)
    ring_ms = _milliseconds(outcome.ring_seconds, _ring_default(outcome), rng)
    if ring_ms > terms.ring_timeout_ms and reason != "registered_call_timeout":
        return _plan(outcome, terms, CallStatus.NOT_CONNECTED, "dial_no_answer", None, terms.ring_timeout_ms)
    status = _status(outcome)
    if not _connects(outcome):
        return _plan(outcome, terms, status, reason, None, ring_ms)
    if outcome.stuck == "ongoing":
        return _plan(outcome, terms, status, reason, ring_ms, None)
    talk_ms = _milliseconds(outcome.talk_seconds, _TALK_SECONDS.get(reason or "", 45.0), rng)
    if talk_ms > terms.max_talk_ms:
        status, reason, talk_ms = CallStatus.ENDED, "max_duration_reached", terms.max_talk_ms
    return _plan(outcome, terms, status, reason, ring_ms, ring_ms + talk_ms)


def stop_plan(plan: CallPlan, elapsed_ms: int) -> CallPlan:
    """The plan of a call that somebody stops now: `manual_stopped`, `not_connected` if it was still ringing."""
    answered = plan.answered_after_ms is not None and elapsed_ms >= plan.answered_after_ms
    return replace(
        plan,
        answered_after_ms=plan.answered_after_ms if answered else None,
        ended_after_ms=elapsed_ms,
        final_status=CallStatus.ENDED if answered else CallStatus.NOT_CONNECTED,
        disconnection_reason="manual_stopped",
    )


def _later(moment_ms: int | None, delay_ms: int | None) -> int | None:
    return None if moment_ms is None or delay_ms is None else moment_ms + delay_ms


def _without_detection(outcome: Outcome) -> Outcome:
    """With `voicemail_option: null` nobody notices the machine: the agent talks to it and hangs up (§2.2)."""
    if outcome.disconnection_reason != "voicemail_reached":
        return outcome
    changes = {"disconnection_reason": "agent_hangup", "in_voicemail": True, "user_speaks": False}
    return outcome.model_copy(update=changes)


def _status(outcome: Outcome) -> CallStatus:
    if outcome.call_status is not None:
        return CallStatus(outcome.call_status)
    return final_status_of(outcome.disconnection_reason)


def _connects(outcome: Outcome) -> bool:
    status = _status(outcome)
    if outcome.stuck == "ongoing":
        return True
    if status is CallStatus.ERROR:
        return outcome.talk_seconds is not None and outcome.talk_seconds != 0
    return status is CallStatus.ENDED


def _ring_default(outcome: Outcome) -> float:
    if _connects(outcome):
        return _ANSWER_RING_SECONDS
    return _RING_SECONDS.get(outcome.disconnection_reason or "", 1.0)


def _milliseconds(span: float | tuple[float, float] | None, default: float, rng: random.Random) -> int:
    if span is None:
        seconds = default
    elif isinstance(span, tuple):
        seconds = rng.uniform(*span)
    else:
        seconds = span
    return round(seconds * 1000)


def _plan(
    outcome: Outcome,
    terms: CallTerms,
    status: CallStatus,
    reason: str | None,
    answered_after_ms: int | None,
    ended_after_ms: int | None,
) -> CallPlan:
    connected = answered_after_ms is not None
    speaks = outcome.user_speaks if outcome.user_speaks is not None else reason not in _SILENT_REASONS
    machine = outcome.in_voicemail if outcome.in_voicemail is not None else reason == "voicemail_reached"
    return CallPlan(
        answered_after_ms=answered_after_ms,
        ended_after_ms=ended_after_ms,
        final_status=status,
        disconnection_reason=reason,
        in_voicemail=machine and connected,
        user_speaks=speaks and connected,
        collected=outcome.collected if connected else {},
        custom_analysis=outcome.custom_analysis if connected else {},
        cost_delay_ms=terms.cost_delay_ms,
        analysis_delay_ms=terms.analysis_delay_ms,
    )
