"""What is left of a stored document when nobody is to know any more whom it was about. Pure.

Lists of what *stays*: a field that somebody adds later is erased until it is named here.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from app.domain.contacts import ERASED
from app.domain.privacy import erased_phones, places_of
from app.repositories.database import Document

RECORDINGS = ("recording_url", "public_log_url")
_REPORT = (
    "call_id",
    "status",
    "attempt_id",
    "disconnection_reason",
    "started_at",
    "ended_at",
    "duration_ms",
    "billed_seconds",
    "cost_cents",
    "user_spoke",
    "in_voicemail",
)
_JOB = (
    *("_id", "account_id", "batch_id", "test_of", "row", "import_id", "state", "waiting_for", "priority", "due_at"),
    *("fence", "next_phone_index", "attempts", "extra_attempts", "callbacks", "provider_troubles", "disposition"),
    *("cancel_requested", "created_at", "updated_at", "started_at", "finished_at", "zone"),
    *("untold_at", "untold_by", "erased_at"),
)
_DELIVERED_JOB = (
    *("_id", "job_id", "account_id", "batch_id", "row", "status", "reason", "attempts", "tries", "max_attempts"),
    *("estimated_cost", "cost", "created_at", "started_at", "updated_at", "finished_at", "next_attempt_at"),
    *("reserved_until", "worker_id", "is_calling", "call_id", "call_started_at", "call_ended_at"),
    *("call_duration_seconds", "last_error"),
)
_FREE_TEXT = ("detail", "text", "error", "last")
"""Parameters of messages that somebody else worded: a provider's refusal may quote the number."""
CUT = "…"


def scrubbed_job(job: Document, now: datetime) -> tuple[Document, Document]:
    """The `$set` and `$unset` that leave of a final job its states, times and costs."""
    contact = job["contact"]
    places = places_of(contact["phones"])
    left: Document = {"name": "", "phones": erased_phones(contact["phones"]), "custom_fields": {}}
    if "timezone" in contact:
        left["timezone"] = contact["timezone"]
    changes: Document = {
        "contact": left,
        "person_keys": [],
        "name_words": [],
        "retired_phones": [_place(phone, places) for phone in job.get("retired_phones", [])],
        "history": [{**record, "phone": _place(record["phone"], places)} for record in job.get("history", [])],
        "erased_at": now,
    }
    if "reason" in job:
        changes["reason"] = _message(job["reason"])
    if "report" in job:
        changes["report"] = _only(job["report"], _REPORT)
    for name in ("timeline", "untold"):
        if name in job:
            changes[name] = [_event(event) for event in job[name]]
    known = {*_JOB, *changes}
    return changes, {name: "" for name in job if name not in known}


def scrubbed_recording(job: Document) -> Document:
    """The `$unset` that leaves of a final job everything but the links to what was recorded."""
    return {f"report.{name}": "" for name in RECORDINGS if name in job.get("report", {})}


def scrubbed_body(body: str) -> str:
    """A webhook's body about a job: that it happened, and what it came to."""
    try:
        event = json.loads(body)
        job, call = dict(event["data"]["job"]), event["data"].get("call")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "{}"
    phones = places_of(job.get("contact", {}).get("phones", []))
    data: Document = {"job": {**_only(job, _DELIVERED_JOB), "erased": True}}
    data["job"]["history"] = [_call(record, phones) for record in job.get("history", [])]
    if call:
        data["call"] = _call(call, phones)
    told = {"type": event.get("type"), "timestamp": event.get("timestamp"), "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def calls_of(job: Document) -> dict[str, str | None]:
    """Every call of a job that is known, with the mark of its key; of one that no attempt names that of the last."""
    attempt = job.get("attempt", {})
    attempts = [*job.get("history", []), *([attempt] if attempt else [])]
    marks = {record["call_id"]: record.get("key_mark") for record in attempts if record.get("call_id")}
    last = attempts[-1].get("key_mark") if attempts else None
    others = [record.get("call_id") for record in [*job.get("timeline", []), job.get("report", {})]]
    others += [*job.get("heard_call_ids", []), *attempt.get("stopped_call_ids", [])]
    return marks | {call_id: last for call_id in others if call_id and call_id not in marks}


def scrubbed_text(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, CUT)
    return text


def _event(event: Document) -> Document:
    """Of the timeline, or of what was not told yet."""
    changed = dict(event)
    if "reason" in event:
        changed["reason"] = _message(event["reason"])
    if "report" in event:
        changed["report"] = _only(event["report"], _REPORT)
    return changed


def _message(message: Document) -> Document:
    params = message.get("params", {})
    return {**message, "params": {name: CUT if name in _FREE_TEXT else value for name, value in params.items()}}


def _call(record: Document, places: Mapping[str, str]) -> Document:
    return {**record, "phone": _place(record.get("phone", ""), places)}


def _place(phone: str, places: Mapping[str, str]) -> str:
    """Of a number that the contact has no more, that there was one."""
    return phone if phone.startswith(ERASED) else places.get(phone, f"{ERASED}0")


def _only(document: Document, names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name in names}
