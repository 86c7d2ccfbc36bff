"""The do-not-call list on a real MongoDB: what is hidden forbids calls as it did before."""

from datetime import timedelta
from typing import Any

import pytest

from app.bootstrap import Container
from app.domain.do_not_call import DoNotCallEntry, DoNotCallSource, entry_id_of, matches
from app.repositories.do_not_call import MongoDoNotCallList
from tests.builders import NOW

PHONE = "+56961112233"
SHORT = DoNotCallEntry(
    entry_id=entry_id_of("acc-1", PHONE),
    account_id="acc-1",
    key=PHONE,
    source=DoNotCallSource.MANUAL,
    expires_at=NOW + timedelta(days=1),
    created_at=NOW,
    created_by="ana",
)
FOR_GOOD = SHORT.model_copy(update={"source": DoNotCallSource.CALL, "expires_at": None})


class _Meanwhile:
    """The entries; just before the hidden one is written somebody asks not to be called any more."""

    def __init__(self, entries: Any, other: MongoDoNotCallList) -> None:
        self._entries = entries
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entries, name)

    async def bulk_write(self, *args: Any, **options: Any) -> Any:
        await self._other.add([FOR_GOOD])
        return await self._entries.bulk_write(*args, **options)


async def test_an_entry_that_is_made_to_stand_longer_while_it_is_hidden_is_not_lost(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    hiding, other = MongoDoNotCallList(container.database), MongoDoNotCallList(container.database)
    await hiding.add([SHORT])
    with monkeypatch.context() as patched:
        patched.setattr(hiding, "_entries", _Meanwhile(hiding._entries, other))
        await hiding.hide(["acc-1"], [PHONE])
    assert matches(await other.standing("acc-1", [PHONE]), NOW)[PHONE].until is None
    await hiding.hide(["acc-1"], [PHONE])
    assert matches(await other.standing("acc-1", [PHONE]), NOW)[PHONE].until is None
    assert await hiding.count(["acc-1"], [PHONE]) == 0
