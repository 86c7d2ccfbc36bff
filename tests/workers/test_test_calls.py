"""A test call rings the phone that was named, once, with the batch's script; or it does not ring, and says why."""

from decimal import Decimal
from typing import Any

import pytest

from app.domain.batches import Batch, BatchStatus, VoiceSettings
from app.domain.jobs import Job, JobState
from app.domain.voice import voice_notes
from app.services.do_not_call import Listing
from app.services.test_calls import AskedTestCall
from tests.workers.conftest import Campaigns, RunningSimulator, closed_hours, numbers, until

MINE = "+56987650001"
SCRIPT = "Hola {{nombre}}, debe {{monto}}"


def asked(**changes: Any) -> AskedTestCall:
    values: dict[str, Any] = {
        "phone": MINE,
        "job_id": None,
        "variables": {"monto": "12.990"},
        "outside_hours": False,
        "allow_missing_variables": False,
    }
    return AskedTestCall(**values | changes)


async def paused_batch(campaigns: Campaigns, **changes: Any) -> Batch:
    """A campaign that calls nobody by itself."""
    settings = {"script_content": SCRIPT, "allow_missing_variables": True}
    batch = await campaigns.batch(await campaigns.account(), [numbers(1)], **settings, **changes)
    return (await campaigns.container.batches.change(batch.batch_id, {}, is_active=False, user="ana")).batch


async def ended(campaigns: Campaigns, job: Job) -> bool:
    """The job is final, and a worker has nothing more to do with its batch."""
    batch = await campaigns.container.batches.get(job.batch_id)
    return batch.status is BatchStatus.COMPLETED


async def now(campaigns: Campaigns, job: Job) -> Job:
    return (await campaigns.container.jobs.get(job.job_id)).job


async def test_it_rings_once_with_the_script_and_is_paid_though_its_batch_is_paused(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    await simulator.script({MINE: [{"disconnection_reason": "user_hangup", "talk_seconds": 61}]})
    batch = await paused_batch(campaigns, hours=closed_hours(campaigns))
    account = await campaigns.container.accounts.get(batch.account_id)
    job = await campaigns.container.test_calls.call(batch.batch_id, asked(outside_hours=True), user="ana")
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: ended(campaigns, job))

    (create,) = await simulator.creates()
    assert create["body"]["to_number"] == MINE
    assert create["body"]["retell_llm_dynamic_variables"]["script"] == "Hola Contacto 0, debe 12.990"
    done = await now(campaigns, job)
    assert (done.state, done.attempts) == (JobState.COMPLETED, 1)
    assert done.total_cost > 0
    page, _ = await campaigns.container.accounts.transactions(account.account_id, limit=5, skip=0)
    assert [entry.job_id for entry in page if entry.job_id] == [job.job_id]
    await campaigns.assert_ledger_exact(account)
    # The batch itself is as it was.
    view = await campaigns.container.batches.view(batch.batch_id)
    assert (view.batch.status, view.usage.cost, view.progress.pending) == (BatchStatus.PAUSED, Decimal(0), 1)


@pytest.mark.parametrize(
    "voice",
    [
        VoiceSettings(),
        VoiceSettings(voice_id="11labs-Ana", speed=0.9, volume=1.5, pitch=3, language="es_mx"),
        VoiceSettings(voice_id="DEFAULT", speed=2, volume=0.5, language="pt"),
    ],
)
async def test_what_is_said_of_a_voice_is_what_is_sent(
    campaigns: Campaigns, simulator: RunningSimulator, voice: VoiceSettings
) -> None:
    batch = await paused_batch(campaigns, voice_settings=voice)
    await campaigns.container.test_calls.call(batch.batch_id, asked(), user="ana")
    worker = await campaigns.worker()
    (job,) = await worker.work.claim(5)
    await worker.work.process(job)

    (create,) = await simulator.creates()
    sent = create["body"]["agent_override"]["agent"]
    names = {"voice_id": "voice_id", "speed": "voice_speed", "volume": "volume", "language": "language"}
    told = {note.field: note.sent for note in voice_notes(voice) if note.sent is not None}
    assert {field: sent[name] for field, name in names.items() if name in sent} == told
    assert not [name for name in sent if "pitch" in name]


