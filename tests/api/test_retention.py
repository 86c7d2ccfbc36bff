"""Erasing by age: whole batches that are over, never sooner than promised, and every figure stays as it was."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from app.bootstrap import Container
from app.domain.batches import BatchStatus
from app.domain.do_not_call import DoNotCallEntry, DoNotCallSource
from app.domain.jobs import FINAL, JobState
from app.domain.messages import Message
from app.domain.person_caps import CapCounts, CapPeriod, PersonCap
from app.domain.privacy import Retention, in_force
from app.repositories.accounts import MongoAccounts
from app.repositories.aged_entries import MongoAgedEntries
from app.repositories.batches import MongoBatches
from app.repositories.do_not_call import MongoDoNotCallList
from app.repositories.jobs import MongoJobs
from app.services import retaining
from app.services.retaining import Retaining
from tests.api import test_statistics
from tests.api.conftest import error_at
from tests.api.test_statistics import World
from tests.builders import FakeTime, make_account, make_batch, make_contact, make_job, make_record, make_report
from tests.personal import mentions
from tests.samples import Samples
from tests.workers.conftest import dies_at

world = test_statistics.world
OLD = timedelta(days=40)
DAY = timedelta(days=1)


@pytest.fixture
def by_age(container: Container, monkeypatch: pytest.MonkeyPatch) -> Retaining:
    """Begins with a look over all accounts, and takes its time at once."""
    service = container.privacy.retaining
    monkeypatch.setattr(service, "_waiting", [])
    monkeypatch.setattr(service, "_next_sweep", container.clock.now())
    monkeypatch.setattr(retaining, "JOBS_A_ROUND", 3)
    return service


async def until_nothing_is_left(container: Container, by_age: Retaining) -> int:
    by_age._next_sweep = by_age._time.now()
    rounds = 0
    while await by_age.round():
        rounds += 1
    return rounds


async def old_batch(container: Container, jobs: int = 7, **changes: Any) -> str:
    """A batch of an account that erases after 30 days, whose jobs called somebody; over for OLD."""
    ended = container.clock.now() - OLD
    days = {name: changes.pop(name) for name in list(changes) if name.endswith("_days")}
    await MongoAccounts(container.database).insert(make_account(**{"retention_days": 30, **days}))
    over = {"status": BatchStatus.COMPLETED, "total_jobs": jobs, "wake_at": None, "finished_at": ended}
    batch = make_batch(**{**over, **changes})
    await MongoBatches(container.database).insert(batch)
    await MongoJobs(container.database).insert_many(
        [
            make_job(
                job_id=f"batch-1-{n:06d}",
                state=JobState.COMPLETED,
                finished_at=ended,
                contact=make_contact([f"+5696111{n:04d}"], name="María Sotomayor"),
                history=[make_record(ended, attempt_id=f"a-{n}", phone=f"+5696111{n:04d}", call_id=f"call-{n}")],
                report=make_report(
                    call_id=f"call-{n}", transcript="User: soy Sotomayor", recording_url=f"https://r.example/{n}.wav"
                ),
            )
            for n in range(1, jobs + 1)
        ]
    )
    return batch.batch_id


async def left(container: Container) -> set[str]:
    found = await mentions(container, digits=["5696111"], words=["sotomayor", "r.example"])
    return {place.partition("/")[0] for place in found}


async def test_figures_ledger_and_past_calls_stay(
    api: httpx.AsyncClient, container: Container, world: World, by_age: Retaining
) -> None:
    jobs, batches, accounts = (container.database.collection(name) for name in ("jobs", "batches", "accounts"))
    # All of it is over, and long ago; figures by day are of when jobs and calls were, which stays as it is.
    await jobs.update_many({"state": {"$nin": [state.value for state in FINAL]}}, {"$set": {"state": "failed"}})
    ended = {"status": "completed", "finished_at": world.now - OLD}
    await batches.update_many({}, {"$set": ended, "$unset": {"wake_at": ""}})
    await accounts.update_many({}, {"$set": {"retention_days": 30}})
    before = await figures(api, world)
    assert await until_nothing_is_left(container, by_age) > 20
    assert await jobs.count_documents({"erased_at": {"$exists": False}}) == 0
    assert await jobs.count_documents({"person_keys.0": {"$exists": True}}) == 0
    assert await figures(api, world) == before
    erased = [(await api.get(f"accounts/{account.account_id}")).json() for account in world.accounts]
    assert sum(account["erased_by_age"]["jobs"] for account in erased if "erased_by_age" in account) == len(world.jobs)
    audited = (await api.get("audit-log", params={"user": "system"})).json()
    assert len(audited) == len(world.batches)
    assert {entry["operation"] for entry in audited} == {"erase_by_age"}


async def figures(api: httpx.AsyncClient, world: World) -> dict[str, Any]:
    found: dict[str, Any] = {"dashboard": (await api.get("dashboard/stats")).json()}
    calls = (await api.get("calls/history", params={"limit": 500})).json()
    found["calls"] = [
        {
            name: value
            for name, value in call.items()
            if name not in {"contact_name", "phone", "to_number", "call_result"}
        }
        for call in calls
    ]
    for account in world.accounts:
        for what in ("stats", "activity", "balance", "transactions"):
            shown = (await api.get(f"accounts/{account.account_id}/{what}")).json()
            if what == "balance":
                shown.pop("estimated_depletion_date")  # counted from now
            found[f"{account.account_id} {what}"] = shown
    for batch in world.batches:
        for what in ("status", "summary"):
            shown = (await api.get(f"batches/{batch.batch_id}/{what}")).json()
            found[f"{batch.batch_id} {what}"] = {name: shown[name] for name in shown.keys() - {"jobs_sample"}}
    return found


async def test_a_batch_goes_in_slices_and_the_calls_at_retell_too(
    api: httpx.AsyncClient, container: Container, by_age: Retaining
) -> None:
    await old_batch(container)
    assert await until_nothing_is_left(container, by_age) == 3
    assert await left(container) == set()
    assert await container.database.collection("provider_copies").count_documents({}) == 7
    reply = (await api.get("accounts/acc-1")).json()
    assert (reply["settings"]["retention_days"], reply["erased_by_age"]["jobs"]) == (30, 7)
    assert await until_nothing_is_left(container, by_age) == 0


async def test_how_late_erasing_is_and_what_was_erased_is_told(container: Container, by_age: Retaining) -> None:
    def told(name: str, **labels: str) -> float:
        return Samples(container.metrics.render())(f"cadencia_{name}", **labels)

    before = told("erased_total", what="jobs")
    await old_batch(container)
    await container.database.collection("batches").update_one(
        {}, {"$set": {"aged.due_at": container.clock.now() + OLD}}
    )
    # Somebody has it, or it waits for something: it is late all the same.
    assert await by_age.round() == 0
    late = timedelta(days=10).total_seconds()
    assert late <= told("erasing_by_age_late_seconds") < late + 3600
    await container.database.collection("batches").update_one({}, {"$unset": {"aged": ""}})
    await until_nothing_is_left(container, by_age)
    await until_nothing_is_left(container, by_age)
    assert told("erasing_by_age_late_seconds") == 0
    assert told("erased_total", what="jobs") == before + 7

    await container.database.collection("batches").update_one({}, {"$unset": {"aged": "", "finished_at": ""}})
    await container.accounts.change("acc-1", {"retention_days": 0})
    await until_nothing_is_left(container, by_age)
    assert told("erasing_by_age_late_seconds") == 0


async def test_entries_that_forbid_nothing_any_more_go_to_the_second(
    container: Container, by_age: Retaining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retaining, "ENTRIES_A_ROUND", 2)
    await MongoAccounts(container.database).insert(make_account(retention_days=30))
    await MongoAccounts(container.database).insert(make_account(account_id="acc-2"))
    time = FakeTime(container.clock.now().replace(microsecond=0))
    monkeypatch.setattr(by_age, "_time", time)
    tick = timedelta(milliseconds=1)
    month = time.now() - timedelta(days=30)
    ends = {
        "over": month - OLD,
        "just": month,
        "not-yet": month + tick,
        "yesterday": time.now() - DAY,
        "for-good": None,
    }
    listed = MongoDoNotCallList(container.database)
    for account_id in ("acc-1", "acc-2", None):
        await listed.add(
            [
                DoNotCallEntry(
                    entry_id=f"dnc-{account_id}-{name}",
                    account_id=account_id,
                    key=f"+5696111000{place}",
                    source=DoNotCallSource.MANUAL,
                    expires_at=expires_at,
                    created_at=month - OLD,
                    created_by="ana",
                )
                for place, (name, expires_at) in enumerate(ends.items())
            ]
        )

    async def left_of(account_id: str | None) -> set[str]:
        entries = container.database.collection("do_not_call").find({"account_id": account_id})
        return {entry["_id"].removeprefix(f"dnc-{account_id}-") async for entry in entries}

    await until_nothing_is_left(container, by_age)
    assert await left_of("acc-1") == {"not-yet", "yesterday", "for-good"}
    # Who has not said how long keeps everything, and so does everybody's list.
    assert await left_of("acc-2") == await left_of(None) == set(ends)
    time.advance(tick)
    await until_nothing_is_left(container, by_age)
    assert await left_of("acc-1") == {"yesterday", "for-good"}

    monkeypatch.setattr(by_age, "_defaults", Retention(personal_days=30))
    await until_nothing_is_left(container, by_age)
    assert await left_of("acc-2") == await left_of(None) == {"yesterday", "for-good"}


async def test_an_entry_that_is_listed_anew_while_it_is_looked_at_stays(
    container: Container, by_age: Retaining
) -> None:
    await MongoAccounts(container.database).insert(make_account(retention_days=30))
    long_ago = container.clock.now() - timedelta(days=60)
    old = DoNotCallEntry(
        entry_id="dnc-1",
        account_id="acc-1",
        key="+56961110001",
        source=DoNotCallSource.MANUAL,
        expires_at=long_ago,
        created_at=long_ago,
        created_by="ana",
    )
    await MongoDoNotCallList(container.database).add([old])
    aged = MongoAgedEntries(container.database)
    delete_many = aged._entries.delete_many

    async def after_it_is_listed(match: Any) -> Any:
        await MongoDoNotCallList(container.database).add([old.model_copy(update={"expires_at": None})])
        return await delete_many(match)

    with patch.object(aged._entries, "delete_many", after_it_is_listed):
        assert await aged.forget("acc-1", container.clock.now() - timedelta(days=30), 10) == 0
    (entry,) = await MongoDoNotCallList(container.database).standing("acc-1", [old.key])
    assert entry.expires_at is None


@pytest.mark.parametrize("method", ["jobs_behind", "erase_jobs", "erase_deliveries"])
async def test_killed_between_two_writes_the_next_one_goes_on(
    container: Container, by_age: Retaining, method: str
) -> None:
    await old_batch(container)
    await dies_at(by_age._data, method, by_age.round(), after=True)
    # Whoever died had it for a minute.
    assert await by_age.round() == 0
    await container.database.collection("batches").update_many({}, {"$set": {"aged.due_at": container.clock.now()}})
    await until_nothing_is_left(container, by_age)
    assert await left(container) == set()
    assert await container.database.collection("provider_copies").count_documents({}) == 7


async def test_links_go_earlier_and_what_was_said_stays(container: Container, by_age: Retaining) -> None:
    links = Samples(container.metrics.render())("cadencia_erased_total", what="recordings")
    batch_id = await old_batch(container, retention_days=60, recording_retention_days=30)
    await until_nothing_is_left(container, by_age)
    job = await MongoJobs(container.database).get(f"{batch_id}-000001")
    assert job is not None
    assert job.report is not None
    assert (job.report.recording_url, job.report.transcript, job.erased_at) == (None, "User: soy Sotomayor", None)
    assert (await container.accounts.get("acc-1")).erased_by_age.recordings == 7
    assert Samples(container.metrics.render())("cadencia_erased_total", what="recordings") == links + 7
    await container.accounts.change("acc-1", {"retention_days": 30})
    await until_nothing_is_left(container, by_age)
    assert await left(container) == set()


async def test_what_is_not_over_is_left_alone(container: Container, by_age: Retaining) -> None:
    batch_id = await old_batch(container, status=BatchStatus.RUNNING)
    assert await until_nothing_is_left(container, by_age) == 0
    batches, jobs = container.database.collection("batches"), container.database.collection("jobs")
    await batches.update_one({"_id": batch_id}, {"$set": {"status": "completed"}})
    # One job was opened again, of another somebody is still to be told.
    await jobs.update_one({"_id": f"{batch_id}-000002"}, {"$set": {"state": "pending"}})
    await until_nothing_is_left(container, by_age)
    job = await MongoJobs(container.database).get(f"{batch_id}-000002")
    assert job is not None
    assert job.contact.name == "María Sotomayor"
    # It may be in a call by now, which a worker follows: nothing of it is deleted at Retell.
    copies = container.database.collection("provider_copies")
    assert {copy["_id"] async for copy in copies.find()} == {"call-1", "call-3"}
    await jobs.update_one({"_id": f"{batch_id}-000002"}, {"$set": {"state": "failed"}})
    await jobs.update_one({"_id": f"{batch_id}-000005"}, {"$set": {"untold_at": container.clock.now()}})
    await batches.update_one({"_id": batch_id}, {"$set": {"aged.due_at": container.clock.now()}})
    await until_nothing_is_left(container, by_age)
    assert await left(container) == {"jobs"}
    await jobs.update_many({}, {"$unset": {"untold_at": ""}})
    await batches.update_one({"_id": batch_id}, {"$set": {"aged.due_at": container.clock.now()}})
    await until_nothing_is_left(container, by_age)
    assert await left(container) == set()
    assert await copies.count_documents({}) == 7


async def test_a_batch_that_ends_once_more_is_erased_once_more(container: Container, by_age: Retaining) -> None:
    batch_id = await old_batch(container)
    await until_nothing_is_left(container, by_age)
    again = make_job(job_id=f"{batch_id}-000009", state=JobState.FAILED, contact=make_contact(name="Sotomayor"))
    await MongoJobs(container.database).insert_many([again])
    await MongoBatches(container.database).update(batch_id, {"finished_at": container.clock.now() - OLD})
    assert await until_nothing_is_left(container, by_age) > 0
    assert await left(container) == set()


async def test_an_erased_job_is_not_called_again(
    container: Container, by_age: Retaining, api: httpx.AsyncClient
) -> None:
    batch_id = await old_batch(container)
    await container.database.collection("jobs").update_many(
        {}, {"$set": {"state": "failed", "reason": Message(code="no_phone_left").model_dump()}}
    )
    job = await MongoJobs(container.database).get(f"{batch_id}-000001")
    await until_nothing_is_left(container, by_age)
    assert (await api.put(f"jobs/{batch_id}-000001/retry")).json()["code"] == "job_erased"
    assert job is not None
    # Whoever read it before it was erased is too late.
    late = MongoJobs(container.database).reopen(
        job, container.clock.now(), extra_attempts=1, next_phone_index=0, by="ana"
    )
    assert await late is None


def test_never_sooner_than_a_cap_looks_back() -> None:
    year = PersonCap(counts=CapCounts.ATTEMPTS, max=1, period=CapPeriod.ROLLING, days=365)
    never, half = Retention(), Retention(personal_days=180, recording_days=20)
    assert in_force(None, None, [], never) == never
    assert in_force(None, None, [], half) == half
    assert in_force(0, 0, [year], half) == never
    assert in_force(90, 10, [], half) == Retention(personal_days=90, recording_days=10)
    assert in_force(90, None, [year], half) == Retention(personal_days=367, recording_days=20)


async def test_what_an_account_may_choose(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    path = f"accounts/{account['account_id']}"
    assert "retention_days" not in account["settings"]
    changed = await api.patch(path, json={"settings": {"retention_days": 90, "recording_retention_days": 1}})
    assert changed.json()["settings"] == {**account["settings"], "retention_days": 90, "recording_retention_days": 1}
    for name, value in (("retention_days", 6), ("retention_days", 4000), ("recording_retention_days", -1)):
        error_at(await api.patch(path, json={"settings": {name: value}}), "settings", name)
    back = await api.patch(path, json={"settings": {"retention_days": None, "recording_retention_days": 0}})
    assert back.json()["settings"] == account["settings"]
