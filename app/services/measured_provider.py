"""A call provider whose every answer is timed, and counted by what kind of answer it was."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.calls import CallOrder, CallReport
from app.domain.metrics import Metrics
from app.domain.ports import CallProvider, Time
from app.domain.provider_errors import ProviderError


class MeasuredProvider:
    def __init__(self, provider: CallProvider, metrics: Metrics, time: Time) -> None:
        self._provider = provider
        self._metrics = metrics
        self._time = time

    @property
    def key_mark(self) -> str:
        return self._provider.key_mark

    def request_body(self, order: CallOrder) -> str:
        return self._provider.request_body(order)

    async def place(self, request_body: str) -> CallReport:
        with self._timed("place"):
            return await self._provider.place(request_body)

    async def get(self, call_id: str) -> CallReport:
        with self._timed("get"):
            return await self._provider.get(call_id)

    async def find(self, attempt_id: str, to_number: str) -> list[CallReport]:
        with self._timed("find"):
            return await self._provider.find(attempt_id, to_number)

    async def max_concurrent(self) -> int:
        with self._timed("max_concurrent"):
            return await self._provider.max_concurrent()

    async def stop(self, call_id: str) -> None:
        with self._timed("stop"):
            await self._provider.stop(call_id)

    async def delete(self, call_id: str) -> bool:
        with self._timed("delete"):
            return await self._provider.delete(call_id)

    @contextmanager
    def _timed(self, request: str) -> Iterator[None]:
        asked_at = self._time.monotonic()
        try:
            yield
        except ProviderError as error:
            self._answered(request, asked_at, type(error).__name__)
            raise
        # Anything else, such as a cancellation, is no answer of theirs.
        self._answered(request, asked_at, None)

    def _answered(self, request: str, asked_at: float, problem: str | None) -> None:
        self._metrics.provider_answered(request, self._time.monotonic() - asked_at, problem)
