"""/batches/{batch_id}/test-call: hear what a batch will say."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from app.api.deps import ContainerDep, IdempotencyKey, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.schemas.jobs import JobReply, job_reply
from app.api.schemas.test_calls import MakeTestCall

router = APIRouter(prefix="/batches", tags=["batches"])


@router.post(
    "/{batch_id}/test-call",
    status_code=HTTPStatus.CREATED,
    summary="Call one number with a batch's script",
    responses=problems(400, 404, 409, 429),
)
async def make_test_call(
    batch_id: str,
    body: MakeTestCall,
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobReply:
    """Of a draft or a paused batch, too. The reply is the job to follow at `GET /jobs/{job_id}`.

    A worker makes the call like any other, once: it is never tried again, and not begun later than ten minutes from
    now. It costs what it costs and counts in no figure of the batch.
    """
    job = await container.test_calls.call(
        batch_id, body.to_order(), user=principal.name, idempotency_key=idempotency_key
    )
    response.headers["Location"] = f"/api/v1/jobs/{job.job_id}"
    view = await container.jobs.get(job.job_id)
    accounts = await container.accounts.get_many([job.account_id])
    return job_reply(view, accounts.get(job.account_id), language)
