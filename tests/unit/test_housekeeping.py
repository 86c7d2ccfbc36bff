"""The loop that erases: what one step cannot do keeps no other from its work."""

from typing import Any, cast

import pytest

from app.domain.errors import DatabaseUnavailable
from workers.housekeeping import Housekeeping


class _Step:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.steps = 0

    async def resume(self) -> int:
        self.steps += 1
        if self._error is not None:
            raise self._error
        return 1

    async def round(self) -> int:
        return await self.resume()


def _housekeeping(*steps: _Step) -> Housekeeping:
    return Housekeeping(*cast("list[Any]", steps))


async def test_a_document_that_cannot_be_read_stops_only_its_own_step() -> None:
    erasing, deleting, retaining = _Step(KeyError("phones")), _Step(LookupError("no account")), _Step()

    assert await _housekeeping(erasing, deleting, retaining).round() == 1

    assert [erasing.steps, deleting.steps, retaining.steps] == [1, 1, 1]


async def test_a_database_that_is_away_is_waited_for() -> None:
    with pytest.raises(DatabaseUnavailable):
        await _housekeeping(_Step(DatabaseUnavailable()), _Step(), _Step()).round()
