"""Personal data in MongoDB, wherever they are: found by a person's keys, and erased document by document.

Every write is safe to repeat. A job is changed only in the final state, and as, it was read.
"""

import json
import re
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from app.domain.batches import BatchStatus
from app.domain.contacts import ID_PREFIX, id_key, keys_of_person
from app.domain.jobs import FINAL, IN_FLIGHT, JobState
from app.domain.privacy import Calls, Found, Sought, erased_phones
from app.domain.privacy_ports import JobOfPerson
from app.domain.webhooks import DeliveryStatus
from app.repositories.database import Collection as Collection_
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.scrubbing import (
    CUT,
    calls_of,
    scrubbed_body,
    scrubbed_job,
    scrubbed_recording,
    scrubbed_text,
)

_FINAL = {"$in": [state.value for state in sorted(FINAL)]}
# Whatever somebody typed there, up to the end of the cell: what is found is looked at again in Python.
_IN_AN_ID = '[^0-9A-Za-z"]*'
_IN_A_NUMBER = '[^0-9"]*'
_CALLS = [
    *("history.call_id", "history.key_mark", "timeline.call_id", "report.call_id", "heard_call_ids"),
    *("attempt.call_id", "attempt.key_mark", "attempt.stopped_call_ids"),
]
"""What `calls_of` asks for."""
_UPLOADS_AT_ONCE = 500
_MOST_FOUND = 100_000
"""A number that so many contacts have is nobody's."""


