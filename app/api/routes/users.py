"""/users: who may use Cadencia. For administrators."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from app.api.deps import AdministratorDep, ContainerDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.access import ChangeUser, CreateUser, UserReply, user_reply

router = APIRouter(prefix="/users", tags=["access"])


@router.post("", status_code=HTTPStatus.CREATED, summary="Create a user", responses=problems(400, 404, 409))
async def create_user(
    body: CreateUser, administrator: AdministratorDep, container: ContainerDep, response: Response
) -> UserReply:
    administrator.require_all_accounts()
    user = await container.access.users.create(body.to_new_user())
    response.headers["Location"] = f"/api/v1/users/{user.user_id}"
    return user_reply(user)


@router.get("", summary="List users", responses=problems())
async def list_users(
    administrator: AdministratorDep, container: ContainerDep, page: PageDep, request: Request, response: Response
) -> list[UserReply]:
    administrator.require_all_accounts()
    users, total = await container.access.users.page(limit=page.limit, skip=page.skip)
    announce(request, response, page, total)
    return [user_reply(user) for user in users]


@router.get("/{user_id}", summary="Read a user", responses=problems(404))
async def get_user(user_id: str, administrator: AdministratorDep, container: ContainerDep) -> UserReply:
    administrator.require_all_accounts()
    return user_reply(await container.access.users.get(user_id))


@router.patch("/{user_id}", summary="Change a user", responses=problems(400, 404, 409))
async def change_user(
    user_id: str, body: ChangeUser, administrator: AdministratorDep, container: ContainerDep
) -> UserReply:
    """`is_active: false` locks the user out within seconds. The last administrator stays one."""
    administrator.require_all_accounts()
    return user_reply(await container.access.users.change(user_id, body.to_changes()))
