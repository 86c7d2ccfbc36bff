"""/jobs: one contact of one batch."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.deps import ContainerDep, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.pagination import CursorPageDep, announce_places
from app.api.schemas.common import AnyCase
from app.api.schemas.do_not_call import WrittenPhone
from app.api.schemas.jobs import JobDetailReply, JobReply, job_detail_reply, job_reply
from app.api.schemas.timelines import TimelineReply, timeline_reply
from app.api.searching import Searched, usable
from app.bootstrap import Container
from app.domain.errors import FieldError, InvalidInput
from app.domain.messages import Language
from app.domain.reading import Place
from app.domain.searching import MOST_FOUND, AgeSort, contact_search
from app.services.jobs import JobView, ShownStatus

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("", summary="List jobs", responses=problems())
async def list_jobs(
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    page: CursorPageDep,
    request: Request,
    response: Response,
    account_id: str | None = None,
    batch_id: str | None = None,
    status: Annotated[ShownStatus | None, AnyCase, Query()] = None,
    phone: Annotated[
        WrittenPhone | None, Query(description="Only contacts with this number; needs `account_id`.")
    ] = None,
    q: Annotated[
        Searched | None,
        Query(
            description="Only contacts of whose name a word begins so (or of whom the national id or, from `+` on, a "
            f"phone does); accents and capitals do not matter. Needs `account_id`, and at most {MOST_FOUND} contacts."
        ),
    ] = None,
    sort: Annotated[AgeSort, AnyCase, Query()] = AgeSort.NEWEST,
) -> list[JobReply]:
    if phone is not None and account_id is None:
        raise InvalidInput([FieldError.of(("query", "phone"), "phone_needs_account")])
    if q is not None and account_id is None:
        raise InvalidInput([FieldError.of(("query", "q"), "search_needs_account")])
    visible = principal.visible(account_id)
    number = await container.accounts.phone_of(account_id, phone) if account_id and phone and visible else None
    search = None
    if q is not None and account_id and visible:
        search = usable(contact_search(q, (await container.accounts.get(account_id)).country), q)
    views, total = await container.jobs.page(
        account_ids=visible,
        batch_id=batch_id,
        status=status,
        limit=page.limit + 1,
        skip=page.skip,
        after=page.after,
        phone=number,
        search=search,
        sort=sort,
    )
    views = announce_places(
        request, response, page, total, views, lambda view: Place(view.job.created_at, view.job.job_id)
    )
    accounts = await container.accounts.get_many({view.job.account_id for view in views})
    return [job_reply(view, accounts.get(view.job.account_id), language) for view in views]


@router.get("/{job_id}", summary="Read a job, with its past attempts", responses=problems(404))
async def get_job(job_id: str, container: ContainerDep, language: LanguageDep) -> JobDetailReply:
    return await _detail(await container.jobs.get(job_id), container, language)


@router.get("/{job_id}/timeline", summary="What happened to a job", responses=problems(404))
async def get_job_timeline(job_id: str, container: ContainerDep, language: LanguageDep) -> TimelineReply:
    """Every step that it took, and who took it."""
    return timeline_reply(await container.jobs.timeline(job_id), language)


@router.put("/{job_id}/retry", summary="Call a contact once more", responses=problems(404, 409))
async def retry_job(
    job_id: str, container: ContainerDep, language: LanguageDep, principal: PrincipalDep
) -> JobDetailReply:
    """As soon as the hours, the limit and the money allow. Not for a contact that was reached."""
    return await _detail(await container.jobs.retry(job_id, user=principal.name), container, language)


@router.put("/{job_id}/cancel", summary="Call a contact no more", responses=problems(404, 409))
async def cancel_job(
    job_id: str, container: ContainerDep, language: LanguageDep, principal: PrincipalDep
) -> JobDetailReply:
    """A call in progress ends by itself and is the contact's last."""
    return await _detail(await container.jobs.cancel(job_id, user=principal.name), container, language)


async def _detail(view: JobView, container: Container, language: Language) -> JobDetailReply:
    accounts = await container.accounts.get_many([view.job.account_id])
    return job_detail_reply(view, accounts.get(view.job.account_id), language)
