"""/workers: the processes that place the calls. They are every account's, so no scope sees them."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response

from app.api.deps import AdministratorDep, ContainerDep, PrincipalDep
from app.api.openapi import problems
from app.api.pagination import PageDep, announce
from app.api.schemas.workers import DrainWorker, WorkerReply, worker_reply

router = APIRouter(prefix="/workers", tags=["workers"])

WorkerId = Annotated[str, Path(min_length=1, max_length=200)]


@router.get("", summary="List the workers", responses=problems())
async def list_workers(
    container: ContainerDep, principal: PrincipalDep, page: PageDep, request: Request, response: Response
) -> list[WorkerReply]:
    """Those that run, and those that stopped or were lost in the last day; newest first."""
    principal.require_all_accounts()
    workers, now = await container.workers.list(), container.clock.now()
    announce(request, response, page, len(workers))
    code_version = container.migrator.code_version
    return [worker_reply(worker, now, code_version) for worker in workers[page.skip : page.skip + page.limit]]


@router.put(
    "/{worker_id}/drain", summary="Have a worker stop once its calls are over", responses=problems(400, 404, 409)
)
async def drain_worker(
    worker_id: WorkerId,
    administrator: AdministratorDep,
    container: ContainerDep,
    body: Annotated[DrainWorker | None, Body()] = None,
) -> WorkerReply:
    """Within seconds it takes nothing new, sees the calls that it has to their end, and stops with exit code 0.

    Repeating it is harmless; the earliest end that was asked for counts.
    """
    administrator.require_all_accounts()
    within = (body or DrainWorker()).within
    worker = await container.workers.drain(worker_id, within, user=administrator.name)
    return worker_reply(worker, container.clock.now(), container.migrator.code_version)
