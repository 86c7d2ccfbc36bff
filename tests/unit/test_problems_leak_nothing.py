"""No problem quotes what was sent in a field that is refused, nor what an error of the inside says."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from app.api import problems
from app.api.middleware import RequestContext
from app.clock import Clock

PHONE, SECRET = "+56912345678", "hunter2hunter2"
LEAKS = st.sampled_from([PHONE, SECRET, f"mongodb://user:{SECRET}@db/", f"Bearer {SECRET}", f"{SECRET}{PHONE}"])
FIELDS = ("password", "token", "to_number", "kind", "nested")
GIVEN = st.recursive(
    LEAKS | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(LEAKS, inner, max_size=2),
    max_leaves=4,
)


class Nested(BaseModel):
    phones: list[int]


class Body(BaseModel):
    password: SecretStr = Field(min_length=40)
    token: int
    to_number: str = Field(pattern="^x$")
    kind: bool
    nested: Nested


def ask(method: str, path: str, *, said: str = "", **request: Any) -> httpx.Response:
    """An app that refuses most bodies, and whose other route stumbles over an error that says `said`."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(RequestContext, clock=Clock())

    @app.post("/refused")
    async def refused(body: Body) -> None:
        raise AssertionError("never valid")

    @app.get("/broken")
    async def broken() -> None:
        raise LookupError(said) from ValueError(said)

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
            return await http.request(method, path, **request)

    return asyncio.run(answer())


@settings(max_examples=80, deadline=None)
@given(body=st.dictionaries(st.sampled_from(FIELDS), GIVEN), key=LEAKS)
def test_what_is_refused_is_not_quoted(body: dict[str, Any], key: str) -> None:
    answer = ask("POST", "/refused", json=body, headers={"Authorization": key})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert "12345678" not in answer.text
    assert SECRET not in answer.text


@settings(max_examples=10, deadline=None)
@given(text=LEAKS)
def test_what_breaks_inside_is_not_told(text: str) -> None:
    answer = ask("GET", "/broken", said=text)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "12345678" not in answer.text
    assert SECRET not in answer.text
