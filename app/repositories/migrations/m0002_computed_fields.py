"""Fields that are stored with a document because indexes and other documents go by them, and that older ones lack.

Without `zone` no claim finds a job; without `person_keys` the person's other calls, caps and do-not-call entries do not
find it; without the names' words and sort key lists do not.

Opt-outs: before there were do-not-call lists, somebody who asked for it was called no more by that job alone. Such jobs
have no timeline, which every move has written since; their persons are listed before the job gets its keys, so that an
operator who takes one off the list later is not contradicted.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from app.domain.contacts import Contact, person_keys
from app.domain.do_not_call import DoNotCallEntry, DoNotCallSource, entry_id_of
from app.domain.jobs import computed_of
from app.domain.messages import Message
from app.domain.opting_out import BY_THE_CALL
from app.domain.outcomes import Disposition
from app.domain.searching import name_words, sort_name
from app.repositories.database import Database, Document
from app.repositories.do_not_call import MongoDoNotCallList
from app.repositories.migrations.steps import Backfill, Migration

log = structlog.get_logger("migrations")


def _of_contact(document: Document) -> dict[str, object]:
    return {"person_keys": person_keys(Contact.model_validate(document.get("contact")))}


def _of_job(document: Document) -> dict[str, object]:
    return computed_of(Contact.model_validate(document.get("contact")))


def _of_name(name: Any) -> dict[str, object]:
    text = name if isinstance(name, str) else ""
    return {"sort_name": sort_name(text), "name_words": name_words(text)}


async def _list_opt_outs(database: Database, jobs: Sequence[Document]) -> None:
    entries = [entry for job in jobs for entry in _entries(job)]
    await MongoDoNotCallList(database).add(entries)


def _entries(job: Document) -> list[DoNotCallEntry]:
    if "person_keys" in job or "timeline" in job:
        return []
    try:
        return [
            entry
            for record in job.get("history", [])
            if record.get("disposition") == Disposition.OPTED_OUT.value
            for entry in _entries_of(job, record)
        ]
    except (AttributeError, KeyError, TypeError, ValidationError):
        # One document that no release wrote so must not keep all others from what they need.
        log.error("opt_out_unreadable", collection="jobs", id=job["_id"])  # noqa: TRY400 - values are private
        return []


def _entries_of(job: Document, record: Document) -> list[DoNotCallEntry]:
    """As domain.opting_out has it. A refusal of Retell's, because the number is marked there, counts as no attempt."""
    asked = record.get("counted", True)
    try:
        keys = person_keys(Contact.model_validate(job.get("contact"))) if asked else [record["phone"]]
    except ValidationError:
        keys = [record["phone"]]
    code = "asked_in_a_call" if asked else "marked_at_retell"
    return [
        DoNotCallEntry(
            entry_id=entry_id_of(job["account_id"], key),
            account_id=job["account_id"],
            key=key,
            reason=Message(code=code, params={"job_id": job["_id"]}),
            source=DoNotCallSource.CALL,
            created_at=record["ended_at"],
            created_by=BY_THE_CALL,
        )
        for key in keys
    ]


MIGRATION = Migration(
    number=2,
    name="computed_fields",
    what="Gives older jobs their zone, person and name keys, without which they are never called or called beside "
    "another call to the same person; lists who opted out before there were do-not-call lists; gives batches and "
    "accounts what they are sorted and found by.",
    compatible=False,
    before_versions=True,
    steps=[
        Backfill(
            "jobs",
            fields=["person_keys", "name_words", "zone"],
            computed_from=["contact"],
            change=_of_job,
            beforehand=_list_opt_outs,
            reads=["account_id", "history", "timeline"],
        ),
        Backfill("batch_contacts", ["person_keys"], computed_from=["contact"], change=_of_contact),
        Backfill("batches", ["sort_name", "name_words"], ["name"], lambda batch: _of_name(batch.get("name"))),
        Backfill(
            "accounts", ["sort_name", "name_words"], ["account_name"], lambda one: _of_name(one.get("account_name"))
        ),
    ],
)
