"""Answers that every page asks for: what was dear is repeated, what was cheap is not."""

import asyncio
from datetime import timedelta

import pytest

from app.domain.errors import DatabaseUnavailable
from app.services.repeating import FEW, KEPT, SHOWN_SECONDS, Repeating
from tests.builders import FakeTime


class Question:
    """Its answer is how often it was asked; each takes `seconds`."""

    def __init__(self, seconds: float, made_of: int = FEW + 1) -> None:
        self.time = FakeTime()
        self.repeating: Repeating[int] = Repeating(self.time, lambda _: made_of)
        self.asked = 0
        self.trouble: Exception | None = None
        self._seconds = seconds

    async def answer(self, key: str = "") -> int:
        return await self.repeating.get(key, self._make)

    async def next_made(self) -> int:
        """Wait for what is being made behind the answers; how often was asked by then."""
        await asyncio.gather(*self.repeating._remaking._tasks.values())
        return self.asked

    async def _make(self) -> int:
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        self.asked += 1
        self.time.advance(timedelta(seconds=self._seconds))
        return self.asked


async def test_an_answer_that_is_made_of_little_is_always_fresh_however_long_it_took() -> None:
    question = Question(2, made_of=FEW)
    assert [await question.answer() for _ in range(3)] == [1, 2, 3]


async def test_a_cheap_answer_is_repeated_for_a_moment_and_never_shown_after_it() -> None:
    question = Question(0.01)
    assert [await question.answer() for _ in range(3)] == [1, 1, 1]
    question.time.advance(timedelta(seconds=0.11))
    assert await question.answer() == 2


async def test_an_answer_is_given_to_all_who_had_asked_before_it_was_begun() -> None:
    question = Question(0.01, made_of=FEW)
    answers = await asyncio.gather(*(question.answer() for _ in range(20)))
    # The first is under way when the others ask; the second is begun after that, and is theirs.
    assert answers == [1, *[2] * 19]


async def test_a_dear_answer_is_repeated_ten_times_as_long_as_it_took() -> None:
    question = Question(2)
    assert await question.answer() == 1
    question.time.advance(timedelta(seconds=19))
    assert await question.answer() == 1
    question.time.advance(timedelta(seconds=2))
    assert await question.answer() == 1, "shown once more, while the next one is made"
    assert await question.next_made() == 2
    assert await question.answer() == 2


async def test_what_has_become_old_is_not_shown() -> None:
    question = Question(2)
    await question.answer()
    question.time.advance(timedelta(seconds=20 + SHOWN_SECONDS))
    assert await question.answer() == 2


async def test_one_next_answer_is_made_however_many_ask() -> None:
    question = Question(2)
    await question.answer()
    question.time.advance(timedelta(seconds=21))
    assert await asyncio.gather(*(question.answer() for _ in range(20))) == [1] * 20
    assert await question.next_made() == 2
    assert question.asked == 2


@pytest.mark.parametrize("trouble", [DatabaseUnavailable(), ValueError("a defect")])
async def test_whoever_was_answered_is_spared_what_goes_wrong_behind_it(trouble: Exception) -> None:
    question = Question(2)
    await question.answer()
    question.time.advance(timedelta(seconds=21))
    question.trouble = trouble
    assert await question.answer() == 1
    await question.next_made()
    question.time.advance(timedelta(seconds=SHOWN_SECONDS))
    with pytest.raises(type(trouble)):
        await question.answer()


async def test_many_who_ask_wait_for_one_answer_and_another_question_is_another() -> None:
    question = Question(2)
    assert await asyncio.gather(*(question.answer() for _ in range(20))) == [1] * 20
    assert await question.answer("other") == 2


async def test_what_is_kept_is_bounded() -> None:
    question = Question(2)
    for number in range(KEPT + 10):
        await question.answer(str(number))
    assert len(question.repeating._known) <= KEPT + 1
