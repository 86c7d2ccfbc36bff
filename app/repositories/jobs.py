"""Jobs in MongoDB as the API sees them: written in bulk, read, counted, and moved by operators.

What the workers do with them is in job_queue.py.
"""

from collections.abc import Sequence
from datetime import datetime

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import BulkWriteError

from app.domain.batches import Batch
from app.domain.imports import Import, KnownPerson, NumberedContact
from app.domain.jobs import (
    FINAL,
    IN_FLIGHT,
    OPERATOR_PRIORITY,
    Job,
    JobState,
    WaitingFor,
    computed_of,
    job_id,
    of_erased_contact,
)
from app.domain.messages import Message
from app.domain.reading import JobFilter, Place
from app.domain.searching import AgeSort, Search
from app.domain.timeline import JobEvent, TimelineEvent
from app.domain.untold import Untold
from app.repositories.bulk import DUPLICATE_KEY
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import (
    any_of,
    found_by,
    from_document,
    optional,
    order_of,
    parts_behind,
    plain,
    to_document,
)
from app.repositories.timelines import WITHOUT_TIMELINE, appended, pushed
from app.repositories.untold import pushed_untold, to_be_told


class MongoJobs(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._jobs = database.collection("jobs")

    @guarded
    async def insert_many(self, jobs: Sequence[Job]) -> None:
        try:
            await self._jobs.insert_many([to_document(job) for job in jobs], ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise

    @guarded
    async def insert_contacts(self, pattern: Job, contacts: Sequence[NumberedContact]) -> None:
        # Without a Job each: that would cost three times as much, and pages that are polled wait meanwhile.
        common = to_document(pattern)
        over = {**common, **plain(of_erased_contact(pattern.created_at))}
        over.pop("waiting_for", None)
        documents = [
            {
                **(over if row.contact.is_erased else common),
                "_id": job_id(pattern.batch_id, number),
                "row": row.row_number,
                "contact": row.contact.model_dump(exclude_none=True),
                **computed_of(row.contact),
            }
            for number, row, _ in contacts
        ]
        try:
            await self._jobs.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise

    @guarded
    async def known(self, batch: Batch, keys: Sequence[str]) -> list[KnownPerson]:
        # Of an import that was undone only who was called counts, or perhaps is being called just now.
        called = [{"attempts": {"$gt": 0}}, {"state": {"$in": [s.value for s in IN_FLIGHT - {JobState.LEASED}]}}]
        match = {
            "account_id": batch.account_id,
            "person_keys": {"$in": list(keys)},
            "batch_id": batch.batch_id,
            "$or": [{"import_id": {"$nin": batch.undone_imports}}, *called],
        }
        wanted = {"import_id": True, "person_keys": True}
        return [
            KnownPerson(int(job["_id"].rpartition("-")[2]), job.get("import_id"), job["person_keys"])
            async for job in self._jobs.find(match, wanted, hint="person")
        ]

    @guarded
    async def count_of_import(self, batch_id: str, import_id: str) -> int:
        match = {"batch_id": batch_id, "import_id": import_id}
        return await self._jobs.count_documents(match, hint="list_of_batch")

    @guarded
    async def count_kept(self, batch_id: str, import_id: str) -> int:
        left = {"$ne": JobState.PENDING.value}
        match = {"batch_id": batch_id, "import_id": import_id, "state": left}
        return await self._jobs.count_documents(match, hint="list_of_batch")

    @guarded
    async def take_out(self, work: Import, first: int, last: int, reason: Message, now: datetime, *, by: str) -> None:
        numbered = [job_id(work.batch_id, number) for number in range(first, last + 1)]
        match: Document = {"_id": {"$in": numbered}, "import_id": work.import_id}
        in_flight = {"$in": [state.value for state in IN_FLIGHT]}
        never_called = {"attempts": 0, "history.0": {"$exists": False}}
        # Whoever undid this before may have counted what a worker held then: it stays, also when it has ended.
        counted = {"cancel_requested": True}, {"reason.code": reason.code}
        removed = {"state": {"$not": in_flight}, **never_called, "$nor": counted}
        await self._jobs.delete_many(match | removed, hint="_id_")
        # What is being called goes on to its end, which is its contact's last; what was put back meanwhile waits.
        await self._jobs.update_many(match | {"state": JobState.PENDING.value}, _cancelled(reason, now, by))
        await self._jobs.update_many(match | {"state": in_flight}, _asked_to_end(now, by))

    @guarded
    async def cancel_of_import(self, batch_id: str, import_id: str, reason: Message, now: datetime, *, by: str) -> None:
        match: Document = {"batch_id": batch_id, "import_id": import_id}
        await self._jobs.update_many(match | {"state": JobState.PENDING.value}, _cancelled(reason, now, by))
        in_flight = {"state": {"$in": [state.value for state in IN_FLIGHT]}}
        await self._jobs.update_many(match | in_flight, _asked_to_end(now, by))

    @guarded
    async def delete_of_batch(self, batch_id: str) -> None:
        await self._jobs.delete_many({"batch_id": batch_id})

    @guarded
    async def delete_uncalled(self, batch_id: str, after: str, limit: int) -> str | None:
        # Walked by an index, so that the jobs that stay are looked at once.
        match = _ANY_STATUS | {"batch_id": batch_id, "_id": {"$gt": after}}
        cursor = self._jobs.find(match, {"_id": True}, hint="list_of_batch").sort("_id", ASCENDING).limit(limit)
        ids = [document["_id"] async for document in cursor]
        if ids:
            uncalled = {"state": {"$in": sorted(FINAL)}, "history.0": {"$exists": False}}
            await self._jobs.delete_many({"_id": {"$in": ids}, **uncalled}, hint="_id_")
        return ids[-1] if len(ids) == limit else None

    @guarded
    async def get(self, job_id: str) -> Job | None:
        return optional(Job, await self._jobs.find_one({"_id": job_id}, WITHOUT_TIMELINE))

    @guarded
    async def timeline(self, job_id: str) -> tuple[Job, list[TimelineEvent]] | None:
        document = await self._jobs.find_one({"_id": job_id})
        if document is None:
            return None
        events = [TimelineEvent.model_validate(event) for event in document.pop("timeline", [])]
        return from_document(Job, document), events

    @guarded
    async def active_of_persons(self, account_id: str, keys: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        wanted = set(keys)
        match = {
            "account_id": account_id,
            "person_keys": {"$in": list(wanted)},
            "state": {"$in": [state.value for state in JobState if not state.is_final]},
        }
        found: dict[str, tuple[str, str | None]] = {}
        shown = {"person_keys": True, "batch_id": True, "import_id": True}
        async for job in self._jobs.find(match, shown, hint="person"):
            for key in wanted.intersection(job["person_keys"]):
                found[key] = job["batch_id"], job.get("import_id")
        return found

    @guarded
    async def has_contact(self, account_id: str, person_key: str) -> bool:
        match = {"account_id": account_id, "person_keys": person_key, "test_of": {"$exists": False}}
        return await self._jobs.find_one(match, {"_id": True}, hint="person") is not None

    @guarded
    async def page(
        self,
        wanted: JobFilter,
        *,
        limit: int,
        skip: int = 0,
        after: Place | None = None,
        sort: AgeSort = AgeSort.NEWEST,
    ) -> list[Job]:
        match, index = _listed(wanted)
        batch_id = wanted.batch_id
        # A batch's jobs are numbered in its contacts' order, so `_id` alone sorts them.
        order = order_of(sort, *(["_id"] if batch_id else ["created_at", "_id"]))
        parts = parts_behind(after, sort)
        if batch_id and after:
            parts = [{"_id": {"$gt" if sort.ascending else "$lt": after.id}}]
        found: list[Job] = []
        for part in parts:
            cursor = self._jobs.find(_ANY_STATUS | match | part, WITHOUT_TIMELINE, hint=index).sort(order)
            cursor = cursor.skip(skip).limit(limit - len(found))
            found += [from_document(Job, document) async for document in cursor]
            if len(found) == limit:
                break
        return found

    @guarded
    async def count(self, wanted: JobFilter) -> int:
        match, index = _listed(wanted)
        if match:
            return await self._jobs.count_documents(match, hint=index)
        return await self._jobs.estimated_document_count()

    @guarded
    async def count_found(self, account_id: str, search: Search, at_most: int) -> int:
        match = {"account_id": account_id, **found_by(search)}
        return await self._jobs.count_documents(match, hint=_SEARCHED[search.field], limit=at_most)

    @guarded
    async def counts(self, batch_ids: Sequence[str]) -> dict[str, dict[JobState, int]]:
        """From the claim's index alone."""
        match = {"state": {"$in": [state.value for state in JobState]}, "batch_id": {"$in": list(batch_ids)}}
        group = {"_id": {"batch_id": "$batch_id", "state": "$state"}, "count": {"$sum": 1}}
        counts: dict[str, dict[JobState, int]] = {}
        async for row in await self._jobs.aggregate([{"$match": match}, {"$group": group}], hint="claim"):
            counts.setdefault(row["_id"]["batch_id"], {})[JobState(row["_id"]["state"])] = row["count"]
        return counts

    @guarded
    async def test_calls(self, account_id: str, since: datetime) -> list[Job]:
        match = {"account_id": account_id, "test_of": {"$exists": True}, "created_at": {"$gte": since}}
        cursor = self._jobs.find(match, WITHOUT_TIMELINE, hint="tests").sort("created_at", DESCENDING)
        return [from_document(Job, document) async for document in cursor]

    @guarded
    async def cancel_pending(self, batch_id: str, reason: Message, now: datetime, *, by: str) -> int:
        result = await self._jobs.update_many(
            {"state": JobState.PENDING.value, "batch_id": batch_id}, _cancelled(reason, now, by)
        )
        return result.modified_count

    @guarded
    async def cancel(
        self, job_id: str, reason: Message, now: datetime, *, by: str, untold: Sequence[Untold] = ()
    ) -> Job | None:
        cancelled = await self._jobs.find_one_and_update(
            {"_id": job_id, "state": JobState.PENDING.value},
            _cancelled(reason, now, by, untold),
            projection=WITHOUT_TIMELINE,
            return_document=ReturnDocument.AFTER,
        )
        if cancelled is not None:
            return optional(Job, cancelled)
        # A call in progress is not hung up on; it is the contact's last.
        return optional(
            Job,
            await self._jobs.find_one_and_update(
                {"_id": job_id, "state": {"$in": [state.value for state in IN_FLIGHT]}},
                _asked_to_end(now, by),
                projection=WITHOUT_TIMELINE,
                return_document=ReturnDocument.AFTER,
            ),
        )

    @guarded
    async def bring_forward(self, account_id: str, now: datetime, *, person_key: str | None = None) -> int:
        waiting: Document = {
            "account_id": account_id,
            "waiting_for": WaitingFor.PERSON.value,
            "state": JobState.PENDING.value,
            "due_at": {"$gt": now},
        }
        index = "list_of_account"
        if person_key is not None:
            waiting["person_keys"], index = person_key, "person"
        result = await self._jobs.update_many(waiting, {"$set": {"due_at": now}}, hint=index)
        return result.modified_count

    @guarded
    async def reopen(
        self, job: Job, now: datetime, *, extra_attempts: int, next_phone_index: int, by: str
    ) -> Job | None:
        """Make a failed, cancelled or pending job due at once; None if it has moved since it was read."""
        return optional(
            Job,
            await self._jobs.find_one_and_update(
                {
                    "_id": job.job_id,
                    "state": job.state.value,
                    "fence": job.fence,
                    "attempts": job.attempts,
                    "erased_at": {"$exists": False},
                },
                {
                    "$set": {
                        "state": JobState.PENDING.value,
                        "waiting_for": WaitingFor.NEW.value,
                        "priority": OPERATOR_PRIORITY,
                        "due_at": now,
                        "updated_at": now,
                        "extra_attempts": extra_attempts,
                        "next_phone_index": next_phone_index,
                        "cancel_requested": False,
                        "provider_troubles": 0,
                        # Whoever retries may have mended what made the numbers invalid.
                        "retired_phones": [],
                    },
                    "$unset": {"reason": "", "finished_at": ""},
                    "$push": pushed(JobEvent.RETRIED, JobState.PENDING, now, by, due_at=now),
                },
                projection=WITHOUT_TIMELINE,
                return_document=ReturnDocument.AFTER,
            ),
        )


def _listed(wanted: JobFilter) -> tuple[Document, str]:
    """What the jobs of a list match, and the index that finds them in its order."""
    match: Document = {}
    if wanted.account_ids is not None:
        match["account_id"] = any_of(wanted.account_ids)
    if wanted.batch_id is not None:
        match["batch_id"] = wanted.batch_id
    if wanted.states is not None:
        match["state"] = {"$in": [state.value for state in wanted.states]}
    if wanted.waiting_for is not None:
        match["waiting_for"] = {"$in": [reason.value for reason in wanted.waiting_for]}
    index = "list_of_batch" if wanted.batch_id else "list_of_account" if wanted.account_ids is not None else "list"
    if wanted.person_key is not None:
        # Few, whatever else is asked: sorted in memory.
        match["person_keys"], index = wanted.person_key, "person"
    if wanted.search is not None:
        match["$and"], index = [found_by(wanted.search)], _SEARCHED[wanted.search.field]
    return match, index


_SEARCHED = {"name_words": "names", "person_keys": "person"}
"""The index of each field that contacts are found by."""
_ANY_STATUS: Document = {
    "state": {"$in": [state.value for state in JobState]},
    "waiting_for": {"$in": [*(reason.value for reason in WaitingFor), None]},
}
"""Matches every job, and says so value by value: MongoDB then merges the ordered runs of an index on
`..., state, waiting_for, <order>` instead of sorting what it finds. It does so for up to 200 runs; these are 60."""


def only_duplicates(error: BulkWriteError) -> bool:
    """Whether nothing went wrong but keys that are taken; an unconfirmed majority (`writeConcernErrors`) is a wrong."""
    details = error.details
    return not details.get("writeConcernErrors") and all(
        problem["code"] == DUPLICATE_KEY for problem in details["writeErrors"]
    )


def _asked_to_end(now: datetime, by: str) -> list[Document]:
    """Not to be called again after this call. Told once, however often it is asked."""
    asked = appended(JobEvent.CANCEL_REQUESTED, "$state", by)
    timeline = {"$cond": [{"$eq": ["$cancel_requested", True]}, "$timeline", asked]}
    return [{"$set": {"cancel_requested": True, "updated_at": now, "timeline": timeline}}]


def _cancelled(reason: Message, now: datetime, by: str, untold: Sequence[Untold] = ()) -> Document:
    return {
        "$set": {
            "state": JobState.CANCELLED.value,
            "reason": plain(reason),
            "finished_at": now,
            "updated_at": now,
            **to_be_told(untold, now),
        },
        "$unset": {"waiting_for": ""},
        "$push": pushed(JobEvent.CANCELLED, JobState.CANCELLED, now, by, reason=reason) | pushed_untold(untold),
    }
