"""Use cases of the do-not-call list: add, import, look up, remove. What it means for a call: domain/admission.py."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from app.domain.do_not_call import (
    DoNotCallEntry,
    DoNotCallMatch,
    DoNotCallSource,
    entry_id_of,
    matches,
)
from app.domain.do_not_call_import import NumberListReader, NumberSummary
from app.domain.errors import FieldError, InvalidInput, NotFound
from app.domain.messages import Message
from app.domain.phone_numbers import normalise_phone
from app.domain.ports import Accounts, Batches, DoNotCallList, Jobs, Time

log = structlog.get_logger("api")

CHUNK = 1000
"""Entries a write."""
_SHOWN_CHARS = 40


@dataclass(frozen=True)
class Listing:
    """Which list (None: everybody's), and what is to be said about what comes on it."""

    account_id: str | None
    reason: str | None
    expires_at: datetime | None
    created_by: str


@dataclass(frozen=True)
class Added:
    added: int
    already_there: int

    def __add__(self, other: "Added") -> "Added":
        return Added(self.added + other.added, self.already_there + other.already_there)


@dataclass(frozen=True)
class Imported:
    counts: Added
    numbers: NumberSummary


@dataclass(frozen=True)
class Check:
    """`match` None: nothing on the list forbids the number."""

    phone: str
    match: DoNotCallMatch | None
    entries: list[DoNotCallEntry]


class DoNotCallService:
    def __init__(
        self,
        accounts: Accounts,
        batches: Batches,
        jobs: Jobs,
        do_not_call: DoNotCallList,
        reader: NumberListReader,
        time: Time,
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._jobs = jobs
        self._list = do_not_call
        self._reader = reader
        self._time = time

    async def add(self, listing: Listing, phones: Sequence[str]) -> tuple[Added, list[DoNotCallEntry]]:
        """Put `phones` on the list, all or none; the entries that stand for them now, in their order.

        An entry that is there already stays as it is, unless the new one stands longer. Raises NotFound (account), or
        InvalidInput naming every number that is none.
        """
        region = await self._region(listing.account_id)
        self._check_expiry(listing.expires_at)
        found = [normalise_phone(phone, region) for phone in phones]
        errors = [
            FieldError.of(("phones", index), number.error or "phone_not_a_number", value=phone[:_SHOWN_CHARS])
            for index, (phone, number) in enumerate(zip(phones, found, strict=True))
            if number.e164 is None
        ]
        if errors:
            raise InvalidInput(errors)
        keys = list(dict.fromkeys(number.e164 for number in found if number.e164 is not None))
        counts = await self._write(listing, keys, DoNotCallSource.MANUAL)
        ids = [entry_id_of(listing.account_id, key) for key in keys]
        stored = {entry.entry_id: entry for entry in await self._list.get_many(ids)}
        return counts, [stored[entry_id] for entry_id in ids if entry_id in stored]

    async def import_file(self, listing: Listing, content: Path, filename: str) -> Imported:
        """Put every number of a spreadsheet on the list; what is no number is told by row and left out.

        Safe to repeat, also after a failure in the middle. Raises NotFound, InvalidInput or SpreadsheetRejected.
        """
        region = await self._region(listing.account_id)
        self._check_expiry(listing.expires_at)
        counts = Added(0, 0)

        async def take(phones: list[str]) -> None:
            nonlocal counts
            counts += await self._write(listing, phones, DoNotCallSource.IMPORT)

        numbers = await self._reader.read_numbers(content, filename, region, take)
        return Imported(counts, numbers)

    async def page(
        self, *, account_id: str | None, phone: str | None, limit: int, skip: int
    ) -> tuple[list[DoNotCallEntry], int]:
        """Entries, newest first, expired ones too. Raises NotFound or InvalidInput."""
        region = await self._region(account_id)
        key = None if phone is None else _key(phone, region)
        return await self._list.page(account_id=account_id, key=key, limit=limit, skip=skip)

    async def check(self, account_id: str, phone: str) -> Check:
        """Whether the account may dial `phone` as far as the lists say. Raises NotFound or InvalidInput."""
        key = _key(phone, await self._region(account_id))
        now = self._time.now()
        entries = [entry for entry in await self._list.standing(account_id, [key]) if entry.stands_at(now)]
        return Check(key, matches(entries, now).get(key), entries)

    async def get(self, entry_id: str) -> DoNotCallEntry:
        """Raises NotFound."""
        found = await self._list.get_many([entry_id])
        if not found:
            raise NotFound("do_not_call_entry_not_found", entry_id=entry_id)
        return found[0]

    async def remove(self, entry_id: str, *, user: str) -> None:
        """Whoever waited for the entry to expire need not any more. Raises NotFound."""
        entry = await self.get(entry_id)
        if not await self._list.remove(entry_id):
            raise NotFound("do_not_call_entry_not_found", entry_id=entry_id)
        now = self._time.now()
        async for account_id in self._accounts_of(entry):
            if await self._jobs.bring_forward(account_id, now, person_key=entry.key):
                await self._batches.wake_account(account_id, now)
        log.info("do_not_call_entry_removed", entry_id=entry_id, user=user)

    async def _accounts_of(self, entry: DoNotCallEntry) -> AsyncIterator[str]:
        """Those that the entry concerns."""
        if entry.account_id is not None:
            yield entry.account_id
            return
        skip, page = 0, True
        while page:
            accounts, _ = await self._accounts.page(account_ids=None, limit=CHUNK, skip=skip)
            for account in accounts:
                yield account.account_id
            skip, page = skip + CHUNK, len(accounts) == CHUNK

    async def _region(self, account_id: str | None) -> str | None:
        """Where the account's numbers without a country code are from; everybody's list has no country."""
        if account_id is None:
            return None
        account = await self._accounts.get(account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=account_id)
        return account.country

    def _check_expiry(self, expires_at: datetime | None) -> None:
        if expires_at is not None and expires_at <= self._time.now():
            raise InvalidInput([FieldError.of(("expires_at",), "expires_at_past")])

    async def _write(self, listing: Listing, keys: Sequence[str], source: DoNotCallSource) -> Added:
        reason = Message(code="own_words", params={"text": listing.reason}) if listing.reason else None
        now = self._time.now()
        added = 0
        for start in range(0, len(keys), CHUNK):
            added += await self._list.add(
                [
                    DoNotCallEntry(
                        entry_id=entry_id_of(listing.account_id, key),
                        account_id=listing.account_id,
                        key=key,
                        reason=reason,
                        source=source,
                        expires_at=listing.expires_at,
                        created_at=now,
                        created_by=listing.created_by,
                    )
                    for key in keys[start : start + CHUNK]
                ]
            )
        return Added(added, len(keys) - added)


def _key(phone: str, region: str | None) -> str:
    found = normalise_phone(phone, region)
    if found.e164 is None:
        error = FieldError.of(("query", "phone"), found.error or "phone_not_a_number", value=phone[:_SHOWN_CHARS])
        raise InvalidInput([error])
    return found.e164
