"""Every reason for which a batch, or a job, is not being called just now: a table, and texts for all."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.accounts import Account, AccountStatus, Features
from app.domain.admission import RefusalKind
from app.domain.batches import Batch, BatchStatus, Block, Progress
from app.domain.calling_hours import is_allowed
from app.domain.explanation import UNSEEN, Explanation, batch_obstacle, explain
from app.domain.jobs import IN_FLIGHT, Job, JobState, WaitingFor
from app.domain.messages import CATALOGUE, Message
from app.domain.outcomes import Disposition
from tests.builders import NOW, OFFICE, make_account, make_batch, make_contact, make_job, make_settings

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
CLOSED_NOW = OFFICE.model_copy(update={"days_of_week": frozenset({1})})
"""Mondays only; NOW is a Wednesday."""
WAITING, CALLING = Progress(pending=5), Progress(pending=5, in_progress=2)


def block(code: str, **changes: Any) -> Block:
    values = {"reason": Message(code=code), "since": NOW - HOUR, "until": NOW + HOUR, **changes}
    return Block.model_validate(values)


def rich_account(**changes: Any) -> Account:
    return make_account(**{"funds": {"free": Decimal(100)}, **changes})


def full_account(limit: int = 2) -> Account:
    return rich_account(
        features=Features(max_concurrent_calls=limit),
        reservations={f"attempt-{number}": Decimal(1) for number in range(limit)},
    )


def obstacle(
    batch: Batch, account: Account | None = None, progress: Progress = WAITING, hold: Block | None = None
) -> tuple[str, Any, Any] | None:
    """Code, since, until."""
    found = batch_obstacle(batch, account or rich_account(), progress, NOW, hold=hold)
    return None if found is None else (found.reason.code, found.since, found.until)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": BatchStatus.DRAFT}, ("batch_is_draft", NOW, None)),
        ({"status": BatchStatus.IMPORTING}, ("batch_is_importing", NOW, None)),
        (
            {"status": BatchStatus.SCHEDULED, "scheduled_at": NOW + HOUR},
            ("batch_is_scheduled", NOW, NOW + HOUR),
        ),
        ({"status": BatchStatus.SCHEDULED, "scheduled_at": NOW - SECOND}, ("batch_is_scheduled", NOW, NOW - SECOND)),
        ({"status": BatchStatus.SCHEDULED, "scheduled_at": NOW - HOUR}, ("no_worker", NOW - HOUR, None)),
        (
            {"status": BatchStatus.PAUSED, "paused_at": NOW - HOUR, "paused_by": "ana"},
            ("batch_is_paused_by", NOW - HOUR, None),
        ),
        (
            {
                "status": BatchStatus.PAUSED,
                "paused_at": NOW - HOUR,
                "paused_by": "system",
                "pause_reason": Message(code="stopped_by_provider", params={"detail": "x"}),
            },
            ("stopped_by_provider", NOW - HOUR, None),
        ),
        ({"status": BatchStatus.PAUSED}, ("batch_is_paused", None, None)),
        ({"status": BatchStatus.COMPLETED}, None),
        ({"status": BatchStatus.CANCELLED}, None),
        ({"wake_at": NOW + HOUR, "block": block("no_balance")}, ("no_balance", NOW - HOUR, NOW + HOUR)),
        # A worker is about to look, or has looked and found that it is over.
        ({"wake_at": NOW, "block": block("no_balance")}, None),
        ({"wake_at": NOW + HOUR, "block": block("no_balance", until=NOW)}, ("waiting_for_due", None, NOW + HOUR)),
        ({"wake_at": NOW + HOUR}, ("waiting_for_due", None, NOW + HOUR)),
        ({"wake_at": NOW}, None),
        ({"wake_at": NOW - UNSEEN}, None),
        ({"wake_at": NOW - UNSEEN - SECOND}, ("no_worker", NOW - UNSEEN - SECOND, None)),
    ],
)
def test_why_a_batch_does_not_call(changes: dict[str, Any], expected: Any) -> None:
    assert obstacle(make_batch(**changes)) == expected


def test_closed_hours_are_told_before_any_worker_has_looked() -> None:
    batch = make_batch(call_settings=make_settings(hours=CLOSED_NOW))
    opens = NOW.replace(day=8, hour=13)  # Monday 09:00 in Santiago
    assert obstacle(batch) == ("hours_closed", None, opens)
    told = batch.model_copy(update={"block": block("hours_closed", until=NOW)})
    assert obstacle(told) == ("hours_closed", NOW - HOUR, opens)


def test_a_suspended_account_is_told_before_what_a_worker_wrote() -> None:
    suspended = rich_account(status=AccountStatus.SUSPENDED)
    assert obstacle(make_batch(wake_at=NOW + HOUR, block=block("hours_closed")), suspended) == (
        "account_suspended",
        None,
        None,
    )
    known = make_batch(wake_at=NOW + HOUR, block=block("account_suspended"))
    assert obstacle(known, suspended) == ("account_suspended", NOW - HOUR, None)
    assert batch_obstacle(make_batch(), None, WAITING, NOW) is not None


def test_an_account_at_its_limit_is_what_an_awake_batch_waits_for() -> None:
    long_awake = make_batch(wake_at=NOW - HOUR)
    assert obstacle(long_awake, full_account()) == ("at_limit", None, None)
    assert obstacle(long_awake, full_account(), CALLING) is None


def test_an_empty_account_is_told_before_any_worker_has_looked() -> None:
    empty = make_account(funds={"free": Decimal("0.99")})
    assert obstacle(make_batch(), empty) == ("no_balance", None, None)
    assert obstacle(make_batch(block=block("no_balance")), empty) == ("no_balance", NOW - HOUR, None)
    assert obstacle(make_batch(), make_account(funds={"free": Decimal(1)})) is None


def test_a_pause_of_all_workers_holds_every_running_batch() -> None:
    hold = block("provider_waited_for")
    assert obstacle(make_batch(), hold=hold) == ("provider_waited_for", NOW - HOUR, NOW + HOUR)
    assert obstacle(make_batch(), progress=CALLING, hold=hold) is not None
    assert obstacle(make_batch(status=BatchStatus.COMPLETED), hold=hold) is None


@pytest.mark.parametrize("progress", [Progress(in_progress=3), Progress(completed=5)])
def test_who_has_nobody_left_to_call_is_kept_by_nothing(progress: Progress) -> None:
    closed = make_batch(call_settings=make_settings(hours=CLOSED_NOW), wake_at=NOW - HOUR)
    assert obstacle(closed, progress=progress) is None


# Jobs ----------------------------------------------------------------------------------------------------------------


def told(job: Job, batch: Batch, account: Account | None = None) -> Explanation:
    return explain(job, batch, batch_obstacle(batch, account or rich_account(), WAITING, NOW), NOW)


@pytest.mark.parametrize(
    ("job", "batch", "code", "next_at"),
    [
        ({}, {}, "waiting_its_turn", None),
        (
            {"due_at": NOW + HOUR, "waiting_for": WaitingFor.RETRY, "reason": Message(code="after_busy")},
            {},
            "after_busy",
            NOW + HOUR,
        ),
        ({"due_at": NOW + HOUR, "waiting_for": WaitingFor.RETRY}, {}, "waiting_for_retry", NOW + HOUR),
        # What lasts longer is the answer.
        ({"due_at": NOW + 2 * HOUR}, {"wake_at": NOW + HOUR, "block": block("hours_closed")}, None, NOW + 2 * HOUR),
        ({"due_at": NOW + MINUTE}, {"wake_at": NOW + HOUR, "block": block("hours_closed")}, "hours_closed", NOW + HOUR),
        # Somebody must do something: nobody knows when.
        ({"due_at": NOW + 2 * HOUR}, {"status": BatchStatus.PAUSED, "paused_by": "ana"}, "batch_is_paused_by", None),
        ({}, {"wake_at": NOW + HOUR, "block": block("no_balance")}, "no_balance", None),
        ({}, {"status": BatchStatus.DRAFT}, "batch_is_draft", None),
        (
            {"due_at": NOW + HOUR},
            {"status": BatchStatus.SCHEDULED, "scheduled_at": NOW + HOUR},
            "batch_is_scheduled",
            NOW + HOUR,
        ),
        ({}, {"status": BatchStatus.CANCELLED}, "batch_cancelled", None),
        # The batch waits for its other jobs; this one is due.
        ({}, {"wake_at": NOW + HOUR}, "waiting_its_turn", None),
        ({"state": JobState.COMPLETED, "finished_at": NOW}, {}, "after_answered", None),
        ({"state": JobState.FAILED, "reason": Message(code="no_phone_left")}, {}, "no_phone_left", None),
        ({"state": JobState.UNCERTAIN}, {}, "job_is_uncertain", None),
        ({"state": JobState.IN_CALL, "cancel_requested": True}, {}, "cancel_after_call", None),
    ],
)
def test_why_a_job_is_not_being_called(
    job: dict[str, Any], batch: dict[str, Any], code: str | None, next_at: Any
) -> None:
    found = told(make_job(**job), make_batch(**batch))
    assert found.why is not None
    assert found.next == next_at
    assert code is None or found.why.code == code


def test_no_moment_is_promised_at_which_a_test_call_is_not_begun_any_more() -> None:
    batch = make_batch(no_calls_after=NOW + MINUTE)
    waits = make_job(due_at=NOW + SECOND, waiting_for=WaitingFor.PERSON)
    assert explain(waits, batch, None, NOW).next == NOW + SECOND
    assert explain(waits.model_copy(update={"due_at": NOW + HOUR}), batch, None, NOW).next is None
    over = explain(waits, batch, None, NOW + MINUTE)
    assert over.why is not None
    assert (over.why.code, over.since, over.next) == ("test_call_too_late", NOW + MINUTE, None)


def test_an_account_without_calls_to_spare_lets_a_job_wait() -> None:
    found = told(make_job(), make_batch(wake_at=NOW - HOUR), full_account())
    assert found.why is not None
    assert found.why.code == "at_limit"


@given(
    due=st.timedeltas(min_value=-HOUR, max_value=30 * HOUR),
    until=st.timedeltas(min_value=-HOUR, max_value=30 * HOUR),
    status=st.sampled_from(BatchStatus),
    state=st.sampled_from(JobState),
    waiting_for=st.sampled_from([*WaitingFor, None]),
    code=st.sampled_from(["hours_closed", "no_balance", "account_suspended", None]),
)
def test_every_job_has_an_answer_and_it_never_promises_a_forbidden_moment(
    due: timedelta,
    until: timedelta,
    status: BatchStatus,
    state: JobState,
    waiting_for: WaitingFor | None,
    code: str | None,
) -> None:
    batch = make_batch(
        status=status,
        scheduled_at=NOW + until,
        wake_at=NOW + until,
        block=code and block(code, until=NOW + until),
        call_settings=make_settings(hours=OFFICE),
    )
    job = make_job(state=state, due_at=NOW + due, waiting_for=waiting_for)
    found = told(job, batch)
    assert found.why is not None
    assert found.why.render("es")
    assert found.why.render("en")
    if found.next is not None:
        assert state is JobState.PENDING
        assert found.next >= max(NOW, job.due_at)
        assert is_allowed(found.next, OFFICE)


@pytest.mark.parametrize(
    "code",
    [
        *(f"waiting_for_{waiting_for.value}" for waiting_for in WaitingFor),
        *(f"job_is_{state.value}" for state in JobState if state in IN_FLIGHT),
        *(f"after_{disposition.value}" for disposition in Disposition),
    ],
)
def test_whatever_a_job_waits_for_or_is_has_a_text(code: str) -> None:
    assert set(CATALOGUE[code]) == {"es", "en"}


def test_every_status_of_a_batch_is_explained_or_needs_no_explanation() -> None:
    silent = {status for status in BatchStatus if obstacle(make_batch(status=status)) is None}
    assert silent == {BatchStatus.RUNNING, BatchStatus.COMPLETED, BatchStatus.CANCELLED}


def test_refusals_come_with_texts() -> None:
    """admission.refuse gives each kind a reason of the catalogue; this is the list of what operators may read."""
    texts = {
        RefusalKind.CANCELLED: "cancelled_by_operator",
        RefusalKind.TOO_LATE: "test_call_too_late",
        RefusalKind.BATCH_NOT_RUNNING: "batch_not_running",
        RefusalKind.ACCOUNT_SUSPENDED: "account_suspended",
        RefusalKind.AT_LIMIT: "at_limit",
        RefusalKind.MAX_ATTEMPTS: "max_attempts_reached",
        RefusalKind.NO_PHONE_LEFT: "no_phone_left",
        RefusalKind.ON_DO_NOT_CALL_LIST: "on_do_not_call_list",
        RefusalKind.PERSON_CAP: "person_cap_reached",
        RefusalKind.PERSON_BUSY: "person_in_another_call",
        RefusalKind.OUTSIDE_HOURS: "outside_hours",
        RefusalKind.FROM_NUMBER_RESTING: "from_number_resting",
        RefusalKind.NO_BALANCE: "no_balance",
        RefusalKind.UNDECIDED: "admission_failed",
    }
    assert set(texts) == set(RefusalKind)
    assert set(texts.values()) <= set(CATALOGUE)


def test_a_contact_whose_own_clock_forbids_it_is_told_so_while_the_batch_calls_others() -> None:
    batch = make_batch(call_settings=make_settings(hours=OFFICE), contact_timezones=["America/Tijuana"])
    abroad = make_job(contact=make_contact(timezone="America/Tijuana"))  # 08:00 there
    found = explain(abroad, batch, batch_obstacle(batch, rich_account(), CALLING, NOW), NOW)
    assert (found.why, found.next) == (Message(code="hours_closed"), NOW + HOUR)
    at_home = explain(make_job(), batch, None, NOW)
    assert at_home.why == Message(code="waiting_its_turn")
