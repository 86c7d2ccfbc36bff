"""Brings the data to what this code works with, or says why it must not touch it. See docs/adr/0026-migrations.md.

    lease → who is too old for what comes is told to leave, and waited for → each migration, step by step → indexes

Stopped anywhere, by whatever, the next one goes on from the stand that was noted. The lease only keeps two from doing
the same work: if both do it, each writes what the other does.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.domain.errors import DatabaseUnavailable, DataNotReady
from app.domain.schema import SchemaState, Stand, Versions, why_refused
from app.domain.workers import Worker
from app.repositories.database import Database, DatabaseUnsuitable
from app.repositories.indexes import INDEXES, ensure_indexes
from app.repositories.migrations import MIGRATIONS
from app.repositories.migrations.steps import Migration
from app.repositories.schema_document import MongoSchema
from app.repositories.workers import MongoWorkers

log = structlog.get_logger("migrations")

LOOK_SECONDS = 1.0
TOLD_EVERY = 10
"""Looks between two lines of the log."""


@dataclass(frozen=True)
class Timing:
    lease: timedelta = timedelta(seconds=30)
    """How long a runner that died keeps others waiting."""
    notice: timedelta = timedelta(seconds=60)
    """How long processes of older code may take to learn that they are: an API looks every 30 s, and then ends."""


@dataclass(frozen=True)
class Outstanding:
    """One migration to come, and how much it has to do."""

    migration: Migration
    things: int


def _never() -> bool:
    return False


class Migrator:
    def __init__(
        self,
        database: Database,
        *,
        code: str,
        holder: str,
        migrations: Sequence[Migration] = MIGRATIONS,
        timing: Timing | None = None,
    ) -> None:
        """`code`: what this code is called, for the history. `holder`: unique to this process."""
        self._database = database
        self._schema = MongoSchema(database)
        self._workers = MongoWorkers(database)
        self._code = code
        self._holder = holder
        self._migrations = migrations
        self._timing = timing or Timing()

    @property
    def code_version(self) -> int:
        return self._migrations[-1].number

    async def check(self) -> Versions | None:
        """The data's versions. Raises DatabaseUnsuitable if this code must not touch it, DatabaseUnavailable."""
        versions = await self._schema.versions()
        refused = why_refused(versions, self.code_version) if versions else None
        if refused:
            raise DatabaseUnsuitable(refused)
        return versions

    async def make_ready(
        self, *, migrate: bool, stopping: Callable[[], bool] = _never, patience: float = math.inf
    ) -> None:
        """Have the data as this code needs it, with its indexes; `migrate` says whether by migrating it, if need be.

        Raises DataNotReady if somebody else migrates it, or has to, the process is `stopping`, or an index takes
        longer than `patience` (seconds) to build; DatabaseUnsuitable, DatabaseUnavailable.
        """
        if await self.check() is None:
            await self._schema.begin()
        state = await self._recognised(await self._schema.state())
        if state.version < self.code_version:
            if not migrate:
                raise DataNotReady("data_outdated", version=state.version, needed=self.code_version)
            await self._migrate(stopping)
        if state.version > self.code_version:
            log.info("data_is_newer", version=state.version, code_version=self.code_version)
            return  # its indexes are not ours to make
        await ensure_indexes(self._database, stopping=stopping, patience=patience)

    async def outstanding(self) -> list[Outstanding]:
        """What would be done, and how much of it. Changes nothing. Raises as `check`."""
        await self.check()
        to_come = self._after((await self._schema.state()).version)
        return [Outstanding(migration, await self._things(migration)) for migration in to_come]

    async def begin_again(self) -> bool:
        """Have everything done once more where it is lacking; False while somebody migrates."""
        await self.check()
        await self._schema.begin()
        return await self._schema.begin_again()

    def _after(self, version: int) -> list[Migration]:
        return [migration for migration in self._migrations if migration.number > version]

    async def _things(self, migration: Migration) -> int:
        return sum([part for step in migration.steps async for part in step.outstanding(self._database)])

    async def _recognised(self, state: SchemaState) -> SchemaState:
        """A database that is new, or of the time before there were versions but as it would be after its migrations,
        gets the version that it has. Nobody need leave for that: nothing changes."""
        if state.version > 0 or state.stand is not None:
            return state
        is_new = await self._is_new()
        for migration in self._migrations:
            if not is_new and (not migration.before_versions or await migration.is_needed(self._database)):
                break
            await self._record(migration)
            state = await self._schema.state()
        return state

    async def _is_new(self) -> bool:
        for name in INDEXES:
            async with self._database.operation():
                if await self._database.collection(name).find_one({}, {"_id": True}) is not None:
                    return False
        return True

    async def _record(self, migration: Migration, stand: Stand | None = None) -> None:
        counted = {"changed": stand.changed, "skipped": stand.skipped} if stand else {}
        done = {"name": migration.name, "code": self._code, "by": self._holder, **counted}
        demanded = 0 if migration.compatible else migration.number
        await self._schema.record(migration.number, demanded, done)

    # Migrating -----------------------------------------------------------------------------------------------------

    async def _migrate(self, stopping: Callable[[], bool]) -> None:
        state = await self._schema.take_lease(self._holder, self._timing.lease)
        if state is None:
            raise DataNotReady("data_being_migrated", version=self.code_version)
        ended = asyncio.Event()
        keeper = asyncio.create_task(self._keep_lease(ended))
        try:
            await self._run(state, stopping)
        finally:
            ended.set()
            await keeper
            with suppress(DatabaseUnavailable):
                await self._schema.release(self._holder)

    async def _keep_lease(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), self._timing.lease.total_seconds() / 3)
            try:
                await self._schema.renew(self._holder, self._timing.lease)
            except DatabaseUnavailable as error:
                log.warning("migration_lease_not_renewed", reason=error.code)

    async def _run(self, state: SchemaState, stopping: Callable[[], bool]) -> None:
        to_come = self._after(state.version)
        demanded = max([migration.number for migration in to_come if not migration.compatible], default=0)
        if demanded:
            self._still_ours(await self._schema.demand(self._holder, demanded))
            await self._older_ones_leave(demanded, stopping)
        for migration in to_come:
            log.info("migration_begun", version=migration.number, name=migration.name)
            run = _Run(self._schema, self._holder, migration, state.stand, stopping)
            for number, step in enumerate(migration.steps):
                if run.begins(number):
                    await step.run(self._database, run)
            await self._record(migration, run.stand)
            log.info("migration_done", **run.stand.model_dump(exclude={"step", "after"}))

    def _still_ours(self, held: bool) -> None:
        if not held:
            raise DataNotReady("data_being_migrated", version=self.code_version)

    async def _older_ones_leave(self, demanded: int, stopping: Callable[[], bool]) -> None:
        """Wait until nobody is left who would write what the migration could not see.

        Workers are in the register, and are asked to hand over what they have: calls go on at the provider. APIs are in
        none: they get their time to notice. Code from before there were versions never does: docs/operations.md.
        """
        looks = 0
        while True:
            older, notice = await self._older_workers(demanded), await self._notice_left()
            if not older and not notice:
                return
            if looks % TOLD_EVERY == 0:
                names = [worker.worker_id for worker in older]
                log.warning("older_code_waited_for", workers=names, seconds=notice, min_code_version=demanded)
            for worker in older:
                await self._workers.ask_to_drain(worker.worker_id, timedelta(0), f"migration to version {demanded}")
            if stopping():
                raise DataNotReady("data_being_migrated", version=self.code_version)
            await asyncio.sleep(LOOK_SECONDS)
            looks += 1

    async def _older_workers(self, demanded: int) -> list[Worker]:
        now = await self._database.server_time()
        workers = await self._workers.all()
        return [worker for worker in workers if worker.schema_version < demanded and worker.is_at_work(now)]

    async def _notice_left(self) -> float:
        """Seconds that APIs of older code still have. None where that code is of before there were versions: it looks
        at none, however long it is given."""
        state = await self._schema.state()
        versioned = max([migration.number for migration in self._migrations if migration.before_versions], default=0)
        if state.version < versioned or state.demanded_at is None:
            return 0
        over = state.demanded_at + self._timing.notice - await self._database.server_time()
        return max(over.total_seconds(), 0)


class _Run:
    """One migration's progress, noted with the data."""

    def __init__(
        self,
        schema: MongoSchema,
        holder: str,
        migration: Migration,
        before: Stand | None,
        stopping: Callable[[], bool],
    ) -> None:
        self._schema = schema
        self._holder = holder
        self._stopping = stopping
        ours = before is not None and before.migration == migration.number
        self.stand = before if before is not None and ours else Stand(migration=migration.number)

    @property
    def after(self) -> str | None:
        return self.stand.after

    def begins(self, step: int) -> bool:
        """Whether it is not over yet."""
        if step > self.stand.step:
            self.stand = self.stand.model_copy(update={"step": step, "after": None})
        return step == self.stand.step

    async def note(self, after: str, *, changed: int, skipped: int) -> None:
        counted = {"changed": self.stand.changed + changed, "skipped": self.stand.skipped + skipped}
        self.stand = self.stand.model_copy(update={"after": after, **counted})
        held = await self._schema.note(self._holder, self.stand)
        if not held or self._stopping():
            raise DataNotReady("data_being_migrated", version=self.stand.migration)
