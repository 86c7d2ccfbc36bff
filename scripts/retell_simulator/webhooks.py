"""Signed webhooks, sent when due, with the faults of real ones (retell.md §8)."""

import asyncio
import contextlib
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from scripts.retell_simulator.calls import Call, JsonObject
from scripts.retell_simulator.clock import Clock
from scripts.retell_simulator.knobs import Knobs
from scripts.retell_simulator.rendering import render_call
from scripts.retell_simulator.replies import encode
from scripts.retell_simulator.signature import sign

_IDLE_SECONDS = 3600.0
_HELD_BACK = ("call_started", "call_ended")


@dataclass(order=True, slots=True)
class _Delivery:
    due: float
    """Real instant."""
    sequence: int
    call: Call = field(compare=False)
    event: str = field(compare=False)
    event_after_ms: int = field(compare=False)
    """When the event happens, simulated ms after the call's creation."""
    url: str = field(compare=False)


@dataclass(slots=True)
class DeliveryRecord:
    """What became of one delivery; `status_code` null: no answer."""

    at: float
    call_id: str
    event: str
    url: str
    attempts: int
    status_code: int | None
    result: str
    """`delivered`, `failed` or `dropped`."""


class Webhooks:
    """Plans the deliveries of each call and sends them."""

    def __init__(
        self,
        clock: Clock,
        api_key: str,
        knobs: Callable[[], Knobs],
        rng: random.Random,
    ) -> None:
        self._clock, self._api_key, self._knobs, self._rng = clock, api_key, knobs, rng
        self.transport: httpx.AsyncBaseTransport | None = None
        """Where the requests go; None: the network. Set before the first delivery."""
        self._client: httpx.AsyncClient | None = None
        self._queue: list[_Delivery] = []
        self._sequence = itertools.count()
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self.records: list[DeliveryRecord] = []

    def plan(self, call: Call) -> None:
        """Queue the events of a new call."""
        self._queue_events(call, _moments(call))

    def replan(self, call: Call) -> None:
        """Queue the ending of a call that was just stopped; what was queued for its old ending lapses."""
        self._queue_events(call, [moment for moment in _moments(call) if moment[0] != "call_started"])

    async def run(self) -> None:
        """Send what is due, for ever."""
        try:
            while True:
                self._start_due()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._seconds_to_next())
                self._wake.clear()
        finally:
            await self.close()

    async def deliver_due(self) -> None:
        """Send what is due now and wait until it is sent; for tests, where nobody runs `run`."""
        self._start_due()
        while self._sending:
            await asyncio.gather(*self._sending, return_exceptions=True)

    def clear(self) -> None:
        """Forget everything queued, sent and recorded."""
        self._queue.clear()
        self.records.clear()
        for task in self._sending:
            task.cancel()

    async def close(self) -> None:
        """Drop what is in flight and close the connections."""
        self._queue.clear()
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _target(self, call: Call) -> tuple[str | None, list[str]]:
        knobs = self._knobs().webhooks
        url = call.override.get("webhook_url", knobs.url)
        events = call.override.get("webhook_events")
        return url, knobs.events if events is None else events

    def _queue_events(self, call: Call, moments: list[tuple[str, int]]) -> None:
        url, events = self._target(call)
        if url is None:
            return
        knobs = self._knobs().webhooks
        for event, after_ms in moments:
            if event not in events:
                continue
            held_back = event in _HELD_BACK and self._happens(knobs.reorder_rate)
            delay = knobs.delay_seconds + (knobs.reorder_hold_seconds if held_back else 0)
            due = self._clock.instant(call.created_at, after_ms + round(delay * 1000))
            for _ in range(2 if self._happens(knobs.duplicate_rate) else 1):
                heapq.heappush(self._queue, _Delivery(due, next(self._sequence), call, event, after_ms, url))
        self._wake.set()

    def _start_due(self) -> None:
        while self._queue and self._queue[0].due <= self._clock.now():
            delivery = heapq.heappop(self._queue)
            if (delivery.event, delivery.event_after_ms) not in _moments(delivery.call):
                continue
            if self._happens(self._knobs().webhooks.drop_rate):
                self._record(delivery, attempts=0, status_code=None, result="dropped")
                continue
            task = asyncio.create_task(self._deliver(delivery))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def _seconds_to_next(self) -> float:
        return max(0.0, self._queue[0].due - self._clock.now()) if self._queue else _IDLE_SECONDS

    async def _deliver(self, delivery: _Delivery) -> None:
        knobs, call = self._knobs(), delivery.call
        body = encode(self._payload(delivery, knobs))
        timeout = call.override.get("webhook_timeout_ms", knobs.webhooks.timeout_seconds * 1000) / 1000
        status_code, attempts = None, 0
        for attempt in range(1, knobs.webhooks.retries + 2):
            if attempt > 1:
                await asyncio.sleep(self._clock.real_seconds(knobs.webhooks.retry_spacing_seconds))
            attempts, status_code = attempt, await self._post(delivery.url, body, timeout)
            if status_code is not None and 200 <= status_code < 300:
                break
        delivered = status_code is not None and 200 <= status_code < 300
        result = "delivered" if delivered else "failed"
        self._record(delivery, attempts=attempts, status_code=status_code, result=result)

    async def _post(self, url: str, body: bytes, timeout_seconds: float) -> int | None:
        if self._client is None:
            self._client = httpx.AsyncClient(transport=self.transport, trust_env=False)
        headers = {"Content-Type": "application/json", "X-Retell-Signature": self._signature(body)}
        try:
            reply = await self._client.post(url, content=body, headers=headers, timeout=timeout_seconds)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return reply.status_code

    def _signature(self, body: bytes) -> str:
        now_ms = round(self._clock.now() * 1000)
        if self._happens(self._knobs().webhooks.bad_signature_rate):
            return sign(f"{self._api_key}-wrong", body, now_ms)
        return sign(self._api_key, body, now_ms)

    def _payload(self, delivery: _Delivery, knobs: Knobs) -> JsonObject:
        """`call_ended` carries everything but the analysis, as it was at that moment (§8)."""
        call, after_ms = delivery.call, delivery.event_after_ms
        view = render_call(call, after_ms, knobs, analysis=delivery.event == "call_analyzed")
        moment = round(self._clock.instant(call.created_at, after_ms) * 1000)
        return {"event": delivery.event, "event_timestamp": moment, "call": view}

    def _record(self, delivery: _Delivery, *, attempts: int, status_code: int | None, result: str) -> None:
        self.records.append(
            DeliveryRecord(
                at=self._clock.now(),
                call_id=delivery.call.call_id,
                event=delivery.event,
                url=delivery.url,
                attempts=attempts,
                status_code=status_code,
                result=result,
            )
        )

    def _happens(self, rate: float) -> bool:
        return rate > 0 and self._rng.random() < rate


def _moments(call: Call) -> list[tuple[str, int]]:
    """The call's events and when they happen; unconnected calls have no call_started (§8)."""
    plan = call.plan
    moments = (
        ("call_started", plan.answered_after_ms),
        ("call_ended", plan.ended_after_ms),
        ("call_analyzed", plan.analysis_after_ms),
    )
    return [(event, after_ms) for event, after_ms in moments if after_ms is not None]
