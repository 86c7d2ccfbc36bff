"""Use case: a batch's results as a table, made while it is written out."""

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.domain.batches import Batch, BatchStatus
from app.domain.errors import Conflict, NotFound
from app.domain.explanation import Obstacle, explain
from app.domain.header_words import slug
from app.domain.jobs import Job
from app.domain.messages import Language, render
from app.domain.ports import Batches, Time
from app.domain.results import (
    USUAL,
    Line,
    Per,
    ResultColumn,
    Results,
    ResultTable,
    Shape,
    is_result,
    merged,
)
from app.domain.tables_written import WrittenRow, WrittenSheet
from app.services.explaining import Explaining
from app.services.jobs import JobView, ShownStatus, stored_as

PAGE_JOBS = 100
"""Jobs in memory at a time; made into rows in one turn of the event loop."""


class Wanted(NamedTuple):
    """`columns`: None for the usual ones. `status`: only contacts that have it, or their calls."""

    per: Per
    status: ShownStatus | None = None
    columns: Sequence[ResultColumn] | None = None


class ResultFile(NamedTuple):
    """`name` is plain ASCII, without a suffix."""

    name: str
    sheet: WrittenSheet


class ResultService:
    def __init__(self, batches: Batches, results: Results, explaining: Explaining, time: Time) -> None:
        self._batches = batches
        self._results = results
        self._explaining = explaining
        self._time = time

    async def file(self, batch_id: str, wanted: Wanted, language: Language) -> ResultFile:
        """The contacts that are there at the beginning, each as it is when its line is read; and the columns are those
        that are known then.

        Raises NotFound, and Conflict for a batch whose contacts are still being written; NotFound at the last line too,
        if the batch was removed meanwhile: what was left of it is not its results; and Conflict in the middle, if it
        was over, went on, and a call brought a variable that has no column.
        """
        batch = await self._readable(batch_id)
        name = render(f"results_per_{wanted.per.value}", language)
        today = self._time.now().astimezone(ZoneInfo(batch.call_settings.hours.timezone))
        parts = (slug(name), slug(batch.name)[:60].strip("_"), f"{today:%Y-%m-%d}")
        return ResultFile("_".join(filter(None, parts)), WrittenSheet(name, self._chunks(batch, wanted, language)))

    async def _chunks(
        self, batch: Batch, wanted: Wanted, language: Language
    ) -> AsyncGenerator[Sequence[WrittenRow], None]:
        columns = wanted.columns or USUAL[wanted.per]
        shape, last = await self._shape(batch.batch_id)
        table = ResultTable(columns, shape, batch.call_settings.hours.timezone, language)
        obstacle = await self._explaining.obstacle(batch)
        yield [table.header()]
        async for jobs in self._pages(batch.batch_id, wanted.status, last):
            rows = [table.row(line) for job in jobs for line in self._lines(job, batch, obstacle, wanted.per)]
            if rows:
                yield rows
        await self._readable(batch.batch_id)

    async def _pages(
        self, batch_id: str, status: ShownStatus | None, last: str | None
    ) -> AsyncGenerator[list[Job], None]:
        states, waiting_for = stored_as(status)
        after: str | None = None
        while last is not None:
            jobs = await self._results.page(
                batch_id, states=states, waiting_for=waiting_for, after=after, until=last, limit=PAGE_JOBS
            )
            if jobs:
                yield jobs
            if len(jobs) < PAGE_JOBS:
                return
            after = jobs[-1].job_id

    async def _shape(self, batch_id: str) -> tuple[Shape, str | None]:
        """And the id of the last job; None if there is none."""
        phones, grows = 0, False
        custom: dict[tuple[str, ...], None] = {}
        collected: dict[tuple[str, ...], None] = {}
        after: str | None = None
        while (part := await self._results.shape(batch_id, after)) is not None:
            after, phones, grows = part.last, max(phones, part.phones), grows or part.grows
            custom |= dict.fromkeys(map(tuple, part.custom_fields))
            collected |= dict.fromkeys(map(tuple, part.collected))
        names = [name for name in merged(collected) if is_result(name)]
        return Shape(phones, merged(custom), names, grows), after

    def _lines(self, job: Job, batch: Batch, obstacle: Obstacle | None, per: Per) -> list[Line]:
        status = JobView(job, batch).status.value
        why = explain(job, batch, obstacle, self._time.now()).why
        if per is Per.ATTEMPT:
            return [Line(job, status, why, record) for record in job.history]
        return [Line(job, status, why, job.history[-1] if job.history else None)]

    async def _readable(self, batch_id: str) -> Batch:
        batch = await self._batches.get(batch_id)
        if batch is None or batch.deleted_at is not None:
            raise NotFound("batch_not_found", batch_id=batch_id)
        if batch.status is BatchStatus.IMPORTING:
            raise Conflict("results_while_importing")
        return batch
