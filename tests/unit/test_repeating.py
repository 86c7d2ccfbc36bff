"""Answers that every page asks for: what was dear is repeated, what was cheap is not."""

import asyncio
from datetime import timedelta

from app.services.repeating import KEPT, Repeating
from tests.builders import FakeTime


class Question:
    """Its answer is how often it was asked; each takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.time = FakeTime()
        self.repeating: Repeating[int] = Repeating(self.time)
        self.asked = 0
        self._seconds = seconds

    async def answer(self, key: str = "") -> int:
        return await self.repeating.get(key, self._make)

    async def _make(self) -> int:
        await asyncio.sleep(0)
        self.asked += 1
        self.time.advance(timedelta(seconds=self._seconds))
        return self.asked


async def test_a_cheap_answer_is_always_fresh() -> None:
    question = Question(0.01)
    assert [await question.answer() for _ in range(3)] == [1, 2, 3]


async def test_a_dear_answer_is_repeated_ten_times_as_long_as_it_took() -> None:
    question = Question(2)
    assert await question.answer() == 1
    question.time.advance(timedelta(seconds=19))
    assert await question.answer() == 1
    question.time.advance(timedelta(seconds=2))
    assert await question.answer() == 2


async def test_many_who_ask_wait_for_one_answer_and_another_question_is_another() -> None:
    question = Question(2)
    assert await asyncio.gather(*(question.answer() for _ in range(20))) == [1] * 20
    assert await question.answer("other") == 2


async def test_what_is_kept_is_bounded() -> None:
    question = Question(2)
    for number in range(KEPT + 10):
        await question.answer(str(number))
    assert len(question.repeating._known) <= KEPT + 1
