"""How soon a call begins that may begin, with many in flight: `python -m benchmarks.promptness --calls 1000`."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import httpx
import typer

from app.domain.provider_limits import spacing
from benchmarks.backlog import ALWAYS, LIMIT, campaign, customer
from benchmarks.calling import LOOK_SECONDS, Instants, Row, Run
from benchmarks.drafts import Draft, Out, alone
from benchmarks.served import served
from benchmarks.site import Site, circumstances, load
from benchmarks.telephony import check, memory, telephony
from scripts.dev_stack import Part

DATABASE = "bench_promptness"
CALLS = 1000
RATES = "1,10,50"
SECONDS = 20
FEWEST = 40
"""Calls of a row, at least."""
CONCURRENCY = 2000
READS = {"RETELL_READS_PER_SECOND": "100"}
"""Without webhooks a call needs at least one question, and one that lasts one every 20 s."""
ACCOUNTS = 20
"""Of the measured calls, with two batches each: their lines are never all taken."""
STAYING = {"disconnection_reason": "user_hangup", "ring_seconds": 3, "talk_seconds": 7000}
SHORT = {"disconnection_reason": "user_declined", "ring_seconds": 4}
SHORT_SECONDS = 10
"""Until the worker, without webhooks, has seen their end."""
LONGEST = 3600
LEAD = timedelta(seconds=6)
RATE_LIMIT = 50
PAUSE = {"is_active": False}
PAUSED = 4
PAUSE_AFTER = 15.0
PAUSE_WATCHED = 8.0

LEGEND = f"""
Worker processes against the Retell simulator, in real time and without webhooks. Many calls in flight stay; beside
them short ones begin, of {2 * ACCOUNTS} batches of {ACCOUNTS} accounts, at instants known beforehand. A wait is from
when a call may be made (its contact is due, a line is free, the hours have begun, the start rate has its turn) to when
the simulator has the request, by the same machine's clock. CPU is in percent of one core while the row lasted, of all
workers together."""


async def report(
    site: Site,
    calls: int,
    rates: Sequence[int],
    draft: Draft,
    *,
    seconds: int = SECONDS,
    workers: int = 1,
    brief: bool = False,
) -> None:
    """The row of most starts a second first; `brief`: no worker dies and no hours begin."""
    async with (
        site.container(DATABASE) as container,
        served(site, container, DATABASE, connections=PAUSED) as (_, api),
        telephony(site, DATABASE, script={"knobs": {"default_outcome": SHORT}}) as phones,
    ):
        about = await circumstances(container)
        started = [await phones.worker(f"first-{number}", CONCURRENCY, **READS) for number in range(workers)]
        await container.synchronise_clock()
        run = Run(site, container, phones, api, started)
        run.tell = lambda: draft.write(_told(run, about))
        run.note(f"Worker processes: {workers}. Memory at rest: {_memory(started, 'VmRSS')} MB.")
        for number in range(ACCOUNTS):
            await customer(container, f"acc-bench-{number}")
        for rate in sorted(rates, reverse=True):
            await _told_of(run, f"{rate} a second", _due(run, rate, calls, seconds))
        await _told_of(run, "lines become free", _lines_free(run))
        await _told_of(run, "a pause", _paused(run))
        run.note(f"Memory at most: {_memory(started)} MB.")
        if not brief:
            await _told_of(run, "a take-over", _taken_over(run))
            await _told_of(run, "hours", _window(run, calls))
        await _nobody_twice(run)


def _told(run: Run, about: str) -> str:
    lines = [Row.HEAD, *map(str, run.rows), "", *(f"- {note}" for note in run.notes)]
    return "\n".join(["## Promptness", LEGEND, "", f"{about} At the end the load was {load()}.", "", *lines])


async def _told_of(run: Run, name: str, measurement: Awaitable[None]) -> None:
    """What cannot be measured is said, and the next is."""
    try:
        await measurement
    except (TimeoutError, RuntimeError, httpx.HTTPError) as error:
        run.note(f"Not measured: {name}: {type(error).__name__} {error}")
        await run.next_row()


def _memory(workers: Sequence[Part], what: str = "VmHWM") -> str:
    return " and ".join(f"{memory(worker.process.pid, what):.0f}" for worker in workers)


async def _fill(run: Run, calls: int) -> Row:
    """More calls that stay, as quickly as they can be begun: `calls` with those that do."""
    batches: list[str] = []
    due: Instants = {}
    for share in _shares(calls - run.staying, -(-(calls - run.staying) // LIMIT)):
        account_id = f"acc-stays-{run.staying}"
        run.staying += share
        await customer(run.container, account_id)
        people = run.people(share)
        numbers = {person["phones"][0]: [STAYING] for person in people}
        (await run.phones.http.put("/simulator/numbers", json=numbers)).raise_for_status()
        batch_id, jobs = await run.scheduled(account_id, people, LONGEST)
        batches.append(batch_id)
        due |= dict.fromkeys(jobs, 0.0)
    at = run.container.clock.now() + LEAD
    await run.begin(batches, at)
    row = await _measured(run, "due all at once", at, dict.fromkeys(due, at.timestamp()))
    run.note(f"Due all at once, {len(due) / max(row.waits):.0f} calls a second were begun.")
    return row


async def _due(run: Run, rate: int, calls: int, seconds: int) -> None:
    """Beside calls that stay, as many as make it `calls` with those measured."""
    staying = max(0, calls - rate * SHORT_SECONDS)
    if staying > run.staying:
        run.measured(await _fill(run, staying))
    begin, due = await _stream(run, max(FEWEST, rate * seconds), rate)
    run.measured(await _measured(run, f"{rate} a second become due", begin, due))


async def _measured(run: Run, name: str, begin: datetime, due: Instants) -> Row:
    async with run.watched(name, begin) as row:
        asked = await run.asked(len(due))
    await run.next_row()
    row.waits = [asked[job_id] - at for job_id, at in due.items()]
    return row


async def _stream(run: Run, count: int, rate: float) -> tuple[datetime, Instants]:
    """Contacts that become due one after the other, each of a batch that chance picks; when each does."""
    batches: list[str] = []
    jobs: list[str] = []
    for number, share in Counter(random.choices(range(2 * ACCOUNTS), k=count)).items():  # noqa: S311 - no secret
        batch_id, made = await run.scheduled(f"acc-bench-{number % ACCOUNTS}", run.people(share))
        batches.append(batch_id)
        jobs += made
    random.shuffle(jobs)
    begin = run.container.clock.now() + LEAD
    due = {job_id: _place(begin, place, rate) for place, job_id in enumerate(jobs)}
    moves = (run.jobs.update_one({"_id": job_id}, {"$set": {"due_at": at}}) for job_id, at in due.items())
    await asyncio.gather(*moves)
    # They are called already, or might be: their first contacts become due a moment later.
    await run.begin(batches, begin - LEAD / 2, due=False)
    return begin, {job_id: at.timestamp() for job_id, at in due.items()}


def _place(begin: datetime, place: int, rate: float) -> datetime:
    """Some instant of the place's share of the time, in the milliseconds that MongoDB keeps."""
    at = begin + timedelta(seconds=(place + random.random()) / rate)  # noqa: S311 - no secret
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


