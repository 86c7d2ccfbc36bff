"""Questions put together: what many ask of MongoDB at the same time, be it to read or to write, it is asked once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Q = TypeVar("Q")
A = TypeVar("A")


@dataclass
class _Group(Generic[Q, A]):
    """Those who are still waiting for their question to be put."""

    questions: list[Q] = field(default_factory=list)
    task: "asyncio.Task[A] | None" = None


class Together(Generic[K, Q, A]):
    """Puts the questions of one kind together that are asked while the last ones are being answered.

    Nobody gets an answer that was begun before it asked: as to what it may rely on, it has asked for itself. Who asks
    alone waits for nobody. `put` gets the kind and its questions; its answer, or its error, is for all who asked.
    """

    def __init__(self, put: Callable[[K, Sequence[Q]], Awaitable[A]]) -> None:
        self._put = put
        self._gathering: dict[K, _Group[Q, A]] = {}
        self._under_way: dict[K, asyncio.Task[A]] = {}

    async def ask(self, kind: K, question: Q) -> A:
        answer, _ = await self.ask_and_place(kind, question)
        return answer

    async def ask_and_place(self, kind: K, question: Q) -> tuple[A, int]:
        """The answer, and the place of the question among those it was put with."""
        group = self._gathering.get(kind)
        if group is None:
            group = self._gathering[kind] = _Group()
            group.task = asyncio.create_task(self._answer(kind, group, self._under_way.get(kind)))
            group.task.add_done_callback(_seen)
        group.questions.append(question)
        place = len(group.questions) - 1
        assert group.task is not None  # noqa: S101 - a group that can be found has one
        # Whoever gives up must not take the answer from the others.
        return await asyncio.shield(group.task), place

    async def _answer(self, kind: K, group: _Group[Q, A], last: "asyncio.Task[A] | None") -> A:
        try:
            if last is not None:
                await asyncio.wait([last])
        finally:
            # Who asks from here on is too late for this one.
            del self._gathering[kind]
        task = group.task
        assert task is not None  # noqa: S101 - it is this one
        self._under_way[kind] = task
        try:
            return await self._put(kind, group.questions)
        finally:
            if self._under_way.get(kind) is task:
                del self._under_way[kind]


class Each(Generic[Q, A]):
    """The same for questions of which each has an answer, or an error, of its own.

    `put` answers them in their order; what it raises is for all of them. What is written for somebody who gave up is
    written all the same, as for one that is killed right after: it must be safe to repeat, and to leave at that.
    """

    def __init__(self, put: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]]) -> None:
        self._put = put
        self._together: Together[None, Q, Sequence[A | Exception]] = Together(self._answers)

    async def ask(self, question: Q) -> A:
        answers, place = await self._together.ask_and_place(None, question)
        answer = answers[place]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _answers(self, _: None, questions: Sequence[Q]) -> Sequence[A | Exception]:
        return await self._put(questions)


def _seen(task: "asyncio.Task[A]") -> None:
    """An error that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()
