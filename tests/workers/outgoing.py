"""A worker's outgoing part in this process, and webhooks to a receiver of the test's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

from app.api.schemas.webhook_events import WebhookPayloads
from app.bootstrap import Container, open_outgoing
from app.domain.accounts import Account
from app.domain.ports import Time
from app.domain.webhooks import SUBSCRIBABLE, EventType, Webhook
from app.repositories.accounts import MongoAccounts
from app.repositories.webhooks import MongoDeliveries, MongoSubscriptions, MongoWebhooks
from app.services.webhooks import NewWebhook, WebhookService
from workers.outgoing import Outgoing


def webhooks_to_anywhere(container: Container, time: Time | None = None) -> WebhookService:
    """The use cases, which take the test's receiver for an address."""
    database = container.database
    return WebhookService(
        MongoAccounts(database),
        MongoWebhooks(database),
        MongoSubscriptions(database),
        MongoDeliveries(database),
        time or container.clock,
        retention=timedelta(days=30),
        any_target=True,
    )


async def subscribed(
    container: Container, account: Account, url: str, *types: EventType, time: Time | None = None
) -> tuple[Webhook, str]:
    """A webhook of the account, and its secret."""
    wanted = types or SUBSCRIBABLE
    return await webhooks_to_anywhere(container, time).create(NewWebhook(account.account_id, url, None, wanted))


@contextlib.asynccontextmanager
async def outgoing_worker(
    container: Container, name: str = "w", *, time: Time | None = None, **settings: object
) -> AsyncIterator[Outgoing]:
    changed = container.settings.model_copy(update={"webhook_any_target": True, **settings})
    own = replace(container, settings=changed, clock=time or container.clock)  # type: ignore[arg-type] # all that is asked of it is what Time has
    async with open_outgoing(own, name, WebhookPayloads()) as (telling, delivering):
        outgoing = Outgoing(telling, delivering)
        try:
            yield outgoing
        finally:
            await delivering.end()


@contextlib.asynccontextmanager
async def telling(outgoing: Outgoing) -> AsyncIterator[None]:
    """While the block runs, tell and send as a worker process does."""
    ended = asyncio.Event()
    task = asyncio.create_task(outgoing.keep(ended))
    try:
        yield
    finally:
        ended.set()
        await task


async def step(outgoing: Outgoing) -> None:
    """One round, to its end."""
    await outgoing.round()
    await outgoing.delivering.turns_end()
