"""Bodies of /accounts/{account_id}/webhooks."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from app.api.schemas.common import (
    AnyCase,
    Instant,
    Reason,
    Reply,
    Request,
    Text,
    checked,
    invalid,
    optional_field,
    reason_of,
)
from app.domain.messages import Language
from app.domain.webhooks import SUBSCRIBABLE, Delivery, DeliveryStatus, EventType, Try, Webhook, is_address
from app.services.webhooks import NewWebhook

Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2000),
    checked(is_address, "webhook_url_malformed"),
    Field(examples=["https://crm.empresaxyz.cl/hooks/cadencia"]),
]


def _subscribable(types: list[EventType]) -> list[EventType]:
    if EventType.PING in types:
        raise invalid("webhook_event_not_subscribable", value=EventType.PING.value)
    return sorted(set(types))


Subscribed = Annotated[list[Annotated[EventType, AnyCase]], Field(min_length=1, max_length=20)]


class CreateWebhook(Request):
    url: Url
    description: Text | None = None
    event_types: Subscribed = Field(default=list(SUBSCRIBABLE), description="What it is told; by default everything.")

    _subscribable = field_validator("event_types")(_subscribable)

    def to_new_webhook(self, account_id: str) -> NewWebhook:
        return NewWebhook(account_id, self.url, self.description, self.event_types)


class ChangeWebhook(Request):
    """Only what is sent changes."""

    url: Url = optional_field("")
    description: Text | None = None
    event_types: Subscribed = optional_field([])
    is_active: bool = optional_field(True)

    _subscribable = field_validator("event_types")(_subscribable)

    def to_changes(self) -> dict[str, Any]:
        return self.model_dump(include=self.model_fields_set)


class WebhookReply(Reply):
    webhook_id: str
    account_id: str
    url: str
    description: str | None
    event_types: list[EventType]
    is_active: bool
    disabled_reason: Reason | None = Field(description="Why the system switched it off; `is_active: true` undoes that.")
    disabled_at: Instant | None
    failing_since: Instant | None = Field(description="When it began to fail, without a success since.")
    previous_secret_until: Instant | None = Field(description="Until then the secret before signs too.")
    created_at: Instant
    updated_at: Instant


class WebhookSecretReply(WebhookReply):
    secret: str = Field(description="Verifies what is sent (Standard Webhooks). Shown this once.")


class TryReply(Reply):
    at: Instant
    status: int | None = Field(description="Of the answer; null: there was none.")
    error: str | None = Field(description="Why there was no answer: `timeout`, `refused_address`, or a network error.")
    duration_ms: int
    answer: str | None = Field(description="The first characters of the answer.")


class DeliveryReply(Reply):
    """One event for one webhook."""

    delivery_id: str
    event_id: str = Field(description="The header `webhook-id` of every try.")
    webhook_id: str
    account_id: str
    type: EventType
    batch_id: str | None
    job_id: str | None
    status: DeliveryStatus
    next_try_at: Instant | None
    tries: list[TryReply] = Field(description="Oldest first; the last twenty.")
    created_at: Instant
    expires_at: Instant = Field(description="When it leaves the log.")


class DeliveryDetailReply(DeliveryReply):
    body: str = Field(description="What is sent, to the byte.")


def webhook_reply(webhook: Webhook, language: Language) -> WebhookReply:
    return WebhookReply(**_webhook(webhook, language))


def webhook_secret_reply(webhook: Webhook, secret: str, language: Language) -> WebhookSecretReply:
    return WebhookSecretReply(**_webhook(webhook, language), secret=secret)


def delivery_reply(delivery: Delivery) -> DeliveryReply:
    return DeliveryReply(**_delivery(delivery))


def delivery_detail_reply(delivery: Delivery) -> DeliveryDetailReply:
    return DeliveryDetailReply(**_delivery(delivery), body=delivery.body)


def _webhook(webhook: Webhook, language: Language) -> dict[str, Any]:
    untils = [secret.until for secret in webhook.secrets if secret.until is not None]
    return {
        "webhook_id": webhook.webhook_id,
        "account_id": webhook.account_id,
        "url": webhook.url,
        "description": webhook.description,
        "event_types": webhook.event_types,
        "is_active": webhook.is_active,
        "disabled_reason": reason_of(webhook.disabled_reason, language),
        "disabled_at": webhook.disabled_at,
        "failing_since": webhook.failing_since,
        "previous_secret_until": max(untils, default=None),
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "event_id": delivery.event_id,
        "webhook_id": delivery.webhook_id,
        "account_id": delivery.account_id,
        "type": delivery.type,
        "batch_id": delivery.batch_id,
        "job_id": delivery.job_id,
        "status": delivery.status,
        "next_try_at": delivery.due_at if delivery.status is DeliveryStatus.PENDING else None,
        "tries": [_try(entry) for entry in delivery.tries],
        "created_at": delivery.created_at,
        "expires_at": delivery.expires_at,
    }


def _try(entry: Try) -> TryReply:
    return TryReply(
        at=entry.at, status=entry.status, error=entry.error, duration_ms=entry.duration_ms, answer=entry.answer
    )
