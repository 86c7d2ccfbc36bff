"""Use cases of an account's webhooks: make, change, try out, and see and repeat what was sent.

The account notes what any of its webhooks is to be told (`Account.webhook_events`): noted before a webhook wants it,
and struck out after none does, so that nothing that is wanted goes untold.
"""

import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.domain.errors import Conflict, FieldError, InvalidInput, NotFound
from app.domain.ports import Accounts, Time
from app.domain.reading import Place
from app.domain.webhook_ports import Deliveries, Subscriptions, Webhooks
from app.domain.webhooks import (
    MOST_WEBHOOKS,
    OVERLAP,
    SECRET_BYTES,
    Delivery,
    DeliveryStatus,
    EventType,
    Webhook,
    WebhookSecret,
    delivery_id,
    is_https,
    may_be_public,
    secret_of,
)
from app.services.ids import new_id


@dataclass(frozen=True)
class NewWebhook:
    account_id: str
    url: str
    description: str | None
    event_types: Sequence[EventType]


class WebhookService:
    def __init__(
        self,
        accounts: Accounts,
        webhooks: Webhooks,
        subscriptions: Subscriptions,
        deliveries: Deliveries,
        time: Time,
        *,
        retention: timedelta,
        any_target: bool,
    ) -> None:
        """`any_target`: http and private addresses too."""
        self._accounts = accounts
        self._webhooks = webhooks
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._time = time
        self._retention = retention
        self._any_target = any_target

    async def create(self, new: NewWebhook) -> tuple[Webhook, str]:
        """The webhook and its secret, which is not shown again. Raises NotFound, InvalidInput, Conflict."""
        await self._account(new.account_id)
        self._check(new.url)
        if len(await self._webhooks.of_account(new.account_id)) >= MOST_WEBHOOKS:
            raise Conflict("too_many_webhooks", most=MOST_WEBHOOKS)
        secret, now = _new_secret(), self._time.now()
        webhook = Webhook(
            webhook_id=new_id("wh"),
            account_id=new.account_id,
            url=new.url,
            description=new.description,
            event_types=list(new.event_types),
            secrets=[WebhookSecret(value=secret)],
            created_at=now,
            updated_at=now,
        )
        await self._subscriptions.subscribe(new.account_id, new.event_types)
        await self._webhooks.insert(webhook)
        await self._subscribe_again(webhook)
        return webhook, secret

    async def of_account(self, account_id: str) -> list[Webhook]:
        """Raises NotFound."""
        await self._account(account_id)
        return await self._webhooks.of_account(account_id)

    async def owner_of(self, webhook_id: str) -> str:
        """The account that a webhook belongs to. Raises NotFound."""
        webhook = await self._webhooks.get(webhook_id)
        if webhook is None:
            raise NotFound("webhook_not_found", webhook_id=webhook_id)
        return webhook.account_id

    async def owner_of_delivery(self, delivery_id: str) -> str:
        """The account that a delivery belongs to. Raises NotFound."""
        delivery = await self._deliveries.get(delivery_id)
        if delivery is None:
            raise NotFound("delivery_not_found", delivery_id=delivery_id)
        return delivery.account_id

    async def get(self, account_id: str, webhook_id: str) -> Webhook:
        """Raises NotFound, also for another account's."""
        webhook = await self._webhooks.get(webhook_id)
        if webhook is None or webhook.account_id != account_id:
            raise NotFound("webhook_not_found", webhook_id=webhook_id)
        return webhook

    async def change(self, account_id: str, webhook_id: str, changes: dict[str, Any]) -> Webhook:
        """Raises NotFound, InvalidInput. What waited while it was switched off is sent when it is on again."""
        webhook = await self.get(account_id, webhook_id)
        if "url" in changes:
            self._check(changes["url"])
        if changes.get("is_active", webhook.is_active):
            await self._subscriptions.subscribe(account_id, changes.get("event_types", webhook.event_types))
        now = self._time.now()
        everything: dict[str, Any] = {**changes, "updated_at": now}
        if "is_active" in changes or "url" in changes:
            # Another chance: what it failed at before is not counted.
            everything |= {"failing_since": None}
        if changes.get("is_active"):
            everything |= {"disabled_reason": None, "disabled_at": None}
        changed = await self._webhooks.update(webhook_id, everything)
        if changed is None:
            raise NotFound("webhook_not_found", webhook_id=webhook_id)
        if changed.is_active:
            await self._webhooks.wake([webhook_id], now)
            await self._subscribe_again(changed)
        await self._strike_out(account_id)
        return changed

    async def delete(self, account_id: str, webhook_id: str) -> None:
        """With its log; what was not sent yet is not sent. Raises NotFound."""
        await self.get(account_id, webhook_id)
        await self._webhooks.delete(webhook_id)
        await self._strike_out(account_id)

    async def rotate(self, account_id: str, webhook_id: str) -> tuple[Webhook, str]:
        """A new secret; the one before signs too, for OVERLAP. Raises NotFound."""
        webhook = await self.get(account_id, webhook_id)
        secret, now = _new_secret(), self._time.now()
        before = webhook.secrets[0].model_copy(update={"until": now + OVERLAP})
        changes = {"secrets": [WebhookSecret(value=secret), before], "updated_at": now}
        changed = await self._webhooks.update(webhook_id, changes)
        if changed is None:
            raise NotFound("webhook_not_found", webhook_id=webhook_id)
        return changed, secret

    async def ping(self, account_id: str, webhook_id: str) -> Delivery:
        """Send a `ping` in a moment. Raises NotFound, Conflict."""
        webhook = await self._switched_on(account_id, webhook_id)
        now = self._time.now()
        event_id = f"ping_{secrets.token_hex(12)}"
        body = {"type": EventType.PING, "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}", "data": {"webhook_id": webhook_id}}
        delivery = Delivery(
            delivery_id=delivery_id(event_id, webhook_id),
            event_id=event_id,
            webhook_id=webhook_id,
            account_id=webhook.account_id,
            type=EventType.PING,
            body=json.dumps(body, separators=(",", ":")),
            due_at=now,
            created_at=now,
            expires_at=now + self._retention,
        )
        await self._deliveries.add([delivery])
        await self._webhooks.wake([webhook_id], now)
        return delivery

    async def deliveries(
        self,
        account_id: str,
        webhook_id: str,
        *,
        status: DeliveryStatus | None,
        limit: int,
        skip: int,
        after: Place | None,
    ) -> tuple[list[Delivery], int | None]:
        """What was and is to be sent, newest first. Raises NotFound."""
        await self.get(account_id, webhook_id)
        return await self._deliveries.page(webhook_id, status=status, limit=limit, skip=skip, after=after)

    async def delivery(self, account_id: str, webhook_id: str, delivery_id: str) -> Delivery:
        """Raises NotFound."""
        await self.get(account_id, webhook_id)
        delivery = await self._deliveries.get(delivery_id)
        if delivery is None or delivery.webhook_id != webhook_id:
            raise NotFound("delivery_not_found", delivery_id=delivery_id)
        return delivery

    async def redeliver(self, account_id: str, webhook_id: str, delivery_id: str) -> Delivery:
        """Send once more what was delivered or given up, or at once what waits. Raises NotFound, Conflict."""
        await self._switched_on(account_id, webhook_id)
        await self.delivery(account_id, webhook_id, delivery_id)
        now = self._time.now()
        delivery = await self._deliveries.send_again(delivery_id, now)
        if delivery is None:
            raise NotFound("delivery_not_found", delivery_id=delivery_id)
        await self._webhooks.wake([webhook_id], now)
        return delivery

    async def _switched_on(self, account_id: str, webhook_id: str) -> Webhook:
        webhook = await self.get(account_id, webhook_id)
        if not webhook.is_active:
            raise Conflict("webhook_switched_off")
        return webhook

    async def _subscribe_again(self, webhook: Webhook) -> None:
        """Whoever looked at what is wanted before this webhook wanted it, but after its note, strikes out nothing."""
        await self._subscriptions.subscribe(webhook.account_id, webhook.event_types)

    async def _strike_out(self, account_id: str) -> None:
        """Note no more than is wanted; if something came meanwhile, what is noted too much does no harm."""
        account = await self._accounts.get(account_id)
        if account is not None:
            wanted = _wanted(await self._webhooks.of_account(account_id))
            await self._subscriptions.replace(account_id, wanted, account.webhook_changes)

    async def _account(self, account_id: str) -> None:
        if await self._accounts.get(account_id) is None:
            raise NotFound("account_not_found", account_id=account_id)

    def _check(self, url: str) -> None:
        if self._any_target:
            return
        if not is_https(url):
            raise InvalidInput([FieldError.of(("url",), "webhook_url_not_https")])
        if not may_be_public(url):
            raise InvalidInput([FieldError.of(("url",), "webhook_url_not_public")])


def _new_secret() -> str:
    return secret_of(secrets.token_bytes(SECRET_BYTES))


def _wanted(webhooks: Collection[Webhook]) -> set[EventType]:
    return {wanted for webhook in webhooks if webhook.is_active for wanted in webhook.event_types}
