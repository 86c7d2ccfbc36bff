"""What the OpenAPI document says of every operation alike, so that no route has to: its refusals and its headers."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from app.api.authentication import PROTECTED
from app.api.authorisation import OWNERS
from app.api.problem_codes import KINDS, example_of
from app.api.problems import MEDIA_TYPE

Json = dict[str, Any]

_WITHOUT_FILENAME = ("application/json", MEDIA_TYPE, "text/event-stream", "text/plain")


def _header(description: str, kind: str, example: object, *, required: bool = True) -> Json:
    return {"description": description, "required": required, "schema": {"type": kind}, "example": example}


HEADERS: dict[str, Json] = {
    "X-Request-ID": _header(
        "Names the request in our logs; taken over from the request if it sends one.", "string", "7f"
    ),
    "X-Total-Count": _header("How many there are in all.", "integer", 137),
    "Link": _header(
        "The next page, if there is one (RFC 8288).",
        "string",
        '</api/v1/batches?limit=50&skip=50>; rel="next"',
        required=False,
    ),
    "ETag": _header("Of this state; for `If-None-Match`.", "string", 'W/"5d41402abc4b2a76b9719d911017c592"'),
    "Location": _header("The address of what was created.", "string", "/api/v1/batches/batch-001"),
    "Content-Disposition": _header("The name for the file.", "string", 'attachment; filename="errores.xlsx"'),
    "Retry-After": _header("Seconds to wait.", "integer", 5),
    "WWW-Authenticate": _header("Which scheme would do (RFC 9110 §11.6.1).", "string", 'Bearer realm="cadencia"'),
}
_OF_PROBLEMS = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}


def operations(schema: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, method and operation of each."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def complete(schema: Json) -> None:
    """Add to `schema`, whose operations know their `security`, what is the same for all of a kind."""
    components = schema["components"]
    components["headers"] = HEADERS
    components["responses"] = {kind.name: _problem_response(status) for status, kind in KINDS.items()}
    components["schemas"] = {
        name: found for name, found in components["schemas"].items() if "ValidationError" not in name
    }
    for body in _requests(schema):
        _simplify(body)
    for path, method, operation in operations(schema):
        for parameter in operation.get("parameters", []):
            _drop_null(parameter["schema"])
        _refer_to_problems(path, operation)
        _add_headers(schema, path, method, operation)


def _problem_response(status: int) -> Json:
    kind = KINDS[status]
    only = {"type": "object", "properties": {"code": {"enum": sorted(kind.codes)}}, "required": ["code"]}
    return {
        "description": kind.meaning,
        "headers": _headers("X-Request-ID", *_OF_PROBLEMS.get(status, [])),
        "content": {
            MEDIA_TYPE: {
                "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, only]},
                "example": example_of(status),
            }
        },
    }


def _headers(*names: str, optional: frozenset[str] = frozenset()) -> Json:
    return {
        name: {**HEADERS[name], "required": False} if name in optional else {"$ref": f"#/components/headers/{name}"}
        for name in names
    }


def _refer_to_problems(path: str, operation: Json) -> None:
    """What it may answer by its kind, besides what its route says."""
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    statuses = {
        int(status)
        for status, response in operation["responses"].items()
        if MEDIA_TYPE in response.get("content", {}) and int(status) in KINDS
    }
    # FastAPI adds one of its own to whatever has parameters.
    operation["responses"].pop("422", None)
    if path.startswith(PROTECTED):
        statuses.add(503)
    if operation["security"]:
        statuses |= {401, 403, 429}
    if names or "requestBody" in operation or path.startswith(PROTECTED):
        # Also what has no parameters refuses those that it does not know (api/parameters.py).
        statuses.add(422)
    if "{" in path or names & OWNERS.keys():
        statuses.add(404)
    if "requestBody" in operation:
        statuses |= {400, 413}
    for status in statuses:
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{KINDS[status].name}"}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _add_headers(schema: Json, path: str, method: str, operation: Json) -> None:
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    for status, response in operation["responses"].items():
        if "$ref" in response:
            continue
        found, optional = ["X-Request-ID"], frozenset[str]()
        if status == "200" and method == "get" and {"limit", "skip"} <= names:
            found += ["X-Total-Count", "Link"]
            optional = frozenset({"X-Total-Count"} if "cursor" in names else ())
        if status in {"200", "304"} and "If-None-Match" in names:
            found.append("ETag")
        if status == str(HTTPStatus.CREATED.value) and _is_readable_below(schema, path):
            found.append("Location")
        if status == "200" and not any(
            kind in _WITHOUT_FILENAME for kind in response.get("content", {"text/plain": {}})
        ):
            found.append("Content-Disposition")
        response["headers"] = {**response.get("headers", {}), **_headers(*found, optional=optional)}


def _is_readable_below(schema: Json, path: str) -> bool:
    """Whether what is created by a POST to `path` can be read at `path`/{its id}."""
    below = f"{path}/{{"
    return any(
        other.startswith(below) and other.endswith("}") and "get" in methods
        for other, methods in schema["paths"].items()
    )


def _simplify(node: Any) -> None:
    """In requests a decimal is a number: that a text of digits is accepted too need not be in a generated client."""
    if isinstance(node, list):
        for part in node:
            _simplify(part)
    if not isinstance(node, dict):
        return
    for part in node.values():
        _simplify(part)
    options = node.get("anyOf", [])
    # So pydantic writes a Decimal, and nothing else in this order.
    if [option.get("type") for option in options[:2]] == ["number", "string"]:
        _put_options(node, [options[0], *options[2:]])
        if isinstance(node.get("default"), str):
            node["default"] = float(node["default"])


def _requests(schema: Json) -> Iterator[Json]:
    """The schemas that bodies of requests are made of, and they alone."""
    schemas, found = schema["components"]["schemas"], set[str]()
    waiting = {name for _, _, operation in operations(schema) for name in _names_in(operation.get("requestBody", {}))}
    while waiting:
        found |= waiting
        waiting = {name for known in waiting for name in _names_in(schemas[known])} - found
    for name in sorted(found):
        yield schemas[name]


def _names_in(node: Json) -> set[str]:
    return set(re.findall(r"#/components/schemas/([\w-]+)", json.dumps(node)))


def _drop_null(schema: Json) -> None:
    """A parameter of an address is there or not; it is never null."""
    if "anyOf" in schema:
        _put_options(schema, [option for option in schema["anyOf"] if option.get("type") != "null"])


def _put_options(schema: Json, options: list[Json]) -> None:
    if len(options) > 1:
        schema["anyOf"] = options
    else:
        del schema["anyOf"]
        schema.update({**options[0], **schema})
