"""What routes ask for, as annotated dependencies."""

from typing import Annotated

from fastapi import Depends, Header, Request

from app.api.lifecycle import Runtime
from app.api.problems import request_language
from app.bootstrap import Container
from app.domain.access import Permission, Principal
from app.domain.messages import Language


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _container(runtime: Annotated[Runtime, Depends(_runtime)]) -> Container:
    if not runtime.is_ready:
        # Before its indexes exist, nothing keeps two requests of one idempotency key apart.
        raise runtime.waits_for
    return runtime.container


def _language(request: Request) -> Language:
    return request_language(request)


def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


def _administrator(principal: Annotated[Principal, Depends(_principal)]) -> Principal:
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
