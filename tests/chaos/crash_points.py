"""queues.md §4's table of crash points, played with real processes: one campaign a point, each in its own database.

A campaign has three contacts and a limit of one call, so that a slot or a job that stays behind stops everything. The
process is killed at its point, an ordinary one takes over, and at the end the verdict is read from the simulator's
record. `run` plays them all, some at a time.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.bootstrap import Container, open_container
from app.domain.access import Role
from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import JobState
from app.repositories.embedded_mongod import EmbeddedMongod, start_embedded_mongod
from app.services.api_keys import NewApiKey
from scripts.dev_stack import Part, free_port
from tests.chaos.deaths import DEATHS
from tests.chaos.processes import (
    PATIENCE_SECONDS,
    Processes,
    answers,
    dies,
    environment_for,
    kill_mongod,
    stands_still,
    thaw,
)
from tests.chaos.spans import VERIFY_PATIENCE
from tests.chaos.verdict import Record, Verdict, judge, read_record
from tests.conftest import make_settings
from tests.workers.conftest import SPEED, Campaigns, numbers, until

AT_ONCE = 6
CONTACTS = 3
CALLS = CONTACTS + 1
"""The second contact is busy at first."""
NEVER_LISTED = 10**7
NOWHERE = "http://127.0.0.1:9"
SAID = (
    "job_rescued",
    "orphaned_reservation_released",
    "import_resumed",
    "call_found",
    "call_uncertain",
    "mongodb_waited_for",
)
"""The worker's own words for what it repaired."""


@dataclass(frozen=True)
class Row:
    """What came of one point."""

    number: str
    where: str
    left: str
    """The database right after."""
    recovery: str
    record: Record
    verdict: Verdict
    calls_of_a_lifetime: int = CALLS
    """How many calls the campaign is made of."""


@dataclass
class Ground:
    """What the points share."""

    mongod: EmbeddedMongod
    simulator_url: str
    home: Path
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


@dataclass
class Scene:
    """One point's own campaign, database and processes."""

    number: str
    container: Container
    campaigns: Campaigns
    processes: Processes
    simulator_url: str
    environment: dict[str, str]
    account: Account
    phones: list[str]
    workers: list[Part] = field(default_factory=list)

    def worker(self, name: str, death: str = "", by: str = "KILL", **more: str) -> Part:
        self.workers.append(self.processes.worker(name, self.environment | more, death, by))
        return self.workers[-1]

    async def batch(self) -> Batch:
        return await self.campaigns.batch(self.account, [[phone] for phone in self.phones])

    async def left(self) -> str:
        """The database in one line."""
        database = self.container.database
        states = Counter([job["state"] async for job in database.collection("jobs").find({}, {"state": True})])
        slots = await database.collection("jobs").count_documents({"slot": {"$gte": 0}})
        accounts = database.collection("accounts").find({}, {"reservations": True})
        reserved = sum([len(account.get("reservations", {})) async for account in accounts])
        charged = await database.collection("transactions").count_documents({"type": "call_usage"})
        calls = len((await self.record()).calls)
        jobs = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no job"
        return f"{jobs}; {slots} slot, {reserved} reserved, {charged} in the ledger; {calls} calls at Retell"

    async def record(self) -> Record:
        """Of this scene's contacts alone: many scenes may share a simulator."""
        whole, ours = await read_record(self.simulator_url), set(self.phones)
        return Record(
            [create for create in whole.creates if create["to_number"] in ours],
            [call for call in whole.calls if call["to_number"] in ours],
        )

    async def comes_to_rest(self, batch_id: str) -> None:
        """Wait until the batch is completed and nothing is reserved any more."""

        async def rests() -> bool:
            account = await self.container.accounts.get(self.account.account_id)
            done = (await self.container.batches.get(batch_id)).status is BatchStatus.COMPLETED
            return done and not account.reservations

        await until(rests, PATIENCE_SECONDS)

    async def until_attempt(self, *states: JobState) -> None:
        """Wait until the first contact's job is in one of `states`."""

        async def is_so() -> bool:
            job = await self.container.database.collection("jobs").find_one({}, sort=[("_id", 1)])
            return job is not None and job["state"] in states

        await until(is_so, PATIENCE_SECONDS)

    def said(self) -> str:
        """How the repair looked in the logs of whoever repaired."""
        found: Counter[str] = Counter()
        for line in (line for part in self.workers for line in part.log.read_text("utf-8", "replace").splitlines()):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("event") in SAID:
                found[" ".join(filter(None, (entry["event"], entry.get("state"))))] += 1
        return ", ".join(f"{count} {what}" for what, count in found.items()) or "by itself"

    async def row(self, batch_id: str, where: str, left: str) -> Row:
        record = await self.record()
        verdict = await judge(self.container, record, [batch_id])
        return Row(self.number, where, left, self.said(), record, verdict)


