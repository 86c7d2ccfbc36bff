"""From what happened to what is sent: events that jobs and batches carry become deliveries, one for each webhook that
wants them.

    the update that makes it true also writes the event into its document → deliveries inserted, under ids made of the
    event's and the webhook's → webhooks woken → event taken out of the document

Those of a round go this way together, unless something is wrong with one of them. A crash anywhere leaves the event
where it was, and whoever comes by does the same again, which changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple, Protocol, TypeVar

import structlog

from app.domain.accounts import Account
from app.domain.batches import Batch
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs import Job
from app.domain.ports import Accounts, Batches, Time
from app.domain.untold import Untold, as_it_was
from app.domain.webhook_ports import Deliveries, Source, UntoldEvents, Webhooks
from app.domain.webhooks import Delivery, Webhook, delivery_id
from app.services.batches import BatchService, BatchView
from app.services.jobs import JobView

log = structlog.get_logger("worker")

R = TypeVar("R")

A_ROUND = 100
LEFT_AFTER = timedelta(seconds=5)
"""After so long an event is told by any worker, not only by the one that made it happen."""
PUT_ASIDE = timedelta(minutes=10)


class Payloads(Protocol):
    """The bodies, in the words of the API."""

    def of_job(self, event: Untold, view: JobView, account: Account) -> str: ...
    def of_batch(self, event: Untold, view: BatchView) -> str: ...


class _Audience(NamedTuple):
    account: Account
    webhooks: list[Webhook]


class _Made(NamedTuple):
    text: str
    batch_id: str
    job_id: str | None


_Body = Callable[[Untold, Account], Awaitable[_Made | None]]


class _Found(NamedTuple):
    """A job or a batch with events."""

    object_id: str
    account_id: str
    events: list[Untold]
    body: _Body


class _Known:
    """What was read in a round: most of what there is to tell is of few accounts and batches."""

    def __init__(self) -> None:
        self.audiences: dict[str, _Audience | None] = {}
        self.batches: dict[str, Batch | None] = {}


class Telling:
    def __init__(
        self,
        untold: UntoldEvents,
        accounts: Accounts,
        batches: Batches,
        batch_service: BatchService,
        webhooks: Webhooks,
        deliveries: Deliveries,
        payloads: Payloads,
        time: Time,
        *,
        worker_id: str,
        retention: timedelta,
    ) -> None:
        self._untold = untold
        self._accounts = accounts
        self._batches = batches
        self._batch_service = batch_service
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._payloads = payloads
        self._time = time
        self._worker_id = worker_id
        self._retention = retention

    async def round(self) -> int:
        """Tell what there is to tell; how many jobs and batches that were. Raises DatabaseUnavailable."""
        now, known = self._time.now(), _Known()
        jobs = await self._untold.jobs(self._worker_id, now, now - LEFT_AFTER, A_ROUND)
        of_jobs = [_Found(job.job_id, job.account_id, events, self._job_body(job, known)) for job, events in jobs]
        await self._tell("jobs", of_jobs, known)
        batches = await self._untold.batches(now, A_ROUND)
        of_batches = [_Found(one.batch_id, one.account_id, events, self._batch_body(one)) for one, events in batches]
        await self._tell("batches", of_batches, known)
        return len(jobs) + len(batches)

    async def _tell(self, source: Source, all_found: list[_Found], known: _Known) -> None:
        made: list[tuple[_Found, list[Delivery]]] = []
        for found in all_found:
            deliveries = await self._or_put_aside(source, found, self._made(found, known))
            if deliveries is not None:
                made.append((found, deliveries))
            # Not all of it at a stretch: calls wait for their turn meanwhile.
            await asyncio.sleep(0)
        if not made:
            return
        try:
            await self._write(source, made)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("events_written_one_by_one", kind=source)
            for one in made:
                await self._or_put_aside(source, one[0], self._write(source, [one]))

    async def _or_put_aside(self, source: Source, found: _Found, work: Awaitable[R]) -> R | None:
        """None if it could not be done: then it stands in nobody's way for a while."""
        try:
            return await work
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("event_not_told", kind=source, id=found.object_id)
            await self._untold.put_aside(source, found.object_id, self._time.now() + PUT_ASIDE)
            return None

    async def _write(self, source: Source, made: list[tuple[_Found, list[Delivery]]]) -> None:
        deliveries = [delivery for _, of_one in made for delivery in of_one]
        if deliveries:
            await self._deliveries.add(deliveries)
            await self._webhooks.wake({delivery.webhook_id for delivery in deliveries}, self._time.now())
        await self._untold.told(
            source, {found.object_id: [event.event_id for event in found.events] for found, _ in made}
        )

    async def _audience(self, account_id: str) -> _Audience | None:
        account = await self._accounts.get(account_id)
        if account is None or not account.webhook_events:
            return None
        webhooks = [webhook for webhook in await self._webhooks.of_account(account_id) if webhook.is_active]
        return _Audience(account, webhooks)

    async def _made(self, found: _Found, known: _Known) -> list[Delivery]:
        if found.account_id not in known.audiences:
            known.audiences[found.account_id] = await self._audience(found.account_id)
        audience = known.audiences[found.account_id]
        if audience is None:
            return []
        now = self._time.now()
        deliveries: list[Delivery] = []
        for event in found.events:
            wanting = [webhook for webhook in audience.webhooks if event.type in webhook.event_types]
            made = await found.body(event, audience.account) if wanting else None
            if made is None:
                continue
            deliveries += [
                Delivery(
                    delivery_id=delivery_id(event.event_id, webhook.webhook_id),
                    event_id=event.event_id,
                    webhook_id=webhook.webhook_id,
                    account_id=webhook.account_id,
                    type=event.type,
                    body=made.text,
                    batch_id=made.batch_id,
                    job_id=made.job_id,
                    due_at=now,
                    created_at=now,
                    expires_at=now + self._retention,
                )
                for webhook in wanting
            ]
        return deliveries

    def _job_body(self, job: Job, known: _Known) -> _Body:
        async def body(event: Untold, account: Account) -> _Made | None:
            if job.batch_id not in known.batches:
                known.batches[job.batch_id] = await self._batches.get(job.batch_id)
            batch = known.batches[job.batch_id]
            if batch is None or batch.test_of is not None:
                return None  # a test call belongs to no campaign
            text = self._payloads.of_job(event, JobView(as_it_was(job, event), batch), account)
            return _Made(text, job.batch_id, job.job_id)

        return body

    def _batch_body(self, batch: Batch) -> _Body:
        async def body(event: Untold, _: Account) -> _Made | None:
            if batch.test_of is not None:
                return None
            (view,) = await self._batch_service.views([batch])
            return _Made(self._payloads.of_batch(event, view), batch.batch_id, None)

        return body
