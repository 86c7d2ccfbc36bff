"""What was heard of calls without asking, in the documents of their jobs.

None of these writes moves a job, and none touches its fence: they race with its holder, and either may come first.
"""

from collections.abc import Sequence

from pymongo import UpdateOne

from app.domain.call_events import Hint
from app.domain.calls import CallReport
from app.domain.jobs import Job
from app.repositories.database import Database, Repository, guarded
from app.repositories.documents import plain

MOST_AT_ONCE = 1000
_LATE = (
    "cost_cents",
    "billed_seconds",
    "user_spoke",
    "in_voicemail",
    "analysis",
    "transcript",
    "recording_url",
    "public_log_url",
    "collected_variables",
)
"""What Retell may know only some time after a call's end."""


class MongoCallHints(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._jobs = database.collection("jobs")

    @guarded
    async def hear(self, job_id: str, attempt_id: str, call_id: str, *, unless_placed: bool = False) -> bool:
        # A job has an `attempt_id` exactly while somebody holds it.
        other = {"attempt.call_id": {"$ne": call_id}} if unless_placed else {}
        result = await self._jobs.update_one(
            {"_id": job_id, "attempt_id": attempt_id, "attempt.attempt_id": attempt_id, **other},
            {"$addToSet": {"heard_call_ids": call_id}, "$currentDate": {"heard_at": True}},
        )
        return result.matched_count == 1

    @guarded
    async def of_worker(self, worker_id: str) -> list[Hint]:
        """By an index that has only jobs with a hint: its cost does not depend on how many calls there are."""
        cursor = self._jobs.find(
            {"worker_id": worker_id, "heard_at": {"$exists": True}},
            {"attempt_id": True, "heard_call_ids": True, "heard_at": True},
            limit=MOST_AT_ONCE,
            hint="heard",
        )
        return [
            Hint(
                job_id=document["_id"],
                attempt_id=document["attempt_id"],
                call_ids=document["heard_call_ids"],
                heard_at=document["heard_at"],
            )
            async for document in cursor
        ]

    @guarded
    async def take(self, hints: Sequence[Hint]) -> None:
        """What was heard since these were read stays. The call ids stay too, for whoever adopts the job."""
        if hints:
            await self._jobs.bulk_write(
                [
                    UpdateOne({"_id": hint.job_id, "heard_at": hint.heard_at}, {"$unset": {"heard_at": ""}})
                    for hint in hints
                ],
                ordered=False,
            )

    @guarded
    async def note_stopped(self, job: Job, call_id: str) -> bool:
        result = await self._jobs.update_one(
            {"_id": job.job_id, "state": job.state.value, "fence": job.fence},
            {"$addToSet": {"attempt.stopped_call_ids": call_id}},
        )
        return result.modified_count == 1

    @guarded
    async def add_details(self, job_id: str, report: CallReport) -> bool:
        known = {name: getattr(report, name) for name in _LATE}
        details = {f"report.{name}": plain(value) for name, value in known.items() if value not in (None, {})}
        if not details:
            return False
        # Of somebody whose data were erased nothing more is to be known.
        known_still = {"worker_id": {"$exists": False}, "erased_at": {"$exists": False}}
        result = await self._jobs.update_one(
            {"_id": job_id, "report.call_id": report.call_id, **known_still}, {"$set": details}
        )
        return result.matched_count == 1