async def _lines_free(run: Run) -> None:
    """An account with more contacts than lines: each call's end lets the next begin."""
    await customer(run.container, "acc-lines")
    batch_id, jobs = await run.scheduled("acc-lines", run.people(3 * LIMIT))
    at = run.container.clock.now() + LEAD
    await run.begin([batch_id], at)
    async with run.watched("lines become free", at) as row:
        asked = sorted((await run.asked(len(jobs))).values())
    await run.next_row()
    ended = run.jobs.find({"_id": {"$in": jobs}}, {"finished_at": True})
    free = sorted([job["finished_at"].timestamp() async for job in ended if "finished_at" in job])
    row.waits = [max(0.0, after - before) for before, after in zip(free, asked[LIMIT:], strict=False)]
    run.measured(row)


async def _window(run: Run, calls: int) -> None:
    """The hours of many contacts begin, and Retell lets only so many calls a second begin."""
    opens = (run.container.clock.now() + timedelta(seconds=75)).replace(second=0, microsecond=0)
    ends = opens + timedelta(hours=3)
    hours = ALWAYS.model_copy(update={"start": opens.time(), "end": ends.time(), "timezone": "UTC"})
    shares = _shares(min(ACCOUNTS * LIMIT // 2, max(FEWEST, calls // 2)), ACCOUNTS)
    for number, share in enumerate(shares):
        await campaign(run.container, f"acc-bench-{number}", run.people(share), hours=hours)
    async with run.watched(f"hours begin, {RATE_LIMIT} a second at most", opens) as row:
        asked = sorted((await run.asked(sum(shares))).values())
    await run.next_row()
    turns = [(opens + number * spacing(RATE_LIMIT)).timestamp() for number in range(len(asked))]
    row.waits = [after - turn for turn, after in zip(turns, asked, strict=True)]
    run.measured(row)


async def _taken_over(run: Run) -> None:
    """The worker dies amid calls that begin; another one is there, idle, and goes on."""
    first = run.workers
    run.workers = [await run.phones.worker("second", CONCURRENCY, RETELL_CALLS_PER_SECOND=str(RATE_LIMIT), **READS)]
    begin, due = await _stream(run, FEWEST, 10)
    await asyncio.sleep((begin - run.container.clock.now()).total_seconds() + FEWEST / 20)
    for worker in first:
        worker.process.kill()
    at, left = run.container.clock.monotonic(), {"worker_id": {"$regex": "^first-"}}
    held = await run.jobs.count_documents(left)
    while await run.jobs.count_documents(left):
        check(run.workers[0])
        await asyncio.sleep(LOOK_SECONDS)
    seconds = run.container.clock.monotonic() - at
    await run.asked(len(due))
    await run.next_row()
    run.note(f"Take-over of {held:,} calls of workers that were killed: {seconds:.1f} s.")


async def _paused(run: Run) -> None:
    """Batches in full swing are paused over HTTP; when the last request of each is seen after that."""
    batches: dict[str, list[str]] = {}
    for number in range(PAUSED):
        await customer(run.container, f"acc-paused-{number}")
        batch_id, jobs = await run.scheduled(f"acc-paused-{number}", run.people(20 * LIMIT))
        batches[batch_id] = jobs
    at = run.container.clock.now() + LEAD
    await run.begin(list(batches), at)
    async with run.watched("until a pause", at):
        await asyncio.sleep(PAUSE_AFTER)
    paused_at = run.container.clock.now().timestamp()
    replies = await asyncio.gather(*(run.api.patch(f"/api/v1/batches/{batch_id}", json=PAUSE) for batch_id in batches))
    for reply in replies:
        reply.raise_for_status()
    await asyncio.sleep(PAUSE_WATCHED)
    asked = await run.asked()
    await run.next_row()
    last = [max(asked[job_id] for job_id in jobs if job_id in asked) - paused_at for jobs in batches.values()]
    rate = len(asked) / PAUSE_AFTER
    run.note(
        f"{PAUSED} batches that began {rate:.0f} calls a second together were paused: the last request of each came "
        f"{', '.join(f'{1000 * max(0.0, wait):.0f}' for wait in sorted(last))} ms after the pause was asked for."
    )


async def _nobody_twice(run: Run) -> None:
    """Raises RuntimeError if a number was called twice."""
    summary = await run.phones.ask("summary")
    if twice := summary["numbers_dialed_more_than"] or summary["duplicate_attempt_ids"]:
        raise RuntimeError(f"called twice: {twice}")
    run.note(f"{summary['calls_created']:,} calls in all; no number was called twice.")


def _shares(count: int, parts: int) -> list[int]:
    return [count // parts + (number < count % parts) for number in range(parts)]


def parse_rates(text: str) -> list[int]:
    """Of "1,10,50". Raises typer.BadParameter."""
    rates = text.split(",")
    if not all(rate.isascii() and rate.isdigit() and int(rate) for rate in rates):
        raise typer.BadParameter(f"{text!r} is no list of whole numbers such as 1,10,50")
    return [int(rate) for rate in rates]


def main(
    calls: Annotated[int, typer.Option(min=1, max=1000, help="Calls in flight, beside those measured.")] = CALLS,
    rates: Annotated[str, typer.Option(help="Contacts that become due a second.")] = RATES,
    seconds: Annotated[int, typer.Option(min=1, help="How long each of them lasts, at least.")] = SECONDS,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    brief: Annotated[
        bool, typer.Option("--brief", help="Without a worker's death and the beginning of hours.")
    ] = False,
    out: Out = None,
) -> None:
    """Workers with many calls in flight begin more, batches are paused, the workers die, and another one goes on."""
    given = parse_rates(rates)
    alone(lambda site, draft: report(site, calls, given, draft, seconds=seconds, workers=workers, brief=brief), out)


if __name__ == "__main__":
    typer.run(main)
