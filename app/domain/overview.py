"""The whole system at one moment, for monitoring: what is in the database, whichever process looks.

It must cost the same whatever is stored: jobs in somebody's hands and reservations are bounded by the lines, the rest
is counted up to a bound.
"""

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from app.domain.jobs import IN_FLIGHT, JobState

MOST_COUNTED = 100_000
"""Pending jobs of one kind are counted up to here."""
MOST_ACCOUNTS = 200
"""Accounts with the most calls that are shown by name; the rest are shown together."""
OTHERS = "_others"


class AccountCalls(BaseModel):
    model_config = ConfigDict(frozen=True)

    in_flight: int
    limit: int


class Imports(BaseModel):
    """Those under way, all together."""

    model_config = ConfigDict(frozen=True)

    under_way: int = 0
    handled: int = 0
    """Contacts written (or taken out again) so far."""
    expected: int = 0
    stalled: int = 0
    """Nobody has gone on with them for a minute after their lease."""


class Outgoing(BaseModel):
    """What webhooks are told."""

    model_config = ConfigDict(frozen=True)

    pending: int = 0
    """Events that one is still to be told, at most MOST_COUNTED. What waits for one that is switched off is not due."""
    oldest_at: datetime | None = None
    """When the oldest of them happened."""
    failing: int = 0
    """Webhooks that have failed since their last success."""
    switched_off: int = 0
    """Those that failed for so long that they were switched off."""

    def oldest(self, now: datetime) -> float:
        """Its age in seconds; 0 if there is none."""
        return (now - self.oldest_at).total_seconds() if self.oldest_at else 0


class ErasuresSeen(BaseModel):
    """Persons who asked to be erased, and calls that are to be deleted at the provider."""

    model_config = ConfigDict(frozen=True)

    open: int = 0
    oldest_at: datetime | None = None
    """When the oldest of them was asked for."""
    provider_copies: int = 0
    """At most MOST_COUNTED."""
    elsewhere: int = 0
    """Of these, those that may lie in another workspace; at most MOST_COUNTED."""
    oldest_copy_at: datetime | None = None
    """When the first of the others was noted."""

    def oldest(self, now: datetime) -> float:
        """Its age in seconds; 0 if there is none."""
        return (now - self.oldest_at).total_seconds() if self.oldest_at else 0

    def oldest_copy(self, now: datetime) -> float:
        """The same of calls."""
        return (now - self.oldest_copy_at).total_seconds() if self.oldest_copy_at else 0


class Overview(BaseModel):
    model_config = ConfigDict(frozen=True)

    taken_at: datetime
    in_flight: dict[str, int]
    """Jobs in somebody's hands, by state."""
    pending: dict[str, int]
    """Jobs that wait, by what for; at most MOST_COUNTED of each."""
    calls: dict[str, AccountCalls]
    """By account, of those with jobs in flight; at most MOST_ACCOUNTS, and OTHERS."""
    stuck: int
    """Jobs whose lease ran out more than a minute ago, without anybody having taken them over."""
    oldest_attempt_at: datetime | None = None
    """When the oldest attempt that is not settled yet began."""
    open_batches: int
    """Batches that run and do not sleep: something of theirs might be called now."""
    imports: Imports = Imports()
    outgoing: Outgoing = Outgoing()
    erasures: ErasuresSeen = ErasuresSeen()
    reserved: dict[str, Decimal]
    """By plan, in its unit: credits or minutes."""
    reservations: int
    workers: dict[str, int]
    """By state."""

    @property
    def by_state(self) -> dict[str, int]:
        """Jobs that are not final."""
        states = {state.value: self.in_flight.get(state.value, 0) for state in IN_FLIGHT}
        return states | {JobState.PENDING.value: sum(self.pending.values())}

    def oldest(self, now: datetime) -> float:
        """Seconds since the oldest attempt began that is not settled yet; 0 if there is none."""
        return (now - self.oldest_attempt_at).total_seconds() if self.oldest_attempt_at else 0


class Overviews(Protocol):
    async def stored(self) -> Overview | None: ...
    async def take_turn(self, seconds: float) -> bool:
        """Whether it is the caller's turn to look: one in so many seconds, of all processes."""

    async def look(self, now: datetime) -> Overview: ...
    async def store(self, overview: Overview, seconds: float) -> None:
        """For all processes. The next turn is in `seconds` at the earliest."""
