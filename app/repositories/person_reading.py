"""Everything that is stored about a person, for whoever may have it. Sections come in the order of person_export."""

from collections.abc import AsyncIterator
from typing import Any

from app.domain.privacy import Sought
from app.repositories.database import Database, Document
from app.repositories.do_not_call import MongoDoNotCallList
from app.repositories.documents import plain
from app.repositories.personal_data import MongoPersonalData

_OURS = ("request_digest", "fence", "slot", "provider_slot", "lease_until", "worker_id", "zone", "name_words")
"""How a job is worked on, and says nothing of anybody."""
_SPOKEN = ("name", "email", "custom_fields")


class MongoPersonReader:
    def __init__(self, database: Database) -> None:
        self._data = MongoPersonalData(database)
        self._list = MongoDoNotCallList(database)

    async def everything(self, account_id: str, sought: Sought) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        job_ids = [job.job_id for job in await self._data.jobs_of(account_id, sought)]
        for job_id in job_ids:
            job = await self._data.stored_job(job_id)
            if job is not None:
                yield "jobs", _without_others(job, sought)
        for call in await self._data.test_calls_of(account_id, sought):
            if call["_id"] not in job_ids:
                yield "test_calls", _what_it_says(call)
        for contact in await self._data.series_contacts(account_id, sought):
            yield "series_contacts", contact
        for rows in await self._data.upload_rows(account_id, sought):
            yield "upload_rows", rows
        for rows in await self._data.rejected_rows(account_id, sought):
            yield "rejected_rows", rows
        for job_id in job_ids:
            for delivery in await self._data.deliveries_of(job_id):
                yield "webhook_deliveries", delivery
        for listed in await self._list.standing(account_id, sought.keys):
            yield "do_not_call", plain(listed)
        for entry in await self._data.audit_of(account_id, job_ids):
            yield "audit_log", entry


def _without_others(job: Document, sought: Sought) -> Document:
    """A test call to the person says what somebody else would hear."""
    own = {name: value for name, value in job.items() if name not in _OURS}
    spoken_of = own.pop("speaks_of", [])
    if "test_of" in own and not sought.means(spoken_of):
        own.pop("attempt", None)
        own["contact"] = {name: value for name, value in own["contact"].items() if name not in _SPOKEN}
    return own


def _what_it_says(call: Document) -> Document:
    """Not who was called: that was somebody else."""
    of = {name: call[name] for name in ("_id", "batch_id", "test_of", "state", "created_at")}
    return of | {name: call["contact"][name] for name in _SPOKEN if name in call["contact"]}
