"""/dashboard, /calls and an account's activity: what is only read."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.conditional import NOT_MODIFIED, IfNoneMatch, answer
from app.api.deps import ContainerDep, PrincipalDep
from app.api.openapi import problems
from app.api.pagination import CursorPageDep, announce_places
from app.api.schemas.common import AnyCase, Day
from app.api.schemas.reading import (
    ActivityReply,
    DashboardReply,
    PastCallReply,
    activity_reply,
    dashboard_reply,
    past_call_reply,
)
from app.domain.errors import FieldError, InvalidInput
from app.domain.reading import PastCall, Place
from app.domain.searching import AgeSort

router = APIRouter(tags=["figures"])

MOST_SKIPPED = 10_000
When = Annotated[
    str | None,
    Query(
        max_length=40,
        description=(
            "A date (a whole day in the account's time zone; in UTC where several accounts' zones differ) or an "
            "instant with an offset."
        ),
        examples=["2025-10-24", "2025-10-24T10:00:00Z"],
    ),
]


@router.get(
    "/dashboard/stats",
    summary="Everything in numbers",
    response_model=DashboardReply,
    responses={**NOT_MODIFIED, **problems(404)},
)
async def get_dashboard_stats(
    container: ContainerDep,
    principal: PrincipalDep,
    account_id: str | None = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Of one account, or of all that whoever asks may see. Made to be polled, with `If-None-Match`."""
    found = await container.dashboard.of(principal.visible(account_id), named=account_id)
    return answer(dashboard_reply(found), if_none_match)


@router.get("/calls/history", summary="Past calls", responses=problems())
async def list_past_calls(
    container: ContainerDep,
    principal: PrincipalDep,
    page: CursorPageDep,
    request: Request,
    response: Response,
    account_id: str | None = None,
    batch_id: str | None = None,
    start_date: When = None,
    end_date: When = None,
    sort: Annotated[AgeSort, AnyCase, Query(description="By when they were dialed.")] = AgeSort.NEWEST,
) -> list[PastCallReply]:
    """Every attempt that is over is one row. `end_date` includes its day; an instant is excluded.

    Further back than 10,000 rows follow `Link`, whose cursor costs the same everywhere. Of more than 100,000 calls
    `X-Total-Count` is left out: narrow the dates.
    """
    if page.skip > MOST_SKIPPED:
        raise InvalidInput([FieldError.of(("query", "skip"), "skip_too_far", limit=MOST_SKIPPED)])
    calls, total = await container.past_calls.page(
        account_ids=principal.visible(account_id),
        batch_id=batch_id,
        start=_when("start_date", start_date),
        end=_when("end_date", end_date),
        limit=page.limit + 1,
        skip=page.skip,
        after=page.after,
        sort=sort,
    )
    calls = announce_places(request, response, page, total, calls, _place)
    return [past_call_reply(call) for call in calls]


@router.get("/accounts/{account_id}/activity", summary="When people answer", responses=problems(404))
async def get_account_activity(
    account_id: str,
    container: ContainerDep,
    start_date: Annotated[Day | None, Query(description="By default thirty days up to the end.")] = None,
    end_date: Annotated[Day | None, Query(description="Included. By default today.")] = None,
) -> ActivityReply:
    """Calls and answers by hour, weekday, phone and attempt, on the clocks of the account; of at most 366 days."""
    return activity_reply(await container.past_calls.activity(account_id, start_date, end_date))


def _place(call: PastCall) -> Place:
    return Place(call.record.dialed_at, call.record.attempt_id)


def _when(name: str, text: str | None) -> date | datetime | None:
    """A date, or an instant. Raises InvalidInput."""
    if not text:
        return None
    try:
        if len(text) == len("2025-10-24"):
            return date.fromisoformat(text)
        # A `+` that was not percent-encoded arrives as a space.
        at = datetime.fromisoformat(text.replace(" ", "+"))
        if at.utcoffset() is not None:
            return at
    except ValueError:
        pass
    raise InvalidInput([FieldError.of(("query", name), "date_malformed", value=text)])
