"""Caps of calls to one person: nothing is allowed earlier than they say, and everything at the instant they name."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.admission import RefusalKind, refuse
from app.domain.call_presets import PRESETS
from app.domain.jobs import AttemptRecord, JobState
from app.domain.outcomes import Disposition
from app.domain.person_caps import CapCounts, CapPeriod, PersonCap, held_back_by, reach_of
from app.domain.persons import OtherJob
from app.domain.time_zones import is_time_zone
from tests.builders import (
    NOW,
    OFFICE,
    make_account,
    make_batch,
    make_circumstances,
    make_job,
    make_record,
    make_settings,
)

ZONES = ["America/Santiago", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
TICK = timedelta(microseconds=1)
# Around the nights when Santiago's clock jumps over midnight, and comes to it twice.
AROUND = [datetime(2026, 9, 6, 4, tzinfo=UTC), datetime(2026, 4, 5, 3, tzinfo=UTC), NOW]

CAPS = st.one_of(
    st.builds(PersonCap, counts=st.sampled_from(CapCounts), max=st.integers(1, 4), period=st.just(CapPeriod.DAY)),
    st.builds(
        PersonCap,
        counts=st.sampled_from(CapCounts),
        max=st.integers(1, 4),
        period=st.just(CapPeriod.ROLLING),
        days=st.integers(1, 5),
    ),
)


@st.composite
def pasts(draw: st.DrawFn) -> tuple[datetime, list[AttemptRecord]]:
    """A moment, and calls that ended in the week before it."""
    now = draw(st.sampled_from(AROUND)) + timedelta(minutes=draw(st.integers(-600, 600)))
    calls = [
        make_record(
            now - timedelta(minutes=draw(st.integers(0, 60 * 24 * 7))),
            disposition=draw(st.sampled_from([Disposition.NO_ANSWER, Disposition.ANSWERED])),
        )
        for _ in range(draw(st.integers(0, 8)))
    ]
    return now, calls


def allowed(caps: list[PersonCap], calls: list[AttemptRecord], at: datetime, timezone: str) -> bool:
    """The rule said once more, as plainly as possible."""
    zone = ZoneInfo(timezone)
    for cap in caps:
        counted = [
            call for call in calls if cap.counts is CapCounts.ATTEMPTS or call.disposition is Disposition.ANSWERED
        ]
        if cap.days is None:
            today = at.astimezone(zone).date()
            near = [
                call
                for call in counted
                if today in (call.dialed_at.astimezone(zone).date(), call.ended_at.astimezone(zone).date())
            ]
        else:
            near = [call for call in counted if at - call.ended_at < timedelta(days=cap.days)]
        if len(near) >= cap.max:
            return False
    return True


@settings(max_examples=300)
@given(pasts(), st.lists(CAPS, max_size=3), st.sampled_from(ZONES), st.floats(0, 1))
def test_nothing_earlier_is_allowed_and_the_instant_itself_is(
    past: tuple[datetime, list[AttemptRecord]], caps: list[PersonCap], timezone: str, between: float
) -> None:
    now, calls = past
    held = held_back_by(caps, calls, now, timezone)
    if held is None:
        assert allowed(caps, calls, now, timezone)
        return
    cap, until = held
    assert cap in caps
    assert until > now
    assert allowed(caps, calls, until, timezone)
    for earlier in (now, until - TICK, now + between * (until - now) - TICK):
        assert earlier < now or not allowed(caps, calls, earlier, timezone)


@settings(max_examples=200)
@given(pasts(), st.lists(CAPS, min_size=1, max_size=3), st.sampled_from(ZONES))
def test_calls_beyond_the_reach_change_nothing(
    past: tuple[datetime, list[AttemptRecord]], caps: list[PersonCap], timezone: str
) -> None:
    """Only what is within reach is read from the database."""
    now, calls = past
    reach = reach_of(caps)
    assert reach is not None
    near = [call for call in calls if call.ended_at >= now - reach]
    assert held_back_by(caps, near, now, timezone) == held_back_by(caps, calls, now, timezone)


def test_what_rang_nowhere_is_no_attempt() -> None:
    cap = PersonCap(counts=CapCounts.ATTEMPTS, max=1, period=CapPeriod.DAY)
    refused = make_record(NOW, counted=False, disposition=Disposition.INVALID_NUMBER)
    cut_off = make_record(NOW, counted=False, disposition=Disposition.STOPPED_BY_PROVIDER, duration_seconds=4)
    assert held_back_by([cap], [refused], NOW, "UTC") is None
    assert held_back_by([cap], [cut_off], NOW, "UTC") is not None


def test_the_number_that_retell_refused_was_no_conversation() -> None:
    cap = PersonCap(counts=CapCounts.CONVERSATIONS, max=1, period=CapPeriod.DAY)
    refused = make_record(NOW, counted=False, disposition=Disposition.OPTED_OUT)
    assert held_back_by([cap], [refused], NOW, "UTC") is None


def test_a_call_over_midnight_counts_for_both_days() -> None:
    cap = PersonCap(counts=CapCounts.ATTEMPTS, max=1, period=CapPeriod.DAY)
    midnight = datetime(2026, 6, 3, tzinfo=UTC)
    call = make_record(midnight + timedelta(seconds=10))
    assert held_back_by([cap], [call], midnight + timedelta(hours=9), "UTC") == (cap, midnight + timedelta(days=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"period": "rolling"},
        {"period": "day", "days": 1},
        {"period": "rolling", "days": 0},
        {"period": "day", "max": 0},
    ],
)
def test_caps_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PersonCap.model_validate({"counts": "attempts", "max": 1, **wrong})


def test_the_refusal_names_the_rule_and_a_time_within_the_hours() -> None:
    cap = PersonCap(counts=CapCounts.CONVERSATIONS, max=1, period=CapPeriod.DAY)
    others = [OtherJob(job_id="job-2", state=JobState.COMPLETED, history=[make_record(disposition="answered")])]
    refusal = refuse(
        make_job(state=JobState.LEASED, slot=0, provider_slot=0),
        make_batch(call_settings=make_settings(hours=OFFICE)),
        make_account(person_caps=[cap]),
        make_circumstances(others=others),
        NOW,
    )
    assert refusal is not None
    assert refusal.kind is RefusalKind.PERSON_CAP
    assert not refusal.is_for_good
    assert refusal.until == datetime(2026, 6, 4, 13, tzinfo=UTC)
    assert refusal.reason.params == {
        "max": 1,
        "counts": "conversations",
        "days": 1,
        "period": "day",
        "until": "2026-06-04 09:00",
        "timezone": "America/Santiago",
    }


def test_the_jobs_own_calls_count_too() -> None:
    cap = PersonCap(counts=CapCounts.ATTEMPTS, max=1, period=CapPeriod.ROLLING, days=7)
    job = make_job(
        state=JobState.LEASED, slot=0, provider_slot=0, attempts=1, history=[make_record(NOW - timedelta(days=2))]
    )
    refusal = refuse(job, make_batch(), make_account(person_caps=[cap]), make_circumstances(), NOW)
    assert refusal is not None
    assert refusal.until == NOW + timedelta(days=5)


def test_the_presets_are_complete() -> None:
    assert len({preset.country for preset in PRESETS}) == len(PRESETS) == 7
    for preset in PRESETS:
        assert preset.sources
        assert preset.rule.render("es") != preset.rule.render("en")
        assert preset.hours is None or is_time_zone(preset.hours.timezone)
    chile = next(preset for preset in PRESETS if preset.country == "CL")
    assert chile.person_caps == [PersonCap(counts=CapCounts.ATTEMPTS, max=1, period=CapPeriod.ROLLING, days=7)]
