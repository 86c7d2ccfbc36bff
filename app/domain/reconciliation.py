"""Do the ledger, the balances and the jobs tell the same? Pure: the facts come in, the differences go out.

`Books` is what one account looked like at one instant, so whatever is on its way has a place in it: a charge whose
reservation still stands is in the ledger and not in the balance yet, and its job is `settling`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from app.domain.accounts import Account
from app.domain.batches import Batch
from app.domain.jobs import Attempt, JobState
from app.domain.money import Charge, Unit
from app.domain.transactions import TransactionType


class Difference(BaseModel):
    """Two places that should tell the same and do not."""

    model_config = ConfigDict(frozen=True)

    rule: str
    """What is broken, such as `used_is_not_the_ledgers`."""
    account_id: str
    subject: str
    """The attempt, the batch or the field concerned."""
    expected: str
    found: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.rule, self.account_id, self.subject)


class Held(BaseModel):
    """A job in somebody's hands."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    batch_id: str
    state: JobState
    attempt_id: str | None = None
    attempt: Attempt | None = None
    charge: Charge | None = None


class Entry(BaseModel):
    """What the ledger has of a call."""

    model_config = ConfigDict(frozen=True)

    attempt_id: str
    account_id: str
    job_id: str | None = None
    batch_id: str | None = None
    units: Decimal
    cost: Decimal


class Sums(BaseModel):
    """The ledger of one account, added up."""

    model_config = ConfigDict(frozen=True)

    bought: dict[TransactionType, Decimal] = {}
    units: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    """Units and cost of the calls whose reservation in the balance is gone."""
    batch_costs: dict[str, Decimal] = {}
    """Of the batches with a counted budget: the cost of the calls whose reservation in the budget is gone."""


class Books(BaseModel):
    """One account at one instant."""

    model_config = ConfigDict(frozen=True)

    account: Account
    budgeted: list[Batch]
    held: list[Held]
    sums: Sums
    reserved_entries: list[Entry]
    """The ledger's entries of attempts whose reservation still stands."""
    posted: set[str]
    """Which of the account's unposted entries are in the ledger already."""


class PastAttempt(BaseModel):
    """A charged attempt in a job's history."""

    model_config = ConfigDict(frozen=True)

    attempt_id: str
    account_id: str
    job_id: str
    cost: Decimal


class Witness(BaseModel):
    """What a job says of the attempts that the ledger names it for."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    settling: str | None = None
    """The attempt that is being settled just now."""
    costs: dict[str, Decimal] = {}
    is_complete: bool = True
    """False if older attempts were dropped from its history."""


def compare_books(books: Books) -> list[Difference]:
    """Every way in which an account's balance, reservations and budgets do not follow from ledger and jobs."""
    return [*_balance(books), *_reservations(books), *_budgets(books)]


def compare_history(past: Iterable[PastAttempt], entries: Mapping[str, Entry]) -> list[Difference]:
    """Charged attempts that are not in the ledger as their job has them."""
    found: list[Difference] = []
    for attempt in past:
        entry = entries.get(attempt.attempt_id)
        if entry is None and attempt.cost:
            found.append(_attempt("attempt_not_in_ledger", attempt, f"cost {attempt.cost}", "no entry"))
        elif entry is not None and entry.cost != attempt.cost:
            found.append(_attempt("cost_is_not_the_ledgers", attempt, f"cost {entry.cost}", f"cost {attempt.cost}"))
        elif entry is not None and (entry.job_id, entry.account_id) != (attempt.job_id, attempt.account_id):
            there = f"job {entry.job_id} of {entry.account_id}"
            found.append(_attempt("entry_is_of_another_job", attempt, f"job {attempt.job_id}", there))
    return found


def compare_entries(entries: Iterable[Entry], witnesses: Mapping[str, Witness], gone: set[str]) -> list[Difference]:
    """Entries of the ledger that no job accounts for. `gone`: batches that were deleted with their jobs."""
    found: list[Difference] = []
    for entry in entries:
        witness = witnesses.get(entry.job_id or "")
        if witness is None:
            if entry.batch_id not in gone:
                found.append(_entry("entry_without_job", entry, f"job {entry.job_id}", "no such job"))
        elif entry.attempt_id not in witness.costs and entry.attempt_id != witness.settling and witness.is_complete:
            found.append(_entry("entry_without_attempt", entry, f"an attempt of job {entry.job_id}", "none"))
    return found


