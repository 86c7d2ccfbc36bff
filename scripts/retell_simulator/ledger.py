"""Every create request that ever came in, and what the calls add up to: proof that nobody was called twice."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scripts.retell_simulator.calls import Call, JsonObject
from scripts.retell_simulator.clock import Clock

CreateResult = Literal["created", "replayed", "rejected", "faulted"]


@dataclass(frozen=True, slots=True)
class CreateRecord:
    """One create request, accepted or not."""

    at: float
    """Real seconds since the epoch."""
    idempotency_key: str | None
    to_number: str | None
    from_number: str | None
    metadata: JsonObject | None
    body: Any
    """The JSON as received; null if it was none."""
    result: CreateResult
    status_code: int | None
    """Null: the request was left hanging."""
    call_id: str | None
    """The call that exists because of this request or of the one it repeats."""
    call_created: bool
    """Whether this very request made a call, even if the reply does not show it."""
    fault: str | None
    error: str | None

    def as_json(self) -> JsonObject:
        """For the admin API."""
        return asdict(self)


class Ledger:
    """The create requests, in order of arrival."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.records: list[CreateRecord] = []

    def add(
        self,
        body: Any,
        result: CreateResult,
        status_code: int | None,
        *,
        call_id: str | None = None,
        call_created: bool = False,
        fault: str | None = None,
        error: str | None = None,
    ) -> None:
        """Write one request down."""
        fields: JsonObject = body if isinstance(body, dict) else {}
        record = CreateRecord(
            at=self._clock.now(),
            idempotency_key=_if_type(fields.get("idempotency_key"), str),
            to_number=_if_type(fields.get("to_number"), str),
            from_number=_if_type(fields.get("from_number"), str),
            metadata=_if_type(fields.get("metadata"), dict),
            body=body,
            result=result,
            status_code=status_code,
            call_id=call_id,
            call_created=call_created,
            fault=fault,
            error=error,
        )
        self.records.append(record)


def call_as_json(call: Call, clock: Clock) -> JsonObject:
    """One call for the admin API; instants in real seconds, plan in simulated milliseconds."""
    ended = call.has_ended(clock)
    return {
        "call_id": call.call_id,
        "to_number": call.to_number,
        "from_number": call.request["from_number"],
        "metadata": call.metadata,
        "idempotency_key": call.request.get("idempotency_key"),
        "call_status": call.status(clock).value,
        "disconnection_reason": call.plan.disconnection_reason if ended else None,
        "created_at": call.created_at,
        "ended_at": call.planned_end(clock) if ended else None,
        "answered_after_ms": call.plan.answered_after_ms,
        "ended_after_ms": call.plan.ended_after_ms,
    }


def summarize(records: list[CreateRecord], calls: list[Call], clock: Clock, dialed_more_than: int) -> JsonObject:
    """Totals, peaks and every sign of a double dial."""
    by_account = _group(calls, lambda call: call.metadata.get("account_id"))
    by_number = _group(calls, lambda call: call.to_number)
    by_attempt = _group(calls, lambda call: call.metadata.get("attempt_id"))
    return {
        "creates": {"total": len(records)} | Counter(record.result for record in records),
        "calls_created": len(calls),
        "calls_live": sum(not call.has_ended(clock) for call in calls),
        "by_status": Counter(call.status(clock).value for call in calls),
        "by_reason": Counter(str(call.plan.disconnection_reason) for call in calls if call.has_ended(clock)),
        "peak_simultaneous": peak_simultaneous(calls, clock),
        "peak_simultaneous_by_account": {
            account: peak_simultaneous(group, clock) for account, group in by_account.items()
        },
        "dialed_more_than": dialed_more_than,
        "numbers_dialed_more_than": {
            number: len(group) for number, group in by_number.items() if len(group) > dialed_more_than
        },
        "numbers_dialed_while_busy": [
            number for number, group in by_number.items() if peak_simultaneous(group, clock) > 1
        ],
        "duplicate_attempt_ids": {
            attempt: [call.call_id for call in group] for attempt, group in by_attempt.items() if len(group) > 1
        },
    }


def peak_simultaneous(calls: Iterable[Call], clock: Clock) -> int:
    """The most calls that were ringing or talking at one real instant."""
    now, steps = clock.now(), []
    for call in calls:
        end = call.planned_end(clock)
        steps += [(call.created_at, 1), (now + 1 if end is None else end, -1)]
    peak = current = 0
    for _, step in sorted(steps):  # at one instant the ends come first
        current += step
        peak = max(peak, current)
    return peak


def _group(calls: list[Call], key: Any) -> dict[str, list[Call]]:
    groups: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        value = key(call)
        if value is not None:
            groups[str(value)].append(call)
    return dict(groups)


def _if_type(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else None
