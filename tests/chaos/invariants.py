"""design.md §1 as checks of a world: what must be true after every step, and what once it has come to rest."""

from collections import Counter
from decimal import Decimal

from app.domain.batches import BatchStatus
from app.domain.jobs import IN_FLIGHT, Job, JobState
from app.domain.transactions import Transaction, TransactionType
from app.repositories.documents import from_document
from tests.chaos.world import World


async def violated(world: World, fences: dict[str, int]) -> list[str]:
    """What is wrong now. `fences` remembers the highest fence of each job."""
    jobs = await world.jobs()
    batches = await world.stored_batches()
    wrong = list(world.violations)
    for job in jobs:
        if job.fence < fences.get(job.job_id, 0):
            wrong.append(f"{job.job_id}: its fence fell from {fences[job.job_id]} to {job.fence}")
        fences[job.job_id] = job.fence
        batch = batches[job.batch_id]
        if job.attempts > job.max_attempts(batch.call_settings.max_attempts):
            wrong.append(f"{job.job_id}: {job.attempts} attempts")
        wrong += [f"{job.job_id} is {job.state.value} {what}" for what in _held(job)]
        if job.state is JobState.PENDING:
            if batch.status is BatchStatus.COMPLETED:
                wrong.append(f"{job.job_id} is pending in a completed batch")
            elif batch.status in {BatchStatus.RUNNING, BatchStatus.CANCELLED} and batch.wake_at is None:
                wrong.append(f"{job.job_id} is pending and nobody will look at its {batch.status.value} batch")
    return wrong + _slots(world, jobs) + await _money(world, jobs) + _calls(world)


async def left_behind(world: World) -> list[str]:
    """What is wrong with a world that has come to rest."""
    jobs, account = await world.jobs(), await world.stored_account()
    wrong = [f"{job.job_id} is {job.state.value}, {job.reason}" for job in jobs if not job.state.is_final]
    wrong += [f"reserved for {attempt_id}" for attempt_id in account.reservations]
    told = Counter(entry.call_id for job in jobs for entry in job.history if entry.call_id)
    made = {call.call_id for call in world.calls()}
    wrong += [f"{call_id} stands {times} times in the histories" for call_id, times in told.items() if times > 1]
    wrong += [f"{call_id} is in no history" for call_id in made - told.keys()]
    wrong += [f"{call_id} was never made" for call_id in told.keys() - made]
    entries = await _ledger(world)
    histories = {entry.attempt_id: entry.cost for job in jobs for entry in job.history}
    for entry in entries:
        if entry.type is TransactionType.CALL_USAGE and histories.get(entry.transaction_id) != entry.cost:
            wrong.append(f"{entry.transaction_id} cost {entry.cost}, and in the history {histories}")
    return wrong


def _held(job: Job) -> list[str]:
    if job.state in IN_FLIGHT:
        parts: dict[str, object] = {"slot": job.slot, "slot at the provider": job.provider_slot}
        parts |= {"worker": job.worker_id, "lease": job.lease_until, "attempt id": job.attempt_id}
        return [f"without a {name}" for name, value in parts.items() if value is None]
    held: dict[str, object] = {"slot": job.slot, "slot at the provider": job.provider_slot}
    held |= {"worker": job.worker_id, "lease": job.lease_until}
    wrong = [f"with a {name}" for name, value in held.items() if value is not None]
    return wrong if job.attempt is None else [*wrong, "with an attempt"]


def _slots(world: World, jobs: list[Job]) -> list[str]:
    slots = [job.slot for job in jobs if job.slot is not None]
    wrong = [f"slot {slot} is held twice" for slot, times in Counter(slots).items() if times > 1]
    return wrong + [f"slot {slot} was never allowed" for slot in slots if slot >= world.highest_limit]


async def _money(world: World, jobs: list[Job]) -> list[str]:
    """Free is what was bought, less what was used, less what is reserved; and the ledger tells what was used."""
    account = await world.stored_account()
    available = account.funds.available(account.plan_type)
    wrong = []
    if account.funds.free < 0:
        wrong.append(f"{account.funds.free} free")
    if account.funds.free + sum(account.reservations.values(), Decimal(0)) != available:
        wrong.append(f"{account.funds.free} free of {available}, reserved {account.reservations}")
    # The ledger comes first; while its reservation stands, an entry is not yet in the balance.
    settled = [entry.amount for entry in await _ledger(world) if entry.transaction_id not in account.reservations]
    if sum(settled, Decimal(0)) != available:
        wrong.append(f"the ledger says {sum(settled, Decimal(0))}, the balance {available}")
    needed = {JobState.DIALING, JobState.IN_CALL, JobState.VERIFYING, JobState.UNCERTAIN}
    return wrong + [
        f"{job.job_id} is {job.state.value} and its money is not reserved"
        for job in jobs
        if job.state in needed and job.attempt_id not in account.reservations
    ]


async def _ledger(world: World) -> list[Transaction]:
    cursor = world.container.database.collection("transactions").find({})
    return [from_document(Transaction, document) async for document in cursor]


def _calls(world: World) -> list[str]:
    attempts = Counter(call.metadata["attempt_id"] for call in world.calls())
    return [f"attempt {attempt_id} has {times} calls" for attempt_id, times in attempts.items() if times > 1]