def _balance(books: Books) -> list[Difference]:
    account, sums, funds = books.account, books.sums, books.account.funds
    unit = account.plan_type.unit
    waiting = {kind: Decimal(0) for kind in TransactionType}
    for entry in account.unposted:
        if entry.transaction_id not in books.posted:
            waiting[entry.type] += entry.amount
    bought = {kind: sums.bought.get(kind, Decimal(0)) + waiting[kind] for kind in TransactionType}
    used = {Unit.CREDITS: Decimal(0), Unit.MINUTES: Decimal(0)} | {unit: sums.units}
    reserved = sum(account.reservations.values(), Decimal(0))
    expected = {
        "credits_purchased": bought[TransactionType.TOPUP_CREDITS],
        "minutes_purchased": bought[TransactionType.TOPUP_MINUTES],
        "credits_used": used[Unit.CREDITS],
        "minutes_used": used[Unit.MINUTES],
        "total_spent": sums.cost,
        "free": funds.available(account.plan_type) - reserved,
    }
    return [
        _of(books, f"{name}_is_wrong", name, value, getattr(funds, name))
        for name, value in expected.items()
        if value != getattr(funds, name)
    ]


def _reservations(books: Books) -> list[Difference]:
    reservations = books.account.reservations
    holders = {held.attempt_id: held for held in books.held if held.attempt_id is not None}
    found: list[Difference] = []
    for attempt_id, amount in reservations.items():
        holder = holders.get(attempt_id)
        if holder is None:
            found.append(_of(books, "reservation_without_job", attempt_id, "a job in flight", f"{amount} reserved"))
        elif holder.attempt is not None and holder.attempt.reserved != amount:
            found.append(_of(books, "reservation_is_not_the_attempts", attempt_id, holder.attempt.reserved, amount))
    for attempt_id, holder in holders.items():
        if holder.state not in {JobState.LEASED, JobState.SETTLING} and attempt_id not in reservations:
            reserved = holder.attempt.reserved if holder.attempt else "an amount"
            found.append(_of(books, "call_without_reservation", attempt_id, f"{reserved} reserved", "nothing"))
    for entry in books.reserved_entries:
        holder = holders.get(entry.attempt_id)
        charge = holder.charge if holder is not None and holder.state is JobState.SETTLING else None
        expected = "no entry yet" if charge is None else f"{charge.units} units, cost {charge.cost}"
        if charge is None or (charge.units, charge.cost) != (entry.units, entry.cost):
            there = f"{entry.units} units, cost {entry.cost}"
            found.append(_of(books, "entry_is_not_the_settlements", entry.attempt_id, expected, there))
    return found


def _budgets(books: Books) -> list[Difference]:
    holders = {held.attempt_id for held in books.held}
    # Calls from before there was a budget: while they settle, what was used may or may not have them yet.
    late = {
        held.batch_id
        for held in books.held
        if held.state is JobState.SETTLING and held.attempt is not None and held.attempt.reserved_cost is None
    }
    found: list[Difference] = []
    for batch in books.budgeted:
        for attempt_id, cost in batch.budget_reservations.items():
            if attempt_id not in holders:
                there = f"{cost} reserved in {batch.batch_id}"
                found.append(_of(books, "budget_reservation_without_job", attempt_id, "a job in flight", there))
        cost = books.sums.batch_costs.get(batch.batch_id, Decimal(0))
        if batch.budget_used is not None and batch.budget_used != cost and batch.batch_id not in late:
            found.append(_of(books, "budget_used_is_wrong", batch.batch_id, cost, batch.budget_used))
    return found


def _of(books: Books, rule: str, subject: str, expected: object, found: object) -> Difference:
    return Difference(
        rule=rule, account_id=books.account.account_id, subject=subject, expected=str(expected), found=str(found)
    )


def _attempt(rule: str, attempt: PastAttempt, expected: str, found: str) -> Difference:
    return Difference(
        rule=rule, account_id=attempt.account_id, subject=attempt.attempt_id, expected=expected, found=found
    )


def _entry(rule: str, entry: Entry, expected: str, found: str) -> Difference:
    there = f"{found} for an entry of {entry.units} units, cost {entry.cost}"
    return Difference(rule=rule, account_id=entry.account_id, subject=entry.attempt_id, expected=expected, found=there)
