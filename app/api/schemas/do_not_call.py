"""Bodies of /do-not-call."""

from typing import Annotated

from pydantic import Field, StringConstraints

from app.api.schemas.common import FutureInstant, Instant, Reason, Reply, Request, reason_of
from app.api.schemas.uploads import RowIssue, row_issues
from app.domain.do_not_call import DoNotCallEntry, DoNotCallScope, DoNotCallSource
from app.domain.messages import Language
from app.services.do_not_call import Added, Check, Imported, Listing

MAX_PHONES = 10_000
"""More are a file: POST /do-not-call/import."""

EXPIRES_AT = "From then on they may be called again; left out: never."
WrittenPhone = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
ListOwner = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]


class AddNumbers(Request):
    """Numbers without a country code are taken to be from the account's country; the list for all accounts has none."""

    account_id: ListOwner | None = Field(default=None, description="Left out: not to be called by any account.")
    phones: Annotated[list[WrittenPhone], Field(min_length=1, max_length=MAX_PHONES, examples=[["+56912345678"]])]
    reason: Note | None = None
    expires_at: FutureInstant | None = Field(default=None, description=EXPIRES_AT)

    def to_listing(self, user: str) -> Listing:
        return Listing(self.account_id, self.reason, self.expires_at, user)


class EntryReply(Reply):
    id_: str = Field(serialization_alias="_id")
    entry_id: str
    account_id: str | None = Field(description="null: for all accounts.")
    scope: DoNotCallScope
    phone: str | None = Field(description="null if it is a person that is listed, by `national_id`.")
    national_id: str | None
    reason: Reason | None
    source: DoNotCallSource
    expires_at: Instant | None
    created_at: Instant
    created_by: str


class AddedReply(Reply):
    added: int = Field(description="New, or extended.")
    already_there: int
    entries: list[EntryReply] = Field(description="What stands for the numbers now, in their order, each once.")


class ImportReply(Reply):
    success: bool
    total_rows: int
    added: int
    already_there: int
    invalid: int = Field(description="Rows with something that is no number. The others were added.")
    errors: list[RowIssue] = Field(description="The first 200 of them.")


class CheckReply(Reply):
    phone: str
    listed: bool
    until: Instant | None = Field(description="When it may be called again; null: never, or it is not listed.")
    scope: DoNotCallScope | None
    entries: list[EntryReply]


def entry_reply(entry: DoNotCallEntry, language: Language) -> EntryReply:
    return EntryReply(
        id_=entry.entry_id,
        entry_id=entry.entry_id,
        account_id=entry.account_id,
        scope=entry.scope,
        phone=entry.phone,
        national_id=entry.national_id,
        reason=reason_of(entry.reason, language),
        source=entry.source,
        expires_at=entry.expires_at,
        created_at=entry.created_at,
        created_by=entry.created_by,
    )


def added_reply(counts: Added, entries: list[DoNotCallEntry], language: Language) -> AddedReply:
    return AddedReply(
        added=counts.added,
        already_there=counts.already_there,
        entries=[entry_reply(entry, language) for entry in entries],
    )


def import_reply(imported: Imported, language: Language) -> ImportReply:
    return ImportReply(
        success=imported.numbers.numbers > 0,
        total_rows=imported.numbers.total_rows,
        added=imported.counts.added,
        already_there=imported.counts.already_there,
        invalid=imported.numbers.invalid_rows,
        errors=row_issues(imported.numbers.invalid, language),
    )


def check_reply(check: Check, language: Language) -> CheckReply:
    return CheckReply(
        phone=check.phone,
        listed=check.match is not None,
        until=check.match.until if check.match else None,
        scope=check.match.scope if check.match else None,
        entries=[entry_reply(entry, language) for entry in check.entries],
    )
