"""`python -m workers.call_worker --drain`: have workers stop once their calls are over, and wait for it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import typer

from app.bootstrap import Container
from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.workers import Worker, WorkerState

LOOK_SECONDS = 1.0
SPARE_SECONDS = 30.0
"""For a worker to notice that it was asked, and to say that it has stopped."""


async def drain(
    container: Container, chosen: Callable[[Worker], bool], within: timedelta, user: str, *, named: bool
) -> bool:
    """Ask those `chosen` of the workers at work, and wait for their end; whether all have stopped.

    One that was `named` must be known, or its name is wrong. Says what happens on standard output. Raises Unavailable
    if MongoDB is away at the start.
    """
    await container.synchronise_clock()
    now = container.clock.now()
    known = [worker for worker in await container.workers.list() if chosen(worker)]
    waiting = [worker for worker in known if worker.is_at_work(now)]
    if not waiting:
        typer.echo("No such worker is at work." if known or not named else "There is no worker of that name.")
        return bool(known) or not named
    for worker in waiting:
        try:
            await container.workers.drain(worker.worker_id, within, user=user)
        except (Conflict, NotFound):
            continue  # gone meanwhile: seen below
        typer.echo(f"{worker.worker_id}: asked to drain, with {worker.calls_in_flight} calls in flight")
    patience = within.total_seconds() + container.settings.worker_shutdown_seconds + SPARE_SECONDS
    return await _all_stop(container, [worker.worker_id for worker in waiting], patience)


async def _all_stop(container: Container, worker_ids: Sequence[str], patience: float) -> bool:
    until = container.clock.monotonic() + patience
    waiting, lost = set(worker_ids), False
    while waiting and container.clock.monotonic() < until:
        await asyncio.sleep(LOOK_SECONDS)
        for worker_id, state in (await _states(container)).items():
            if worker_id in waiting and state in {WorkerState.STOPPED, WorkerState.LOST}:
                typer.echo(f"{worker_id}: {state.value}")
                waiting.remove(worker_id)
                lost = lost or state is WorkerState.LOST
    for worker_id in sorted(waiting):
        typer.echo(f"{worker_id}: has not stopped in {patience:.0f} s")
    return not waiting and not lost


async def _states(container: Container) -> dict[str, WorkerState]:
    """Nothing while MongoDB is away: then it is waited for, too."""
    try:
        now = container.clock.now()
        return {worker.worker_id: worker.state_at(now) for worker in await container.workers.list()}
    except Unavailable:
        return {}
