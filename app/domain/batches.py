"""A batch: one campaign, its rules, and where it is in its life."""

from datetime import datetime, time
from decimal import Decimal
from enum import IntEnum, StrEnum

from pydantic import BaseModel, ConfigDict, Field, computed_field

from app.domain.calling_hours import ASK_AGAIN, CallingHours, may_call, next_call_at
from app.domain.contacts import Contact
from app.domain.fair_turns import Turn
from app.domain.imports import Import
from app.domain.messages import Message
from app.domain.outcomes import Disposition
from app.domain.recurrence import Recurrence
from app.domain.retry_rules import DELAY_HOURS_MAX, RetryRule
from app.domain.searching import name_words, sort_name

RING_SECONDS = (5, 300)
"""Bounds of `ring_timeout`: Retell's `ring_duration_ms` is 5,000 to 300,000 (retell.md §2.2)."""
CALL_SECONDS = (60, 7200)
"""Bounds of `max_call_duration`: Retell's `max_call_duration_ms` is 60,000 to 7,200,000 (retell.md §2.2)."""


BATCH_ZONE = ""
"""The zone of contacts that have none of their own: whatever the batch's is at the moment."""
MAX_TIME_ZONES = 50
"""Different zones of a batch's contacts: the claim seeks in each that is open. America has fewer that differ."""


class BatchStatus(StrEnum):
    """Who moves a batch out of each status, and what a crash leaves."""

    IMPORTING = "importing"
    """Its first contacts are being written, and nobody is called. The importer moves it on; if that dies, a worker goes
    on after its lease. An import that cannot be completed leaves a draft."""
    DRAFT = "draft"
    """It has no contacts. Adding some starts it."""
    SCHEDULED = "scheduled"
    """Waits for `starts_at`. Any worker starts it then; of a recurring batch, it starts a run."""
    RUNNING = "running"
    """Workers claim its jobs inside its hours. The worker that finds none left completes it."""
    PAUSED = "paused"
    """Nothing is claimed. An operator resumes it; `paused_by` says who paused it, `pause_reason` why if the system."""
    COMPLETED = "completed"
    """Every job is final, or no run will follow. Only an operator's retry of a job opens it again."""
    CANCELLED = "cancelled"
    """For good. Workers cancel what is still pending; calls in progress end by themselves."""

    @property
    def is_active(self) -> bool:
        return self in {BatchStatus.SCHEDULED, BatchStatus.RUNNING, BatchStatus.IMPORTING, BatchStatus.DRAFT}


class ScheduleType(StrEnum):
    IMMEDIATE = "immediate"
    SCHEDULED = "scheduled"
    RECURRING = "recurring"


class Priority(IntEnum):
    LOW = 1
    NORMAL = 2
    HIGH = 3
    URGENT = 4


class VoiceSettings(BaseModel):
    """How the agent sounds. `voice_id` "default" keeps the agent's own voice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice_id: str = Field(default="default", min_length=1, max_length=200)
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    pitch: float = Field(default=0, ge=-10, le=10)
    volume: float = Field(default=1.0, ge=0.5, le=2.0)
    language: str = Field(default="es-CL", min_length=2, max_length=20)


class CallSettings(BaseModel):
    """When and how often a batch calls. Seconds, except `retry_delay_hours`."""

    model_config = ConfigDict(frozen=True)

    max_call_duration: int = Field(default=300, ge=CALL_SECONDS[0], le=CALL_SECONDS[1])
    ring_timeout: int = Field(default=30, ge=RING_SECONDS[0], le=RING_SECONDS[1])
    max_attempts: int = Field(default=3, ge=1, le=20)
    retry_delay_hours: float = Field(default=24, gt=0, le=DELAY_HOURS_MAX, allow_inf_nan=False)
    retry_rules: dict[Disposition, RetryRule] = {}
    hours: CallingHours = CallingHours(
        start=time(9), end=time(18), days_of_week=frozenset({1, 2, 3, 4, 5}), timezone="America/Santiago"
    )

    def hours_for(self, contact: Contact) -> CallingHours:
        """The hours by the clocks of the contact."""
        return self.hours.in_zone(contact.timezone)


class Block(BaseModel):
    """Why a running batch is not calling just now, and when it looks again by itself."""

    model_config = ConfigDict(frozen=True)

    reason: Message
    since: datetime
    until: datetime


class Shortage(BaseModel):
    """Want of money, as the batch's log was told of it: once, until there is another `level`."""

    model_config = ConfigDict(frozen=True)

    code: str
    """`no_balance` or `budget_exhausted`: also the code of the block's reason."""
    level: Decimal
    """What had been bought for the account, or the batch's budget, when it ran short."""


class Progress(BaseModel):
    """Counts of a batch's jobs by what they are."""

    model_config = ConfigDict(frozen=True)

    pending: int = 0
    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.pending + self.in_progress + self.completed + self.failed + self.cancelled

    @property
    def finished(self) -> int:
        return self.completed + self.failed + self.cancelled


