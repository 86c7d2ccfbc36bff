"""May this job be dialed now: a reason for every refusal, and silence only if nothing speaks against it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from app.domain.accounts import AccountStatus, Features
from app.domain.admission import Refusal, RefusalKind, refuse
from app.domain.batches import BatchStatus
from app.domain.calling_hours import CLOSING_MARGIN
from app.domain.do_not_call import DoNotCallMatch, DoNotCallScope
from app.domain.from_numbers import Rest
from app.domain.holiday_calendar import HolidayCalendar
from app.domain.jobs import JobState
from app.domain.person_caps import CapCounts, CapPeriod, PersonCap
from app.domain.persons import OtherJob
from tests.builders import (
    NOW,
    OFFICE,
    make_account,
    make_batch,
    make_circumstances,
    make_contact,
    make_job,
    make_record,
    make_settings,
    phone,
)

SUNDAY = datetime(2026, 6, 7, 16, 0, tzinfo=UTC)
MONDAY_NINE = datetime(2026, 6, 8, 13, 0, tzinfo=UTC)
LIMIT = 5
RESTS = Rest(number="+56226000000", until=MONDAY_NINE)
FOR_GOOD = DoNotCallMatch(until=None, scope=DoNotCallScope.GLOBAL)
IN_CALL = OtherJob(job_id="job-2", state=JobState.IN_CALL)
ONCE_A_WEEK = PersonCap(counts=CapCounts.ATTEMPTS, max=1, period=CapPeriod.ROLLING, days=7)
CALLED = OtherJob(job_id="job-3", state=JobState.PENDING, history=[make_record(ended_at=NOW - timedelta(hours=1))])
CALLED_AN_HOUR_AGO = {"account": {"person_caps": [ONCE_A_WEEK]}, "circumstances": {"others": [CALLED]}}


def ask(
    *,
    now: datetime = NOW,
    job: dict[str, Any] | None = None,
    batch: dict[str, Any] | None = None,
    account: dict[str, Any] | None = None,
    circumstances: dict[str, Any] | None = None,
) -> Refusal | None:
    """Ask for a job that may be dialed, but for the changes."""
    settings = make_settings(hours=OFFICE, max_attempts=3)
    return refuse(
        make_job(
            **{"state": JobState.LEASED, "slot": 0, "provider_slot": 0, "contact": make_contact(2), **(job or {})}
        ),
        make_batch(**{"call_settings": settings, **(batch or {})}),
        make_account(**{"features": Features(max_concurrent_calls=LIMIT), **(account or {})}),
        make_circumstances(**(circumstances or {})),
        now,
    )


OBSTACLES: list[tuple[RefusalKind, str, dict[str, Any]]] = [
    (RefusalKind.CANCELLED, "cancelled_by_operator", {"job": {"cancel_requested": True}}),
    (RefusalKind.CANCELLED, "cancelled_by_operator", {"batch": {"status": BatchStatus.CANCELLED}}),
    (RefusalKind.TOO_LATE, "test_call_too_late", {"batch": {"no_calls_after": NOW}}),
    (
        RefusalKind.CANCELLED,
        "import_was_undone",
        {"job": {"import_id": "import-1"}, "batch": {"undone_imports": ["import-0", "import-1"]}},
    ),
    *(
        (RefusalKind.BATCH_NOT_RUNNING, "batch_not_running", {"batch": {"status": status}})
        for status in BatchStatus
        if status not in {BatchStatus.RUNNING, BatchStatus.CANCELLED}
    ),
    (RefusalKind.ACCOUNT_SUSPENDED, "account_suspended", {"account": {"status": AccountStatus.SUSPENDED}}),
    (RefusalKind.AT_LIMIT, "at_limit", {"job": {"slot": None}}),
    (RefusalKind.AT_LIMIT, "at_limit", {"job": {"slot": LIMIT}}),
    (RefusalKind.AT_LIMIT, "at_provider_limit", {"job": {"provider_slot": None}}),
    (RefusalKind.AT_LIMIT, "at_provider_limit", {"job": {"provider_slot": 3}, "circumstances": {"provider_limit": 3}}),
    (RefusalKind.MAX_ATTEMPTS, "max_attempts_reached", {"job": {"attempts": 3}}),
    (RefusalKind.MAX_ATTEMPTS, "max_attempts_reached", {"job": {"attempts": 4, "extra_attempts": 1}}),
    (RefusalKind.NO_PHONE_LEFT, "no_phone_left", {"job": {"retired_phones": [phone(1), phone(2)]}}),
    (RefusalKind.OUTSIDE_HOURS, "outside_hours", {"now": SUNDAY}),
    (
        RefusalKind.ON_DO_NOT_CALL_LIST,
        "on_do_not_call_list",
        {"circumstances": {"do_not_call": {phone(1): FOR_GOOD, phone(2): FOR_GOOD}}},
    ),
    (RefusalKind.PERSON_CAP, "person_cap_reached", CALLED_AN_HOUR_AGO),
    (RefusalKind.PERSON_BUSY, "person_in_another_call", {"circumstances": {"others": [IN_CALL]}}),
    (RefusalKind.FROM_NUMBER_RESTING, "from_number_resting", {"circumstances": {"from_number_rest": RESTS}}),
]


@pytest.mark.parametrize(("kind", "code", "obstacle"), OBSTACLES)
def test_each_obstacle_is_refused_with_its_reason(kind: RefusalKind, code: str, obstacle: dict[str, Any]) -> None:
    refusal = ask(**obstacle)
    assert refusal is not None
    assert (refusal.kind, refusal.reason.code) == (kind, code)
    later = {RefusalKind.OUTSIDE_HOURS, RefusalKind.PERSON_CAP, RefusalKind.FROM_NUMBER_RESTING}
    assert (refusal.until is not None) == (kind in later)


@pytest.mark.parametrize(
    "harmless",
    [
        {},
        {"job": {"slot": LIMIT - 1}},
        {"job": {"attempts": 2}},
        {"job": {"attempts": 3, "extra_attempts": 1}},
        {"job": {"retired_phones": [phone(1)]}},
        {"job": {"next_phone_index": 7}},
        {"now": MONDAY_NINE},
        {"circumstances": {"do_not_call": {phone(1): FOR_GOOD}}},
        {"circumstances": {"others": [CALLED]}},
        {"circumstances": {"others": [OtherJob(job_id="job-2", state=JobState.LEASED)]}},
        {"circumstances": {"others": [OtherJob(job_id="job-2", state=JobState.PENDING)]}},
    ],
)
def test_nothing_speaks_against_it(harmless: dict[str, Any]) -> None:
    assert ask(**harmless) is None


def test_the_limits_that_only_the_database_decides_are_no_reason_here() -> None:
    decided_elsewhere = {RefusalKind.NO_BALANCE, RefusalKind.UNDECIDED}
    assert {kind for kind, *_ in OBSTACLES} == set(RefusalKind) - decided_elsewhere


def combinations() -> Iterator[dict[str, Any]]:
    """Every way in which at least one obstacle stands, alone or with others."""
    choices: list[list[dict[str, Any]]] = [
        [{}, {"job": {"cancel_requested": True}}],
        [{}, {"batch": {"status": BatchStatus.PAUSED}}],
        [{}, {"account": {"status": AccountStatus.SUSPENDED}}],
        [{}, {"job": {"slot": LIMIT}}],
        [{}, {"job": {"provider_slot": None}}],
        [{}, {"circumstances": {"from_number_rest": RESTS}}],
        [{}, {"job": {"attempts": 3}}],
        [{}, {"job": {"retired_phones": [phone(1), phone(2)]}}],
        [{}, {"now": SUNDAY}],
        [{}, {"circumstances": {"do_not_call": {phone(1): FOR_GOOD, phone(2): FOR_GOOD}}}],
        [{}, {"circumstances": {"others": [IN_CALL]}}],
    ]
    for chosen in product(*choices):
        together: dict[str, Any] = {}
        for obstacle in chosen:
            for key, value in obstacle.items():
                together[key] = {**together.get(key, {}), **value} if isinstance(value, dict) else value
        if together:
            yield together


def test_no_obstacle_lifts_another() -> None:
    found = [ask(**obstacles) for obstacles in combinations()]
    assert len(found) == 2**11 - 1
    assert None not in found


def test_outside_hours_says_when_they_open_in_the_contacts_own_time() -> None:
    refusal = ask(now=SUNDAY)
    assert refusal is not None
    assert refusal.until == MONDAY_NINE
    assert refusal.reason.params == {"opens_at": "2026-06-08 09:00", "timezone": "America/Santiago"}


def test_the_window_is_over_a_little_before_its_end() -> None:
    """The request takes its time, and nobody's phone shall begin to ring after hours."""
    closing = datetime(2026, 6, 3, 22, 0, tzinfo=UTC)  # 18:00 in Santiago
    assert ask(now=closing - CLOSING_MARGIN - timedelta(microseconds=1)) is None
    refusal = ask(now=closing - CLOSING_MARGIN)
    assert refusal is not None
    assert refusal.until == datetime(2026, 6, 4, 13, 0, tzinfo=UTC)


