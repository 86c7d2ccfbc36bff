"""What really happened: the simulator's own record beside the database, and every way in which they may disagree.

The simulator is the witness: it wrote down each create request and each call without knowing of our jobs.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from app.bootstrap import Container
from app.domain.accounts import Account
from app.domain.jobs import FINAL, IN_FLIGHT, Job
from app.domain.money import charge_for
from app.domain.transactions import Transaction, TransactionType
from app.repositories.documents import from_document

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """The simulator's creates and calls, oldest first."""

    creates: list[JsonObject]
    calls: list[JsonObject]

    def of_batches(self, batch_ids: Iterable[str]) -> "Record":
        wanted = set(batch_ids)

        def ours(items: list[JsonObject]) -> list[JsonObject]:
            return [item for item in items if (item["metadata"] or {}).get("batch_id") in wanted]

        return Record(ours(self.creates), ours(self.calls))


async def read_record(simulator_url: str) -> Record:
    """Raises httpx.HTTPError."""
    async with httpx.AsyncClient(base_url=simulator_url, timeout=60) as http:
        creates, calls = await http.get("/simulator/creates"), await http.get("/simulator/calls")
    return Record(creates.json()["creates"], calls.json()["calls"])


@dataclass
class Verdict:
    """Counts for people, and the findings: each list must be empty."""

    contacts: int = 0
    calls: int = 0
    most_calls_an_attempt: int = 0
    slots: int = 0
    reservations: int = 0
    doubled: list[str] = field(default_factory=list)
    """Attempts with more than one call."""
    overlapping: list[str] = field(default_factory=list)
    """Contacts that were in two calls at once."""
    unaccounted: list[str] = field(default_factory=list)
    """Calls that no job knows, and attempts whose call nobody received."""
    over_attempts: list[str] = field(default_factory=list)
    over_limit: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Jobs that are not final."""
    held: list[str] = field(default_factory=list)
    """Final jobs with a slot, a lease or an attempt left; accounts with reservations."""
    ledger: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        lists = ("doubled", "overlapping", "unaccounted", "over_attempts", "over_limit", "lost", "held", "ledger")
        return [f"{name}: {finding}" for name in lists for finding in getattr(self, name)]


async def judge(container: Container, record: Record, batch_ids: Sequence[str]) -> Verdict:
    """Compare what was called with what is stored. `record` is of these batches only."""
    jobs = [
        from_document(Job, document)
        async for document in container.database.collection("jobs").find({"batch_id": {"$in": list(batch_ids)}})
    ]
    verdict = Verdict(contacts=len(jobs), calls=len(record.calls))
    batches = {batch_id: await container.batches.get(batch_id) for batch_id in batch_ids}
    _attempts(verdict, record)
    for job in jobs:
        _job(verdict, job, batches[job.batch_id].call_settings.max_attempts)
    _calls_and_histories(verdict, record, jobs)
    for account_id in {job.account_id for job in jobs}:
        document = await container.database.collection("accounts").find_one({"_id": account_id})
        assert document is not None, account_id
        account = from_document(Account, document)
        calls = [call for call in record.calls if call["metadata"]["account_id"] == account_id]
        peak = peak_simultaneous(calls)
        if peak > account.features.max_concurrent_calls:
            verdict.over_limit.append(f"{account_id}: {peak} calls at once")
        verdict.reservations += len(account.reservations)
        verdict.held += [f"{account_id} reserves for {attempt_id}" for attempt_id in account.reservations]
        entries = [
            from_document(Transaction, document)
            async for document in container.database.collection("transactions").find({"account_id": account_id})
        ]
        verdict.ledger += [f"{account_id}: {what}" for what in _ledger(account, entries, calls)]
    return verdict


def peak_simultaneous(calls: Iterable[JsonObject]) -> int:
    """The most of `calls` that rang or talked at one instant; one that has not ended goes on for ever."""
    steps = [(call["created_at"], 1) for call in calls]
    steps += [(call["ended_at"], -1) for call in calls if call["ended_at"] is not None]
    peak = current = 0
    for _, step in sorted(steps):  # at one instant the ends come first
        current += step
        peak = max(peak, current)
    return peak


def _attempts(verdict: Verdict, record: Record) -> None:
    by_attempt: defaultdict[str, list[str]] = defaultdict(list)
    by_number: defaultdict[str, list[JsonObject]] = defaultdict(list)
    for call in record.calls:
        by_attempt[call["metadata"]["attempt_id"]].append(call["call_id"])
        by_number[call["to_number"]].append(call)
    verdict.most_calls_an_attempt = max(map(len, by_attempt.values()), default=0)
    verdict.doubled = [attempt_id for attempt_id, calls in by_attempt.items() if len(calls) > 1]
    verdict.overlapping = [number for number, calls in by_number.items() if peak_simultaneous(calls) > 1]


def _job(verdict: Verdict, job: Job, max_attempts: int) -> None:
    if job.state not in FINAL:
        verdict.lost.append(f"{job.job_id} is {job.state.value}, waits for {job.waiting_for}")
    if job.slot is not None:
        verdict.slots += 1
    if job.state not in IN_FLIGHT and any((job.slot is not None, job.lease_until, job.worker_id, job.attempt)):
        verdict.held.append(f"{job.job_id} is {job.state.value} with a slot, lease or attempt")
    counted = sum(record.counted for record in job.history)
    if counted != job.attempts or job.attempts > job.max_attempts(max_attempts):
        verdict.over_attempts.append(f"{job.job_id}: {job.attempts} attempts, {counted} in its history")


def _calls_and_histories(verdict: Verdict, record: Record, jobs: list[Job]) -> None:
    """Each call is in exactly one job's history, and each call of a history was really made."""
    told = [(job.job_id, entry.attempt_id, entry.call_id) for job in jobs for entry in job.history if entry.call_id]
    made = [(call["metadata"]["job_id"], call["metadata"]["attempt_id"], call["call_id"]) for call in record.calls]
    verdict.unaccounted += [f"call {call} is in no history" for call in set(made) - set(told)]
    verdict.unaccounted += [f"call {call} was never made" for call in set(told) - set(made)]
    if len(told) != len(set(told)):
        verdict.unaccounted.append("a call stands twice in the histories")


def _ledger(account: Account, entries: list[Transaction], calls: list[JsonObject]) -> Iterable[str]:
    """The balance is the ledger's sum, and each call is charged for exactly as long as the simulator says."""
    total = sum((entry.amount for entry in entries), Decimal(0))
    if not total == account.funds.available(account.plan_type) == account.funds.free + _reserved(account):
        yield f"sum {total}, available {account.funds.available(account.plan_type)}, free {account.funds.free}"
    charged = {entry.transaction_id: -entry.amount for entry in entries if entry.type is TransactionType.CALL_USAGE}
    owed = {call["metadata"]["attempt_id"]: _price(account, call) for call in calls}
    for attempt_id in charged.keys() | {attempt_id for attempt_id, price in owed.items() if price}:
        if charged.get(attempt_id, Decimal(0)) != owed.get(attempt_id, Decimal(0)):
            yield f"attempt {attempt_id} is charged {charged.get(attempt_id)} and cost {owed.get(attempt_id)}"


def _reserved(account: Account) -> Decimal:
    return sum(account.reservations.values(), Decimal(0))


def _price(account: Account, call: JsonObject) -> Decimal:
    if call["answered_after_ms"] is None or call["ended_after_ms"] is None:
        return Decimal(0)
    talked = (call["ended_after_ms"] - call["answered_after_ms"]) / 1000
    return charge_for(talked, account.plan_type, account.pricing).units
