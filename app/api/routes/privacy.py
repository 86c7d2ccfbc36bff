"""/privacy: what a person may ask for about their own data. For administrators."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.api.deps import AdministratorDep, ContainerDep, LanguageDep
from app.api.downloads import Download
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.privacy import ErasePerson, ErasureReply, NamePerson, erasure_reply, preview_reply
from app.services.person_export import SECTIONS

router = APIRouter(prefix="/privacy", tags=["privacy"])

JSON_FILE = "application/json"
_EXAMPLE = {
    "exported_at": "2025-10-24T10:00:00Z",
    "account_id": "acc-chile-001",
    "phones": ["+56912345678"],
    "identifiers": ["id:123456785"],
    **{section: [] for section in SECTIONS},
}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {JSON_FILE: {"schema": {"type": "object"}, "example": _EXAMPLE}}}
}


@router.post("/erasures", summary="Erase one person", responses=problems(400, 404, 409))
async def erase_person(
    body: ErasePerson, administrator: AdministratorDep, container: ContainerDep, language: LanguageDep
) -> ErasureReply:
    """Unless `dry_run` is false, only counts. From the answer on nobody calls the person; what is in progress is erased
    when it is over, also if this process dies. Repeating it is harmless.

    States, times and costs of the calls stay, and so does the ledger: `stays` says what and why. At Retell the calls
    are deleted too.
    """
    administrator.require_account(body.account_id)
    everybodys_list = administrator.account_ids is None
    if body.dry_run:
        preview = await container.privacy.erasing.preview(body.to_asked(), everybodys_list=everybodys_list)
        return preview_reply(body, preview, language)
    erasure = await container.privacy.erasing.begin(
        body.to_asked(),
        never_call_again=body.never_call_again,
        everybodys_list=everybodys_list,
        user=administrator.name,
    )
    left = await container.privacy.copies.left([erasure.erasure_id])
    return erasure_reply(erasure, left.get(erasure.erasure_id), language)


@router.get("/erasures", summary="List erasures", responses=problems(404))
async def list_erasures(
    administrator: AdministratorDep,
    container: ContainerDep,
    language: LanguageDep,
    page: PageDep,
    request: Request,
    response: Response,
    account_id: Annotated[str | None, Query(max_length=200)] = None,
) -> list[ErasureReply]:
    """Newest first. None says whom it was about."""
    erasures, total = await container.privacy.erasures.page(
        account_ids=administrator.visible(account_id), limit=page.limit, skip=page.skip
    )
    announce(request, response, page, total)
    left = await container.privacy.copies.left([erasure.erasure_id for erasure in erasures])
    return [erasure_reply(erasure, left.get(erasure.erasure_id), language) for erasure in erasures]


@router.get("/erasures/{erasure_id}", summary="Read an erasure", responses=problems(404))
async def get_erasure(
    erasure_id: str, _: AdministratorDep, container: ContainerDep, language: LanguageDep
) -> ErasureReply:
    """How far it is."""
    erasure = await container.privacy.erasing.get(erasure_id)
    left = await container.privacy.copies.left([erasure_id])
    return erasure_reply(erasure, left.get(erasure_id), language)


@router.post(
    "/export",
    summary="Everything that is stored about one person",
    response_class=Response,
    responses={**_EXPORT, **problems(400, 404, 409)},
)
async def export_person(body: NamePerson, administrator: AdministratorDep, container: ContainerDep) -> Response:
    """A JSON object with a list for each place: jobs with their calls, transcripts and links, what test calls to other
    phones say of the person, contacts of series, rows of uploads, webhooks sent, do-not-call entries, and who changed
    one of the jobs. Not in an address, so that no log shows the number. Sent while it is read: a connection that ends
    without the last chunk is half a file.
    """
    administrator.require_account(body.account_id)
    name, blocks = await container.privacy.export.file(body.to_asked())
    return Download(name, JSON_FILE, blocks)
