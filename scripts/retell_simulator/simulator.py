"""One simulated Retell account: its calls, knobs, scripts and ledger."""

import asyncio
import random
import secrets
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from scripts.retell_simulator.calls import Call, CallStore, IdempotencyKeys, JsonObject
from scripts.retell_simulator.clock import Clock
from scripts.retell_simulator.errors import Refused
from scripts.retell_simulator.knobs import CreateFault, Knobs, ReadFault
from scripts.retell_simulator.ledger import Ledger
from scripts.retell_simulator.number_scripts import NumberScripts
from scripts.retell_simulator.outcomes import (
    CallStatus,
    CallTerms,
    Outcome,
    ScriptedOutcome,
    plan_call,
    stop_plan,
)
from scripts.retell_simulator.webhooks import Webhooks

_RING_TIMEOUT_MS = 30_000
_MAX_CALL_DURATION_MS = 3_600_000


class SimulatorScript(BaseModel):
    """The `--script` file, and what `POST /simulator/reset` returns to."""

    model_config = ConfigDict(extra="forbid")

    numbers: dict[str, list[ScriptedOutcome]] = {}
    knobs: Knobs = Knobs()


@dataclass
class Simulator:
    """Holds the state; the API modules only translate HTTP to and from it."""

    api_key: str = "key_simulator"
    clock: Clock = field(default_factory=Clock)
    seed: int | str | None = None
    script: SimulatorScript = field(default_factory=SimulatorScript)

    def __post_init__(self) -> None:
        self.stopping = asyncio.Event()
        """Set on shutdown: requests left hanging are let go."""
        self._rng = random.Random(self.seed)  # noqa: S311
        self.webhooks = Webhooks(self.clock, self.api_key, lambda: self.knobs, self._rng)
        self.reset()

    def reset(self) -> None:
        """Back to the state after the start: no calls, the script's numbers and knobs."""
        self._rng.seed(self.seed)
        self.knobs = self.script.knobs.model_copy(deep=True)
        self.calls = CallStore(self.clock)
        self.ledger = Ledger(self.clock)
        self.idempotency = IdempotencyKeys(self.clock)
        self.numbers = NumberScripts(self.seed)
        self.numbers.set(self.script.numbers)
        self.webhooks.clear()

    def check_access(self, authorization: str | None, *, creating: bool = False) -> None:
        """Key and account state (retell.md §9): 401 and 403 stop everything, 402 stops creates."""
        if authorization != f"Bearer {self.api_key}":
            raise Refused(401)
        state = self.knobs.account_state
        if state in (401, 403) or (state == 402 and creating):
            raise Refused(int(state))

    def place_call(self, body: JsonObject, outcome: Outcome | None = None) -> Call:
        """Create the call of a valid request; `outcome` overrides the number's script."""
        if outcome is None:
            outcome, rng = self.numbers.next(body["to_number"], self.knobs)
        else:
            rng = self._rng
        version = body.get("override_agent_version")
        call = Call(
            call_id=f"call_{secrets.token_hex(14)}",
            created_at=self.clock.now(),
            request=body,
            agent_id=self.agent_for(body) or "",
            agent_version=version if isinstance(version, int) else 0,
            plan=plan_call(outcome, self._terms(body), rng),
        )
        self.calls.add(call)
        self.idempotency.remember(body, call)
        self.webhooks.plan(call)
        return call

    def stop_call(self, call: Call) -> None:
        """POST /v2/stop-call (retell.md §6): what a ringing call does is a knob."""
        elapsed_ms = self.clock.elapsed_ms(call.created_at)
        status = call.plan.status_at(elapsed_ms)
        if status is CallStatus.REGISTERED and self.knobs.stop_on_ringing == "ignore":
            return
        if status is CallStatus.REGISTERED and self.knobs.stop_on_ringing == "reject":
            raise Refused(400, "Call is not ongoing.")
        if status not in (CallStatus.REGISTERED, CallStatus.ONGOING):
            raise Refused(self.knobs.stop_on_ended, "Call has already ended.")
        self.calls.replan(call, stop_plan(call.plan, elapsed_ms))
        self.webhooks.replan(call)

    def agent_for(self, body: JsonObject) -> str | None:
        """The request's agent, else the one bound to the number."""
        agent_id: str | None = body.get("override_agent_id", self.knobs.bound_agent_id)
        return agent_id

    def is_do_not_call(self, number: str) -> bool:
        """Whether the contact is on the internal list: by knob, or because it asked in an earlier call (§2.2)."""
        return number in self.knobs.do_not_call or any(
            call.plan.disconnection_reason == "user_requested_dnc" and call.has_ended(self.clock)
            for call in self.calls.to(number)
        )

    def draw_create_fault(self, to_number: str) -> CreateFault | None:
        """The fault that spoils this request, if any."""
        for fault in self.knobs.create_faults:
            wanted = fault.kind != "none" and fault.to_number in (None, to_number)
            if wanted and self._fires(fault):
                return fault
        return None

    def draw_read_fault(self) -> ReadFault | None:
        """The fault that spoils this read, if any."""
        return next((fault for fault in self.knobs.read_faults if self._fires(fault)), None)

    def _fires(self, fault: CreateFault | ReadFault) -> bool:
        if fault.count == 0 or self._rng.random() >= fault.probability:
            return False
        if fault.count is not None:
            fault.count -= 1
        return True

    def _terms(self, body: JsonObject) -> CallTerms:
        agent: dict[str, Any] = body.get("agent_override", {}).get("agent", {})
        analysis = self.knobs.analysis_delay_seconds
        if self._rng.random() < self.knobs.analysis_drop_rate:
            analysis = None
        return CallTerms(
            ring_timeout_ms=agent.get("ring_duration_ms", _RING_TIMEOUT_MS),
            max_talk_ms=agent.get("max_call_duration_ms", _MAX_CALL_DURATION_MS),
            voicemail_detection=agent.get("voicemail_option", True) is not None,
            cost_delay_ms=_milliseconds(self.knobs.cost_delay_seconds),
            analysis_delay_ms=_milliseconds(analysis),
        )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
