"""Jobs in MongoDB as the workers see them: claimed, leased, moved from state to state, rescued.

Every move matches on `_id`, the expected state and the fence, so that of two who want it one wins and the other
is told. Lease times are the primary's (`$$NOW`), so that a worker whose clock is wrong neither steals nor
hoards.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from pymongo import ASCENDING, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError

from app.domain.batches import BATCH_ZONE
from app.domain.calls import CallReport
from app.domain.jobs import (
    IN_FLIGHT,
    PRIORITIES,
    Attempt,
    AttemptRecord,
    Job,
    JobState,
    Settlement,
    WaitingFor,
)
from app.domain.messages import Message
from app.domain.persons import OtherJob
from app.domain.retry_policy import NextStep
from app.domain.timeline import SYSTEM, JobEvent
from app.domain.untold import Untold
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import any_of, from_document, optional, plain, readable
from app.repositories.job_moves import JobMoves
from app.repositories.jobs import only_duplicates
from app.repositories.timelines import WITHOUT_TIMELINE, appended, pushed
from app.repositories.together import Together
from app.repositories.untold import pushed_untold, to_be_told

HISTORY_KEPT = 50
"""Attempts kept on a job; max_attempts is far less, and uncounted ends are bounded too."""

CLOCK_MARGIN = timedelta(seconds=5)
"""How far the client's bound on a lease may be off; the exact comparison is the server's own."""

PUT_ASIDE = timedelta(minutes=10)

_HELD = ("slot", "provider_slot", "worker_id", "lease_until", "attempt_id", "heard_call_ids", "heard_at")
"""The fields of a job that is in somebody's hands."""

_OF_PERSON = {"account_id": True, "state": True, "history": True, "person_keys": True}


class _Person(NamedTuple):
    """Of an account."""

    account_id: str
    keys: list[str]


