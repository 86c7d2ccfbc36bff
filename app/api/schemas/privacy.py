"""Bodies of /privacy."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from app.api.schemas.common import Instant, Reason, Reply, Request, reason_of
from app.domain.messages import Language, Message
from app.domain.privacy import CopiesLeft, Erasure, Found
from app.services.erasing import Asked, Preview

_Written = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
_AccountId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class NamePerson(Request):
    """Who is meant: by number, by national id, or by both, which leaves others at the same telephone alone.

    A number without country code is one of the account's country.
    """

    account_id: _AccountId
    phone: _Written | None = None
    identifier: _Written | None = Field(default=None, description="The national id (RUT, DNI), in any spelling.")

    def to_asked(self) -> Asked:
        return Asked(self.account_id, self.phone, self.identifier)


class ErasePerson(NamePerson):
    dry_run: bool = Field(default=True, description="true: only count. Nothing is erased unless this is false.")
    never_call_again: bool = Field(
        default=False, description="Leave an entry on the account's do-not-call list that stands for good."
    )


class ErasureState(StrEnum):
    PREVIEW = "preview"
    """Nothing was changed."""
    WORKING = "working"
    """Nobody calls the person any more. What is in progress is waited for; a second look comes after two minutes."""
    COMPLETED = "completed"


class FoundReply(Reply):
    """How much there was, before."""

    jobs: int
    waiting: int = Field(description="Of the jobs, those that were still to be called: they are cancelled.")
    in_call: int = Field(description="Of the jobs, those in a call: it is not cut, and is erased when it is over.")
    series_contacts: int = Field(description="Contacts of recurring batches.")
    upload_rows: int = Field(description="Rows of files that are not batches yet, or can be made one again.")
    webhook_deliveries: int
    test_calls: int = Field(description="To phones of your own, with this person's name and values.")
    do_not_call_entries: int = Field(description="They stand on, and no longer show whom they are about.")
    other_phones: int = Field(description="Numbers besides the one asked for.")
    other_identifiers: int
    shared_jobs: int = Field(description="Of others at one of the numbers, with another id. They are left alone.")


class LeftReply(Reply):
    in_progress: int = Field(description="Calls and imports that are waited for.")
    provider_copies: int = Field(description="Calls that Retell has not deleted yet.")
    elsewhere: int = Field(
        description="Of these, calls that Retell does not know under the present API key, and that were made with "
        "another: they may lie in another workspace, and wait for a key of that."
    )


class ErasureReply(Reply):
    id_: str | None = Field(serialization_alias="_id")
    erasure_id: str | None = Field(description="null: a preview.")
    account_id: str
    status: ErasureState
    never_call_again: bool
    found: FoundReply
    left: LeftReply
    stays: list[Reason] = Field(description="What is kept, and why.")
    requested_by: str | None
    requested_at: Instant | None
    finished_at: Instant | None


def preview_reply(body: ErasePerson, preview: Preview, language: Language) -> ErasureReply:
    return ErasureReply(
        id_=None,
        erasure_id=None,
        account_id=body.account_id,
        status=ErasureState.PREVIEW,
        never_call_again=body.never_call_again,
        found=_found(preview.found),
        left=LeftReply(in_progress=preview.found.in_call, provider_copies=0, elsewhere=0),
        stays=_stays(preview.found, language, never=body.never_call_again, everybodys=preview.everybodys > 0),
        requested_by=None,
        requested_at=None,
        finished_at=None,
    )


def erasure_reply(erasure: Erasure, left: CopiesLeft | None, language: Language) -> ErasureReply:
    copies = left or CopiesLeft()
    return ErasureReply(
        id_=erasure.erasure_id,
        erasure_id=erasure.erasure_id,
        account_id=erasure.account_id,
        status=ErasureState(erasure.status.value),
        never_call_again=erasure.never_call_again,
        found=_found(erasure.found),
        left=LeftReply(in_progress=erasure.left, provider_copies=copies.copies, elsewhere=copies.elsewhere),
        stays=_stays(erasure.found, language, never=erasure.never_call_again, everybodys=not erasure.everybodys_list),
        requested_by=erasure.requested_by,
        requested_at=erasure.requested_at,
        finished_at=erasure.finished_at,
    )


def _found(found: Found) -> FoundReply:
    return FoundReply(
        jobs=found.jobs,
        waiting=found.waiting,
        in_call=found.in_call,
        series_contacts=found.contacts,
        upload_rows=found.upload_rows,
        webhook_deliveries=found.deliveries,
        test_calls=found.test_calls,
        do_not_call_entries=found.do_not_call,
        other_phones=found.other_phones,
        other_identifiers=found.other_ids,
        shared_jobs=found.shared,
    )


def _stays(found: Found, language: Language, *, never: bool, everybodys: bool) -> list[Reason]:
    kept = {
        "erasure_keeps_ledger": True,
        "erasure_keeps_for_ever" if never else "erasure_keeps_for_now": True,
        "erasure_keeps_others": found.shared > 0,
        "erasure_keeps_everybodys_list": everybodys,
        "erasure_keeps_backups": True,
    }
    reasons = [reason_of(Message(code=code), language) for code, is_kept in kept.items() if is_kept]
    return [reason for reason in reasons if reason is not None]