def test_the_hours_are_those_of_the_contacts_own_clock() -> None:
    """NOW is 11:00 in Santiago, 10:00 in Lima, 08:00 in Tijuana and 17:00 in Madrid."""
    zones = ("America/Lima", "America/Tijuana", "Europe/Madrid")
    refusals = {zone: ask(job={"contact": make_contact(timezone=zone)}) for zone in zones}
    assert refusals["America/Lima"] is None
    assert refusals["Europe/Madrid"] is None
    tijuana = refusals["America/Tijuana"]
    assert tijuana is not None
    assert tijuana.until == NOW + timedelta(hours=1)
    assert tijuana.reason.params == {"opens_at": "2026-06-03 09:00", "timezone": "America/Tijuana"}


def test_on_a_holiday_the_reason_says_so() -> None:
    hours = OFFICE.model_copy(update={"holidays": HolidayCalendar(country="CL")})
    navy_day = datetime(2026, 5, 21, 15, 0, tzinfo=UTC)
    refusal = ask(now=navy_day, batch={"call_settings": make_settings(hours=hours)})
    assert refusal is not None
    assert (refusal.kind, refusal.reason.code) == (RefusalKind.OUTSIDE_HOURS, "on_holiday")
    assert refusal.reason.params["opens_at"] == "2026-05-22 09:00"


def test_without_any_allowed_time_in_sight_it_is_asked_again_a_day_later() -> None:
    hours = OFFICE.model_copy(update={"holidays": HolidayCalendar(country="CL")})
    beyond_the_data = datetime(2101, 6, 1, 15, 0, tzinfo=UTC)
    refusal = ask(now=beyond_the_data, batch={"call_settings": make_settings(hours=hours)})
    assert refusal is not None
    assert (refusal.reason.code, refusal.until) == ("no_allowed_time", beyond_the_data + timedelta(days=1))


def test_a_lowered_limit_refuses_the_slots_above_it() -> None:
    lowered = {"features": Features(max_concurrent_calls=2)}
    assert ask(job={"slot": 1}, account=lowered) is None
    assert ask(job={"slot": 2}, account=lowered) is not None
