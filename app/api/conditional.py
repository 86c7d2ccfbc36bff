"""Answers that are polled: an `ETag` with each, and `304` to a client that has the same already."""

from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header, Response

from app.api.schemas.common import Reply

IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the `ETag` of `If-None-Match`."}
}


def answer(reply: Reply, if_none_match: str | None, *, passing: frozenset[str] = frozenset()) -> Response:
    """`reply`, or 304 without it if nothing has changed but the `passing` fields, which make its tag a weak one."""
    body = reply.model_dump_json(by_alias=True).encode()
    facts = reply.model_dump_json(by_alias=True, exclude=set(passing)).encode()
    etag = f'{"W/" if passing else ""}"{sha256(facts).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Language"}
    if _matches(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110 §13.1.2: a list of tags, compared weakly, or `*`."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags
