"""The loop that erases: what one step cannot do keeps no other from its work."""

from typing import Any

import pytest

from app.domain.errors import DatabaseUnavailable
from app.domain.privacy import ErasingStep
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


class _Failures:
    def __init__(self) -> None:
        self.steps: list[ErasingStep] = []

    def erasing_failed(self, step: ErasingStep) -> None:
        self.steps.append(step)


def _housekeeping(*steps: _Step, failures: _Failures | None = None) -> Housekeeping:
    parts: list[Any] = [*steps, failures or _Failures()]
    return Housekeeping(*parts)


async def test_a_document_that_cannot_be_read_stops_only_its_own_step() -> None:
    erasing, deleting, retaining = _Step(KeyError("phones")), _Step(LookupError("no account")), _Step()
    failures = _Failures()

    assert await _housekeeping(erasing, deleting, retaining, failures=failures).round() == 1

    assert [erasing.steps, deleting.steps, retaining.steps] == [1, 1, 1]
    assert failures.steps == [ErasingStep.PERSON, ErasingStep.PROVIDER]


async def test_a_database_that_is_away_is_waited_for() -> None:
    failures = _Failures()
    with pytest.raises(DatabaseUnavailable):
        await _housekeeping(_Step(DatabaseUnavailable()), _Step(), _Step(), failures=failures).round()
    assert failures.steps == []