class Pace(BaseModel):
    """How a batch's calls have gone so far, for estimates: a crash in the wrong moment leaves a call out."""

    model_config = ConfigDict(frozen=True)

    calls: int = 0
    seconds: float = 0
    """From the asking to the end of each call, added up."""
    ended: int = 0
    """Calls that were their contact's last for another reason than that its attempts were used up."""
    calls_of_finished: int = 0
    """Calls of the contacts that are final."""


class Batch(BaseModel):
    model_config = ConfigDict(frozen=True)

    batch_id: str
    account_id: str
    name: str
    description: str | None = None
    script_content: str = ""
    voice_settings: VoiceSettings = VoiceSettings()
    call_settings: CallSettings = CallSettings()
    schedule_type: ScheduleType = ScheduleType.IMMEDIATE
    scheduled_at: datetime | None = None
    recurrence: Recurrence | None = None
    """Of a recurring batch: it is never called itself, its runs are (services/recurring.py)."""
    next_run_at: datetime | None = None
    runs_started: int = 0
    parent_batch_id: str | None = None
    """Of a run: the recurring batch that it was made of."""
    test_of: str | None = None
    """Of a test call (services/test_calls.py), the batch whose script it tries. It is in no list and no figure."""
    no_calls_after: datetime | None = None
    """No call of it begins from then on: whoever asked for a test call does not stand beside the phone for ever."""
    priority: Priority = Priority.NORMAL
    status: BatchStatus
    total_jobs: int = 0
    """How many contacts it has, those of an import that is under way included; all of them final means that the batch
    is complete."""
    numbers_used: int = 0
    """The highest number that a contact of it has, or that is set aside for one."""
    current_import: Import | None = None
    """What is being written into it, or taken out; its copy among the imports is older."""
    undone_imports: list[str] = []
    """Their contacts are not called, also if an importer that was frozen writes one now."""
    budget: Decimal | None = None
    """The most that its calls may cost, in money (as `cost` in the ledger); None: only the account's balance counts."""
    budget_used: Decimal | None = None
    """What its settled calls have cost; None: to be counted from the ledger before the next call (services/funding)."""
    budget_reservations: dict[str, Decimal] = {}
    """What each attempt in progress may cost at worst, by attempt id. Only attempts dialed under a budget have one."""
    budget_settled: int = 0
    """Raised whenever a reservation goes, so that a count of what was used then does not stick."""
    shortage: Shortage | None = None
    contact_timezones: list[str] = []
    """The zones that contacts have of their own, each once."""
    pause_reason: Message | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    block: Block | None = None
    pace: Pace = Pace()
    retell_agent_id: str | None = None
    retell_from_number: str | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None
    """SHA-256 of the create request, so that the same key with another body is told apart."""
    import_expires_at: datetime | None = None
    """Of a run that is being made: when another worker goes on with it."""
    deleted_at: datetime | None = None
    """It is cancelled, and nobody is shown it any more; for caps, ledger and figures it stays."""
    clear_jobs_after: str | None = None
    """Of a deleted batch whose uncalled jobs go too: behind which job that goes on ("": from the first on)."""
    wake_at: datetime | None = None
    """No worker need look at the batch before this instant; None: never by itself."""
    turn: Turn = Turn()
    """Its turn among the batches of its account."""
    revision: int = 0
    """Raised by whatever may make work due, so that a worker's sleep decided on older facts does not stick."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorated properties; pydantic documents this
    @property
    def sort_name(self) -> str:
        """Stored, like the next: what lists are sorted by, and what it is found by (domain.searching)."""
        return sort_name(self.name)

    @computed_field  # type: ignore[prop-decorator] # as above
    @property
    def name_words(self) -> list[str]:
        return name_words(self.name)

    @property
    def is_active(self) -> bool:
        return self.status.is_active

    @property
    def starts_at(self) -> datetime | None:
        """When it starts, or its next run does; None: at once, or no more."""
        return self.scheduled_at if self.recurrence is None else self.next_run_at

    def is_too_late(self, now: datetime) -> bool:
        return self.no_calls_after is not None and now >= self.no_calls_after

    @property
    def budget_reserved(self) -> Decimal:
        return sum(self.budget_reservations.values(), Decimal(0))

    @property
    def zones(self) -> list[str]:
        """What `Job.zone` of its jobs may be."""
        return [BATCH_ZONE, *self.contact_timezones]

    def open_zones(self, now: datetime) -> list[str]:
        """Those of its zones in which a call may be placed at `now`."""
        hours = self.call_settings.hours
        return [zone for zone in self.zones if may_call(now, hours.in_zone(zone))]

    def opens_at(self, now: datetime, zone: str | None = None) -> datetime:
        """The first instant, not before `now`, at which contacts of `zone`, or of any, may be called; if in doubt, a
        day on."""
        hours = self.call_settings.hours
        zones = self.zones if zone is None else [zone]
        return min(next_call_at(now, hours.in_zone(name)) or now + ASK_AGAIN for name in zones)


class LogEntry(BaseModel):
    """One line of a batch's log."""

    model_config = ConfigDict(frozen=True)

    timestamp: datetime
    event: str
    message: Message
    user: str


class LoggedEntry(LogEntry):
    """A line as it stands in the log."""

    entry_id: str
