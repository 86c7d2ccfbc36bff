"""What many jobs ask MongoDB at the same time is asked once, and each gets what is its own."""

import asyncio
from datetime import timedelta

import pytest
from pydantic import ValidationError

from app.bootstrap import Container
from app.domain.batches import Pace
from app.domain.jobs import Job
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.do_not_call import MongoDoNotCallList
from app.repositories.documents import to_document
from app.repositories.job_queue import MongoJobQueue
from tests.builders import NOW, make_account, make_batch, make_contact, make_job, phone


async def test_an_unreadable_entry_stops_only_the_calls_that_it_may_forbid(container: Container) -> None:
    entries = container.database.collection("do_not_call")
    entry = {"account_id": "acc-1", "source": "manual", "created_at": NOW, "created_by": "ana"}
    await entries.insert_many(
        [{"_id": "1", "key": phone(1), "account_id": "acc-1"}, {"_id": "2", "key": phone(2), **entry}]
    )
    lists = MongoDoNotCallList(container.database)

    # The first is asked alone; the others while it is answered, together.
    asked = (lists.standing("acc-1", [phone(number)]) for number in (3, 1, 2, 3))
    alone, unreadable, listed, free = await asyncio.gather(*asked, return_exceptions=True)

    assert alone == free == []
    assert isinstance(unreadable, ValidationError)
    assert isinstance(listed, list)
    assert [found.key for found in listed] == [phone(2)]


async def test_each_is_told_of_the_calls_to_its_own_person(container: Container) -> None:
    stored = container.database.collection("jobs")
    pairs = [
        make_job(job_id=f"job-{number}", slot=number, contact=make_contact([phone(number % 3)])) for number in range(6)
    ]
    await stored.insert_many([to_document(job) for job in pairs])
    queue = MongoJobQueue(container.database)

    async def others(job: Job) -> list[str]:
        return [other.job_id for other in await queue.others_of_person(job, since=None)]

    assert await asyncio.gather(*map(others, pairs)) == [[f"job-{(number + 3) % 6}"] for number in range(6)]


async def test_wakings_put_together_lose_no_call_and_no_time(container: Container) -> None:
    batches = MongoBatches(container.database)
    asleep = make_batch(wake_at=NOW + timedelta(days=1))
    await batches.insert(asleep)
    minutes = [timedelta(minutes=number) for number in (5, 1, 3, 2)]

    await asyncio.gather(
        *(batches.wake(asleep.batch_id, NOW + span, Pace(calls=1, seconds=2.5, ended=1)) for span in minutes)
    )

    awake = await batches.get(asleep.batch_id)
    assert awake is not None
    assert (awake.wake_at, awake.pace) == (NOW + minutes[1], Pace(calls=4, seconds=10, ended=4))
    # Also one that was read before the last waking is not put to sleep on those facts.
    assert not await batches.sleep(asleep, None, None)


async def test_what_was_written_before_asking_is_in_the_answer(container: Container) -> None:
    accounts = MongoAccounts(container.database)
    await accounts.insert(make_account(account_name="0"))

    async def renamed_and_read(name: str) -> str:
        await accounts.update("acc-1", {"account_name": name})
        account = await accounts.get("acc-1")
        assert account is not None
        return account.account_name

    for number in range(20):
        _, read = await asyncio.gather(accounts.get("acc-1"), renamed_and_read(str(number)))
        assert read == str(number)


@pytest.mark.parametrize("name", ["acc-1", "acc-2"])
async def test_accounts_are_not_mixed_up(container: Container, name: str) -> None:
    accounts = MongoAccounts(container.database)
    await accounts.insert(make_account(account_id="acc-1"))

    found = await asyncio.gather(*(accounts.get(name) for _ in range(5)))

    assert [account and account.account_id for account in found] == ["acc-1" if name == "acc-1" else None] * 5


async def test_calls_to_a_person_of_another_account_are_nobodys_business(container: Container) -> None:
    stored = container.database.collection("jobs")
    both = [
        make_job(job_id=f"job-{name}", account_id=name, slot=0, contact=make_contact([phone(1)]))
        for name in ("acc-1", "acc-2")
    ]
    mine = make_job(job_id="job-again", slot=1, contact=make_contact([phone(1)]))
    await stored.insert_many([to_document(job) for job in [*both, mine]])
    queue = MongoJobQueue(container.database)

    answers = await asyncio.gather(*(queue.others_of_person(job, since=None) for job in [*both, mine]))

    assert [[other.job_id for other in others] for others in answers] == [["job-again"], [], ["job-acc-1"]]
