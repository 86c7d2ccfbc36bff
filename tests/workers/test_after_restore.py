"""An old backup comes back: whoever was called since is not called again, and the money is what it was."""

import asyncio
import csv
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.bootstrap import Container, open_restoring
from app.domain.accounts import Account, AccountStatus
from app.domain.batches import Batch, BatchStatus, ScheduleType
from app.domain.jobs import Job, JobState
from app.domain.outcomes import Disposition
from app.domain.provider_errors import ProviderError
from app.domain.restoring import HELD
from app.domain.workers import WorkerState
from app.integrations.retell import client
from app.repositories.indexes import INDEXES
from app.repositories.workers import MongoWorkers
from app.services.restoring import COMPLETE_FOR, NoCallsListed, Restored, Restoring, WorkersAtWork
from scripts.after_restore import COLUMNS, cli
from tests.unit.test_diagnosis import vitals
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    Worker,
    dies_at,
    has_status,
    let_lease_expire,
    numbers,
    until,
)
from tests.workers.test_recurring import DAILY

Backup = dict[str, list[dict[str, Any]]]
COLLECTIONS = [*(set(INDEXES) - {"secrets"}), "provider_limits", "from_numbers"]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Operator:
    container: Container
    simulator: RunningSimulator

    @property
    def database(self) -> Any:
        return self.container.database

    async def dump(self) -> Backup:
        return {name: await self.database.collection(name).find({}).to_list() for name in COLLECTIONS}

    async def restore(self, backup: Backup) -> None:
        for name, documents in backup.items():
            await self.database.collection(name).delete_many({})
            if documents:
                await self.database.collection(name).insert_many(documents)

    @asynccontextmanager
    async def restoring(self, **changes: Any) -> AsyncIterator[Restoring]:
        settings = self.container.settings.model_copy(update={"retell_base_url": self.simulator.url, **changes})
        async with open_restoring(replace(self.container, settings=settings)) as restoring:
            yield restoring

    async def recover(self, **changes: Any) -> Restored:
        async with self.restoring(**changes) as restoring:
            return await restoring.recover(LONG_AGO)

    async def recover_all(self) -> Restored:
        """Again and again, as long as details of calls are still to come."""
        settled = 0
        async with asyncio.timeout(30):
            while True:
                restored = await self.recover()
                settled += restored.settled
                if restored.is_done:
                    return replace(restored, settled=settled)
                await asyncio.sleep(0.1)

    async def release(self) -> None:
        for account_id in [a["_id"] for a in await self.database.collection("accounts").find({}).to_list()]:
            await self.container.accounts.change(account_id, {"status": AccountStatus.ACTIVE})

    async def calls(self) -> Counter[str]:
        return Counter(create["to_number"] for create in await self.simulator.creates())

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        settings = self.container.settings
        known = {
            "MONGODB_URI": settings.mongodb_uri.get_secret_value(),
            "MONGODB_DATABASE": settings.mongodb_database,
            "RETELL_BASE_URL": self.simulator.url,
            "RETELL_API_KEY": "key_test",
            "RETELL_FROM_NUMBER": "+56225550100",
        }
        result = CliRunner().invoke(cli, arguments, env=known | environment)
        return result.exit_code, result.output


@pytest.fixture
def operator(container: Container, simulator: RunningSimulator) -> Operator:
    return Operator(container, simulator)


async def work_until(worker: Worker, fact: Callable[[], Awaitable[bool]]) -> None:
    async with worker.running():
        await until(fact)


async def campaign(campaigns: Campaigns, simulator: RunningSimulator, **changes: Any) -> tuple[Account, Batch]:
    """Six contacts, each with another fate."""
    account = await campaigns.account()
    answers, late, nobody, invalid, wants_peace, declines = phones = numbers(6)
    await simulator.script(
        {
            answers: ["user_hangup"],
            late: ["dial_busy", "user_hangup"],
            nobody: ["dial_no_answer"],
            invalid: ["invalid_destination"],
            wants_peace: ["user_requested_dnc"],
            declines: ["user_declined", "voicemail_reached", "user_hangup"],
        }
    )
    return account, await campaigns.batch(account, [[phone] for phone in phones], **changes)


