"""The ledger: one document a movement of an account's money, never changed after it is written."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.messages import Message


class TransactionType(StrEnum):
    TOPUP_CREDITS = "topup_credits"
    TOPUP_MINUTES = "topup_minutes"
    CALL_USAGE = "call_usage"


class Transaction(BaseModel):
    """`amount` is in the plan's unit, positive when the account gains and negative when it pays; `cost` is money."""

    model_config = ConfigDict(frozen=True)

    transaction_id: str
    """For `call_usage` the attempt id, so that a call cannot be charged twice."""
    account_id: str
    type: TransactionType
    amount: Decimal
    minutes: Decimal = Decimal(0)
    """Billed talk time; 0 for a top-up."""
    cost: Decimal = Decimal(0)
    description: Message
    batch_id: str | None = None
    job_id: str | None = None
    created_at: datetime


class Usage(BaseModel):
    """The sum of `call_usage` over some span."""

    model_config = ConfigDict(frozen=True)

    calls: int = 0
    units: Decimal = Decimal(0)
    minutes: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    first_at: datetime | None = None
