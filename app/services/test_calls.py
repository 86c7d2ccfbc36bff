"""Test calls: a batch's script, spoken to one number that somebody names.

There is no second way to dial. A test call is a batch of its own with one contact (docs/adr/0019), so workers claim
it, decide on it and pay for it like any other.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime

from app.domain.accounts import Account, AccountStatus
from app.domain.admission import outside_hours
from app.domain.batches import Batch, BatchStatus
from app.domain.contacts import Contact
from app.domain.errors import Conflict, FieldError, InvalidInput, NotFound, TooManyRequests
from app.domain.imports import IMPORT_LEASE
from app.domain.jobs import Job
from app.domain.jobs import job_id as job_id_of
from app.domain.messages import Message
from app.domain.phone_numbers import mask
from app.domain.phone_regions import region_of_timezone
from app.domain.ports import Accounts, BatchContacts, Batches, Jobs, Time
from app.domain.reading import JobFilter
from app.domain.searching import AgeSort
from app.domain.tables import shown
from app.domain.test_call import (
    BATCH_PREFIX,
    DAY,
    MOST_A_DAY,
    MOST_AT_ONCE,
    PATIENCE,
    batch_of_test_call,
    job_of_test_call,
    unfinished,
)
from app.domain.variables import GIVEN_BY_EVERY_CALL, own_variables, placeholders
from app.services.batch_events import log_event
from app.services.contact_requests import MAX_ERRORS, contacts_from_json
from app.services.half_made import undo_import
from app.services.ids import new_id

RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class AskedTestCall:
    """`phone` as it was written. The call speaks of the contact of `job_id`, or of the batch's first; `variables` go
    before what that contact has."""

    phone: str
    job_id: str | None
    variables: dict[str, str | int | float]
    outside_hours: bool
    allow_missing_variables: bool


class TestCalls:
    def __init__(self, accounts: Accounts, batches: Batches, jobs: Jobs, contacts: BatchContacts, time: Time) -> None:
        self._accounts = accounts
        self._batches = batches
        self._jobs = jobs
        self._contacts = contacts
        self._time = time

    async def call(self, batch_id: str, asked: AskedTestCall, *, user: str, idempotency_key: str | None = None) -> Job:
        """The job that will make the call, once. Repeated with its key, the one of that time.

        Raises NotFound, InvalidInput (number, variables), TooManyRequests, or Conflict: the hours are closed, the
        account is suspended, the batch was cancelled, this phone is in another test call, or outside the hours it is
        one of the account's contacts.
        """
        batch = await self._tested(batch_id)
        account = await self._accounts.get(batch.account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=batch.account_id)
        digest = _digest(batch_id, asked)
        if idempotency_key is not None and (before := await self._before(account, idempotency_key, digest)):
            return before
        spoken_of = await self._spoken_of(batch, asked.job_id)
        contact = _contact(batch, account, spoken_of, asked)
        now = self._time.now()
        made = batch_of_test_call(
            batch,
            new_id(BATCH_PREFIX),
            now,
            outside_hours=asked.outside_hours,
            expires_at=now + IMPORT_LEASE,
        ).model_copy(update={"idempotency_key": idempotency_key, "request_digest": digest if idempotency_key else None})
        job = job_of_test_call(made, contact, spoken_of, now)
        await self._refuse(job, made, account, now, at_any_hour=asked.outside_hours)
        return await self._make(job, made, asked, user)

    async def _tested(self, batch_id: str) -> Batch:
        batch = await self._batches.get(batch_id)
        if batch is None or batch.deleted_at is not None:
            raise NotFound("batch_not_found", batch_id=batch_id)
        if batch.test_of is not None:
            raise Conflict("test_call_happens_once")
        if batch.status is BatchStatus.CANCELLED:
            raise Conflict("batch_not_changeable", status=batch.status.value)
        return batch

    async def _before(self, account: Account, key: str, digest: str) -> Job | None:
        before = await self._batches.by_idempotency_key(account.account_id, key)
        if before is None:
            return None
        if before.request_digest != digest:
            raise Conflict("idempotency_key_reused", key=key)
        job = await self._jobs.get(job_id_of(before.batch_id, 1))
        if before.status is BatchStatus.IMPORTING or job is None:
            raise Conflict("still_importing", batch_id=before.batch_id)
        return job

    # Of whom the call speaks -------------------------------------------------------------------------

    async def _spoken_of(self, batch: Batch, job_id: str | None) -> Contact | None:
        if job_id is not None:
            job = await self._jobs.get(job_id)
            if job is None or job.batch_id != batch.batch_id:
                raise InvalidInput([FieldError.of(("job_id",), "test_call_job_elsewhere")])
            return job.contact
        if batch.recurrence is not None:
            return next((found.row.contact for found in await self._contacts.after(batch.batch_id, 0, 1)), None)
        first = await self._jobs.get(job_id_of(batch.batch_id, 1))
        if first is None and batch.total_jobs:
            # That import was taken back.
            found = await self._jobs.page(JobFilter(batch_id=batch.batch_id), limit=1, sort=AgeSort.OLDEST)
            first = next(iter(found), None)
        return first.contact if first else None

    # Whether it may be made ---------------------------------------------------------------------------------------

    async def _refuse(self, job: Job, made: Batch, account: Account, now: datetime, *, at_any_hour: bool) -> None:
        """What is known now is said now; the workers decide once more, and of everything, when they dial."""
        if account.status is not AccountStatus.ACTIVE:
            raise Conflict("account_suspended")
        if at_any_hour:
            await self._refuse_contacts(job)
        else:
            _refuse_closed(job, made, now)
        await self._refuse_too_many(job, now)

    async def _refuse_contacts(self, job: Job) -> None:
        """Who is, or was, in one of the account's lists is a contact, with hours of rest like any other."""
        phone = job.contact.phones[0]
        # A series has its contacts before there is a job for any of them.
        in_series = await self._contacts.known(job.test_of or "", [phone], without=())
        if in_series or await self._jobs.has_contact(job.account_id, phone):
            raise Conflict("test_call_to_contact")

    async def _refuse_too_many(self, job: Job, now: datetime) -> None:
        calls = [call for call in await self._jobs.test_calls(job.account_id, now - DAY) if call.job_id != job.job_id]
        going_on = unfinished(calls, now)
        if any(call.contact.phones == job.contact.phones for call in going_on):
            raise Conflict("test_call_goes_on")
        if len(going_on) >= MOST_AT_ONCE:
            raise TooManyRequests("test_calls_too_many", RETRY_SECONDS)
        if len(calls) >= MOST_A_DAY:
            raise TooManyRequests("test_calls_too_many", (calls[-1].created_at + DAY - now).total_seconds())

    async def _make(self, job: Job, made: Batch, asked: AskedTestCall, user: str) -> Job:
        """Nothing is called before the batch is opened; a crash before that leaves an import that a worker undoes."""
        if not await self._batches.insert(made):
            # Two requests with one key came at once; the other one won.
            raise Conflict("still_importing", batch_id=made.batch_id)
        try:
            await self._jobs.insert_many([job])
            # Two requests at once do not see each other before both have written; of those that do, none calls.
            await self._refuse_too_many(job, self._time.now())
            # Nor does its batch's cancelling see a job that is not written yet.
            await self._tested(job.test_of or "")
            event = "test_call_outside_hours" if asked.outside_hours else "test_call_asked_for"
            phone = mask(job.contact.phones[0])
            await log_event(self._batches, self._time, job.test_of or "", event, user, job_id=job.job_id, phone=phone)
            now = self._time.now()
            opened = {"total_jobs": 1, "import_expires_at": None, "started_at": now, "wake_at": now, "updated_at": now}
            done = await self._batches.move(made.batch_id, [BatchStatus.IMPORTING], BatchStatus.RUNNING, opened)
        except BaseException:
            await undo_import(self._batches, self._jobs, made)
            raise
        if done is None:
            await undo_import(self._batches, self._jobs, made)
            raise Conflict("import_undone")
        return job