class MongoPersonalData(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._jobs = database.collection("jobs")
        self._batches = database.collection("batches")
        self._contacts = database.collection("batch_contacts")
        self._uploads = database.collection("uploads")
        self._chunks = database.collection("upload_chunks")
        self._rejected = database.collection("upload_rejected")
        self._deliveries = database.collection("webhook_deliveries")
        self._logs = database.collection("batch_logs")
        self._from_numbers = database.collection("from_numbers")
        self._provider_limits = database.collection("provider_limits")
        self._audit = database.collection("audit_log")

    # Finding ------------------------------------------------------------------------------------------------------

    @guarded
    async def keys_of(self, account_id: str, sought: Sought) -> list[list[str]]:
        found = [document["person_keys"] async for document in self._jobs_with(account_id, sought)]
        found += [document["person_keys"] for document in await self._contacts_with(account_id, sought)]
        async for chunk in self._upload_chunks(account_id, sought):
            found += [_keys(contact) for _, contact in json.loads(chunk["rows"])]
        return [keys for keys in found if sought.means(keys)]

    @guarded
    async def count(self, account_id: str, sought: Sought) -> Found:
        jobs = [job async for job in self._jobs_with(account_id, sought)]
        theirs = [job for job in jobs if sought.means(job["person_keys"])]
        states = [JobState(job["state"]) for job in theirs]
        contacts = [c for c in await self._contacts_with(account_id, sought) if sought.means(c["person_keys"])]
        rows = 0
        async for chunk in self._upload_chunks(account_id, sought):
            rows += sum(sought.means(_keys(contact)) for _, contact in json.loads(chunk["rows"]))
        async for chunk in self._rejected_chunks(account_id, sought):
            rows += sum(_is_mentioned(row["cells"], sought) for row in json.loads(chunk["rows"]))
        ids = [job["_id"] for job in theirs]
        return Found(
            jobs=len(theirs),
            waiting=sum(state is JobState.PENDING for state in states),
            in_call=sum(state in IN_FLIGHT for state in states),
            contacts=len(contacts),
            upload_rows=rows,
            deliveries=await self._deliveries.count_documents({"job_id": {"$in": ids}}),
            test_calls=len(await self._test_calls(account_id, sought)),
            shared=len(jobs) - len(theirs),
        )

    @guarded
    async def jobs_of(self, account_id: str, sought: Sought) -> list[JobOfPerson]:
        return [
            JobOfPerson(job["_id"], job["batch_id"], JobState(job["state"]))
            async for job in self._jobs_with(account_id, sought)
            if sought.means(job["person_keys"])
        ]

    @guarded
    async def test_calls_about(self, account_id: str, sought: Sought) -> list[JobOfPerson]:
        """To whatever telephone: a test call says what a contact of its batch would hear."""
        found = await self._test_calls(account_id, sought) + await self._older_test_calls(account_id, sought)
        return [JobOfPerson(job["_id"], job["batch_id"], JobState(job["state"])) for job in found]

    async def _test_calls(self, account_id: str, sought: Sought) -> list[Document]:
        match = {"account_id": account_id, "speaks_of": {"$in": sought.keys}}
        cursor = self._jobs.find(match, {"timeline": False}, hint="spoken_of").limit(_MOST_FOUND)
        return [job async for job in cursor if sought.means(job["speaks_of"])]

    async def _older_test_calls(self, account_id: str, sought: Sought) -> list[Document]:
        """Those that do not say of whom they speak: by the name, which a namesake in the same batch has too."""
        theirs = [job["_id"] async for job in self._jobs_with(account_id, sought) if sought.means(job["person_keys"])]
        named = self._jobs.find({"_id": {"$in": theirs}}, {"batch_id": True, "contact.name": True})
        about = [(job["batch_id"], job["contact"]["name"]) async for job in named]
        contacts = await self._contacts_with(account_id, sought)
        about += [(c["batch_id"], c["contact"]["name"]) for c in contacts if sought.means(c["person_keys"])]
        wanted = {(batch_id, name) for batch_id, name in about if name}
        batch_ids = [batch_id for batch_id, _ in wanted]
        match = {"account_id": account_id, "test_of": {"$in": batch_ids}, "speaks_of": {"$exists": False}}
        fields = {"test_of": True, "contact.name": True, "batch_id": True, "state": True}
        cursor = self._jobs.find(match, fields, hint="tests")
        return [job async for job in cursor if (job["test_of"], job["contact"]["name"]) in wanted]

    @guarded
    async def imports_begun(self, account_id: str, until: datetime) -> int:
        begun = {"current_import.lease_until": {"$exists": True}, "current_import.started_at": {"$lte": until}}
        current = {**begun, "account_id": account_id}
        # Runs that are being made of a series.
        made = {"import_expires_at": {"$exists": True}, "created_at": {"$lte": until}}
        copied = {"account_id": account_id, "status": BatchStatus.IMPORTING.value, **made}
        count = await self._batches.count_documents(current, hint="importing")
        return count + await self._batches.count_documents(copied, hint="statuses_of_account")

    # Jobs ---------------------------------------------------------------------------------------------------------

    @guarded
    async def calls_of(self, job_id: str) -> Calls:
        job = await self._jobs.find_one({"_id": job_id}, _CALLS)
        return {} if job is None else calls_of(job)

    @guarded
    async def erase_job(self, job_id: str, now: datetime) -> bool:
        job = await self._jobs.find_one({"_id": job_id, "state": _FINAL, "erased_at": {"$exists": False}})
        if job is None:
            return False
        changes, gone = scrubbed_job(job, now)
        return (await self._jobs.update_one(_as_read(job), _update(changes, gone))).modified_count == 1

    # What is kept beside jobs -------------------------------------------------------------------------------------

    @guarded
    async def erase_contacts(self, account_id: str, sought: Sought) -> int:
        found = [c for c in await self._contacts_with(account_id, sought) if sought.means(c["person_keys"])]
        return await self._erase_contacts(found)

    @guarded
    async def erase_upload_rows(self, account_id: str, sought: Sought) -> int:
        count = 0
        async for chunk in self._upload_chunks(account_id, sought):
            rows = json.loads(chunk["rows"])
            for row in rows:
                if sought.means(_keys(row[1])):
                    row[1] = {"phones": erased_phones(row[1]["phones"])}
                    count += 1
            # As it was read: another person of the same piece may be erased just now. The next look finds what is left.
            await self._chunks.update_one(chunk, {"$set": {"rows": _json(rows)}})
        async for chunk in self._rejected_chunks(account_id, sought):
            rows = json.loads(chunk["rows"])
            for row in rows:
                if _is_mentioned(row["cells"], sought):
                    row["cells"] = [CUT if cell else "" for cell in row["cells"]]
                    row["issues"] = [_without_values(issue) for issue in row["issues"]]
                    count += 1
            await self._rejected.update_one(chunk, {"$set": {"rows": _json(rows)}})
        return count

    @guarded
    async def erase_deliveries(self, job_ids: Sequence[str]) -> int:
        cursor = self._deliveries.find({"job_id": {"$in": list(job_ids)}}, {"body": True}, hint="of_job")
        updates = []
        async for delivery in cursor:
            body = scrubbed_body(delivery["body"])
            if body != delivery["body"]:
                gone = {"tries.$[].answer": ""}
                match = {"_id": delivery["_id"], "body": delivery["body"]}
                updates.append(UpdateOne(match, {"$set": {"body": body}, "$unset": gone}))
        if updates:
            await self._deliveries.bulk_write(updates, ordered=False)
        return len(updates)

    @guarded
    async def erase_mentions(self, batch_ids: Collection[str], hidden: dict[str, str]) -> None:
        """What others said that may quote a number, and the ends of our numbers' calls; `hidden` by each key."""
        spellings = _spellings(hidden)
        with_detail = {"batch_id": {"$in": list(batch_ids)}, "message.params.detail": {"$exists": True}}
        async for line in self._logs.find(with_detail, {"message": True}):
            detail = scrubbed_text(str(line["message"]["params"]["detail"]), spellings)
            await self._logs.update_one({"_id": line["_id"]}, {"$set": {"message.params.detail": detail}})
        paused = {"_id": {"$in": list(batch_ids)}, "pause_reason.params.detail": {"$exists": True}}
        async for batch in self._batches.find(paused, {"pause_reason": True}):
            detail = scrubbed_text(str(batch["pause_reason"]["params"]["detail"]), spellings)
            changes = {"pause_reason.params.detail": detail}
            await self._batches.update_one(
                {"_id": batch["_id"], "pause_reason": batch["pause_reason"]}, {"$set": changes}
            )
        for phone, place in hidden.items():
            # Still another destination than all others: that is what the ends are for.
            await self._from_numbers.update_many(
                {"ends.phone": phone}, {"$set": {"ends.$[end].phone": place}}, array_filters=[{"end.phone": phone}]
            )
        async for limits in self._provider_limits.find(
            {"hold.reason.params.detail": {"$exists": True}}, {"hold": True}
        ):
            detail = str(limits["hold"]["reason"]["params"]["detail"])
            changes = {"hold.reason.params.detail": scrubbed_text(detail, spellings)}
            match = {"_id": limits["_id"], "hold.reason.params.detail": detail}
            await self._provider_limits.update_one(match, {"$set": changes})

    # For whoever may have it ----------------------------------------------------------------------------------------

    @guarded
    async def stored_job(self, job_id: str) -> Document | None:
        return await self._jobs.find_one({"_id": job_id})

    @guarded
    async def test_calls_of(self, account_id: str, sought: Sought) -> list[Document]:
        return await self._test_calls(account_id, sought)

    @guarded
    async def series_contacts(self, account_id: str, sought: Sought) -> list[Document]:
        return [c for c in await self._contacts_with(account_id, sought) if sought.means(c["person_keys"])]

    @guarded
    async def upload_rows(self, account_id: str, sought: Sought) -> list[Document]:
        return [
            {"upload_id": chunk["upload_id"], "row": row, "contact": contact}
            async for chunk in self._upload_chunks(account_id, sought)
            for row, contact in json.loads(chunk["rows"])
            if sought.means(_keys(contact))
        ]

    @guarded
    async def rejected_rows(self, account_id: str, sought: Sought) -> list[Document]:
        return [
            {"upload_id": chunk["upload_id"], "row": row["row_number"], "cells": row["cells"]}
            async for chunk in self._rejected_chunks(account_id, sought)
            for row in json.loads(chunk["rows"])
            if _is_mentioned(row["cells"], sought)
        ]

    @guarded
    async def deliveries_of(self, job_id: str) -> list[Document]:
        return [delivery async for delivery in self._deliveries.find({"job_id": job_id}, hint="of_job")]

    @guarded
    async def audit_of(self, account_id: str, job_ids: Sequence[str]) -> list[Document]:
        paths = [f"/api/v1/jobs/{job_id}/{what}" for job_id in job_ids for what in ("retry", "cancel")]
        # Of those who see every account the log does not say whose job it was.
        match = {"account_id": {"$in": [account_id, None]}, "path": {"$in": paths}}
        return [entry async for entry in self._audit.find(match, {"_id": False}, hint="newest_of_account")]

    # By age -------------------------------------------------------------------------------------------------------

    @guarded
    async def is_untold(self, job_ids: Sequence[str]) -> bool:
        ids = {"$in": list(job_ids)}
        if await self._jobs.find_one({"_id": ids, "untold_at": {"$exists": True}}, {"_id": True}, hint="_id_"):
            return True
        pending = {"job_id": ids, "status": DeliveryStatus.PENDING.value}
        return await self._deliveries.find_one(pending, {"_id": True}, hint="of_job") is not None

    @guarded
    async def are_left(self, job_ids: Sequence[str]) -> bool:
        match = {"_id": {"$in": list(job_ids)}, "erased_at": {"$exists": False}}
        return await self._jobs.find_one(match, {"_id": True}, hint="_id_") is not None

    @guarded
    async def jobs_behind(self, batch_id: str, after: str, limit: int) -> list[tuple[str, Calls]]:
        match = {"_id": {"$gt": after or f"{batch_id}-", "$lt": f"{batch_id}."}, "batch_id": batch_id}
        cursor = self._jobs.find(match, ["state", *_CALLS], hint="_id_").sort("_id").limit(limit)
        # A batch may have been opened again since it was taken: nobody deletes a call that a worker follows.
        return [(job["_id"], calls_of(job) if job["state"] in FINAL else {}) async for job in cursor]

    @guarded
    async def erase_jobs(self, job_ids: Sequence[str], now: datetime) -> int:
        match = {"_id": {"$in": list(job_ids)}, "state": _FINAL, "erased_at": {"$exists": False}}
        updates = [UpdateOne(_as_read(job), _update(*scrubbed_job(job, now))) async for job in self._jobs.find(match)]
        return await self._changed(updates)

    @guarded
    async def erase_recordings(self, job_ids: Sequence[str]) -> int:
        match = {"_id": {"$in": list(job_ids)}, "state": _FINAL, "report": {"$exists": True}}
        jobs = [job async for job in self._jobs.find(match, {"report": True})]
        gone = [(job, scrubbed_recording(job)) for job in jobs]
        return await self._changed(
            [UpdateOne({"_id": job["_id"], "state": _FINAL}, {"$unset": names}) for job, names in gone if names]
        )

    @guarded
    async def erase_contacts_of(self, batch_id: str, limit: int) -> int:
        match = {"batch_id": batch_id, "person_keys.0": {"$exists": True}}
        return await self._erase_contacts([c async for c in self._contacts.find(match).limit(limit)])

    # ---------------------------------------------------------------------------------------------------------------

    async def _changed(self, updates: list[UpdateOne]) -> int:
        return (await self._jobs.bulk_write(updates, ordered=False)).modified_count if updates else 0

    def _jobs_with(self, account_id: str, sought: Sought) -> Any:
        match = {"account_id": account_id, "person_keys": {"$in": sought.keys}}
        wanted = {"person_keys": True, "state": True, "batch_id": True}
        return self._jobs.find(match, wanted, hint="person").limit(_MOST_FOUND)

    async def _contacts_with(self, account_id: str, sought: Sought) -> list[Document]:
        match = {"person_keys": {"$in": sought.keys}}
        found = [document async for document in self._contacts.find(match, hint="person_anywhere").limit(_MOST_FOUND)]
        ids = list({document["batch_id"] for document in found})
        theirs = {
            batch["_id"]
            async for batch in self._batches.find({"_id": {"$in": ids}, "account_id": account_id}, {"_id": True})
        }
        return [document for document in found if document["batch_id"] in theirs]

    async def _erase_contacts(self, found: Sequence[Document]) -> int:
        for document in found:
            old = document["contact"]
            left = {"name": "", "phones": erased_phones(old["phones"]), "custom_fields": {}}
            left |= {"timezone": old["timezone"]} if "timezone" in old else {}
            await self._contacts.update_one({"_id": document["_id"]}, {"$set": {"contact": left, "person_keys": []}})
        return len(found)

    async def _upload_chunks(self, account_id: str, sought: Sought) -> AsyncIterator[Document]:
        """Those in which the person may be; a number stands there as E.164, an id as somebody wrote it."""
        patterns = [re.escape(phone) for phone in sought.phones] + [_written(key) for key in sought.ids]
        async for chunk in self._matching(self._chunks, account_id, patterns):
            yield chunk

    async def _rejected_chunks(self, account_id: str, sought: Sought) -> AsyncIterator[Document]:
        """Of rows that nobody understood everything is looked at, in whatever way it is written."""
        patterns = [_digits(phone) for phone in sought.phones] + [_written(key) for key in sought.ids]
        async for chunk in self._matching(self._rejected, account_id, patterns):
            yield chunk

    async def _matching(
        self, collection: Collection_, account_id: str, patterns: Sequence[str]
    ) -> AsyncIterator[Document]:
        # Uploads live for a day or a week: few enough to be looked at one by one.
        uploads = [upload["_id"] async for upload in self._uploads.find({"account_id": account_id}, {"_id": True})]
        rows = {"$regex": "|".join(patterns), "$options": "i"}
        for start in range(0, len(uploads), _UPLOADS_AT_ONCE):
            match = {"upload_id": {"$in": uploads[start : start + _UPLOADS_AT_ONCE]}, "rows": rows}
            async for chunk in collection.find(match, {"rows": True, "upload_id": True}, hint="in_order"):
                yield chunk


def _as_read(job: Document) -> Document:
    """Matches the job as long as nobody has moved it, or told of it."""
    same = {name: job[name] for name in ("_id", "state", "fence", "updated_at")}
    return {**same, "erased_at": {"$exists": False}, "untold": job.get("untold", {"$exists": False})}


def _update(changes: Document, gone: Document) -> Document:
    return {"$set": changes, **({"$unset": gone} if gone else {})}


def _keys(contact: Document) -> list[str]:
    return keys_of_person(contact.get("dni"), contact["phones"])


def _written(key: str) -> str:
    """An id in any spelling: `id:12345678K` is `0012.345.678-k` too."""
    return _IN_AN_ID.join(key.removeprefix(ID_PREFIX))


def _digits(phone: str) -> str:
    """The last eight digits of a number, as they may be grouped: with or without country, area and a 0 before."""
    return _IN_A_NUMBER.join(phone[-8:])


def _is_mentioned(cells: Sequence[str], sought: Sought) -> bool:
    if any(id_key(cell) in sought.ids for cell in cells):
        return True
    written = ["".join(char for char in cell if char.isdigit()) for cell in cells]
    return any(phone[-8:] in digits for phone in sought.phones for digits in written)


def _without_values(issue: Document) -> Document:
    message = issue["message"]
    params = {name: CUT if isinstance(value, str) else value for name, value in message.get("params", {}).items()}
    return {**issue, "message": {**message, "params": params}}


def _spellings(keys: Collection[str]) -> list[str]:
    phones = [key for key in keys if key.startswith("+")]
    return [*phones, *(phone[1:] for phone in phones)]


def _json(rows: Any) -> str:
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
