"""What happens is told to the customer's own system: everything, signed, until it answers; calls do not wait for it."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.bootstrap import Container
from app.domain.accounts import Account
from app.domain.batches import BatchStatus
from app.domain.jobs import JobState
from app.domain.webhooks import Delivery, DeliveryStatus, EventType, Webhook
from app.integrations import webhook_sender
from app.integrations.webhook_sender import WebhookSender
from app.repositories.accounts import MongoAccounts
from app.repositories.webhooks import MongoDeliveries, MongoWebhooks
from app.services.webhooks import WebhookService
from tests.builders import FakeTime, make_account
from tests.workers.conftest import Campaigns, RunningSimulator, has_status, numbers, until
from tests.workers.outgoing import outgoing_worker, step, subscribed, telling, webhooks_to_anywhere
from tests.workers.receiver import Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@pytest.fixture
async def account(container: Container) -> Account:
    await MongoAccounts(container.database).insert(make_account())
    return make_account()


def heard(receiver: Receiver, path: str, count: int) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return len(receiver.of(path)) >= count

    return ask


async def webhook_of(container: Container, webhook: Webhook) -> Webhook:
    found = await MongoWebhooks(container.database).get(webhook.webhook_id)
    assert found is not None
    return found


async def pinged(service: WebhookService, webhook: Webhook, times: int = 1) -> list[str]:
    """The ids of so many pings that are to be sent."""
    return [(await service.ping(webhook.account_id, webhook.webhook_id)).delivery_id for _ in range(times)]


async def statuses(container: Container) -> Counter[str]:
    found = container.database.collection("webhook_deliveries").find({}, {"status": True})
    return Counter([document["status"] async for document in found])


# Events --------------------------------------------------------------------------------------------------------------


async def test_a_campaign_is_told_from_the_first_call_to_the_end(
    campaigns: Campaigns, simulator: RunningSimulator, receiver: Receiver, container: Container
) -> None:
    busy, good = numbers(2)
    await simulator.script({busy: ["dial_busy", "user_hangup"]})
    account = await campaigns.account()
    _, secret = await subscribed(container, account, f"{receiver.url}/all")
    await subscribed(container, account, f"{receiver.url}/batches", EventType.BATCH_FINISHED)
    batch = await campaigns.batch(account, [[busy], [good]])
    worker = await campaigns.worker()
    async with outgoing_worker(container) as outgoing, worker.running(), telling(outgoing):
        await until(heard(receiver, "/all", 6))
        await until(heard(receiver, "/batches", 1))
    told = receiver.of("/all")
    assert all(one.is_signed_with(secret) for one in told)
    assert not told[0].is_signed_with("whsec_" + "A" * 44)
    assert len(set(receiver.ids("/all"))) == len(told) == 6
    events = [one.event for one in told]
    assert Counter(event["type"] for event in events) == {
        "call.finished": 3,
        "contact.final": 2,
        "batch.finished": 1,
    }
    calls = [event["data"] for event in events if event["type"] == "call.finished"]
    assert sorted(data["call"]["status"] for data in calls) == ["answered", "answered", "busy"]
    for data in calls:
        # What the API would have answered right after that call.
        assert data["job"]["history"][-1] == data["call"]
        assert data["job"]["call_result"]["status"] == data["call"]["status"]
        assert data["job"]["status"] == ("scheduled" if data["call"]["status"] == "busy" else "completed")
    finals = [event["data"]["job"] for event in events if event["type"] == "contact.final"]
    assert {job["job_id"]: job["attempts"] for job in finals} == {
        job.job_id: job.attempts for job in await campaigns.jobs(batch)
    }
    (finished,) = [event["data"]["batch"] for event in events if event["type"] == "batch.finished"]
    assert (finished["status"], finished["completed_jobs"]) == ("completed", 2)
    assert receiver.ids("/batches") == [one.event_id for one in told if one.event["type"] == "batch.finished"]
    for collection in ("jobs", "batches"):
        left = {"$or": [{"untold": {"$exists": True}}, {"untold_at": {"$exists": True}}]}
        assert await container.database.collection(collection).count_documents(left) == 0


async def test_an_account_without_webhooks_writes_nothing_of_it(campaigns: Campaigns, container: Container) -> None:
    other = await campaigns.account()
    await subscribed(container, other, "http://127.0.0.1:9/")
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker()
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
    assert await container.database.collection("jobs").count_documents({"untold": {"$exists": True}}) == 0
    async with outgoing_worker(container) as outgoing:
        assert await outgoing.round() == 1  # the batch, of which nobody is told
        assert await outgoing.round() == 0
    assert await statuses(container) == {}


async def test_a_cancelled_batch_is_finished_once_its_last_call_is(
    campaigns: Campaigns, simulator: RunningSimulator, receiver: Receiver, container: Container
) -> None:
    account = await campaigns.account(limit=1)
    await subscribed(container, account, f"{receiver.url}/all", EventType.CONTACT_FINAL, EventType.BATCH_FINISHED)
    talking, waiting, unwanted = numbers(3)
    batch = await campaigns.batch(account, [[talking], [waiting], [unwanted]])
    last = (await campaigns.jobs(batch))[-1]
    await container.jobs.cancel(last.job_id, user="test")
    worker = await campaigns.worker()
    async with outgoing_worker(container) as outgoing, worker.running(), telling(outgoing):

        async def calls() -> bool:
            return any(job.state is JobState.IN_CALL for job in await campaigns.jobs(batch))

        await until(calls)
        await container.batches.cancel(batch.batch_id, user="test")
        await until(heard(receiver, "/all", 3))
    events = [one.event for one in receiver.of("/all")]
    (told,) = [event["data"]["batch"] for event in events if event["type"] == "batch.finished"]
    assert (told["status"], told["in_progress_jobs"], told["pending_jobs"]) == ("cancelled", 0, 0)
    # The one that was called, and the one that an operator cancelled by itself: not the one that the batch took along.
    finals = {event["data"]["job"]["to_number"] for event in events if event["type"] == "contact.final"}
    assert finals == {talking, None}
    assert '"code":"cancelled_by_operator"' in str([one.body for one in receiver.received])


async def test_what_cannot_be_told_is_put_aside_and_the_others_are_told(
    campaigns: Campaigns, receiver: Receiver, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await campaigns.account()
    await subscribed(container, account, f"{receiver.url}/all", EventType.CONTACT_FINAL)
    batch = await campaigns.batch(account, [[phone] for phone in numbers(2)])
    first, second = await campaigns.jobs(batch)
    for job in (first, second):
        await container.jobs.cancel(job.job_id, user="test")
    jobs = container.database.collection("jobs")
    await jobs.update_many({}, {"$set": {"untold_at": container.clock.now() - timedelta(minutes=1)}})
    async with outgoing_worker(container) as outgoing:
        of_job = outgoing.telling._payloads.of_job

        def fails(event: Any, view: Any, account: Any) -> str:
            if view.job.job_id == first.job_id:
                raise ValueError("an error of ours")
            return of_job(event, view, account)

        monkeypatch.setattr(outgoing.telling._payloads, "of_job", fails, raising=False)
        await step(outgoing)
        assert [one.event["data"]["job"]["job_id"] for one in receiver.of("/all")] == [second.job_id]
        monkeypatch.setattr(outgoing.telling._payloads, "of_job", of_job, raising=False)
        await step(outgoing)
        assert len(receiver.received) == 1  # put aside, so that it stands in nobody's way
        await jobs.update_many({}, {"$min": {"untold_at": container.clock.now() - timedelta(minutes=1)}})
        await jobs.update_many({"untold": {"$exists": False}}, {"$unset": {"untold_at": ""}})
        await step(outgoing)
    assert {one.event["data"]["job"]["job_id"] for one in receiver.of("/all")} == {first.job_id, second.job_id}


async def test_what_is_told_together_is_written_together_but_one_that_cannot_be_is_put_aside(
    campaigns: Campaigns, receiver: Receiver, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await campaigns.account()
    await subscribed(container, account, f"{receiver.url}/all", EventType.CONTACT_FINAL)
    batch = await campaigns.batch(account, [[phone] for phone in numbers(4)])
    jobs = await campaigns.jobs(batch)
    for job in jobs:
        await container.jobs.cancel(job.job_id, user="test")
    stored = container.database.collection("jobs")
    await stored.update_many({}, {"$set": {"untold_at": container.clock.now() - timedelta(minutes=1)}})
    written: list[list[str]] = []
    async with outgoing_worker(container) as outgoing:
        add = outgoing.telling._deliveries.add

        async def noted(deliveries: Sequence[Delivery]) -> None:
            written.append([str(delivery.job_id) for delivery in deliveries])
            if jobs[1].job_id in written[-1]:
                raise ValueError("cannot be stored")
            await add(deliveries)

        monkeypatch.setattr(outgoing.telling._deliveries, "add", noted)
        await step(outgoing)

    ids = [job.job_id for job in jobs]
    assert sorted(written[0]) == ids
    assert sorted(written[1:]) == [[job_id] for job_id in ids]
    told = {one.event["data"]["job"]["job_id"] for one in receiver.of("/all")}
    assert told == {ids[0], ids[2], ids[3]}
    left = [document["_id"] async for document in stored.find({"untold": {"$exists": True}})]
    assert left == [ids[1]]


async def test_an_event_of_a_newer_version_holds_up_no_other(
    campaigns: Campaigns, receiver: Receiver, container: Container
) -> None:
    account = await campaigns.account()
    await subscribed(container, account, f"{receiver.url}/all", EventType.CONTACT_FINAL)
    first, second = await campaigns.jobs(await campaigns.batch(account, [[phone] for phone in numbers(2)]))
    for job in (first, second):
        await container.jobs.cancel(job.job_id, user="test")
    jobs = container.database.collection("jobs")
    await jobs.update_many({}, {"$set": {"untold_at": container.clock.now() - timedelta(minutes=1)}})
    await jobs.update_one({"_id": first.job_id}, {"$set": {"untold.0.type": "contact.reborn"}})
    async with outgoing_worker(container) as outgoing:
        await step(outgoing)
    assert [one.event["data"]["job"]["job_id"] for one in receiver.of("/all")] == [second.job_id]
    assert await jobs.count_documents({"_id": first.job_id, "untold_at": {"$gt": container.clock.now()}}) == 1


async def test_nobody_is_told_of_test_calls(campaigns: Campaigns, receiver: Receiver, container: Container) -> None:
    account = await campaigns.account()
    await subscribed(container, account, f"{receiver.url}/all")
    batch = await campaigns.batch(account, [numbers(1)])
    test = {"$set": {"test_of": "batch-other"}}
    await container.database.collection("batches").update_one({"_id": batch.batch_id}, test)
    worker = await campaigns.worker()
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
    async with outgoing_worker(container, worker.control.worker_id) as outgoing:
        assert await outgoing.round() == 2  # the job and the batch
        assert await outgoing.round() == 0
    assert await statuses(container) == {}


# Deliveries ----------------------------------------------------------------------------------------------------------


async def test_a_receiver_that_was_down_gets_everything_once_it_is_up(
    container: Container, account: Account, receiver: Receiver
) -> None:
    time = FakeTime(container.clock.now().replace(microsecond=0))
    service = webhooks_to_anywhere(container, time)
    webhook, secret = await subscribed(container, account, f"{receiver.url}/x", time=time)
    receiver.answers["/x"] = (503, {}, b"<h1>down</h1>\n" + b"x" * 100_000)
    sent = await pinged(service, webhook, 10)
    async with outgoing_worker(container, time=time) as outgoing:
        await step(outgoing)
        # Nothing succeeds: the others are not even tried, and the receiver is left in peace.
        assert len(receiver.received) == 4
        await step(outgoing)
        assert len(receiver.received) == 4
        failing = await webhook_of(container, webhook)
        assert failing.failing_since == time.now()
        for _ in range(20):
            time.advance(timedelta(minutes=6))
            await step(outgoing)
        assert len(receiver.received) > 4
        assert (await statuses(container)).keys() == {"pending"}
        receiver.answers.clear()
        before = len(receiver.received)
        for _ in range(10):
            time.advance(timedelta(hours=1))
            await step(outgoing)
    after = receiver.received[before:]
    assert sorted(one.event_id for one in after) == sorted(f"{one}".rpartition("_")[0] for one in sent)
    assert all(one.is_signed_with(secret) for one in after)
    assert await statuses(container) == {"delivered": 10}
    assert (await webhook_of(container, webhook)).failing_since is None
    delivery = await MongoDeliveries(container.database).get(sent[0])
    assert delivery is not None
    first, last = delivery.tries[0], delivery.tries[-1]
    assert (first.status, last.status) == (503, 200)
    assert first.answer is not None
    assert first.answer.startswith("<h1>down</h1> xxx")
    assert len(first.answer) == 500


async def test_tries_end_and_a_hand_begins_them_again(
    container: Container, account: Account, receiver: Receiver
) -> None:
    time = FakeTime(container.clock.now().replace(microsecond=0))
    service = webhooks_to_anywhere(container, time)
    webhook, _ = await subscribed(container, account, f"{receiver.url}/x", time=time)
    receiver.answers["/x"] = (302, {"location": f"{receiver.url}/elsewhere"}, b"")
    (sent,) = await pinged(service, webhook)
    async with outgoing_worker(container, time=time) as outgoing:
        began = time.now()
        while (await statuses(container)).keys() == {"pending"}:
            time.advance(timedelta(minutes=30))
            await step(outgoing)
        assert timedelta(hours=15) < time.now() - began < timedelta(hours=36)
        assert receiver.of("/elsewhere") == []  # no redirect is followed
        assert len(set(receiver.ids("/x"))) == 1
        assert len(receiver.received) == 12
        receiver.answers.clear()
        time.advance(timedelta(days=1))
        await step(outgoing)
        assert await statuses(container) == {"failed": 1}
        await service.redeliver(account.account_id, webhook.webhook_id, sent)
        await step(outgoing)
    assert await statuses(container) == {"delivered": 1}
    assert len(set(receiver.ids("/x"))) == 1
    times = [int(one.headers["webhook-timestamp"]) for one in receiver.received]
    assert times == sorted(set(times))  # the time of each try, against replays


async def test_a_receiver_that_hangs_holds_up_nobody(
    campaigns: Campaigns, receiver: Receiver, container: Container
) -> None:
    account = await campaigns.account()
    receiver.hanging.add("/hangs")
    await subscribed(container, account, f"{receiver.url}/hangs")
    await subscribed(container, account, f"{receiver.url}/well")
    batch = await campaigns.batch(account, [[phone] for phone in numbers(8)])
    worker = await campaigns.worker()
    async with (
        outgoing_worker(container, webhook_timeout_seconds=3600) as outgoing,
        worker.running(),
        telling(outgoing),
    ):
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
        await until(heard(receiver, "/well", 17))
        # Still unanswered, and no more of it at once than one webhook may have.
        assert 1 <= len(receiver.of("/hangs")) == receiver.at_once["/hangs"] <= 4
        receiver.released.set()
        await until(heard(receiver, "/hangs", 17))
    assert receiver.most_at_once["/well"] <= 4


async def test_a_time_out_is_noted(container: Container, account: Account, receiver: Receiver) -> None:
    webhook, _ = await subscribed(container, account, f"{receiver.url}/hangs")
    receiver.hanging.add("/hangs")
    (sent,) = await pinged(webhooks_to_anywhere(container), webhook)
    async with outgoing_worker(container, webhook_timeout_seconds=0.2) as outgoing:
        await step(outgoing)
    delivery = await MongoDeliveries(container.database).get(sent)
    assert delivery is not None
    assert [(entry.status, entry.error) for entry in delivery.tries] == [(None, "timeout")]
    assert delivery.status is DeliveryStatus.PENDING


async def test_410_switches_it_off_and_so_do_days_of_failures(
    container: Container, account: Account, receiver: Receiver
) -> None:
    time = FakeTime(container.clock.now().replace(microsecond=0))
    service = webhooks_to_anywhere(container, time)
    gone, _ = await subscribed(container, account, f"{receiver.url}/gone", EventType.CALL_FINISHED, time=time)
    broken, _ = await subscribed(container, account, f"{receiver.url}/broken", EventType.BATCH_FINISHED, time=time)
    receiver.answers = {"/gone": (410, {}, b""), "/broken": (500, {}, b"")}
    await pinged(service, gone, 3)
    async with outgoing_worker(container, time=time, webhook_disable_after_days=5) as outgoing:
        await step(outgoing)
        off = await webhook_of(container, gone)
        assert off.disabled_reason is not None
        assert (off.is_active, off.disabled_reason.code) == (False, "webhook_gone")
        for _ in range(30):
            await pinged(service, broken)
            await step(outgoing)
            time.advance(timedelta(hours=6))
            if not (await webhook_of(container, broken)).is_active:
                break
        off = await webhook_of(container, broken)
        assert off.disabled_reason is not None
        said = off.disabled_reason.render("en")
        assert said == "No delivery succeeded for 5.0 days; the last one ended in 500"
        assert off.disabled_at is not None
        assert timedelta(days=5) <= off.disabled_at - time.now() + timedelta(days=6)
        # What waited is sent when it is on again.
        waiting = (await statuses(container))["pending"]
        assert waiting
        receiver.answers.clear()
        receiver.received.clear()
        time.advance(timedelta(days=1))
        await step(outgoing)
        assert receiver.received == []
        for webhook in (gone, broken):
            changed = await service.change(account.account_id, webhook.webhook_id, {"is_active": True})
            assert (changed.disabled_reason, changed.disabled_at, changed.failing_since) == (None, None, None)
        await step(outgoing)
    assert len(receiver.received) == waiting


async def test_what_one_address_answered_says_nothing_of_the_next(
    container: Container, account: Account, receiver: Receiver
) -> None:
    service = webhooks_to_anywhere(container)
    webhook, _ = await subscribed(container, account, f"{receiver.url}/gone")
    receiver.answers = {"/gone": (410, {}, b"")}
    receiver.hanging.add("/gone")
    await pinged(service, webhook)
    async with outgoing_worker(container) as outgoing:
        await outgoing.round()
        await until(heard(receiver, "/gone", 1))
        await service.change(account.account_id, webhook.webhook_id, {"url": f"{receiver.url}/new"})
        receiver.released.set()
        await outgoing.delivering.turns_end()
        assert (await webhook_of(container, webhook)).is_active
        await pinged(service, webhook)
        await step(outgoing)
    assert len(receiver.of("/new")) == 1


async def test_time_in_which_nothing_is_tried_is_no_failing(
    container: Container, account: Account, receiver: Receiver
) -> None:
    time = FakeTime(container.clock.now().replace(microsecond=0))
    service = webhooks_to_anywhere(container, time)
    webhook, _ = await subscribed(container, account, f"{receiver.url}/x", time=time)
    receiver.answers = {"/x": (500, {}, b"")}
    await pinged(service, webhook)
    async with outgoing_worker(container, time=time, webhook_disable_after_days=5) as outgoing:
        while (await statuses(container))["pending"]:
            await step(outgoing)
            time.advance(timedelta(hours=8))
        time.advance(timedelta(days=5))
        await pinged(service, webhook)
        await step(outgoing)
    assert (await webhook_of(container, webhook)).is_active


async def test_both_secrets_sign_for_a_day(container: Container, account: Account, receiver: Receiver) -> None:
    time = FakeTime(container.clock.now().replace(microsecond=0))
    service = webhooks_to_anywhere(container, time)
    webhook, before = await subscribed(container, account, f"{receiver.url}/x", time=time)
    _, after = await service.rotate(account.account_id, webhook.webhook_id)
    async with outgoing_worker(container, time=time) as outgoing:
        await pinged(service, webhook)
        await step(outgoing)
        time.advance(timedelta(days=1))
        await pinged(service, webhook)
        await step(outgoing)
    one, other = receiver.received
    assert (one.is_signed_with(before), one.is_signed_with(after)) == (True, True)
    assert (other.is_signed_with(before), other.is_signed_with(after)) == (False, True)


async def test_several_workers_send_everything_once(container: Container, account: Account, receiver: Receiver) -> None:
    hooks = [await subscribed(container, account, f"{receiver.url}/{n}") for n in range(6)]
    service = webhooks_to_anywhere(container)
    for webhook, _ in hooks:
        await pinged(service, webhook, 8)
    async with outgoing_worker(container, "a") as one, outgoing_worker(container, "b") as other:
        async with telling(one), telling(other):
            for n in range(6):
                await until(heard(receiver, f"/{n}", 8))
        await asyncio.gather(step(one), step(other))
    assert await statuses(container) == {"delivered": 48}
    for n in range(6):
        assert len(receiver.ids(f"/{n}")) == len(set(receiver.ids(f"/{n}"))) == 8
        assert receiver.most_at_once[f"/{n}"] <= 4


async def test_who_fails_leaves_half_of_the_places(
    container: Container, account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.delivering.TURNS", 2)
    service = webhooks_to_anywhere(container)
    bad = [await subscribed(container, account, f"{receiver.url}/bad{n}") for n in range(3)]
    good, _ = await subscribed(container, account, f"{receiver.url}/good")
    for webhook, _ in bad:
        await pinged(service, webhook)
        receiver.hanging.add(f"/bad{bad.index((webhook, _))}")
        since = {"failing_since": container.clock.now() - timedelta(hours=1)}
        await MongoWebhooks(container.database).update(webhook.webhook_id, since)
    async with outgoing_worker(container, webhook_timeout_seconds=3600) as outgoing, telling(outgoing):
        await until(lambda: _some(receiver))
        await pinged(service, good)
        await until(heard(receiver, "/good", 1))
        assert len(receiver.received) == 2
        receiver.released.set()


async def _some(receiver: Receiver) -> bool:
    return bool(receiver.received)


async def test_the_page_for_customers_verifies_what_is_sent(
    container: Container, account: Account, receiver: Receiver
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
    said: dict[str, Any] = {}
    exec(page.partition("```python")[2].partition("```")[0], said)
    webhook, secret = await subscribed(container, account, f"{receiver.url}/x")
    await pinged(webhooks_to_anywhere(container), webhook)
    async with outgoing_worker(container) as outgoing:
        await step(outgoing)
    (one,) = receiver.received
    assert said["is_ours"](secret, one.headers, one.body)
    assert not said["is_ours"](secret, one.headers, one.body + b" ")
    assert not said["is_ours"]("whsec_" + "A" * 44, one.headers, one.body)
    late = {**one.headers, "webhook-timestamp": str(int(one.headers["webhook-timestamp"]) - 400)}
    assert not said["is_ours"](secret, late, one.body)


# The guard -----------------------------------------------------------------------------------------------------------


async def test_no_request_reaches_this_network(container: Container, account: Account, receiver: Receiver) -> None:
    port = receiver.url.rpartition(":")[2]
    hosts = ("localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1")
    urls = [f"http://{host}:{port}/x" for host in hosts]
    service = webhooks_to_anywhere(container)
    deliveries = []
    for url in urls:
        webhook, _ = await subscribed(container, account, url)
        deliveries += await pinged(service, webhook)
    async with outgoing_worker(container, webhook_any_target=False) as outgoing:
        await step(outgoing)
    assert receiver.received == []
    for delivery_id in deliveries:
        delivery = await MongoDeliveries(container.database).get(delivery_id)
        assert delivery is not None
        assert [entry.error for entry in delivery.tries] == ["refused_address"]


async def test_the_connection_goes_to_the_address_that_was_judged(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = receiver.url.rpartition(":")[2]
    judged = []

    def noted(address: Any) -> bool:
        judged.append(address)
        return True

    def looked_up(host: str, port: int, **_: Any) -> list[Any]:
        # The second answer would lead elsewhere.
        address = "127.0.0.1" if not judged else "127.0.0.2"
        return [(2, 1, 6, "", (address, port))]

    monkeypatch.setattr(webhook_sender, "is_public", noted)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    sender = WebhookSender(5, any_target=False)
    try:
        answer = await sender.send(f"http://crm.empresaxyz.cl:{port}/x?a=1", {"webhook-id": "evt_1"}, b"{}")
    finally:
        await sender.aclose()
    assert answer.status == 200
    assert judged == [ip_address("127.0.0.1")]
    (received,) = receiver.received
    assert received.headers["host"] == f"crm.empresaxyz.cl:{port}"


async def test_a_name_server_that_hangs_holds_up_no_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls look up Retell's name in the threads that all share."""
    released = threading.Event()

    def hangs(*_: Any, **__: Any) -> list[Any]:
        released.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    sender = WebhookSender(0.2, any_target=False)
    try:
        answers = await asyncio.gather(*(sender.send("https://a.cl/", {}, b"{}") for _ in range(40)))
        assert {answer.error for answer in answers} == {"timeout"}
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(int) == 0
    finally:
        released.set()
        await sender.aclose()


