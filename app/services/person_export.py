"""Use case: everything that is stored about one person of an account, as JSON that is sent while it is read."""

from collections.abc import AsyncGenerator
from typing import NamedTuple

from pydantic_core import to_json

from app.domain.ports import Time
from app.domain.privacy import Sought
from app.domain.privacy_ports import PersonalDataReader
from app.services.erasing import Asked, PersonFinder

SECTIONS = (
    "jobs",
    "test_calls",
    "series_contacts",
    "upload_rows",
    "rejected_rows",
    "webhook_deliveries",
    "do_not_call",
    "audit_log",
)
"""Each a list, in this order, also where there is nothing: what is not in the file is not stored."""


class PersonFile(NamedTuple):
    """`name` is plain ASCII and says nothing of the person."""

    name: str
    blocks: AsyncGenerator[bytes, None]


class PersonExport:
    def __init__(self, finder: PersonFinder, reader: PersonalDataReader, time: Time) -> None:
        self._finder = finder
        self._reader = reader
        self._time = time

    async def file(self, asked: Asked) -> PersonFile:
        """Raises as PersonFinder.find."""
        account, _, sought = await self._finder.find(asked)
        return PersonFile(f"person_{self._time.now():%Y-%m-%d}.json", self._blocks(account.account_id, sought))

    async def _blocks(self, account_id: str, sought: Sought) -> AsyncGenerator[bytes, None]:
        about = {
            "exported_at": self._time.now(),
            "account_id": account_id,
            "phones": sorted(sought.phones),
            "identifiers": sorted(sought.ids),
        }
        yield to_json(about)[:-1]
        opened = 0
        async for section, document in self._reader.everything(account_id, sought):
            before = b","
            while SECTIONS.index(section) >= opened:
                yield self._opening(opened)
                opened, before = opened + 1, b""
            yield before + to_json(document, fallback=str)
        for missing in range(opened, len(SECTIONS)):
            yield self._opening(missing)
        yield b"]}"

    def _opening(self, place: int) -> bytes:
        end = b"]" if place else b""
        return end + b',"' + SECTIONS[place].encode() + b'":['
