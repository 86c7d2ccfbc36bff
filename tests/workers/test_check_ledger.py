"""check_ledger finds every number that was changed behind its back, names it, and is not fooled by work in progress."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from app.bootstrap import Container
from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus
from app.domain.errors import NotFound
from app.domain.jobs import Job, JobState
from app.services.reconciling import Report
from scripts.check_ledger import cli
from tests.workers.conftest import Campaigns, RunningSimulator, dies_at, has_status, leased, numbers, until


@dataclass
class Books:
    """A campaign that is over, and the documents that tell of it."""

    container: Container
    account: Account
    batch: Batch
    job: Job

    async def set(self, collection: str, document_id: str, update: dict[str, Any]) -> None:
        result = await self.container.database.collection(collection).update_one({"_id": document_id}, update)
        assert result.modified_count == 1

    async def check(self) -> Report:
        return await self.container.reconciling.check(self.account.account_id, second_look_after=0)

    @property
    def attempt(self) -> str:
        return self.job.history[0].attempt_id


@pytest.fixture
async def books(campaigns: Campaigns, simulator: RunningSimulator) -> Books:
    account = await campaigns.account()
    batch = await campaigns.batch(account, [[n] for n in numbers(2)], budget=Decimal(50))
    worker = await campaigns.worker()
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
    return Books(campaigns.container, account, batch, (await campaigns.jobs(batch))[0])


async def test_books_that_agree(books: Books) -> None:
    report = await books.check()
    assert report.differences == []
    assert (report.accounts, report.entries, report.attempts, report.in_progress) == (1, 2, 2, 0)


async def test_books_agree_when_the_batch_was_deleted(books: Books) -> None:
    await books.container.batch_deletion.delete(books.batch.batch_id, delete_jobs=True, user="ana")
    report = await books.check()
    assert report.differences == []
    assert (report.entries, report.attempts) == (2, 2)


Change = Callable[[Books], Awaitable[None]]


def field(collection: str, name: str, by: str = "0.0001") -> Change:
    """Change one number of the account, the batch or the attempt's entry, a little."""

    async def change(books: Books) -> None:
        ids = {"accounts": books.account.account_id, "batches": books.batch.batch_id, "transactions": books.attempt}
        await books.set(collection, ids[collection], {"$inc": {name: Decimal(by)}})

    return change


def update(collection: str, subject: Callable[[Books], str], changes: dict[str, Any]) -> Change:
    async def change(books: Books) -> None:
        await books.set(collection, subject(books), changes)

    return change


async def remove_job(books: Books) -> None:
    await books.container.database.collection("jobs").delete_one({"_id": books.job.job_id})


async def remove_entry(books: Books) -> None:
    await books.container.database.collection("transactions").delete_one({"_id": books.attempt})


async def add_entry(books: Books) -> None:
    transactions = books.container.database.collection("transactions")
    entry = await transactions.find_one({"_id": books.attempt})
    assert entry is not None
    await transactions.insert_one(entry | {"_id": "once more"})


async def remove_account(books: Books) -> None:
    await books.container.database.collection("accounts").delete_one({"_id": books.account.account_id})


def account_id(books: Books) -> str:
    return books.account.account_id


def job_id(books: Books) -> str:
    return books.job.job_id


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (field("accounts", "funds.credits_purchased"), "credits_purchased_is_wrong"),
        (field("accounts", "funds.minutes_purchased"), "minutes_purchased_is_wrong"),
        (field("accounts", "funds.credits_used"), "credits_used_is_wrong"),
        (field("accounts", "funds.minutes_used"), "minutes_used_is_wrong"),
        (field("accounts", "funds.total_spent"), "total_spent_is_wrong"),
        (field("accounts", "funds.free"), "free_is_wrong"),
        (field("batches", "budget_used"), "budget_used_is_wrong"),
        (field("transactions", "amount"), "credits_used_is_wrong"),
        (field("transactions", "cost"), "cost_is_not_the_ledgers"),
        (remove_entry, "attempt_not_in_ledger"),
        (add_entry, "entry_without_attempt"),
        (remove_job, "entry_without_job"),
        (remove_account, "entries_without_account"),
        (update("jobs", job_id, {"$set": {"history.0.cost": Decimal(9)}}), "cost_is_not_the_ledgers"),
        (update("jobs", job_id, {"$set": {"history": []}}), "entry_without_attempt"),
        (
            update("transactions", lambda books: books.attempt, {"$set": {"job_id": "another"}}),
            "entry_is_of_another_job",
        ),
        (update("accounts", account_id, {"$set": {"reservations.x": Decimal(1)}}), "reservation_without_job"),
        (
            update("batches", lambda books: books.batch.batch_id, {"$set": {"budget_reservations.x": Decimal(1)}}),
            "budget_reservation_without_job",
        ),
    ],
)
async def test_every_changed_number_is_found_and_named(books: Books, change: Change, rule: str) -> None:
    await change(books)
    found = (await books.check()).differences
    assert rule in {difference.rule for difference in found}
    assert {difference.account_id for difference in found} == {books.account.account_id}


