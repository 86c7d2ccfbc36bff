"""/batches/script: what an agent would say. Nothing of it is stored, nobody is called."""

from fastapi import APIRouter

from app.api.deps import ContainerDep, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.schemas.scripts import PreviewScript, ScriptPreviewReply, script_preview_reply

router = APIRouter(prefix="/batches/script", tags=["batches"])


@router.post("/preview", summary="A script as the agent would get it", responses=problems(400, 404, 413))
async def preview_script(
    body: PreviewScript, container: ContainerDep, language: LanguageDep, principal: PrincipalDep
) -> ScriptPreviewReply:
    """Rendered for sample contacts, with what it lacks, what is sent under another name, and what becomes of the
    `voice_settings`. A language that the voice provider does not speak is refused, as `POST /batches` does.
    """
    principal.require_account(body.account_id)
    return script_preview_reply(body, await container.script_preview.preview(body.to_order()), language)
