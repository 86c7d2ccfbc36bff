"""Questions put together are put after everybody who gets the answer asked, and fail alone."""

import asyncio
from collections.abc import Sequence

import pytest

from app.repositories.together import Each, Together


class Store:
    """Answers what it holds when a question is put, once it is let."""

    def __init__(self) -> None:
        self.value = 0
        self.put: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.fails = False
        self.together: Together[str, str, int] = Together(self._answer)

    async def _answer(self, kind: str, questions: Sequence[str]) -> int:
        self.put.append(list(questions))
        found, fails = self.value, self.fails
        await self.may_answer.wait()
        if fails:
            raise LookupError(kind)
        return found

    def ask(self, question: str, kind: str = "a") -> asyncio.Task[int]:
        return asyncio.create_task(self.together.ask(kind, question))


async def settled() -> None:
    """Every task has come as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_while_an_answer_is_on_its_way_gets_a_later_one() -> None:
    store = Store()
    first = store.ask("1")
    await settled()
    store.value = 1  # written before the others ask
    others = [store.ask("2"), store.ask("3")]
    await settled()
    assert store.put == [["1"]]

    store.may_answer.set()

    assert await asyncio.gather(first, *others) == [0, 1, 1]
    assert store.put == [["1"], ["2", "3"]]


async def test_kinds_do_not_wait_for_one_another() -> None:
    store = Store()
    asked = [store.ask("1"), store.ask("2", kind="b")]
    await settled()
    assert store.put == [["1"], ["2"]]

    store.may_answer.set()
    await asyncio.gather(*asked)


async def test_an_error_is_told_to_those_who_asked_and_the_next_ask_anew() -> None:
    store = Store()
    store.fails = True
    failing = [store.ask("1"), store.ask("2")]
    await settled()
    store.fails = False
    following = store.ask("3")
    store.may_answer.set()

    assert [type(told) for told in await asyncio.gather(*failing, return_exceptions=True)] == [LookupError] * 2
    assert await following == 0


async def test_who_gives_up_leaves_the_answer_to_the_others() -> None:
    store = Store()
    asked = [store.ask("1"), store.ask("2")]
    await settled()
    asked[0].cancel()
    store.may_answer.set()

    with pytest.raises(asyncio.CancelledError):
        await asked[0]
    assert await asked[1] == 0


async def test_one_group_after_another() -> None:
    store = Store()
    store.may_answer.set()
    for number in range(3):
        store.value = number
        assert await store.together.ask("a", str(number)) == number
    assert store.put == [["0"], ["1"], ["2"]]


class Divider:
    """Answers each by itself: what ten is, divided by it."""

    def __init__(self) -> None:
        self.put: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.each: Each[int, float] = Each(self._quotients)

    async def _quotients(self, numbers: Sequence[int]) -> list[float | Exception]:
        self.put.append(list(numbers))
        await self.may_answer.wait()
        if 13 in numbers:
            raise LookupError
        return [10 / number if number else ZeroDivisionError() for number in numbers]

    async def asked(self, *numbers: int) -> list[asyncio.Task[float]]:
        """Once the first of them is on its way alone."""
        asked = [asyncio.create_task(self.each.ask(number)) for number in numbers[:1]]
        await settled()
        asked += [asyncio.create_task(self.each.ask(number)) for number in numbers[1:]]
        await settled()
        return asked


async def test_each_is_told_what_is_its_own() -> None:
    divider = Divider()
    asked = await divider.asked(1, 2, 0, 5, 2)
    divider.may_answer.set()

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert divider.put == [[1], [2, 0, 5, 2]]
    assert [*answers[:2], *answers[3:]] == [10, 5, 2, 5]
    assert isinstance(answers[2], ZeroDivisionError)


async def test_what_is_wrong_with_all_is_told_to_all_of_them_and_to_no_others() -> None:
    divider = Divider()
    asked = await divider.asked(1, 2, 13)
    divider.may_answer.set()

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert answers[0] == 10
    assert [type(answer) for answer in answers[1:]] == [LookupError] * 2
    assert await divider.each.ask(4) == 2.5


async def test_who_gives_up_shifts_nobody_elses_answer() -> None:
    divider = Divider()
    asked = await divider.asked(1, 2, 4, 5)
    asked[1].cancel()
    await settled()
    divider.may_answer.set()

    assert await asyncio.gather(asked[0], *asked[2:]) == [10, 2.5, 2]
    assert divider.put == [[1], [2, 4, 5]]
