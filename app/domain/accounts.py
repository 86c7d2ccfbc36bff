"""A customer: plan, limits, prices and what is left of the money."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, computed_field

from app.domain.fair_turns import Turn
from app.domain.money import Plan, Pricing, Unit
from app.domain.person_caps import PersonCap
from app.domain.privacy import ErasedByAge
from app.domain.searching import name_words, sort_name
from app.domain.transactions import Transaction
from app.domain.webhooks import EventType


class AccountStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """No call is placed; calls in progress end by themselves."""


class Features(BaseModel):
    """What the customer has booked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_concurrent_calls: int = Field(default=5, ge=1, le=50)
    voice_cloning: bool = False
    advanced_analytics: bool = False
    custom_integration: bool = False
    priority_support: bool = False


class Funds(BaseModel):
    """Money of an account. `free` is what may still be reserved: purchased - used - reserved, in the plan's unit.

    It is kept beside its parts so that reserving is one conditional update on one document.
    """

    model_config = ConfigDict(frozen=True)

    credits_purchased: Decimal = Decimal(0)
    credits_used: Decimal = Decimal(0)
    minutes_purchased: Decimal = Decimal(0)
    minutes_used: Decimal = Decimal(0)
    total_spent: Decimal = Decimal(0)
    free: Decimal = Decimal(0)

    @property
    def credits_available(self) -> Decimal:
        return self.credits_purchased - self.credits_used

    @property
    def minutes_available(self) -> Decimal:
        return self.minutes_purchased - self.minutes_used

    def available(self, plan: Plan) -> Decimal:
        """What is left in the unit that `plan` pays with, reservations included."""
        return self.credits_available if plan.unit is Unit.CREDITS else self.minutes_available


class Account(BaseModel):
    model_config = ConfigDict(frozen=True)

    account_id: str
    account_name: str
    contact_name: str
    contact_email: str
    contact_phone: str | None = None
    plan_type: Plan
    status: AccountStatus = AccountStatus.ACTIVE
    suspension_reason: str | None = None
    features: Features = Features()
    timezone: str
    country: str | None = None
    person_caps: list[PersonCap] = []
    """How often one person may be called, over all batches; none: as often as the batches say."""
    pricing: Pricing
    funds: Funds
    reservations: dict[str, Decimal] = {}
    """What each attempt in progress may cost at worst, by attempt id, in the plan's unit."""
    unposted: list[Transaction] = []
    """Entries whose money is in `funds` already, until they are in the ledger: services/ledger.py posts them."""
    topups: int = 0
    """Raised by every top-up, so that one decided on older facts is not carried out."""
    turn: Turn = Turn()
    """Its turn among all accounts."""
    webhook_events: list[EventType] = []
    """What any of its webhooks is to be told; services/webhooks.py keeps it, so that calling need not look for them."""
    webhook_changes: int = 0
    """Raised by every subscription, so that one is not struck out on older facts."""
    retell_agent_id: str | None = None
    retell_from_number: str | None = None
    retention_days: int | None = None
    """After how many days from a batch's end its contacts are erased; 0: never; None: as the environment says."""
    recording_retention_days: int | None = None
    """The same of the links to recordings."""
    erased_by_age: ErasedByAge = ErasedByAge()
    created_at: datetime
    updated_at: datetime

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorated properties; pydantic documents this
    @property
    def sort_name(self) -> str:
        """Stored, like the next: what lists are sorted by, and what it is found by (domain.searching)."""
        return sort_name(self.account_name)

    @computed_field  # type: ignore[prop-decorator] # as above
    @property
    def name_words(self) -> list[str]:
        return name_words(self.account_name)
