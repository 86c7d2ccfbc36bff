"""The doctor: finds out what Cadencia stands on, and has it judged. Changes nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from app.domain import diagnosis
from app.domain.diagnosis import DatabaseInspection, Finding, Level, Line, LookedUp, ProviderInspection
from app.domain.errors import DatabaseUnavailable
from app.domain.ports import FromNumbers, Time
from app.domain.provider_errors import ProviderError
from app.domain.workers import Workers

HALF_A_SECOND = timedelta(seconds=0.5)
"""An HTTP date has no fractions: on average it is so much behind."""


@dataclass(frozen=True)
class Defaults:
    """What the settings say; empty where they say nothing."""

    key_is_set: bool
    agent_id: str
    from_number: str
    max_concurrent: int | None


class Diagnosing:
    def __init__(
        self,
        database: DatabaseInspection,
        workers: Workers,
        numbers: FromNumbers,
        provider: ProviderInspection,
        time: Time,
        take_primarys_time: Callable[[], Awaitable[float]],
        defaults: Defaults,
    ) -> None:
        """`take_primarys_time`: has `time` go by the primary; how many seconds this machine is behind it."""
        self._database = database
        self._workers = workers
        self._numbers = numbers
        self._provider = provider
        self._time = time
        self._take_primarys_time = take_primarys_time
        self._defaults = defaults

    async def findings(self) -> list[Finding]:
        try:
            database, lines = await self._of_database()
        except DatabaseUnavailable:
            database, lines = [_away()], None
        return database + await self._of_provider(lines)

    async def _of_database(self) -> tuple[list[Finding], list[Line] | None]:
        """And what the accounts call with, where it can be told."""
        facts = await self._database.look()
        if isinstance(facts, str):
            return [Finding("mongodb", Level.ERROR, "is not one that Cadencia can work with", facts)], None
        findings = diagnosis.of_database(facts)
        findings.append(diagnosis.of_machine_clock(await self._take_primarys_time()))
        findings.append(diagnosis.of_workers(await self._workers.all(), self._time.now()))
        findings += diagnosis.of_resting(await self._numbers.suspects(), self._time.now())
        return findings, await self._database.lines()

    async def _of_provider(self, lines: list[Line] | None) -> list[Finding]:
        if not self._defaults.key_is_set:
            return [Finding("retell key", Level.ERROR, "is not set", "Set RETELL_API_KEY.")]
        try:
            answer = await self._provider.key_info()
        except ProviderError as error:
            return [diagnosis.unanswered("retell", error.detail)]
        findings = [diagnosis.of_key(answer)]
        if lines is not None and answer.date is not None:
            ahead = self._time.now() - answer.date - HALF_A_SECOND
            findings.append(diagnosis.of_primary_clock(ahead.total_seconds()))
        if answer.status != 200:
            return findings  # everything else would fail the same way
        default = Line(number=None, agent_id=None, limits=0, countries=frozenset())
        findings += await self._of_agents_and_numbers([default, *(lines or [])])
        return [*findings, await self._of_concurrency(sum(line.limits for line in lines or []))]

    async def _of_agents_and_numbers(self, lines: list[Line]) -> list[Finding]:
        findings = []
        for agent_id in sorted({line.agent_id or self._defaults.agent_id for line in lines} - {""}):
            asked = await _answer(f"retell agent {agent_id}", self._provider.agent(agent_id))
            findings.append(asked if isinstance(asked, Finding) else diagnosis.of_agent(agent_id, asked))
        numbers = {line.number or self._defaults.from_number for line in lines}
        if "" in numbers:
            advice = "Set RETELL_FROM_NUMBER: a worker does not start without it."
            findings.append(Finding("retell number", Level.ERROR, "RETELL_FROM_NUMBER is not set", advice))
        for number in sorted(numbers - {""}):
            its = [line for line in lines if (line.number or self._defaults.from_number) == number]
            asked = await _answer(f"retell number {number}", self._provider.phone_number(number))
            findings.append(asked if isinstance(asked, Finding) else self._of_number(number, asked, its))
        return findings

    def _of_number(self, number: str, answer: LookedUp, its: list[Line]) -> Finding:
        return diagnosis.of_number(
            number,
            answer,
            needs_agent=any(not (line.agent_id or self._defaults.agent_id) for line in its),
            countries=frozenset().union(*(line.countries for line in its)),
        )

    async def _of_concurrency(self, wanted: int) -> Finding:
        try:
            allowed = await self._provider.max_concurrent()
        except ProviderError as error:
            return diagnosis.unanswered("retell concurrency", error.detail)
        return diagnosis.of_concurrency(allowed, self._defaults.max_concurrent, wanted)


async def _answer(subject: str, asked: Awaitable[LookedUp]) -> LookedUp | Finding:
    try:
        return await asked
    except ProviderError as error:
        return diagnosis.unanswered(subject, error.detail)


def _away() -> Finding:
    advice = (
        "Is mongod running, does MONGODB_URI name its hosts and replica set (and tls=true, if it wants that), are the "
        "names known here (DNS), has the set a primary (rs.status())?"
    )
    return Finding("mongodb", Level.ERROR, "no primary answers", advice)
