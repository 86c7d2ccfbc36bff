"""The rivals that are written in Python, each with a job that does nothing:

    python benchmarks/rivals/python_rivals.py NAME fill ADDRESS DUE OTHERS MIX
    python benchmarks/rivals/python_rivals.py NAME work ADDRESS MIX COUNTER

A script of its own that needs nothing of ours: it runs in the environment of the rival that it is asked for. `fill`
writes a backlog in the rival's own format, in bulk: `DUE` jobs that may run now, and `OTHERS` that are due later
(`future`) or over (`finished`). `work` is one worker process, until SIGTERM; it counts its jobs in the file COUNTER.
"""

import asyncio
import mmap
import pickle
import signal
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

AT_ONCE = 100
"""Jobs that a worker process runs at once, where it can."""
LOOPS = 10
"""Of beanie-batteries-queue, which runs one job at a time a loop."""
CHUNK = 5000
LATER = timedelta(days=30)


class Counter:
    """Jobs done, where the one who measures can see them without asking anybody."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)
        self._done = 0

    def add(self) -> None:
        self._done += 1
        struct.pack_into("<Q", self._memory, 0, self._done)


def library(name: str) -> Any:
    """Imported when it is needed: an environment has one rival only."""
    return import_module(name)


def kinds(due: int, others: int, mix: str) -> Iterator[list[str]]:
    """Of each job in the order of writing, in chunks: the due ones are spread evenly among the others."""
    total = due + others
    for start in range(0, total, CHUNK):
        places = range(start, min(start + CHUNK, total))
        yield ["due" if (place + 1) * due // total > place * due // total else mix for place in places]


def now() -> datetime:
    return datetime.now(timezone.utc)  # noqa: TID251, UP017 - theirs, and any Python's


async def until_told(stop: Callable[[], object] | None = None) -> None:
    """Return on SIGTERM."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()
    if stop is not None:
        stop()


# arq --------------------------------------------------------------------------------------------------------------


async def fill_arq(address: str, due: int, others: int, mix: str) -> None:
    redis = library("redis.asyncio").Redis.from_url(address)
    milliseconds = int(now().timestamp() * 1000)
    job = pickle.dumps({"t": None, "f": "noop", "a": (), "k": {}, "et": milliseconds})
    await redis.flushdb()
    later = int(LATER.total_seconds() * 1000)
    for chunk in kinds(due, others, mix):
        pipe = redis.pipeline(transaction=False)
        scores: dict[str, int] = {}
        for kind in chunk:
            id_ = uuid4().hex
            if kind == "finished":
                pipe.psetex(f"arq:result:{id_}", 3_600_000 * 24, job)
            else:
                pipe.psetex(f"arq:job:{id_}", 3_600_000 * 24 * 60, job)
                scores[id_] = milliseconds + (later if kind == "future" else 0)
        if scores:
            pipe.zadd("arq:queue", scores)
        await pipe.execute()
    # What a server does by itself sooner or later is not to be done while it is measured.
    await redis.bgrewriteaof()
    while (await redis.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.1)
    await redis.aclose()


async def work_arq(address: str, _: str, counter: Counter) -> None:
    async def noop(_: Any) -> None:
        counter.add()

    worker = library("arq.worker")
    settings = library("arq.connections").RedisSettings.from_dsn(address)
    # It looks for jobs once a delay, 500 at most; its usual half a second would be its limit.
    running = worker.Worker(
        functions=[worker.func(noop, name="noop")],
        redis_settings=settings,
        max_jobs=AT_ONCE,
        poll_delay=0.01,
        log_results=False,
        handle_signals=False,
    )
    task = asyncio.create_task(running.async_run())
    await until_told()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await running.close()


# procrastinate ----------------------------------------------------------------------------------------------------


def procrastinate_app(address: str) -> Any:
    procrastinate = library("procrastinate")
    return procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=address, min_size=4, max_size=20))


async def fill_procrastinate(address: str, due: int, others: int, mix: str) -> None:
    psycopg = library("psycopg")
    server, _, database = address.rpartition("/")
    async with await psycopg.AsyncConnection.connect(f"{server}/postgres", autocommit=True) as connection:
        await connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{database}"')
    app = procrastinate_app(address)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
    connection = await psycopg.AsyncConnection.connect(address, autocommit=True)
    async with connection:
        # Else every row of the backlog would be announced, and get a row of events.
        await connection.execute("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER")
        columns = "(queue_name, task_name, status, scheduled_at, attempts)"
        async with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY procrastinate_jobs {columns} FROM STDIN") as copy,
        ):
            rows = {
                "due": ("default", "noop", "todo", None, 0),
                "future": ("default", "noop", "todo", now() + LATER, 0),
                "finished": ("default", "noop", "succeeded", None, 1),
            }
            for chunk in kinds(due, others, mix):
                for kind in chunk:
                    await copy.write_row(rows[kind])
        await connection.execute("ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER")
        # As with Redis: it would do so by itself, some time after.
        await connection.execute("VACUUM ANALYZE procrastinate_jobs")
        await connection.execute("CHECKPOINT")
        await connection.execute("VACUUM ANALYZE procrastinate_jobs")
        await connection.execute("CHECKPOINT")


