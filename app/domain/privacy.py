"""Erasing what is known of a person: who is meant, what is left in the place of names and numbers, and how far it is.

Pure. What is erased in which collection: repositories/personal_data.py; in which order, and when it is over:
services/erasing.py; why so: docs/adr/0025-erased-not-deleted.md.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from app.domain.contacts import ID_PREFIX, Contact
from app.domain.person_caps import PersonCap, reach_of

MOST_KEYS = 50
"""Numbers and ids of one person. Who has more is several persons that share a number."""
QUIET = timedelta(minutes=2)
"""Between the first look that found something and the last one, which finds what a slow writer still had in memory."""
LOOK_AGAIN = timedelta(seconds=15)
LEASE = timedelta(minutes=1)
SHORTEST_REST = timedelta(days=1)
"""Nobody is called whose data are just being erased."""


class Sought(NamedTuple):
    """Whose data are meant. `by_phone`: numbers that were asked for without an id: whoever has one is meant."""

    ids: frozenset[str]
    phones: frozenset[str]
    by_phone: frozenset[str]

    @property
    def keys(self) -> list[str]:
        return sorted(self.ids | self.phones)

    def means(self, keys: Collection[str]) -> bool:
        """Whether a contact with these person keys is meant. Somebody else at the same telephone is not, if another id
        says so."""
        own_ids = {key for key in keys if key.startswith(ID_PREFIX)}
        if own_ids & self.ids or self.by_phone.intersection(keys):
            return True
        return not own_ids and not self.phones.isdisjoint(keys)

    def known_by(self, keys: Iterable[str]) -> "Sought":
        """The same person, who has these keys too."""
        ids = {key for key in keys if key.startswith(ID_PREFIX)}
        return Sought(self.ids | ids, self.phones | (set(keys) - ids), self.by_phone)


def sought_by(phone: str | None, national_id: str | None) -> Sought:
    """`phone`: E.164; `national_id`: as contacts.id_key makes it. At least one of them."""
    phones = frozenset({phone} if phone else ())
    return Sought(frozenset({national_id} if national_id else ()), phones, frozenset() if national_id else phones)


def erased_contact(contact: Contact) -> Contact:
    """What is left: how many numbers there were, and by whose clocks. No number of it can be dialed, or found."""
    return Contact(phones=erased_phones(contact.phones), timezone=contact.timezone)


def erased_phones(phones: Iterable[str]) -> list[str]:
    return [f"#{place}" for place, _ in enumerate(phones, 1)]


def places_of(phones: Iterable[str]) -> Mapping[str, str]:
    """By each number what stands for it."""
    numbers = list(phones)
    return dict(zip(numbers, erased_phones(numbers), strict=True))


class ErasureStatus(StrEnum):
    """Any worker goes on with one that is working and that nobody works on."""

    WORKING = "working"
    """Nobody calls the person any more. Calls in progress and imports under way are waited for."""
    COMPLETED = "completed"
    """Nothing is left, and the numbers that it was about are not known here any more either."""


class ErasingStep(StrEnum):
    """Each goes on by itself, whatever happens to the others."""

    PERSON = "person"
    PROVIDER = "provider"
    """Calls that are to be deleted there."""
    AGE = "age"


class Erased(StrEnum):
    """What is counted of it, for whoever monitors."""

    PERSONS = "persons"
    """Erasures that are complete."""
    JOBS = "jobs"
    RECORDINGS = "recordings"
    """Links to them, where the rest stays."""
    CONTACTS = "contacts"
    """Of recurring batches."""
    UPLOAD_ROWS = "upload_rows"
    DELIVERIES = "deliveries"
    DO_NOT_CALL = "do_not_call"
    """Entries that forbid nothing any more."""
    PROVIDER_COPIES = "provider_copies"


class Found(BaseModel):
    """What there was of a person, counted."""

    model_config = ConfigDict(frozen=True)

    jobs: int = 0
    waiting: int = 0
    """Of the jobs, those that were to be called."""
    in_call: int = 0
    contacts: int = 0
    """In recurring batches."""
    upload_rows: int = 0
    deliveries: int = 0
    test_calls: int = 0
    """To other telephones, that say what the person would hear."""
    do_not_call: int = 0
    other_phones: int = 0
    """Besides the one that was asked for."""
    other_ids: int = 0
    shared: int = 0
    """Jobs of others who share one of the numbers, and who are left alone."""


class Erasure(BaseModel):
    """One person of one account. `keys` and `by_phone` are there only as long as it works."""

    model_config = ConfigDict(frozen=True)

    erasure_id: str
    account_id: str
    digest: str
    """Of who was asked for, by the keyed hash: whoever asks again finds it."""
    status: ErasureStatus = ErasureStatus.WORKING
    ids: list[str] = []
    phones: list[str] = []
    by_phone: list[str] = []
    never_call_again: bool = False
    everybodys_list: bool = False
    """Whether entries of the do-not-call list for all accounts are made unreadable too."""
    job_ids: list[str] = []
    """Noted before each is erased: what was sent about them is found by these."""
    found: Found = Found()
    """At the first look."""
    left: int = 0
    """Calls in progress and imports that are waited for."""
    requested_by: str
    requested_at: datetime
    finds_at: datetime | None = None
    """When something was last found to be erased."""
    due_at: datetime | None = None
    """When somebody looks next; None: it is over."""
    lease_until: datetime | None = None
    fence: int = 0
    finished_at: datetime | None = None

    @property
    def sought(self) -> Sought:
        return Sought(frozenset(self.ids), frozenset(self.phones), frozenset(self.by_phone))


class AgedBatch(NamedTuple):
    """A batch whose time is over, in the hands of one worker. `after`: the last job that was dealt with."""

    batch_id: str
    account_id: str
    everything: bool
    """Else only the links to recordings."""
    after: str


class ProviderCopy(BaseModel):
    """A call that is to be deleted at the provider too."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    account_id: str
    erasure_id: str | None = None
    """None: its time was over."""
    key_mark: str | None = None
    """Of the API key that it was made with; None: of a time before that was noted."""
    elsewhere: bool | None = None
    """The provider does not know it, but was asked with another key: it may lie in another workspace."""
    tries: int = 0
    noted_at: datetime | None = None
    """None of those older than this field."""
    due_at: datetime