@pytest.mark.parametrize(
    "reason", ["dial_no_answer", "dial_busy", "voicemail_reached", "user_requested_callback", "error_retell"]
)
async def test_whatever_comes_of_it_it_does_not_ring_again(
    campaigns: Campaigns, simulator: RunningSimulator, reason: str
) -> None:
    await simulator.script({MINE: [reason, "user_hangup"]})
    batch = await paused_batch(campaigns)
    job = await campaigns.container.test_calls.call(batch.batch_id, asked(), user="ana")
    worker = await campaigns.worker(provider_retry_seconds=0.01)

    async with worker.running():
        await until(lambda: ended(campaigns, job))

    assert len(await simulator.creates()) == 1
    done = await now(campaigns, job)
    assert done.state is JobState.FAILED
    assert done.reason is not None
    assert done.reason.code.startswith("after_")
    await campaigns.assert_ledger_exact(await campaigns.container.accounts.get(batch.account_id))


async def test_a_number_on_a_do_not_call_list_is_not_called_as_a_test_either(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    batch = await paused_batch(campaigns)
    await campaigns.container.do_not_call.add(Listing(None, None, None, "test"), [MINE])
    job = await campaigns.container.test_calls.call(batch.batch_id, asked(outside_hours=True), user="ana")
    worker = await campaigns.worker()

    async with worker.running():
        await until(lambda: ended(campaigns, job))

    assert await simulator.creates() == []
    done = await now(campaigns, job)
    assert done.reason is not None
    assert (done.state, done.reason.code) == (JobState.FAILED, "on_do_not_call_list")


async def test_a_call_that_could_not_be_made_in_time_is_not_made_at_all(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    """No money; and when there is some, nobody stands beside the phone any more."""
    batch = await paused_batch(campaigns)
    container = campaigns.container
    accounts = container.database.collection("accounts")
    await accounts.update_one({"_id": batch.account_id}, {"$set": {"funds.free": 0}})
    job = await container.test_calls.call(batch.batch_id, asked(), user="ana")
    worker = await campaigns.worker()
    assert await worker.work.claim(5) == []
    waiting = await campaigns.stored(await container.batches.get(job.batch_id))
    assert waiting.block is not None
    assert waiting.block.reason.code == "no_balance"
    assert (await now(campaigns, job)).state is JobState.PENDING

    batches = container.database.collection("batches")
    passed = {"no_calls_after": container.clock.now(), "wake_at": container.clock.now()}
    await batches.update_one({"_id": job.batch_id}, {"$set": passed})
    await accounts.update_one({"_id": batch.account_id}, {"$set": {"funds.free": 1000}})
    async with worker.running():
        await until(lambda: ended(campaigns, job))

    assert await simulator.creates() == []
    done = await now(campaigns, job)
    assert done.reason is not None
    assert (done.state, done.reason.code) == (JobState.CANCELLED, "test_call_too_late")


async def test_one_that_was_taken_in_time_and_comes_to_be_dialed_too_late_is_not_dialed(
    campaigns: Campaigns, simulator: RunningSimulator
) -> None:
    batch = await paused_batch(campaigns)
    job = await campaigns.container.test_calls.call(batch.batch_id, asked(), user="ana")
    worker = await campaigns.worker()
    (taken,) = await worker.work.claim(5)
    late = {"no_calls_after": campaigns.container.clock.now()}
    await campaigns.container.database.collection("batches").update_one({"_id": job.batch_id}, {"$set": late})

    await worker.work.process(taken)

    assert await simulator.creates() == []
    done = await now(campaigns, job)
    assert done.reason is not None
    assert (done.state, done.reason.code) == (JobState.FAILED, "test_call_too_late")


async def test_one_that_is_never_opened_is_undone(campaigns: Campaigns, simulator: RunningSimulator) -> None:
    """The API died before it opened the batch: its lease ends, and nothing rings."""
    batch = await paused_batch(campaigns)
    container = campaigns.container
    job = await container.test_calls.call(batch.batch_id, asked(), user="ana")
    batches = container.database.collection("batches")
    died = {"status": "importing", "total_jobs": 0, "import_expires_at": container.clock.now()}
    await batches.update_one({"_id": job.batch_id}, {"$set": died | {"wake_at": container.clock.now()}})
    worker = await campaigns.worker()

    assert await worker.work.claim(5) == []

    assert await batches.count_documents({"_id": job.batch_id}) == 0
    assert await container.database.collection("jobs").count_documents({"_id": job.job_id}) == 0
    assert await simulator.creates() == []
