"""Services wired as the composition root wires them, at a time of the test's own. Retell is away."""

from datetime import timedelta
from functools import cache

from app.clock import Clock
from app.domain.ports import Accounts, Batches, JobQueue, Jobs, Time
from app.integrations.prometheus.metrics import PrometheusMetrics
from app.integrations.retell.client import RetellClient
from app.repositories.batch_contacts import MongoBatchContacts
from app.repositories.batches import MongoBatches
from app.repositories.budgets import MongoBudgets
from app.repositories.database import Database
from app.repositories.from_numbers import MongoFromNumbers
from app.repositories.imports import MongoImports
from app.repositories.jobs import MongoJobs
from app.repositories.provider_limits import MongoProviderLimits
from app.repositories.transactions import MongoTransactions
from app.repositories.uploads import MongoUploads
from app.services.claiming import Claiming
from app.services.from_numbers import FromNumberWatch
from app.services.funding import Funding
from app.services.importing import Importing
from app.services.promptness import Promptness
from app.services.provider_gate import GateSettings, ProviderGate
from app.services.recurring import Recurring
from app.services.worker_control import WorkerControl


def make_claiming(
    database: Database,
    accounts: Accounts,
    batches: Batches,
    jobs: Jobs,
    queue: JobQueue,
    time: Time,
    lease: timedelta = timedelta(days=1),
    *,
    worker_id: str = "worker-1",
    max_concurrent: int = 1000,
) -> Claiming:
    funding = Funding(
        accounts, batches, MongoBudgets(database), MongoTransactions(database), time, timedelta(minutes=5)
    )
    control = WorkerControl(worker_id, time, lease)
    gate = ProviderGate(MongoProviderLimits(database), nobody(), control, time, GateSettings(0, max_concurrent))
    watch = FromNumberWatch(MongoFromNumbers(database), batches, time, "+56226000000")
    promptness = Promptness(PrometheusMetrics("test"), time)
    recurring = Recurring(batches, jobs, MongoBatchContacts(database), control, time)
    return Claiming(accounts, batches, jobs, queue, funding, recurring, control, gate, watch, promptness, time)


@cache
def nobody() -> RetellClient:
    """One for all tests of a process: each has connections that somebody would have to close."""
    return RetellClient("http://127.0.0.1:9", "key", Clock(), create_timeout=1, read_timeout=1, max_connections=1)


def make_importing(database: Database, time: Time) -> Importing:
    """What writes imports, with repositories of its own, so that they can be broken."""
    return Importing(
        MongoBatches(database),
        MongoImports(database),
        MongoJobs(database),
        MongoBatchContacts(database),
        MongoUploads(database, timedelta(days=1)),
        time,
    )
