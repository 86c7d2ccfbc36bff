"""Lists: `?limit=` and `?skip=` in, `X-Total-Count` and `Link: rel="next"` out.

Large collections also take `?cursor=`, the place at which the page before ended: what comes in or goes away meanwhile
neither repeats nor hides anything, and the thousandth page costs what the first does. Their `Link` carries it.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple, TypeVar

from fastapi import Depends, Query, Request, Response

from app.domain.errors import FieldError, InvalidInput
from app.domain.reading import Place

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

MAX_LIMIT = 500
MAX_SKIP = 1_000_000_000


class Page(NamedTuple):
    limit: int
    skip: int


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many to answer.")] = 50,
    skip: Annotated[int, Query(ge=0, le=MAX_SKIP, description="How many to leave out, newest first.")] = 0,
) -> Page:
    return Page(limit, skip)


PageDep = Annotated[Page, Depends(_page)]


class CursorPage(NamedTuple):
    limit: int
    skip: int
    after: Place | None


async def _cursor_page(
    page: PageDep,
    cursor: Annotated[
        str | None,
        Query(
            max_length=400,
            description="From the `Link` of the page before, as it is; instead of `skip`, and without `X-Total-Count`.",
        ),
    ] = None,
) -> CursorPage:
    return CursorPage(page.limit, page.skip, None) if cursor is None else CursorPage(page.limit, 0, place_of(cursor))


CursorPageDep = Annotated[CursorPage, Depends(_cursor_page)]


def cursor_of(place: Place) -> str:
    """The place as a client carries it. MongoDB's times are whole milliseconds."""
    text = f"{(place.at - _EPOCH) // _MILLISECOND} {place.id}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """The other way round. Raises InvalidInput."""
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        milliseconds, _, ending = text.partition(" ")
        # There is an instant behind every place, if only a millisecond later.
        behind = _EPOCH + (int(milliseconds) + 1) * _MILLISECOND
        return Place(behind - _MILLISECOND, ending)
    except (binascii.Error, ValueError, OverflowError):
        raise InvalidInput([FieldError.of(("query", "cursor"), "cursor_malformed")]) from None


def announce_places(
    request: Request,
    response: Response,
    page: CursorPage,
    total: int | None,
    found: list[T],
    place: Callable[[T], Place],
) -> list[T]:
    """What to show of `found`, which was asked for with one more than the limit to know whether more follows."""
    if total is not None:
        response.headers["X-Total-Count"] = str(total)
    shown = found[: page.limit]
    if len(found) > page.limit:
        following = request.url.remove_query_params("skip")
        following = following.include_query_params(limit=page.limit, cursor=cursor_of(place(shown[-1])))
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return shown


def announce(request: Request, response: Response, page: Page, total: int) -> None:
    """Tell how many there are in all, and where the next page is if there is one."""
    response.headers["X-Total-Count"] = str(total)
    if page.skip + page.limit < total:
        following = request.url.include_query_params(limit=page.limit, skip=page.skip + page.limit)
        # Relative (RFC 8288 §3.1): behind a proxy we do not know the address that the client used.
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
