"""What the use cases of outgoing webhooks need from outside. Repository methods raise DatabaseUnavailable."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from app.domain.reading import Place
from app.domain.webhooks import Delivery, DeliveryStatus, EventType, Webhook


class Webhooks(Protocol):
    async def insert(self, webhook: Webhook) -> None: ...
    async def get(self, webhook_id: str) -> Webhook | None: ...
    async def of_account(self, account_id: str) -> list[Webhook]:
        """Oldest first."""

    async def update(self, webhook_id: str, changes: dict[str, Any]) -> Webhook | None:
        """Set `changes`; None removes the field."""

    async def delete(self, webhook_id: str) -> None:
        """With its deliveries."""

    async def wake(self, webhook_ids: Collection[str], at: datetime) -> None: ...


class Subscriptions(Protocol):
    """The account's own note of what its webhooks are to be told, so that nobody else need look for them."""

    async def subscribe(self, account_id: str, types: Collection[EventType]) -> None: ...
    async def replace(self, account_id: str, types: Collection[EventType], changes: int) -> bool:
        """Note these alone; False if a subscription came since the account's count was `changes`."""


class Deliveries(Protocol):
    async def add(self, deliveries: Sequence[Delivery]) -> None:
        """Those that are there already stay as they are."""

    async def get(self, delivery_id: str) -> Delivery | None: ...
    async def page(
        self, webhook_id: str, *, status: DeliveryStatus | None, limit: int, skip: int, after: Place | None
    ) -> tuple[list[Delivery], int | None]:
        """Newest first, from behind `after`, and without it how many there are in all."""

    async def send_again(self, delivery_id: str, now: datetime) -> Delivery | None: ...
