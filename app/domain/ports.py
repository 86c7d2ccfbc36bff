"""What the use cases need from outside: repositories (MongoDB) and the call provider (Retell).

Every change of a job is guarded: the update matches only in the expected state and with the holder's `fence`, and
answers the job as it is afterwards, or None: "no longer mine", upon which the caller stops, without hanging up.
Every repository method raises DatabaseUnavailable when MongoDB is away.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from app.domain.accounts import Account
from app.domain.batches import BATCH_ZONE, Batch, BatchStatus, Block, LogEntry, LoggedEntry, Pace, Shortage
from app.domain.call_events import CallEvent, Hint
from app.domain.calls import CallOrder, CallReport
from app.domain.contact_list import ContactPiece, ListSummary, RejectedRow
from app.domain.contacts import ContactRow
from app.domain.do_not_call import DoNotCallEntry
from app.domain.from_numbers import CallEnd, FromNumber, Probe
from app.domain.imports import Import, KnownPerson, LeftOut, NumberedContact
from app.domain.jobs import Attempt, AttemptRecord, Job, JobState, Settlement, WaitingFor
from app.domain.messages import Message
from app.domain.money import Charge, Plan
from app.domain.persons import OtherJob
from app.domain.provider_limits import Hold, ProviderState, Trouble
from app.domain.reading import JobFilter, Place
from app.domain.reconciliation import Books, Entry, PastAttempt, Witness
from app.domain.retry_policy import NextStep
from app.domain.searching import AgeSort, NameSort, Search
from app.domain.timeline import TimelineEvent
from app.domain.transactions import Transaction, TransactionType, Usage
from app.domain.untold import Untold
from app.domain.uploads import Upload


class Time(Protocol):
    """Where the present comes from: app.clock.Clock, or a test's."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class Accounts(Protocol):
    async def insert(self, account: Account) -> bool:
        """False if the id is taken."""

    async def get(self, account_id: str) -> Account | None: ...
    async def get_many(self, account_ids: Iterable[str]) -> dict[str, Account]: ...
    async def page(
        self,
        *,
        account_ids: Collection[str] | None,
        limit: int,
        skip: int,
        sort: NameSort = NameSort.NEWEST,
        search: Search | None = None,
    ) -> tuple[list[Account], int]:
        """Of these accounts (None: of all), and how many there are in all."""

    async def update(self, account_id: str, changes: dict[str, Any]) -> Account | None: ...

    async def reserve(self, account_id: str, attempt_id: str, units: Decimal) -> bool:
        """Take `units` out of what is free, under the attempt's id; False if they are not there. Repeatable."""

    async def settle(self, account_id: str, attempt_id: str, plan: Plan, charge: Charge) -> None:
        """Swap the reservation for `charge`; nothing if it is gone, that is, settled already."""

    async def release(self, account_id: str, attempt_id: str) -> bool:
        """Give an unused reservation back; False if there is none."""

    async def reserved(self) -> dict[str, list[str]]:
        """The attempts for which accounts hold reservations."""

    async def advance_turns(self, costs: Mapping[str, float], *, since: float, reached: float) -> None:
        """Accounts were given something: their turns advance by so much, counted from `since` at least."""

    async def top_up(self, account: Account, entry: Transaction) -> Account | None:
        """Add what `entry` bought, and the entry to what is unposted; None if another came since `account` was read."""

    async def posted(self, account_id: str, transaction_id: str) -> None:
        """The entry is in the ledger, and need not be remembered here any more."""

    async def unposted(self) -> list[Account]:
        """The accounts with entries that are not in the ledger yet."""


class Transactions(Protocol):
    async def add(self, transaction: Transaction) -> bool:
        """False if its id is in the ledger already."""

    async def get(self, transaction_id: str) -> Transaction | None: ...
    async def page(
        self,
        account_id: str,
        type_: TransactionType | None = None,
        *,
        limit: int,
        skip: int,
        after: Place | None = None,
        sort: AgeSort = AgeSort.NEWEST,
    ) -> list[Transaction]:
        """Of this type (None: of any), from behind `after`."""

    async def count(self, account_id: str, type_: TransactionType | None = None) -> int: ...
    async def usage(self, account_id: str, since: datetime, until: datetime) -> Usage: ...
    async def batch_cost(self, batch_id: str, without: Collection[str]) -> Decimal:
        """What a batch has cost, `without` these attempts."""

    async def batch_usage(self, batch_ids: Sequence[str]) -> dict[str, Usage]:
        """What batches have cost; a batch without a charge is left out."""


