"""Is everything that Cadencia stands on as it must be? What was found out is judged here, with what to do. Pure.

An error: no call is placed, or not safely. A warning: it works, but an operator should know. The words are for whoever
installs or operates Cadencia, in English like the logs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from app.domain.from_numbers import FromNumber
from app.domain.workers import Worker, WorkerState

CLOCK_SECONDS = 5.0
"""As the alert ClockOff has it."""
WRONG_CLOCK_SECONDS = 60.0
"""A primary that is off by so much calls at hours when nobody may be called."""
RENEWED = "The processes of Cadencia create indexes when they start: restart one and read its log."


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    subject: str
    level: Level
    text: str
    advice: str = ""
    """What to do; empty where nothing is to be done."""


@dataclass(frozen=True)
class DatabaseFacts:
    version: str
    replica_set: str
    members: int
    """That hold data and may become the primary."""
    arbiters: int
    write_concern: Mapping[str, object]
    majority_keeps_up: bool
    """Whether what the primary had written was with a majority a few seconds later."""
    is_new: bool
    """Nothing of ours is in it."""
    data_version: int | None
    """None: nobody has written any."""
    code_version: int
    missing_indexes: Sequence[str]
    different_indexes: Sequence[str]


@dataclass(frozen=True)
class Line:
    """What active accounts call with: a number and an agent, None where they use the default."""

    number: str | None
    agent_id: str | None
    limits: int
    """The sum of their limits of simultaneous calls."""
    countries: frozenset[str]


@dataclass(frozen=True)
class LookedUp:
    """An answer of the provider, whichever."""

    status: int
    fields: Mapping[str, Any]
    detail: str
    """The provider's own words, without secrets."""
    date: datetime | None
    """Its clock, to the second."""


class DatabaseInspection(Protocol):
    """Only reads. Every method raises DatabaseUnavailable."""

    async def look(self) -> DatabaseFacts | str:
        """Or why Cadencia cannot work with this server."""

    async def lines(self) -> list[Line]: ...


class ProviderInspection(Protocol):
    """Only reads. Every method raises a ProviderError if there is no answer."""

    async def key_info(self) -> LookedUp: ...
    async def agent(self, agent_id: str) -> LookedUp: ...
    async def phone_number(self, number: str) -> LookedUp: ...
    async def max_concurrent(self) -> int: ...


def of_database(facts: DatabaseFacts) -> list[Finding]:
    return [
        Finding("mongodb", Level.OK, f"reachable, version {facts.version}"),
        _of_members(facts),
        _of_writes(facts),
        *_of_version(facts),
        _of_indexes(facts),
    ]


def _of_members(facts: DatabaseFacts) -> Finding:
    subject, text = "mongodb replica set", f"{facts.replica_set}, members with data: {facts.members}"
    if facts.arbiters:
        advice = "Replace it by a member with data: with one of the others away, no write is acknowledged."
        return Finding(subject, Level.WARNING, f"{text}, arbiters: {facts.arbiters}", advice)
    if facts.members < 3:
        advice = "Run three members: when the only one, or one of two, is away, nothing is called and nothing answers."
        return Finding(subject, Level.WARNING, text, advice)
    return Finding(subject, Level.OK, text)


def _of_writes(facts: DatabaseFacts) -> Finding:
    subject = "mongodb writes"
    if facts.write_concern != {"w": "majority", "j": True}:
        advice = "Report this: the database was opened with something else than what Cadencia asks for."
        return Finding(subject, Level.ERROR, f"write concern {dict(facts.write_concern)}", advice)
    if not facts.majority_keeps_up:
        advice = "See rs.status(): bring the other members back, or take those that are gone out of the set."
        return Finding(subject, Level.ERROR, "what is written does not reach a majority of the members", advice)
    return Finding(subject, Level.OK, "acknowledged by a majority, journaled")


def _of_version(facts: DatabaseFacts) -> list[Finding]:
    """Nothing of a new database: it gets its version with its indexes."""
    if facts.is_new:
        return []
    subject, version = "data version", facts.data_version or 0
    text = f"data {version or 'without version'}, this code {facts.code_version}"
    if version >= facts.code_version:
        return [Finding(subject, Level.OK, text)]
    advice = (
        "python -m scripts.migrate --plan says what is to be done. The next start does it, or the same without --plan."
    )
    return [Finding(subject, Level.WARNING, text, advice)]


def _of_indexes(facts: DatabaseFacts) -> Finding:
    subject = "mongodb indexes"
    if facts.is_new:
        return Finding(subject, Level.WARNING, "the database is empty: no index yet", RENEWED)
    if (facts.data_version or 0) > facts.code_version:
        return Finding(subject, Level.OK, "made by a newer code: not compared")
    if facts.different_indexes:
        advice = f"Drop them while no worker runs. {RENEWED}"
        return Finding(subject, Level.ERROR, f"not as they must be: {', '.join(facts.different_indexes)}", advice)
    if facts.missing_indexes:
        return Finding(subject, Level.ERROR, f"missing: {', '.join(facts.missing_indexes)}", RENEWED)
    return Finding(subject, Level.OK, "all there")


def of_machine_clock(behind_seconds: float) -> Finding:
    """`behind_seconds`: the primary's clock less this machine's."""
    text = f"this machine and the MongoDB primary differ by {abs(behind_seconds):.1f} s"
    if abs(behind_seconds) > CLOCK_SECONDS:
        advice = "Let NTP keep both (timedatectl). Cadencia goes by the primary's; this machine's logs are off."
        return Finding("clock of this machine", Level.WARNING, text, advice)
    return Finding("clock of this machine", Level.OK, text)


