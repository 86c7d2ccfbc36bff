"""Sends what webhooks are to be told, until each has answered, or for about a day.

A worker takes a webhook for a turn: nobody else sends to it meanwhile, a few requests go out at once, and the turn ends
when nothing is due, after some time, or when nothing succeeds. So a receiver that hangs holds up its own
deliveries alone, and one that is down is left in peace for longer and longer. Those that fail have at most half of
the places. At least once: a worker that dies has perhaps sent what another sends again, under the same id.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.domain.errors import DatabaseUnavailable
from app.domain.messages import Message
from app.domain.metrics import Metrics
from app.domain.ports import Time
from app.domain.webhook_ports import Answer, DeliveryQueue, WebhookSender
from app.domain.webhooks import Delivery, DeliveryStatus, Try, Webhook, rest_after_failing, signature, wait_after

log = structlog.get_logger("worker")

TURNS = 32
"""Webhooks that one worker process sends to at once."""
AT_ONCE = 4
"""Requests to one webhook at once."""
A_LOOK = 100
TURN_SECONDS = 20.0
"""After so long a turn begins no request any more."""
HOPELESS = AT_ONCE
"""Failures without a success after which a turn ends."""
GONE = 410
"""The receiver wants nothing any more (Standard Webhooks)."""
ENDING_SECONDS = 5.0


@dataclass
class _Turn:
    """What came of a webhook's turn so far."""

    ends_at: float
    """Monotonic."""
    successes: int = 0
    failures: int = 0
    gone: bool = False
    last: str = ""

    @property
    def is_hopeless(self) -> bool:
        return self.gone or (self.failures >= HOPELESS and not self.successes)


