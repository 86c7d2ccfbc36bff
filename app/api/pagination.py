"""Lists: `?limit=` and `?skip=` in, `X-Total-Count` and `Link: rel="next"` out."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Query, Request, Response

MAX_LIMIT = 500
MAX_SKIP = 1_000_000_000


class Page(NamedTuple):
    limit: int
    skip: int


def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many to answer.")] = 50,
    skip: Annotated[int, Query(ge=0, le=MAX_SKIP, description="How many to leave out, newest first.")] = 0,
) -> Page:
    return Page(limit, skip)


PageDep = Annotated[Page, Depends(_page)]


def announce(request: Request, response: Response, page: Page, total: int) -> None:
    """Tell how many there are in all, and where the next page is if there is one."""
    response.headers["X-Total-Count"] = str(total)
    if page.skip + page.limit < total:
        following = request.url.include_query_params(limit=page.limit, skip=page.skip + page.limit)
        # Relative (RFC 8288 §3.1): behind a proxy we do not know the address that the client used.
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
