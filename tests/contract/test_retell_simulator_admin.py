"""The simulator's own API: scripts, knobs, evidence, reset."""

from typing import Any

import httpx
import pytest

from scripts.retell_simulator.app import build_app
from scripts.retell_simulator.clock import ManualClock
from scripts.retell_simulator.simulator import Simulator, SimulatorScript
from tests.contract.conftest import FROM, TO, Driver

OTHER = "+56987654321"


async def reason(retell: Driver, number: str = TO) -> str:
    call_id = await retell.create(to_number=number)
    return str((await retell.at(call_id, 400))["disconnection_reason"])


async def test_a_script_is_used_up_in_order_and_its_last_repeats(retell: Driver) -> None:
    await retell.script("dial_busy", {"disconnection_reason": "voicemail_reached"}, "agent_hangup")
    reasons = [await reason(retell) for _ in range(5)]
    assert reasons == ["dial_busy", "voicemail_reached", "agent_hangup", "agent_hangup", "agent_hangup"]
    assert await reason(retell, OTHER) == "user_hangup", "unscripted: the default outcome"


async def test_scripts_merge_and_start_over(retell: Driver) -> None:
    await retell.script("dial_busy", "agent_hangup")
    assert await reason(retell) == "dial_busy"
    await retell.script("dial_failed", number=OTHER)
    assert await reason(retell) == "agent_hangup", "another number's script changes nothing here"
    await retell.script("dial_busy", "agent_hangup")
    assert await reason(retell) == "dial_busy"
    scripts = (await retell.http.get("/simulator/numbers")).json()
    assert scripts[OTHER] == [{"disconnection_reason": "dial_failed"}]
    await retell.script()
    assert await reason(retell) == "user_hangup", "an empty script is none"


async def test_rejected_replayed_and_failed_creates_take_nothing_from_a_script(retell: Driver) -> None:
    await retell.script("dial_busy", "agent_hangup")
    await retell.create(idempotency_key="k")
    await retell.create(idempotency_key="k")
    await retell.post_create(honor_internal_dnc="x")
    await retell.knobs(create_faults=[{"kind": "500_before", "count": 1}])
    await retell.post_create()
    assert await reason(retell) == "agent_hangup"


async def test_the_default_outcome_is_a_knob(retell: Driver) -> None:
    await retell.knobs(default_outcome="dial_failed")
    assert await reason(retell) == "dial_failed"
    await retell.knobs(default_outcome={"disconnection_reason": "user_hangup", "talk_seconds": 7})
    call_id = await retell.create()
    assert (await retell.at(call_id, 60))["duration_ms"] == 7000


async def mixed(seed: int, numbers: list[str]) -> dict[str, Any]:
    mix = [
        {"weight": 3, "outcome": {"disconnection_reason": "user_hangup", "talk_seconds": [10, 90]}},
        {"weight": 1, "outcome": "dial_busy"},
    ]
    script = SimulatorScript.model_validate({"knobs": {"mix": mix, "concurrency_limit": 0}})
    simulator = Simulator(clock=ManualClock(), seed=seed, script=script)
    calls = [simulator.place_call({"from_number": FROM, "to_number": number}) for number in numbers]
    return {call.to_number: call.plan for call in calls}


async def test_the_mix_follows_weights_and_seed_whatever_the_order() -> None:
    numbers = [f"+569{n:08d}" for n in range(400)]
    one = await mixed(7, numbers)
    assert one == await mixed(7, numbers[::-1])
    assert one != await mixed(8, numbers)
    busy = sum(plan.disconnection_reason == "dial_busy" for plan in one.values())
    assert 60 < busy < 140
    assert len({plan.talk_ms for plan in one.values()}) > 100


async def test_a_second_call_to_a_number_draws_anew() -> None:
    simulator = Simulator(clock=ManualClock(), seed=1)
    simulator.knobs = simulator.knobs.patched({"default_outcome": {"talk_seconds": [10, 1000]}})
    body = {"from_number": FROM, "to_number": TO}
    assert simulator.place_call(body).plan.talk_ms != simulator.place_call(body).plan.talk_ms


@pytest.mark.parametrize(
    "knobs",
    [
        {"nonsense": 1},
        {"concurrency_limit": -1},
        {"over_limit": "explode"},
        {"create_faults": [{"kind": "fire"}]},
        {"webhooks": {"drop_rate": 2}},
        {"webhooks": {"nonsense": 1}},
        {"account_state": 418},
    ],
)
async def test_bad_knobs_are_refused_and_change_nothing(retell: Driver, knobs: dict[str, Any]) -> None:
    before = (await retell.http.get("/simulator/knobs")).json()
    reply = await retell.http.patch("/simulator/knobs", json=knobs)
    assert reply.status_code == 422
    assert reply.json()["errors"]
    assert (await retell.http.get("/simulator/knobs")).json() == before


async def test_webhook_knobs_merge(retell: Driver) -> None:
    await retell.knobs(webhooks={"url": "http://a.test"})
    await retell.knobs(webhooks={"delay_seconds": 3}, concurrency_limit=5)
    knobs = (await retell.http.get("/simulator/knobs")).json()
    assert (knobs["webhooks"]["url"], knobs["webhooks"]["delay_seconds"]) == ("http://a.test", 3)
    assert knobs["concurrency_limit"] == 5


@pytest.mark.parametrize("numbers", [{"+569": [7]}, {"+569": [{"reason": "x"}]}, {"+569": "dial_busy"}, []])
async def test_bad_scripts_are_refused(retell: Driver, numbers: Any) -> None:
    assert (await retell.http.put("/simulator/numbers", json=numbers)).status_code == 422