class Delivering:
    def __init__(
        self,
        queue: DeliveryQueue,
        sender: WebhookSender,
        time: Time,
        *,
        worker_id: str,
        timeout: timedelta,
        disable_after: timedelta,
        metrics: Metrics,
    ) -> None:
        """`timeout` of a request; `disable_after` failing for so long, a webhook is switched off."""
        self._queue = queue
        self._sender = sender
        self._time = time
        self._worker_id = worker_id
        self._lease = timedelta(seconds=TURN_SECONDS) + 3 * timeout
        self._disable_after = disable_after
        self._metrics = metrics
        self._turns: set[asyncio.Task[None]] = set()
        self._failing: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def round(self) -> int:
        """Begin the turns that there are places for; how many. Raises DatabaseUnavailable."""
        taken = await self._take(TURNS - len(self._turns), failing=False)
        taken += await self._take(min(TURNS // 2 - len(self._failing), TURNS - len(self._turns)), failing=True)
        return taken

    async def end(self) -> None:
        """Let turns end, and leave what does not: its lease runs out."""
        self._stopping = True
        if self._turns:
            _, late = await asyncio.wait(self._turns, timeout=ENDING_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def turns_end(self) -> None:
        """Wait for the turns that were begun."""
        while self._turns:
            await asyncio.wait(self._turns)

    async def _take(self, places: int, *, failing: bool) -> int:
        if places <= 0:
            return 0
        found = await self._queue.take(
            self._time.now(), places, failing=failing, worker_id=self._worker_id, lease=self._lease
        )
        for webhook in found:
            task = asyncio.create_task(self._turn(webhook), name=webhook.webhook_id)
            for tasks in (self._turns, *([self._failing] if failing else [])):
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        return len(found)

    async def _turn(self, webhook: Webhook) -> None:
        with structlog.contextvars.bound_contextvars(webhook_id=webhook.webhook_id, account_id=webhook.account_id):
            try:
                turn = _Turn(self._time.monotonic() + TURN_SECONDS)
                while not self._is_over(turn):
                    due = await self._queue.due(webhook.webhook_id, self._time.now(), A_LOOK)
                    left = iter(due)
                    await asyncio.gather(*(self._send_some(webhook, left, turn) for _ in range(AT_ONCE)))
                    if len(due) < A_LOOK:
                        break
                await self._let_go(webhook, turn)
            except DatabaseUnavailable:
                log.warning("webhook_let_go", reason="mongodb_unavailable")
            except Exception:
                log.exception("webhook_let_go", reason="error")

    async def _send_some(self, webhook: Webhook, left: Iterator[Delivery], turn: _Turn) -> None:
        """One of those that take from what is left side by side."""
        for delivery in left:
            await self._send(webhook, delivery, turn)
            if self._is_over(turn):
                return

    def _is_over(self, turn: _Turn) -> bool:
        return self._stopping or turn.is_hopeless or self._time.monotonic() > turn.ends_at

    async def _send(self, webhook: Webhook, delivery: Delivery, turn: _Turn) -> None:
        at, began = self._time.now(), self._time.monotonic()
        body = delivery.body.encode()
        answer = await self._sender.send(webhook.url, _headers(webhook, delivery, at, body), body)
        entry = Try(
            at=at,
            status=answer.status,
            error=answer.error,
            duration_ms=round((self._time.monotonic() - began) * 1000),
            answer=answer.text,
        )
        turn.last = str(entry.status or entry.error)
        turn.gone = turn.gone or entry.status == GONE
        turn.successes += entry.is_success
        turn.failures += not entry.is_success
        status, due_at = self._next(delivery, entry, answer)
        await self._queue.record(delivery, entry, status, due_at=due_at)
        self._metrics.webhook_answered(entry.problem, entry.duration_ms / 1000)
        if status is not DeliveryStatus.PENDING:
            self._metrics.delivery_ended(delivered=entry.is_success)
        log.info(
            "webhook_sent",
            event_id=delivery.event_id,
            status=entry.status,
            error=entry.error,
            ms=entry.duration_ms,
            becomes=status.value,
        )

    def _next(self, delivery: Delivery, entry: Try, answer: Answer) -> tuple[DeliveryStatus, datetime | None]:
        if entry.is_success:
            return DeliveryStatus.DELIVERED, None
        jitter = random.random()  # noqa: S311 - jitter, not a secret
        wait = None if entry.status == GONE else wait_after(delivery.tried + 1, jitter, answer.retry_after)
        if wait is None:
            return DeliveryStatus.FAILED, None
        return DeliveryStatus.PENDING, self._time.now() + wait

    async def _let_go(self, webhook: Webhook, turn: _Turn) -> None:
        now = self._time.now()
        changes, wake_at = self._judged(webhook, turn, now), await self._queue.next_due(webhook.webhook_id)
        if changes.get("is_active") is False:
            log.warning("webhook_switched_off", last=turn.last, gone=turn.gone)
            wake_at = None
        elif wake_at is None and "failing_since" in changes:
            # What failed was given up. The time until the next event, in which nothing is tried, is no failing.
            changes["failing_since"] = None
        await self._queue.let_go(webhook, changes, wake_at)

    def _judged(self, webhook: Webhook, turn: _Turn, now: datetime) -> dict[str, Any]:
        """What the turn changes in the webhook."""
        if turn.gone:
            return _switched_off(Message(code="webhook_gone"), now)
        if turn.successes:
            return {"failing_since": None, "rest_until": None}
        if not turn.failures:
            return {}
        since = webhook.failing_since or now
        if now - since >= self._disable_after:
            days = round(self._disable_after / timedelta(days=1), 1)
            return _switched_off(Message(code="webhook_failing", params={"days": days, "last": turn.last}), now)
        return {"failing_since": since, "rest_until": now + rest_after_failing(since, now)}


def _switched_off(reason: Message, now: datetime) -> dict[str, Any]:
    return {"is_active": False, "disabled_reason": reason, "disabled_at": now, "updated_at": now}


def _headers(webhook: Webhook, delivery: Delivery, at: datetime, body: bytes) -> dict[str, str]:
    timestamp = int(at.timestamp())
    return {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "Cadencia-Webhooks/1",
        "webhook-id": delivery.event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(webhook.signing(at), delivery.event_id, timestamp, body),
    }