async def cancel_test_calls(batches: Batches, jobs: Jobs, time: Time, batch: Batch, *, user: str) -> None:
    """Those of `batch` that might still begin: what was called off is not to be heard either."""
    now = time.now()
    for call in await jobs.test_calls(batch.account_id, now - PATIENCE):
        if call.test_of == batch.batch_id and not call.state.is_final:
            await jobs.cancel(call.job_id, Message(code="batch_cancelled"), now, by=user)
            await batches.wake(call.batch_id, now)


def _contact(batch: Batch, account: Account, spoken_of: Contact | None, asked: AskedTestCall) -> Contact:
    """Who is called, with what the call says. Raises InvalidInput."""
    item = {
        "name": spoken_of.name if spoken_of else "",
        "email": spoken_of.email if spoken_of else None,
        "phones": [asked.phone],
        "custom_fields": {**(spoken_of.custom_fields if spoken_of else {}), **asked.variables},
    }
    region = account.country or region_of_timezone(batch.call_settings.hours.timezone)
    try:
        (row,) = contacts_from_json([item], region)
    except InvalidInput as invalid:
        raise InvalidInput([_as_asked(error) for error in invalid.errors]) from None
    if not asked.allow_missing_variables:
        _refuse_missing(batch.script_content, row.contact)
    return row.contact


def _refuse_closed(job: Job, made: Batch, now: datetime) -> None:
    closed = outside_hours(job, made, now)
    if closed is not None:
        opens_at = closed.reason.params.get("opens_at", "–")
        raise Conflict("test_call_hours_closed", opens_at=opens_at, timezone=made.call_settings.hours.timezone)


def _refuse_missing(script: str, contact: Contact) -> None:
    known = {*own_variables(contact), *GIVEN_BY_EVERY_CALL}
    missing = [name for name in placeholders(script) if name not in known]
    if missing:
        raise InvalidInput(
            [
                FieldError.of(("variables", shown(name)), "test_variable_missing", name=shown(name))
                for name in missing[:MAX_ERRORS]
            ]
        )


def _as_asked(error: FieldError) -> FieldError:
    """Where it stands in the request for a test call: `("contacts", 0, "phones", 0)` is `("phone",)`."""
    _, _, field, *rest = error.loc
    loc = ("phone",) if field == "phones" else ("variables", *rest)
    return FieldError(loc=loc, message=error.message)


def _digest(batch_id: str, asked: AskedTestCall) -> str:
    text = json.dumps({"test_of": batch_id, **asdict(asked)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