class Budgets(Protocol):
    """What batches with a budget have reserved and used: each move one update of the batch's own document."""

    async def reserve(self, batch_id: str, attempt_id: str, cost: Decimal) -> bool:
        """Reserve `cost` under the attempt's id; False if the budget does not cover it. Repeatable."""

    async def settle(self, batch_id: str, attempt_id: str, cost: Decimal) -> None:
        """Swap the reservation for `cost`. Without one, what the batch has used is to be counted anew."""

    async def release(self, batch_id: str, attempt_id: str) -> bool:
        """Give an unused reservation back; False if there is none."""

    async def count(self, batch: Batch, used: Decimal) -> Batch | None:
        """Set what was used; None if a reservation went since `batch` was read."""

    async def reserved(self) -> dict[tuple[str, str], list[str]]:
        """The attempts for which batches hold reservations, by account and batch."""


class BatchContacts(Protocol):
    """The contacts of recurring batches, numbered from 1."""

    async def insert_many(self, batch_id: str, import_id: str, contacts: Sequence[NumberedContact]) -> None:
        """Add what is not there yet."""

    async def after(
        self, batch_id: str, number: int, limit: int, *, without: Collection[str] = ()
    ) -> list[NumberedContact]:
        """The first `limit` contacts behind `number`, in order; `without` those of these imports."""

    async def known(self, batch_id: str, keys: Sequence[str], *, without: Collection[str]) -> list[KnownPerson]:
        """Whose person keys are among `keys`."""

    async def count(self, batch_id: str, import_id: str) -> int: ...
    async def remove(self, batch_id: str, import_id: str, first: int, last: int) -> None:
        """Those of the import with numbers from `first` to `last`."""


class Imports(Protocol):
    """Imports: each in its batch's document as long as somebody works on it, and a copy of it among all of them."""

    async def begin(self, batch: Batch, work: Import, status: BatchStatus, changes: dict[str, Any]) -> Batch | None:
        """Set its numbers aside and count its contacts, unless another import came, or the status changed, since
        `batch` was read. The batch gets `status` and `changes`."""

    async def begin_undo(self, batch: Batch, work: Import, before: Import | None) -> Batch | None:
        """From here on nobody of `work` is called any more. `before` is what is under way in the batch."""

    async def name_undone(self, batch_id: str, import_id: str) -> None:
        """Nobody of a series' import is called any more in this run of it."""

    async def advance(self, work: Import, changes: dict[str, Any]) -> Batch | None:
        """Note how far it is, under its fence; None: it is in other hands, or over."""

    async def adopt(self, work: Import, lease_until: datetime) -> Batch | None:
        """Take it over: fence + 1."""

    async def close(self, batch: Batch, work: Import, status: BatchStatus, changes: dict[str, Any]) -> Batch | None:
        """It is over, as `work` says, whose `counted` the batch's jobs are corrected by; None: it is in other hands, or
        the batch's status changed since it was read."""

    async def expired(self, now: datetime, limit: int) -> list[Batch]:
        """Batches with an import that nobody works on."""

    async def save(self, work: Import) -> None:
        """The copy, unless one with a later fence is there."""

    async def get(self, import_id: str) -> Import | None: ...
    async def by_key(self, batch_id: str, key: str) -> Import | None: ...
    async def page(self, batch_id: str, *, limit: int, skip: int) -> tuple[list[Import], int]:
        """Newest first, and how many there are in all."""

    async def first(self, batch_id: str) -> Import | None:
        """The batch's first contacts; None before its copy is there."""

    async def get_many(self, import_ids: Sequence[str]) -> list[Import]: ...
    async def that_left_out(self, import_ids: Sequence[str]) -> list[Import]:
        """Those that left rows out for one of these, oldest first."""


class ReconciliationReader(Protocol):
    """The ledger, the balances and the jobs, for those who compare them. Nothing is changed."""

    async def account_ids(self) -> list[str]:
        """Of every account, and of those that only the ledger knows."""

    async def books(self, account_id: str) -> Books | None:
        """The account at one instant; None if it is not there."""

    def past_attempts(self, account_id: str) -> AsyncIterator[list[PastAttempt]]: ...
    def usage(self, account_id: str) -> AsyncIterator[list[Entry]]: ...
    async def entries(self, attempt_ids: Sequence[str]) -> dict[str, Entry]: ...
    async def witnesses(self, job_ids: Sequence[str]) -> dict[str, Witness]: ...
    async def existing_batches(self, batch_ids: Sequence[str]) -> set[str]: ...


