"""What is exported of a batch: a table with a line for each contact, or for each call to one. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from itertools import chain, pairwise
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from app.domain.calls import CallReport
from app.domain.errors import Conflict
from app.domain.jobs import AttemptRecord, Job, JobState, WaitingFor
from app.domain.messages import Language, Message, render
from app.domain.outcomes import HEARD
from app.domain.tables_written import WrittenCell

_COLLECTED_SUFFIX = "_cliente"


def is_result(name: str) -> bool:
    """Whether a variable of the agent's is a result by its name; the others are its own affair."""
    return name.endswith(_COLLECTED_SUFFIX)


class Per(StrEnum):
    """What a line of the table is."""

    CONTACT = "contact"
    ATTEMPT = "attempt"
    """A finished try to reach one phone, as `GET /calls/history` lists them."""


class ResultColumn(StrEnum):
    """A column, or several next to each other. What is said of a call is, of a contact, said of its last one."""

    ROW = "row"
    NAME = "name"
    PHONES = "phones"
    """As many columns as the contact with the most has numbers."""
    EMAIL = "email"
    TIMEZONE = "timezone"
    CUSTOM_FIELDS = "custom_fields"
    """A column each, in the order of the sheet."""
    STATUS = "status"
    REASON = "reason"
    ATTEMPTS = "attempts"
    ANSWERED_PHONE = "answered_phone"
    """The phone at which a person was reached last."""
    COST = "cost"
    """Of all calls to the contact."""
    ATTEMPT = "attempt"
    """1 is the contact's first."""
    PHONE = "phone"
    RESULT = "result"
    COUNTED = "counted"
    STARTED = "started"
    """By the wall clocks of the batch's zone."""
    STARTED_UTC = "started_utc"
    ENDED = "ended"
    ENDED_UTC = "ended_utc"
    DURATION_SECONDS = "duration_seconds"
    BILLED_SECONDS = "billed_seconds"
    CALL_COST = "call_cost"
    COLLECTED = "collected"
    """A column for each variable, and as long as calls may bring new ones a last column for these."""
    SUMMARY = "summary"
    RECORDING_URL = "recording_url"
    CALL_ID = "call_id"
    JOB_ID = "job_id"


USUAL = {
    Per.CONTACT: (
        ResultColumn.ROW,
        ResultColumn.NAME,
        ResultColumn.PHONES,
        ResultColumn.EMAIL,
        ResultColumn.CUSTOM_FIELDS,
        ResultColumn.STATUS,
        ResultColumn.REASON,
        ResultColumn.ATTEMPTS,
        ResultColumn.ANSWERED_PHONE,
        ResultColumn.STARTED,
        ResultColumn.STARTED_UTC,
        ResultColumn.DURATION_SECONDS,
        ResultColumn.COST,
        ResultColumn.COLLECTED,
        ResultColumn.SUMMARY,
        ResultColumn.RECORDING_URL,
        ResultColumn.JOB_ID,
    ),
    Per.ATTEMPT: (
        ResultColumn.ROW,
        ResultColumn.NAME,
        ResultColumn.ATTEMPT,
        ResultColumn.PHONE,
        ResultColumn.RESULT,
        ResultColumn.COUNTED,
        ResultColumn.STARTED,
        ResultColumn.STARTED_UTC,
        ResultColumn.ENDED,
        ResultColumn.ENDED_UTC,
        ResultColumn.DURATION_SECONDS,
        ResultColumn.BILLED_SECONDS,
        ResultColumn.CALL_COST,
        ResultColumn.COLLECTED,
        ResultColumn.SUMMARY,
        ResultColumn.RECORDING_URL,
        ResultColumn.CALL_ID,
        ResultColumn.JOB_ID,
    ),
}


class Shape(NamedTuple):
    """What the batch's contacts differ in: the columns that a table of them needs."""

    phones: int = 0
    custom_fields: Sequence[str] = ()
    collected: Sequence[str] = ()
    grows: bool = False
    """Whether a job was not final, so that variables may come that `collected` does not know."""


class ShapePart(NamedTuple):
    """The same of some jobs, up to the one with the id `last`: each order of names that is found among them."""

    last: str
    phones: int
    custom_fields: list[list[str]]
    collected: list[list[str]]
    grows: bool


class Line(NamedTuple):
    """What a line is made of. `record` is its call; of a contact the last one, if there was any."""

    job: Job
    status: str
    """As the contract names it."""
    why: Message | None
    record: AttemptRecord | None

    @property
    def report(self) -> CallReport | None:
        """The provider's word on the line's call; kept for the last call of a contact only."""
        report, record = self.job.report, self.record
        return report if report is not None and record is not None and report.call_id == record.call_id else None


class Results(Protocol):
    """A batch's jobs in the order of its contacts, a piece at a time: each from behind the job with the id `after`, and
    up to the one with the id `until`.

    Nothing is held between two pieces, and a job that is worked on meanwhile is neither left out nor repeated.
    """

    async def shape(self, batch_id: str, after: str | None) -> ShapePart | None:
        """None if no job follows."""

    async def page(
        self,
        batch_id: str,
        *,
        states: Sequence[JobState] | None,
        waiting_for: Sequence[WaitingFor] | None,
        after: str | None,
        until: str,
        limit: int,
    ) -> list[Job]: ...


