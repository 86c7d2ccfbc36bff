"""Errors as RFC 9457 problems. The only place that knows which status code an error of ours has."""

import json
from collections.abc import Sequence
from http import HTTPMethod, HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import HTTPException, RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import BaseRoute, Match

from app.api.language import language_of
from app.domain.errors import (
    CadenciaError,
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    SpreadsheetRejected,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from app.domain.messages import CATALOGUE, Language, render

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
MAX_ERRORS = 200

STATUS: dict[type[CadenciaError], HTTPStatus] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    SpreadsheetRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
STATUS_OF_CODE = {
    "file_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "webhook_unreadable": HTTPStatus.BAD_REQUEST,
}
"""Where one code has a status of its own."""

HTTP_CODES = {
    HTTPStatus.NOT_FOUND: "route_not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.BAD_REQUEST: "malformed_request",
}
"""The codes of refusals that come from the framework."""


class ProblemError(BaseModel):
    """One thing wrong with the input."""

    loc: list[str | int]
    """Where: the field's path in the body, or `query`/`path`/`header` and the parameter's name."""
    msg: str
    type: str


class Problem(BaseModel):
    """RFC 9457. `code` is stable for programs; `detail` is for people, in the request's language."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:cadencia:problem:account_not_found",
                "title": "No encontrado",
                "status": 404,
                "code": "account_not_found",
                "detail": "No existe la cuenta «acc-chile-001».",
                "message": "No existe la cuenta «acc-chile-001».",
                "instance": "/api/v1/accounts/acc-chile-001",
            }
        }
    )

    type: str
    title: str
    status: int
    code: str
    detail: str
    message: str = Field(description="The same as `detail`.")
    instance: str
    errors: list[ProblemError] | None = Field(default=None, description="Of input errors: one a field or row.")


class PayloadTooLarge(HTTPException):
    """The request's body is over the limit; raised while it is read."""

    def __init__(self, code: str, limit_megabytes: int) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.code = code
        self.limit_megabytes = limit_megabytes


def problem_response(
    request: Request,
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    errors: Sequence[ProblemError] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The answer for one problem."""
    language = request_language(request)
    problem = Problem(
        type=f"urn:cadencia:problem:{code}",
        title=render(f"title_{status.value}", language),
        status=status.value,
        code=code,
        detail=detail,
        message=detail,
        instance=request.url.path,
        errors=None if errors is None else list(errors),
    )
    # What is quoted from the request may be half a character ("\ud800"), which no answer can have.
    body = json.dumps(problem.model_dump(exclude_none=True), ensure_ascii=False, separators=(",", ":"))
    return Response(
        body.encode(errors="replace"),
        status.value,
        headers={**(headers or {}), "Content-Language": language, "Vary": "Accept-Language"},
        media_type=MEDIA_TYPE,
    )


def request_language(request: Request) -> Language:
    return language_of(request.headers.get("accept-language"))


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    app.add_exception_handler(CadenciaError, _domain_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(StarletteHTTPException, _http_error)


def internal_error(request: Request) -> Response:
    """For what nobody expected. It says nothing of the inside; the log has it under the request's id."""
    detail = render("internal_error", request_language(request))
    return problem_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail)


def _status_of(error: CadenciaError) -> HTTPStatus:
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


async def _domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CadenciaError)  # noqa: S101 - registered for this class
    return problem_of(request, error)


def problem_of(request: Request, error: CadenciaError) -> Response:
    """The answer for an error of ours."""
    language = request_language(request)
    status = _status_of(error)
    if isinstance(error, InvalidInput):
        errors = [_field_error(problem, language) for problem in error.errors[:MAX_ERRORS]]
        detail = error.message.render(language) if error.code != "invalid_input" else _summary(errors, language)
        return problem_response(request, status, error.code, detail, errors=errors)
    return problem_response(request, status, error.code, error.message.render(language), headers=_headers(error))


def _headers(error: CadenciaError) -> dict[str, str] | None:
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Unavailable):
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    # RFC 9110 §11.6.1: a 401 says which scheme would do.
    return {"WWW-Authenticate": 'Bearer realm="cadencia"'} if isinstance(error, Unauthenticated) else None


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    language = request_language(request)
    problems = error.errors()
    errors = [_request_error(problem, language) for problem in problems[:MAX_ERRORS]]
    if problems and problems[0]["type"] == "json_invalid" and isinstance(problems[0]["loc"][-1], int):
        # The body itself, at this character; a field that holds JSON is one like any other.
        return problem_response(request, HTTPStatus.BAD_REQUEST, "invalid_json", errors[0].msg, errors=errors)
    detail = _summary(errors, language)
    return problem_response(request, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_input", detail, errors=errors)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for this class
    language = request_language(request)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    if isinstance(error, PayloadTooLarge):
        detail = render(error.code, language, limit_mb=error.limit_megabytes)
        # The rest of the body is on its way and nobody reads it: this connection serves no other request.
        return problem_response(request, status, error.code, detail, headers={**headers, "Connection": "close"})
    code = HTTP_CODES.get(status, "malformed_request")
    detail = render(code, language, method=request.method, path=request.url.path)
    return problem_response(request, status, code, detail, headers=headers)


def _allowed(request: Request) -> list[HTTPMethod]:
    """Every method of the address: the framework names those of one of its routes only (RFC 9110 §10.2.1)."""
    routes: list[BaseRoute] = request.app.routes
    return [
        method
        for method in HTTPMethod
        if any(route.matches({**request.scope, "method": method.value})[0] is Match.FULL for route in routes)
    ]


def _field_error(problem: FieldError, language: Language) -> ProblemError:
    return ProblemError(loc=list(problem.loc), msg=problem.message.render(language), type=problem.message.code)


def _request_error(problem: dict[str, Any], language: Language) -> ProblemError:
    """A pydantic error in our words: its type is looked up in the catalogue."""
    loc = list(problem["loc"])
    # "query" and "path" say where else than in the body.
    shown = loc[1:] if loc[:1] == ["body"] else loc
    return ProblemError(loc=shown, msg=_translated(problem, language), type=problem["type"])


def _translated(problem: dict[str, Any], language: Language) -> str:
    kind = problem["type"]
    if kind in {"too_short", "too_long"} and isinstance(problem.get("input"), str):
        # So pydantic calls it for a secret: letters, not items, are missing.
        kind = f"string_{kind}"
    code = f"input_{kind}" if f"input_{kind}" in CATALOGUE else kind
    if code not in CATALOGUE:
        # Whatever pydantic says is English.
        code = "input_value_error"
    params = dict(problem.get("ctx") or {})
    if kind == "json_invalid" and isinstance(problem["loc"][-1], int):
        params["position"] = problem["loc"][-1]
    elif kind == "json_invalid":
        # A field that holds JSON: it has no place in the body to point at.
        code = "field_json_invalid"
    if "expected" in params:
        params["expected"] = str(params["expected"]).replace(" or ", ", ")
    return render(code, language, **params)


def _summary(errors: list[ProblemError], language: Language) -> str:
    """The first error in full, and how many more there are."""
    if not errors:
        return render("input_value_error", language)
    place = _place(errors[0].loc)
    first = f"{place}: {errors[0].msg}" if place else errors[0].msg
    if len(errors) == 1:
        return first
    return render("invalid_input", language, first=first, more=len(errors) - 1)


def _place(loc: list[str | int]) -> str:
    """`contacts[3].phones[0]`, as a person would write the path."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