class MongoJobQueue(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._jobs = database.collection("jobs")
        self._moves = JobMoves(database)
        self._leases: Together[None, list[UpdateOne], None] = Together(self._lease)
        self._leased_by: Together[str, list[str], dict[str, Document]] = Together(self._read_leased)
        self._held: Together[None, _Person, list[Document]] = Together(self._held_of_persons)

    # Claiming ------------------------------------------------------------------------------------------------------

    @guarded
    async def used_slots(self, account_ids: Sequence[str]) -> dict[str, set[int]]:
        match = {"account_id": {"$in": list(account_ids)}, "slot": {"$gte": 0}}
        used: dict[str, set[int]] = {account_id: set() for account_id in account_ids}
        # One document an account: to read one for each of a thousand calls would take longer than all the rest.
        taken = {"$group": {"_id": "$account_id", "slots": {"$push": "$slot"}}}
        async for document in await self._jobs.aggregate([{"$match": match}, taken], hint="slot"):
            used[document["_id"]].update(document["slots"])
        return used

    @guarded
    async def used_provider_slots(self) -> set[int]:
        taken = {"$group": {"_id": None, "slots": {"$push": "$provider_slot"}}}
        cursor = await self._jobs.aggregate([{"$match": {"provider_slot": {"$gte": 0}}}, taken], hint="provider_slot")
        return {slot async for document in cursor for slot in document["slots"]}

    async def claim(
        self,
        batch_id: str,
        slots: Sequence[int],
        provider_slots: Sequence[int],
        *,
        worker_id: str,
        lease: timedelta,
        now: datetime,
        zones: Sequence[str] = (BATCH_ZONE,),
    ) -> tuple[list[Job], bool]:

        most = min(len(slots), len(provider_slots))
        if not most:
            return [], True  # a limit of 0 would mean none
        # Of several zones MongoDB merges one sorted scan of the index each.
        due = {
            "state": JobState.PENDING.value,
            "batch_id": batch_id,
            "zone": {"$in": list(zones)},
            "due_at": {"$lte": now},
        }
        ids = await self._first(due, most)
        if not ids:
            return [], True
        # Two workers that take the same free slots in the same order collide at each; shuffled, at few.
        pairs = zip(random.sample(list(slots), len(ids)), random.sample(list(provider_slots), len(ids)), strict=True)
        attempts = {job_id: uuid4().hex for job_id in ids}
        updates = [
            UpdateOne(
                {"_id": job_id, "state": JobState.PENDING.value, "due_at": {"$lte": now}},
                _leased(pair, attempts[job_id], worker_id, lease),
            )
            for job_id, pair in zip(ids, pairs, strict=True)
        ]
        await self._leases.ask(None, updates)
        leased = await self._leased_by.ask(worker_id, ids)
        jobs = [readable(Job, leased[job_id]) for job_id in ids if job_id in leased]
        return [job for job in jobs if job is not None and job.attempt_id == attempts[job.job_id]], len(ids) < most

    @guarded
    async def _first(self, due: Document, most: int) -> list[str]:
        """The ids of those that are due first."""
        cursor = self._jobs.find(due, {"_id": True}).sort([("priority", -1), ("due_at", ASCENDING)]).limit(most)
        return [document["_id"] async for document in cursor]

    @guarded
    async def _lease(self, _: None, asked: Sequence[list[UpdateOne]]) -> None:
        try:
            await self._jobs.bulk_write([update for updates in asked for update in updates], ordered=False)
        except BulkWriteError as error:
            # A duplicate key is a slot of either kind that another worker was quicker to take: that job stays pending.
            if not only_duplicates(error):
                raise

    @guarded
    async def _read_leased(self, worker_id: str, asked: Sequence[list[str]]) -> dict[str, Document]:
        # The hint: with few jobs leased, MongoDB may think that going through all of those is as good.
        ids = [job_id for each in asked for job_id in each]
        mine = {"_id": {"$in": ids}, "state": JobState.LEASED.value, "worker_id": worker_id}
        return {document["_id"]: document async for document in self._jobs.find(mine, WITHOUT_TIMELINE, hint="_id_")}

    @guarded
    async def earliest_due(self, batch_id: str, zone: str = BATCH_ZONE) -> datetime | None:
        # Of several priorities MongoDB merges one sorted scan of the index each.
        document = await self._jobs.find_one(
            {
                "state": JobState.PENDING.value,
                "batch_id": batch_id,
                "zone": zone,
                "priority": {"$in": list(PRIORITIES)},
            },
            {"due_at": True, "_id": False},
            sort=[("due_at", ASCENDING)],
            hint="claim",
        )
        return None if document is None else document["due_at"]

    @guarded
    async def in_flight(self, batch_ids: Sequence[str]) -> dict[str, int]:
        """Jobs in somebody's hands, by batch."""
        match = {"state": {"$in": [state.value for state in IN_FLIGHT]}, "batch_id": {"$in": list(batch_ids)}}
        cursor = await self._jobs.aggregate(
            [{"$match": match}, {"$group": {"_id": "$batch_id", "count": {"$sum": 1}}}], hint="claim"
        )
        return {group["_id"]: group["count"] async for group in cursor}

    @guarded
    async def held_attempts(self, account_id: str) -> set[str]:
        """By the slots' index: a job holds an attempt id exactly while it holds a slot."""
        cursor = self._jobs.find({"account_id": account_id, "slot": {"$gte": 0}}, {"_id": False, "attempt_id": True})
        return {document["attempt_id"] async for document in cursor}

    # Leases --------------------------------------------------------------------------------------------------------

    @guarded
    async def renew(self, worker_id: str, job_ids: Sequence[str], lease: timedelta) -> None:
        """Extend the leases of the jobs in hand. Only those: a claim whose answer was lost must run out."""
        if not job_ids:
            return
        await self._jobs.update_many(
            {"_id": {"$in": list(job_ids)}, "worker_id": worker_id, "lease_until": {"$exists": True}},
            [{"$set": {"lease_until": _from_now(lease)}}],
            hint="_id_",  # not the leases of all workers
        )

    @guarded
    async def hand_over(self, worker_id: str) -> int:
        """End every lease of this worker now, so that another adopts the jobs at once."""
        result = await self._jobs.update_many(
            {"worker_id": worker_id, "lease_until": {"$exists": True}},
            [{"$set": {"lease_until": "$$NOW", "timeline": appended(JobEvent.HANDED_OVER, "$state", worker_id)}}],
        )
        return result.modified_count

    @guarded
    async def expired(self, now: datetime, limit: int) -> list[Job]:
        """Jobs whose lease ran out by the primary's clock; the bound on `now` only serves the index."""
        cursor = self._jobs.find(
            {
                "lease_until": {"$exists": True, "$lte": now + CLOCK_MARGIN},
                "$expr": {"$lte": ["$lease_until", "$$NOW"]},
            },
            WITHOUT_TIMELINE,
        )
        cursor = cursor.sort("lease_until", ASCENDING).limit(limit)
        found = [(document["_id"], readable(Job, document)) async for document in cursor]
        unreadable = [job_id for job_id, job in found if job is None]
        if unreadable:
            # Out of the way of the others, but not forgotten.
            await self._jobs.update_many(
                {"_id": {"$in": unreadable}, "lease_until": {"$exists": True}},
                [{"$set": {"lease_until": _from_now(PUT_ASIDE)}}],
            )
        return [job for _, job in found if job is not None]

    @guarded
    async def adopt(self, job: Job, *, worker_id: str, lease: timedelta) -> Job | None:
        """Take over an expired job: fence + 1. What was `dialing` becomes `verifying`: it may have rung."""
        state = JobState.VERIFYING if job.state is JobState.DIALING else job.state
        return optional(
            Job,
            await self._jobs.find_one_and_update(
                {
                    "_id": job.job_id,
                    "state": job.state.value,
                    "fence": job.fence,
                    "$expr": {"$lte": ["$lease_until", "$$NOW"]},
                },
                [
                    {
                        "$set": {
                            "state": state.value,
                            "worker_id": {"$literal": worker_id},
                            "fence": {"$add": ["$fence", 1]},
                            "lease_until": _from_now(lease),
                            "updated_at": "$$NOW",
                            "timeline": appended(
                                JobEvent.ADOPTED,
                                state,
                                worker_id,
                                fence={"$add": ["$fence", 1]},
                                left_by="$worker_id",
                            ),
                        }
                    }
                ],
                projection=WITHOUT_TIMELINE,
                return_document=ReturnDocument.AFTER,
            ),
        )

    # Moves of the holder -------------------------------------------------------------------------------------------

    async def release(
        self,
        job: Job,
        now: datetime,
        *,
        waiting_for: WaitingFor,
        reason: Message | None,
        due_at: datetime | None,
    ) -> bool:
        """Back to pending without using an attempt. `due_at` None keeps the one it had."""
        changes: dict[str, Any] = {"waiting_for": waiting_for, "reason": reason, "attempt": None}
        if due_at is not None:
            changes["due_at"] = due_at
        if job.state is JobState.DIALING:
            event = JobEvent.WITHDRAWN
        else:
            event = JobEvent.PUT_BACK if reason is None else JobEvent.REFUSED
        told = pushed(event, JobState.PENDING, now, _holder(job), reason=reason, waiting_for=waiting_for, due_at=due_at)
        return await self._moves.let_go(job, JobState.PENDING, now, {**changes, **dict.fromkeys(_HELD)}, told)

    async def end_unsent(
        self, job: Job, state: JobState, reason: Message, now: datetime, untold: Sequence[Untold] = ()
    ) -> bool:
        """Leased → final: there is nothing to dial."""
        changes = {"reason": reason, "waiting_for": None, "attempt": None, "finished_at": now}
        told = pushed(JobEvent(state.value), state, now, _holder(job), reason=reason)
        changes |= {**dict.fromkeys(_HELD), **to_be_told(untold, now, by=_holder(job))}
        return await self._moves.let_go(job, state, now, changes, told | pushed_untold(untold))

    async def intend(self, job: Job, attempt: Attempt, *, lease: timedelta) -> Job | None:
        """Leased → dialing: from here on the phone may ring. The lease begins anew, to outlast the request."""
        stored = {
            "state": JobState.DIALING.value,
            "attempt": {"$literal": plain(attempt)},
            "lease_until": _from_now(lease),
            "updated_at": "$$NOW",
            "timeline": appended(
                JobEvent.INTENT_STORED,
                JobState.DIALING,
                _holder(job),
                attempt=attempt.number,
                phone_index=attempt.phone_index,
            ),
        }
        return await self._moves.keep_by(job, JobState.DIALING, [{"$set": stored}, {"$unset": ["reason", "report"]}])

    async def others_of_person(self, job: Job, since: datetime | None) -> list[OtherJob]:
        """A job that is in somebody's hands holds a slot, so without `since` no more than the account's limit is read,
        by all who ask at the same time together.

        Both indexes hold keys that do not change between lease and settlement: a job that goes from state to state
        meanwhile is not overlooked.
        """
        person = _Person(job.account_id, job.person_keys)  # once: the keys are worked out each time
        if since is None:
            found = await self._held.ask(None, person)
        else:
            found = await self._of_person(person, since)
        keys = set(person.keys)
        return [
            from_document(OtherJob, {**other})
            for other in found
            # Those who asked together may be of several accounts: to each its own.
            if other["account_id"] == job.account_id
            and other["_id"] != job.job_id
            and not keys.isdisjoint(other["person_keys"])
        ]

    @guarded
    async def _held_of_persons(self, _: None, asked: Sequence[_Person]) -> list[Document]:
        match = {
            "account_id": any_of({person.account_id for person in asked}),
            "person_keys": {"$in": list({key for person in asked for key in person.keys})},
            "slot": {"$gte": 0},
        }
        return await self._jobs.find(match, _OF_PERSON, hint="slot").to_list()

    @guarded
    async def _of_person(self, person: _Person, since: datetime) -> list[Document]:
        match = {
            "account_id": person.account_id,
            "person_keys": {"$in": person.keys},
            "$or": [{"slot": {"$gte": 0}}, {"updated_at": {"$gte": since}}],
        }
        return await self._jobs.find(match, _OF_PERSON, hint="person").to_list()

    @guarded
    async def still_mine(self, job: Job) -> Job | None:
        match = {"_id": job.job_id, "state": job.state.value, "fence": job.fence}
        return optional(Job, await self._jobs.find_one(match, WITHOUT_TIMELINE))

    async def mark_verifying(self, job: Job, now: datetime) -> Job | None:
        told = pushed(JobEvent.VERIFYING, JobState.VERIFYING, now, _holder(job))
        return await self._moves.keep(job, JobState.VERIFYING, now, {}, told)

    async def mark_in_call(self, job: Job, report: CallReport, now: datetime) -> Job | None:
        assert job.attempt is not None  # noqa: S101 - MOVES lets only jobs with an attempt come here
        changes = {
            "attempt.call_id": report.call_id,
            "attempt.placed_by": now,
            "report": report,
            "attempts": job.attempt.number,
        }
        event = JobEvent.IN_CALL if job.state is JobState.DIALING else JobEvent.FOUND
        told = pushed(event, JobState.IN_CALL, now, _holder(job), call_id=report.call_id)
        return await self._moves.keep(job, JobState.IN_CALL, now, changes, told)

    async def mark_uncertain(self, job: Job, now: datetime) -> Job | None:
        assert job.attempt is not None  # noqa: S101 - as above
        changes = {"attempt.placed_by": job.attempt.placed_by or now}
        told = pushed(JobEvent.UNCERTAIN, JobState.UNCERTAIN, now, _holder(job), call_id=job.attempt.call_id)
        return await self._moves.keep(job, JobState.UNCERTAIN, now, changes, told)

    async def settle(self, job: Job, settlement: Settlement, report: CallReport | None) -> Job | None:
        """To settling: what happened and what it costs are stored; the effects follow."""
        changes: dict[str, Any] = {"settlement": settlement, "disposition": settlement.outcome.disposition}
        if report is not None:
            changes["report"] = report
        told = pushed(
            JobEvent.SETTLING,
            JobState.SETTLING,
            settlement.decided_at,
            _holder(job),
            disposition=settlement.outcome.disposition,
            cost=settlement.charge.cost,
        )
        return await self._moves.keep(job, JobState.SETTLING, settlement.decided_at, changes, told)

    async def finish(
        self, job: Job, step: NextStep, record: AttemptRecord, now: datetime, untold: Sequence[Untold] = ()
    ) -> bool:
        """Settling → pending or final. The slot is free from here on."""
        changes: dict[str, Any] = {
            "waiting_for": step.waiting_for,
            "reason": step.reason,
            "attempts": step.attempts,
            "provider_troubles": step.provider_troubles,
            "next_phone_index": step.next_phone_index,
            "retired_phones": step.retired_phones,
            "priority": step.priority,
            "extra_attempts": step.extra_attempts,
            "callbacks": step.callbacks,
            "attempt": None,
            "settlement": None,
            **dict.fromkeys(_HELD),
        }
        if step.due_at is not None:
            changes["due_at"] = step.due_at
        if step.state.is_final:
            changes["finished_at"] = now
        told = pushed(
            JobEvent(step.state.value) if step.state.is_final else JobEvent.RETRY_SCHEDULED,
            step.state,
            now,
            _holder(job),
            reason=step.reason,
            waiting_for=step.waiting_for,
            due_at=step.due_at,
        )
        history = {"history": {"$each": [plain(record)], "$slice": -HISTORY_KEPT}}
        changes |= to_be_told(untold, now, by=_holder(job))
        return await self._moves.let_go(job, step.state, now, changes, told | history | pushed_untold(untold))


def _holder(job: Job) -> str:
    return job.worker_id or SYSTEM


def _leased(pair: tuple[int, int], attempt_id: str, worker_id: str, lease: timedelta) -> list[Document]:
    return [
        {
            "$set": {
                "state": JobState.LEASED.value,
                "slot": pair[0],
                "provider_slot": pair[1],
                "attempt_id": attempt_id,
                "worker_id": {"$literal": worker_id},
                "fence": {"$add": ["$fence", 1]},
                "lease_until": _from_now(lease),
                "started_at": {"$ifNull": ["$started_at", "$$NOW"]},
                "updated_at": "$$NOW",
                "timeline": appended(JobEvent.CLAIMED, JobState.LEASED, worker_id, fence={"$add": ["$fence", 1]}),
            }
        }
    ]


def _from_now(span: timedelta) -> Document:
    return {"$add": ["$$NOW", int(span.total_seconds() * 1000)]}