async def test_what_was_answered_is_heard_though_the_answer_does_not_end() -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nthanks")
        await writer.drain()
        await reader.read()  # until the other side goes
        writer.close()

    server = await asyncio.start_server(answers, "127.0.0.1", 0)
    sender = WebhookSender(15, any_target=True)
    try:
        answer = await sender.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"{}")
    finally:
        await sender.aclose()
        server.close()
        await server.wait_closed()
    assert (answer.status, answer.error, answer.text) == (202, None, "thanks")


async def test_a_worker_that_is_told_to_stop_does_not_send_to_the_end(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--once` sends what is due before it ends, which may take as long as receivers like."""
    ended = asyncio.Event()
    ended.set()
    rounds: list[bool] = []

    async def round_() -> int:
        rounds.append(True)
        return 1

    async with outgoing_worker(container) as outgoing:
        monkeypatch.setattr(outgoing.delivering, "round", round_)
        await asyncio.wait_for(outgoing.keep(ended, finish=lambda: len(rounds) < 3), 30)
    assert len(rounds) == 3


async def test_neither_secret_nor_address_nor_answer_is_logged(
    container: Container, account: Account, receiver: Receiver
) -> None:
    service = webhooks_to_anywhere(container)
    with capture_logs() as log:
        webhook, secret = await subscribed(container, account, f"{receiver.url}/x?token=abc123")
        nowhere, _ = await subscribed(container, account, "http://127.0.0.1:9/x?token=abc123")
        await pinged(service, webhook)
        await pinged(service, nowhere)
        async with outgoing_worker(container) as outgoing:
            await step(outgoing)
    sent = [entry for entry in log if entry["event"] == "webhook_sent"]
    assert {entry["error"] for entry in sent} == {None, "not_connected"}
    assert "abc123" not in str(log)
    assert secret not in str(log)