def of_primary_clock(ahead_seconds: float) -> Finding:
    """`ahead_seconds`: the primary's clock less the provider's."""
    off = abs(ahead_seconds)
    text = f"the MongoDB primary and Retell differ by {off:.0f} s"
    if off <= CLOCK_SECONDS:
        return Finding("clock of the primary", Level.OK, text)
    advice = "Calls are placed by the primary's clock: pause the batches, correct it (NTP), resume."
    return Finding("clock of the primary", Level.ERROR if off > WRONG_CLOCK_SECONDS else Level.WARNING, text, advice)


def of_workers(workers: Sequence[Worker], now: datetime) -> Finding:
    alive = [worker for worker in workers if worker.is_at_work(now)]
    lost = [worker for worker in workers if worker.state_at(now) is WorkerState.LOST]
    text = f"{len(alive)} at work, {len(lost)} lost in the last day"
    start = "Start one: python -m workers.call_worker. Until then nobody is called."
    if not alive:
        return Finding("workers", Level.ERROR if lost else Level.WARNING, text, start)
    off = [worker.name for worker in alive if abs(worker.clock_offset_seconds) > CLOCK_SECONDS]
    if off:
        return Finding("workers", Level.WARNING, f"{text}; clocks that are off: {', '.join(off)}", "Let NTP keep them.")
    versions = sorted({worker.version for worker in alive})
    if len(versions) > 1:
        advice = "Drain those of the old version: python -m workers.call_worker --drain --worker-id …"
        return Finding("workers", Level.WARNING, f"{text}, of versions {', '.join(versions)}", advice)
    return Finding("workers", Level.OK, text)


def of_key(answer: LookedUp) -> Finding:
    subject = "retell key"
    if answer.status == 200:
        return Finding(subject, Level.OK, f"accepted, workspace {answer.fields.get('org_name') or 'without a name'}")
    if answer.status in {401, 403}:
        advice = (
            "Set RETELL_API_KEY to a key of the workspace (Retell's dashboard, API keys), and restart all processes."
        )
        return Finding(subject, Level.ERROR, f"refused: {answer.detail}", advice)
    return unanswered(subject, f"{answer.status} {answer.detail}")


def of_agent(agent_id: str, answer: LookedUp) -> Finding:
    subject = f"retell agent {agent_id}"
    if answer.status == 200:
        return Finding(subject, Level.OK, f"exists: {answer.fields.get('agent_name') or 'without a name'}")
    if answer.status in {400, 404, 422}:
        advice = "Correct RETELL_AGENT_ID, or the account's retell_agent_id; the agent must be in the key's workspace."
        return Finding(subject, Level.ERROR, f"unknown to Retell: {answer.detail}", advice)
    return unanswered(subject, f"{answer.status} {answer.detail}")


def of_number(number: str, answer: LookedUp, *, needs_agent: bool, countries: frozenset[str]) -> Finding:
    """`needs_agent`: calls from it name no agent, so that Retell takes the one bound to it."""
    subject = f"retell number {number}"
    if answer.status in {400, 404, 422}:
        advice = "Correct RETELL_FROM_NUMBER, or the account's retell_from_number; buy or import the number at Retell."
        return Finding(subject, Level.ERROR, f"not in this workspace: {answer.detail}", advice)
    if answer.status != 200:
        return unanswered(subject, f"{answer.status} {answer.detail}")
    # Retell answers the newer list, the older field, or both.
    if needs_agent and not (answer.fields.get("outbound_agents") or answer.fields.get("outbound_agent_id")):
        advice = "Set RETELL_AGENT_ID, or bind an outbound agent to the number at Retell."
        return Finding(subject, Level.ERROR, "no agent is bound to it for outbound calls, and none is set", advice)
    allowed = answer.fields.get("allowed_outbound_country_list") or []
    closed = sorted(countries - set(allowed)) if allowed else []
    if closed:
        advice = "Allow them at Retell (the number's outbound countries), or give those accounts another number."
        return Finding(subject, Level.WARNING, f"may not call {', '.join(closed)}, where accounts call", advice)
    return Finding(subject, Level.OK, "exists and may call out")


def of_resting(suspects: Sequence[FromNumber], now: datetime) -> list[Finding]:
    advice = "See GET /api/v1/from-numbers: why it rests, and how to have it tried again."
    return [
        Finding(
            f"retell number {suspect.number}", Level.WARNING, f"rests until {rest.until:%Y-%m-%d %H:%M} UTC", advice
        )
        for suspect in suspects
        if (rest := suspect.rest(now)) is not None
    ]


def of_concurrency(allowed: int, own_limit: int | None, wanted: int) -> Finding:
    """`wanted`: the sum of the accounts' limits."""
    subject = "retell concurrency"
    usable = allowed if own_limit is None else min(allowed, own_limit)
    text = f"{usable} calls at once; the accounts' limits add up to {wanted}"
    if usable == 0:
        return Finding(subject, Level.ERROR, text, "Lower what is reserved for inbound calls at Retell, or buy more.")
    if own_limit is not None and own_limit > allowed:
        advice = f"Retell allows {allowed}: lower RETELL_MAX_CONCURRENT_CALLS ({own_limit}), or buy more at Retell."
        return Finding(subject, Level.WARNING, text, advice)
    if wanted > usable:
        advice = "No harm is done: accounts take turns. For all of them at their limits, buy more at Retell."
        return Finding(subject, Level.WARNING, text, advice)
    return Finding(subject, Level.OK, text)


def unanswered(subject: str, detail: str) -> Finding:
    advice = "Look at RETELL_BASE_URL, the network (DNS, proxy, firewall to port 443) and Retell's status page."
    return Finding(subject, Level.ERROR, f"no usable answer: {detail}", advice)
