"""POST /v3/list-calls: filters, order and pages (retell.md §5)."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from scripts.retell_simulator.calls import Call, CallStore, JsonObject
from scripts.retell_simulator.clock import Clock
from scripts.retell_simulator.errors import Refused
from scripts.retell_simulator.filters import Criteria, Strict, StringFilter
from scripts.retell_simulator.knobs import Knobs
from scripts.retell_simulator.outcomes import CallStatus
from scripts.retell_simulator.rendering import (
    TRANSCRIPT_KEYS,
    call_cost,
    created_ms,
    end_timestamp,
    render_call,
    start_timestamp,
)


class _Query(Strict):
    filter_criteria: Criteria = Criteria()
    sort_order: Literal["ascending", "descending"] = "descending"
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    skip: Annotated[int, Field(ge=0)] | None = None
    pagination_key: str | None = None
    include_total: bool = False


class _Row(NamedTuple):
    sort_key: tuple[int, str]
    call: Call
    elapsed_ms: int


_Extract = Callable[[Call, int, Knobs], Any]


def _reason(call: Call, elapsed_ms: int, _knobs: Knobs) -> Any:
    return call.plan.disconnection_reason if end_timestamp(call, elapsed_ms) is not None else None


def _duration(call: Call, elapsed_ms: int, _knobs: Knobs) -> Any:
    return call.plan.talk_ms if end_timestamp(call, elapsed_ms) is not None else None


def _cost(call: Call, elapsed_ms: int, knobs: Knobs) -> Any:
    known_after = call.plan.cost_after_ms
    return call_cost(call, knobs)["combined_cost"] if known_after is not None and elapsed_ms >= known_after else None


_EXTRACTORS: dict[str, _Extract] = {
    "call_id": lambda call, _elapsed, _knobs: call.call_id,
    "to_number": lambda call, _elapsed, _knobs: call.to_number,
    "from_number": lambda call, _elapsed, _knobs: call.request["from_number"],
    "call_status": lambda call, elapsed, _knobs: call.plan.status_at(elapsed).value,
    "call_type": lambda _call, _elapsed, _knobs: "phone_call",
    "direction": lambda _call, _elapsed, _knobs: "outbound",
    "start_timestamp": start_timestamp,
    "end_timestamp": lambda call, elapsed, _knobs: end_timestamp(call, elapsed),
    "disconnection_reason": _reason,
    "duration_ms": _duration,
    "combined_cost": _cost,
}


def list_calls(body: JsonObject, store: CallStore, clock: Clock, knobs: Knobs) -> JsonObject:
    """One page of call objects without their transcripts."""
    query = _parse(body)
    found = [
        _Row(_sort_key(call, elapsed_ms, knobs), call, elapsed_ms)
        for call in _candidates(query.filter_criteria, store)
        for elapsed_ms in (clock.elapsed_ms(call.created_at),)
        if _visible(call, elapsed_ms, knobs) and _matches(call, elapsed_ms, query.filter_criteria, knobs)
    ]
    found.sort(key=lambda row: row.sort_key, reverse=query.sort_order == "descending")
    page, has_more = _page(found, query)
    result: JsonObject = {"items": [_item(row, knobs) for row in page], "has_more": has_more}
    if has_more:
        result["pagination_key"] = _encode(page[-1].sort_key)
    if query.include_total:
        result["total"] = len(found)
    return result


def _parse(body: JsonObject) -> _Query:
    try:
        query = _Query.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = "/".join(["request/body", *(str(step) for step in first["loc"])])
        raise Refused(400, f"{path} {first['msg']}", schema=True) from None
    if query.skip is not None and query.pagination_key is not None:
        raise Refused(400, "skip cannot be used together with pagination_key.")
    return query


def _candidates(criteria: Criteria, store: CallStore) -> Iterable[Call]:
    """A short cut to the few calls that an exact id or number can match."""
    if isinstance(criteria.call_id, StringFilter) and criteria.call_id.op == "eq":
        call = store.get(criteria.call_id.value)
        return [] if call is None else [call]
    if isinstance(criteria.to_number, StringFilter) and criteria.to_number.op == "eq":
        return store.to(criteria.to_number.value)
    return store.all()


def _visible(call: Call, elapsed_ms: int, knobs: Knobs) -> bool:
    if elapsed_ms < knobs.list_lag_seconds * 1000:
        return False
    status = call.plan.status_at(elapsed_ms)
    if status is CallStatus.REGISTERED:
        return knobs.list_registered
    return knobs.list_not_connected or status is not CallStatus.NOT_CONNECTED


def _matches(call: Call, elapsed_ms: int, criteria: Criteria, knobs: Knobs) -> bool:
    variables = call.request.get("retell_llm_dynamic_variables", {})
    if not all(wanted.matches(call.metadata.get(wanted.key or "")) for wanted in criteria.metadata):
        return False
    if not all(wanted.matches(variables.get(wanted.key or "")) for wanted in criteria.dynamic_variables):
        return False
    return all(wanted.matches(_EXTRACTORS[name](call, elapsed_ms, knobs)) for name, wanted in _given(criteria))


def _given(criteria: Criteria) -> Iterator[tuple[str, Any]]:
    for name in _EXTRACTORS:
        wanted = getattr(criteria, name)
        if wanted is not None:
            yield name, wanted


def _sort_key(call: Call, elapsed_ms: int, knobs: Knobs) -> tuple[int, str]:
    """By start; a call that has not started stands where it was created."""
    return start_timestamp(call, elapsed_ms, knobs) or created_ms(call), call.call_id


def _page(found: list[_Row], query: _Query) -> tuple[list[_Row], bool]:
    if query.pagination_key is not None:
        last, ascending = _decode(query.pagination_key), query.sort_order == "ascending"
        found = [row for row in found if (row.sort_key > last if ascending else row.sort_key < last)]
    start = query.skip or 0
    return found[start : start + query.limit], len(found) > start + query.limit


def _item(row: _Row, knobs: Knobs) -> JsonObject:
    view = render_call(row.call, row.elapsed_ms, knobs)
    return {key: value for key, value in view.items() if key not in TRANSCRIPT_KEYS}


def _encode(key: tuple[int, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decode(pagination_key: str) -> tuple[int, str]:
    try:
        moment, call_id = json.loads(base64.urlsafe_b64decode(pagination_key))
        return int(moment), str(call_id)
    except (ValueError, TypeError):
        raise Refused(400, "request/body/pagination_key is invalid", schema=True) from None
