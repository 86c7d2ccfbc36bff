"""Batches are woken: what many wake at the same time is one update of each batch."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pymongo import UpdateMany, UpdateOne

from app.domain.batches import BatchStatus, Pace
from app.repositories.documents import any_of

WITH_WORK = [BatchStatus.RUNNING.value, BatchStatus.CANCELLED.value]
"""A cancelled one is woken for what comes back from calls that were in progress."""


class Wake(NamedTuple):
    batch_id: str
    at: datetime
    call: Pace | None


class WakeOfBlocked(NamedTuple):
    """Of the batches of an account that are blocked by one thing."""

    account_id: str
    code: str
    at: datetime


def woken(wakes: Sequence[Wake]) -> dict[str, UpdateOne]:
    """By batch."""
    of_batches: defaultdict[str, list[Wake]] = defaultdict(list)
    for wake in wakes:
        of_batches[wake.batch_id].append(wake)
    return {batch_id: _woken(batch_id, of_batch) for batch_id, of_batch in of_batches.items()}


def _woken(batch_id: str, wakes: Sequence[Wake]) -> UpdateOne:
    added: Counter[str] = Counter()
    for wake in wakes:
        added.update(_added(wake.call))
    # Only these have work that may be due: a paused or final batch gets its `wake_at` from whatever opens it again,
    # and of one that is scheduled or being imported it says when that is over.
    return UpdateOne(
        {"_id": batch_id, "wake_at": {"$exists": True}, "status": {"$in": WITH_WORK}},
        {"$min": {"wake_at": min(wake.at for wake in wakes)}, "$inc": {"revision": 1, **added}},
    )


def _added(call: Pace | None) -> dict[str, Any]:
    return {} if call is None else {f"pace.{name}": value for name, value in call if value}


def unblocked(wakes: Sequence[WakeOfBlocked]) -> dict[str, UpdateMany]:
    """By what blocks them. Of several accounts all at the earliest time: too early is one look in vain."""
    of_codes: defaultdict[str, list[WakeOfBlocked]] = defaultdict(list)
    for wake in wakes:
        of_codes[wake.code].append(wake)
    return {code: _unblocked(code, of_code) for code, of_code in of_codes.items()}


def _unblocked(code: str, wakes: Sequence[WakeOfBlocked]) -> UpdateMany:
    at = min(wake.at for wake in wakes)
    accounts = any_of({wake.account_id for wake in wakes})
    return UpdateMany(
        {"account_id": accounts, "block.reason.code": code, "wake_at": {"$gt": at}},
        {"$set": {"wake_at": at}, "$inc": {"revision": 1}},
        hint="blocked",  # not all that sleeps
    )
