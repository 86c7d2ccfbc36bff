"""Every event of a job has a text, and the story says when its beginning was cut."""

from datetime import timedelta

import pytest

from app.domain.jobs import JobState
from app.domain.timeline import EVENTS_KEPT, EVENTS_SHOWN, JobEvent, TimelineEvent, told
from tests.builders import NOW, make_job


def make_event(event: JobEvent = JobEvent.CLAIMED, **changes: object) -> TimelineEvent:
    values = {"at": NOW, "event": event, "state": JobState.LEASED, "by": "worker-1", **changes}
    return TimelineEvent.model_validate(values)


@pytest.mark.parametrize("event", JobEvent)
@pytest.mark.parametrize("state", JobState)
def test_every_event_has_a_text_in_both_languages(event: JobEvent, state: JobState) -> None:
    message = make_event(event, state=state, attempt=2, phone_index=0, left_by="worker-2").message
    assert message.render("es") != message.render("en")


def test_phones_are_counted_as_people_do() -> None:
    asked = make_event(JobEvent.INTENT_STORED, attempt=2, phone_index=1).message.render("en")
    assert asked == "Attempt 2: the call to phone 2 is asked for"


def test_an_adoption_says_whether_the_phone_may_have_rung() -> None:
    sure = make_event(JobEvent.ADOPTED, state=JobState.IN_CALL, left_by="w").message
    unsure = make_event(JobEvent.ADOPTED, state=JobState.VERIFYING, left_by="w").message
    assert sure.code != unsure.code


@pytest.mark.parametrize("state", [JobState.IN_CALL, JobState.VERIFYING])
def test_a_worker_that_takes_up_its_own_job_is_no_other_worker(state: JobState) -> None:
    message = make_event(JobEvent.ADOPTED, state=state, by="w", left_by="w").message
    assert message.render("es").startswith("El mismo worker")
    assert make_event(JobEvent.ADOPTED, state=state, by="v", left_by="w").message.render("es").startswith("Otro worker")


def test_the_story_begins_with_the_creation() -> None:
    events, truncated = told(make_job(), [make_event(at=NOW + timedelta(seconds=1))])
    assert [event.event for event in events] == [JobEvent.CREATED, JobEvent.CLAIMED]
    assert events[0].at == NOW
    assert not truncated


@pytest.mark.parametrize(
    ("stored", "shown", "truncated"), [(EVENTS_SHOWN, EVENTS_SHOWN + 1, False), (EVENTS_KEPT, EVENTS_SHOWN, True)]
)
def test_a_story_that_was_cut_says_so(stored: int, shown: int, truncated: bool) -> None:
    events = [make_event(fence=number) for number in range(stored)]
    told_events, cut = told(make_job(), events)
    assert (len(told_events), cut) == (shown, truncated)
    assert told_events[-1] == events[-1]
