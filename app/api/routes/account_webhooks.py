"""/accounts/{account_id}/webhooks: whom we tell what happened, and what became of it. docs/webhooks.md"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.deps import AdministratorDep, ContainerDep, LanguageDep
from app.api.openapi import problems
from app.api.pagination import CursorPageDep, PageDep, announce, announce_places
from app.api.schemas.common import AnyCase
from app.api.schemas.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    DeliveryDetailReply,
    DeliveryReply,
    WebhookReply,
    WebhookSecretReply,
    delivery_detail_reply,
    delivery_reply,
    webhook_reply,
    webhook_secret_reply,
)
from app.domain.reading import Place
from app.domain.webhooks import DeliveryStatus

router = APIRouter(prefix="/accounts/{account_id}/webhooks", tags=["webhooks"])


@router.post(
    "", status_code=HTTPStatus.CREATED, summary="Have events sent to an address", responses=problems(400, 404, 409)
)
async def create_webhook(
    account_id: str,
    body: CreateWebhook,
    _: AdministratorDep,
    container: ContainerDep,
    language: LanguageDep,
    response: Response,
) -> WebhookSecretReply:
    """The reply is the only place where the secret is shown. For administrators."""
    webhook, secret = await container.webhooks.create(body.to_new_webhook(account_id))
    response.headers["Location"] = f"/api/v1/accounts/{account_id}/webhooks/{webhook.webhook_id}"
    return webhook_secret_reply(webhook, secret, language)


@router.get("", summary="The account's webhooks", responses=problems(404))
async def list_webhooks(
    account_id: str, container: ContainerDep, language: LanguageDep, page: PageDep, request: Request, response: Response
) -> list[WebhookReply]:
    """Oldest first; there are ten at most."""
    webhooks = await container.webhooks.of_account(account_id)
    announce(request, response, page, len(webhooks))
    return [webhook_reply(webhook, language) for webhook in webhooks[page.skip : page.skip + page.limit]]


@router.get("/{webhook_id}", summary="Read a webhook", responses=problems(404))
async def get_webhook(account_id: str, webhook_id: str, container: ContainerDep, language: LanguageDep) -> WebhookReply:
    return webhook_reply(await container.webhooks.get(account_id, webhook_id), language)


@router.patch("/{webhook_id}", summary="Change a webhook, or switch it off and on", responses=problems(400, 404))
async def change_webhook(
    account_id: str,
    webhook_id: str,
    body: ChangeWebhook,
    _: AdministratorDep,
    container: ContainerDep,
    language: LanguageDep,
) -> WebhookReply:
    """What happens while it is off is not sent later; what waited when it was switched off is, once it is on again.

    For administrators.
    """
    return webhook_reply(await container.webhooks.change(account_id, webhook_id, body.to_changes()), language)


@router.delete("/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, summary="Remove a webhook", responses=problems(404))
async def delete_webhook(account_id: str, webhook_id: str, _: AdministratorDep, container: ContainerDep) -> Response:
    """With its log; what was not sent yet is not sent. For administrators."""
    await container.webhooks.delete(account_id, webhook_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/{webhook_id}/secret", summary="Change the secret", responses=problems(404))
async def rotate_webhook_secret(
    account_id: str, webhook_id: str, _: AdministratorDep, container: ContainerDep, language: LanguageDep
) -> WebhookSecretReply:
    """For a day, what is sent carries a signature of the one before too. For administrators."""
    webhook, secret = await container.webhooks.rotate(account_id, webhook_id)
    return webhook_secret_reply(webhook, secret, language)


@router.post(
    "/{webhook_id}/test",
    status_code=HTTPStatus.ACCEPTED,
    summary="Send a `ping`",
    responses=problems(404, 409),
)
async def ping_webhook(account_id: str, webhook_id: str, container: ContainerDep) -> DeliveryReply:
    """Within seconds; what came of it is in the log under `delivery_id`."""
    return delivery_reply(await container.webhooks.ping(account_id, webhook_id))


@router.get("/{webhook_id}/deliveries", summary="What was sent, and what came of it", responses=problems(404))
async def list_webhook_deliveries(
    account_id: str,
    webhook_id: str,
    container: ContainerDep,
    page: CursorPageDep,
    request: Request,
    response: Response,
    status: Annotated[DeliveryStatus | None, AnyCase, Query()] = None,
) -> list[DeliveryReply]:
    """Newest first, as long as the log is kept (`WEBHOOK_LOG_DAYS`)."""
    found, total = await container.webhooks.deliveries(
        account_id, webhook_id, status=status, limit=page.limit + 1, skip=page.skip, after=page.after
    )
    found = announce_places(
        request, response, page, total, found, lambda entry: Place(entry.created_at, entry.delivery_id)
    )
    return [delivery_reply(delivery) for delivery in found]


@router.get("/{webhook_id}/deliveries/{delivery_id}", summary="One delivery, with its body", responses=problems(404))
async def get_webhook_delivery(
    account_id: str, webhook_id: str, delivery_id: str, container: ContainerDep
) -> DeliveryDetailReply:
    return delivery_detail_reply(await container.webhooks.delivery(account_id, webhook_id, delivery_id))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=HTTPStatus.ACCEPTED,
    summary="Send it once more",
    responses=problems(404, 409),
)
async def redeliver_webhook(
    account_id: str, webhook_id: str, delivery_id: str, container: ContainerDep
) -> DeliveryReply:
    """Under the same `webhook-id`, with all its tries before it."""
    return delivery_reply(await container.webhooks.redeliver(account_id, webhook_id, delivery_id))
