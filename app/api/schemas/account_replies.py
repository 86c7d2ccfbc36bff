"""Response bodies of /accounts."""

from decimal import Decimal

from pydantic import Field

from app.api.schemas.common import Instant, Number, Reply, is_off
from app.domain.accounts import Account, AccountStatus, Features
from app.domain.messages import Language
from app.domain.money import Plan, Unit
from app.domain.person_caps import PersonCap
from app.domain.privacy import Retention, in_force
from app.domain.transactions import Transaction
from app.services.accounts import AccountStats, Balance


class Funds(Reply):
    """What is left of each unit, calls in progress not yet taken off; and all that was spent, in money."""

    minutes: Number
    credits: Number
    total_spent: Number


def _is_empty(value: object) -> bool:
    """An option that is not used is not shown, so that settings without it read as they were sent."""
    return not value


class AccountSettingsReply(Reply):
    timezone: str
    person_caps: list[PersonCap] = Field(default=[], exclude_if=_is_empty, description="Absent: none.")
    retention_days: int | None = Field(
        default=None, exclude_if=is_off, description="After so many days contacts are erased. Absent: never."
    )
    recording_retention_days: int | None = Field(
        default=None, exclude_if=is_off, description="The same of the links to recordings."
    )


class ErasedByAgeReply(Reply):
    jobs: int
    recordings: int
    last_at: Instant | None


class AccountReply(Reply):
    id_: str = Field(serialization_alias="_id")
    account_id: str
    account_name: str
    contact_name: str
    contact_email: str
    contact_phone: str | None
    plan_type: Plan
    status: AccountStatus
    is_active: bool
    suspension_reason: str | None
    balance: Funds
    features: Features
    settings: AccountSettingsReply
    country: str | None
    minutes_purchased: Number
    minutes_used: Number
    credit_balance: Number = Field(description="All credits ever bought.")
    credit_used: Number
    cost_per_minute: Number
    credits_per_minute: Number
    billing_increment_seconds: int
    max_concurrent_calls: int
    retell_agent_id: str | None
    retell_from_number: str | None
    erased_by_age: ErasedByAgeReply | None = Field(
        default=None, exclude_if=is_off, description="How much so far. Absent: nothing."
    )
    created_at: Instant
    updated_at: Instant


def account_reply(account: Account, retention: Retention) -> AccountReply:
    """`retention`: what holds where the account says nothing."""
    funds, pricing, erased = account.funds, account.pricing, account.erased_by_age
    days = in_force(account.retention_days, account.recording_retention_days, account.person_caps, retention)
    return AccountReply(
        id_=account.account_id,
        account_id=account.account_id,
        account_name=account.account_name,
        contact_name=account.contact_name,
        contact_email=account.contact_email,
        contact_phone=account.contact_phone,
        plan_type=account.plan_type,
        status=account.status,
        is_active=account.status is AccountStatus.ACTIVE,
        suspension_reason=account.suspension_reason,
        balance=_funds(account),
        features=account.features,
        settings=AccountSettingsReply(
            timezone=account.timezone,
            person_caps=account.person_caps,
            retention_days=days.personal_days,
            recording_retention_days=days.recording_days,
        ),
        country=account.country,
        minutes_purchased=funds.minutes_purchased,
        minutes_used=funds.minutes_used,
        credit_balance=funds.credits_purchased,
        credit_used=funds.credits_used,
        cost_per_minute=pricing.cost_per_minute,
        credits_per_minute=pricing.credits_per_minute,
        billing_increment_seconds=pricing.billing_increment_seconds,
        max_concurrent_calls=account.features.max_concurrent_calls,
        retell_agent_id=account.retell_agent_id,
        retell_from_number=account.retell_from_number,
        erased_by_age=ErasedByAgeReply(**erased.model_dump()) if erased.last_at else None,
        created_at=account.created_at,
        updated_at=account.updated_at,
    )


def _funds(account: Account) -> Funds:
    funds = account.funds
    return Funds(minutes=funds.minutes_available, credits=funds.credits_available, total_spent=funds.total_spent)


class UsageReply(Reply):
    credits_used: Number
    minutes_used: Number
    total_cost: Number


class BalanceReply(Reply):
    account_id: str
    current_balance: Funds
    usage_this_month: UsageReply = Field(description="The calendar month in the account's time zone.")
    estimated_depletion_date: Instant | None = Field(description="At the pace of the last 30 days; null without use.")


def balance_reply(balance: Balance) -> BalanceReply:
    account, used = balance.account, balance.this_month
    by_credits = account.plan_type.unit is Unit.CREDITS
    return BalanceReply(
        account_id=account.account_id,
        current_balance=_funds(account),
        usage_this_month=UsageReply(
            credits_used=used.units if by_credits else Decimal(0), minutes_used=used.minutes, total_cost=used.cost
        ),
        estimated_depletion_date=balance.depleted_at,
    )


class StatsReply(Reply):
    account_id: str
    total_batches: int
    active_batches: int
    total_jobs: int
    completed_jobs: int
    success_rate: float = Field(description="Percent of the finished jobs that completed.")
    total_cost_this_month: Number


def stats_reply(account_id: str, stats: AccountStats) -> StatsReply:
    return StatsReply(
        account_id=account_id,
        total_batches=stats.total_batches,
        active_batches=stats.active_batches,
        total_jobs=stats.total_jobs,
        completed_jobs=stats.completed_jobs,
        success_rate=stats.success_rate,
        total_cost_this_month=stats.cost_this_month,
    )


class TransactionReply(Reply):
    id_: str = Field(serialization_alias="_id")
    transaction_id: str
    account_id: str
    type: str
    amount: Number = Field(description="In the plan's unit; negative when the account pays.")
    minutes: Number
    cost: Number
    description: str
    batch_id: str | None
    job_id: str | None
    created_at: Instant


def transaction_reply(transaction: Transaction, language: Language) -> TransactionReply:
    return TransactionReply(
        id_=transaction.transaction_id,
        transaction_id=transaction.transaction_id,
        account_id=transaction.account_id,
        type=transaction.type.value,
        amount=transaction.amount,
        minutes=transaction.minutes,
        cost=transaction.cost,
        description=transaction.description.render(language),
        batch_id=transaction.batch_id,
        job_id=transaction.job_id,
        created_at=transaction.created_at,
    )


class TopUpReply(Reply):
    account_id: str
    current_balance: Funds
    transaction: TransactionReply


def topup_reply(account: Account, transaction: Transaction, language: Language) -> TopUpReply:
    return TopUpReply(
        account_id=account.account_id,
        current_balance=_funds(account),
        transaction=transaction_reply(transaction, language),
    )
