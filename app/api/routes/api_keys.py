"""/api-keys: how machines get in. For administrators."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from app.api.deps import AdministratorDep, ContainerDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.access import (
    ApiKeyReply,
    CreateApiKey,
    CreatedApiKeyReply,
    api_key_reply,
    created_api_key_reply,
)

router = APIRouter(prefix="/api-keys", tags=["access"])


@router.post("", status_code=HTTPStatus.CREATED, summary="Create an API key", responses=problems(400, 404))
async def create_api_key(
    body: CreateApiKey, administrator: AdministratorDep, container: ContainerDep
) -> CreatedApiKeyReply:
    """The reply is the only place where the key itself is shown."""
    administrator.require_all_accounts()
    key, text = await container.access.api_keys.create(body.to_new_key(), user=administrator.name)
    return created_api_key_reply(key, text)


@router.get("", summary="List API keys", responses=problems())
async def list_api_keys(
    administrator: AdministratorDep, container: ContainerDep, page: PageDep, request: Request, response: Response
) -> list[ApiKeyReply]:
    administrator.require_all_accounts()
    keys, total = await container.access.api_keys.page(limit=page.limit, skip=page.skip)
    announce(request, response, page, total)
    return [api_key_reply(key) for key in keys]


@router.delete("/{key_id}", summary="Revoke an API key", responses=problems(404))
async def revoke_api_key(key_id: str, administrator: AdministratorDep, container: ContainerDep) -> ApiKeyReply:
    """For good, within seconds. Repeating it is harmless."""
    administrator.require_all_accounts()
    return api_key_reply(await container.access.api_keys.revoke(key_id))