class ResultTable:
    """The header and the lines, in one language. `timezone` is the batch's."""

    def __init__(self, columns: Sequence[ResultColumn], shape: Shape, timezone: str, language: Language) -> None:
        self._columns = columns
        self._shape = shape
        self._known = frozenset(shape.collected)
        self._timezone = timezone
        self._zone = ZoneInfo(timezone)
        self._language = language

    def header(self) -> list[WrittenCell]:
        return [text for column in self._columns for text in self._headers(column)]

    def row(self, line: Line) -> list[WrittenCell]:
        """Raises Conflict if a variable has no column, because it came by a call to somebody who was done with."""
        cells: list[WrittenCell] = []
        for column in self._columns:
            if column in _ONE_CELL:
                cells.append(_ONE_CELL[column](line))
            else:
                cells += self._cells(column, line)
        return cells

    def _headers(self, column: ResultColumn) -> list[str]:
        match column:
            case ResultColumn.PHONES:
                numbers = range(1, self._shape.phones + 1)
                return [render("result_phones", self._language, number=number) for number in numbers]
            case ResultColumn.CUSTOM_FIELDS:
                return list(self._shape.custom_fields)
            case ResultColumn.COLLECTED:
                others = [render("result_other_collected", self._language)] * self._shape.grows
                return [*self._shape.collected, *others]
            case _:
                return [render(f"result_{column.value}", self._language, timezone=self._timezone)]

    def _cells(self, column: ResultColumn, line: Line) -> Sequence[WrittenCell]:
        """Of a column that is several, or in words."""
        job, record = line.job, line.record
        match column:
            case ResultColumn.PHONES:
                return [*job.contact.phones, *([None] * self._shape.phones)][: self._shape.phones]
            case ResultColumn.CUSTOM_FIELDS:
                return [job.contact.custom_fields.get(name) for name in self._shape.custom_fields]
            case ResultColumn.COLLECTED:
                report = line.report
                found = report.collected_variables if report else {}
                return [*(found.get(name) for name in self._shape.collected), *self._others(found)]
            case ResultColumn.STATUS:
                return [self._say(f"job_status_{line.status}")]
            case ResultColumn.REASON:
                return [line.why.render(self._language) if line.why else None]
            case ResultColumn.RESULT:
                return [self._say(f"after_{record.disposition.value}") if record else None]
            case ResultColumn.COUNTED:
                return [self._say("result_yes" if record.counted else "result_no") if record else None]
            case ResultColumn.STARTED:
                return [self._local(record.dialed_at) if record else None]
            case ResultColumn.ENDED:
                return [self._local(record.ended_at) if record else None]
        raise AssertionError(column)  # pragma: no cover - a test makes a table of all of them

    def _others(self, found: Mapping[str, str]) -> list[WrittenCell]:
        """The cell of what was collected for the first time since the header was made, if there is one."""
        others = {name: value for name, value in found.items() if name not in self._known and is_result(name)}
        if self._shape.grows:
            return [json.dumps(others, ensure_ascii=False) if others else None]
        if others:
            raise Conflict("results_changed_meanwhile")
        return []

    def _say(self, code: str) -> str:
        return render(code, self._language)

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self._zone).replace(microsecond=0, tzinfo=None)


def merged(orders: Iterable[Sequence[str]]) -> list[str]:
    """All the names, in an order that is that of each of `orders`; if these contradict one another, as they come.

    A contact leaves out the columns in which its row is empty, so no single one need have them all.
    """
    longest_first = sorted(orders, key=len, reverse=True)
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for order in longest_first:
        for name in order:
            sorter.add(name)
        for before, name in pairwise(order):
            sorter.add(name, before)
    try:
        return list(sorter.static_order())
    except CycleError:
        return list(dict.fromkeys(chain.from_iterable(longest_first)))


def _answered_phone(line: Line) -> str | None:
    return next((record.phone for record in reversed(line.job.history) if record.disposition in HEARD), None)


def _number(value: float | Decimal) -> int | Decimal:
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    return int(exact) if exact == exact.to_integral_value() else exact.normalize()


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _summary(line: Line) -> str | None:
    analysis = line.report.analysis if line.report else None
    text = analysis.get("call_summary") if analysis else None
    return text if isinstance(text, str) else None


def _of_call(what: Callable[[AttemptRecord], WrittenCell]) -> Callable[[Line], WrittenCell]:
    return lambda line: what(line.record) if line.record else None


_ONE_CELL: dict[ResultColumn, Callable[[Line], WrittenCell]] = {
    ResultColumn.ROW: lambda line: line.job.row,
    ResultColumn.NAME: lambda line: line.job.contact.name,
    ResultColumn.EMAIL: lambda line: line.job.contact.email,
    ResultColumn.TIMEZONE: lambda line: line.job.contact.timezone,
    ResultColumn.ATTEMPTS: lambda line: line.job.attempts,
    ResultColumn.ANSWERED_PHONE: _answered_phone,
    ResultColumn.COST: lambda line: _number(line.job.total_cost),
    ResultColumn.ATTEMPT: _of_call(lambda record: record.number),
    ResultColumn.PHONE: _of_call(lambda record: record.phone),
    ResultColumn.STARTED_UTC: _of_call(lambda record: _iso(record.dialed_at)),
    ResultColumn.ENDED_UTC: _of_call(lambda record: _iso(record.ended_at)),
    ResultColumn.DURATION_SECONDS: _of_call(lambda record: _number(record.duration_seconds)),
    ResultColumn.BILLED_SECONDS: _of_call(lambda record: record.billed_seconds),
    ResultColumn.CALL_COST: _of_call(lambda record: _number(record.cost)),
    ResultColumn.SUMMARY: _summary,
    ResultColumn.RECORDING_URL: lambda line: line.report.recording_url if line.report else None,
    ResultColumn.CALL_ID: _of_call(lambda record: record.call_id),
    ResultColumn.JOB_ID: lambda line: line.job.job_id,
}
"""The columns that need neither words nor a zone."""
