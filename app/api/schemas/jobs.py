"""A job as the contract shows it."""

from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydantic import ConfigDict, Field

from app.api.schemas.common import Instant, Number, Reason, Reply, is_off, reason_of
from app.domain.accounts import Account
from app.domain.calls import CallReport, CallStatus
from app.domain.jobs import AttemptRecord, Job, JobState
from app.domain.messages import Language, Message
from app.domain.money import Plan, Pricing, charge_for
from app.domain.outcomes import Disposition
from app.domain.results import is_result
from app.services.jobs import JobView, ShownStatus

_CALLING = frozenset({JobState.DIALING, JobState.IN_CALL, JobState.VERIFYING})


class JobContact(Reply):
    name: str
    dni: str | None
    phones: list[str]
    next_phone_index: int
    email: str | None
    timezone: str | None = Field(
        default=None, exclude_if=is_off, description="By whose clocks the contact is called. Absent: the batch's."
    )


class CallCost(Reply):
    """The provider's own price, not the customer's, as Retell gives it."""

    combined_cost: Number = Field(description="US cents.")
    total_duration_seconds: float | None


class CallSummary(Reply):
    call_status: CallStatus
    disconnection_reason: str | None
    duration_ms: int
    call_cost: CallCost | None
    call_analysis: dict[str, Any] | None
    recording_url: str | None
    public_log_url: str | None
    transcript: str | None
    collected_dynamic_variables: dict[str, str] | None


class CallResult(Reply):
    success: bool
    status: Disposition = Field(description="What the last call came to.")
    summary: CallSummary