async def _scene(ground: Ground, number: str, stack: AsyncExitStack, **own: str) -> Scene:
    """`own`: `mongodb_uri` or `simulator_url`, where the scene has its own."""
    mongodb_uri = own.get("mongodb_uri", ground.mongod.uri)
    simulator_url = own.get("simulator_url", ground.simulator_url)
    database = f"cadencia_point_{number}"
    settings = make_settings(mongodb_uri, mongodb_database=database, mongodb_pool_size=4)
    container = await stack.enter_async_context(open_container(settings))
    await container.database.drop()
    await container.prepare_database()
    processes = Processes(ground.home / f"point-{number}")
    stack.push_async_callback(processes.end)
    campaigns = Campaigns(container, simulator_url, stack)
    phones = numbers(CONTACTS, start=10 * (POINTS_IN_ORDER.index(number) + 1))
    await _put(simulator_url, "numbers", {phones[1]: ["dial_busy", "user_hangup"]})
    return Scene(
        number,
        container,
        campaigns,
        processes,
        simulator_url,
        environment_for(mongodb_uri, database, simulator_url, **{VERIFY_PATIENCE: "3"}),
        await campaigns.account(limit=1),
        phones,
    )


async def _put(simulator_url: str, what: str, changes: dict[str, object]) -> None:
    async with httpx.AsyncClient(base_url=simulator_url, timeout=30) as http:
        method = "PUT" if what == "numbers" else "PATCH"
        (await http.request(method, f"/simulator/{what}", json=changes)).raise_for_status()


async def _worker_dies(ground: Ground, number: str, stack: AsyncExitStack) -> Row:
    """One worker after the other dies, each at its point; then an ordinary one does the rest."""
    scene = await _scene(ground, number, stack)
    batch = await scene.batch()
    where, left = [], ""
    for death in SEQUENCES.get(number, (number,)):
        more = {"RETELL_BASE_URL": NOWHERE} if death == "5b" else {}
        await dies(scene.worker(f"victim-{death}", death, **more))
        where.append(DEATHS[death].where)
        left = await scene.left()
    scene.worker("rescuer")
    await scene.comes_to_rest(batch.batch_id)
    return await scene.row(batch.batch_id, "; then ".join(where), left)


async def _api_dies(ground: Ground, number: str, stack: AsyncExitStack) -> Row:
    """The API dies while it imports a batch; the client sends the same request again to another one."""
    scene = await _scene(ground, number, stack)
    _, key = await scene.container.access.api_keys.create(NewApiKey("client", Role.ADMIN, None, None), user="test")
    after_the_answer = number == "1d"
    waited_for = {"IMPORT_WAITED_FOR_CONTACTS": "0"} if after_the_answer else {}
    victim, url = scene.processes.api("victim", scene.environment | waited_for, number)
    await answers(f"{url}/health")
    try:
        answer = await _post_batch(scene, url, key)
    except httpx.TransportError:
        pass
    else:
        assert after_the_answer, f"the API lives and answers {answer.status_code} {answer.text}"
    await dies(victim)
    left = await scene.left()
    _, url = scene.processes.api("api", scene.environment)
    scene.worker("rescuer")
    await answers(f"{url}/health")
    reply = await _post_batch(scene, url, key)
    assert reply.is_success, reply.text
    batch_id = reply.json()["batch_id"]
    await scene.comes_to_rest(batch_id)
    found = [batch["_id"] async for batch in scene.container.database.collection("batches").find({}, {"_id": True})]
    assert found == [batch_id], "an import that died left something"
    return await scene.row(batch_id, DEATHS[number].where, left)


