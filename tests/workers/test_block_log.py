"""The batch's log tells of every block and of its end once, however often workers look."""

import pytest

from app.domain.accounts import AccountStatus
from app.domain.batches import Batch
from app.repositories.batches import MongoBatches
from tests.workers.conftest import ALWAYS, Campaigns, Worker, closed_hours, numbers

CREATED = ["batch_created", "batch_started"]


async def look(campaigns: Campaigns, worker: Worker, batch: Batch, times: int = 3) -> int:
    """Jobs that the worker found in so many looks at the batch."""
    found = 0
    for _ in range(times):
        await MongoBatches(campaigns.container.database).wake(batch.batch_id, campaigns.container.clock.now())
        found += len(await worker.work.claim(10))
    return found


async def events(campaigns: Campaigns, batch: Batch) -> list[tuple[str, str]]:
    """What the system wrote besides the batch's creation, oldest first."""
    entries, _ = await campaigns.container.batches.logs(batch.batch_id, limit=100, skip=0)
    return [
        (entry.event, entry.message.code)
        for entry in reversed(entries)
        if entry.event not in {*CREATED, "batch_edited"}
    ]


@pytest.mark.parametrize("contacts", [1, 30], ids=["some places stay free", "every place is taken"])
async def test_closed_hours_are_logged_once_and_so_is_their_opening(campaigns: Campaigns, contacts: int) -> None:
    worker = await campaigns.worker()
    people = [[phone] for phone in numbers(contacts)]
    batch = await campaigns.batch(await campaigns.account(limit=5), people, hours=closed_hours(campaigns))
    assert await look(campaigns, worker, batch) == 0
    assert await events(campaigns, batch) == [("batch_blocked", "hours_closed")]

    changes = {"call_settings.hours": ALWAYS}
    await campaigns.container.batches.change(batch.batch_id, changes, is_active=None, user="test")
    assert await look(campaigns, worker, batch) > 0
    assert (await events(campaigns, batch))[1:] == [("batch_unblocked", "batch_unblocked")]
    assert (await campaigns.stored(batch)).block is None


async def test_a_suspension_and_its_end_are_logged_once(campaigns: Campaigns) -> None:
    worker = await campaigns.worker()
    account = await campaigns.account()
    batch = await campaigns.batch(account, [numbers(1)])
    accounts = campaigns.container.accounts
    await accounts.change(account.account_id, {"status": AccountStatus.SUSPENDED})
    assert await look(campaigns, worker, batch) == 0
    await accounts.change(account.account_id, {"status": AccountStatus.ACTIVE})
    assert await look(campaigns, worker, batch) == 1
    assert await events(campaigns, batch) == [
        ("batch_blocked", "account_suspended"),
        ("batch_unblocked", "batch_unblocked"),
    ]
