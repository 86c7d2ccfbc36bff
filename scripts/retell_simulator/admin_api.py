"""The simulator's own endpoints under /simulator: scripts, knobs, and what happened. No key needed."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scripts.retell_simulator.errors import Refused
from scripts.retell_simulator.ledger import CreateRecord, call_as_json, summarize
from scripts.retell_simulator.outcomes import ScriptedOutcome
from scripts.retell_simulator.retell_api import json_response, simulator_of
from scripts.retell_simulator.validation import parse_json_object

_SCRIPTS: TypeAdapter[dict[str, list[Any]]] = TypeAdapter(dict[str, list[ScriptedOutcome]])
_DEFAULT_LIMIT = 1_000_000


def _checked(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Answer 422 with the reasons if the input does not fit."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except ValidationError as error:
            return json_response({"errors": error.errors(include_url=False, include_context=False)}, 422)
        except Refused as refusal:
            return json_response({"errors": [{"msg": refusal.message}]}, 422)

    return handle


async def _health(request: Request) -> Response:
    """Alive, how fast, and what time it is."""
    simulator = simulator_of(request)
    clock = simulator.clock
    return json_response({"status": "ok", "speed": clock.speed, "now": clock.now(), "calls": len(simulator.calls)})


async def _put_numbers(request: Request) -> Response:
    """`{"+56…": ["dial_busy", {"disconnection_reason": …}], …}`: merged; a number given again starts over."""
    simulator = simulator_of(request)
    simulator.numbers.set(_SCRIPTS.validate_python(parse_json_object(await request.body())))
    return json_response(_numbers(request))


async def _get_numbers(request: Request) -> Response:
    return json_response(_numbers(request))


def _numbers(request: Request) -> dict[str, Any]:
    scripts = simulator_of(request).numbers.all()
    return {number: [item.model_dump(exclude_defaults=True) for item in items] for number, items in scripts.items()}


async def _get_knobs(request: Request) -> Response:
    return json_response(simulator_of(request).knobs.model_dump())


async def _patch_knobs(request: Request) -> Response:
    """Any subset; `webhooks` is merged, everything else replaced."""
    simulator = simulator_of(request)
    simulator.knobs = simulator.knobs.patched(parse_json_object(await request.body()))
    return json_response(simulator.knobs.model_dump())


async def _get_creates(request: Request) -> Response:
    """`?to_number= &result= &attempt_id= &idempotency_key= &limit= &skip=`; oldest first."""
    records = [record for record in simulator_of(request).ledger.records if _wanted(record, request)]
    page = [record.as_json() for record in _page(records, request)]
    return json_response({"total": len(records), "creates": page})


async def _get_calls(request: Request) -> Response:
    """`?to_number= &limit= &skip=`; oldest first."""
    simulator = simulator_of(request)
    number = request.query_params.get("to_number")
    calls = list(simulator.calls.all()) if number is None else simulator.calls.to(number)
    page = [call_as_json(call, simulator.clock) for call in _page(calls, request)]
    return json_response({"total": len(calls), "calls": page})


async def _get_webhooks(request: Request) -> Response:
    """What became of each webhook delivery; `?limit= &skip=`."""
    records = simulator_of(request).webhooks.records
    return json_response({"total": len(records), "webhooks": [asdict(item) for item in _page(records, request)]})


async def _get_summary(request: Request) -> Response:
    """`?dialed_more_than=` (default 1) sets the threshold of `numbers_dialed_more_than`."""
    simulator = simulator_of(request)
    threshold = _integer(request, "dialed_more_than", 1)
    calls = list(simulator.calls.all())
    return json_response(summarize(simulator.ledger.records, calls, simulator.clock, threshold))


async def _reset(request: Request) -> Response:
    """Back to the start: calls, ledger, scripts, knobs."""
    simulator_of(request).reset()
    return json_response({"status": "ok"})


def _wanted(record: CreateRecord, request: Request) -> bool:
    actual = {
        "to_number": record.to_number,
        "result": record.result,
        "idempotency_key": record.idempotency_key,
        "attempt_id": (record.metadata or {}).get("attempt_id"),
    }
    return all(actual[key] == value for key, value in request.query_params.items() if key in actual)


def _page(items: list[Any], request: Request) -> list[Any]:
    skip = _integer(request, "skip", 0)
    return items[skip : skip + _integer(request, "limit", _DEFAULT_LIMIT)]


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise Refused(422, f"{name} must be a whole number, 0 or more")
    return int(text)


def _route(path: str, handler: Callable[[Request], Awaitable[Response]], method: str = "GET") -> Route:
    return Route(f"/simulator/{path}", _checked(handler), methods=[method])


ROUTES = [
    _route("health", _health),
    _route("numbers", _get_numbers),
    _route("numbers", _put_numbers, "PUT"),
    _route("knobs", _get_knobs),
    _route("knobs", _patch_knobs, "PATCH"),
    _route("creates", _get_creates),
    _route("calls", _get_calls),
    _route("webhooks", _get_webhooks),
    _route("summary", _get_summary),
    _route("reset", _reset, "POST"),
]