async def test_a_difference_names_the_attempt_and_the_amounts(books: Books) -> None:
    cost = books.job.history[0].cost
    await field("transactions", "cost", by="1")(books)
    found = {difference.rule: difference for difference in (await books.check()).differences}
    named = found["cost_is_not_the_ledgers"]
    assert (named.subject, named.expected, named.found) == (books.attempt, f"cost {cost + 1}", f"cost {cost}")
    assert Decimal(found["total_spent_is_wrong"].expected) - Decimal(found["total_spent_is_wrong"].found) == 1


@pytest.mark.parametrize(
    ("update", "rule"),
    [
        ({"$set": {"reservations": {}}}, "call_without_reservation"),
        ({"$inc": {"reservations.{attempt}": Decimal(1)}}, "reservation_is_not_the_attempts"),
    ],
)
async def test_a_call_in_progress_whose_reservation_was_changed(
    campaigns: Campaigns, simulator: RunningSimulator, update: dict[str, Any], rule: str
) -> None:
    worker = await campaigns.worker()
    _, job = await leased(campaigns, worker)
    assert await worker.work._dialing.dial(job) is not None
    assert (await campaigns.container.reconciling.check(job.account_id, second_look_after=0)).differences == []
    named = {
        operator: {name.format(attempt=job.attempt_id): value for name, value in fields.items()}
        for operator, fields in update.items()
    }
    await campaigns.container.database.collection("accounts").update_one({"_id": job.account_id}, named)
    found = (await campaigns.container.reconciling.check(job.account_id, second_look_after=0)).differences
    assert {difference.subject for difference in found if difference.rule == rule} == {job.attempt_id}


async def test_a_charge_on_its_way_is_in_progress_and_no_difference(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    worker = await campaigns.worker()
    batch, job = await leased(campaigns, worker, budget=Decimal(5))
    in_call = await worker.work._dialing.dial(job)
    assert in_call is not None
    settling = await worker.work._following.follow(in_call)
    assert settling is not None
    await dies_at(worker.work._settling._funding._accounts, "settle", worker.work._settling.apply(settling))

    report = await campaigns.container.reconciling.check(job.account_id, second_look_after=0)
    assert (report.in_progress, report.entries, report.differences) == (1, 1, [])

    transactions = campaigns.container.database.collection("transactions")
    await transactions.update_one({"_id": job.attempt_id}, {"$inc": {"cost": Decimal(1)}})
    report = await campaigns.container.reconciling.check(job.account_id, second_look_after=0)
    assert [difference.rule for difference in report.differences] == ["entry_is_not_the_settlements"]
    assert (await campaigns.job(batch)).state is JobState.SETTLING


async def test_it_agrees_at_any_moment_of_a_campaign(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    account = await campaigns.account(limit=8)
    batches = [
        await campaigns.batch(account, [[n] for n in numbers(25)], budget=Decimal(50)),
        await campaigns.batch(account, [[n] for n in numbers(25, 100)]),
    ]
    one, two = await campaigns.worker("one"), await campaigns.worker("two")
    looks = 0
    async with one.running(), two.running():
        while not all([await has_status(campaigns, batch, BatchStatus.COMPLETED) for batch in batches]):
            report = await campaigns.container.reconciling.check(second_look_after=0.5)
            assert report.differences == []
            looks += 1
    assert looks > 1
    await campaigns.assert_ledger_exact(account)


async def test_an_account_that_nobody_knows(container: Container) -> None:
    with pytest.raises(NotFound):
        await container.reconciling.check("nobody")


async def test_an_empty_database_agrees(container: Container) -> None:
    assert await container.reconciling.check() == Report()


# The command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", container.settings.mongodb_uri.get_secret_value())
    monkeypatch.setenv("MONGODB_DATABASE", container.settings.mongodb_database)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["--second-look-after", "0", *arguments])
    return result.exit_code, result.output


async def test_the_command_tells_by_its_exit_code(books: Books, environment: None) -> None:
    code, text = await asyncio.to_thread(run)
    assert (code, "Everything agrees" in text) == (0, True)
    await field("accounts", "funds.free")(books)
    code, text = await asyncio.to_thread(run, "--account", books.account.account_id, "--json")
    assert code == 1
    (difference,) = json.loads(text)["differences"]
    assert (difference["rule"], difference["account_id"]) == ("free_is_wrong", books.account.account_id)
    code, text = await asyncio.to_thread(run)
    assert (code, "1 differences" in text) == (1, True)
    assert (await asyncio.to_thread(run, "--account", "nobody"))[0] == 2


def test_a_database_that_is_away_is_no_verdict(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:9/?replicaSet=rs0")
    monkeypatch.setenv("MONGODB_TIMEOUT_SECONDS", "0.2")
    assert run()[0] == 2
