"""What routes ask for, as annotated dependencies.

All of them are coroutines, though none waits for anything: FastAPI runs a plain function in a thread, and six such
trips cost a request more than a query of MongoDB does.
"""

from typing import Annotated

from fastapi import Depends, Header, Request

from app.api.lifecycle import Runtime
from app.api.problems import request_language
from app.bootstrap import Container
from app.domain.access import Permission, Principal
from app.domain.messages import Language


async def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


async def _container(runtime: Annotated[Runtime, Depends(_runtime)]) -> Container:
    if not runtime.is_ready:
        # Before its indexes exist, nothing keeps two requests of one idempotency key apart.
        raise runtime.waits_for
    return runtime.container


async def _language(request: Request) -> Language:
    return request_language(request)


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


async def _administrator(principal: Annotated[Principal, Depends(_principal)]) -> Principal:
    principal.require(Permission.ADMINISTER)
    return principal


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
ContainerDep = Annotated[Container, Depends(_container)]
LanguageDep = Annotated[Language, Depends(_language)]
PrincipalDep = Annotated[Principal, Depends(_principal)]
"""Whoever asks; that they may, and that every id in the address is theirs to see, app.api.authorisation has checked."""
AdministratorDep = Annotated[Principal, Depends(_administrator)]
"""The same, of whom the route demands to be an administrator."""
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="The same key with the same request is carried out once; with another request it is refused.",
    ),
]
