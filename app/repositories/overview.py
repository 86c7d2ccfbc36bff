"""Everything that monitoring asks of the database, in a few reads of indexes whose length does not grow with what is
stored; and the document through which all processes share the answer."""

from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

from pymongo import ASCENDING, ReturnDocument

from app.domain.batches import BatchStatus
from app.domain.jobs import JobState, WaitingFor
from app.domain.overview import (
    MOST_ACCOUNTS,
    MOST_COUNTED,
    OTHERS,
    AccountCalls,
    ErasuresSeen,
    Imports,
    Outgoing,
    Overview,
)
from app.domain.webhooks import DeliveryStatus
from app.domain.workers import Worker, WorkerState
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import from_document, plain

THE_ONE = "overview"
STUCK_AFTER_MS = 60_000
MOST_BATCHES = MOST_ERASURES = 1000


class MongoOverviews(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._overview = database.collection("overview")
        self._accounts = database.collection("accounts")
        self._batches = database.collection("batches")
        self._jobs = database.collection("jobs")
        self._workers = database.collection("workers")
        self._webhooks = database.collection("webhooks")
        self._deliveries = database.collection("webhook_deliveries")
        self._erasures = database.collection("erasures")
        self._copies = database.collection("provider_copies")

    @guarded
    async def stored(self) -> Overview | None:
        document = await self._overview.find_one({"_id": THE_ONE})
        return None if document is None or "seen" not in document else Overview.model_validate(document["seen"])

    @guarded
    async def take_turn(self, seconds: float) -> bool:
        due = {"$lte": ["$next_at", "$$NOW"]}
        mine = uuid4().hex
        turn = {
            "turn": {"$cond": [due, mine, "$turn"]},
            "next_at": {"$cond": [due, _from_now(seconds), "$next_at"]},
        }
        document = await self._overview.find_one_and_update(
            {"_id": THE_ONE}, [{"$set": turn}], {"turn": True}, upsert=True, return_document=ReturnDocument.AFTER
        )
        return document is not None and document["turn"] == mine

    @guarded
    async def store(self, overview: Overview, seconds: float) -> None:
        seen = {"$literal": plain(overview)}
        await self._overview.update_one({"_id": THE_ONE}, [{"$set": {"seen": seen, "next_at": _from_now(seconds)}}])

    @guarded
    async def look(self, now: datetime) -> Overview:
        held = [row async for row in await self._jobs.aggregate(_HELD, hint="slot")]
        reserved = [row async for row in await self._accounts.aggregate(_RESERVED, hint="reserving")]
        imports = [row async for row in await self._batches.aggregate(_IMPORTS, hint="importing")]
        workers = [from_document(Worker, document) async for document in self._workers.find(_EVERY_ONE)]
        states = [worker.state_at(now) for worker in workers]
        return Overview(
            taken_at=now,
            in_flight=_summed(held, "state"),
            pending={reason.value: await self._pending(reason) for reason in WaitingFor},
            calls=await self._calls(_summed(held, "account_id")),
            stuck=sum(row["stuck"] for row in held),
            oldest_attempt_at=min((row["oldest"] for row in held if row["oldest"] is not None), default=None),
            open_batches=await self._batches.count_documents(
                {"wake_at": {"$lte": now}, "status": BatchStatus.RUNNING.value}, hint="due", limit=MOST_BATCHES
            ),
            imports=Imports.model_validate(imports[0] if imports else {}),
            outgoing=await self._outgoing(),
            erasures=await self._open_erasures(),
            reserved={row["_id"]: row["units"] for row in reserved},
            reservations=sum(row["count"] for row in reserved),
            workers={state.value: states.count(state) for state in WorkerState},
        )

    async def _pending(self, reason: WaitingFor) -> int:
        match = {"state": JobState.PENDING.value, "waiting_for": reason.value}
        return await self._jobs.count_documents(match, hint="list", limit=MOST_COUNTED)

    async def _outgoing(self) -> Outgoing:
        off = [webhook async for webhook in self._webhooks.find({"is_active": False}, {"disabled_at": True})]
        match: Document = {"status": DeliveryStatus.PENDING.value}
        if off:
            match["webhook_id"] = {"$nin": [webhook["_id"] for webhook in off]}
        oldest = await self._deliveries.find_one(
            match, {"created_at": True, "_id": False}, sort=[("created_at", ASCENDING)], hint="waiting"
        )
        return Outgoing(
            pending=await self._deliveries.count_documents(match, hint="waiting", limit=MOST_COUNTED),
            oldest_at=None if oldest is None else oldest["created_at"],
            failing=await self._webhooks.count_documents({"failing_since": {"$exists": True}}, hint="failing"),
            switched_off=sum("disabled_at" in webhook for webhook in off),
        )

    async def _open_erasures(self) -> ErasuresSeen:
        here = {"elsewhere": None, "noted_at": _ANY_TIME}
        first = await self._copies.find_one(here, {"noted_at": True}, sort=[("noted_at", ASCENDING)], hint="left")
        rows = [row async for row in await self._erasures.aggregate(_OPEN_ERASURES, hint="due")]
        return ErasuresSeen(
            provider_copies=await self._copies.count_documents({"due_at": _ANY_TIME}, hint="due", limit=MOST_COUNTED),
            elsewhere=await self._copies.count_documents({"elsewhere": True}, hint="left", limit=MOST_COUNTED),
            oldest_copy_at=None if first is None else first["noted_at"],
            **(rows[0] if rows else {}),
        )

    async def _calls(self, in_flight: Counter[str]) -> dict[str, AccountCalls]:
        """By account; of more than MOST_ACCOUNTS the busiest, and the sum of the others."""
        named = [account_id for account_id, _ in in_flight.most_common(MOST_ACCOUNTS)]
        found = self._accounts.find({"_id": {"$in": list(in_flight)}}, {"features.max_concurrent_calls": True})
        limits = {document["_id"]: document["features"]["max_concurrent_calls"] async for document in found}
        calls = {name: AccountCalls(in_flight=in_flight[name], limit=limits.get(name, 0)) for name in named}
        others = in_flight.keys() - set(named)
        if others:
            calls[OTHERS] = AccountCalls(
                in_flight=sum(in_flight[name] for name in others), limit=sum(limits.get(name, 0) for name in others)
            )
        return calls


_LONG_AGO: Document = {"$subtract": ["$$NOW", STUCK_AFTER_MS]}
_EVERY_ONE: Document = {"started_at": {"$exists": True}}
_HELD: list[Document] = [
    # As many as there are lines taken.
    {"$match": {"slot": {"$gte": 0}}},
    {
        "$group": {
            "_id": {"account_id": "$account_id", "state": "$state"},
            "count": {"$sum": 1},
            "stuck": {"$sum": {"$cond": [{"$lt": ["$lease_until", _LONG_AGO]}, 1, 0]}},
            "oldest": {"$min": "$attempt.intent_at"},
        }
    },
]
_RESERVED: list[Document] = [
    # As many as there are accounts with calls.
    {"$match": {"reservations": {"$gt": {}}}},
    {"$project": {"plan_type": True, "amounts": {"$objectToArray": "$reservations"}}},
    {
        "$group": {
            "_id": "$plan_type",
            "units": {"$sum": {"$sum": "$amounts.v"}},
            "count": {"$sum": {"$size": "$amounts"}},
        }
    },
]
_ANY_TIME: Document = {"$gt": datetime(1970, 1, 1, tzinfo=UTC)}
_OPEN_ERASURES: list[Document] = [
    {"$match": {"due_at": _ANY_TIME}},
    # Those with which nobody gets on are the first.
    {"$sort": {"due_at": ASCENDING}},
    {"$limit": MOST_ERASURES},
    {"$group": {"_id": None, "open": {"$sum": 1}, "oldest_at": {"$min": "$requested_at"}}},
    {"$project": {"_id": False}},
]
_IMPORTS: list[Document] = [
    {"$match": {"current_import.lease_until": {"$exists": True}}},
    {
        "$group": {
            "_id": None,
            "under_way": {"$sum": 1},
            "handled": {"$sum": "$current_import.handled"},
            "expected": {"$sum": "$current_import.total"},
            "stalled": {"$sum": {"$cond": [{"$lt": ["$current_import.lease_until", _LONG_AGO]}, 1, 0]}},
        }
    },
]


def _summed(held: list[Document], field: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in held:
        counts[row["_id"][field]] += row["count"]
    return counts


def _from_now(seconds: float) -> Document:
    return {"$add": ["$$NOW", int(seconds * 1000)]}