async def test_nobody_is_called_again_and_the_books_are_as_they_were(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LIST_PAGE", 4)
    account, batch = await campaign(campaigns, simulator, budget=Decimal(50))
    backup = await operator.dump()
    await work_until(await campaigns.worker("before"), lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
    jobs, calls = await campaigns.jobs(batch), await operator.calls()
    spent = (await campaigns.container.accounts.get(account.account_id)).funds
    on_list = await operator.database.collection("do_not_call").count_documents({})
    assert sum(calls.values()) == 11

    await operator.restore(backup)
    restored = await operator.recover_all()
    assert (restored.settled, restored.not_covered, restored.strays) == (11, 0, [])
    await operator.release()
    await work_until(await campaigns.worker("after"), lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert await operator.calls() == calls
    again = await campaigns.jobs(batch)
    assert [(job.state, job.attempts, job.disposition) for job in again] == [
        (job.state, job.attempts, job.disposition) for job in jobs
    ]
    assert [[record.attempt_id for record in job.history] for job in again] == [
        [record.attempt_id for record in job.history] for job in jobs
    ]
    assert (await campaigns.container.accounts.get(account.account_id)).funds == spent
    assert await operator.database.collection("do_not_call").count_documents({}) == on_list == 1
    await campaigns.assert_ledger_exact(account)


@pytest.mark.parametrize("reached", [JobState.LEASED, JobState.DIALING, JobState.IN_CALL, JobState.SETTLING])
async def test_a_job_that_the_backup_shows_in_a_workers_hands(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator, reached: JobState
) -> None:
    """Its attempt ended and it was called once more, all of it after the backup."""
    account = await campaigns.account()
    (phone,) = numbers(1)
    await simulator.script({phone: ["dial_no_answer", "user_hangup"]})
    batch = await campaigns.batch(account, [[phone]])
    before = await campaigns.worker("before")
    (job,) = await before.work.claim(1)
    steps = {JobState.DIALING: "intend", JobState.IN_CALL: "mark_in_call", JobState.SETTLING: "settle"}
    if reached is not JobState.LEASED:
        await dies_at(before.work._queue, steps[reached], before.work._advance(job), after=True)
    assert (await campaigns.job(batch)).state is reached
    await let_lease_expire(campaigns, job)
    backup = await operator.dump()
    await work_until(await campaigns.worker("next"), lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))
    calls, ids = await operator.calls(), [record.attempt_id for record in (await campaigns.job(batch)).history]

    await operator.restore(backup)
    await operator.recover_all()
    await operator.release()
    await work_until(await campaigns.worker("after"), lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert await operator.calls() == calls
    now = await campaigns.job(batch)
    assert [record.attempt_id for record in now.history] == ids
    assert (now.state, now.attempts) == (JobState.COMPLETED, 2)
    await campaigns.assert_ledger_exact(account)


async def test_a_call_that_goes_on_is_left_to_workers_who_follow_it_though_the_account_is_held(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await campaigns.account(limit=1)
    phone, other = numbers(2)
    await simulator.script({phone: [{"stuck": "ongoing"}]})
    batch = await campaigns.batch(account, [[phone], [other]])
    backup = await operator.dump()
    before = await campaigns.worker("before")
    (job,) = await before.work.claim(1)
    await dies_at(before.work._queue, "mark_in_call", before.work._advance(job), after=True)

    await operator.restore(backup)
    assert (await operator.recover()).left_to_workers == 1
    assert (await operator.recover()).left_to_workers == 0  # nothing is forgotten any more
    called = await _job_of(campaigns, batch, phone)
    assert called.state is JobState.IN_CALL
    assert list((await campaigns.container.accounts.get(account.account_id)).reservations) == [called.attempt_id]

    async with (await campaigns.worker("after")).running():
        (call,) = simulator.simulator.calls.all()
        await simulator.http.post(f"/v2/stop-call/{call.call_id}", headers={"Authorization": "Bearer key_test"})
        await until(lambda: _has_ended(campaigns, batch, phone))
    assert await operator.calls() == Counter({phone: 1})
    assert (await _job_of(campaigns, batch, other)).state is JobState.PENDING
    await campaigns.assert_ledger_exact(account)


async def _job_of(campaigns: Campaigns, batch: Batch, phone: str) -> Job:
    (job,) = [job for job in await campaigns.jobs(batch) if phone in job.contact.phones]
    return job


async def _has_ended(campaigns: Campaigns, batch: Batch, phone: str) -> bool:
    return bool((await _job_of(campaigns, batch, phone)).history)


async def test_a_batch_that_the_backup_does_not_have_is_named(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator, tmp_path: Path
) -> None:
    account = await campaigns.account()
    answers, nobody = phones = numbers(2)
    await simulator.script({nobody: ["dial_no_answer"]})
    backup = await operator.dump()
    batch = await campaigns.batch(account, [[phone] for phone in phones], max_attempts=1)
    await work_until(await campaigns.worker("before"), lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    await operator.restore(backup)
    file = tmp_path / "strays.csv"
    code, output = await asyncio.to_thread(operator.run, "--since", "2020-01-01T00:00:00Z", "--strays", str(file))
    assert code == 0, output
    assert f"does not have: 2 (see {file})" in output
    with file.open(encoding="utf-8") as read:
        rows = list(csv.DictReader(read))
    assert tuple(rows[0]) == COLUMNS
    assert {row["phone"]: row["ended_by"] for row in rows} == {answers: "user_hangup", nobody: "dial_no_answer"}
    assert {(row["account_id"], row["batch_id"]) for row in rows} == {(account.account_id, batch.batch_id)}


async def test_occurrences_of_a_series_that_passed_are_left_out(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """The run that was made after the backup is forgotten: made again it would call all its contacts again."""
    account = await campaigns.account()
    series = await campaigns.batch(account, [numbers(1)], schedule_type=ScheduleType.RECURRING, recurring=DAILY)
    backup = await operator.dump()

    async def ran() -> bool:
        done: int = await operator.database.collection("jobs").count_documents({"state": "completed"})
        return done == 1

    await work_until(await campaigns.worker("before"), ran)
    await operator.restore(backup)
    assert (await operator.recover()).series == [series.batch_id]
    await operator.release()

    stored = await campaigns.stored(series)
    assert stored.next_run_at is not None
    assert stored.next_run_at > campaigns.container.clock.now()
    await (await campaigns.worker("after")).runner().run_once()
    assert await operator.calls() == Counter(numbers(1))


async def test_money_that_the_backup_does_not_have_is_not_charged(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await campaigns.account(funds=0)
    batch = await campaigns.batch(account, [numbers(1)])
    backup = await operator.dump()
    await campaigns.container.accounts.top_up(
        account.account_id, bought_credits=Decimal(100), bought_minutes=Decimal(0), idempotency_key=None
    )
    await work_until(await campaigns.worker("before"), lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    await operator.restore(backup)
    restored = await operator.recover_all()
    assert (restored.settled, restored.not_covered) == (1, 1)
    assert (await campaigns.job(batch)).disposition is Disposition.ANSWERED
    await campaigns.assert_ledger_exact(account)


async def test_an_import_that_goes_on_is_waited_for(operator: Operator, campaigns: Campaigns) -> None:
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    await operator.database.collection("batches").update_one({"_id": batch.batch_id}, {"$set": {"status": "importing"}})
    restored = await operator.recover()
    assert (restored.importing, restored.is_done) == ([batch.batch_id], False)


async def test_all_accounts_are_held_whatever_retell_answers_and_only_those_are_released(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    calling, other = await campaigns.account(), await campaigns.account()
    suspended = {"status": AccountStatus.SUSPENDED, "suspension_reason": "Falta de pago"}
    await campaigns.container.accounts.change(other.account_id, suspended)
    await campaigns.batch(calling, [numbers(1)])
    await simulator.knobs(read_faults=[{"status_code": 500}])
    with pytest.raises(ProviderError):
        await operator.recover()
    held = await campaigns.container.accounts.get(calling.account_id)
    assert (held.status, held.suspension_reason) == (AccountStatus.SUSPENDED, HELD)

    since = ("--since", "2020-01-01T00:00:00Z")
    code, output = await asyncio.to_thread(operator.run, *since)
    assert (code, "no account calls" in output) == (2, True)
    code, output = await asyncio.to_thread(operator.run, "--release", "--account", other.account_id)
    assert (code, other.account_id in output) == (2, True)
    code, output = await asyncio.to_thread(operator.run, "--release")
    assert (code, "--although-not-recovered" in output) == (2, True)
    assert (await campaigns.container.accounts.get(calling.account_id)).status is AccountStatus.SUSPENDED
    code, output = await asyncio.to_thread(operator.run, "--release", "--although-not-recovered")
    assert (code, output) == (0, f"{calling.account_id} may call again\n")
    found = await campaigns.container.accounts.get_many([calling.account_id, other.account_id])
    assert found[calling.account_id].status is AccountStatus.ACTIVE
    assert found[calling.account_id].suspension_reason is None
    assert found[other.account_id].suspension_reason == "Falta de pago"


async def test_accounts_are_released_once_everything_was_found_and_not_long_after(
    operator: Operator, campaigns: Campaigns
) -> None:
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    batches, recoveries = (operator.database.collection(name) for name in ("batches", "recoveries"))

    async def is_released() -> bool:
        code, output = await asyncio.to_thread(operator.run, "--release")
        assert (code, "may call again" in output) in {(0, True), (2, False)}
        return code == 0

    assert (await operator.recover()).is_done
    # Once more, and now something is found that is not over: what was known before counts no more.
    await batches.update_one({"_id": batch.batch_id}, {"$set": {"status": "importing"}})
    assert not (await operator.recover()).is_done
    assert not await is_released()
    await batches.update_one({"_id": batch.batch_id}, {"$set": {"status": "running"}})
    assert (await operator.recover()).is_done
    # As in a backup that was itself made after a restoring.
    just_now = (await recoveries.find_one({}))["finished_at"]
    await recoveries.update_one({}, {"$set": {"finished_at": just_now - COMPLETE_FOR}})
    assert not await is_released()
    await recoveries.update_one({}, {"$set": {"finished_at": just_now}})
    assert await is_released()


async def test_a_list_without_the_calls_that_are_known_is_not_believed(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """The key of another workspace: nothing would seem to be forgotten."""
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)], retry_delay_hours=24)
    await simulator.script({numbers(1)[0]: ["dial_busy"]})

    async def called() -> bool:
        return bool((await campaigns.job(batch)).history)

    await work_until(await campaigns.worker("before"), called)
    await simulator.knobs(list_not_connected=False)
    with pytest.raises(NoCallsListed):
        await operator.recover()
    code, output = await asyncio.to_thread(operator.run, "--since", "2020-01-01T00:00:00Z")
    assert (code, "RETELL_API_KEY" in output) == (2, True)
    await simulator.knobs(list_not_connected=True)
    assert (await operator.recover()).is_done


async def test_a_list_that_is_throttled_is_read_to_its_end(
    operator: Operator, campaigns: Campaigns, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "THROTTLED_SECONDS", (0, 0, 0))
    await campaigns.batch(await campaigns.account(), [numbers(1)])
    await simulator.knobs(read_faults=[{"status_code": 429, "count": 3}])
    assert (await operator.recover()).batches == 1


async def test_it_refuses_to_begin_while_workers_may_call(operator: Operator, campaigns: Campaigns) -> None:
    account = await campaigns.account()
    workers = MongoWorkers(operator.database)
    await workers.note("w:1", vitals())
    with pytest.raises(WorkersAtWork, match="w"):
        await operator.recover()
    code, output = await asyncio.to_thread(operator.run, "--since", "2020-01-01T00:00:00Z")
    assert (code, "Stop all of them" in output) == (2, True)
    assert (await campaigns.container.accounts.get(account.account_id)).status is AccountStatus.ACTIVE

    await workers.note("w:1", vitals(state=WorkerState.STOPPED))
    assert (await operator.recover()).held_accounts == 1
    # From here on they may: they follow what is in progress, and call nobody.
    await workers.note("w:2", vitals())
    assert (await operator.recover()).is_done


async def test_without_a_time_it_does_nothing(operator: Operator, campaigns: Campaigns) -> None:
    account = await campaigns.account()
    for arguments in ((), ("--since", "yesterday"), ("--since", "2026-11-23T03:00:00")):
        code, output = await asyncio.to_thread(operator.run, *arguments)
        assert (code, "with its zone" in output) == (2, True), output
    assert (await campaigns.container.accounts.get(account.account_id)).status is AccountStatus.ACTIVE
