"""/webhooks: what the provider tells by itself."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from app.api.deps import ContainerDep
from app.api.openapi import problems

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


@router.post(
    "/retell",
    summary="Take an event of a call from Retell",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=problems(400, 401, 413),
    openapi_extra=_BODY,
)
async def receive_retell_webhook(
    container: ContainerDep,
    request: Request,
    signature: Annotated[str, Header(alias="X-Retell-Signature", description="`v=<unix ms>,d=<hex>`")] = "",
) -> None:
    """For Retell alone: the signature over the body as sent is the authentication.

    An event makes a worker look at the call at once. One of another system, of an attempt that is over, or of a kind
    that does not concern us is accepted and ignored.
    """
    await container.call_events.receive(await request.body(), signature)
