"""A worker that is asked to leave: it takes nothing new, and what it has comes to its end."""

from collections.abc import Callable

import pytest

from app.domain.jobs import JobState
from tests.workers.conftest import Campaigns, RunningSimulator, has_state, numbers, until


async def is_called(simulator: RunningSimulator) -> bool:
    return len(await simulator.creates()) == 1


async def test_a_draining_worker_sees_its_call_to_the_end_takes_nothing_new_and_stops(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    account = await campaigns.account()
    (phone,) = numbers(1)
    await simulator.script({phone: [{"stuck": "ongoing"}]})
    called = await campaigns.batch(account, [[phone]], max_attempts=1)
    worker = await campaigns.worker()
    runner = worker.runner()
    running = campaigns.begin(runner.run())

    async def knows_its_call() -> bool:
        return worker.work.calls_in_flight == runner.in_use == 1

    await until(lambda: is_called(simulator))
    await until(lambda: has_state(campaigns, called, JobState.IN_CALL))
    await until(knows_its_call)

    worker.control.drain(60)
    waiting = await campaigns.batch(account, [numbers(1, 5)])
    (call,) = (await simulator.http.get("/simulator/calls")).json()["calls"]
    await simulator.http.post(f"/v2/stop-call/{call['call_id']}", headers={"Authorization": "Bearer key_test"})
    await running

    assert worker.work.calls_in_flight == runner.in_use == 0
    assert (await campaigns.job(called)).state.is_final
    assert (await campaigns.job(waiting)).state is JobState.PENDING
    await campaigns.assert_ledger_exact(account)


@pytest.mark.parametrize("once", [False, True], ids=["for ever", "once"])
async def test_what_is_not_over_in_time_is_handed_over(
    campaigns: Campaigns, simulator: RunningSimulator, once: bool
) -> None:
    (phone,) = numbers(1)
    await simulator.script({phone: [{"stuck": "ongoing"}]})
    batch = await campaigns.batch(await campaigns.account(), [[phone]])
    worker = await campaigns.worker()
    runner = worker.runner()
    running = campaigns.begin(runner.run_once() if once else runner.run())
    await until(lambda: has_state(campaigns, batch, JobState.IN_CALL))

    worker.control.drain(60)
    # Asked again, with less patience.
    worker.control.drain(0)
    await running

    successor = await campaigns.worker("successor")
    (adopted,) = await successor.work.adopt([])
    assert (adopted.state, adopted.worker_id) == (JobState.IN_CALL, "successor")
    assert len(await simulator.creates()) == 1


async def test_a_draining_worker_adopts_nobodys_calls(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    (phone,) = numbers(1)
    await simulator.script({phone: [{"stuck": "ongoing"}]})
    batch = await campaigns.batch(await campaigns.account(), [[phone]])
    leaving, staying = await campaigns.worker("leaving"), await campaigns.worker("staying")
    async with staying.running():
        await until(lambda: has_state(campaigns, batch, JobState.IN_CALL))

    leaving.control.drain(60)
    await leaving.runner().run()

    assert (await campaigns.job(batch)).worker_id == "staying"


async def test_a_draining_worker_leaves_imports_to_the_others(campaigns: Campaigns) -> None:
    worker = await campaigns.worker()
    told: list[bool] = []

    async def resume_expired(stopping: Callable[[], bool]) -> int:
        told.append(stopping())
        return 0

    worker.work._importing.resume_expired = resume_expired  # type: ignore[method-assign] # to see what it is told
    await worker.work.take_over()
    worker.control.drain(60)
    await worker.work.take_over()

    assert told == [False, True]
