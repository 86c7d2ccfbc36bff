"""A large batch that was called for weeks: clones of jobs that the application made, with what calls leave added.

MongoDB makes the clones itself, and their indexes afterwards: to send a million jobs takes four times as long.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.bootstrap import Container
from app.domain.jobs import AttemptRecord, JobState
from app.domain.messages import Message
from app.domain.outcomes import Disposition
from app.domain.transactions import Transaction, TransactionType
from app.repositories.documents import plain, to_document
from app.repositories.indexes import INDEXES
from benchmarks.backlog import ACCOUNT, TEMPLATES, campaign, contacts, customer

SPAN = timedelta(days=60)
PIECE = 50_000
"""Cloned in one command, which takes a few seconds of the twenty that it may."""
EVERY = 5
"""Of so many contacts one still waits, one did not answer, and the others were reached."""
_FIRST = 1_000_000
"""Added to the numbers in ids, so that they have as many digits."""
_FILLED = ("jobs", "transactions")

Stage = dict[str, Any]


async def filled(container: Container, size: int) -> str:
    """The batch's id. An empty database is expected."""
    await customer(container, ACCOUNT)
    batch = await campaign(container, ACCOUNT, contacts(min(TEMPLATES, size)))
    jobs, templates = (container.database.collection(name) for name in ("jobs", "templates"))
    await jobs.aggregate([{"$out": "templates"}])
    for name in _FILLED:
        await container.database.collection(name).drop()
    now = container.clock.now()
    for first in range(0, size, PIECE):
        numbers = range(first, min(first + PIECE, size))
        await templates.aggregate([*_clones(numbers), {"$set": _called(size, now)}, _into("jobs")])
        of_these = {"_id": {"$gte": _id_of(batch.batch_id, numbers.start), "$lt": _id_of(batch.batch_id, numbers.stop)}}
        await jobs.aggregate([{"$match": of_these}, *_payments(now), _into("transactions")])
    for name in _FILLED:
        for index in INDEXES[name]:
            await container.database.collection(name).create_indexes([index])
    await container.database.collection("batches").update_one({"_id": batch.batch_id}, {"$set": {"total_jobs": size}})
    return batch.batch_id


def _into(collection: str) -> Stage:
    """Plain inserts."""
    return {"$merge": {"into": collection, "whenMatched": "fail"}}


def _id_of(batch_id: str, number: int) -> str:
    return f"{batch_id}-{_FIRST + number}"


def _clones(numbers: range) -> list[Stage]:
    """Persons that are all different, one a `number`."""
    phones = [_text("+569", {"$add": [50_000_000, "$number"]}), _text("+562", {"$add": [20_000_000, "$number"]})]
    person = {
        "_id": _text("$batch_id", "-", {"$add": [_FIRST, "$number"]}),
        "contact.name": _text("Contacto ", "$number"),
        "contact.phones": phones,
        "contact.dni": _text({"$add": [10_000_000, "$number"]}, "-9"),
        "person_keys": [_text("id:", {"$add": [10_000_000, "$number"]}, "9"), *phones],
        "name_words": [_text("contacto ", "$number"), _text("$number")],
    }
    first = {"$add": [numbers.start, {"$subtract": ["$row", 1]}]}
    return [
        {"$set": {"number": {"$range": [first, numbers.stop, TEMPLATES]}}},
        {"$unwind": "$number"},
        {"$set": person},
    ]


def _called(size: int, now: datetime) -> Stage:
    """What calls leave in a job, the older the lower its number; every fifth still waits."""
    kind = {"$mod": ["$number", EVERY]}
    answered = {"$lt": [kind, EVERY - 1]}
    apart = SPAN.total_seconds() * 1000 / size
    ended = {"$subtract": [now, {"$toLong": {"$multiply": [apart, {"$add": ["$number", 1]}]}}]}
    of_this = {
        "attempt_id": _text("attempt-", "$number"),
        "phone": {"$first": "$contact.phones"},
        "dialed_at": {"$subtract": [ended, 60_000]},
        "ended_at": ended,
    }
    made, missed = ({"$literal": plain(_record(now, answered=picked_up))} for picked_up in (True, False))
    record = {"$mergeObjects": [{"$cond": [answered, made, missed]}, of_this]}

    def of_called(value: Any, otherwise: Any) -> Stage:
        return {"$cond": [{"$gt": [kind, 0]}, value, otherwise]}

    state = {"$cond": [answered, JobState.COMPLETED.value, JobState.FAILED.value]}
    return {
        "state": of_called(state, "$state"),
        "waiting_for": of_called("$$REMOVE", "$waiting_for"),
        "history": of_called([record], []),
        "attempts": of_called(1, 0),
        "finished_at": of_called(ended, "$$REMOVE"),
        "updated_at": of_called(ended, "$updated_at"),
        "number": "$$REMOVE",
    }


def _payments(now: datetime) -> list[Stage]:
    """The ledger's entries, of the calls that cost something."""
    cost = _record(now, answered=True).cost
    entry = Transaction(
        transaction_id="",
        account_id=ACCOUNT,
        type=TransactionType.CALL_USAGE,
        amount=-cost,
        minutes=cost,
        cost=cost,
        description=Message(code="call_usage"),
        created_at=now,
    )
    # Without `$literal` a number would say whether the field is wanted.
    common = {name: {"$literal": value} for name, value in to_document(entry).items()}
    attempt = {"$getField": {"field": "attempt_id", "input": {"$first": "$history"}}}
    of_job = {"_id": attempt, "batch_id": "$batch_id", "job_id": "$_id", "created_at": "$finished_at"}
    return [{"$match": {"state": JobState.COMPLETED.value}}, {"$project": common | of_job}]


def _record(now: datetime, *, answered: bool) -> AttemptRecord:
    return AttemptRecord(
        attempt_id="",
        number=1,
        phone="",
        disposition=Disposition.ANSWERED if answered else Disposition.NO_ANSWER,
        counted=True,
        dialed_at=now,
        ended_at=now,
        duration_seconds=60 if answered else 0,
        billed_seconds=60 if answered else 0,
        cost=Decimal(1 if answered else 0),
    )


def _text(*parts: str | Stage) -> Stage:
    """The parts in a row: texts, fields (`$name`) and expressions."""
    return {"$concat": [{"$toString": part} for part in parts]}
