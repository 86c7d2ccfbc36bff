"""What routes ask for, as annotated dependencies."""

from typing import Annotated

from fastapi import Depends, Header, Request

from app.api.lifecycle import Runtime
from app.api.problems import request_language
from app.bootstrap import Container
from app.domain.errors import DatabaseUnavailable
from app.domain.messages import Language

USER = "api"
"""Who a change by request is logged as, until requests are authenticated."""


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _container(runtime: Annotated[Runtime, Depends(_runtime)]) -> Container:
    if not runtime.is_ready:
        # Before its indexes exist, nothing keeps two requests of one idempotency key apart.
        raise DatabaseUnavailable
    return runtime.container


def _language(request: Request) -> Language:
    return request_language(request)


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
ContainerDep = Annotated[Container, Depends(_container)]
LanguageDep = Annotated[Language, Depends(_language)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="The same key with the same request is carried out once; with another request it is refused.",
    ),
]
