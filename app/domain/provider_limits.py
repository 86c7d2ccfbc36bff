"""What all workers together may ask of the call provider just now: simultaneous calls, calls a second, or nothing.

One document holds it, so that every worker process, on whatever machine, goes by the same.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.messages import Message

RETELL_DEFAULT_CONCURRENCY = 20
"""What a Retell workspace has unless it buys more (retell.md §7.2); used as long as Retell has told nothing else."""


class Trouble(StrEnum):
    """What makes every worker pause, by what shows that it is over."""

    REFUSED = "refused"
    """Retell could not be reached, or answered 429. Over with the next call that it takes."""
    OVER_LIMIT = "over_limit"
    """Retell took the call and ended it with `concurrency_limit_reached`. Over with the next call that gets through."""


class Hold(BaseModel):
    """A pause of all workers. It grows with every failure in a row, and waiting is not an attempt."""

    model_config = ConfigDict(frozen=True)

    hold_id: str
    trouble: Trouble
    reason: Message
    since: datetime
    """When the trouble began; it may have been tried again since."""
    until: datetime
    times: int
    """Pauses in a row, this one included."""


class ProviderState(BaseModel):
    model_config = ConfigDict(frozen=True)

    max_concurrent: int | None = None
    """Outbound calls at once, in the provider's own words; None as long as it has not said."""
    next_start_at: datetime | None = None
    """The first start that has not been given to any job yet."""
    hold: Hold | None = None

    def held(self, now: datetime) -> Hold | None:
        """The pause that lasts at `now`."""
        return self.hold if self.hold is not None and now < self.hold.until else None


WINDOW = timedelta(milliseconds=250)
LATEST = timedelta(seconds=1)
"""A start that a job could not use within this time is lost.

More than `WINDOW`, so that a MongoDB that is far away does not keep every job from its start for ever: a call so late
may fall together with the next one, which costs a 429 and a pause at worst, never a call or an attempt.
"""
AHEAD = timedelta(seconds=2)
"""Starts are taken for no longer than this ahead, over all workers: who waits longer would hold slots for nothing."""


def spacing(calls_per_second: float) -> timedelta:
    """The time between two starts, so that no second ever sees more than `calls_per_second` of them.

    A job uses its start at once or late, by less than `WINDOW` unless MongoDB is slow. Any `calls_per_second` + 1
    starts in a row span a second and a `WINDOW`, so however late the first and however punctual the last, they never
    fall into one second.
    The price of that certainty is a fifth of the rate.
    """
    return (timedelta(seconds=1) + WINDOW) / calls_per_second


def starts_left(next_start_at: datetime | None, calls_per_second: float, now: datetime) -> int:
    """How many more starts may be taken now without reaching further ahead than `AHEAD`."""
    behind = timedelta(0) if next_start_at is None else max(next_start_at - now, timedelta(0))
    return max(0, -int((behind - AHEAD) // spacing(calls_per_second)))
