"""/call-settings, /timezones and /use-cases: what helps to set a campaign up. Nothing of it is stored."""

from fastapi import APIRouter, Request, Response

from app.api.deps import ContainerDep, LanguageDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.guides import (
    PreviewWindows,
    TimeZoneReply,
    UseCaseReply,
    WindowsReply,
    time_zone_reply,
    use_case_reply,
    windows_reply,
)
from app.domain.time_zones import time_zone_names
from app.domain.use_cases import USE_CASES

router = APIRouter(tags=["batches"])


@router.post("/call-settings/preview", summary="When these settings would call", responses=problems(400))
async def preview_call_settings(body: PreviewWindows, container: ContainerDep) -> WindowsReply:
    """The next windows, on the clocks of `call_settings.timezone`. Settings are refused as a batch's are."""
    return windows_reply(body, container.clock.now())


@router.get("/timezones", summary="List time zones", responses=problems())
async def list_time_zones(container: ContainerDep) -> list[TimeZoneReply]:
    """Every name that `timezone` may have, in alphabetical order, with the offset of this moment."""
    now = container.clock.now()
    return [time_zone_reply(name, now) for name in time_zone_names()]


@router.get("/use-cases", summary="Ready-made campaigns", responses=problems())
async def list_use_cases(
    language: LanguageDep, page: PageDep, request: Request, response: Response
) -> list[UseCaseReply]:
    """What the contact list needs, a script, and settings to take over or to change."""
    announce(request, response, page, len(USE_CASES))
    return [use_case_reply(use_case, language) for use_case in USE_CASES[page.skip : page.skip + page.limit]]
