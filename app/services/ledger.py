"""From the account to the ledger: money that was bought is added to the account and remembered there in one update,
and its entry is written after. Whoever comes by posts what a crash left; doing so twice changes nothing.
"""

import structlog

from app.domain.accounts import Account
from app.domain.ports import Accounts, Transactions

log = structlog.get_logger("ledger")


async def post_entries(accounts: Accounts, transactions: Transactions, account: Account) -> None:
    """Write the account's unposted entries into the ledger, where their ids keep them single."""
    for entry in account.unposted:
        await transactions.add(entry)
        await accounts.posted(account.account_id, entry.transaction_id)


async def post_left_over(accounts: Accounts, transactions: Transactions) -> None:
    """Post what a process left that died between the account and the ledger."""
    for account in await accounts.unposted():
        log.warning("entries_posted_late", account_id=account.account_id, entries=len(account.unposted))
        await post_entries(accounts, transactions, account)
