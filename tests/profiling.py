"""What MongoDB did for the queries of a stretch of code, as its own profiler tells it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from app.repositories.database import Database, Document

PROFILE_BYTES = 32 * 1024 * 1024
SPARE = 24
"""What an operation may look at beyond its results: a seek for each state and priority, an account's calls in hand.
The backlogs of the tests are many times larger."""


@dataclass(frozen=True)
class Operation:
    """One operation as the server counted it."""

    collection: str
    kind: str
    """find, aggregate, update, findandmodify, getmore, insert, ..."""
    query: Document
    plan: str
    """The plan's summary, such as `IXSCAN { state: 1, batch_id: 1 }`; empty where nothing was looked for."""
    keys: int
    docs: int
    results: int
    """Documents returned, or matched by a write."""
    sorts: bool
    """Whether it sorted in memory."""

    @property
    def fits(self) -> bool:
        """Whether it looked at little more than it found: no scan, no sort in memory, hardly a key or document more."""
        scans = "COLLSCAN" in self.plan
        few = self.keys <= 2 * self.results + SPARE and self.docs <= self.results + SPARE
        return few and not scans and not self.sorts

    @property
    def counts(self) -> bool:
        """Whether it counts jobs from an index alone."""
        from_index = self.docs == 0 and "COLLSCAN" not in self.plan
        # The lines that are taken are listed: as many as there are calls.
        lists_lines = not {"slot", "provider_slot"}.isdisjoint(self.query)
        return self.collection == "jobs" and self.kind == "aggregate" and from_index and not lists_lines

    @property
    def counts_finished(self) -> bool:
        """The same, of finished ones too: it goes through every job of a batch."""
        return self.counts and "completed" in self.query.get("state", {}).get("$in", [])


@asynccontextmanager
async def profiled(database: Database) -> AsyncIterator[list[Operation]]:
    """Records every operation on `database` inside the block; the list is filled when the block ends."""
    profile = database.collection("system.profile")
    db = profile.database
    operations: list[Operation] = []
    await db.command("profile", 0)
    await profile.drop()
    await db.create_collection("system.profile", capped=True, size=PROFILE_BYTES)
    await db.command("profile", 2)
    try:
        yield operations
    finally:
        await db.command("profile", 0)
    cursor = profile.find({"ns": {"$not": {"$regex": r"\.system\."}}}).sort("$natural", 1)
    operations += [_operation(entry) async for entry in cursor if "keysExamined" in entry]
    await profile.drop()


def keys_examined(operations: Iterable[Operation], *collections: str) -> int:
    return sum(operation.keys for operation in operations if operation.collection in collections)


def unfit(operations: Iterable[Operation]) -> list[Operation]:
    return [operation for operation in operations if not operation.fits]


def _operation(entry: dict[str, Any]) -> Operation:
    command: dict[str, Any] = entry.get("originatingCommand") or entry["command"]
    kind = entry["op"] if entry["op"] != "command" else next(iter(command))
    return Operation(
        collection=entry["ns"].partition(".")[2],
        kind="find" if kind == "query" else kind.lower(),
        query=command.get("filter") or command.get("query") or command.get("q") or _match(command),
        plan=entry.get("planSummary", ""),
        keys=entry["keysExamined"],
        docs=entry["docsExamined"],
        results=max(entry.get(name, 0) for name in ("nreturned", "nMatched", "ndeleted")),
        sorts=entry.get("hasSortStage", False),
    )


def _match(command: dict[str, Any]) -> Document:
    stages: list[Document] = command.get("pipeline", [{}])
    found: Document = stages[0].get("$match", {})
    return found
