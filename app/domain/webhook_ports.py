"""What the use cases of outgoing webhooks need from outside. Repository methods raise DatabaseUnavailable."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

from app.domain.batches import Batch
from app.domain.jobs import Job
from app.domain.reading import Place
from app.domain.untold import Untold
from app.domain.webhooks import Delivery, DeliveryStatus, EventType, Try, Webhook

Source = Literal["jobs", "batches"]


class UntoldJob(NamedTuple):
    job: Job
    events: list[Untold]


class UntoldBatch(NamedTuple):
    batch: Batch
    events: list[Untold]


class Answer(NamedTuple):
    """What came of a request."""

    status: int | None
    """None: no answer, and `error` says why."""
    error: str | None = None
    text: str | None = None
    retry_after: timedelta | None = None


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


class DeliveryQueue(Protocol):
    """What the sender does. A webhook is in one worker's hands at a time: what it is sent at once has one limit."""

    async def take(
        self, now: datetime, limit: int, *, failing: bool, worker_id: str, lease: timedelta
    ) -> list[Webhook]:
        """Webhooks to which something is to be sent now, leased; those that fail, or those that do not."""

    async def due(self, webhook_id: str, now: datetime, limit: int) -> list[Delivery]:
        """What is to be sent to it, the longest overdue first."""

    async def next_due(self, webhook_id: str) -> datetime | None: ...
    async def record(
        self, delivery: Delivery, entry: Try, status: DeliveryStatus, *, due_at: datetime | None
    ) -> None: ...

    async def let_go(self, webhook: Webhook, changes: dict[str, Any], wake_at: datetime | None) -> None:
        """Give the webhook back with `changes`; if something came to be sent meanwhile, it stays awake."""


class WebhookSender(Protocol):
    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One request. Never raises for what the receiver or the network does."""


class UntoldEvents(Protocol):
    """Jobs and batches with events that were not told yet."""

    async def jobs(self, worker_id: str, now: datetime, left_before: datetime, limit: int) -> list[UntoldJob]:
        """What this worker has made happen, and what others left."""

    async def batches(self, now: datetime, limit: int) -> list[UntoldBatch]: ...
    async def told(self, source: Source, event_ids: Mapping[str, Collection[str]]) -> None:
        """By the ids of the jobs or batches."""

    async def put_aside(self, source: Source, object_id: str, until: datetime) -> None:
        """Out of the way of the others: it cannot be told."""
