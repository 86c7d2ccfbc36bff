"""What the OpenAPI document says besides the routes themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.api.authentication import describe
from app.api.openapi_details import complete
from app.api.openapi_examples import add_examples
from app.api.problem_codes import KINDS
from app.api.problems import MEDIA_TYPE, Problem
from app.api.webhook_docs import describe_sent, sent

DESCRIPTION = """
Outbound AI call campaigns: upload a list, set the hours and rules, and every contact is called once, at an allowed
time, within the money.

* Lists are arrays, newest first unless `?sort=` says otherwise: `?limit=` and `?skip=`, the total in `X-Total-Count`,
  the next page in `Link`;
  large collections (jobs, past calls, the ledger) are walked by the `?cursor=` that their `Link` carries.
* A parameter that an address does not know is refused, unless its name begins with `_`.
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
    {"name": "privacy", "description": "What a person may ask for about their own data. For administrators."},
    {
        "name": "webhooks",
        "description": "What we tell customers' systems, and what the voice provider tells us; signed.",
    },
    {"name": "from-numbers", "description": "Our own numbers: which rest because their calls end badly."},
    {"name": "workers", "description": "The processes that place the calls."},
    {"name": "health", "description": "Whether this process can do its work."},
]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a route's problems.

    Only what cannot be told from the route itself need be named, such as 409; `openapi_details` adds the rest.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": KINDS[status].meaning, "content": content} for status in sorted({*statuses, 503})}


def operation_id(route: APIRoute) -> str:
    """The name of the function: verb_noun, stable for generated clients."""
    return route.name


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            webhooks=sent.routes,
            tags=TAGS,
        )
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components.update(problem.pop("$defs", {}))
        components["Problem"] = problem
        describe(schema)
        describe_sent(schema)
        complete(schema)
        add_examples(schema)
        app.openapi_schema = schema
    return app.openapi_schema
