"""The only reader of the clock.

Every process decides by the clock of the MongoDB primary, not by its own: a worker whose machine is minutes off
would otherwise call outside the hours or think its leases fresh. `synchronise` is fed with the primary's time at
start-up and at every heartbeat; between two of them the monotonic clock carries it on, so that a jump of the
machine's wall clock changes nothing. A worker that has not synchronised for two thirds of its lease does not dial
(WorkerControl.may_dial), and right before each call the hours are asked by the primary's own time (Dialing).
"""

import time
from datetime import UTC, datetime, timedelta

# On Linux the monotonic clock stands still while the machine is suspended; this one does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock:
    """Wall-clock time as the database tells it, and the local monotonic clock."""

    def __init__(self) -> None:
        self._wall = datetime.now(UTC)
        self._at = self.monotonic()

    def now(self) -> datetime:
        """The present instant, aware, UTC, with the primary's millisecond precision or better."""
        return self._wall + timedelta(seconds=self.monotonic() - self._at)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, those of a suspended machine too; only differences mean something."""
        return time.clock_gettime(_CLOCK)

    def machine_is_behind(self) -> timedelta:
        """How far this machine's own clock is behind `now`: whoever keeps it set should know. Nothing else asks it."""
        return self.now() - datetime.now(UTC)

    def synchronise(self, server_now: datetime, asked_at: float) -> timedelta:
        """Adopt `server_now`, read from the primary by a request sent at monotonic `asked_at`.

        Returns how far this process's time was from the primary's (positive: it was behind). Half of the round trip
        is taken as the answer's age.
        """
        received_at = self.monotonic()
        truth = server_now + timedelta(seconds=(received_at - asked_at) / 2)
        correction = truth - self.now()
        self._wall, self._at = truth, received_at
        return correction
