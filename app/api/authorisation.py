"""What whoever asks may do, decided for every route at once: by the method, and by the ids in the address.

A route is never forgotten: an id in a path that OWNERS does not know is refused to whoever does not see all accounts.
"""

from collections.abc import Awaitable, Callable
from http import HTTPMethod

from fastapi import Request

from app.api.deps import ContainerDep, PrincipalDep
from app.bootstrap import Container
from app.domain.access import Permission, Principal
from app.domain.errors import NotFound

SAFE = frozenset({HTTPMethod.GET, HTTPMethod.HEAD})
ONLY_COMPUTING = frozenset({"preview_call_settings", "preview_script", "create_events_ticket"})
"""Operations with a body that change nothing all the same."""


async def authorise(request: Request, principal: PrincipalDep, container: ContainerDep) -> None:
    """Raises Forbidden for the role, and NotFound, as if it were not there, for what is out of scope."""
    reads = request.method in SAFE or request.scope["route"].name in ONLY_COMPUTING
    principal.require(Permission.READ if reads else Permission.OPERATE)
    if principal.account_ids is None:
        return
    for name, value in request.path_params.items():
        await _require_visible(name, str(value), principal, container, request)
    for name in OWNERS:
        for value in request.query_params.getlist(name):
            await _require_visible(name, value, principal, container, request)


async def _require_visible(name: str, value: str, principal: Principal, container: Container, request: Request) -> None:
    if name not in OWNERS:
        principal.require_all_accounts()
        return
    code, owner_of = OWNERS[name]
    account_id = await owner_of(container, value)
    if not principal.sees(account_id):
        raise NotFound(code, **{name: value})
    request.state.account_id = account_id


async def _itself(_: Container, account_id: str) -> str:
    return account_id


async def _batch(container: Container, batch_id: str) -> str:
    return await container.batches.account_of(batch_id)


async def _job(container: Container, job_id: str) -> str:
    return (await container.jobs.get(job_id)).job.account_id


async def _do_not_call_entry(container: Container, entry_id: str) -> str | None:
    return (await container.do_not_call.get(entry_id)).account_id


async def _erasure(container: Container, erasure_id: str) -> str:
    return (await container.privacy.erasing.get(erasure_id)).account_id


async def _import(container: Container, import_id: str) -> str:
    return await container.imports.owner(import_id)


async def _upload(container: Container, upload_id: str) -> str:
    return (await container.uploads.get(upload_id)).account_id


async def _webhook(container: Container, webhook_id: str) -> str:
    return await container.webhooks.owner_of(webhook_id)


async def _delivery(container: Container, delivery_id: str) -> str:
    return await container.webhooks.owner_of_delivery(delivery_id)


OWNERS: dict[str, tuple[str, Callable[[Container, str], Awaitable[str | None]]]] = {
    "account_id": ("account_not_found", _itself),
    "batch_id": ("batch_not_found", _batch),
    "job_id": ("job_not_found", _job),
    "import_id": ("import_not_found", _import),
    "upload_id": ("upload_not_found", _upload),
    "webhook_id": ("webhook_not_found", _webhook),
    "delivery_id": ("delivery_not_found", _delivery),
    "erasure_id": ("erasure_not_found", _erasure),
    "entry_id": ("do_not_call_entry_not_found", _do_not_call_entry),
}
"""By the parameter's name: the code of the problem, and how the account is found that the object belongs to."""
