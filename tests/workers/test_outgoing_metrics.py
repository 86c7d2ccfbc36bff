"""What customers' webhooks are told, as monitoring sees it, against what their receiver has on record."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.bootstrap import Container
from app.repositories.accounts import MongoAccounts
from app.repositories.overview import MongoOverviews
from app.repositories.webhooks import MongoWebhooks
from tests.builders import FakeTime, make_account
from tests.profiling import profiled
from tests.samples import Samples
from tests.workers.outgoing import outgoing_worker, step, subscribed, webhooks_to_anywhere
from tests.workers.receiver import Receiver, receiving

REQUESTS, DELIVERIES = "cadencia_webhook_request_seconds_count", "cadencia_webhook_deliveries_total"
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def scraped(container: Container, time: FakeTime) -> Samples:
    container.metrics.show(await MongoOverviews(container.database).look(time.now()), time.now())
    return Samples(container.metrics.render())


async def test_what_is_sent_delivered_and_given_up_is_counted(container: Container, receiver: Receiver) -> None:
    time = FakeTime(container.clock.now().replace(microsecond=0))
    account = make_account()
    await MongoAccounts(container.database).insert(account)
    service = webhooks_to_anywhere(container, time)
    well, _ = await subscribed(container, account, f"{receiver.url}/well", time=time)
    down, _ = await subscribed(container, account, f"{receiver.url}/down", time=time)
    gone, _ = await subscribed(container, account, f"{receiver.url}/gone", time=time)
    nowhere, _ = await subscribed(container, account, "http://127.0.0.1:9/", time=time)
    receiver.answers = {"/down": (503, {}, b""), "/gone": (410, {}, b"")}
    before = await scraped(container, time)
    for webhook in (well, well, down, gone, nowhere):
        await service.ping(account.account_id, webhook.webhook_id)

    waiting = await scraped(container, time)
    time.advance(3 * MINUTE)
    async with outgoing_worker(container, time=time) as outgoing:
        await step(outgoing)
    after = await scraped(container, time)

    assert waiting("cadencia_webhook_deliveries_pending") == 5
    assert waiting("cadencia_webhook_oldest_seconds") == 0
    # What is down or nowhere is tried again. That 410 wants nothing more: its events wait for nobody.
    assert after("cadencia_webhook_deliveries_pending") == 2
    assert after("cadencia_webhook_oldest_seconds") == 180
    assert after.by("state", "cadencia_webhooks") == {"failing": 2, "switched_off": 1}

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    problems = {"none": 2, "http_5xx": 1, "http_4xx": 1, "not_connected": 1}
    assert {problem: more(REQUESTS, problem=problem) for problem in problems} == problems
    assert more(DELIVERIES, result="delivered") == len(receiver.of("/well")) == 2
    assert more(DELIVERIES, result="given_up") == len(receiver.of("/gone")) == 1
    for private in (receiver.url, well.webhook_id, account.account_id):
        assert private not in after.text.replace('account_id="', "")


async def test_what_waits_for_a_webhook_that_is_off_is_not_late(container: Container) -> None:
    time = FakeTime(container.clock.now().replace(microsecond=0))
    account = make_account()
    await MongoAccounts(container.database).insert(account)
    service = webhooks_to_anywhere(container, time)
    kept, _ = await subscribed(container, account, "http://127.0.0.1:9/kept", time=time)
    off, _ = await subscribed(container, account, "http://127.0.0.1:9/off", time=time)
    await service.ping(account.account_id, off.webhook_id)
    time.advance(10 * MINUTE)
    for _ in range(50):
        await service.ping(account.account_id, kept.webhook_id)
    assert (await scraped(container, time))("cadencia_webhook_oldest_seconds") == 600
    await MongoWebhooks(container.database).update(off.webhook_id, {"is_active": False})

    async with profiled(container.database) as operations:
        seen = await MongoOverviews(container.database).look(time.now())

    assert (seen.outgoing.pending, seen.outgoing.oldest(time.now()), seen.outgoing.switched_off) == (50, 0, 0)
    asked = [operation for operation in operations if operation.collection.startswith("webhook")]
    assert asked
    # From indexes alone, as many keys as there is to count.
    assert not [operation for operation in asked if "COLLSCAN" in operation.plan or operation.sorts]
    assert sum(operation.docs for operation in asked) <= 2
    assert sum(operation.keys for operation in asked) <= 50 + 10
