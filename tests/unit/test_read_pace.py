"""How many questions a process asks Retell, and who goes first."""

import asyncio
from datetime import timedelta

from app.clock import Clock
from app.services.read_pace import ReadPace
from app.services.worker_control import WorkerControl

FAST = 1000.0
SLOW = 1 / 3600


def paced(per_second: float) -> tuple[ReadPace, WorkerControl]:
    control = WorkerControl("worker-1", Clock(), timedelta(seconds=60))
    return ReadPace(control, per_second), control


async def settle() -> None:
    """Let every task go as far as it can without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_turns_are_no_closer_together_than_they_may_be() -> None:
    pace, control = paced(50)
    taken: list[float] = []

    async def read() -> None:
        assert await pace.turn(urgent=False)
        taken.append(control.time.monotonic())

    await asyncio.gather(*(read() for _ in range(10)))

    # Nine gaps of 20 ms; the reader notes the time a little after its turn, so a single gap may look shorter.
    assert taken[-1] - taken[0] > 0.15


async def test_the_first_comes_first_but_the_urgent_before_all() -> None:
    pace, _ = paced(FAST)
    order: list[str] = []

    async def read(name: str, *, urgent: bool) -> None:
        await pace.turn(urgent=urgent)
        order.append(name)

    names = [("routine 1", False), ("routine 2", False), ("urgent 1", True), ("urgent 2", True)]
    await asyncio.gather(*(read(name, urgent=urgent) for name, urgent in names))

    assert order == ["urgent 1", "urgent 2", "routine 1", "routine 2"]


async def test_news_on_the_way_moves_a_routine_look_forward() -> None:
    pace, _ = paced(20)
    order: list[str] = []
    news = asyncio.Event()

    async def read(name: str, news: asyncio.Event | None = None) -> None:
        await pace.turn(urgent=False, news=news)
        order.append(name)

    async with asyncio.TaskGroup() as reads:
        for name in ("first", "second", "third"):
            reads.create_task(read(name))
        reads.create_task(read("with news", news))
        await settle()
        news.set()

    assert order.index("with news") <= 1
    assert len(order) == 4


async def test_nobody_waits_for_a_turn_when_the_worker_stops() -> None:
    pace, control = paced(SLOW)
    assert await pace.turn(urgent=True)
    waiting = [asyncio.create_task(pace.turn(urgent=urgent)) for urgent in (True, False)]
    await settle()

    control.stopping.set()

    async with asyncio.timeout(60):
        assert await asyncio.gather(*waiting) == [False, False]


async def test_nobody_asks_while_retell_wants_less() -> None:
    pace, control = paced(FAST)
    assert pace.throttled(3600) == 3600
    waiting = asyncio.create_task(pace.turn(urgent=True))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    control.stopping.set()
    await waiting


async def test_a_throttling_reaches_those_who_wait_already() -> None:
    pace, control = paced(20)
    assert await pace.turn(urgent=True)
    waiting = asyncio.create_task(pace.turn(urgent=True))
    await settle()
    pace.throttled(3600)
    await asyncio.sleep(0.2)
    assert not waiting.done()
    control.stopping.set()
    await waiting


def test_without_a_time_to_wait_each_throttling_waits_longer() -> None:
    pace, _ = paced(FAST)
    assert pace.throttled(None) == 1
    pace.answered()
    assert pace.throttled(None) == 1
