"""What is asked and changed after a backup was restored. Used by people, now and then: none of it needs an index."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import ReturnDocument

from app.domain.accounts import AccountStatus
from app.domain.batches import Batch, BatchStatus
from app.domain.calls import CallReport
from app.domain.jobs import Attempt, Job, JobState
from app.domain.restoring import HELD
from app.domain.timeline import JobEvent
from app.repositories.database import Database, Repository, guarded
from app.repositories.documents import from_document, optional, plain, set_or_unset
from app.repositories.timelines import WITHOUT_TIMELINE, appended

_OVER = [BatchStatus.COMPLETED.value, BatchStatus.CANCELLED.value]
_LAST = "last"
_FAR_SLOTS = (1_000_000, 2_000_000_000)
"""Beyond any limit, so that nobody's line is taken: a reservation belongs to a job that has a slot."""


class MongoRestoredDatabase(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._accounts = database.collection("accounts")
        self._batches = database.collection("batches")
        self._jobs = database.collection("jobs")
        self._recoveries = database.collection("recoveries")

    @guarded
    async def hold_accounts(self, now: datetime) -> int:
        held = {"status": AccountStatus.SUSPENDED.value, "suspension_reason": HELD, "updated_at": now}
        result = await self._accounts.update_many({"status": AccountStatus.ACTIVE.value}, {"$set": held})
        return result.modified_count

    @guarded
    async def note_recovery(self, begun_at: datetime, finished_at: datetime | None) -> None:
        noted = set_or_unset({"begun_at": begun_at, "finished_at": finished_at})
        await self._recoveries.update_one({"_id": _LAST}, noted, upsert=True)

    @guarded
    async def recovered_at(self) -> datetime | None:
        last = await self._recoveries.find_one({"_id": _LAST})
        return None if last is None else last.get("finished_at")

    @guarded
    async def active_accounts(self) -> int:
        return await self._accounts.count_documents({"status": AccountStatus.ACTIVE.value})

    @guarded
    async def held_accounts(self) -> list[str]:
        match = {"status": AccountStatus.SUSPENDED.value, "suspension_reason": HELD}
        return sorted([document["_id"] async for document in self._accounts.find(match, {"_id": True})])

    @guarded
    async def unfinished_batches(self) -> list[Batch]:
        cursor = self._batches.find({"status": {"$nin": _OVER}}).sort("_id")
        return [from_document(Batch, document) async for document in cursor]

    @guarded
    async def has_calls(self, batch_ids: Sequence[str]) -> bool:
        called = {"batch_id": {"$in": list(batch_ids)}, "history.call_id": {"$exists": True}}
        return await self._jobs.find_one(called, {"_id": True}) is not None

    @guarded
    async def existing_jobs(self, job_ids: Sequence[str]) -> set[str]:
        cursor = self._jobs.find({"_id": {"$in": list(job_ids)}}, {"_id": True})
        return {document["_id"] async for document in cursor}

    @guarded
    async def job(self, job_id: str) -> Job | None:
        return optional(Job, await self._jobs.find_one({"_id": job_id}, WITHOUT_TIMELINE))

    @guarded
    async def take_up(self, job: Job, attempt: Attempt, report: CallReport, *, by: str, lease: timedelta) -> Job | None:
        # Not one of `MOVES`: those are made by the living, this one by the memory of what they had done.
        unheld = {"$lte": [{"$ifNull": ["$lease_until", "$$NOW"]}, "$$NOW"]}
        taken = {
            "state": JobState.IN_CALL.value,
            "attempt": {"$literal": plain(attempt)},
            "attempt_id": attempt.attempt_id,
            "attempts": attempt.number,
            "report": {"$literal": plain(report)},
            "slot": {"$ifNull": ["$slot", random.randint(*_FAR_SLOTS)]},  # noqa: S311 - no secret
            "worker_id": {"$literal": by},
            "fence": {"$add": ["$fence", 1]},
            "lease_until": {"$add": ["$$NOW", int(lease.total_seconds() * 1000)]},
            "started_at": {"$ifNull": ["$started_at", "$$NOW"]},
            "updated_at": "$$NOW",
            "timeline": appended(
                JobEvent.FOUND, JobState.IN_CALL, by, call_id={"$literal": report.call_id}, attempt=attempt.number
            ),
        }
        unset = ["waiting_for", "reason", "settlement", "finished_at", "heard_at", "heard_call_ids"]
        document = await self._jobs.find_one_and_update(
            {"_id": job.job_id, "state": job.state.value, "fence": job.fence, "$expr": unheld},
            [{"$set": taken}, {"$unset": unset}],
            projection=WITHOUT_TIMELINE,
            return_document=ReturnDocument.AFTER,
        )
        return optional(Job, document)
