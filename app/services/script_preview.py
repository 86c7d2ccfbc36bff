"""A script as the agent would get it, before anything is created: for sample contacts, with what is wrong with it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.domain.accounts import Account
from app.domain.available_variables import AvailableVariables, MissingVariable
from app.domain.batches import VoiceSettings
from app.domain.contacts import ContactRow
from app.domain.errors import FieldError, InvalidInput, NotFound
from app.domain.phone_regions import region_of_timezone
from app.domain.ports import Accounts, Time, Uploads
from app.domain.script_check import Warned, refusals_of, warnings_of
from app.domain.variables import SCRIPT_VARIABLE, call_variables, contact_variables, missing_variables
from app.services.contact_requests import contacts_from_json
from app.services.upload_variables import variables_of

SAMPLES = 3
"""Contacts that are shown if no rows are named."""


@dataclass(frozen=True)
class ScriptOrder:
    """What to render, and for whom: rows of an upload, of `contacts`, or of neither. No `rows`: the first ones."""

    account_id: str
    script: str
    voice: VoiceSettings
    timezone: str
    upload_id: str | None
    contacts: list[dict[str, Any]] | None
    rows: list[int]


class Sample(NamedTuple):
    """What a call to the first number of a row's contact would be given."""

    row: ContactRow
    script: str
    variables: dict[str, str]
    """As they are sent, besides the script."""
    missing: list[str]


class ScriptPreview(NamedTuple):
    available: AvailableVariables | None
    """None if there are no contacts to look at."""
    missing: list[MissingVariable]
    warned: list[Warned]
    samples: list[Sample]


class ScriptPreviewing:
    def __init__(self, accounts: Accounts, uploads: Uploads, time: Time) -> None:
        self._accounts = accounts
        self._uploads = uploads
        self._time = time

    async def preview(self, order: ScriptOrder) -> ScriptPreview:
        """Raises NotFound (account, upload) or InvalidInput (a contact, a row, a language that cannot be spoken)."""
        account = await self._accounts.get(order.account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=order.account_id)
        if wrong := refusals_of(order.script, order.voice):
            raise InvalidInput(wrong)
        available, rows = await self._contacts(order, account)
        return ScriptPreview(
            available=available,
            missing=[] if available is None else available.missing(order.script),
            warned=warnings_of(order.script, order.voice, available),
            samples=[self._sample(order, account, row) for row in rows],
        )

    async def _contacts(
        self, order: ScriptOrder, account: Account
    ) -> tuple[AvailableVariables | None, list[ContactRow]]:
        if order.upload_id is not None and order.contacts is not None:
            raise InvalidInput([FieldError.of(("upload_id",), "contacts_or_upload")])
        if order.upload_id is not None:
            upload = await self._uploads.get(order.upload_id)
            if upload is None or upload.account_id != account.account_id:
                raise NotFound("upload_not_found", upload_id=order.upload_id)
            rows = await self._uploads.some_contacts(upload.upload_id, order.rows, first=SAMPLES)
            return await variables_of(self._uploads, upload), _wanted(rows, order.rows)
        if order.contacts is None:
            return None, []
        region = account.country or region_of_timezone(order.timezone)
        rows = await asyncio.to_thread(contacts_from_json, order.contacts, region)
        return AvailableVariables.of(rows), _wanted(rows, order.rows)

    def _sample(self, order: ScriptOrder, account: Account, row: ContactRow) -> Sample:
        """By the same two functions that a worker asks before it dials."""
        variables = contact_variables(
            row.contact,
            account_name=account.account_name,
            phone=row.contact.phones[0],
            now=self._time.now(),
            timezone=row.contact.timezone or order.timezone,
        )
        sent = call_variables(order.script, variables)
        return Sample(row, sent.pop(SCRIPT_VARIABLE, ""), sent, missing_variables(order.script, variables))


def _wanted(rows: list[ContactRow], numbers: Sequence[int]) -> list[ContactRow]:
    if not numbers:
        return rows[:SAMPLES]
    by_number = {row.row_number: row for row in rows}
    wrong = [
        FieldError.of(("rows", place), "row_not_callable", row=number)
        for place, number in enumerate(numbers)
        if number not in by_number
    ]
    if wrong:
        raise InvalidInput(wrong)
    return [by_number[number] for number in dict.fromkeys(numbers)]
