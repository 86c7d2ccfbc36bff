"""A job's timeline as the API shows it."""

from pydantic import Field

from app.api.schemas.common import Instant, Number, Reason, Reply, reason_of
from app.domain.jobs import JobState, WaitingFor
from app.domain.messages import Language
from app.domain.outcomes import Disposition
from app.domain.timeline import JobEvent, TimelineEvent
from app.services.jobs import JobTimeline, ShownStatus


class TimelineEventReply(Reply):
    """One event; what does not belong to its kind is null."""

    at: Instant
    event: JobEvent
    state: JobState = Field(description="From here on.")
    by: str = Field(description="A worker's id, a user, or `system`.")
    message: str
    reason: Reason | None
    attempt: int | None
    phone_index: int | None = Field(description="The place of the dialed number in the contact's `phones`, from 0.")
    call_id: str | None
    waiting_for: WaitingFor | None
    due_at: Instant | None = Field(description="Not called before.")
    disposition: Disposition | None = Field(description="What the call came to.")
    cost: Number | None
    left_by: str | None = Field(description="The worker from which another took it over.")
    fence: int | None = Field(description="Raised whenever a worker takes the job.")


class NowReply(Reply):
    """Where the job stands, and what it waits for."""

    state: JobState
    why: Reason | None
    since: Instant
    next: Instant | None = Field(
        description="When it is called if nobody does anything before; null if that cannot be known, or it never is."
    )


class TimelineReply(Reply):
    job_id: str
    batch_id: str
    status: ShownStatus
    now: NowReply
    events: list[TimelineEventReply] = Field(description="In the order in which they happened.")
    truncated: bool = Field(description="Whether older events were cut away.")


def timeline_reply(timeline: JobTimeline, language: Language) -> TimelineReply:
    job = timeline.view.job
    return TimelineReply(
        job_id=job.job_id,
        batch_id=job.batch_id,
        status=timeline.view.status,
        now=NowReply(
            state=job.state,
            why=reason_of(timeline.now.why, language),
            since=timeline.now.since,
            next=timeline.now.next,
        ),
        events=[_event(event, language) for event in timeline.events],
        truncated=timeline.truncated,
    )


def _event(event: TimelineEvent, language: Language) -> TimelineEventReply:
    return TimelineEventReply(
        at=event.at,
        event=event.event,
        state=event.state,
        by=event.by,
        message=event.message.render(language),
        reason=reason_of(event.reason, language),
        attempt=event.attempt,
        phone_index=event.phone_index,
        call_id=event.call_id,
        waiting_for=event.waiting_for,
        due_at=event.due_at,
        disposition=event.disposition,
        cost=event.cost,
        left_by=event.left_by,
        fence=event.fence,
    )
