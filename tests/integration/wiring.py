"""A claimer wired as the composition root wires it, at a time of the test's own."""

from datetime import timedelta

from app.domain.ports import Accounts, Batches, JobQueue, Jobs, Time
from app.repositories.budgets import MongoBudgets
from app.repositories.database import Database
from app.repositories.transactions import MongoTransactions
from app.services.claiming import Claiming
from app.services.funding import Funding
from app.services.worker_control import ProviderHold, WorkerControl


def make_claiming(
    database: Database,
    accounts: Accounts,
    batches: Batches,
    jobs: Jobs,
    queue: JobQueue,
    time: Time,
    lease: timedelta = timedelta(days=1),
) -> Claiming:
    funding = Funding(
        accounts, batches, MongoBudgets(database), MongoTransactions(database), time, timedelta(minutes=5)
    )
    control = WorkerControl("worker-1", time, lease)
    return Claiming(accounts, batches, jobs, queue, funding, control, ProviderHold(time), time)
