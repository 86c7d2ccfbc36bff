"""A phone call as the domain sees it: the order we give to the provider and the report we get back."""

import math
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class CallStatus(StrEnum):
    """Retell's `call_status` (retell.md §3.2)."""

    REGISTERED = "registered"
    ONGOING = "ongoing"
    ENDED = "ended"
    NOT_CONNECTED = "not_connected"
    ERROR = "error"

    @property
    def is_terminal(self) -> bool:
        return self in {CallStatus.ENDED, CallStatus.NOT_CONNECTED, CallStatus.ERROR}


class CallOrder(BaseModel):
    """Everything needed to place one call."""

    model_config = ConfigDict(frozen=True)

    attempt_id: str
    job_id: str
    batch_id: str
    account_id: str
    from_number: str
    to_number: str
    agent_id: str | None
    ring_seconds: int
    max_duration_seconds: int
    voice_id: str | None
    voice_speed: float
    volume: float
    language: str
    timezone: str
    webhook_url: str | None = None
    """Where the provider tells of the call; None: as it is set up there."""
    variables: dict[str, str]


class CallReport(BaseModel):
    """What the provider says about a call, at one moment. Everything that is not yet known is None."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    status: CallStatus
    attempt_id: str | None = None
    disconnection_reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    billed_seconds: float | None = None
    cost_cents: Decimal | None = None
    """The provider's price in US cents (retell.md §4), not ours."""
    user_spoke: bool | None = None
    """Whether the transcript has a turn of the called person; None without a transcript."""
    in_voicemail: bool | None = None
    analysis: dict[str, Any] | None = None
    transcript: str | None = None
    recording_url: str | None = None
    public_log_url: str | None = None
    collected_variables: dict[str, str] = {}

    @property
    def is_over(self) -> bool:
        return self.status.is_terminal

    @property
    def seconds(self) -> float:
        """Connected time in seconds; 0 if the call never connected."""
        return (self.duration_ms or 0) / 1000

    @property
    def is_complete(self) -> bool:
        """Whether nothing that arrives after a call's end (cost, analysis) is still missing."""
        return self.is_over and (
            self.status is not CallStatus.ENDED or (self.cost_cents is not None and self.analysis is not None)
        )


def first_placed(calls: list[CallReport]) -> CallReport:
    """Of an attempt's calls the one that counts: the one answered first, else the first in the list."""
    return min(calls, key=lambda call: call.started_at.timestamp() if call.started_at else math.inf)
