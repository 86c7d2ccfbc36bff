"""/batches: campaigns."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.conditional import NOT_MODIFIED, IfNoneMatch, answer
from app.api.deps import ContainerDep, IdempotencyKey, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.batch_replies import (
    PASSING,
    BatchReply,
    BatchStatusReply,
    CreatedBatchReply,
    LogsReply,
    batch_reply,
    created_batch_reply,
    logs_reply,
    status_reply,
)
from app.api.schemas.batches import ChangeBatch, CreateBatch
from app.api.schemas.common import AnyCase
from app.api.schemas.jobs import job_reply
from app.api.schemas.reading import SummaryReply, summary_reply
from app.api.searching import NamePart, SortDep, named
from app.domain.batches import BatchStatus
from app.domain.searching import NameSort

router = APIRouter(prefix="/batches", tags=["batches"])

SAMPLE = 10
"""How many jobs a summary shows."""


@router.post("", status_code=HTTPStatus.CREATED, summary="Create a batch", responses=problems(400, 404, 409, 413))
async def create_batch(
    body: CreateBatch,
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> CreatedBatchReply:
    """With all of its contacts, or not at all. It starts at once, or at `scheduled_at`."""
    principal.require_account(body.account_id)
    batch = await container.batch_creation.create(body.to_new_batch(idempotency_key), user=principal.name)
    response.headers["Location"] = f"/api/v1/batches/{batch.batch_id}"
    return created_batch_reply((await container.batches.views([batch]))[0], language)


@router.get("", summary="List batches", responses=problems())
async def list_batches(
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    page: PageDep,
    request: Request,
    response: Response,
    account_id: str | None = None,
    status: Annotated[BatchStatus | None, AnyCase, Query()] = None,
    is_active: bool | None = None,
    parent_batch_id: Annotated[str | None, Query(description="The runs of this recurring batch.")] = None,
    q: NamePart = None,
    sort: SortDep = NameSort.NEWEST,
) -> list[BatchReply]:
    views, total = await container.batches.page(
        sort=sort,
        search=named(q),
        parent_batch_id=parent_batch_id,
        account_ids=principal.visible(account_id),
        status=status,
        is_active=is_active,
        limit=page.limit,
        skip=page.skip,
    )
    announce(request, response, page, total)
    return [batch_reply(view, language) for view in views]


@router.get("/{batch_id}", summary="Read a batch", responses=problems(404))
async def get_batch(batch_id: str, container: ContainerDep, language: LanguageDep) -> BatchReply:
    return batch_reply(await container.batches.view(batch_id), language)


@router.patch("/{batch_id}", summary="Pause, resume or edit a batch", responses=problems(400, 404, 409))
async def change_batch(
    batch_id: str, body: ChangeBatch, container: ContainerDep, language: LanguageDep, principal: PrincipalDep
) -> BatchReply:
    changes, is_active = body.to_changes()
    view = await container.batches.change(batch_id, changes, is_active=is_active, user=principal.name)
    return batch_reply(view, language)


@router.post("/{batch_id}/cancel", summary="Cancel a batch for good", responses=problems(404, 409))
async def cancel_batch(
    batch_id: str, container: ContainerDep, language: LanguageDep, principal: PrincipalDep
) -> BatchReply:
    """Pending jobs become `cancelled`; a call in progress ends by itself and is its contact's last."""
    return batch_reply(await container.batches.cancel(batch_id, user=principal.name), language)


@router.delete(
    "/{batch_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete a batch",
    responses=problems(404, 409),
)
async def delete_batch(
    batch_id: str,
    container: ContainerDep,
    principal: PrincipalDep,
    delete_jobs: Annotated[
        bool, Query(description="Remove the contacts that were never called, with all that was imported of them.")
    ] = False,
) -> None:
    """A draft, or a batch that is completed or cancelled: cancel any other first (409), and wait for its calls to end.

    It disappears from every list and cannot be read any more. Its jobs stay in `GET /jobs`, unless `delete_jobs` says
    otherwise. Contacts that were called stay in either case, whole: the caps of calls to one person, the ledger,
    the figures and `GET /calls/history` are made of them. A large batch's jobs are removed within minutes, by
    the workers. Do-not-call lists stay as they are, and an `Idempotency-Key` that made the batch makes no other.
    Repeating it is harmless.
    """
    await container.batch_deletion.delete(batch_id, delete_jobs=delete_jobs, user=principal.name)


@router.get(
    "/{batch_id}/status",
    summary="How far a batch is",
    response_model=BatchStatusReply,
    responses={**NOT_MODIFIED, **problems(404)},
)
async def get_batch_status(
    batch_id: str,
    container: ContainerDep,
    language: LanguageDep,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Made to be polled: answer with `If-None-Match` and get a `304` while nothing changes.

    That the estimated end passes with the time is no change, so the tag is a weak one.
    """
    reply = status_reply(*await container.batches.status(batch_id), language)
    return answer(reply, if_none_match, passing=PASSING)


@router.get("/{batch_id}/summary", summary="A batch, its figures and some jobs", responses=problems(404))
async def get_batch_summary(batch_id: str, container: ContainerDep, language: LanguageDep) -> SummaryReply:
    view = await container.batches.view(batch_id)
    views, _ = await container.jobs.page(account_ids=None, batch_id=batch_id, status=None, limit=SAMPLE, skip=0)
    accounts = await container.accounts.get_many([view.batch.account_id])
    sample = [job_reply(job, accounts.get(job.job.account_id), language) for job in views]
    return summary_reply(view, batch_reply(view, language), sample)


@router.get("/{batch_id}/logs", summary="What happened to a batch", responses=problems(404))
async def get_batch_logs(
    batch_id: str, container: ContainerDep, language: LanguageDep, page: PageDep, request: Request, response: Response
) -> LogsReply:
    """The newest `limit` entries, in the order in which they happened."""
    entries, total = await container.batches.logs(batch_id, limit=page.limit, skip=page.skip)
    announce(request, response, page, total)
    return logs_reply(batch_id, entries, language)
