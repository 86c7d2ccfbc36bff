"""The call worker: `python -m workers.call_worker`."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import structlog
import typer

from app.api.schemas.webhook_events import WebhookPayloads
from app.bootstrap import Container, open_call_work, open_container, open_deleting, open_outgoing, register
from app.config import Settings, SettingsError, WorkerSettings, load_settings
from app.domain.errors import Unavailable
from app.domain.workers import Vitals, Worker, WorkerState
from app.heap import keep_what_is_loaded
from app.log_config import configure_logging
from app.repositories.database import DatabaseUnsuitable
from app.services.call_work import CallWork
from app.services.worker_control import WorkerControl
from app.version import version
from workers import draining
from workers.health import HealthFile
from workers.housekeeping import Housekeeping
from workers.metrics_server import MetricsServer
from workers.outgoing import Outgoing
from workers.runner import Pace, Runner

log = structlog.get_logger("worker")

LISTEN_SECONDS = 1.0
TIDY_SECONDS = 60.0
LONGEST_START_WAIT_SECONDS = 15.0

STALLED_SECONDS = 600.0
"""A loop that does not come round for so long hangs. Undoing a large import takes a minute of the claim's."""
REGISTER_SECONDS = 5.0

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=2000, help="Calls handled at once. Default: WORKER_CONCURRENCY (200).")
    ] = None,
    worker_id: Annotated[
        str | None,
        typer.Option(help="Its name in logs and jobs; a random suffix tells its starts apart. Default: host-pid."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Place the calls that are due now, see them to their end, and exit.")
    ] = False,
    health_file: Annotated[
        Path | None,
        typer.Option(
            help="Written as long as the worker is alive, for `python -m workers.health`. Default: WORKER_HEALTH_FILE."
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Serves GET /metrics and /health/live. Default: WORKER_METRICS_PORT (0: nowhere).",
        ),
    ] = None,
    drain: Annotated[
        bool,
        typer.Option(
            "--drain",
            help="Place no calls: have the running workers of this host (or --worker-id, or --all) take nothing new, "
            "see their calls to their end and stop; wait for it.",
        ),
    ] = False,
    everywhere: Annotated[bool, typer.Option("--all", help="With --drain: the workers of all hosts.")] = False,
    within: Annotated[
        int,
        typer.Option(min=0, max=4 * 3600, help="With --drain: seconds after which calls are handed over instead."),
    ] = 600,
) -> None:
    """Place the calls of running batches, at allowed times only, until stopped.

    SIGTERM or Ctrl-C stops it gracefully: nothing new is taken, what was not dialed goes back unspent, and calls in
    progress are handed over to the other workers, or to the next one that starts. Any number of workers may run.

    Settings come from environment variables or .env; .env.example lists them all.
    """
    try:
        settings = load_settings(Settings if drain else WorkerSettings)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    configure_logging(settings.log_format, settings.log_level, settings.secrets)
    name = worker_id or f"{socket.gethostname()}-{os.getpid()}"
    given = {"worker_concurrency": concurrency, "worker_health_file": health_file, "worker_metrics_port": metrics_port}
    settings = settings.model_copy(update={key: value for key, value in given.items() if value is not None})
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as loop:
            if drain:
                drained = loop.run(_drain(settings, None if everywhere else worker_id, everywhere, within))
                raise typer.Exit(0 if drained else 1)
            keep_what_is_loaded()
            loop.run(_run(settings, name, once=once))
    except DatabaseUnsuitable as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _chosen(worker_id: str | None, *, everywhere: bool) -> Callable[[Worker], bool]:
    if everywhere:
        return lambda _: True
    if worker_id is not None:
        return lambda worker: worker_id in {worker.worker_id, worker.name}
    return lambda worker: worker.host == socket.gethostname()


async def _drain(settings: Settings, worker_id: str | None, everywhere: bool, within: int) -> bool:
    chosen, by = _chosen(worker_id, everywhere=everywhere), f"call_worker@{socket.gethostname()}"
    async with open_container(settings) as container:
        try:
            await container.database.check()
            return await draining.drain(container, chosen, timedelta(seconds=within), by, named=worker_id is not None)
        except Unavailable as error:
            typer.echo(error.message.render("en"), err=True)
            return False


