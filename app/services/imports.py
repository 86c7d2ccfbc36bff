"""Use cases of imports: add contacts to a batch that exists, see what was added, undo it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.domain.batches import Batch, BatchStatus
from app.domain.errors import Conflict, NotFound
from app.domain.imports import IMPORT_LEASE, Import, ImportStatus
from app.domain.ports import Batches, Imports, Time, Uploads
from app.domain.uploads import Upload
from app.services.ids import new_id
from app.services.import_tasks import ImportTasks
from app.services.importing import undoing_of
from app.services.usable_uploads import named_upload, refuse_missing_variables, zones_with

HOLD = timedelta(days=7)
"""How long an upload is kept for its import at least. If no process lived for so long, the import is taken back."""
TRIES = 20
"""A batch that runs changes many times a second."""
_OPEN = frozenset({BatchStatus.DRAFT, BatchStatus.SCHEDULED, BatchStatus.RUNNING, BatchStatus.PAUSED})


@dataclass(frozen=True)
class NewContacts:
    """What to add to a batch."""

    upload_id: str
    allow_duplicates: bool = False
    """Whether a person that is in the batch already, or twice in the upload, is added all the same."""
    allow_missing_variables: bool = False
    extra_fields: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    request_digest: str = ""


class ImportService:
    def __init__(self, batches: Batches, imports: Imports, uploads: Uploads, tasks: ImportTasks, time: Time) -> None:
        self._batches = batches
        self._imports = imports
        self._uploads = uploads
        self._tasks = tasks
        self._time = time

    async def get(self, batch_id: str, import_id: str) -> Import:
        """As it stands now. Raises NotFound."""
        return await self._saved(await self._batch(batch_id), import_id)

    async def owner(self, import_id: str) -> str:
        """Whose account it is of. Raises NotFound."""
        saved = await self._imports.get(import_id)
        if saved is None:
            raise NotFound("import_not_found", import_id=import_id)
        return saved.account_id

    async def page(self, batch_id: str, *, limit: int, skip: int) -> tuple[list[Import], int]:
        """The batch's imports, newest first, and how many there are. Raises NotFound."""
        batch = await self._batch(batch_id)
        found, total = await self._imports.page(batch_id, limit=limit, skip=skip)
        return [self._live(saved, batch) for saved in found], total

    async def skipped_by(self, works: Sequence[Import]) -> dict[str, list[Import]]:
        """Other imports that left rows out for these, by the id of each of these."""
        found: dict[str, list[Import]] = {work.import_id: [] for work in works}
        for later in await self._imports.that_left_out(list(found)):
            for left in later.left_out:
                if left.import_id in found:
                    found[left.import_id].append(later)
        return found

    async def added_before(self, batch_id: str, key: str | None, digest: str) -> Import | None:
        """What came of the same request before. Raises NotFound, and Conflict if the batch takes no contacts now, or
        the key belongs to another request."""
        batch = await self._batch(batch_id)
        return await self._added_before(batch, key, digest)

    async def add(self, batch_id: str, new: NewContacts, *, user: str) -> Import:
        """Write the upload's contacts into the batch: at once, or, if they are many, after the answer.

        A draft starts then, a completed batch goes on; a paused one stays so. Raises NotFound (batch, upload),
        InvalidInput, Conflict (another import is under way, or the batch is over for good).
        """
        batch = await self._batch(batch_id)
        upload: Upload | None = None
        for _ in range(TRIES):
            before = await self._added_before(batch, new.idempotency_key, new.request_digest)
            if before is not None:
                return before
            if upload is None:
                upload = await self._usable(batch, new)
            begun = await self._begin(batch, upload, new, user)
            if begun is not None and begun.current_import is not None:
                await self._tasks.run(begun)
                return await self._now(begun.current_import)
            batch = await self._batch(batch_id)
        raise Conflict("batch_changed_meanwhile")

    async def undo(self, batch_id: str, import_id: str, *, user: str) -> Import:
        """Take the import's contacts out of the batch again, but for those that somebody was called for; and these are
        not called any more. Repeating it is harmless.

        Raises NotFound, Conflict (another import is under way).
        """
        for _ in range(TRIES):
            batch = await self._batch(batch_id)
            work = await self._saved(batch, import_id)
            if work.status in {ImportStatus.UNDOING, ImportStatus.UNDONE, ImportStatus.FAILED}:
                return work
            self._refuse_other_import(batch, import_id)
            undoing = undoing_of(work, self._time.now() + IMPORT_LEASE, by=user)
            begun = await self._imports.begin_undo(batch, undoing, batch.current_import)
            if begun is not None:
                await self._tasks.run(begun)
                return await self._now(undoing)
        raise Conflict("batch_changed_meanwhile")

    async def _usable(self, batch: Batch, new: NewContacts) -> Upload:
        upload = await named_upload(self._uploads, new.upload_id, batch.account_id)
        if not new.allow_missing_variables:
            refuse_missing_variables(upload, batch.script_content, new.extra_fields)
        zones_with(upload, batch.contact_timezones, "file")
        if await self._uploads.hold(new.upload_id, self._time.now() + HOLD) is None:
            raise NotFound("upload_not_found", upload_id=new.upload_id)
        return upload

    async def _begin(self, batch: Batch, upload: Upload, new: NewContacts, user: str) -> Batch | None:
        now = self._time.now()
        work = import_of(
            upload,
            batch,
            import_id=new_id("import"),
            user=user,
            skip_duplicates=not new.allow_duplicates,
            extra_fields=dict(new.extra_fields),
            idempotency_key=new.idempotency_key,
            request_digest=new.request_digest if new.idempotency_key else None,
            lease_until=now + IMPORT_LEASE,
            started_at=now,
        )
        changes: dict[str, Any] = {
            "contact_timezones": zones_with(upload, batch.contact_timezones, "file"),
            "updated_at": now,
        }
        status = batch.status
        if status is BatchStatus.DRAFT:
            status = BatchStatus.IMPORTING
        elif status is BatchStatus.COMPLETED:
            status = BatchStatus.RUNNING
            changes |= {"finished_at": None, "wake_at": now}
        return await self._imports.begin(batch, work, status, changes)

    async def _added_before(self, batch: Batch, key: str | None, digest: str) -> Import | None:
        """The batch was read first: an import is in it until its copy is saved."""
        if key is not None:
            current = batch.current_import
            ours = current is not None and current.idempotency_key == key
            before = current if ours else await self._imports.by_key(batch.batch_id, key)
            if before is not None:
                if before.request_digest != digest:
                    raise Conflict("idempotency_key_reused", key=key)
                return before
        if batch.test_of is not None:
            raise Conflict("test_call_happens_once")
        self._refuse_other_import(batch, None)
        is_over_series = batch.status is BatchStatus.COMPLETED and batch.recurrence is not None
        if batch.status not in _OPEN | {BatchStatus.COMPLETED} or is_over_series:
            raise Conflict("batch_not_changeable", status=batch.status.value)
        return None

    def _refuse_other_import(self, batch: Batch, import_id: str | None) -> None:
        current = batch.current_import
        if current is not None and current.import_id != import_id:
            raise Conflict("import_in_progress", import_id=current.import_id)

    async def _saved(self, batch: Batch, import_id: str) -> Import:
        """The batch's own is newer than the copy."""
        current = batch.current_import
        saved = current if current and current.import_id == import_id else await self._imports.get(import_id)
        if saved is None or saved.batch_id != batch.batch_id:
            raise NotFound("import_not_found", import_id=import_id)
        return saved

    async def _now(self, work: Import) -> Import:
        batch = await self._batches.get(work.batch_id)
        return self._live(await self._imports.get(work.import_id) or work, batch)

    def _live(self, saved: Import, batch: Batch | None) -> Import:
        current = batch.current_import if batch is not None else None
        return current if current is not None and current.import_id == saved.import_id else saved

    async def _batch(self, batch_id: str) -> Batch:
        batch = await self._batches.get(batch_id)
        if batch is None or batch.deleted_at is not None:
            raise NotFound("batch_not_found", batch_id=batch_id)
        return batch


def import_of(upload: Upload, batch: Batch, **more: Any) -> Import:
    """The plan of an import of the upload's contacts, behind those that the batch has."""
    return Import(
        batch_id=batch.batch_id,
        account_id=batch.account_id,
        upload_id=upload.upload_id,
        filename=upload.filename,
        total=upload.contact_count,
        first_number=max(batch.numbers_used, batch.total_jobs) + 1,
        counted=upload.contact_count,
        left_out=upload.left_out,
        **more,
    )
