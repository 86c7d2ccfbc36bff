"""/audit-log: who changed what. For administrators."""

from fastapi import APIRouter, Request, Response

from app.api.deps import AdministratorDep, ContainerDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.access import AuditEntryReply, audit_entry_reply

router = APIRouter(prefix="/audit-log", tags=["access"])


@router.get("", summary="Who changed what", responses=problems())
async def list_audit_log(
    administrator: AdministratorDep,
    container: ContainerDep,
    page: PageDep,
    request: Request,
    response: Response,
    account_id: str | None = None,
    user: str | None = None,
) -> list[AuditEntryReply]:
    """Every request that was not a mere reading, also those that were refused; newest first."""
    if account_id is None:
        administrator.require_all_accounts()
    entries, total = await container.access.audit_log.page(
        account_id=account_id, user=user, limit=page.limit, skip=page.skip
    )
    announce(request, response, page, total)
    return [audit_entry_reply(entry) for entry in entries]
