"""/auth: logging in, staying so, and out."""

from http import HTTPStatus

from fastapi import APIRouter, Request

from app.api.authentication import address_of
from app.api.deps import ContainerDep, PrincipalDep
from app.api.openapi import problems
from app.api.schemas.access import ChangePassword, Login, Refresh, SessionReply, UserReply, session_reply, user_reply
from app.domain.access import PrincipalKind
from app.domain.errors import Conflict

router = APIRouter(prefix="/auth", tags=["access"])
open_router = APIRouter(prefix="/auth", tags=["access"])
"""What needs no token."""


@open_router.post("/login", summary="Log in", responses=problems(400, 401, 429))
async def log_in(body: Login, container: ContainerDep, request: Request) -> SessionReply:
    """After a few wrong passwords the next try has to wait."""
    session = await container.access.sessions.log_in(body.email, body.password.get_secret_value(), address_of(request))
    return session_reply(session)


@open_router.post("/refresh", summary="Get a new pair of tokens", responses=problems(400, 401))
async def refresh_session(body: Refresh, container: ContainerDep) -> SessionReply:
    """A refresh token is good for one use. One that comes a second time ends the session it belongs to."""
    return session_reply(await container.access.sessions.refresh(body.refresh_token.get_secret_value()))


@open_router.post("/logout", status_code=HTTPStatus.NO_CONTENT, summary="Log out", responses=problems(400))
async def log_out(body: Refresh, container: ContainerDep) -> None:
    """The refresh token is good for nothing from here on; the access token runs out by itself, in minutes."""
    await container.access.sessions.log_out(body.refresh_token.get_secret_value())


@router.get("/me", summary="Who am I?", responses=problems(409))
async def get_me(principal: PrincipalDep, container: ContainerDep) -> UserReply:
    if principal.kind is not PrincipalKind.USER:
        raise Conflict("not_a_user")
    return user_reply(await container.access.users.get(principal.id))


@router.post(
    "/password", status_code=HTTPStatus.NO_CONTENT, summary="Change my password", responses=problems(400, 401, 409, 429)
)
async def change_password(
    body: ChangePassword, principal: PrincipalDep, container: ContainerDep, request: Request
) -> None:
    """Ends all of the user's sessions."""
    if principal.kind is not PrincipalKind.USER:
        raise Conflict("not_a_user")
    await container.access.sessions.log_in(
        principal.name, body.current_password.get_secret_value(), address_of(request)
    )
    await container.access.users.change(principal.id, {"password": body.new_password.get_secret_value()})