async def _run(settings: Settings, name: str, *, once: bool) -> None:
    """Raises DatabaseUnsuitable, also when a newer code's data came while it worked."""
    refused: list[DatabaseUnsuitable] = []
    async with open_container(settings) as container, AsyncExitStack() as beside:
        # Unique to this start: a successor under the same name must not be taken for its predecessor.
        control = WorkerControl(
            worker_id=f"{name}:{uuid4().hex[:6]}",
            time=container.clock,
            lease=timedelta(seconds=settings.worker_lease_seconds),
        )
        _stop_on_signals(control)
        structlog.contextvars.bind_contextvars(worker_id=control.worker_id)
        loops = Loops()
        if settings.worker_health_file:
            health = HealthFile(Path(settings.worker_health_file), container.clock, loops.stalled, _say_unwell)
            await beside.enter_async_context(_beside(health.keep))
        if settings.worker_metrics_port:
            await _serve_metrics(container, loops, beside)
        await _wait_for_database(container, control)
        async with (
            open_call_work(container, control) as work,
            open_outgoing(container, control.worker_id, WebhookPayloads()) as (telling, delivering),
            open_deleting(container) as deleting,
        ):
            outgoing = Outgoing(telling, delivering)
            runner = Runner(
                work,
                control,
                _pace(settings),
                concurrency=settings.worker_concurrency,
                on_heartbeat=partial(_look_up, container, control, refused),
            )
            loops.runner = runner
            log.info("worker_started", concurrency=settings.worker_concurrency, once=once)
            registration = register(container, control, partial(_vitals, container, work, runner))
            every = min(REGISTER_SECONDS, settings.worker_heartbeat_seconds)
            finish = partial(_goes_on, control, once=once)
            privacy = container.privacy
            housekeeping = Housekeeping(privacy.erasing, deleting, privacy.retaining, container.metrics)
            async with (
                _beside(partial(registration.keep, every)),
                _beside(partial(outgoing.keep, finish=finish)),
                _beside(housekeeping.keep),
            ):
                await (runner.run_once() if once else runner.run())
        log.info("worker_stopped")
    if refused:
        raise refused[0]


async def _look_up(container: Container, control: WorkerControl, refused: list[DatabaseUnsuitable]) -> None:
    """Take the primary's time, and see whether this code may still go on with the data. Raises DatabaseUnavailable."""
    await container.synchronise_clock()
    try:
        await container.check_data()
    except DatabaseUnsuitable as error:
        if not refused:
            log.critical("mongodb_unsuitable", problem=str(error), doing="handing over and stopping")
        refused.append(error)
        # At once: calls go on at Retell, and newer workers follow them.
        control.drain(0)


def _goes_on(control: WorkerControl, *, once: bool) -> bool:
    """Whether what is due is sent before the end: not by a worker that was told to stop."""
    return once and not control.stopping.is_set()


class Loops:
    """Those of the runner, from when there is one: what waits for MongoDB at the start is well too."""

    runner: Runner | None = None

    def stalled(self) -> list[str]:
        return [] if self.runner is None else self.runner.stalled(STALLED_SECONDS)


async def _serve_metrics(container: Container, loops: Loops, beside: AsyncExitStack) -> None:
    settings, metrics = container.settings, container.metrics
    token = settings.metrics_token.get_secret_value()
    server = MetricsServer(token, metrics.content_type, metrics.render, loops.stalled)
    try:
        port = await beside.enter_async_context(
            server.serving(settings.worker_metrics_host, settings.worker_metrics_port)
        )
    except OSError as error:
        # Calls matter more than their figures.
        log.error("metrics_not_served", port=settings.worker_metrics_port, problem=error.strerror)  # noqa: TRY400 - theirs
    else:
        log.info("metrics_served", host=settings.worker_metrics_host, port=port)


@asynccontextmanager
async def _beside(keep: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """`keep` goes on until the block has ended, which it is told."""
    ended = asyncio.Event()
    kept = asyncio.create_task(keep(ended))
    try:
        yield
    finally:
        ended.set()
        await kept


def _vitals(container: Container, work: CallWork, runner: Runner, state: WorkerState) -> Vitals:
    concurrency, in_use, calls = container.settings.worker_concurrency, runner.in_use, work.calls_in_flight
    container.metrics.worker_holds(concurrency, in_use, calls)
    return Vitals(
        host=socket.gethostname(),
        pid=os.getpid(),
        version=version(),
        schema_version=container.migrator.code_version,
        state=state,
        concurrency=concurrency,
        in_use=in_use,
        calls_in_flight=calls,
        clock_offset_seconds=container.clock.machine_is_behind().total_seconds(),
        lease_seconds=container.settings.worker_lease_seconds,
    )


def _say_unwell(problem: str) -> None:
    log.error("worker_unwell", problem=problem)


def _pace(settings: Settings) -> Pace:
    return Pace(
        poll=settings.worker_poll_seconds,
        listen=LISTEN_SECONDS,
        # An expired lease waits at most a sixth of itself longer.
        rescue=settings.worker_lease_seconds / 6,
        heartbeat=settings.worker_heartbeat_seconds,
        tidy=TIDY_SECONDS,
        shutdown=settings.worker_shutdown_seconds,
    )


async def _wait_for_database(container: Container, control: WorkerControl) -> None:
    """Raises DatabaseUnsuitable; a server that is away is waited for."""
    wait = 1.0
    while not control.stopping.is_set():
        try:
            await container.prepare_database(stopping=control.stopping.is_set)
        except Unavailable as error:
            log.warning("mongodb_waited_for", reason=error.code, wait_seconds=wait)
            await control.pause(wait)
            wait = min(wait * 2, LONGEST_START_WAIT_SECONDS)
        else:
            control.renewed_at = container.clock.monotonic()
            return


def _stop_on_signals(control: WorkerControl) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, control, number.name)


def _stop(control: WorkerControl, signal_name: str) -> None:
    """Only sets the event: everything else happens where it belongs."""
    log.info("worker_stopping", signal=signal_name)
    control.stopping.set()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    cli()