class Batches(Protocol):
    async def insert(self, batch: Batch) -> bool:
        """False if its id, or its idempotency key within the account, is taken."""

    async def get(self, batch_id: str) -> Batch | None: ...
    async def by_idempotency_key(self, account_id: str, key: str) -> Batch | None: ...
    async def delete(self, batch_id: str) -> None: ...
    async def ids_of_account(self, account_id: str) -> dict[str, BatchStatus | None]:
        """The status of each batch; None of one that was deleted, whose jobs may remain."""

    async def delete_contacts(self, batch_id: str) -> None:
        """The contacts that a recurring batch keeps."""

    async def page(
        self,
        *,
        account_ids: Collection[str] | None,
        statuses: Sequence[BatchStatus] | None,
        limit: int,
        skip: int,
        parent_batch_id: str | None = None,
        sort: NameSort = NameSort.NEWEST,
        search: Search | None = None,
    ) -> tuple[list[Batch], int]: ...

    async def move(
        self, batch_id: str, expected: Iterable[BatchStatus], to: BatchStatus, changes: dict[str, Any]
    ) -> Batch | None:
        """Change the status if it is one of `expected`, raise `revision`, and set `changes` (None removes)."""

    async def update(self, batch_id: str, changes: dict[str, Any]) -> Batch | None:
        """Set `changes` (None removes) and raise `revision`."""

    async def revise(self, batch: Batch, changes: dict[str, Any]) -> Batch | None:
        """Set `changes` (None removes) if nothing came in since `batch` was read (its `revision`)."""

    async def unfinished_runs(self, batch_id: str) -> list[Batch]:
        """The runs of a recurring batch that are not over; a cancelled one is not while it is still looked at."""

    async def complete(self, batch: Batch, now: datetime, untold: Sequence[Untold] = ()) -> bool:
        """Running → completed, unless something came in since `batch` was read (its `revision`)."""

    async def due(self, now: datetime, limit: int) -> list[Batch]:
        """Batches with `wake_at` ≤ `now`, longest asleep first."""

    async def next_wake(self, after: datetime) -> datetime | None:
        """The first `wake_at` of all that are later."""

    async def close(self, batch: Batch, now: datetime, untold: Sequence[Untold]) -> bool:
        """Nothing wakes a batch that is over any more, unless something came in since `batch` was read."""

    async def sleep(self, batch: Batch, until: datetime | None, block: Block | None) -> bool:
        """Not to be looked at before `until`, unless something came in since `batch` was read."""

    async def to_the_back(self, batch_ids: Sequence[str], now: datetime) -> None:
        """Those of them that are due still are, after all others."""

    async def advance_turns(self, costs: Mapping[str, float], *, since: float, reached: float) -> None:
        """Batches were given something: their turns advance by so much, counted from `since` at least."""

    async def unblock(self, batch: Batch) -> bool:
        """Nothing blocks it any more; False if somebody said so before."""

    async def wake(self, batch_id: str, at: datetime, call: Pace | None = None) -> None:
        """There may be work at `at`: sleep no longer than that. `call` is added to the batch's pace."""

    async def wake_blocked(self, account_id: str, code: str, at: datetime) -> None:
        """The same for every batch of an account that is blocked by `code`."""

    async def wake_resting(self, from_number: str, at: datetime) -> None:
        """The same for every batch, of any account, whose number rested."""

    async def wake_account(self, account_id: str, at: datetime) -> None:
        """The same for every batch of an account that runs."""

    async def note_shortage(self, batch_id: str, shortage: Shortage) -> bool:
        """Whether it is news: False if the same was noted before."""

    async def forget_shortage(self, batch_id: str, shortage: Shortage) -> bool: ...
    async def log(self, batch_id: str, entry: LogEntry) -> None: ...
    async def logs(self, batch_id: str, *, limit: int, skip: int) -> tuple[list[LogEntry], int]: ...
    async def newest_logged(self, batch_id: str, *, limit: int) -> list[LoggedEntry]:
        """In the order in which they happened."""

    async def logged_after(self, batch_id: str, entry_id: str, *, limit: int) -> list[LoggedEntry] | None:
        """In the same order, what came after an entry of the batch; None if it is none of its entries."""


