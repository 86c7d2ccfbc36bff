"""A contact asks to be called at another time, on the line: from Retell's word to the second call."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from app.domain.batches import BatchStatus
from app.domain.jobs import JobState, WaitingFor
from app.domain.outcomes import Disposition
from app.services.jobs import ShownStatus
from tests.workers.conftest import Campaigns, RunningSimulator, has_state, has_status, numbers, until


async def test_who_asks_for_it_is_called_then_and_on_the_same_phone_though_the_attempts_are_used_up(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    first, second = numbers(2)
    clock = campaigns.container.clock
    six = (clock.now() + timedelta(hours=5)).replace(second=0, microsecond=0)
    local = six.astimezone(ZoneInfo("America/Santiago"))
    asks = {
        "disconnection_reason": "user_requested_callback",
        "collected": {"fecha_llamada_cliente": f"{local:%d/%m/%Y}", "hora_llamada_cliente": f"{local:%H:%M}"},
    }
    await simulator.script({first: ["dial_busy"], second: [asks, "user_hangup"]})
    batch = await campaigns.batch(await campaigns.account(), [[first, second]], max_attempts=2)
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: has_waited_for(campaigns, batch.batch_id, WaitingFor.CALLBACK))
        job = await campaigns.job(batch)
        assert (job.due_at, job.attempts, job.disposition) == (six, 2, Disposition.CALLBACK_REQUESTED)
        view = await campaigns.container.jobs.get(job.job_id)
        assert view.status is ShownStatus.SCHEDULED
        assert job.reason is not None
        assert job.reason.params == {"at": f"{local:%Y-%m-%d %H:%M}", "timezone": "America/Santiago"}
        assert job.report is not None
        assert job.report.collected_variables["hora_llamada_cliente"] == f"{local:%H:%M}"
        # The hour has come.
        await campaigns.set_job(job, due_at=clock.now())
        await campaigns.container.database.collection("batches").update_one(
            {"_id": batch.batch_id}, {"$set": {"wake_at": clock.now()}, "$inc": {"revision": 1}}
        )
        await until(lambda: has_status(campaigns, batch, BatchStatus.COMPLETED))

    assert [create["to_number"] for create in await simulator.creates()] == [first, second, second]
    job = await campaigns.job(batch)
    assert (job.state, job.attempts, job.callbacks, job.priority) == (JobState.COMPLETED, 3, 1, 0)


async def test_a_callback_that_is_put_back_unsent_stays_one(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    (number,) = numbers(1)
    asks = {"disconnection_reason": "user_requested_callback", "custom_analysis": {"callback_at": "23:59"}}
    await simulator.script({number: [asks]})
    batch = await campaigns.batch(await campaigns.account(), [[number]])
    worker = await campaigns.worker()
    async with worker.running():
        await until(lambda: has_waited_for(campaigns, batch.batch_id, WaitingFor.CALLBACK))
    before = await campaigns.job(batch)

    await campaigns.set_job(before, due_at=campaigns.container.clock.now())
    await campaigns.container.database.collection("batches").update_one(
        {"_id": batch.batch_id}, {"$set": {"wake_at": campaigns.container.clock.now()}, "$inc": {"revision": 1}}
    )
    other = await campaigns.worker("other")
    (job,) = await other.work.claim(1)
    other.control.stopping.set()
    await other.work.process(job)

    assert await has_state(campaigns, batch, JobState.PENDING)
    after = await campaigns.job(batch)
    assert (after.waiting_for, after.reason, after.priority) == (WaitingFor.CALLBACK, before.reason, 1)


async def has_waited_for(campaigns: Campaigns, batch_id: str, waiting_for: WaitingFor) -> bool:
    jobs = campaigns.container.database.collection("jobs")
    return await jobs.count_documents({"batch_id": batch_id, "state": "pending", "waiting_for": waiting_for.value}) == 1
