"""The simulator's time: the only module here that reads the clock.

Two scales live side by side. *Real* seconds are the client's: idempotency window, calls per second, reply
delays, HTTP time-outs and webhook signatures are measured in them. *Simulated* time is the call's: ringing,
talking, cost and analysis delays run `speed` times faster than the real clock.
"""

import time


class Clock:
    """Real time, and the exchange rate between it and simulated time."""

    def __init__(self, speed: float = 1.0) -> None:
        """`speed`: simulated seconds per real second; 60 turns a minute of talk into one real second."""
        if speed <= 0:
            raise ValueError("speed must be above 0")
        self.speed = speed

    def now(self) -> float:
        """Real seconds since the epoch."""
        return time.time()

    def elapsed_ms(self, since: float) -> int:
        """Simulated milliseconds that have gone by since the real instant `since`."""
        return round((self.now() - since) * self.speed * 1000)

    def instant(self, since: float, after_ms: int) -> float:
        """The real instant that lies `after_ms` simulated milliseconds after the real instant `since`."""
        return since + after_ms / 1000 / self.speed

    def real_seconds(self, simulated_seconds: float) -> float:
        """How long a simulated span lasts in real seconds."""
        return simulated_seconds / self.speed


class ManualClock(Clock):
    """A clock that moves only when told to, for tests."""

    def __init__(self, speed: float = 1.0, start: float = 1_767_225_600.0) -> None:
        """`start`: real seconds since the epoch; 2026-01-01T00:00:00Z unless told otherwise."""
        super().__init__(speed)
        self._now = start

    def now(self) -> float:
        """The instant last set."""
        return self._now

    def advance(self, simulated_seconds: float) -> None:
        """Move on by this much simulated time."""
        self._now += simulated_seconds / self.speed

    def advance_real(self, seconds: float) -> None:
        """Move on by this much real time."""
        self._now += seconds
