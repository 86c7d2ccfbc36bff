"""Every minute of the nights on which clocks change: may the job be dialed, if not, when; and when is it retried?"""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.admission import RefusalKind, refuse
from app.domain.jobs import JobState
from app.domain.outcomes import Disposition, Effect, Outcome
from app.domain.retry_policy import next_step
from tests.builders import (
    make_account,
    make_attempt,
    make_batch,
    make_circumstances,
    make_contact,
    make_job,
    make_settings,
)
from tests.nights import MINUTE, NIGHTS, WINDOWS, Night, WallClock, hours_of

BEFORE, AFTER = 130, 200
"""Minutes around the change."""
NO_ANSWER = Outcome(disposition=Disposition.NO_ANSWER, effect=Effect.RETRY, counted=True)


@pytest.mark.parametrize("night", NIGHTS, ids=str)
def test_the_nights_are_what_they_are_taken_for(night: Night) -> None:
    zone = ZoneInfo(night.zone)
    offsets = {(night.change + span).astimezone(zone).utcoffset() for span in (-MINUTE, timedelta(0))}
    quiet = (night.zone == "America/Asuncion" and night.change.year > 2024) or night.change.year == 2027
    assert len(offsets) == (1 if quiet else 2)


@pytest.mark.parametrize("own_zone", [False, True], ids=["batch's zone", "contact's zone"])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("night", NIGHTS, ids=str)
def test_no_minute_of_the_night_is_decided_wrongly(night: Night, window: str, own_zone: bool) -> None:
    hours = hours_of(night, window, holidays=night.zone == "America/Santiago")
    wall = WallClock(hours)
    elsewhere = hours.in_zone("Asia/Kathmandu") if own_zone else hours
    settings = make_settings(hours=elsewhere, retry_delay_hours=0.75, max_attempts=9)
    batch, account = make_batch(call_settings=settings), make_account()
    contact = make_contact(timezone=night.zone if own_zone else None)
    job = make_job(state=JobState.LEASED, slot=0, provider_slot=0, contact=contact)
    ended = job.model_copy(update={"state": JobState.SETTLING, "attempt": make_attempt()})
    circumstances = make_circumstances()
    for minute in range(-BEFORE, AFTER):
        at = night.change + minute * MINUTE
        # Within whole minutes nothing changes, but for the last half of one before closing.
        for now in (at, at + MINUTE - timedelta(microseconds=1)):
            refusal = refuse(job, batch, account, circumstances, now)
            may = wall.allows(now) and wall.allows(now + timedelta(seconds=30))
            assert (refusal is None) is may, now
        if minute % 5:
            continue
        if (refusal := refuse(job, batch, account, circumstances, at)) is not None:
            assert (refusal.kind, refusal.until) == (RefusalKind.OUTSIDE_HOURS, wall.next_allowed(at)), at
        step = next_step(ended, NO_ANSWER, settings, at)
        assert step.due_at == wall.next_allowed(at + 45 * MINUTE), at