class Jobs(Protocol):
    """Jobs as operators see them."""

    async def insert_many(self, jobs: Sequence[Job]) -> None:
        """Add what is not there yet; a job that exists stays as it is."""

    async def delete_of_batch(self, batch_id: str) -> None: ...
    async def delete_uncalled(self, batch_id: str, after: str, limit: int) -> str | None:
        """Remove those of the next `limit` jobs behind the id `after` that are final and never called anybody.

        Answers behind which id to go on; None: those were all.
        """

    async def insert_contacts(self, pattern: Job, contacts: Sequence[NumberedContact]) -> None:
        """Add a job like `pattern` for each contact, where there is none under its number yet."""

    async def known(self, batch: Batch, keys: Sequence[str]) -> list[KnownPerson]:
        """Who of the batch has person keys among `keys`; of imports that were undone, only who was called."""

    async def count_of_import(self, batch_id: str, import_id: str) -> int: ...
    async def count_kept(self, batch_id: str, import_id: str) -> int:
        """The import's jobs after `take_out`; what an importer that is late has written since does not count."""

    async def cancel_of_import(self, batch_id: str, import_id: str, reason: Message, now: datetime, *, by: str) -> None:
        """Let no job of it in the batch call again. Safe to repeat."""

    async def take_out(self, work: Import, first: int, last: int, reason: Message, now: datetime, *, by: str) -> None:
        """Of the import's jobs with numbers from `first` to `last`: remove those that never called anybody, and let no
        other one call again. Safe to repeat."""

    async def get(self, job_id: str) -> Job | None: ...

    async def timeline(self, job_id: str) -> tuple[Job, list[TimelineEvent]] | None:
        """The job and what is stored of its events, oldest first: of one instant."""

    async def page(
        self,
        wanted: JobFilter,
        *,
        limit: int,
        skip: int = 0,
        after: Place | None = None,
        sort: AgeSort = AgeSort.NEWEST,
    ) -> list[Job]:
        """From behind `after`."""

    async def count(self, wanted: JobFilter) -> int: ...
    async def count_found(self, account_id: str, search: Search, at_most: int) -> int:
        """How many jobs of the account a search finds; it stops counting at `at_most`."""

    async def counts(self, batch_ids: Sequence[str]) -> dict[str, dict[JobState, int]]:
        """How many jobs of each batch are in each state; what is 0 is left out."""

    async def has_contact(self, account_id: str, person_key: str) -> bool:
        """Whether any job of the account, whatever became of it, is for that person; test calls are for nobody."""

    async def test_calls(self, account_id: str, since: datetime) -> list[Job]:
        """The account's test calls that were asked for since then, newest first."""

    async def cancel_pending(self, batch_id: str, reason: Message, now: datetime, *, by: str) -> int: ...

    async def cancel(
        self, job_id: str, reason: Message, now: datetime, *, by: str, untold: Sequence[Untold] = ()
    ) -> Job | None:
        """Pending → cancelled, and `untold` to be told; in flight: asked not to be tried again; None if it is final."""

    async def bring_forward(self, account_id: str, now: datetime, *, person_key: str | None = None) -> int:
        """Let the account's jobs that wait for their persons (or for that one) ask again at once; how many they are."""

    async def active_of_persons(self, account_id: str, keys: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Of these person keys, those for which a job of the account is not final, with the ids of its batch and its
        import."""

    async def reopen(
        self, job: Job, now: datetime, *, extra_attempts: int, next_phone_index: int, by: str
    ) -> Job | None: ...


class JobQueue(Protocol):
    """Jobs as workers see them."""

    async def used_slots(self, account_ids: Sequence[str]) -> dict[str, set[int]]:
        """The slots that each account's jobs in flight hold."""

    async def used_provider_slots(self) -> set[int]:
        """The slots at the provider that all jobs in flight hold."""

    async def claim(
        self,
        batch_id: str,
        slots: Sequence[int],
        provider_slots: Sequence[int],
        *,
        worker_id: str,
        lease: timedelta,
        now: datetime,
        zones: Sequence[str] = (BATCH_ZONE,),
    ) -> tuple[list[Job], bool]:
        """Lease as many due jobs of `zones` as both kinds of slots allow, each on one of both; fewer if others were
        quicker. And whether these may be all: False if as many were due as there are slots."""

    async def earliest_due(self, batch_id: str, zone: str = BATCH_ZONE) -> datetime | None:
        """When the batch's next pending job of `zone` is due; None if none is pending there."""

    async def in_flight(self, batch_ids: Sequence[str]) -> dict[str, int]: ...
    async def held_attempts(self, account_id: str) -> set[str]:
        """The attempts that jobs in somebody's hands may make or have made."""

    async def renew(self, worker_id: str, job_ids: Sequence[str], lease: timedelta) -> None: ...
    async def hand_over(self, worker_id: str) -> int: ...
    async def expired(self, now: datetime, limit: int) -> list[Job]: ...
    async def adopt(self, job: Job, *, worker_id: str, lease: timedelta) -> Job | None:
        """Take over an expired job: fence + 1; `dialing` becomes `verifying`."""

    async def release(
        self, job: Job, now: datetime, *, waiting_for: WaitingFor, reason: Message | None, due_at: datetime | None
    ) -> bool:
        """Back to pending, no attempt used. `due_at` None keeps it. False here and below: no longer as `job` shows."""

    async def end_unsent(
        self, job: Job, state: JobState, reason: Message, now: datetime, untold: Sequence[Untold] = ()
    ) -> bool: ...
    async def intend(self, job: Job, attempt: Attempt, *, lease: timedelta) -> Job | None:
        """Leased → dialing. `updated_at` of the answer is the database's own time of the intent."""

    async def others_of_person(self, job: Job, since: datetime | None) -> list[OtherJob]:
        """Jobs of the same account and person that are in somebody's hands; given `since`, also those with calls since
        then."""

    async def still_mine(self, job: Job) -> Job | None:
        """The job as it is now, if state and fence are what `job` shows."""

    async def mark_verifying(self, job: Job, now: datetime) -> Job | None: ...
    async def mark_in_call(self, job: Job, report: CallReport, now: datetime) -> Job | None: ...
    async def mark_uncertain(self, job: Job, now: datetime) -> Job | None: ...
    async def settle(self, job: Job, settlement: Settlement, report: CallReport | None) -> Job | None: ...
    async def finish(
        self, job: Job, step: NextStep, record: AttemptRecord, now: datetime, untold: Sequence[Untold] = ()
    ) -> bool: ...


class DoNotCallList(Protocol):
    async def standing(self, account_id: str, keys: Sequence[str]) -> list[DoNotCallEntry]:
        """The account's and everybody's entries for any of `keys`; expired ones may be among them."""

    async def add(self, entries: Sequence[DoNotCallEntry]) -> int:
        """Write what is not there yet, or only stands for a shorter time; how many that were. Safe to repeat."""

    async def get_many(self, entry_ids: Sequence[str]) -> list[DoNotCallEntry]: ...
    async def page(
        self, *, account_id: str | None, key: str | None, limit: int, skip: int
    ) -> tuple[list[DoNotCallEntry], int]:
        """Newest first, and how many there are in all; None asks for any."""

    async def remove(self, entry_id: str) -> bool:
        """False if there is no such entry."""

    async def hidden(self, key: str) -> str:
        """By which an entry stands for `key` without showing it (do_not_call.hidden_key)."""

    async def hide(self, account_ids: Sequence[str | None], keys: Sequence[str]) -> int:
        """Make the entries of these lists for `keys` stand as firmly without showing them; how many."""

    async def count(self, account_ids: Sequence[str | None], keys: Sequence[str]) -> int: ...


class CallHints(Protocol):
    """What was heard of calls without asking, kept in their jobs. None of it moves a job."""

    async def hear(self, job_id: str, attempt_id: str, call_id: str, *, unless_placed: bool = False) -> bool:
        """Note that `attempt_id` has this call, and that its holder should look. False if the job has no such attempt
        in hand, or (`unless_placed`) if this is the call that the attempt is known to have. Repeatable."""

    async def of_worker(self, worker_id: str) -> list[Hint]:
        """The hints for jobs that this worker holds, and that it has not taken yet."""

    async def take(self, hints: Sequence[Hint]) -> None: ...
    async def note_stopped(self, job: Job, call_id: str) -> bool:
        """That a second call of the job's attempt was stopped; False if that was known, or the job is not ours."""

    async def add_details(self, job_id: str, report: CallReport) -> bool:
        """What became known of a job's last call after its end; False if it is not that job's, or in hand."""


class CallEventReader(Protocol):
    def read(self, body: bytes, signature: str, now: datetime) -> CallEvent | None:
        """The event of a webhook; None if it does not concern us. Raises Unavailable, Unauthenticated,
        InvalidInput."""


class FromNumbers(Protocol):
    """Our own numbers under suspicion; one that is not is not there."""

    async def suspects(self) -> list[FromNumber]: ...
    async def get(self, number: str) -> FromNumber | None: ...

    async def note(self, number: str, end: CallEnd, *, first: bool) -> FromNumber | None:
        """Add an end, once, and the number afterwards. `first`: the number may become suspect by it."""

    async def change(self, number: FromNumber) -> bool:
        """Store rest, reason and probe; False if something came in since `number` was read."""

    async def take_probe(self, number: str, probe: Probe, now: datetime) -> bool:
        """Be the one call that a rested number is tried with; False if another is. Repeatable."""

    async def let_go(self, number: str, attempt_id: str) -> None:
        """Not to be that call any more."""

    async def forget(self, number: str, revision: int | None = None) -> bool:
        """It is in good standing; False if it was, or if something came in since `revision`."""


class ProviderLimits(Protocol):
    """What all workers together go by when they ask the provider for calls."""

    async def read(self) -> ProviderState: ...

    async def take_starts(self, count: int, spacing: timedelta) -> datetime:
        """The first of `count` starts, `spacing` apart, that nobody else gets."""

    async def hold(
        self, trouble: Trouble, reason: Message, *, wait: timedelta | None, base: timedelta, cap: timedelta
    ) -> tuple[Hold, bool]:
        """Pause everybody, for `wait` or for twice as long as last time; and whether this began the pause."""

    async def end_hold(self, hold_id: str) -> bool:
        """The trouble is over; False if somebody said so before, or it came back."""

    async def set_max_concurrent(self, maximum: int) -> None: ...


class Uploads(Protocol):
    """Previewed lists. The pieces of one are saved first, each under its number, and the list itself last: what can
    be named is whole."""

    async def save_contacts(self, upload_id: str, number: int, piece: ContactPiece, now: datetime) -> None: ...
    async def save_rejected(self, upload_id: str, number: int, rows: str, now: datetime) -> None:
        """RejectedRows as JSON."""

    async def save(
        self,
        upload_id: str,
        account_id: str,
        filename: str,
        summary: ListSummary,
        now: datetime,
        *,
        left_out: Sequence[LeftOut] = (),
    ) -> None: ...

    async def insert(self, upload: Upload, now: datetime) -> None:
        """The same for a list that came without a file."""

    async def get(self, upload_id: str) -> Upload | None: ...
    async def hold(self, upload_id: str, until: datetime) -> Upload | None:
        """Let it not expire before then; None if it is not whole any more."""

    async def release(self, upload_id: str, now: datetime) -> None:
        """It is not needed any more: let it expire as if it came now."""

    def rejected(self, upload_id: str) -> AsyncIterator[list[RejectedRow]]:
        """The rows that are not callable, in chunks; less than all of them if they were too many to be kept."""

    async def piece(self, upload_id: str, number: int) -> list[ContactRow] | None:
        """The callable contacts of one piece (the first is 0) with their row numbers; None if it is not there."""

    async def some_contacts(self, upload_id: str, rows: Sequence[int], *, first: int) -> list[ContactRow]:
        """The callable ones of these rows; without any, at most `first` from the beginning."""


class CallProvider(Protocol):
    """Retell. Every method raises a ProviderError."""

    @property
    def key_mark(self) -> str:
        """Tells API keys apart, and tells nothing of them."""

    def request_body(self, order: CallOrder) -> str:
        """The exact body of the create request for `order`."""

    async def place(self, request_body: str) -> CallReport:
        """Ask for the call. Raises NotPlaced (no call) or Ambiguous (perhaps)."""

    async def get(self, call_id: str) -> CallReport:
        """Raises CallUnknown, Throttled or ProviderUnavailable."""

    async def find(self, attempt_id: str, to_number: str) -> list[CallReport]:
        """The calls that carry this attempt in their metadata. An empty list proves nothing (retell.md §3.5)."""

    async def max_concurrent(self) -> int:
        """Outbound calls that the provider lets us have at once."""

    async def stop(self, call_id: str) -> None:
        """End a live call; a call that is over already is no error."""

    async def delete(self, call_id: str) -> bool:
        """Have nothing left of a call that is over; False: it is unknown there, which is no error."""
