"""The calls there are, and the idempotency keys that lead to them (retell.md §3)."""

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scripts.retell_simulator.clock import Clock
from scripts.retell_simulator.outcomes import CallPlan, CallStatus

JsonObject = dict[str, Any]


@dataclass(slots=True, eq=False)
class Call:
    """One call. Its state is never stored: it follows from the plan and the clock."""

    call_id: str
    created_at: float
    """Real seconds since the epoch."""
    request: JsonObject
    """The create request's body, as received."""
    agent_id: str
    agent_version: int
    plan: CallPlan

    @property
    def to_number(self) -> str:
        """The number dialled."""
        return str(self.request["to_number"])

    @property
    def metadata(self) -> JsonObject:
        """The request's metadata, empty if there was none."""
        metadata: JsonObject = self.request.get("metadata", {})
        return metadata

    @property
    def override(self) -> JsonObject:
        """`agent_override.agent`, empty if there was none."""
        agent: JsonObject = self.request.get("agent_override", {}).get("agent", {})
        return agent

    def status(self, clock: Clock) -> CallStatus:
        """The state now."""
        return self.plan.status_at(clock.elapsed_ms(self.created_at))

    def has_ended(self, clock: Clock) -> bool:
        """Whether the call is over, in whatever way."""
        ended = self.plan.ended_after_ms
        return ended is not None and clock.elapsed_ms(self.created_at) >= ended

    def planned_end(self, clock: Clock) -> float | None:
        """The real instant it ends or ended; None if it is stuck."""
        ended = self.plan.ended_after_ms
        return None if ended is None else clock.instant(self.created_at, ended)


class CallStore:
    """All calls in the order of their creation, by id and by number dialled."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_id: dict[str, Call] = {}
        self._by_number: defaultdict[str, list[Call]] = defaultdict(list)
        self._live: dict[str, Call] = {}
        self._ends: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, call: Call) -> None:
        """Keep a new call."""
        self._by_id[call.call_id] = call
        self._by_number[call.to_number].append(call)
        self._live[call.call_id] = call
        self._note_end(call)

    def get(self, call_id: str) -> Call | None:
        """The call with this id."""
        return self._by_id.get(call_id)

    def all(self) -> Iterable[Call]:
        """Every call, oldest first."""
        return self._by_id.values()

    def to(self, number: str) -> list[Call]:
        """The calls to this number, oldest first."""
        return self._by_number.get(number, [])

    def remove(self, call: Call) -> None:
        """Forget a call, as if it had never been."""
        self._by_id.pop(call.call_id, None)
        self._live.pop(call.call_id, None)
        self._by_number[call.to_number].remove(call)

    def replan(self, call: Call, plan: CallPlan) -> None:
        """Change a call's course, because somebody stopped it."""
        call.plan = plan
        self._note_end(call)

    def live_count(self) -> int:
        """How many calls are ringing or talking now: what the concurrency limit counts."""
        now = self._clock.now()
        while self._ends and self._ends[0][0] <= now:
            _, call_id = heapq.heappop(self._ends)
            call = self._live.get(call_id)
            if call is not None and (call.planned_end(self._clock) or now + 1) <= now:
                del self._live[call_id]
        return len(self._live)

    def created_within(self, real_seconds: float) -> int:
        """How many calls were created in the last real seconds, this instant included."""
        since, count = self._clock.now() - real_seconds, 0
        for call in reversed(self._by_id.values()):
            if call.created_at <= since:
                break
            count += 1
        return count

    def _note_end(self, call: Call) -> None:
        end = call.planned_end(self._clock)
        if end is not None:
            heapq.heappush(self._ends, (end, call.call_id))


@dataclass(frozen=True, slots=True)
class _Use:
    at: float
    body: JsonObject
    call: Call


class IdempotencyKeys:
    """Which call each `idempotency_key` made, for a window of real seconds (retell.md §2.1)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    def remember(self, body: JsonObject, call: Call) -> None:
        """Tie the request's key, if it has one, to the call it made."""
        if "idempotency_key" in body:
            self._uses[body["idempotency_key"]] = _Use(self._clock.now(), body, call)

    def find(self, body: JsonObject, window_seconds: float) -> tuple[Call, bool] | None:
        """The call this key already made, and whether the body was the same; None if the key is new or old."""
        use = self._uses.get(body.get("idempotency_key", ""))
        if use is None or self._clock.now() - use.at > window_seconds:
            return None
        return use.call, use.body == body
