"""An import: contacts on their way from an upload into a batch, and out of it again if somebody undoes that.

While somebody works on it, it stands in the batch's own document (`Batch.current_import`), so that batch and import
never disagree, and a batch has one at a time. Its copy among all imports is written before it leaves there.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from app.domain.contacts import ContactRow
from app.domain.messages import Message

IMPORT_LEASE = timedelta(minutes=1)
"""How long whoever works on an import may be silent before somebody else goes on with it."""


class ImportStatus(StrEnum):
    """Who moves an import out of each status. A crash leaves it as it is; any worker goes on with it."""

    IMPORTING = "importing"
    """Contacts are being written. Whoever holds it ends it; an operator may undo it."""
    COMPLETED = "completed"
    """All its contacts are in the batch. An operator may undo it."""
    UNDOING = "undoing"
    """Its contacts are being taken out again, because somebody wanted that, or because it failed (`reason`)."""
    UNDONE = "undone"
    """Final: an operator took it back."""
    FAILED = "failed"
    """Final: it could not be completed, and was taken back."""
    STOPPED = "stopped"
    """Final: the batch was cancelled meanwhile."""

    @property
    def is_under_way(self) -> bool:
        return self in {ImportStatus.IMPORTING, ImportStatus.UNDOING}


class Import(BaseModel):
    """The whole plan, and how far it is."""

    model_config = ConfigDict(frozen=True)

    import_id: str
    batch_id: str
    account_id: str
    upload_id: str
    filename: str
    user: str
    status: ImportStatus = ImportStatus.IMPORTING
    total: int
    """Contacts of the upload."""
    first_number: int
    """Of the upload's first contact in the batch; `total` numbers from here on are this import's and nobody else's."""
    skip_duplicates: bool = False
    """Whether a person that is in the batch already, or came earlier in the upload, is left out."""
    extra_fields: dict[str, str] = {}
    """Custom fields that every contact gets."""
    idempotency_key: str | None = None
    request_digest: str | None = None
    piece: int = 0
    """The next piece of the upload to be written."""
    handled: int = 0
    """Contacts from the upload's start that were dealt with; of an undoing, those that were taken out."""
    written: int = 0
    skipped: int = 0
    """Duplicates."""
    counted: int = 0
    """Its share of the batch's `total_jobs`."""
    kept: int | None = None
    """Of one that was undone, contacts whose jobs stay, because somebody was called."""
    undone_by: str | None = None
    reason: Message | None = None
    """Why it failed."""
    fence: int = 1
    """Raised whenever it changes hands, so that who held it before cannot go on."""
    lease_until: datetime | None = None
    started_at: datetime
    finished_at: datetime | None = None

    @property
    def percent(self) -> float:
        return round(100 * self.handled / self.total, 1) if self.total else 100.0

    @property
    def removed(self) -> int | None:
        """Of one that was undone, the contacts that are gone."""
        return None if self.kept is None or self.status.is_under_way else self.written - self.kept


class NumberedContact(NamedTuple):
    """A contact under its number in the batch, from which its job's id is made."""

    number: int
    row: ContactRow
    import_id: str | None = None
    """Of a series' contact, the import that it came with."""


class KnownPerson(NamedTuple):
    """Somebody who is in a batch, by the number and the import of the contact."""

    number: int
    import_id: str | None
    person_keys: list[str]
