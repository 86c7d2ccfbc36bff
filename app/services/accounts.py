"""Use cases of accounts: create, read, change, and what is left of the money."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.accounts import Account, AccountStatus, Features, Funds
from app.domain.batches import BatchStatus
from app.domain.errors import Conflict, FieldError, InvalidInput, NotFound
from app.domain.jobs import JobState
from app.domain.messages import Message
from app.domain.money import Plan, Pricing, Unit
from app.domain.person_caps import PersonCap
from app.domain.phone_numbers import normalise_phone
from app.domain.phone_regions import region_of_timezone
from app.domain.ports import Accounts, Batches, Jobs, Time, Transactions
from app.domain.reading import Place, percent
from app.domain.searching import AgeSort, NameSort, Search
from app.domain.transactions import Transaction, TransactionType, Usage
from app.services.ids import new_id
from app.services.ledger import post_entries
from app.services.repeating import Repeating

RECENT_USE = timedelta(days=30)
"""The span whose daily average tells when the balance runs out."""


@dataclass(frozen=True)
class NewAccount:
    account_id: str | None
    account_name: str
    contact_name: str
    contact_email: str
    contact_phone: str | None
    plan_type: Plan
    initial_credits: Decimal
    initial_minutes: Decimal
    features: Features
    timezone: str
    country: str | None
    pricing: Pricing | None
    retell_agent_id: str | None
    retell_from_number: str | None
    person_caps: Sequence[PersonCap] = ()
    retention_days: int | None = None
    recording_retention_days: int | None = None


@dataclass(frozen=True)
class Balance:
    account: Account
    this_month: Usage
    depleted_at: datetime | None


@dataclass(frozen=True)
class AccountStats:
    total_batches: int
    active_batches: int
    total_jobs: int
    completed_jobs: int
    success_rate: float
    """Percent of the finished jobs that completed; 0 while none is finished."""
    cost_this_month: Decimal


class AccountService:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        jobs: Jobs,
        transactions: Transactions,
        time: Time,
        default_pricing: Pricing,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._jobs = jobs
        self._transactions = transactions
        self._time = time
        self._totals: Repeating[int] = Repeating(time, int)
        self._usages: Repeating[Usage] = Repeating(time, lambda usage: usage.calls)
        self._jobs_by_state: Repeating[dict[JobState, int]] = Repeating(time, lambda counts: sum(counts.values()))
        self._default_pricing = default_pricing

    async def create(self, new: NewAccount) -> Account:
        """Raises InvalidInput, or Conflict if the chosen id is taken."""
        bought = _initial_amount(new)
        country = new.country or region_of_timezone(new.timezone)
        now = self._time.now()
        account = Account(
            account_id=new.account_id or new_id("acc"),
            account_name=new.account_name,
            contact_name=new.contact_name,
            contact_email=new.contact_email,
            contact_phone=_contact_phone(new.contact_phone, country),
            plan_type=new.plan_type,
            features=new.features,
            timezone=new.timezone,
            country=country,
            person_caps=list(new.person_caps),
            retention_days=new.retention_days,
            recording_retention_days=new.recording_retention_days,
            pricing=new.pricing or self._default_pricing,
            funds=_initial_funds(new.plan_type, bought),
            retell_agent_id=new.retell_agent_id,
            retell_from_number=new.retell_from_number,
            created_at=now,
            updated_at=now,
        )
        if bought:
            first = _topup(account, f"{account.account_id}:initial", bought, "initial_balance", now)
            account = account.model_copy(update={"unposted": [first]})
        if not await self._accounts.insert(account):
            raise Conflict("account_exists", account_id=account.account_id)
        await post_entries(self._accounts, self._transactions, account)
        return account

    async def get(self, account_id: str) -> Account:
        """Raises NotFound."""
        account = await self._accounts.get(account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=account_id)
        return account

    async def get_many(self, account_ids: Iterable[str]) -> dict[str, Account]:
        """Those that exist, by id."""
        return await self._accounts.get_many(account_ids)

    async def page(
        self,
        *,
        account_ids: Collection[str] | None,
        limit: int,
        skip: int,
        sort: NameSort = NameSort.NEWEST,
        search: Search | None = None,
    ) -> tuple[list[Account], int]:
        return await self._accounts.page(account_ids=account_ids, limit=limit, skip=skip, sort=sort, search=search)

    async def phone_of(self, account_id: str, written: str) -> str:
        """A number as somebody of the account writes it, in E.164. Raises NotFound or InvalidInput."""
        found = normalise_phone(written, (await self.get(account_id)).country)
        if found.e164 is None:
            code = found.error or "phone_not_a_number"
            raise InvalidInput([FieldError.of(("query", "phone"), code, value=written)])
        return found.e164

    async def change(self, account_id: str, changes: dict[str, Any]) -> Account:
        """Set what is given. Whatever may let calls go on again wakes the account's batches."""
        account = await self.get(account_id)
        if changes.get("contact_phone"):
            changes["contact_phone"] = _contact_phone(changes["contact_phone"], changes.get("country", account.country))
        if changes.get("status", account.status) is AccountStatus.ACTIVE:
            if changes.get("suspension_reason"):
                raise InvalidInput([FieldError.of(("suspension_reason",), "suspension_reason_of_active")])
            changes["suspension_reason"] = None
        changed = await self._accounts.update(account_id, {**changes, "updated_at": self._time.now()})
        if changed is None:
            raise NotFound("account_not_found", account_id=account_id)
        if "person_caps" in changes:
            # They wait for what the caps were, perhaps for weeks.
            await self._jobs.bring_forward(account_id, self._time.now())
        await self._batches.wake_account(account_id, self._time.now())
        return changed

    async def top_up(
        self, account_id: str, *, bought_credits: Decimal, bought_minutes: Decimal, idempotency_key: str | None
    ) -> tuple[Account, Transaction]:
        """Add what was bought, once per key for ever; batches that waited for money go on.

        Raises NotFound, InvalidInput, or Conflict if the key belongs to another amount.
        """
        key = idempotency_key or new_id("topup")
        transaction_id = f"{account_id}:topup:{key}"
        while True:
            account = await self.get(account_id)
            amount = _amount_in_plan_unit(account.plan_type, bought_credits, bought_minutes)
            # An entry goes from the account to the ledger, so it is looked for in this order; and if a top-up came
            # after the account was read, perhaps this very one, the update below does not match.
            before = next((entry for entry in account.unposted if entry.transaction_id == transaction_id), None)
            before = before or await self._transactions.get(transaction_id)
            if before is not None and before.amount != amount:
                raise Conflict("idempotency_key_reused", key=key)
            entry = before or _topup(account, transaction_id, amount, "topup", self._time.now())
            changed = account if before else await self._accounts.top_up(account, entry)
            if changed is not None:
                break
        await post_entries(self._accounts, self._transactions, changed)
        await self._batches.wake_account(account_id, self._time.now())
        return changed, entry

    async def transactions(
        self,
        account_id: str,
        *,
        type_: TransactionType | None = None,
        limit: int,
        skip: int,
        after: Place | None = None,
        sort: AgeSort = AgeSort.NEWEST,
    ) -> tuple[list[Transaction], int | None]:
        """From behind `after`, and without it how many there are in all."""
        await post_entries(self._accounts, self._transactions, await self.get(account_id))
        found = await self._transactions.page(account_id, type_, limit=limit, skip=skip, after=after, sort=sort)
        if after is not None:
            return found, None
        key = (account_id, type_)
        return found, await self._totals.get(key, lambda: self._transactions.count(account_id, type_))

    async def balance(self, account_id: str) -> Balance:
        account = await self.get(account_id)
        now = self._time.now()
        recent = await self._usage(account_id, now - RECENT_USE, now, "recent")
        return Balance(account, await self._usage_this_month(account, now), _depleted_at(account, recent, now))

    async def stats(self, account_id: str) -> AccountStats:
        account = await self.get(account_id)
        statuses = await self._batches.ids_of_account(account_id)
        total = await self._jobs_by_state.get(account_id, lambda: self._count_jobs(list(statuses)))
        completed, failed = total[JobState.COMPLETED], total[JobState.FAILED]
        return AccountStats(
            total_batches=sum(status is not None for status in statuses.values()),
            active_batches=sum(status in {BatchStatus.RUNNING, BatchStatus.SCHEDULED} for status in statuses.values()),
            total_jobs=sum(total.values()),
            completed_jobs=completed,
            success_rate=percent(completed, completed + failed),
            cost_this_month=(await self._usage_this_month(account, self._time.now())).cost,
        )

    async def _usage_this_month(self, account: Account, now: datetime) -> Usage:
        local = now.astimezone(ZoneInfo(account.timezone))
        first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
        return await self._usage(account.account_id, first, now, first)

    async def _usage(self, account_id: str, since: datetime, now: datetime, span: Hashable) -> Usage:
        until = now + timedelta(seconds=1)
        return await self._usages.get((account_id, span), lambda: self._transactions.usage(account_id, since, until))

    async def _count_jobs(self, batch_ids: list[str]) -> dict[JobState, int]:
        counts = await self._jobs.counts(batch_ids)
        return {state: sum(batch.get(state, 0) for batch in counts.values()) for state in JobState}


