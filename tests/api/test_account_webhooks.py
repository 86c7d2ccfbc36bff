"""An account's webhooks over HTTP: made, changed, secrets, the log, and what is refused."""

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.bootstrap import Container
from app.domain.webhooks import MOST_WEBHOOKS, DeliveryStatus, EventType
from app.main import create_app
from app.repositories.webhooks import MongoDeliveries, MongoSubscriptions
from app.services.webhooks import NewWebhook
from tests.api.conftest import ACCOUNT, error_at, problem
from tests.api.test_access import somebody
from tests.conftest import make_settings

URL = "https://crm.empresaxyz.cl/hooks/cadencia"
HOOKS = "accounts/acc-chile-001/webhooks"


async def made(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await api.post(HOOKS, json={"url": URL, **body})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v1/{HOOKS}/{created['webhook_id']}"
    return created


async def noted(container: Container) -> set[str]:
    account = await container.accounts.get("acc-chile-001")
    return {str(wanted) for wanted in account.webhook_events}


async def test_a_secret_is_shown_once_and_stands_nowhere_else(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    with capture_logs() as log:
        created = await made(api, description="CRM", event_types=["Contact.Final", "batch.finished", "batch.finished"])
        secret = created.pop("secret")
        assert secret.startswith("whsec_")
        assert created["event_types"] == ["batch.finished", "contact.final"]
        path = f"{HOOKS}/{created['webhook_id']}"
        assert (await api.get(path)).json() == created
        assert (await api.get(HOOKS)).json() == [created]
        rotated = (await api.post(f"{path}/secret")).json()
        assert rotated["secret"] not in {secret, ""}
        assert rotated["previous_secret_until"]
        shown = (await api.get(path)).text + (await api.get("audit-log")).text
        for text in (secret, rotated["secret"]):
            assert text not in shown + str(log)
        assert 'secret":' not in (await api.get(path)).text
    webhook = await container.webhooks.get("acc-chile-001", created["webhook_id"])
    assert webhook.signing(container.clock.now()) == [rotated["secret"], secret]


async def test_the_account_notes_what_is_wanted(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    assert await noted(container) == set()
    first = await made(api, event_types=["call.finished"])
    second = await made(api)
    assert await noted(container) == {"call.finished", "contact.final", "batch.finished"}
    changed = await api.patch(f"{HOOKS}/{second['webhook_id']}", json={"event_types": ["batch.finished"]})
    assert changed.status_code == 200
    assert await noted(container) == {"call.finished", "batch.finished"}
    await api.patch(f"{HOOKS}/{first['webhook_id']}", json={"is_active": False})
    assert await noted(container) == {"batch.finished"}
    assert (await api.delete(f"{HOOKS}/{second['webhook_id']}")).status_code == 204
    assert await noted(container) == set()
    await api.patch(f"{HOOKS}/{first['webhook_id']}", json={"is_active": True})
    assert await noted(container) == {"call.finished"}


async def test_what_is_struck_out_on_older_facts_stays(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    """A webhook is made between the look at what is wanted and the striking out."""
    before = (await container.accounts.get("acc-chile-001")).webhook_changes
    subscriptions = MongoSubscriptions(container.database)
    await made(api, event_types=["call.finished"])
    assert not await subscriptions.replace("acc-chile-001", [], before)
    assert await noted(container) == {"call.finished"}


@pytest.mark.parametrize("switched_on", [False, True])
async def test_a_webhook_that_comes_while_another_goes_is_told(
    api: httpx.AsyncClient,
    account: dict[str, Any],
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
    switched_on: bool,
) -> None:
    """The other one looks at what is wanted after the new one is noted and before it is there; it strikes out after."""
    going = await made(api, event_types=["batch.finished"])
    coming = await made(api, event_types=["call.finished"]) if switched_on else {}
    if switched_on:
        await api.patch(f"{HOOKS}/{coming['webhook_id']}", json={"is_active": False})
    looked, stands = asyncio.Event(), asyncio.Event()
    subscribe, replace = MongoSubscriptions.subscribe, MongoSubscriptions.replace
    tasks: list[asyncio.Task[Any]] = []

    async def late(self: MongoSubscriptions, account_id: str, types: Any, changes: int) -> bool:
        if asyncio.current_task() in tasks:
            looked.set()
            await stands.wait()
        return await replace(self, account_id, types, changes)

    async def noted_first(self: MongoSubscriptions, account_id: str, types: Any) -> None:
        await subscribe(self, account_id, types)
        if not tasks:
            gone = container.webhooks.delete("acc-chile-001", going["webhook_id"])
            tasks.append(asyncio.create_task(gone))
            await looked.wait()

    monkeypatch.setattr(MongoSubscriptions, "replace", late)
    monkeypatch.setattr(MongoSubscriptions, "subscribe", noted_first)
    if switched_on:
        await container.webhooks.change("acc-chile-001", coming["webhook_id"], {"is_active": True})
    else:
        await container.webhooks.create(NewWebhook("acc-chile-001", URL, None, [EventType.CALL_FINISHED]))
    stands.set()
    await asyncio.gather(*tasks)
    assert await noted(container) >= {"call.finished"}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://crm.empresaxyz.cl/", "webhook_url_not_https"),
        ("https://127.0.0.1/", "webhook_url_not_public"),
        ("https://[::1]/", "webhook_url_not_public"),
        ("https://169.254.169.254/latest/meta-data", "webhook_url_not_public"),
        ("https://localhost/", "webhook_url_not_public"),
        ("https://mongodb/", "webhook_url_not_public"),
        ("https://user:clave@crm.cl/", "webhook_url_malformed"),
        ("javascript:alert(1)", "webhook_url_malformed"),
        ("", "string_too_short"),
    ],
)
async def test_addresses_that_are_refused(api: httpx.AsyncClient, account: dict[str, Any], url: str, code: str) -> None:
    assert error_at(await api.post(HOOKS, json={"url": url}), "url")["type"] == code
    created = await made(api)
    assert error_at(await api.patch(f"{HOOKS}/{created['webhook_id']}", json={"url": url}), "url")["type"] == code
    assert (await api.get(f"{HOOKS}/{created['webhook_id']}")).json()["url"] == URL


async def test_bodies_that_are_refused(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    assert (await api.post(HOOKS, json={"url": URL, "event_types": []})).status_code == 422
    assert (await api.post(HOOKS, json={"url": URL, "event_types": ["nada"]})).status_code == 422
    refused = error_at(await api.post(HOOKS, json={"url": URL, "event_types": ["ping"]}), "event_types")
    assert refused["type"] == "webhook_event_not_subscribable"
    assert (await api.post(HOOKS, json={"url": URL, "secret": "mine"})).status_code == 422
    problem(await api.post("accounts/acc-x/webhooks", json={"url": URL}), 404, "account_not_found")
    for _ in range(MOST_WEBHOOKS):
        await made(api)
    problem(await api.post(HOOKS, json={"url": URL}), 409, "too_many_webhooks")


async def test_a_ping_is_in_the_log_and_can_be_sent_again(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    path = f"{HOOKS}/{(await made(api))['webhook_id']}"
    answer = await api.post(f"{path}/test")
    assert answer.status_code == 202, answer.text
    ping = answer.json()
    assert (ping["type"], ping["status"], ping["tries"]) == ("ping", "pending", [])
    listed = await api.get(f"{path}/deliveries")
    assert listed.json() == [ping]
    assert listed.headers["x-total-count"] == "1"
    detail = (await api.get(f"{path}/deliveries/{ping['delivery_id']}")).json()
    assert detail["body"].startswith('{"type":"ping","timestamp":"')
    # Delivered, as the sender would write it.
    deliveries = container.database.collection("webhook_deliveries")
    await deliveries.update_one(
        {"_id": ping["delivery_id"]}, {"$set": {"status": "delivered", "tried": 3}, "$unset": {"due_at": ""}}
    )
    assert (await api.get(f"{path}/deliveries", params={"status": "Pending"})).json() == []
    assert len((await api.get(f"{path}/deliveries", params={"status": "delivered"})).json()) == 1
    again = await api.post(f"{path}/deliveries/{ping['delivery_id']}/redeliver")
    assert again.status_code == 202
    assert (again.json()["status"], again.json()["event_id"]) == ("pending", ping["event_id"])
    assert again.json()["next_try_at"]
    stored = await MongoDeliveries(container.database).get(ping["delivery_id"])
    assert stored is not None
    assert (stored.status, stored.tried) == (DeliveryStatus.PENDING, 0)
    problem(await api.post(f"{path}/deliveries/nada/redeliver"), 404, "delivery_not_found")
    await api.patch(path, json={"is_active": False})
    problem(await api.post(f"{path}/deliveries/{ping['delivery_id']}/redeliver"), 409, "webhook_switched_off")
    problem(await api.post(f"{path}/test"), 409, "webhook_switched_off")
    await api.delete(path)
    problem(await api.get(f"{path}/deliveries"), 404, "webhook_not_found")
    assert await deliveries.count_documents({}) == 0


async def test_the_log_is_walked_with_its_cursor(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    path = f"{HOOKS}/{(await made(api))['webhook_id']}"
    sent = [(await api.post(f"{path}/test")).json()["delivery_id"] for _ in range(5)]
    found: list[str] = []
    following: str | None = f"{path}/deliveries?limit=2"
    while following:
        page = await api.get(following)
        found += [entry["delivery_id"] for entry in page.json()]
        following = f"http://cadencia.test{page.links['next']['url']}" if "next" in page.links else None
    assert found == sent[::-1]


async def test_who_may_do_what(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    await api.post("accounts", json={**ACCOUNT, "account_id": "acc-otra"})
    created = await made(api)
    path = f"{HOOKS}/{created['webhook_id']}"
    ping = (await api.post(f"{path}/test")).json()["delivery_id"]
    keys = {}
    for name, role, scope in (
        ("operator", "operator", None),
        ("viewer", "viewer", None),
        ("own", "admin", ["acc-chile-001"]),
        ("other", "admin", ["acc-otra"]),
    ):
        body = {"name": name, "role": role} | ({"account_ids": scope} if scope else {})
        keys[name] = (await api.post("api-keys", json=body)).json()["api_key"]
    async with somebody(api, keys["operator"]) as operator:
        problem(await operator.post(HOOKS, json={"url": URL}), 403, "not_permitted")
        problem(await operator.post(f"{path}/secret"), 403, "not_permitted")
        assert (await operator.post(f"{path}/test")).status_code == 202
    async with somebody(api, keys["viewer"]) as viewer:
        assert (await viewer.get(f"{path}/deliveries")).status_code == 200
        problem(await viewer.post(f"{path}/test"), 403, "not_permitted")
    async with somebody(api, keys["own"]) as own:
        assert (await own.get(f"{path}/deliveries/{ping}")).status_code == 200
        assert (await own.patch(path, json={"description": "x"})).status_code == 200
    async with somebody(api, keys["other"]) as other:
        # Neither by its own name nor smuggled under an account that is one's own.
        for wrong in (path, f"accounts/acc-otra/webhooks/{created['webhook_id']}"):
            problem(await other.get(wrong), 404, await code_of(other, wrong))
            assert (await other.get(f"{wrong}/deliveries/{ping}")).status_code == 404
    problem(await api.get(f"accounts/acc-otra/webhooks/{created['webhook_id']}"), 404, "webhook_not_found")


async def code_of(client: httpx.AsyncClient, path: str) -> str:
    code = str((await client.get(path)).json()["code"])
    assert code.endswith("_not_found")
    return code


def test_what_is_sent_is_documented() -> None:
    document = create_app(make_settings("mongodb://127.0.0.1:9/?replicaSet=rs0")).openapi()
    assert document["webhooks"].keys() == set(EventType)
    for name, methods in document["webhooks"].items():
        operation = methods["post"]
        body = operation["requestBody"]["content"]["application/json"]
        assert body["schema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]
        assert (body["example"]["type"], bool(body["example"]["data"])) == (name, True)
        headers = [parameter["name"] for parameter in operation["parameters"]]
        assert headers == ["webhook-id", "webhook-timestamp", "webhook-signature"]


def test_every_event_but_the_ping_is_sent_by_default() -> None:
    assert {EventType(name) for name in ("call.finished", "contact.final", "batch.finished")} == {*EventType} - {
        EventType.PING
    }
