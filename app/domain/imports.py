"""An import: contacts on their way from an upload into a batch, and out of it again if somebody undoes that.

While somebody works on it, it stands in the batch's own document (`Batch.current_import`), so that batch and import
never disagree, and a batch has one at a time. Its copy among all imports is written before it leaves there.
"""

from collections.abc import Iterable
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


LEFT_OUT_ROWS = 200
LEFT_OUT_IMPORTS = 200
"""An import is a document, and while it is under way a part of another one."""


class LeftOut(BaseModel):
    """Rows of a list that were left out because their persons had come into a batch with an import."""

    model_config = ConfigDict(frozen=True)

    batch_id: str
    import_id: str | None = None
    """None of contacts older than imports."""
    rows: int
    first_rows: list[int]
    """As the spreadsheet numbers them; over all imports the first LEFT_OUT_ROWS."""


class LeftOutRow(NamedTuple):
    """A row, and where its person is."""

    row_number: int
    batch_id: str
    import_id: str | None = None


def with_left_out(known: Iterable[LeftOut], rows: Iterable[LeftOutRow]) -> list[LeftOut]:
    """`known` and `rows` counted together, by import in the order in which they came; the first LEFT_OUT_IMPORTS."""
    found = {(left.batch_id, left.import_id): left for left in known}
    more: dict[tuple[str, str | None], list[int]] = {}
    for row_number, batch_id, import_id in rows:
        more.setdefault((batch_id, import_id), []).append(row_number)
    room = LEFT_OUT_ROWS - sum(len(left.first_rows) for left in found.values())
    for (batch_id, import_id), numbers in more.items():
        before = found.get((batch_id, import_id))
        if before is None and len(found) == LEFT_OUT_IMPORTS:
            continue
        named, room = numbers[:room], max(room - len(numbers), 0)
        found[batch_id, import_id] = LeftOut(
            batch_id=batch_id,
            import_id=import_id,
            rows=len(numbers) + (before.rows if before else 0),
            first_rows=[*(before.first_rows if before else ()), *named],
        )
    return list(found.values())


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
    left_out: list[LeftOut] = []
    """Those of them, and who was left out before the import began, that an import is the reason of: whoever undoes
    that one is told. Not the list's own duplicates."""
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