def _initial_amount(new: NewAccount) -> Decimal:
    """What the plan starts with. Raises InvalidInput for an amount in the other plan's unit."""
    wrong = "initial_minutes" if new.plan_type.unit is Unit.CREDITS else "initial_credits"
    if getattr(new, wrong):
        raise InvalidInput([FieldError.of((wrong,), "wrong_unit_for_plan", plan_type=new.plan_type.value)])
    return new.initial_credits if new.plan_type.unit is Unit.CREDITS else new.initial_minutes


def _amount_in_plan_unit(plan: Plan, bought_credits: Decimal, bought_minutes: Decimal) -> Decimal:
    given = {Unit.CREDITS: bought_credits, Unit.MINUTES: bought_minutes}
    amount = given.pop(plan.unit)
    for wrong, other in given.items():
        if other:
            raise InvalidInput([FieldError.of((wrong.value,), "wrong_unit_for_plan", plan_type=plan.value)])
    if amount <= 0:
        raise InvalidInput([FieldError.of((plan.unit.value,), "topup_amount_missing", unit=plan.unit.value)])
    return amount


def _initial_funds(plan: Plan, bought: Decimal) -> Funds:
    if plan.unit is Unit.CREDITS:
        return Funds(credits_purchased=bought, free=bought)
    return Funds(minutes_purchased=bought, free=bought)


def _contact_phone(raw: str | None, country: str | None) -> str | None:
    if not raw:
        return None
    found = normalise_phone(raw, country)
    if found.e164 is None:
        raise InvalidInput([FieldError.of(("contact_phone",), "phone_unusable", phone=raw)])
    return found.e164


def _topup(account: Account, transaction_id: str, amount: Decimal, description: str, now: datetime) -> Transaction:
    is_credits = account.plan_type.unit is Unit.CREDITS
    return Transaction(
        transaction_id=transaction_id,
        account_id=account.account_id,
        type=TransactionType.TOPUP_CREDITS if is_credits else TransactionType.TOPUP_MINUTES,
        amount=amount,
        description=Message(code=description),
        created_at=now,
    )


def _depleted_at(account: Account, recent: Usage, now: datetime) -> datetime | None:
    """When the balance ends if it goes on as in the last days; None without recent use, now if it is used up."""
    if recent.first_at is None or recent.units <= 0:
        return None
    available = account.funds.available(account.plan_type)
    if available <= 0:
        return now
    days = max((now - recent.first_at) / timedelta(days=1), 1.0)
    days_left = float(available / recent.units) * days
    return now + timedelta(days=days_left) if days_left < 36_500 else None
