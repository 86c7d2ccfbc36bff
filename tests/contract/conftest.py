"""A Retell simulator in the same process, whose time stands still until a test moves it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from scripts.retell_simulator.app import build_app
from scripts.retell_simulator.clock import ManualClock
from scripts.retell_simulator.simulator import Simulator

KEY = "key_test"
FROM = "+14157774444"
TO = "+56912345678"


class Driver:
    """Talks HTTP to the simulator, and turns its clock."""

    def __init__(self, simulator: Simulator, clock: ManualClock, http: httpx.AsyncClient) -> None:
        self.simulator, self.clock, self.http = simulator, clock, http
        self.received: list[httpx.Request] = []
        self.webhook_answers: list[int] = []
        """Status codes to answer webhooks with, in turn; then 204."""

    async def post_create(self, **fields: Any) -> httpx.Response:
        """POST /v2/create-phone-call; `fields` replace or add to a valid body, `...` removes."""
        body = {"from_number": FROM, "to_number": TO} | fields
        body = {key: value for key, value in body.items() if value is not ...}
        return await self.http.post("/v2/create-phone-call", json=body)

    async def create(self, **fields: Any) -> str:
        """Create a call and return its id."""
        reply = await self.post_create(**fields)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["call_id"])

    async def create_with_agent(self, **agent: Any) -> httpx.Response:
        """POST /v2/create-phone-call with these `agent_override.agent` fields."""
        return await self.post_create(agent_override={"agent": agent})

    async def get(self, call_id: str) -> dict[str, Any]:
        """GET /v2/get-call."""
        reply = await self.http.get(f"/v2/get-call/{call_id}")
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def at(self, call_id: str, after_seconds: float) -> dict[str, Any]:
        """The call this many simulated seconds after its creation (only forward)."""
        call = self.simulator.calls.get(call_id)
        assert call is not None
        self.clock.advance(after_seconds - self.clock.elapsed_ms(call.created_at) / 1000)
        return await self.get(call_id)

    async def stop(self, call_id: str) -> int:
        """POST /v2/stop-call; the status code."""
        return (await self.http.post(f"/v2/stop-call/{call_id}")).status_code

    async def list_calls(self, **query: Any) -> dict[str, Any]:
        """POST /v3/list-calls."""
        reply = await self.http.post("/v3/list-calls", json=query)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def knobs(self, **changes: Any) -> None:
        """PATCH /simulator/knobs."""
        reply = await self.http.patch("/simulator/knobs", json=changes)
        assert reply.status_code == 200, reply.text

    async def script(self, *outcomes: Any, number: str = TO) -> None:
        """PUT /simulator/numbers for one number."""
        reply = await self.http.put("/simulator/numbers", json={number: outcomes})
        assert reply.status_code == 200, reply.text

    async def creates(self, **filters: str) -> list[dict[str, Any]]:
        """GET /simulator/creates."""
        return list((await self.http.get("/simulator/creates", params=filters)).json()["creates"])

    async def summary(self) -> dict[str, Any]:
        """GET /simulator/summary."""
        return dict((await self.http.get("/simulator/summary")).json())

    async def webhooks_until(self, after_seconds: float) -> list[dict[str, Any]]:
        """Move on, deliver what is due, and return the payloads that arrived."""
        self.clock.advance(after_seconds)
        self.received.clear()
        await self.simulator.webhooks.deliver_due()
        return [json.loads(request.content) for request in self.received]

    def answer_webhook(self, request: httpx.Request) -> httpx.Response:
        """The receiving end."""
        self.received.append(request)
        return httpx.Response(self.webhook_answers.pop(0) if self.webhook_answers else 204)


@pytest.fixture
async def retell() -> AsyncIterator[Driver]:
    """A fresh simulator at speed 1."""
    clock = ManualClock()
    simulator = Simulator(api_key=KEY, clock=clock, seed=1)
    transport = httpx.ASGITransport(app=build_app(simulator))
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://retell", headers=headers) as http:
        driver = Driver(simulator, clock, http)
        simulator.webhooks.transport = httpx.MockTransport(driver.answer_webhook)
        yield driver
        await simulator.webhooks.close()