async def work_procrastinate(address: str, _: str, counter: Counter) -> None:
    app = procrastinate_app(address)

    async def noop() -> None:
        counter.add()

    app.task(name="noop")(noop)
    async with app.open_async():
        task = asyncio.create_task(
            app.run_worker_async(concurrency=AT_ONCE, install_signal_handlers=False, fetch_job_polling_interval=0.5)
        )
        await until_told()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# taskiq-mongodb ---------------------------------------------------------------------------------------------------


def taskiq_broker(address: str) -> Any:
    database = address.partition("?")[0].rpartition("/")[2]
    return library("taskiq_mongodb").MongoBroker(address, database)


async def fill_taskiq(address: str, due: int, others: int, mix: str) -> None:
    broker = taskiq_broker(address)
    message = library("taskiq").TaskiqMessage(task_id="", task_name="noop", labels={}, args=[], kwargs={})
    await broker.collection.drop()
    at = now()
    # It deletes what is finished: there is nothing to put beside what is due.
    for chunk in kinds(due, others if mix == "future" else 0, mix):
        await broker.collection.insert_many(
            [
                {
                    "queue_name": "taskiq",
                    "message": broker.formatter.dumps(message.model_copy(update={"task_id": uuid4().hex})).message,
                    "status": "pending",
                    "attempts": 0,
                    "priority": 0,
                    "created_at": at,
                    "claimed_at": None,
                    "visible_at": at + LATER if kind == "future" else at,
                }
                for kind in chunk
            ],
            ordered=False,
        )
    await broker.startup()
    await broker.shutdown()


async def work_taskiq(address: str, _: str, counter: Counter) -> None:
    broker = taskiq_broker(address)

    async def noop() -> None:
        counter.add()

    broker.register_task(noop, task_name="noop")
    receiver = library("taskiq.api").run_receiver_task
    task = asyncio.create_task(receiver(broker, max_async_tasks=AT_ONCE, run_startup=True))
    await until_told()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# beanie-batteries-queue -------------------------------------------------------------------------------------------


async def beanie_task(address: str, mix: str, counter: Counter | None) -> Any:
    """Its tasks know no time, its scheduled tasks do: they are used where there are later ones."""
    base = library("beanie_batteries_queue").Task
    if mix == "future":
        base = library("beanie_batteries_queue.scheduled_task").ScheduledTask

    async def run(_: Any) -> None:
        if counter is not None:
            counter.add()

    task = type("Noop", (base,), {"run": run, "__module__": __name__})
    client = library("motor.motor_asyncio").AsyncIOMotorClient(address)
    await library("beanie").init_beanie(database=client.get_default_database(), document_models=[task])
    return task


async def fill_beanie(address: str, due: int, others: int, mix: str) -> None:
    client = library("motor.motor_asyncio").AsyncIOMotorClient(address)
    await client.get_default_database().drop_collection("Noop")
    collection = (await beanie_task(address, mix, None)).get_motor_collection()
    at = now()
    new = {"state": "CREATED", "priority": 2, "created_at": at}
    if mix == "future":
        new |= {"run_at": at, "interval": None}
    documents = {"due": new, "future": new | {"run_at": at + LATER}, "finished": new | {"state": "FINISHED"}}
    for chunk in kinds(due, others, mix):
        await collection.insert_many([dict(documents[kind]) for kind in chunk], ordered=False)


async def work_beanie(address: str, mix: str, counter: Counter) -> None:
    task = await beanie_task(address, mix, counter)
    queues = [task.queue() for _ in range(LOOPS)]
    loops = [asyncio.create_task(queue.start()) for queue in queues]
    await until_told()
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


FILL: dict[str, Callable[[str, int, int, str], Awaitable[None]]] = {
    "arq": fill_arq,
    "procrastinate": fill_procrastinate,
    "taskiq": fill_taskiq,
    "beanie": fill_beanie,
}
WORK: dict[str, Callable[[str, str, Counter], Awaitable[None]]] = {
    "arq": work_arq,
    "procrastinate": work_procrastinate,
    "taskiq": work_taskiq,
    "beanie": work_beanie,
}


async def main(name: str, verb: str, address: str, *rest: str) -> None:
    if verb == "fill":
        due, others, mix = rest
        await FILL[name](address, int(due), int(others), mix)
    else:
        mix, path = rest
        await WORK[name](address, mix, Counter(Path(path)))


if __name__ == "__main__":
    try:
        loop_factory = library("uvloop").new_event_loop
    except ImportError:
        loop_factory = None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main(*sys.argv[1:]))
