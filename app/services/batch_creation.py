"""Creating a batch: from contacts in the request, from a previewed upload, or as a draft without any."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.accounts import Account
from app.domain.available_variables import AvailableVariables, missing_errors
from app.domain.batches import Batch, BatchStatus, CallSettings, Priority, ScheduleType, VoiceSettings
from app.domain.contacts import ContactRow
from app.domain.errors import Conflict, FieldError, InvalidInput, NotFound
from app.domain.phone_numbers import region_of_timezone
from app.domain.ports import Accounts, BatchContacts, Batches, Jobs, Time, Uploads
from app.domain.recurrence import Recurrence, RecurrenceRule
from app.domain.variables import RESERVED_PREFIX, placeholders, reserved_names
from app.domain.voice import ignored, voice_errors
from app.services.batch_events import log_event
from app.services.batch_import import IMPORT_LEASE, import_jobs, in_chunks, is_being_undone
from app.services.contact_requests import MAX_ERRORS, contacts_from_json
from app.services.ids import new_id
from app.services.upload_variables import variables_of

START_TOLERANCE = timedelta(minutes=5)
"""How far in the past a start may lie: clocks differ, and requests take time."""
LATEST_START = timedelta(days=366)


@dataclass(frozen=True)
class NewBatch:
    account_id: str
    name: str
    description: str | None
    script_content: str
    voice_settings: VoiceSettings
    call_settings: CallSettings
    schedule_type: ScheduleType
    scheduled_at: datetime | None
    recurring: RecurrenceRule | None
    priority: Priority
    budget: Decimal | None
    retell_agent_id: str | None
    retell_from_number: str | None
    contacts: list[dict[str, Any]] | None
    upload_id: str | None
    allow_missing_variables: bool
    idempotency_key: str | None
    request_digest: str


class BatchCreation:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        jobs: Jobs,
        contacts: BatchContacts,
        uploads: Uploads,
        time: Time,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._jobs = jobs
        self._contacts = contacts
        self._uploads = uploads
        self._time = time

    async def create(self, new: NewBatch, *, user: str) -> Batch:
        """Write the batch and all of its jobs, or nothing.

        With an `idempotency_key` that was used before, the batch of that time is answered. Raises NotFound (account,
        upload), InvalidInput (every wrong field or row), Conflict (the key belongs to another request).
        """
        account = await self._accounts.get(new.account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=new.account_id)
        before = await self._created_before(new)
        if before is not None:
            return before
        self._refuse_unlikely_start(new)
        if wrong := voice_errors(new.voice_settings):
            raise InvalidInput(wrong)
        rows = await self._rows_in_request(new, account)
        if rows is None and new.upload_id is None:
            if new.recurring is not None:
                raise InvalidInput([FieldError.of(("contacts",), "recurring_needs_contacts")])
            return await self._create_draft(new, user)
        await self._refuse_missing_variables(new, rows)
        return await self._import(new, rows, user)

    def _refuse_unlikely_start(self, new: NewBatch) -> None:
        """A start that is over would call at once, which nobody asked for; one in years is a slip of the pen."""
        now = self._time.now()
        until = new.recurring.until if new.recurring is not None else None
        if until is not None and until < (new.scheduled_at or now):
            raise InvalidInput([FieldError.of(("recurring_config", "until"), "recurring_until_before_start")])
        if new.scheduled_at is None:
            return
        if new.scheduled_at < now - START_TOLERANCE:
            raise InvalidInput([FieldError.of(("scheduled_at",), "scheduled_at_past")])
        if new.scheduled_at > now + LATEST_START:
            raise InvalidInput([FieldError.of(("scheduled_at",), "scheduled_at_too_far", days=LATEST_START.days)])

    async def _created_before(self, new: NewBatch) -> Batch | None:
        if new.idempotency_key is None:
            return None
        before = await self._batches.by_idempotency_key(new.account_id, new.idempotency_key)
        if before is None:
            return None
        if before.request_digest != new.request_digest:
            raise Conflict("idempotency_key_reused", key=new.idempotency_key)
        if before.deleted_at is not None:
            raise Conflict("batch_was_deleted", batch_id=before.batch_id)
        if before.status is BatchStatus.IMPORTING or is_being_undone(before):
            raise Conflict("still_importing", batch_id=before.batch_id)
        return before

    async def _rows_in_request(self, new: NewBatch, account: Account) -> list[ContactRow] | None:
        """The request's own contacts; None if it names an upload or brings none at all."""
        if new.contacts is not None and new.upload_id is not None:
            raise InvalidInput([FieldError.of(("upload_id",), "contacts_or_upload")])
        if new.upload_id is not None:
            count = await self._uploads.contact_count(new.upload_id, new.account_id)
            if count is None:
                raise NotFound("upload_not_found", upload_id=new.upload_id)
            if count == 0:
                raise InvalidInput([FieldError.of(("upload_id",), "no_callable_contact")])
            return None
        if new.contacts is None:
            return None
        if not new.contacts:
            raise InvalidInput([FieldError.of(("contacts",), "no_callable_contact")])
        region = account.country or region_of_timezone(new.call_settings.hours.timezone)
        # A long list takes seconds of pure computation: not on the event loop.
        return await asyncio.to_thread(contacts_from_json, new.contacts, region)

    def _chunks(self, new: NewBatch, rows: list[ContactRow] | None) -> AsyncIterator[list[ContactRow]]:
        return self._uploads.contacts(new.upload_id or "") if rows is None else in_chunks(rows)

    async def _refuse_missing_variables(self, new: NewBatch, rows: list[ContactRow] | None) -> None:
        """A `{{variable}}` without value would be spoken as nothing: name the rows, unless that is wanted."""
        if new.allow_missing_variables or not placeholders(new.script_content):
            return
        missing = (await self._available(new, rows)).missing(new.script_content)
        if missing:
            raise InvalidInput(missing_errors(missing, MAX_ERRORS))

    async def _available(self, new: NewBatch, rows: list[ContactRow] | None) -> AvailableVariables:
        """Of an upload it was counted when the file was read."""
        if rows is not None:
            return AvailableVariables.of(rows)
        upload = await self._uploads.get(new.upload_id or "")
        if upload is None:
            raise NotFound("upload_not_found", upload_id=new.upload_id)
        return await variables_of(self._uploads, upload)

    async def _create_draft(self, new: NewBatch, user: str) -> Batch:
        batch = self._batch(new, BatchStatus.DRAFT, None)
        await self._insert(batch)
        await log_event(self._batches, self._time, batch.batch_id, "draft_created", user)
        await self._log_ignored(batch)
        return batch

    async def _import(self, new: NewBatch, rows: list[ContactRow] | None, user: str) -> Batch:
        batch = self._batch(new, BatchStatus.IMPORTING, self._time.now() + IMPORT_LEASE)
        await self._insert(batch)
        now = self._time.now()
        opened: dict[str, Any] = {"status": BatchStatus.RUNNING, "started_at": now, "wake_at": now}
        if new.schedule_type is ScheduleType.SCHEDULED and new.scheduled_at is not None and new.scheduled_at > now:
            opened = {"status": BatchStatus.SCHEDULED, "wake_at": new.scheduled_at}
        kept = None
        if batch.recurrence is not None:
            first = batch.recurrence.starts_at
            opened = {"status": BatchStatus.SCHEDULED, "wake_at": first, "next_run_at": first}
            kept = self._contacts
        renamed = set[str]()
        chunks = _noting_renamed(self._chunks(new, rows), renamed)
        done = await import_jobs(self._batches, self._jobs, self._time, batch, chunks, opened, kept)
        await log_event(self._batches, self._time, done.batch_id, "batch_created", user, jobs=done.total_jobs)
        await self._log_ignored(done)
        if renamed:
            await log_event(
                self._batches,
                self._time,
                done.batch_id,
                "variables_renamed",
                names=", ".join(sorted(renamed)),
                prefix=RESERVED_PREFIX,
            )
        if done.status is BatchStatus.RUNNING:
            await log_event(self._batches, self._time, done.batch_id, "batch_started")
        return done

    async def _log_ignored(self, batch: Batch) -> None:
        """Say what was accepted without effect: Retell has no pitch."""
        for note in ignored(batch.voice_settings):
            await log_event(self._batches, self._time, batch.batch_id, note.message.code)

    async def _insert(self, batch: Batch) -> None:
        if not await self._batches.insert(batch):
            # Two requests with one key came at once; the other one won.
            raise Conflict("still_importing", batch_id=batch.batch_id)

    def _batch(self, new: NewBatch, status: BatchStatus, import_expires_at: datetime | None) -> Batch:
        now = self._time.now()
        recurrence = None
        if new.recurring is not None:
            starts_at = (new.scheduled_at or now).replace(microsecond=0)
            recurrence = Recurrence(
                **new.recurring.model_dump(), starts_at=starts_at, timezone=new.call_settings.hours.timezone
            )
        return Batch(
            batch_id=new_id("batch"),
            account_id=new.account_id,
            name=new.name,
            description=new.description,
            script_content=new.script_content,
            voice_settings=new.voice_settings,
            call_settings=new.call_settings,
            schedule_type=new.schedule_type,
            scheduled_at=new.scheduled_at,
            recurrence=recurrence,
            priority=new.priority,
            budget=new.budget,
            budget_used=None if new.budget is None else Decimal(0),
            status=status,
            retell_agent_id=new.retell_agent_id,
            retell_from_number=new.retell_from_number,
            idempotency_key=new.idempotency_key,
            request_digest=new.request_digest if new.idempotency_key else None,
            import_expires_at=import_expires_at,
            wake_at=import_expires_at,
            created_at=now,
            updated_at=now,
        )


async def _noting_renamed(
    chunks: AsyncIterator[list[ContactRow]], renamed: set[str]
) -> AsyncIterator[list[ContactRow]]:
    """The same chunks; the contacts' fields that go to the agent under another name end up in `renamed`."""
    async for chunk in chunks:
        for row in chunk:
            renamed |= reserved_names(row.contact.custom_fields)
        yield chunk
