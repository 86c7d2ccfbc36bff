"""/from-numbers: our own numbers whose calls end badly. They are every account's, so no scope sees them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.api.deps import ContainerDep, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.from_numbers import FromNumberReply, from_number_reply

router = APIRouter(prefix="/from-numbers", tags=["from-numbers"])

Number = Annotated[str, Path(min_length=1, max_length=40, description="As calls name it, such as +56226000000.")]


@router.get("", summary="List the numbers under suspicion", responses=problems())
async def list_from_numbers(
    container: ContainerDep,
    language: LanguageDep,
    principal: PrincipalDep,
    page: PageDep,
    request: Request,
    response: Response,
) -> list[FromNumberReply]:
    """Those whose last calls ended badly, and those that rest because of it. All others are in good standing."""
    principal.require_all_accounts()
    suspects, now = await container.from_numbers.suspects(), container.clock.now()
    announce(request, response, page, len(suspects))
    shown = suspects[page.skip : page.skip + page.limit]
    return [from_number_reply(suspect, now, language) for suspect in shown]


@router.post("/{from_number}/reset", summary="Call from a number again", responses=problems(404))
async def reset_from_number(
    from_number: Number, container: ContainerDep, language: LanguageDep, principal: PrincipalDep
) -> FromNumberReply:
    """As if nothing had been: once the trunk is mended, or the label is gone. Its batches go on at once."""
    principal.require_all_accounts()
    number = await container.from_numbers.reset(from_number, user=principal.name)
    return from_number_reply(number, container.clock.now(), language)
