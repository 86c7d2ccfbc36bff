"""Every figure against a recount, one by one, of invented accounts, batches, jobs and ledgers."""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import pytest

from app.bootstrap import Container
from app.domain.accounts import Account, AccountStatus
from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import FINAL, IN_FLIGHT, AttemptRecord, Job, JobState, WaitingFor
from app.domain.messages import Message
from app.domain.money import Plan
from app.domain.outcomes import Disposition
from app.domain.transactions import Transaction, TransactionType
from app.repositories.accounts import MongoAccounts
from app.repositories.batches import MongoBatches
from app.repositories.documents import to_document
from app.repositories.jobs import MongoJobs
from app.repositories.transactions import MongoTransactions
from app.services import past_calls
from tests.api.conftest import ACCOUNT, problem
from tests.api.test_access import somebody
from tests.api.test_tenancy import OWN, stranger
from tests.builders import make_account, make_batch, make_contact, make_job, make_record, make_report, phone
from tests.profiling import SPARE, profiled

ZONES = ("America/Santiago", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe")
"""Of which no two have the same day for long."""
JOBS = 240


class World(NamedTuple):
    now: datetime
    accounts: list[Account]
    batches: list[Batch]
    jobs: list[Job]
    ledger: list[Transaction]


@pytest.fixture
async def world(api: httpx.AsyncClient, container: Container) -> World:
    made = invented(random.Random(20), container.clock.now().replace(microsecond=0))
    for account in made.accounts:
        await MongoAccounts(container.database).insert(account)
    for batch in made.batches:
        await MongoBatches(container.database).insert(batch)
    await MongoJobs(container.database).insert_many(made.jobs)
    for entry in made.ledger:
        await MongoTransactions(container.database).add(entry)
    return made


def invented(dice: random.Random, now: datetime) -> World:
    accounts = [
        make_account(
            account_id=f"acc-{n}",
            timezone=zone,
            plan_type=dice.choice(list(Plan)),
            status=AccountStatus.SUSPENDED if n == 1 else AccountStatus.ACTIVE,
        )
        for n, zone in enumerate(ZONES)
    ]
    batches = [
        make_batch(batch_id=f"batch-{n}", account_id=dice.choice(accounts).account_id, status=status, wake_at=None)
        for n, status in enumerate([*BatchStatus, *BatchStatus])
    ]
    jobs = [_job(dice, number, dice.choice(batches), now) for number in range(JOBS)]
    totals = Counter(job.batch_id for job in jobs)
    batches = [batch.model_copy(update={"total_jobs": totals[batch.batch_id]}) for batch in batches]
    ledger = [_entry(job, record) for job in jobs for record in job.history if record.cost]
    ledger += [
        _bought(account, n, now - timedelta(hours=dice.uniform(0, 900))) for account in accounts for n in range(3)
    ]
    return World(now, accounts, batches, jobs, ledger)


def _past(dice: random.Random, now: datetime) -> datetime:
    """Often today, sometimes this month, sometimes before."""
    return (now - timedelta(hours=dice.choice([1, 30, 1000]) * dice.random())).replace(microsecond=0)


def _job(dice: random.Random, number: int, batch: Batch, now: datetime) -> Job:
    state = dice.choice(list(JobState))
    contact = make_contact(dice.randint(1, 3), name=f"Ana {number}")
    tries = range(1, 1 + dice.randint(0, 3))
    history = [_record(dice, f"{number}-{n}", n, dice.choice(contact.phones), now) for n in tries]
    last = history[-1].call_id if history else None
    return make_job(
        job_id=f"{batch.batch_id}-{number:06d}",
        account_id=batch.account_id,
        batch_id=batch.batch_id,
        state=state,
        waiting_for=dice.choice(list(WaitingFor)) if state is JobState.PENDING else None,
        contact=contact,
        history=sorted(history, key=lambda record: record.dialed_at),
        report=make_report("user_hangup", call_id=last, duration_ms=60_000) if last else None,
        created_at=_past(dice, now),
        finished_at=_past(dice, now) if state in FINAL else None,
    )


def _record(dice: random.Random, attempt_id: str, number: int, to: str, now: datetime) -> AttemptRecord:
    seconds = dice.choice([0, 0, dice.randint(1, 300)])
    return make_record(
        attempt_id=attempt_id,
        call_id=f"call-{attempt_id}",
        number=number,
        phone=to,
        disposition=dice.choice(list(Disposition)),
        counted=dice.random() < 0.8,
        dialed_at=_past(dice, now),
        ended_at=now,
        duration_seconds=seconds,
        billed_seconds=seconds,
        cost=Decimal(seconds) / 400,
    )


def _entry(job: Job, record: AttemptRecord) -> Transaction:
    return Transaction(
        transaction_id=record.attempt_id,
        account_id=job.account_id,
        type=TransactionType.CALL_USAGE,
        amount=-record.cost * 3,
        minutes=Decimal(record.billed_seconds) / 64,
        cost=record.cost,
        description=Message(code="call_usage", params={"job_id": job.job_id, "seconds": record.billed_seconds}),
        batch_id=job.batch_id,
        job_id=job.job_id,
        created_at=record.dialed_at,
    )


def _bought(account: Account, number: int, at: datetime) -> Transaction:
    return Transaction(
        transaction_id=f"{account.account_id}:{number}",
        account_id=account.account_id,
        type=TransactionType.TOPUP_CREDITS,
        amount=Decimal(5),
        description=Message(code="topup"),
        created_at=at.replace(microsecond=0),
    )


def zone_of(world: World, account_id: str) -> ZoneInfo:
    return ZoneInfo(next(account.timezone for account in world.accounts if account.account_id == account_id))


def is_today(world: World, account_id: str, at: datetime | None) -> bool:
    zone = zone_of(world, account_id)
    return at is not None and at.astimezone(zone).date() == world.now.astimezone(zone).date()


def is_this_month(world: World, entry: Transaction) -> bool:
    there, now = (at.astimezone(zone_of(world, entry.account_id)) for at in (entry.created_at, world.now))
    return (there.year, there.month) == (now.year, now.month)


def rate(completed: int, failed: int) -> float:
    return round(100 * completed / (completed + failed), 2) if completed + failed else 0.0


def close(value: Any) -> Any:
    return pytest.approx(float(value))


def spent(entries: Iterable[Transaction]) -> Decimal:
    return sum((entry.cost for entry in entries if entry.type is TransactionType.CALL_USAGE), Decimal(0))


def dashboard_by_hand(world: World, ids: set[str]) -> dict[str, Any]:
    jobs = [job for job in world.jobs if job.account_id in ids]
    batches = [batch for batch in world.batches if batch.account_id in ids]
    ledger = [entry for entry in world.ledger if entry.account_id in ids]
    states = Counter(job.state for job in jobs)
    ended = Counter(job.state for job in jobs if is_today(world, job.account_id, job.finished_at))
    return {
        "total_accounts": len(ids),
        "active_accounts": len(ids - {"acc-1"}),
        "total_batches": len(batches),
        "active_batches": sum(batch.status in {BatchStatus.RUNNING, BatchStatus.SCHEDULED} for batch in batches),
        "total_jobs": len(jobs),
        "pending_jobs": states[JobState.PENDING],
        "in_progress_jobs": sum(states[state] for state in IN_FLIGHT),
        "completed_jobs": states[JobState.COMPLETED],
        "failed_jobs": states[JobState.FAILED],
        "success_rate": rate(states[JobState.COMPLETED], states[JobState.FAILED]),
        "total_revenue": close(spent(ledger)),
        "total_minutes_used": close(sum(entry.minutes for entry in ledger)),
        "total_jobs_today": sum(is_today(world, job.account_id, job.created_at) for job in jobs),
        "completed_jobs_today": ended[JobState.COMPLETED],
        "failed_jobs_today": ended[JobState.FAILED],
        "revenue_today": close(spent(entry for entry in ledger if is_today(world, entry.account_id, entry.created_at))),
    }


async def test_the_dashboard_is_what_one_counts(api: httpx.AsyncClient, world: World) -> None:
    everybody = {account.account_id for account in world.accounts}
    assert (await api.get("dashboard/stats")).json() == dashboard_by_hand(world, everybody)
    for account_id in everybody:
        found = (await api.get("dashboard/stats", params={"account_id": account_id})).json()
        assert found == dashboard_by_hand(world, {account_id})


async def test_the_figures_after_batches_were_deleted(
    api: httpx.AsyncClient, container: Container, world: World
) -> None:
    over = [b for b in world.batches if b.status in {BatchStatus.DRAFT, BatchStatus.COMPLETED, BatchStatus.CANCELLED}]
    gone = {batch.batch_id for batch in over}
    cleared = {batch.batch_id for batch in over[::2]}
    await container.database.collection("jobs").update_many(
        {"batch_id": {"$in": sorted(gone)}, "state": {"$nin": sorted(FINAL)}},
        {"$set": {"state": "cancelled"}, "$unset": {"waiting_for": ""}},
    )
    for batch in over:
        answer = await api.delete(f"batches/{batch.batch_id}", params={"delete_jobs": batch.batch_id in cleared})
        assert answer.status_code == 204, answer.text
    jobs = [
        job if job.batch_id not in gone or job.state in FINAL else job.model_copy(update={"state": JobState.CANCELLED})
        for job in world.jobs
        if job.batch_id not in cleared or job.history
    ]
    assert len(jobs) < len(world.jobs)
    after = world._replace(jobs=jobs, batches=[batch for batch in world.batches if batch.batch_id not in gone])

    for account in world.accounts:
        found = (await api.get("dashboard/stats", params={"account_id": account.account_id})).json()
        assert found == dashboard_by_hand(after, {account.account_id})
        stats = (await api.get(f"accounts/{account.account_id}/stats")).json()
        assert stats["total_jobs"] == found["total_jobs"]
        assert (stats["total_batches"], stats["active_batches"]) == (found["total_batches"], found["active_batches"])
    rows = await walk(api, "calls/history", limit=100)
    assert [row["attempt_id"] for row in rows] == [record.attempt_id for _, record in attempts_by_hand(world)]


async def test_the_figures_of_accounts_and_batches_are_what_one_counts(api: httpx.AsyncClient, world: World) -> None:
    for account in world.accounts:
        mine = [job for job in world.jobs if job.account_id == account.account_id]
        states = Counter(job.state for job in mine)
        month = [e for e in world.ledger if e.account_id == account.account_id and is_this_month(world, e)]
        calls = [entry for entry in month if entry.type is TransactionType.CALL_USAGE]
        stats = (await api.get(f"accounts/{account.account_id}/stats")).json()
        assert stats["total_jobs"] == len(mine)
        assert stats["completed_jobs"] == states[JobState.COMPLETED]
        assert stats["success_rate"] == rate(states[JobState.COMPLETED], states[JobState.FAILED])
        assert stats["total_cost_this_month"] == close(spent(month))
        used = (await api.get(f"accounts/{account.account_id}/balance")).json()["usage_this_month"]
        by_credits = account.plan_type is Plan.CREDIT_BASED
        assert used["total_cost"] == close(spent(month))
        assert used["minutes_used"] == close(sum(entry.minutes for entry in calls))
        assert used["credits_used"] == close(-sum(entry.amount for entry in calls) if by_credits else 0)
    for batch in world.batches:
        mine = [job for job in world.jobs if job.batch_id == batch.batch_id]
        states = Counter(job.state for job in mine)
        found = (await api.get(f"batches/{batch.batch_id}/summary")).json()
        assert found["stats"] == {
            "total_jobs": len(mine),
            "pending": states[JobState.PENDING],
            "in_progress": sum(states[state] for state in IN_FLIGHT),
            "completed": states[JobState.COMPLETED],
            "failed": states[JobState.FAILED],
            "cancelled": states[JobState.CANCELLED],
        }
        assert found["batch"]["batch_id"] == batch.batch_id
        assert found["batch"]["completed_jobs"] == states[JobState.COMPLETED]
        assert found["batch"]["total_cost"] == close(spent(e for e in world.ledger if e.batch_id == batch.batch_id))
        expected = sorted((job.job_id for job in mine), reverse=True)[:10]
        assert [job["job_id"] for job in found["jobs_sample"]] == expected


def attempts_by_hand(world: World, **scope: str) -> list[tuple[Job, AttemptRecord]]:
    found = [
        (job, record)
        for job in world.jobs
        for record in job.history
        if all(getattr(job, name) == value for name, value in scope.items())
    ]
    return sorted(found, key=lambda pair: (pair[1].dialed_at, pair[1].attempt_id), reverse=True)


async def walk(client: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """Every page, by its Link."""
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    total = int(answer.headers["X-Total-Count"])
    rows: list[dict[str, Any]] = answer.json()
    while "next" in answer.links:
        answer = await client.get("http://cadencia.test" + answer.links["next"]["url"])
        assert answer.status_code == 200, answer.text
        assert answer.json()
        rows += answer.json()
    assert len(rows) == total
    return rows


async def test_past_calls_are_one_row_an_attempt(api: httpx.AsyncClient, world: World) -> None:
    for scope in ({}, {"account_id": "acc-0"}, {"batch_id": world.jobs[0].batch_id}):
        expected = attempts_by_hand(world, **scope)
        rows = await walk(api, "calls/history", limit=7, **scope)
        assert [row["attempt_id"] for row in rows] == [record.attempt_id for _, record in expected]
        skipped = await api.get("calls/history", params={"limit": 5, "skip": 3, **scope})
        assert skipped.json() == rows[3:8]
        oldest_first = await walk(api, "calls/history", limit=7, sort="created_at", **scope)
        assert oldest_first == rows[::-1]
    job, record = attempts_by_hand(world)[0]
    first = (await api.get("calls/history", params={"limit": 1})).json()[0]
    assert first["job_id"] == job.job_id
    assert first["batch_id"] == job.batch_id
    assert first["contact_name"] == job.contact.name
    assert first["phone"] == record.phone
    assert first["status"] == first["call_result"]["status"] == record.disposition.value
    assert first["duration"] == record.duration_seconds
    assert first["cost"] == close(record.cost)
    assert first["timestamp"] == f"{record.dialed_at:%Y-%m-%dT%H:%M:%SZ}"


async def test_calls_that_are_too_many_are_not_counted(
    api: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = len(attempts_by_hand(world))
    for most, expected in ((there, str(there)), (there - 1, None)):
        monkeypatch.setattr(past_calls, "MOST_COUNTED", most)
        answer = await api.get("calls/history?limit=3")
        assert answer.headers.get("X-Total-Count") == expected
        assert "next" in answer.links
    assert (await api.get("calls/history?batch_id=nothing")).headers["X-Total-Count"] == "0"


async def test_the_ledger_by_type_and_either_way(api: httpx.AsyncClient, world: World) -> None:
    for account in world.accounts:
        mine = [entry for entry in world.ledger if entry.account_id == account.account_id]
        for kind in (None, *TransactionType):
            listed = [entry for entry in mine if kind in {None, entry.type}]
            newest_first = sorted(listed, key=lambda entry: (entry.created_at, entry.transaction_id), reverse=True)
            expected = [entry.transaction_id for entry in newest_first]
            path, of_type = f"accounts/{account.account_id}/transactions", {"type": kind.value.upper()} if kind else {}
            for sort, wanted in (("-created_at", expected), ("created_at", expected[::-1])):
                rows = await walk(api, path, limit=7, sort=sort, **of_type)
                assert [row["transaction_id"] for row in rows] == wanted
            assert (await api.get(path, params=of_type)).headers["X-Total-Count"] == str(len(expected))
    problem(await api.get("accounts/acc-0/transactions?type=refund"), 422, "invalid_input")


async def test_a_call_shows_only_its_own_report(api: httpx.AsyncClient, world: World) -> None:
    reported = {job.report.call_id for job in world.jobs if job.report}
    for row in await walk(api, "calls/history", limit=500):
        summary = row["call_result"]["summary"]
        if row["call_id"] in reported:
            assert summary["duration_ms"] == 60_000
        else:
            assert summary["duration_ms"] == row["duration"] * 1000
            assert summary["call_status"] == ("ended" if row["duration"] else "not_connected")


async def test_days_are_those_of_the_account(api: httpx.AsyncClient, world: World) -> None:
    for account_id in ("acc-1", "acc-2"):
        zone = zone_of(world, account_id)
        day = world.now.astimezone(zone).date()
        expected = [
            record.attempt_id
            for _, record in attempts_by_hand(world, account_id=account_id)
            if record.dialed_at.astimezone(zone).date() == day
        ]
        assert expected
        params = {"account_id": account_id, "start_date": str(day), "end_date": str(day)}
        assert [row["attempt_id"] for row in await walk(api, "calls/history", **params)] == expected
    since = attempts_by_hand(world)[20][1].dialed_at
    until = attempts_by_hand(world)[5][1].dialed_at
    rows = await walk(api, "calls/history", start_date=since.isoformat(), end_date=until.isoformat())
    assert [row["attempt_id"] for row in rows] == [
        record.attempt_id for _, record in attempts_by_hand(world) if since <= record.dialed_at < until
    ]


async def test_activity_is_by_the_accounts_clock(api: httpx.AsyncClient, world: World) -> None:
    for account in world.accounts:
        zone = ZoneInfo(account.timezone)
        today = world.now.astimezone(zone).date()
        for params, first in (({}, today - timedelta(days=29)), ({"start_date": str(today - timedelta(1))}, None)):
            begin: date = first or today - timedelta(days=1)
            calls: Counter[tuple[str, int]] = Counter()
            answered: Counter[tuple[str, int]] = Counter()
            for job, record in attempts_by_hand(world, account_id=account.account_id):
                there = record.dialed_at.astimezone(zone)
                if not record.counted or not begin <= there.date() <= today:
                    continue
                position = job.contact.phones.index(record.phone) + 1
                for key in (
                    ("by_hour", there.hour),
                    ("by_weekday", there.isoweekday() % 7),
                    ("by_phone", position),
                    ("by_attempt", record.number),
                    ("total", 0),
                ):
                    calls[key] += 1
                    answered[key] += record.disposition in {Disposition.ANSWERED, Disposition.OPTED_OUT}
            found = (await api.get(f"accounts/{account.account_id}/activity", params=params)).json()
            assert found["total"]["calls"] == calls["total", 0]
            assert found["total"]["answered"] == answered["total", 0]
            parts = {(name, part["key"]): part for name in found if name[:3] == "by_" for part in found[name]}
            assert {key: part["calls"] for key, part in parts.items() if part["calls"]} == {
                key: count for key, count in calls.items() if key[0] != "total"
            }
            for key, part in parts.items():
                assert part["answered"] == answered[key]
                assert part["answer_rate"] == (round(100 * answered[key] / calls[key], 2) if calls[key] else 0)
            assert len(found["by_hour"]) == 24


async def test_a_walk_neither_repeats_nor_hides_what_was_there(api: httpx.AsyncClient, world: World) -> None:
    paths = {
        "jobs": "job_id",
        f"jobs?batch_id={world.jobs[0].batch_id}": "job_id",
        "jobs?account_id=acc-0&status=completed": "job_id",
        "accounts/acc-0/transactions": "transaction_id",
    }
    for path, key in paths.items():
        mark = "&" if "?" in path else "?"
        before = [row[key] for row in (await api.get(f"{path}{mark}limit=500")).json()]
        answer = await api.get(f"{path}{mark}limit=4")
        seen = [row[key] for row in answer.json()]
        while "next" in answer.links:
            # Something new at the top, at every step.
            await newcomers(api, world, len(seen))
            answer = await api.get("http://cadencia.test" + answer.links["next"]["url"])
            assert "X-Total-Count" not in answer.headers
            seen += [row[key] for row in answer.json()]
        assert seen == before, path


async def newcomers(api: httpx.AsyncClient, world: World, number: int) -> None:
    container: Container = api._transport.app.state.runtime.container  # type: ignore[attr-defined] # ASGITransport's
    later = container.clock.now() + timedelta(days=1)
    template = next(job for job in world.jobs if job.state is JobState.COMPLETED and job.account_id == "acc-0")
    new = {"job_id": f"{template.batch_id}-9{number:05d}", "created_at": later, "history": []}
    await MongoJobs(container.database).insert_many([template.model_copy(update=new)])
    bought = _bought(world.accounts[0], 1000 + number, later)
    await MongoTransactions(container.database).add(bought)


async def test_jobs_of_one_instant_are_walked_too(api: httpx.AsyncClient, world: World, container: Container) -> None:
    jobs = [make_job(job_id=f"same-{n}", account_id="acc-3", batch_id="batch-0") for n in range(9)]
    await MongoJobs(container.database).insert_many(jobs)
    rows = await walk(api, "jobs", limit=2, account_id="acc-3")
    assert len({row["job_id"] for row in rows}) == len(rows)


async def test_jobs_are_found_by_phone(api: httpx.AsyncClient, world: World, container: Container) -> None:
    written = {"account_id": "acc-0", "phone": phone(3)}
    having = [job for job in world.jobs if job.account_id == "acc-0" and phone(3) in job.contact.phones]
    expected = {job.job_id for job in having}
    assert expected
    assert {row["job_id"] for row in await walk(api, "jobs", limit=3, **written)} == expected
    batch_id, state = having[0].batch_id, JobState.COMPLETED
    of_batch = await walk(api, "jobs", limit=3, batch_id=batch_id, status="completed", **written)
    assert [row["job_id"] for row in of_batch] == sorted(
        (job.job_id for job in having if job.batch_id == batch_id and job.state is state), reverse=True
    )
    async with profiled(container.database) as operations:
        await api.get("jobs", params=written)
    assert all(op.keys <= len(expected) + SPARE for op in operations if op.collection == "jobs")
    problem(await api.get("jobs", params={"phone": phone(3)}), 422, "invalid_input")
    problem(await api.get("jobs", params={**written, "phone": "12"}), 422, "invalid_input")


async def test_what_cannot_be_meant_is_refused(api: httpx.AsyncClient, world: World) -> None:
    problem(await api.get("jobs?cursor=%C3%A1"), 422, "invalid_input")
    problem(await api.get("calls/history?cursor=abc"), 422, "invalid_input")
    problem(await api.get("calls/history?start_date=ayer"), 422, "invalid_input")
    problem(await api.get("calls/history?start_date=2025-10-24T10:00:00"), 422, "invalid_input")
    problem(await api.get("calls/history?end_date=9999-12-31&account_id=acc-0"), 422, "invalid_input")
    problem(await api.get("calls/history?skip=10001"), 422, "invalid_input")
    problem(await api.get("accounts/acc-0/activity?start_date=2025-01-02&end_date=2025-01-01"), 422, "invalid_input")
    problem(await api.get("accounts/acc-0/activity?start_date=2023-01-02&end_date=2025-01-01"), 422, "invalid_input")
    problem(await api.get("dashboard/stats?account_id=nobody"), 404, "account_not_found")
    assert (await api.get("calls/history?account_id=nobody")).json() == []
    assert (await api.get("calls/history?start_date=2025-01-02&end_date=2025-01-01")).json() == []


async def test_a_stranger_counts_only_what_is_theirs(api: httpx.AsyncClient, world: World) -> None:
    body = {"name": "suya", "role": "viewer", "account_ids": ["acc-0", "acc-2"]}
    token = (await api.post("api-keys", json=body)).json()["api_key"]
    async with somebody(api, token) as client:
        assert (await client.get("dashboard/stats")).json() == dashboard_by_hand(world, {"acc-0", "acc-2"})
        rows = await walk(client, "calls/history", limit=500)
        assert {row["account_id"] for row in rows} == {"acc-0", "acc-2"}
        assert (await client.get("dashboard/stats?account_id=acc-1")).status_code == 404
    await api.post("accounts", json={**ACCOUNT, "account_id": OWN})
    async with somebody(api, await stranger(api)) as client:
        assert (await client.get("dashboard/stats")).json()["total_jobs"] == 0
        assert (await client.get("calls/history")).json() == []


async def test_polling_the_dashboard_gets_304(api: httpx.AsyncClient, world: World) -> None:
    etag = (await api.get("dashboard/stats")).headers["ETag"]
    again = await api.get("dashboard/stats", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    other = await api.get("dashboard/stats?account_id=acc-0", headers={"If-None-Match": etag})
    assert other.status_code == 200


async def test_figures_come_from_indexes_and_a_page_costs_what_it_shows(
    api: httpx.AsyncClient, container: Container
) -> None:
    now, kept = container.clock.now(), 2000
    for n in range(2):
        await MongoAccounts(container.database).insert(make_account(account_id=f"acc-{n}"))
        await MongoBatches(container.database).insert(make_batch(batch_id=f"batch-{n}", account_id=f"acc-{n}"))
    jobs = [
        make_job(
            job_id=f"batch-{n % 2}-{n:06d}",
            account_id=f"acc-{n % 2}",
            batch_id=f"batch-{n % 2}",
            state=JobState.COMPLETED,
            # One in a hundred is of today.
            created_at=now - timedelta(days=40 if n % 100 else 0),
            finished_at=now - timedelta(days=2 if n % 100 else 0),
            history=[make_record(now - timedelta(minutes=n), attempt_id=f"{n}", phone=phone(1))],
        )
        for n in range(kept)
    ]
    await MongoJobs(container.database).insert_many(jobs)
    ledger = [_entry(job, job.history[0]) for job in jobs]
    await container.database.collection("transactions").insert_many([to_document(entry) for entry in ledger])
    async with profiled(container.database) as operations:
        assert (await api.get("dashboard/stats?account_id=acc-0")).json()["total_jobs"] == kept / 2
    counted = [operation for operation in operations if operation.kind == "aggregate"]
    assert len(counted) == 7 + len(tests := [operation for operation in counted if "test_of" in str(operation.query)])
    assert len(tests) == 4
    assert all(operation.docs == 0 and "IXSCAN" in operation.plan for operation in counted), counted
    # All jobs and all calls of the account once; of today only today's, and a seek for each status.
    keys = {operation.plan: operation.keys for operation in counted if operation.collection == "jobs"}
    today = [count for plan, count in keys.items() if "finished_at" in plan]
    assert len(today) == 1
    assert today[0] <= kept / 100 + 2
    for query in ("account_id=acc-1", "batch_id=batch-1"):
        async with profiled(container.database) as operations:
            rows = (await api.get(f"calls/history?{query}&limit=20")).json()
        assert len(rows) == 20
        pages = [op for op in operations if op.collection == "jobs" and "$count" not in str(op.query)]
        assert min(op.docs for op in pages) < 8 * 21 + SPARE