async def _post_batch(scene: Scene, url: str, key: str) -> httpx.Response:
    body = {
        "account_id": scene.account.account_id,
        "name": "Prueba",
        "contacts": [{"name": f"Contacto {phone}", "phones": [phone]} for phone in scene.phones],
        "call_settings": {
            "allowed_hours": {"start": "00:00", "end": "00:00"},
            "days_of_week": list(range(7)),
            "retry_delay_hours": 0.0002,
            "max_call_duration": 120,
            "max_attempts": 3,
        },
    }
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "the-same"}
    async with httpx.AsyncClient(timeout=20) as http:
        return await http.post(f"{url}/api/v1/batches", json=body, headers=headers)


async def _worker_freezes(ground: Ground, number: str, stack: AsyncExitStack) -> Row:
    """Frozen after its last check for longer than its lease; thawed, it sends what it was about to send."""
    scene = await _scene(ground, number, stack)
    batch = await scene.batch()
    frozen = scene.worker("frozen", "11", by="STOP")
    await stands_still(frozen)
    left, attempt_id = await scene.left(), await _attempt_id(scene)
    paused = number == "11b"
    if paused:
        await scene.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
    scene.worker("rescuer")
    if paused:
        await scene.until_attempt(JobState.UNCERTAIN)
        assert (await scene.record()).creates == [], "paused: nobody may have sent anything"
    else:
        await scene.comes_to_rest(batch.batch_id)
    before = await _creates_of(scene, attempt_id)
    thaw(frozen)

    async def has_sent() -> bool:
        return len(await _creates_of(scene, attempt_id)) > len(before)

    await until(has_sent, PATIENCE_SECONDS)
    if paused:
        await scene.until_attempt(JobState.COMPLETED)
        await scene.container.batches.change(batch.batch_id, {}, is_active=True, user="test")
    await scene.comes_to_rest(batch.batch_id)
    where = DEATHS["11"].where + (", batch paused meanwhile" if paused else "") + ": frozen past the lease, thawed"
    return await scene.row(batch.batch_id, where, left)


async def _attempt_id(scene: Scene) -> str:
    job = await scene.container.database.collection("jobs").find_one({"attempt": {"$exists": True}})
    assert job is not None
    return str(job["attempt"]["attempt_id"])


async def _creates_of(scene: Scene, attempt_id: str) -> list[str]:
    """The results of the create requests under this key."""
    creates = (await scene.record()).creates
    return [create["result"] for create in creates if create["idempotency_key"] == attempt_id]


async def _list_lags(ground: Ground, number: str, stack: AsyncExitStack) -> Row:
    """Retell has the call, its list does not show it for as long as anybody asks."""
    processes = Processes(ground.home / f"point-{number}-simulator")
    stack.push_async_callback(processes.end)
    simulator_url = processes.simulator(SPEED)
    await answers(f"{simulator_url}/simulator/health")
    await _put(simulator_url, "knobs", {"list_lag_seconds": NEVER_LISTED})
    scene = await _scene(ground, number, stack, simulator_url=simulator_url)
    batch = await scene.batch()
    await dies(scene.worker("victim", "6b"))
    left = await scene.left()
    if number == "12a":
        scene.worker("rescuer")
        where = "as 6b, the list of calls shows nothing: the request under its key tells"
    else:
        where = "as 6b, batch paused, the list shows nothing: uncertain until the list shows it"
        await scene.container.batches.change(batch.batch_id, {}, is_active=False, user="test")
        scene.worker("rescuer")
        await scene.until_attempt(JobState.UNCERTAIN)
        # Nor does a running batch dial an uncertain contact again, and its slot stays taken.
        await scene.container.batches.change(batch.batch_id, {}, is_active=True, user="test")
        asked = len((await scene.record()).creates)
        await asyncio.sleep(1)
        assert len((await scene.record()).creates) == asked == 1
        await _put(simulator_url, "knobs", {"list_lag_seconds": 0})
    await scene.comes_to_rest(batch.batch_id)
    return await scene.row(batch.batch_id, where, left)


