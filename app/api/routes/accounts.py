"""/accounts: customers and their money."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.deps import AdministratorDep, ContainerDep, IdempotencyKey, LanguageDep, PrincipalDep
from app.api.openapi import problems
from app.api.pagination import CursorPageDep, PageDep, announce, announce_places
from app.api.schemas.account_replies import (
    AccountReply,
    BalanceReply,
    StatsReply,
    TopUpReply,
    TransactionReply,
    account_reply,
    balance_reply,
    stats_reply,
    topup_reply,
    transaction_reply,
)
from app.api.schemas.accounts import ChangeAccount, CreateAccount, TopUp
from app.api.schemas.batch_replies import BatchReply, batch_reply
from app.api.schemas.common import AnyCase
from app.api.searching import NamePart, SortDep, named
from app.domain.batches import BatchStatus
from app.domain.money import Pricing
from app.domain.reading import Place
from app.domain.searching import AgeSort, NameSort
from app.domain.transactions import TransactionType

router = APIRouter(prefix="/accounts", tags=["accounts"])


@router.post("", status_code=HTTPStatus.CREATED, summary="Create an account", responses=problems(400, 409))
async def create_account(
    body: CreateAccount, administrator: AdministratorDep, container: ContainerDep, response: Response
) -> AccountReply:
    """With the initial credits or minutes of its plan as its balance. For administrators."""
    administrator.require_all_accounts()
    settings = container.settings
    default = Pricing(
        cost_per_minute=settings.cost_per_minute,
        credits_per_minute=settings.credits_per_minute,
        billing_increment_seconds=settings.billing_increment_seconds,
    )
    account = await container.accounts.create(body.to_new_account(default))
    response.headers["Location"] = f"/api/v1/accounts/{account.account_id}"
    return account_reply(account, container.privacy.retention)


@router.get("", summary="List accounts", responses=problems())
async def list_accounts(
    container: ContainerDep,
    principal: PrincipalDep,
    page: PageDep,
    request: Request,
    response: Response,
    q: NamePart = None,
    sort: SortDep = NameSort.NEWEST,
) -> list[AccountReply]:
    accounts, total = await container.accounts.page(
        account_ids=principal.visible(None), limit=page.limit, skip=page.skip, sort=sort, search=named(q)
    )
    announce(request, response, page, total)
    return [account_reply(account, container.privacy.retention) for account in accounts]


@router.get("/{account_id}", summary="Read an account", responses=problems(404))
async def get_account(account_id: str, container: ContainerDep) -> AccountReply:
    return account_reply(await container.accounts.get(account_id), container.privacy.retention)


@router.patch("/{account_id}", summary="Change an account", responses=problems(400, 404))
async def change_account(
    account_id: str, body: ChangeAccount, _: AdministratorDep, container: ContainerDep
) -> AccountReply:
    """Any subset of the fields. Suspending stops new calls; a lower `max_concurrent_calls` lets calls end.

    For administrators.
    """
    changed = await container.accounts.change(account_id, body.to_changes())
    return account_reply(changed, container.privacy.retention)


@router.get("/{account_id}/balance", summary="What is left, and how fast it goes", responses=problems(404))
async def get_account_balance(account_id: str, container: ContainerDep) -> BalanceReply:
    return balance_reply(await container.accounts.balance(account_id))


@router.get("/{account_id}/stats", summary="An account in numbers", responses=problems(404))
async def get_account_stats(account_id: str, container: ContainerDep) -> StatsReply:
    return stats_reply(account_id, await container.accounts.stats(account_id))


@router.post("/{account_id}/topup", summary="Add credits or minutes", responses=problems(400, 404, 409))
async def top_up_account(
    account_id: str,
    body: TopUp,
    _: AdministratorDep,
    container: ContainerDep,
    language: LanguageDep,
    idempotency_key: IdempotencyKey = None,
) -> TopUpReply:
    """In the unit of the account's plan. Batches that waited for balance go on at once.

    For administrators.
    """
    account, transaction = await container.accounts.top_up(
        account_id, bought_credits=body.credits, bought_minutes=body.minutes, idempotency_key=idempotency_key
    )
    return topup_reply(account, transaction, language)


@router.get("/{account_id}/transactions", summary="The account's ledger", responses=problems(404))
async def list_account_transactions(
    account_id: str,
    container: ContainerDep,
    language: LanguageDep,
    page: CursorPageDep,
    request: Request,
    response: Response,
    type_: Annotated[
        TransactionType | None, AnyCase, Query(alias="type", description="Only entries of this type.")
    ] = None,
    sort: Annotated[AgeSort, AnyCase, Query()] = AgeSort.NEWEST,
) -> list[TransactionReply]:
    found, total = await container.accounts.transactions(
        account_id, type_=type_, limit=page.limit + 1, skip=page.skip, after=page.after, sort=sort
    )
    found = announce_places(
        request, response, page, total, found, lambda entry: Place(entry.created_at, entry.transaction_id)
    )
    return [transaction_reply(transaction, language) for transaction in found]


@router.get("/{account_id}/batches", summary="The account's batches", responses=problems(404))
async def list_account_batches(
    account_id: str,
    container: ContainerDep,
    language: LanguageDep,
    page: PageDep,
    request: Request,
    response: Response,
    status: Annotated[BatchStatus | None, AnyCase, Query()] = None,
    is_active: bool | None = None,
    q: NamePart = None,
    sort: SortDep = NameSort.NEWEST,
) -> list[BatchReply]:
    await container.accounts.get(account_id)
    views, total = await container.batches.page(
        account_ids=[account_id],
        status=status,
        is_active=is_active,
        limit=page.limit,
        skip=page.skip,
        sort=sort,
        search=named(q),
    )
    announce(request, response, page, total)
    return [batch_reply(view, language) for view in views]
