"""A job: one contact of one batch, called until it is final. Its states, and which moves between them exist.

design.md §5 is the table in words. `MOVES` is the same table for the code; the repository refuses any move that is not
in it, and every move is a single-document update guarded by the expected state and the fence.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, computed_field

from app.domain.calls import CallReport
from app.domain.contacts import Contact, person_keys
from app.domain.messages import Message
from app.domain.money import Charge
from app.domain.outcomes import Disposition, Outcome
from app.domain.searching import name_words


def job_id(batch_id: str, number: int) -> str:
    """The id of the job of the batch's contact of that number, so that writing one twice writes it once."""
    return f"{batch_id}-{number:06d}"


def computed_of(contact: Contact) -> dict[str, object]:
    """The computed fields of the contact's job, for whoever stores jobs without making each."""
    return {"person_keys": person_keys(contact), "name_words": name_words(contact.name), "zone": contact.timezone or ""}


def of_erased_contact(now: datetime) -> dict[str, object]:
    """What is different in the job of a contact whose data are erased: it keeps its number, and is never called."""
    reason = Message(code="person_erased")
    return {"state": JobState.CANCELLED, "reason": reason, "finished_at": now, "erased_at": now}


class JobState(StrEnum):
    """What each state means, who moves a job out of it, and what a crash leaves."""

    PENDING = "pending"
    """Waits for `due_at`; `waiting_for` says why. A worker's claim moves it on. A crash changes nothing."""
    LEASED = "leased"
    """A worker holds it and a slot of the account; nothing was sent. After a crash the rescue puts it back."""
    DIALING = "dialing"
    """The intent is stored; Retell may or may not have been asked. After a crash: `verifying`, never `pending`."""
    IN_CALL = "in_call"
    """Retell gave a call id. Polling ends it; after a crash any worker adopts it, for the call needs no process."""
    VERIFYING = "verifying"
    """We are finding out whether the phone rang. The rescue works on it until it knows or time is up."""
    SETTLING = "settling"
    """The outcome is stored; its effects are being written. After a crash the rescue writes them again, harmlessly."""
    UNCERTAIN = "uncertain"
    """Retell could not tell. It keeps its slot until the call must have ended; never redialed in this attempt."""
    COMPLETED = "completed"
    """Final: somebody was reached."""
    FAILED = "failed"
    """Final: `reason` says why nobody was."""
    CANCELLED = "cancelled"
    """Final: an operator did not want it any more."""

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
PRIORITIES = (1, 0)
"""Levels of `Job.priority`, highest first. Few, so that the claim's index can skip from one to the next."""
OPERATOR_PRIORITY = CALLBACK_PRIORITY = 1

IN_FLIGHT = frozenset(
    {
        JobState.LEASED,
        JobState.DIALING,
        JobState.IN_CALL,
        JobState.VERIFYING,
        JobState.SETTLING,
        JobState.UNCERTAIN,
    }
)

CALLING = IN_FLIGHT - {JobState.LEASED}
"""From the stored intent until every effect of the call is written: its person is not called by another job."""

MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.PENDING: frozenset({JobState.LEASED, JobState.CANCELLED, JobState.FAILED}),
    # Back to pending: refused by admission, stopped gracefully, or rescued. Final: attempts or phones used up.
    JobState.LEASED: frozenset({JobState.PENDING, JobState.DIALING, JobState.FAILED, JobState.CANCELLED}),
    # Back to pending only by the living holder that knows nothing was placed.
    JobState.DIALING: frozenset({JobState.PENDING, JobState.IN_CALL, JobState.VERIFYING, JobState.SETTLING}),
    # Never back to pending: not found proves nothing.
    JobState.VERIFYING: frozenset({JobState.IN_CALL, JobState.UNCERTAIN, JobState.SETTLING}),
    JobState.IN_CALL: frozenset({JobState.SETTLING, JobState.UNCERTAIN}),
    JobState.UNCERTAIN: frozenset({JobState.IN_CALL, JobState.SETTLING}),
    JobState.SETTLING: frozenset({JobState.PENDING, *FINAL}),
    # Only an operator's retry.
    JobState.FAILED: frozenset({JobState.PENDING}),
    JobState.CANCELLED: frozenset({JobState.PENDING}),
    JobState.COMPLETED: frozenset(),
}


class WaitingFor(StrEnum):
    """Why a pending job is not being called."""

    NEW = "new"
    RETRY = "retry"
    CALLBACK = "callback"
    """The time at which the person asked to be called."""
    HOURS = "hours"
    BALANCE = "balance"
    BUDGET = "budget"
    PROVIDER = "provider"
    PERSON = "person"
    """The person is in another call, was called often enough for now, or asked for peace until a date."""


