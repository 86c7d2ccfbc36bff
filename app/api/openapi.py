"""What the OpenAPI document says besides the routes themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.api.authentication import describe
from app.api.problems import MEDIA_TYPE, Problem

DESCRIPTION = """
Outbound AI call campaigns: upload a list, set the hours and rules, and every contact is called once, at an allowed
time, within the money.

* Lists are arrays, newest first: `?limit=` and `?skip=`, the total in `X-Total-Count`, the next page in `Link`;
  large collections (jobs, past calls, the ledger) are walked by the `?cursor=` that their `Link` carries.
* Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems with a stable `code`.
* Texts for people are Spanish, or English with `Accept-Language: en`.
* Every request but the login needs `Authorization: Bearer` with an access token or an API key.
* Times are ISO 8601 in UTC; enums are accepted in any letter case and answered in lower case.
"""
TAGS = [
    {"name": "access", "description": "Users, sessions, API keys, and the log of who changed what."},
    {"name": "accounts", "description": "Customers: plan, limits, prices and what is left of the money."},
    {"name": "batches", "description": "Campaigns: contacts, rules, and where each is in its life."},
    {"name": "jobs", "description": "One contact of one batch, called until it is final."},
    {"name": "figures", "description": "Campaigns in numbers, and every call that was made."},
    {"name": "do-not-call", "description": "Numbers that are not to be called, by one account or by any."},
    {"name": "webhooks", "description": "What the voice provider tells by itself; signed."},
    {"name": "from-numbers", "description": "Our own numbers: which rest because their calls end badly."},
    {"name": "workers", "description": "The processes that place the calls."},
    {"name": "health", "description": "Whether this process can do its work."},
]
_MEANINGS = {
    400: "The body is not what its Content-Type says.",
    401: "No valid token: log in, refresh, or check the API key. Of a webhook: no valid signature.",
    403: "The role or scope of the user or key does not allow it.",
    404: "There is no such object.",
    409: "The state of the object forbids it, or the idempotency key belongs to another request.",
    413: "The body is too large.",
    422: "The input is wrong; `errors` says where.",
    429: "Asked too often. Try again after `Retry-After` seconds.",
    503: "MongoDB is away; nothing was done. Try again after `Retry-After` seconds.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a route's problems; every route may answer 422 and 503."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in sorted({*statuses, 422, 503})}


def operation_id(route: APIRoute) -> str:
    """The name of the function: verb_noun, stable for generated clients."""
    return route.name


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS
        )
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components.update(problem.pop("$defs", {}))
        components["Problem"] = problem
        describe(schema)
        _add_refusals(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _add_refusals(schema: dict[str, Any]) -> None:
    """What a guarded operation may answer besides: it is the same for all of them."""
    for methods in schema["paths"].values():
        for operation in methods.values():
            if operation["security"]:
                refusals = {str(status): reply for status, reply in problems(401, 403, 429).items()}
                operation["responses"] = dict(sorted({**refusals, **operation["responses"]}.items()))
