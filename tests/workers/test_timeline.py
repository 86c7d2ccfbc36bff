"""The timeline tells a job's whole story in order, and agrees with its history."""

from app.domain.batches import Batch, BatchStatus
from app.domain.jobs import Job
from app.domain.timeline import JobEvent, TimelineEvent
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    closed_hours,
    has_status,
    leased,
    let_lease_expire,
    numbers,
    until,
)

E = JobEvent


async def story(campaigns: Campaigns, batch: Batch) -> tuple[Job, list[TimelineEvent]]:
    timeline = await campaigns.container.jobs.timeline((await campaigns.job(batch)).job_id)
    assert not timeline.truncated
    assert [event.at for event in timeline.events] == sorted(event.at for event in timeline.events)
    return timeline.view.job, timeline.events


def kinds(events: list[TimelineEvent]) -> list[JobEvent]:
    return [event.event for event in events]


async def test_a_retry_is_told_from_the_creation_to_the_end(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    phones = numbers(2)
    await simulator.script({phones[0]: ["dial_no_answer"], phones[1]: ["agent_hangup"]})
    batch = await campaigns.batch(await campaigns.account(), [phones])
    worker = await campaigns.worker("worker-1")
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    job, events = await story(campaigns, batch)
    call = [E.CLAIMED, E.INTENT_STORED, E.IN_CALL, E.SETTLING]
    assert kinds(events) == [E.CREATED, *call, E.RETRY_SCHEDULED, *call, E.COMPLETED]
    assert {event.by for event in events[1:]} == {"worker-1"}
    retry = events[5]
    assert retry.reason is not None
    assert (retry.reason.code, retry.due_at is not None) == ("after_no_answer", True)
    intents = [event for event in events if event.event is E.INTENT_STORED]
    calls = [event for event in events if event.event is E.IN_CALL]
    ends = [event for event in events if event.event is E.SETTLING]
    assert [(i.attempt, c.call_id, s.disposition, s.cost) for i, c, s in zip(intents, calls, ends, strict=True)] == [
        (record.number, record.call_id, record.disposition, record.cost) for record in job.history
    ]
    assert [job.contact.phones[event.phone_index or 0] for event in intents] == [r.phone for r in job.history]
    pace = (await campaigns.stored(batch)).pace
    assert (pace.calls, pace.ended, pace.calls_of_finished) == (2, 1, 2)
    assert pace.seconds > 0


async def test_a_rescue_that_has_to_verify_is_told(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    dead, rescuer = await campaigns.worker("dead"), await campaigns.worker("rescuer")
    batch, job = await leased(campaigns, dead)
    dialed = await dead.work._dialing.dial(job)
    assert dialed is not None
    await campaigns.set_job(job, state="dialing")
    await let_lease_expire(campaigns, job)
    async with rescuer.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    _, events = await story(campaigns, batch)
    mine = [E.CLAIMED, E.INTENT_STORED, E.IN_CALL]  # the last was unwritten behind everybody's back
    assert kinds(events) == [E.CREATED, *mine, E.ADOPTED, E.FOUND, E.SETTLING, E.COMPLETED]
    assert [event.by for event in events] == ["system", *["dead"] * 3, *["rescuer"] * 4]
    assert events[4].left_by == "dead"
    assert events[5].call_id == dialed.attempt.call_id if dialed.attempt else None


async def test_a_lost_answer_is_told_as_verified_and_found(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    await simulator.knobs(create_faults=[{"kind": "timeout_after", "count": 1}])
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)])
    worker = await campaigns.worker(retell_create_timeout_seconds=1)
    async with worker.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    _, events = await story(campaigns, batch)
    assert kinds(events) == [E.CREATED, E.CLAIMED, E.INTENT_STORED, E.VERIFYING, E.FOUND, E.SETTLING, E.COMPLETED]


async def test_a_refusal_is_told_with_its_reason_and_time(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    worker = await campaigns.worker("worker-1")
    batch, job = await leased(campaigns, worker)
    hours = closed_hours(campaigns)
    await campaigns.container.batches.change(
        batch.batch_id, {"call_settings.hours": hours}, is_active=None, user="test"
    )
    await worker.work.process(job)

    stored, events = await story(campaigns, batch)
    refused = events[-1]
    assert refused.event is E.REFUSED
    assert refused.reason == stored.reason
    assert refused.reason is not None
    assert (refused.reason.code, refused.due_at) == ("outside_hours", stored.due_at)


async def test_a_call_that_could_not_be_asked_for_is_told_as_withdrawn(campaigns: Campaigns) -> None:
    worker = await campaigns.worker(retell_base_url="http://127.0.0.1:9")
    batch, job = await leased(campaigns, worker)
    await worker.work.process(job)

    _, events = await story(campaigns, batch)
    assert kinds(events) == [E.CREATED, E.CLAIMED, E.INTENT_STORED, E.WITHDRAWN]
    assert events[3].reason is not None
    assert events[3].reason.code == "provider_waited_for"


async def test_a_worker_that_stops_in_a_call_says_so(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    first, second = await campaigns.worker("first"), await campaigns.worker("second")
    batch, job = await leased(campaigns, first)
    assert await first.work._dialing.dial(job) is not None
    await first.work.hand_over()
    async with second.running():
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    _, events = await story(campaigns, batch)
    assert kinds(events)[3:6] == [E.IN_CALL, E.HANDED_OVER, E.ADOPTED]
    assert (events[4].by, events[5].by, events[5].left_by) == ("first", "second", "first")