async def test_the_admin_api_needs_no_key(retell: Driver) -> None:
    for path in ("health", "numbers", "knobs", "creates", "calls", "summary", "webhooks"):
        reply = await retell.http.get(f"/simulator/{path}", headers={"Authorization": ""})
        assert reply.status_code == 200, path


async def test_health_tells_speed_and_time(retell: Driver) -> None:
    health = (await retell.http.get("/simulator/health")).json()
    assert health == {"status": "ok", "speed": 1, "now": retell.clock.now(), "calls": 0}


async def test_creates_and_calls_can_be_searched_and_paged(retell: Driver) -> None:
    for n in range(4):
        await retell.create(metadata={"attempt_id": f"a{n}"}, idempotency_key=f"k{n}")
    await retell.post_create(to_number=OTHER, from_number="x")
    assert [record["idempotency_key"] for record in await retell.creates(attempt_id="a2")] == ["k2"]
    assert len(await retell.creates(result="rejected", to_number=OTHER)) == 1
    assert [record["idempotency_key"] for record in await retell.creates(skip="1", limit="2")] == ["k1", "k2"]
    page = (await retell.http.get("/simulator/calls", params={"limit": 1, "to_number": TO})).json()
    assert (page["total"], len(page["calls"])) == (4, 1)
    assert (await retell.http.get("/simulator/calls", params={"limit": "x"})).status_code == 422


async def test_calls_show_real_instants(retell: Driver) -> None:
    retell.clock.speed = 60
    created_at = retell.clock.now()
    await retell.create()
    (ringing,) = (await retell.http.get("/simulator/calls")).json()["calls"]
    assert (ringing["created_at"], ringing["ended_at"]) == (created_at, None)
    retell.clock.advance(60)
    (ended,) = (await retell.http.get("/simulator/calls")).json()["calls"]
    assert ended["ended_at"] == pytest.approx(created_at + 51 / 60)
    assert ended["disconnection_reason"] == "user_hangup"


async def test_the_summary_proves_or_disproves_double_dials(retell: Driver) -> None:
    await retell.create(metadata={"attempt_id": "a1", "account_id": "acc1"})
    await retell.create(to_number=OTHER, metadata={"attempt_id": "a2", "account_id": "acc1"})
    await retell.create(to_number=OTHER, metadata={"attempt_id": "a2", "account_id": "acc2"})
    retell.clock.advance(51)
    await retell.create(metadata={"attempt_id": "a3", "account_id": "acc2"})
    await retell.post_create(to_number="x")
    summary = await retell.summary()
    assert summary["creates"] == {"total": 5, "created": 4, "rejected": 1}
    assert (summary["calls_created"], summary["calls_live"]) == (4, 1)
    assert summary["by_reason"] == {"user_hangup": 3}
    assert summary["by_status"] == {"ended": 3, "registered": 1}
    assert summary["peak_simultaneous"] == 3, "a call that starts when another ends does not overlap it"
    assert summary["peak_simultaneous_by_account"] == {"acc1": 2, "acc2": 1}
    assert summary["numbers_dialed_more_than"] == {TO: 2, OTHER: 2}
    assert summary["numbers_dialed_while_busy"] == [OTHER]
    assert {attempt: len(calls) for attempt, calls in summary["duplicate_attempt_ids"].items()} == {"a2": 2}
    stricter = (await retell.http.get("/simulator/summary", params={"dialed_more_than": 2})).json()
    assert stricter["numbers_dialed_more_than"] == {}


async def test_reset_returns_to_the_start() -> None:
    start = SimulatorScript.model_validate({"numbers": {TO: ["dial_busy"]}, "knobs": {"concurrency_limit": 3}})
    simulator = Simulator(api_key="k", clock=ManualClock(), script=start)
    transport = httpx.ASGITransport(app=build_app(simulator))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://x", headers={"Authorization": "Bearer k"}
    ) as http:
        driver = Driver(simulator, ManualClock(), http)
        await driver.create(idempotency_key="k")
        await driver.knobs(concurrency_limit=9, webhooks={"url": "http://a.test"})
        await driver.script("agent_hangup", number=OTHER)
        await http.post("/simulator/reset")
        knobs = (await http.get("/simulator/knobs")).json()
        assert (knobs["concurrency_limit"], knobs["webhooks"]["url"]) == (3, None)
        assert list((await http.get("/simulator/numbers")).json()) == [TO]
        assert await driver.creates() == []
        assert (await driver.summary())["calls_created"] == 0
        assert (await http.get("/get-concurrency")).json()["current_concurrency"] == 0
        await driver.create(idempotency_key="k")
        assert [record["result"] for record in await driver.creates()] == ["created"]


async def test_reset_throws_the_same_dice_again(retell: Driver) -> None:
    rounds = []
    for _ in range(2):
        await retell.http.post("/simulator/reset")
        await retell.knobs(create_faults=[{"kind": "500_before", "probability": 0.5}])
        rounds.append([(await retell.post_create()).status_code for _ in range(15)])
    assert rounds[0] == rounds[1]


def test_two_simulators_share_no_knobs() -> None:
    one, two = Simulator(), Simulator()
    one.knobs.webhooks.url = "http://a.test"
    one.script.knobs.webhooks.url = "http://b.test"
    assert two.knobs.webhooks.url is None
    assert two.script.knobs.webhooks.url is None
