"""Every index, with the query that it serves. Creating them is safe to repeat and while workers live; dropping or
changing one is for a migration (docs/adr/0026-migrations.md)."""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pymongo
import structlog
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import OperationFailure

from app.domain.errors import DatabaseUnavailable, DataNotReady
from app.repositories.database import Database, DatabaseUnsuitable, Document

log = structlog.get_logger("migrations")


def _list_of_jobs(name: str, scope: tuple[str, int] | None, *order: tuple[str, int]) -> IndexModel:
    """For lists by status; `MongoJobs.page` names every value of the two fields before the order."""
    by_status = [("state", ASCENDING), ("waiting_for", ASCENDING)]
    return IndexModel([*([scope] if scope else []), *by_status, *order], name=name)


INDEXES: dict[str, list[IndexModel]] = {
    "accounts": [
        # GET /accounts, newest first.
        IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)], name="newest"),
        # GET /accounts?sort=name, ?q=
        IndexModel([("sort_name", ASCENDING), ("_id", ASCENDING)], name="by_name"),
        IndexModel([("name_words", ASCENDING)], name="names"),
        # The clean-up of every worker: which accounts hold reservations? Its key never changes, so that reserving
        # touches the index only for an account's first reservation.
        IndexModel(
            [("created_at", ASCENDING)], name="reserving", partialFilterExpression={"reservations": {"$gt": {}}}
        ),
        # Top-ups that are not in the ledger yet: nearly always none.
        IndexModel(
            [("unposted.transaction_id", ASCENDING)],
            name="unposted",
            partialFilterExpression={"unposted.transaction_id": {"$exists": True}},
        ),
    ],
    "batches": [
        # The claimer: which batches may have work now. Sleeping and final batches cost nothing.
        IndexModel([("wake_at", ASCENDING)], name="due", partialFilterExpression={"wake_at": {"$exists": True}}),
        # The teller: which finished and webhooks were not told yet?
        IndexModel([("untold_at", ASCENDING)], name="untold", partialFilterExpression={"untold_at": {"$exists": True}}),
        # A settled call gives money back: which of the account's batches waited for it?
        IndexModel(
            [("account_id", ASCENDING), ("block.reason.code", ASCENDING)],
            name="blocked",
            partialFilterExpression={"block.reason.code": {"$exists": True}},
        ),
        # GET /batches?parent_batch_id=, newest first; and which runs of a recurring batch still go on?
        IndexModel(
            [("parent_batch_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
            name="newest_of_parent",
            partialFilterExpression={"parent_batch_id": {"$exists": True}},
        ),
        # Whose budget reservations has nobody any more?
        IndexModel([("budget", ASCENDING)], name="budgeted", partialFilterExpression={"budget": {"$exists": True}}),
        # GET /batches?account_id=, newest first.
        IndexModel(
            [("account_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
            name="newest_of_account",
        ),
        # GET /batches, newest first.
        IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)], name="newest"),
        # GET /batches?sort=name, of an account or of all.
        IndexModel(
            [("account_id", ASCENDING), ("sort_name", ASCENDING), ("_id", ASCENDING)], name="by_name_of_account"
        ),
        IndexModel([("sort_name", ASCENDING), ("_id", ASCENDING)], name="by_name"),
        # GET /batches?q=
        IndexModel([("name_words", ASCENDING), ("account_id", ASCENDING)], name="names"),
        # GET /dashboard/stats: how many are in each status.
        IndexModel([("account_id", ASCENDING), ("status", ASCENDING)], name="statuses_of_account"),
        # Every list and figure of batches: how many of those counted were deleted.
        IndexModel(
            [("account_id", ASCENDING), ("deleted_at", ASCENDING)],
            name="deleted",
            partialFilterExpression={"deleted_at": {"$exists": True}},
        ),
        # Every worker: which batches of an account ended so long ago that they are to be erased?
        IndexModel(
            [("account_id", ASCENDING), ("aged.level", ASCENDING), ("finished_at", ASCENDING)],
            name="aged",
        ),
        # The same of test calls.
        IndexModel(
            [("account_id", ASCENDING), ("status", ASCENDING)],
            name="tests",
            partialFilterExpression={"test_of": {"$exists": True}},
        ),
        # Every worker, once a second: which imports does nobody work on any more? Only those under way are in it.
        IndexModel(
            [("current_import.lease_until", ASCENDING)],
            name="importing",
            partialFilterExpression={"current_import.lease_until": {"$exists": True}},
        ),
        # POST /batches with Idempotency-Key: one batch a key.
        IndexModel(
            [("account_id", ASCENDING), ("idempotency_key", ASCENDING)],
            name="idempotency",
            unique=True,
            partialFilterExpression={"idempotency_key": {"$exists": True}},
        ),
    ],
    "batch_contacts": [
        # A run is made: the contacts of its series, in order.
        IndexModel([("batch_id", ASCENDING), ("number", ASCENDING)], name="in_order"),
        # An import into a recurring batch: who is in it already?
        IndexModel([("batch_id", ASCENDING), ("person_keys", ASCENDING)], name="person"),
        # An erasure: in which series is the person?
        IndexModel([("person_keys", ASCENDING)], name="person_anywhere"),
    ],
    "erasures": [
        # Every worker: which is due? And: one at a time for a person.
        IndexModel([("due_at", ASCENDING)], name="due", partialFilterExpression={"due_at": {"$exists": True}}),
        IndexModel(
            [("account_id", ASCENDING), ("digest", ASCENDING)],
            name="working",
            unique=True,
            partialFilterExpression={"due_at": {"$exists": True}},
        ),
        # GET /privacy/erasures, newest first, of all or of an account.
        IndexModel([("requested_at", DESCENDING), ("_id", DESCENDING)], name="newest"),
        IndexModel(
            [("account_id", ASCENDING), ("requested_at", DESCENDING), ("_id", DESCENDING)], name="newest_of_account"
        ),
    ],
    "provider_copies": [
        # Every worker: which calls are to be deleted at the provider now? And how many are left of an erasure.
        IndexModel([("due_at", ASCENDING)], name="due"),
        IndexModel([("erasure_id", ASCENDING)], name="of_erasure"),
        # Monitoring: since when are some left, and how many may lie elsewhere?
        IndexModel([("elsewhere", ASCENDING), ("noted_at", ASCENDING)], name="left"),
    ],
    "recoveries": [],
    "imports": [
        # GET /batches/{id}/imports, newest first.
        IndexModel([("batch_id", ASCENDING), ("first_number", DESCENDING)], name="newest_of_batch"),
        # POST /batches/{id}/upload with Idempotency-Key.
        IndexModel(
            [("batch_id", ASCENDING), ("idempotency_key", ASCENDING)],
            name="idempotency",
            partialFilterExpression={"idempotency_key": {"$exists": True}},
        ),
        # DELETE /batches/{id}/imports/{id}: which lists left rows out for it?
        IndexModel(
            [("left_out.import_id", ASCENDING)],
            name="left_out",
            partialFilterExpression={"left_out.import_id": {"$exists": True}},
        ),
    ],
    "jobs": [
        # The claim: one key examined a job, whatever is in the future, finished, or of a zone whose hours are closed.
        # Also counts a batch by state.
        IndexModel(
            [
                ("state", ASCENDING),
                ("batch_id", ASCENDING),
                ("zone", ASCENDING),
                ("priority", DESCENDING),
                ("due_at", ASCENDING),
            ],
            name="claim",
        ),
        # The limit of simultaneous calls, as an invariant: two jobs of an account never hold one slot.
        IndexModel(
            [("account_id", ASCENDING), ("slot", ASCENDING)],
            name="slot",
            unique=True,
            partialFilterExpression={"slot": {"$gte": 0}},
        ),
        # The same for all accounts together: what the provider allows.
        IndexModel(
            [("provider_slot", ASCENDING)],
            name="provider_slot",
            unique=True,
            partialFilterExpression={"provider_slot": {"$gte": 0}},
        ),
        # The rescue: leases that ran out.
        IndexModel(
            [("lease_until", ASCENDING)],
            name="lease",
            partialFilterExpression={"lease_until": {"$exists": True}},
        ),
        # Once a second in each worker: webhooks about its jobs. Only jobs with one that was not taken yet are in it.
        IndexModel(
            [("worker_id", ASCENDING), ("heard_at", ASCENDING)],
            name="heard",
            partialFilterExpression={"heard_at": {"$exists": True}},
        ),
        # The dial protocol: what else was tried with this person, over all batches of the account. And the preview:
        # whose calls are still to come?
        IndexModel([("account_id", ASCENDING), ("person_keys", ASCENDING)], name="person"),
        # GET /jobs?account_id=&q=: whose name has a word that begins so? Written once, with the job.
        IndexModel([("account_id", ASCENDING), ("name_words", ASCENDING)], name="names"),
        # GET /jobs with any filter, newest first, and how many there are: see MongoJobs.page. Each costs some 15 µs of
        # mongod's CPU a move (docs/benchmarks.md).
        _list_of_jobs("list_of_batch", ("batch_id", ASCENDING), ("_id", DESCENDING)),
        _list_of_jobs("list_of_account", ("account_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)),
        _list_of_jobs("list", None, ("created_at", DESCENDING), ("_id", DESCENDING)),
        # The teller: what happened and webhooks were not told yet. Only of accounts with webhooks, for about a second.
        IndexModel([("untold_at", ASCENDING)], name="untold", partialFilterExpression={"untold_at": {"$exists": True}}),
        # GET /dashboard/stats: what ended today. Written once, when a job ends.
        IndexModel(
            [("account_id", ASCENDING), ("finished_at", DESCENDING), ("state", ASCENDING)],
            name="finished",
            partialFilterExpression={"finished_at": {"$exists": True}},
        ),
        # Test calls: how many an account has had, and how many are among the jobs of its figures.
        IndexModel(
            [("account_id", ASCENDING), ("created_at", DESCENDING)],
            name="tests",
            partialFilterExpression={"test_of": {"$exists": True}},
        ),
        # An erasure, an export: which test calls speak of the person?
        IndexModel(
            [("account_id", ASCENDING), ("speaks_of", ASCENDING)],
            name="spoken_of",
            partialFilterExpression={"speaks_of": {"$exists": True}},
        ),
        # GET /calls/history and /accounts/{id}/activity: a key an attempt, written when it is over.
        IndexModel(
            [("account_id", ASCENDING), ("history.dialed_at", DESCENDING), ("batch_id", ASCENDING)],
            name="calls",
            partialFilterExpression={"history.dialed_at": {"$exists": True}},
        ),
    ],
    "do_not_call": [
        # The dial protocol: which of a contact's keys are on the account's list or everybody's (no `account_id`).
        # GET /do-not-call?phone=
        IndexModel([("key", ASCENDING), ("account_id", ASCENDING)], name="key"),
        # GET /do-not-call, newest first.
        IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)], name="newest"),
        # GET /do-not-call?account_id=, newest first.
        IndexModel(
            [("account_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
            name="newest_of_account",
        ),
        # Erasing by age: which of a list have ended?
        IndexModel(
            [("account_id", ASCENDING), ("expires_at", ASCENDING)],
            name="ended",
            partialFilterExpression={"expires_at": {"$exists": True}},
        ),
    ],
    "users": [
        # POST /auth/login; and one user an email.
        IndexModel([("email", ASCENDING)], name="email", unique=True),
    ],
    "api_keys": [],
    "refresh_tokens": [
        # A token used twice, and a logout, end the whole family; a changed password every session of the user.
        IndexModel([("family", ASCENDING)], name="family"),
        IndexModel([("user_id", ASCENDING)], name="user"),
        IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
    ],
    "login_failures": [
        IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
    ],
    "secrets": [],
    "audit_log": [
        # GET /audit-log, newest first, of everybody, of an account, of a user.
        IndexModel([("at", DESCENDING), ("_id", DESCENDING)], name="newest"),
        IndexModel([("account_id", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="newest_of_account"),
        IndexModel([("user", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="newest_of_user"),
    ],
    "transactions": [
        # GET /accounts/{id}/transactions, and an account's usage of a month.
        IndexModel(
            [("account_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
            name="newest_of_account",
        ),
        # The same with ?type=.
        IndexModel(
            [
                ("account_id", ASCENDING),
                ("type", ASCENDING),
                ("created_at", DESCENDING),
                ("_id", DESCENDING),
            ],
            name="newest_of_type",
        ),
        # What an account has used, in all or since a moment, from the index alone.
        IndexModel(
            [
                ("account_id", ASCENDING),
                ("type", ASCENDING),
                ("created_at", DESCENDING),
                ("cost", ASCENDING),
                ("minutes", ASCENDING),
                ("amount", ASCENDING),
            ],
            name="usage",
        ),
        # What a batch has cost, from the index alone.
        IndexModel(
            [("batch_id", ASCENDING), ("cost", ASCENDING), ("minutes", ASCENDING), ("amount", ASCENDING)],
            name="batch_usage",
            partialFilterExpression={"batch_id": {"$exists": True}},
        ),
    ],
    "batch_logs": [
        # GET /batches/{id}/logs, newest first.
        IndexModel([("batch_id", ASCENDING), ("timestamp", DESCENDING), ("_id", DESCENDING)], name="newest_of_batch"),
    ],
    "workers": [
        # GET /workers, newest first.
        IndexModel([("started_at", DESCENDING), ("_id", DESCENDING)], name="newest"),
        IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
    ],
    "webhooks": [
        # GET /accounts/{id}/webhooks, and whom to tell.
        IndexModel([("account_id", ASCENDING), ("created_at", ASCENDING), ("_id", ASCENDING)], name="of_account"),
        # The sender: to which is something to be sent now? One with nothing to send is not in it.
        IndexModel([("wake_at", ASCENDING)], name="due", partialFilterExpression={"wake_at": {"$exists": True}}),
        # Monitoring: which are not well? Few.
        IndexModel(
            [("failing_since", ASCENDING)], name="failing", partialFilterExpression={"failing_since": {"$exists": True}}
        ),
        IndexModel([("is_active", ASCENDING)], name="switched_off", partialFilterExpression={"is_active": False}),
    ],
    "webhook_deliveries": [
        # The sender: what is to be sent to a webhook, the longest overdue first; and when the next is due.
        IndexModel(
            [("webhook_id", ASCENDING), ("due_at", ASCENDING)],
            name="due",
            partialFilterExpression={"status": "pending"},
        ),
        # Monitoring: how many are to be sent, and since when? From the index alone, but for webhooks switched off.
        IndexModel(
            [("status", ASCENDING), ("created_at", ASCENDING), ("webhook_id", ASCENDING)],
            name="waiting",
            partialFilterExpression={"status": "pending"},
        ),
        # The log of a webhook, newest first, of one status or any.
        IndexModel(
            [("webhook_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="newest_of_webhook"
        ),
        IndexModel(
            [("webhook_id", ASCENDING), ("status", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
            name="newest_of_status",
        ),
        # An erasure: what was sent about the person's jobs?
        IndexModel([("job_id", ASCENDING)], name="of_job", partialFilterExpression={"job_id": {"$exists": True}}),
        IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
    ],
    "uploads": [
        IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
    ],
    "upload_chunks": [
        # The contacts of an upload in the order of their rows.
        IndexModel([("upload_id", ASCENDING), ("number", ASCENDING)], name="in_order", unique=True),
        IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
    ],
    "upload_rejected": [
        # The rejected rows of an upload in their order.
        IndexModel([("upload_id", ASCENDING), ("number", ASCENDING)], name="in_order", unique=True),
        IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
    ],
}


_MATTERS = ("key", "unique", "partialFilterExpression", "expireAfterSeconds")
_CONFLICT = frozenset({85, 86})  # IndexOptionsConflict, IndexKeySpecsConflict
_DUPLICATE = 11000

LOOK_SECONDS = 0.5
TOLD_EVERY = 20
"""Looks between two lines of the log."""
LONGEST_BUILD_SECONDS = 86_400.0
"""For the indexes of one collection. Many times what it takes; then whoever asked asks again."""


async def ensure_indexes(
    database: Database, *, stopping: Callable[[], bool] = lambda: False, patience: float = math.inf
) -> None:
    """Create what is missing, and wait until it is built; what is there otherwise is for a migration to drop.

    Safe to repeat, and for many at once: all wait for one build. Raises DatabaseUnsuitable if one cannot be,
    DatabaseUnavailable, or DataNotReady if the process is `stopping`, or it takes longer than `patience` (seconds).
    """
    await database.server_time()  # a server that is away is told of at once
    building = asyncio.create_task(_build(database))
    looks = 0
    try:
        while not building.done():
            await asyncio.wait({building}, timeout=LOOK_SECONDS)
            looks += 1
            if not building.done() and (stopping() or looks * LOOK_SECONDS >= patience):
                raise DataNotReady("indexes_being_built")
            if not building.done() and looks % TOLD_EVERY == 0:
                log.info("indexes_waited_for", seconds=round(looks * LOOK_SECONDS), builds=await _builds(database))
        building.result()
    finally:
        # The server goes on with what it has begun, or begins anew when somebody asks again.
        while not building.done():
            building.cancel()  # more than once, if need be: the driver may swallow one
            await asyncio.wait({building}, timeout=LOOK_SECONDS)
        await asyncio.gather(building, return_exceptions=True)


async def _builds(database: Database) -> list[str]:
    with suppress(DatabaseUnavailable):
        return await database.index_builds()
    return []


async def _build(database: Database) -> None:
    for collection, indexes in INDEXES.items():
        if not indexes:
            continue  # read by `_id` alone
        try:
            # On millions of documents it takes longer than any other answer: the socket's time-out is not for this.
            with pymongo.timeout(LONGEST_BUILD_SECONDS):
                async with database.operation():
                    await database.collection(collection).create_indexes(indexes)
        except OperationFailure as error:
            if error.code in _CONFLICT:
                raise DatabaseUnsuitable(await _conflicts(database, collection)) from None
            if error.code == _DUPLICATE:
                raise DatabaseUnsuitable(_twice(collection, error)) from None
            raise


async def _conflicts(database: Database, collection: str) -> str:
    there = await indexes_of(database, collection)
    conflicts = []
    for index in INDEXES[collection]:
        wanted = essence(index.document)
        for name, found in there.items():
            same_name, same_key = name == index.document["name"], essence(found)["key"] == wanted["key"]
            if (same_name and essence(found) != wanted) or (same_key and not same_name):
                conflicts.append(
                    f"  {collection}.{name} is {essence(found)}, {index.document['name']} must be {wanted}"
                )
    return (
        "Indexes in MongoDB are in the way of those that Cadencia needs. It made none like these: somebody else did, "
        "or a version that never was released. Drop them while no worker runs, and start again:\n"
        + "\n".join(conflicts)
    )


def _twice(collection: str, error: OperationFailure) -> str:
    key = list((error.details or {}).get("keyPattern", {}))
    return (
        f"The unique index of {collection} over {', '.join(key)} cannot be built: documents have the same values "
        "there. Nothing is done without it, for it keeps one thing from being done twice. Find them, decide which one "
        "is right, and start again."
    )


async def indexes_of(database: Database, collection: str) -> dict[str, Document]:
    """By name. Raises DatabaseUnavailable."""
    async with database.operation():
        cursor = await database.collection(collection).list_indexes()
        return {index["name"]: dict(index) async for index in cursor}


def essence(index: Any) -> Document:
    """What makes an index do its work; `key` with its order."""
    found = {name: index[name] for name in _MATTERS if index.get(name) is not None}
    return found | {"key": list(index["key"].items())}