async def _primary_is_lost(ground: Ground, number: str, stack: AsyncExitStack) -> Row:
    """mongod is killed between the intent and the request, and comes back with what it had promised to keep."""
    data, port = ground.home / f"point-{number}-mongod", free_port(0)
    mongod = await start_embedded_mongod(data, port)
    mongods = [mongod]
    stack.push_async_callback(lambda: mongods[-1].stop())
    scene = await _scene(ground, number, stack, mongodb_uri=mongod.uri)
    batch = await scene.batch()
    holder = scene.worker("holder", "5", by="STOP")
    await stands_still(holder)
    left, attempt_id = await scene.left(), await _attempt_id(scene)
    await kill_mongod(mongod)
    if number == "13a":
        where = "intent stored; mongod and the worker are killed"
        holder.process.kill()
    else:
        where = "intent stored; mongod is killed, the worker goes on and calls without it"
        thaw(holder)

        async def has_called() -> bool:
            return bool(await _creates_of(scene, attempt_id))

        await until(has_called, PATIENCE_SECONDS)
    mongods.append(await start_embedded_mongod(data, port))
    # A worker that goes on may be done with it already.
    kept = {"$or": [{"attempt.attempt_id": attempt_id}, {"history.attempt_id": attempt_id}]}
    assert await scene.container.database.collection("jobs").count_documents(kept) == 1, "the intent was lost"
    scene.worker("rescuer")
    await scene.comes_to_rest(batch.batch_id)
    return await scene.row(batch.batch_id, where, left)


SEQUENCES = {"5b": ("5b",), "6c": ("6b", "7a"), "7c": ("6a", "7c")}
"""Points at which more than one worker dies, in this order."""

_Play = Callable[[Ground, str, AsyncExitStack], Awaitable[Row]]
_OTHERS: dict[str, _Play] = {
    **dict.fromkeys(("1a", "1b", "1c", "1d"), _api_dies),
    **dict.fromkeys(("11", "11b"), _worker_freezes),
    **dict.fromkeys(("12a", "12b"), _list_lags),
    **dict.fromkeys(("13a", "13b"), _primary_is_lost),
}
POINTS: dict[str, _Play] = dict.fromkeys([*DEATHS, *SEQUENCES], _worker_dies) | _OTHERS


def _in_order(number: str) -> tuple[int, str]:
    digits = number.rstrip("abcdefgh")
    return int(digits), number.removeprefix(digits)


POINTS_IN_ORDER = sorted(POINTS, key=_in_order)


async def play(ground: Ground, number: str) -> Row:
    """One point, from its empty database to the verdict. Raises AssertionError or TimeoutError."""
    async with ground.gate, AsyncExitStack() as stack:
        return await POINTS[number](ground, number, stack)


async def run(
    ground: Ground, points: Sequence[str], on_end: Callable[[str], None] = lambda _: None
) -> dict[str, Row | BaseException]:
    """Each point's row, or what went wrong with it."""

    async def one(number: str) -> Row:
        try:
            return await play(ground, number)
        finally:
            on_end(number)

    results = await asyncio.gather(*(one(number) for number in points), return_exceptions=True)
    return dict(zip(points, results, strict=True))
