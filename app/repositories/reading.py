"""Figures and past calls, for those who only read. indexes.py names the index behind each."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ASCENDING

from app.domain.batches import BatchStatus
from app.domain.jobs import JobState
from app.domain.reading import (
    PICKED_UP,
    AccountInBrief,
    Answered,
    CallScope,
    Milestone,
    PastCall,
    Place,
    Slot,
    Stretch,
)
from app.domain.searching import AgeSort
from app.domain.transactions import TransactionType, Usage
from app.repositories.batches import TESTS
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import any_of

FIRST_WINDOW = timedelta(minutes=5)
WIDER = 8
"""Each window that did not fill the page is followed by one so many times as wide: at most as many times too many
attempts are read, and eleven windows span a life's work."""
_STATES = {"$in": [state.value for state in JobState]}


class MongoStatistics(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._accounts = database.collection("accounts")
        self._batches = database.collection("batches")
        self._jobs = database.collection("jobs")
        self._transactions = database.collection("transactions")

    @guarded
    async def accounts(self, account_ids: Collection[str] | None) -> list[AccountInBrief]:
        match: Document = {} if account_ids is None else {"_id": {"$in": list(account_ids)}}
        found = self._accounts.find(match, {"timezone": True, "status": True})
        return [AccountInBrief(account_id=document.pop("_id"), **document) async for document in found]

    @guarded
    async def batches(self, account_ids: Collection[str]) -> dict[BatchStatus, int]:
        pipeline = [{"$match": {"account_id": any_of(account_ids)}}, _counted_by("$status")]
        found = await self._batches.aggregate(pipeline, hint="statuses_of_account")
        counts = {BatchStatus(row["_id"]): row["count"] async for row in found}
        # Nobody is shown test calls, nor deleted ones, which stand as cancelled.
        tests = [{"$match": {"account_id": any_of(account_ids), **TESTS}}, _counted_by("$status")]
        async for row in await self._batches.aggregate(tests, hint="tests"):
            status = BatchStatus(row["_id"])
            counts[status] = max(0, counts.get(status, 0) - row["count"])
        deleted = {"account_id": any_of(account_ids), "deleted_at": {"$exists": True}}
        counts[BatchStatus.CANCELLED] = counts.get(BatchStatus.CANCELLED, 0) - await self._batches.count_documents(
            deleted, hint="deleted"
        )
        return counts

    @guarded
    async def jobs(self, account_ids: Collection[str]) -> dict[JobState, int]:
        match = {"account_id": any_of(account_ids), "state": _STATES}
        return await self._states(match, "list_of_account")

    @guarded
    async def jobs_since(
        self, account_ids: Collection[str], since: datetime, milestone: Milestone
    ) -> dict[JobState, int]:
        match: Document = {"account_id": any_of(account_ids), milestone.value: {"$gte": since}}
        if milestone is Milestone.FINISHED:
            return await self._states(match, "finished")
        # The index has the state before the time: named value by value, it is a seek for each. `waiting_for`, between
        # them, is not asked for: for a null MongoDB reads each document, as what is missing has the same key.
        return await self._states(match | {"state": _STATES}, "list_of_account")

    @guarded
    async def usage(self, account_ids: Collection[str], since: datetime | None = None) -> Usage:
        match: Document = {"account_id": any_of(account_ids), "type": TransactionType.CALL_USAGE.value}
        if since is not None:
            match["created_at"] = {"$gte": since}
        totals = {
            "calls": {"$sum": 1},
            "units": {"$sum": {"$multiply": ["$amount", -1]}},
            "minutes": {"$sum": "$minutes"},
            "cost": {"$sum": "$cost"},
        }
        found = await self._transactions.aggregate(
            [{"$match": match}, {"$group": {"_id": None} | totals}], hint="usage"
        )
        async for row in found:
            return Usage(**{name: row[name] for name in totals})
        return Usage()

    async def _states(self, match: Document, index: str) -> dict[JobState, int]:
        """Test calls are few, and are counted by themselves: the rest is counted from an index alone."""
        found = await self._jobs.aggregate([{"$match": match}, _counted_by("$state")], hint=index)
        counts = {JobState(row["_id"]): row["count"] async for row in found}
        tests = [{"$match": {**match, "test_of": {"$exists": True}}}, _counted_by("$state")]
        async for row in await self._jobs.aggregate(tests, hint="tests"):
            state = JobState(row["_id"])
            counts[state] = max(0, counts.get(state, 0) - row["count"])
        return counts


class MongoCallHistory(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._jobs = database.collection("jobs")

    @guarded
    async def page(self, scope: CallScope, *, after: Place | None, limit: int, sort: AgeSort) -> list[PastCall]:
        # MongoDB cannot walk an index on a list in its order; so it is read in windows until there are enough. Two
        # windows never show the same attempt.
        found: list[PastCall] = []
        order = -1 if not sort.ascending else 1
        async for window in self._windows(scope, after, sort):
            pipeline = [
                *_attempts(window),
                *_behind(after, sort),
                {"$sort": {"history.dialed_at": order, "history.attempt_id": order}},
                {"$limit": limit - len(found)},
                {"$project": _SHOWN},
            ]
            found += [_past_call(row) async for row in await self._jobs.aggregate(pipeline, hint="calls")]
            if len(found) == limit:
                break
        return found

    async def _windows(self, scope: CallScope, after: Place | None, sort: AgeSort) -> AsyncIterator[CallScope]:
        """The spans of the scope, wider and wider, back in time or forth."""
        since, until, width = scope.since, scope.until, FIRST_WINDOW
        if sort.ascending:
            first = after.at if after else await self._first_dialed(scope)
            since = until if first is None else max(since, first)
        elif after:
            until = min(until, after.at + timedelta(milliseconds=1))
        while since < until:
            if sort.ascending:
                upto = min(until, _moved(since, width))
                yield scope._replace(since=since, until=upto)
                since = upto
            else:
                down_to = max(since, _moved(until, -width))
                yield scope._replace(since=down_to, until=until)
                until = down_to
            width *= WIDER

    async def _first_dialed(self, scope: CallScope) -> datetime | None:
        """When the first of all calls of these accounts was dialed."""
        match = {"account_id": any_of(scope.account_ids), "history.dialed_at": {"$exists": True}}
        found = self._jobs.find(match, {"history.dialed_at": True}, hint="calls").sort("history.dialed_at", ASCENDING)
        async for job in found.limit(1):
            first: datetime = min(record["dialed_at"] for record in job["history"])
            return first
        return None

    @guarded
    async def count(self, scope: CallScope, at_most: int) -> int:
        pipeline = [*_attempts(scope), {"$limit": at_most}, {"$count": "count"}]
        rows = await self._jobs.aggregate(pipeline, hint="calls")
        async for row in rows:
            return int(row["count"])
        return 0

    @guarded
    async def activity(self, account_id: str, stretches: Sequence[Stretch]) -> dict[Slot, Answered]:
        # With an offset instead of a zone's name: MongoDB has a table of zones of its own, perhaps an older one.
        slots: dict[Slot, Answered] = {}
        for stretch in stretches:
            scope = CallScope([account_id], None, stretch.since, stretch.until)
            wanted = {"history.counted": True, "test_of": {"$exists": False}}
            pipeline = [*_attempts(scope), {"$match": wanted}, _by_slot(stretch.offset)]
            async for row in await self._jobs.aggregate(pipeline, hint="calls"):
                slot = Slot(**row["_id"])
                before = slots.get(slot, Answered(0, 0))
                slots[slot] = Answered(before.calls + row["calls"], before.answered + row["answered"])
        return slots


def _counted_by(field: str) -> Document:
    return {"$group": {"_id": field, "count": {"$sum": 1}}}


def _attempts(scope: CallScope) -> list[Document]:
    """One document an attempt of the scope."""
    span = {"$gte": scope.since, "$lt": scope.until}
    match: Document = {
        "account_id": any_of(scope.account_ids),
        "history": {"$elemMatch": {"dialed_at": span}},
        # Only jobs with attempts are in the index; without this MongoDB does not see that it may use it well.
        "history.dialed_at": {"$exists": True},
    }
    if scope.batch_id is not None:
        match["batch_id"] = scope.batch_id
    needed = dict.fromkeys(("account_id", "batch_id", "test_of", "contact", "history", "report"), True)
    return [{"$match": match}, {"$project": needed}, {"$unwind": "$history"}, {"$match": {"history.dialed_at": span}}]


def _behind(after: Place | None, sort: AgeSort) -> list[Document]:
    if after is None:
        return []
    beyond = "$gt" if sort.ascending else "$lt"
    tie = {"history.dialed_at": after.at, "history.attempt_id": {beyond: after.id}}
    return [{"$match": {"$or": [{"history.dialed_at": {beyond: after.at}}, tie]}}]


_SHOWN: Document = {
    "account_id": True,
    "batch_id": True,
    "contact_name": "$contact.name",
    "record": "$history",
    "report": {"$cond": [{"$eq": ["$report.call_id", "$history.call_id"]}, "$report", "$$REMOVE"]},
}


def _past_call(row: dict[str, Any]) -> PastCall:
    return PastCall(job_id=row.pop("_id"), **row)


def _by_slot(offset: timedelta) -> Document:
    minutes = round(offset.total_seconds() / 60)
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    wall = {"date": "$history.dialed_at", "timezone": f"{sign}{hours:02}:{rest:02}"}
    slot = {
        "hour": {"$hour": wall},
        "weekday": {"$subtract": [{"$dayOfWeek": wall}, 1]},
        "phone": {"$add": [{"$indexOfArray": ["$contact.phones", "$history.phone"]}, 1]},
        "attempt": "$history.number",
    }
    picked_up = {"$in": ["$history.disposition", [disposition.value for disposition in PICKED_UP]]}
    return {
        "$group": {
            "_id": slot,
            "calls": {"$sum": 1},
            "answered": {"$sum": {"$cond": [picked_up, 1, 0]}},
        }
    }


def _moved(at: datetime, by: timedelta) -> datetime:
    try:
        return at + by
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if by < timedelta(0) else datetime.max.replace(tzinfo=UTC)
