"""How many questions a process asks Retell: no more than so many a second, whatever the number of calls it follows."""

import asyncio
from collections import deque

from app.services.worker_control import ProviderHold, WorkerControl


class ReadPace:
    """Turns, handed out evenly. Whoever has news, or a call that must be over, goes before the routine looks."""

    def __init__(self, control: WorkerControl, per_second: float) -> None:
        self._control = control
        self._gap = 1 / per_second
        self._hold = ProviderHold(control.time)
        self._urgent: deque[asyncio.Event] = deque()
        self._routine: deque[asyncio.Event] = deque()
        self._next_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, *, urgent: bool, news: asyncio.Event | None = None) -> bool:
        """Wait for a turn; `news` on the way makes it urgent. False if the worker was told to stop."""
        if not urgent:
            place = self._queue_up(self._routine)
            await self._control.told(place, *([news] if news else []))
            if place.is_set() or self._control.stopping.is_set():
                return not self._control.stopping.is_set()
            self._routine.remove(place)
        await self._control.told(self._queue_up(self._urgent))
        return not self._control.stopping.is_set()

    def throttled(self, retry_after: float | None) -> float:
        """Retell asks for less: nobody asks it anything for the seconds answered."""
        seconds = self._hold.trouble(retry_after)
        self._next_at = max(self._next_at, self._control.time.monotonic() + seconds)
        return seconds

    def answered(self) -> None:
        self._hold.well()

    def _queue_up(self, queue: deque[asyncio.Event]) -> asyncio.Event:
        place = asyncio.Event()
        queue.append(place)
        self._set_timer()
        return place

    def _set_timer(self) -> None:
        if self._timer is None and (self._urgent or self._routine):
            wait = max(0.0, self._next_at - self._control.time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._hand_out)

    def _hand_out(self) -> None:
        self._timer = None
        now = self._control.time.monotonic()
        queue = self._urgent or self._routine
        # Retell may have asked for less since the timer was set.
        if queue and now >= self._next_at:
            queue.popleft().set()
            self._next_at = now + self._gap
        self._set_timer()
