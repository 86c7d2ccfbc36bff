"""Creating a batch: from contacts in the request, from a previewed upload, or as a draft without any.

Contacts always come in as an upload's pieces: an import can go on in another process, which the request does not reach.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus, CallSettings, Priority, ScheduleType, VoiceSettings
from app.domain.errors import Conflict, FieldError, InvalidInput, NotFound
from app.domain.imports import IMPORT_LEASE
from app.domain.phone_regions import region_of_timezone
from app.domain.ports import Accounts, Batches, Time, Uploads
from app.domain.recurrence import Recurrence, RecurrenceRule
from app.domain.script_check import refusals_of
from app.domain.uploads import Upload
from app.domain.voice import ignored
from app.services.batch_events import log_event
from app.services.contact_requests import contacts_from_json
from app.services.ids import new_id
from app.services.import_tasks import ImportTasks
from app.services.imports import HOLD, import_of
from app.services.usable_uploads import (
    named_upload,
    refuse_missing_variables,
    store_upload,
    upload_of,
    zones_with,
)

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
    extra_fields: Mapping[str, str] = field(default_factory=dict)
    """Custom fields that every contact gets."""


class BatchCreation:
    def __init__(self, accounts: Accounts, batches: Batches, uploads: Uploads, tasks: ImportTasks, time: Time) -> None:
        self._accounts = accounts
        self._batches = batches
        self._uploads = uploads
        self._tasks = tasks
        self._time = time

    async def create(self, new: NewBatch, *, user: str) -> Batch:
        """Check everything, store the batch with the plan of its import, and write its jobs: before the answer, or, if
        they are many, after it; then the batch is answered as `importing`, with how far that is.

        With an `idempotency_key` that was used before, the batch of that time is answered. Raises NotFound (account,
        upload), InvalidInput (every wrong field or row), Conflict (the key belongs to another request).
        """
        account = await self._accounts.get(new.account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=new.account_id)
        before = await self.created_before(new)
        if before is not None:
            return before
        self._refuse_unlikely_start(new)
        if wrong := refusals_of(new.script_content, new.voice_settings):
            raise InvalidInput(wrong)
        upload = await self._upload(new, account)
        if upload is None and new.recurring is not None:
            raise InvalidInput([FieldError.of(("contacts",), "recurring_needs_contacts")])
        batch = self._batch(new, BatchStatus.DRAFT)
        if upload is not None:
            batch = self._planned(batch, upload, new, user)
        if not await self._batches.insert(batch):
            # Two requests with one key came at once; the other one won, with an upload of its own.
            if upload is not None and new.upload_id is None:
                await self._uploads.release(upload.upload_id, self._time.now())
            first = await self.created_before(new)
            if first is None:
                raise Conflict("batch_changed_meanwhile")
            return first
        if upload is None:
            await log_event(self._batches, self._time, batch.batch_id, "draft_created", user)
        await self._log_ignored(batch)
        await self._tasks.run(batch)
        return await self._batches.get(batch.batch_id) or batch

    async def _upload(self, new: NewBatch, account: Account) -> Upload | None:
        """The contacts, checked, and stored so that whoever goes on with the import finds them; None for a draft."""
        if new.contacts is not None and new.upload_id is not None:
            raise InvalidInput([FieldError.of(("upload_id",), "contacts_or_upload")])
        if new.upload_id is not None:
            upload = await named_upload(self._uploads, new.upload_id, new.account_id)
            self._refuse_unfit(new, upload)
            if await self._uploads.hold(new.upload_id, self._time.now() + HOLD) is None:
                raise NotFound("upload_not_found", upload_id=new.upload_id)
            return upload
        if new.contacts is None:
            return None
        if not new.contacts:
            raise InvalidInput([FieldError.of(("contacts",), "no_callable_contact")])
        region = account.country or region_of_timezone(new.call_settings.hours.timezone)
        # A long list takes seconds of pure computation: not on the event loop.
        rows = await asyncio.to_thread(contacts_from_json, new.contacts, region)
        upload = await asyncio.to_thread(upload_of, new_id("upload"), new.account_id, rows)
        self._refuse_unfit(new, upload)
        await store_upload(self._uploads, upload, rows, self._time.now() + HOLD)
        return upload

    def _refuse_unfit(self, new: NewBatch, upload: Upload) -> None:
        if not new.allow_missing_variables:
            refuse_missing_variables(upload, new.script_content, new.extra_fields)
        zones_with(upload, (), "contacts")

    def _planned(self, batch: Batch, upload: Upload, new: NewBatch, user: str) -> Batch:
        """The batch as it stands while its first contacts are written."""
        work = import_of(
            upload,
            batch,
            import_id=new_id("import"),
            user=user,
            extra_fields=dict(new.extra_fields),
            lease_until=batch.created_at + IMPORT_LEASE,
            started_at=batch.created_at,
        )
        return batch.model_copy(
            update={
                "status": BatchStatus.IMPORTING,
                "current_import": work,
                "total_jobs": work.total,
                "numbers_used": work.total,
                "contact_timezones": upload.time_zones,
            }
        )

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

    async def created_before(self, new: NewBatch) -> Batch | None:
        """What came of the same request before. Raises Conflict if the key belongs to another one."""
        if new.idempotency_key is None:
            return None
        before = await self._batches.by_idempotency_key(new.account_id, new.idempotency_key)
        if before is None:
            return None
        if before.request_digest != new.request_digest:
            raise Conflict("idempotency_key_reused", key=new.idempotency_key)
        if before.deleted_at is not None:
            raise Conflict("batch_was_deleted", batch_id=before.batch_id)
        return before

    async def _log_ignored(self, batch: Batch) -> None:
        """Say what was accepted without effect: Retell has no pitch."""
        for note in ignored(batch.voice_settings):
            await log_event(self._batches, self._time, batch.batch_id, note.message.code)

    def _batch(self, new: NewBatch, status: BatchStatus) -> Batch:
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
            created_at=now,
            updated_at=now,
        )