class JobReply(Reply):
    """Besides these, every variable that the agent collected and whose name ends in `_cliente`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id_: str = Field(serialization_alias="_id")
    job_id: str
    account_id: str
    batch_id: str
    test_of: str | None = Field(
        default=None, exclude_if=is_off, description="Of a test call, the batch whose script it tries. Absent: none."
    )
    row: int | None = Field(description="The contact's row in the spreadsheet, or its place in `contacts`.")
    status: ShownStatus
    reason: Reason | None = Field(description="Why it waits, or why it ended as it did.")
    contact: JobContact
    payload: dict[str, str] = Field(description="The contact's custom fields.")
    attempts: int
    tries: int = Field(description="The same as `attempts`.")
    max_attempts: int
    estimated_cost: Number = Field(description="Of one call at worst: `max_call_duration` at the account's price.")
    cost: Number = Field(description="Of its calls so far.")
    created_at: Instant
    started_at: Instant | None
    updated_at: Instant
    finished_at: Instant | None
    next_attempt_at: Instant | None
    reserved_until: Instant | None
    worker_id: str | None
    is_calling: bool
    call_id: str | None
    call_started_at: Instant | None
    call_ended_at: Instant | None
    call_duration_seconds: float | None
    last_error: str | None
    nombre: str
    rut: str | None
    to_number: str | None
    call_result: CallResult | None


class AttemptReply(Reply):
    """One finished try to reach one phone."""

    attempt_id: str
    number: int
    phone: str
    call_id: str | None
    status: Disposition
    disconnection_reason: str | None
    counted: bool = Field(description="Whether it used one of the contact's attempts.")
    dialed_at: Instant
    ended_at: Instant
    duration_seconds: float
    billed_seconds: int
    cost: Number


class JobDetailReply(JobReply):
    history: list[AttemptReply]


def job_reply(view: JobView, account: Account | None, language: Language) -> JobReply:
    return JobReply(**_fields(view, account, language))


def job_detail_reply(view: JobView, account: Account | None, language: Language) -> JobDetailReply:
    history = [_attempt(record) for record in view.job.history]
    return JobDetailReply(**_fields(view, account, language), history=history)


def _fields(view: JobView, account: Account | None, language: Language) -> dict[str, Any]:
    job, report = view.job, view.job.report
    contact = job.contact
    last = job.history[-1] if job.history else None
    reason = reason_of(job.reason, language)
    return {
        **_collected(report),
        "id_": job.job_id,
        "job_id": job.job_id,
        "account_id": job.account_id,
        "batch_id": job.batch_id,
        "test_of": job.test_of,
        "row": job.row,
        "status": view.status,
        "reason": reason,
        "contact": JobContact(
            name=contact.name,
            dni=contact.dni,
            phones=contact.phones,
            next_phone_index=job.next_phone_index,
            email=contact.email,
            timezone=contact.timezone,
        ),
        "payload": contact.custom_fields,
        "attempts": job.attempts,
        "tries": job.attempts,
        "max_attempts": job.max_attempts(view.batch.call_settings.max_attempts),
        "estimated_cost": _estimated_cost(view, account),
        "cost": job.total_cost,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "updated_at": job.updated_at,
        "finished_at": job.finished_at,
        "next_attempt_at": job.due_at if job.state is JobState.PENDING else None,
        "reserved_until": job.lease_until,
        "worker_id": job.worker_id,
        "is_calling": job.state in _CALLING,
        "call_id": _call_id(job, last),
        "call_started_at": report.started_at if report else None,
        "call_ended_at": report.ended_at if report else None,
        "call_duration_seconds": report.seconds if report and report.is_over else None,
        "last_error": _last_error(job, last, language),
        "nombre": contact.name,
        "rut": contact.custom_fields.get("rut") or contact.dni,
        "to_number": job.attempt.phone if job.attempt else last.phone if last else None,
        "call_result": _call_result(job, last),
    }


def _collected(report: CallReport | None) -> dict[str, str]:
    found = report.collected_variables if report else {}
    return {name: value for name, value in found.items() if is_result(name)}


def _estimated_cost(view: JobView, account: Account | None) -> Decimal:
    if account is None:
        return Decimal(0)
    return _worst_cost(view.batch.call_settings.max_call_duration, account.plan_type, account.pricing)


@lru_cache(maxsize=1000)
def _worst_cost(seconds: int, plan: Plan, pricing: Pricing) -> Decimal:
    """Remembered: all jobs of a page are mostly of one batch."""
    return charge_for(seconds, plan, pricing).cost


def _call_id(job: Job, last: AttemptRecord | None) -> str | None:
    if job.attempt is not None:
        return job.attempt.call_id
    return last.call_id if last else None


def _last_error(job: Job, last: AttemptRecord | None, language: Language) -> str | None:
    """Why a failed job failed, or what its last call came to; never what it merely waits for."""
    if job.state is JobState.FAILED and job.reason is not None:
        return job.reason.render(language)
    if job.state is JobState.PENDING and last is not None:
        return Message(code=f"after_{last.disposition.value}").render(language)
    return None


def _call_result(job: Job, last: AttemptRecord | None) -> CallResult | None:
    """What the last finished call came to; of a call in progress there is none yet."""
    if last is None or job.attempt is not None:
        return None
    report = job.report if job.report is not None and job.report.call_id == last.call_id else None
    return CallResult(
        success=last.disposition is Disposition.ANSWERED,
        status=last.disposition,
        summary=_summary(report, last),
    )


def past_call_result(record: AttemptRecord, report: CallReport | None) -> CallResult:
    """What one attempt came to; `report` is the provider's word on it, if that is still known."""
    summary = _summary(report, record)
    if report is None and record.duration_seconds:
        known = {"call_status": CallStatus.ENDED, "duration_ms": round(record.duration_seconds * 1000)}
        summary = summary.model_copy(update=known)
    return CallResult(success=record.disposition is Disposition.ANSWERED, status=record.disposition, summary=summary)


def _summary(report: CallReport | None, last: AttemptRecord) -> CallSummary:
    if report is None:
        # The provider refused the number: there was no call to report on.
        return CallSummary(
            call_status=CallStatus.NOT_CONNECTED,
            disconnection_reason=last.disconnection_reason,
            duration_ms=0,
            call_cost=None,
            call_analysis=None,
            recording_url=None,
            public_log_url=None,
            transcript=None,
            collected_dynamic_variables=None,
        )
    return CallSummary(
        call_status=report.status,
        disconnection_reason=report.disconnection_reason,
        duration_ms=report.duration_ms or 0,
        call_cost=None
        if report.cost_cents is None
        else CallCost(combined_cost=report.cost_cents, total_duration_seconds=report.billed_seconds),
        call_analysis=report.analysis,
        recording_url=report.recording_url,
        public_log_url=report.public_log_url,
        transcript=report.transcript,
        collected_dynamic_variables=report.collected_variables or None,
    )


def _attempt(record: AttemptRecord) -> AttemptReply:
    return AttemptReply(
        attempt_id=record.attempt_id,
        number=record.number,
        phone=record.phone,
        call_id=record.call_id,
        status=record.disposition,
        disconnection_reason=record.disconnection_reason,
        counted=record.counted,
        dialed_at=record.dialed_at,
        ended_at=record.ended_at,
        duration_seconds=record.duration_seconds,
        billed_seconds=record.billed_seconds,
        cost=record.cost,
    )
