"""Checks of a create-phone-call body that need no state (retell.md §2.5)."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from scripts.retell_simulator.errors import Refused
from scripts.retell_simulator.knobs import Knobs
from scripts.retell_simulator.request_schema import (
    AgentFields,
    AgentOverride,
    ConversationFlowFields,
    CreateRequest,
    RetellLlmFields,
)
from scripts.retell_simulator.vocabulary import UNCHECKED_AGENT_KEYS, UNCHECKED_ENGINE_KEYS

JsonObject = dict[str, Any]

_ADAPTER = TypeAdapter(CreateRequest)
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_KNOWN_KEYS: dict[tuple[str, ...], frozenset[str]] = {
    (): frozenset(CreateRequest.__annotations__),
    ("agent_override",): frozenset(AgentOverride.__annotations__),
    ("agent_override", "agent"): frozenset(AgentFields.__annotations__) | UNCHECKED_AGENT_KEYS,
    ("agent_override", "retell_llm"): frozenset(RetellLlmFields.__annotations__) | UNCHECKED_ENGINE_KEYS,
    ("agent_override", "conversation_flow"): frozenset(ConversationFlowFields.__annotations__) | UNCHECKED_ENGINE_KEYS,
}
_AJV_PHRASES = {
    "string_too_short": "must NOT have fewer than {min_length} characters",
    "string_too_long": "must NOT have more than {max_length} characters",
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "less_than_equal": "must be <= {le}",
    "string_type": "must be string",
    "int_type": "must be integer",
    "int_from_float": "must be integer",
    "float_type": "must be number",
    "bool_type": "must be boolean",
    "dict_type": "must be object",
    "list_type": "must be array",
    "literal_error": "must be equal to one of the allowed values",
}


def parse_json_object(raw: bytes) -> JsonObject:
    """The body as a JSON object, or a 400."""
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refused(400) from None
    if not isinstance(body, dict):
        raise Refused(400, "request/body must be object", schema=True)
    return body


def validate_create(body: JsonObject, knobs: Knobs) -> None:
    """Raise the 400 that Retell would answer; return if the request is well formed."""
    try:
        _ADAPTER.validate_python(body, strict=True)
    except ValidationError as error:
        raise Refused(400, _ajv_text(error), schema=True) from None
    if knobs.unknown_keys == "reject":
        for path in unknown_keys(body):
            raise Refused(400, f"request/body/{path} must NOT have additional properties", schema=True)
    _check_numbers(body)
    _check_metadata(body, knobs.metadata_limit_bytes)


def unknown_keys(body: JsonObject) -> Iterator[str]:
    """Paths of keys that retell.md §2 does not list, at the top level and in agent_override."""
    for path, known in _KNOWN_KEYS.items():
        part: Any = body
        for step in path:
            part = part.get(step, {})
        yield from ("/".join((*path, key)) for key in part if key not in known)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_numbers(body: JsonObject) -> None:
    if not _E164.fullmatch(body["to_number"]):
        raise Refused(400, "to_number is not a valid number, it must be in E.164 format.")
    if not body.get("ignore_e164_validation", False) and not _E164.fullmatch(body["from_number"]):
        raise Refused(400, "from_number is not a valid number, it must be in E.164 format.")
    if body["from_number"] == body["to_number"]:
        raise Refused(400, "from_number and to_number cannot be the same.")


def _check_metadata(body: JsonObject, limit_bytes: int | None) -> None:
    if limit_bytes is None or "metadata" not in body:
        return
    if len(json.dumps(body["metadata"], ensure_ascii=False).encode()) > limit_bytes:
        raise Refused(400, f"metadata exceeds {limit_bytes} bytes.")


def _ajv_text(error: ValidationError) -> str:
    """The first error as `request/body/<path> <what>`, the wording seen live (retell.md §9)."""
    first = error.errors(include_url=False, include_input=False)[0]
    location = [str(step) for step in first["loc"]]
    if first["type"] == "missing":
        return f"{'/'.join(['request/body', *location[:-1]])} must have required property '{location[-1]}'"
    phrase = _AJV_PHRASES.get(first["type"])
    what = phrase.format(**first.get("ctx", {})) if phrase else first["msg"].removeprefix("Value error, ")
    return f"{'/'.join(['request/body', *location])} {what}"
