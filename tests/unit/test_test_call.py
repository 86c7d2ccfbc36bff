"""A test call: what it has of its batch, how often it rings, until when, and how many there may be."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.admission import RefusalKind, refuse
from app.domain.batches import Batch, BatchStatus
from app.domain.calling_hours import may_call
from app.domain.contacts import person_keys
from app.domain.jobs import FINAL, Job, JobState
from app.domain.outcomes import Disposition, Effect, Outcome
from app.domain.retry_policy import next_step
from app.domain.retry_rules import RetryRule
from app.domain.test_call import COPIED, PATIENCE, batch_of_test_call, job_of_test_call, unfinished
from tests.builders import (
    NOW,
    OFFICE,
    make_account,
    make_attempt,
    make_batch,
    make_circumstances,
    make_contact,
    make_job,
    make_settings,
    phone,
)

SATURDAY_NIGHT = datetime.fromisoformat("2026-06-07T03:00:00-04:00")


def made(outside_hours: bool = False, **of: Any) -> Batch:
    batch = make_batch(**of)
    return batch_of_test_call(batch, "test-1", NOW, outside_hours=outside_hours, expires_at=NOW)


def test_it_says_what_its_batch_says_and_nothing_else_is_its_batchs() -> None:
    settings = make_settings(
        max_attempts=7, ring_timeout=11, hours=OFFICE, retry_rules={Disposition.BUSY: RetryRule(delay_hours=0.1)}
    )
    of = make_batch(
        script_content="Hola {{nombre}}",
        retell_agent_id="agent_1",
        retell_from_number="+56225550100",
        call_settings=settings,
        budget=Decimal(1),
        status=BatchStatus.PAUSED,
        idempotency_key="k",
        pause_reason={"code": "no_balance"},
    )
    batch = batch_of_test_call(of, "test-1", NOW, outside_hours=False, expires_at=NOW)
    assert {name: getattr(batch, name) for name in COPIED} == {name: getattr(of, name) for name in COPIED}
    assert (batch.test_of, batch.status, batch.no_calls_after) == (of.batch_id, BatchStatus.IMPORTING, NOW + PATIENCE)
    assert (batch.budget, batch.idempotency_key, batch.pause_reason, batch.recurrence) == (None, None, None, None)
    assert batch.call_settings == settings.model_copy(update={"max_attempts": 1, "retry_rules": {}})


def test_outside_hours_is_any_hour_and_only_if_it_was_asked_for() -> None:
    settings = make_settings(hours=OFFICE.model_copy(update={"holidays": None}))
    assert not may_call(SATURDAY_NIGHT, made(call_settings=settings).call_settings.hours)
    assert may_call(SATURDAY_NIGHT, made(outside_hours=True, call_settings=settings).call_settings.hours)


def test_who_picks_up_is_not_whom_the_call_speaks_of() -> None:
    fields = {"rut": "12345678-5", "monto": "1"}
    spoken_of = make_contact(name="Juan", dni="12345678-5", timezone="Pacific/Easter", custom_fields=fields)
    job = job_of_test_call(made(), spoken_of, spoken_of, NOW)
    assert person_keys(job.contact) == [phone(1)]
    assert (job.contact.name, job.contact.custom_fields, job.contact.timezone) == ("Juan", fields, None)
    assert job.test_of == "batch-1"
    assert job.speaks_of == person_keys(spoken_of)


outcomes = st.builds(
    Outcome, disposition=st.sampled_from(Disposition), effect=st.sampled_from(Effect), counted=st.booleans()
)


@given(outcomes, st.integers(0, 5), st.booleans())
def test_whatever_comes_of_it_it_does_not_ring_again(outcome: Outcome, extra: int, cancelled: bool) -> None:
    job = make_job(
        state=JobState.SETTLING,
        attempt=make_attempt(),
        test_of="batch-1",
        extra_attempts=extra,
        cancel_requested=cancelled,
    )
    assert next_step(job, outcome, make_settings(max_attempts=5), NOW).state in FINAL


@given(st.timedeltas(timedelta(0), timedelta(hours=2)))
def test_it_is_not_begun_when_nobody_waits_for_it_any_more(after: timedelta) -> None:
    batch = made().model_copy(update={"status": BatchStatus.RUNNING})
    job = make_job(slot=0, provider_slot=0, test_of="batch-1")
    refusal = refuse(job, batch, make_account(), make_circumstances(), NOW + after)
    if after < PATIENCE:
        assert refusal is None
    else:
        assert refusal is not None
        assert (refusal.kind, refusal.is_for_good) == (RefusalKind.TOO_LATE, True)


@pytest.mark.parametrize(
    ("state", "asked_ago", "goes_on"),
    [
        (JobState.PENDING, timedelta(minutes=9), True),
        (JobState.PENDING, timedelta(minutes=11), False),
        (JobState.IN_CALL, timedelta(minutes=30), True),
        (JobState.UNCERTAIN, timedelta(hours=2), True),
        (JobState.COMPLETED, timedelta(minutes=1), False),
        (JobState.FAILED, timedelta(minutes=1), False),
    ],
)
def test_which_still_count_as_going_on(state: JobState, asked_ago: timedelta, goes_on: bool) -> None:
    job: Job = make_job(state=state, created_at=NOW - asked_ago)
    assert (unfinished([job], NOW) == [job]) is goes_on