class Attempt(BaseModel):
    """One try to reach one phone, from the stored intent on."""

    model_config = ConfigDict(frozen=True)

    attempt_id: str
    """Also Retell's idempotency key, the reservation's key and the ledger entry's id."""
    number: int
    """1 for the contact's first attempt."""
    phone: str
    phone_index: int
    from_number: str | None = None
    """Our own number; None on attempts older than this field."""
    max_duration_seconds: int
    """The call's own maximum: the batch's, or less where the money covered less."""
    ring_seconds: int
    reserved: Decimal
    reserved_cost: Decimal | None = None
    """What is reserved in the batch's budget; None if it had none."""
    request_body: str
    """The exact bytes sent to Retell, so that a resend under the same key is the same request."""
    key_mark: str | None = None
    """Of the API key it was sent with: nobody promises that an idempotency key holds across API keys. None on attempts
    older than this field."""
    intent_at: datetime
    placed_by: datetime | None = None
    """The latest moment at which the call can have been placed, once nothing is sent any more."""
    call_id: str | None = None
    stopped_call_ids: list[str] = []
    """Further calls that turned up for this attempt, and were stopped."""

    @property
    def latest_end(self) -> datetime:
        """When the call must have ended if it was placed as asked."""
        return (self.placed_by or self.intent_at) + timedelta(seconds=self.ring_seconds + self.max_duration_seconds)


class Settlement(BaseModel):
    """What was decided at the end of an attempt; whoever settles, however often, settles this."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    charge: Charge
    decided_at: datetime
    detail: str | None = None
    """The provider's own words, where it refused."""


class AttemptRecord(BaseModel):
    """What is kept of an attempt once it is over."""

    model_config = ConfigDict(frozen=True)

    attempt_id: str
    number: int
    phone: str
    call_id: str | None = None
    disposition: Disposition
    disconnection_reason: str | None = None
    counted: bool
    dialed_at: datetime
    ended_at: datetime
    duration_seconds: float
    billed_seconds: int
    cost: Decimal
    provider_cost_cents: Decimal | None = None
    key_mark: str | None = None
    """As in Attempt: under which key the provider knows the call."""


class Job(BaseModel):
    model_config = ConfigDict(frozen=True)

    job_id: str
    account_id: str
    batch_id: str
    test_of: str | None = None
    """Of a test call, the batch whose script it tries. It is tried once, whatever comes of it."""
    speaks_of: list[str] | None = None
    """Of a test call, the person keys of the contact whose name and values it says: by these it is found when that
    person wants to know what is stored, or to be erased. None of those older than this field."""
    row: int | None = None
    """The spreadsheet's row number, or the 1-based place in the request's `contacts`."""
    import_id: str | None = None
    """The import that brought it; None: it was copied into a run, or is older than imports."""
    state: JobState
    waiting_for: WaitingFor | None = None
    reason: Message | None = None
    """Why it waits, or why it ended as it did."""
    priority: int = 0
    due_at: datetime
    fence: int = 0
    slot: int | None = None
    """One of the account's simultaneous calls; held as long as the phone may ring or somebody talk."""
    provider_slot: int | None = None
    """One of the simultaneous calls that the provider allows over all accounts; held exactly as long."""
    worker_id: str | None = None
    lease_until: datetime | None = None
    contact: Contact
    next_phone_index: int = 0
    retired_phones: list[str] = []
    """Numbers that the network called invalid; never dialed again for this contact."""
    attempts: int = 0
    extra_attempts: int = 0
    """Attempts granted by operators' retries and by contacts' own wishes, on top of the batch's `max_attempts`."""
    callbacks: int = 0
    """How often the contact named a time at which to be called."""
    provider_troubles: int = 0
    """Ends in a row that were the provider's fault and did not count as attempts."""
    attempt_id: str | None = None
    """The attempt that the present claim may make; also the key of its reservation."""
    attempt: Attempt | None = None
    heard_call_ids: list[str] = []
    """Calls that Retell has named for this attempt by itself."""
    heard_at: datetime | None = None
    """Something was heard that the holder has not taken yet."""
    settlement: Settlement | None = None
    report: CallReport | None = None
    """The provider's last word on the last call."""
    disposition: Disposition | None = None
    history: list[AttemptRecord] = []
    cancel_requested: bool = False
    erased_at: datetime | None = None
    """Nobody knows any more who it was: it is final, and stays so."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorated properties; pydantic documents this
    @property
    def person_keys(self) -> list[str]:
        """Stored with the job, to find all jobs of a person; computed, so that nobody who makes a job forgets it."""
        return person_keys(self.contact)

    @computed_field  # type: ignore[prop-decorator] # as above
    @property
    def name_words(self) -> list[str]:
        """What the contact's name is found by (domain.searching)."""
        return name_words(self.contact.name)

    @computed_field  # type: ignore[prop-decorator] # as above
    @property
    def zone(self) -> str:
        """By whose clocks the contact is called; "" is the batch's zone (batches.BATCH_ZONE). For the claim's index."""
        return self.contact.timezone or ""

    @property
    def own_wait(self) -> tuple[WaitingFor, Message | None]:
        """What it waits for, and why, when nothing but its turn keeps it back."""
        if self.waiting_for is WaitingFor.CALLBACK:
            return WaitingFor.CALLBACK, self.reason
        return WaitingFor.RETRY if self.attempts else WaitingFor.NEW, None

    def max_attempts(self, allowed_by_batch: int) -> int:
        return allowed_by_batch + self.extra_attempts

    @property
    def total_cost(self) -> Decimal:
        return sum((record.cost for record in self.history), Decimal(0))