class CopiesLeft(NamedTuple):
    """Calls of an erasure that the provider has not deleted yet; `elsewhere`: those of them that it does not know."""

    copies: int = 0
    elsewhere: int = 0


Calls = Mapping[str, str | None]
"""Call ids, each with the mark of the API key that it was made with."""


def copies_of(calls: Calls, account_id: str, now: datetime, erasure_id: str | None = None) -> list[ProviderCopy]:
    return [
        ProviderCopy(
            call_id=call_id, account_id=account_id, erasure_id=erasure_id, key_mark=key_mark, noted_at=now, due_at=now
        )
        for call_id, key_mark in calls.items()
    ]


def wait_after_failing(tries: int) -> timedelta:
    """After so many tries at the provider: a minute, doubling up to six hours, for ever."""
    return min(timedelta(minutes=1) * (1 << min(tries, 10)), timedelta(hours=6))


def rest_until(now: datetime, caps: Iterable[PersonCap]) -> datetime:
    """Until when a person whose calls are forgotten is not called: as long as any of them might have counted."""
    return now + max(reach_of(caps) or SHORTEST_REST, SHORTEST_REST)


RETENTION_DAYS = (7, 3650)
RECORDING_DAYS = (1, 3650)
"""Bounds of what an account may choose."""


class Retention(BaseModel):
    """After how many days, from the end of their batch, names and numbers (`personal`) and what was said
    (`recordings`) are erased; None: never."""

    model_config = ConfigDict(frozen=True)

    personal_days: int | None = None
    recording_days: int | None = None


class ErasedByAge(BaseModel):
    """What an account has had erased by age so far."""

    model_config = ConfigDict(frozen=True)

    jobs: int = 0
    recordings: int = 0
    last_at: datetime | None = None


def in_force(
    personal_days: int | None, recording_days: int | None, caps: Iterable[PersonCap], defaults: Retention
) -> Retention:
    """What holds for an account. 0 is never, None the default; never shorter than a cap looks back, for caps are
    counted in what would be erased."""
    personal = defaults.personal_days if personal_days is None else personal_days or None
    recording = defaults.recording_days if recording_days is None else recording_days or None
    reach = reach_of(caps)
    if personal is not None and reach is not None:
        personal = max(personal, reach.days + 2)
    return Retention(personal_days=personal, recording_days=recording)
