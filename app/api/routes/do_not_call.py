"""/do-not-call: numbers that are not to be called, by one account or by any."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile

from app.api.deps import ContainerDep, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.received_files import received
from app.api.schemas.common import FutureInstant
from app.api.schemas.do_not_call import (
    EXPIRES_AT,
    AddedReply,
    AddNumbers,
    CheckReply,
    EntryReply,
    ImportReply,
    ListOwner,
    Note,
    WrittenPhone,
    added_reply,
    check_reply,
    entry_reply,
    import_reply,
)
from app.domain.access import Permission, Principal
from app.services.do_not_call import Listing

router = APIRouter(prefix="/do-not-call", tags=["do-not-call"])


@router.get("", summary="List what is not to be called", responses=problems(404))
async def list_do_not_call(
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    page: PageDep,
    request: Request,
    response: Response,
    account_id: str | None = None,
    phone: Annotated[WrittenPhone | None, Query()] = None,
) -> list[EntryReply]:
    """Of all lists, or of one account's own. Expired entries are shown too."""
    if account_id is None:
        principal.require_all_accounts()
    entries, total = await container.do_not_call.page(
        account_id=account_id, phone=phone, limit=page.limit, skip=page.skip
    )
    announce(request, response, page, total)
    return [entry_reply(entry, language) for entry in entries]


@router.post("", summary="Add numbers", responses=problems(400, 404))
async def add_do_not_call(
    body: AddNumbers, container: ContainerDep, language: LanguageDep, principal: PrincipalDep
) -> AddedReply:
    """All or none. Repeating it is harmless: an entry that is there stays, unless the new one stands longer.

    It holds at once, also for jobs that are about to be dialed; calls in progress end by themselves.
    """
    _require_list(principal, body.account_id)
    counts, entries = await container.do_not_call.add(body.to_listing(principal.name), body.phones)
    return added_reply(counts, entries, language)


@router.post("/import", summary="Add the numbers of a file", responses=problems(400, 404, 413))
async def import_do_not_call(
    file: UploadFile,
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    account_id: Annotated[ListOwner | None, Form(description="Left out: not to be called by any account.")] = None,
    reason: Annotated[Note | None, Form()] = None,
    expires_at: Annotated[FutureInstant | None, Form(description=EXPIRES_AT)] = None,
) -> ImportReply:
    """An .xlsx, .xls, .ods or .csv with a column of numbers, or with one column only. Repeating it is harmless."""
    _require_list(principal, account_id)
    listing = Listing(account_id, reason, expires_at, principal.name)
    async with received(file, container.settings.max_upload_megabytes) as path:
        imported = await container.do_not_call.import_file(listing, path, (file.filename or "")[:200])
    return import_reply(imported, language)


@router.get("/check", summary="May an account call a number?", responses=problems(404))
async def check_do_not_call(
    account_id: str, phone: WrittenPhone, container: ContainerDep, language: LanguageDep
) -> CheckReply:
    """By the account's own list and the one for all."""
    return check_reply(await container.do_not_call.check(account_id, phone), language)


@router.delete(
    "/{entry_id}", status_code=HTTPStatus.NO_CONTENT, summary="Take an entry off its list", responses=problems(404)
)
async def remove_do_not_call(entry_id: str, container: ContainerDep, principal: PrincipalDep) -> None:
    """Jobs that waited for it to expire are called.

    Those that ended because of it stay as they are; they can be retried.
    """
    _require_list(principal, (await container.do_not_call.get(entry_id)).account_id)
    await container.do_not_call.remove(entry_id, user=principal.name)


def _require_list(principal: Principal, account_id: str | None) -> None:
    """An account's own list is for its operators, the one for all accounts for administrators of all."""
    if account_id is not None:
        principal.require_account(account_id)
        return
    principal.require(Permission.ADMINISTER)
    principal.require_all_accounts()
