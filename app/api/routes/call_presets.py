"""/call-presets: what the laws of a country ask for, as settings."""

from fastapi import APIRouter, Request, Response

from app.api.deps import LanguageDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.call_presets import PresetReply, preset_reply
from app.domain.call_presets import PRESETS

router = APIRouter(prefix="/call-presets", tags=["accounts"])


@router.get("", summary="Country presets of caps and hours", responses=problems())
async def list_call_presets(
    language: LanguageDep, page: PageDep, request: Request, response: Response
) -> list[PresetReply]:
    """Nothing of it holds until it is sent with an account's or a batch's settings. Each names its sources."""
    announce(request, response, page, len(PRESETS))
    return [preset_reply(preset, language) for preset in PRESETS[page.skip : page.skip + page.limit]]
