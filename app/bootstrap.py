"""The composition root: the only place that knows which adapter stands behind which port."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from os import getpid
from socket import gethostname
from uuid import uuid4

from app.clock import Clock
from app.config import Settings
from app.domain.access_ports import AuditLog
from app.domain.errors import DatabaseUnavailable
from app.domain.money import Pricing
from app.domain.privacy import Retention
from app.domain.privacy_ports import Erasures, ProviderCopies
from app.domain.tables_written import TableFile
from app.domain.workers import Vitals, WorkerState
from app.integrations.credentials.access_tokens import AccessTokens
from app.integrations.credentials.passwords import Passwords
from app.integrations.prometheus.metrics import PrometheusMetrics
from app.integrations.retell.client import RetellClient
from app.integrations.retell.webhooks import RetellEvents
from app.integrations.spreadsheets.csv_writer import CsvFiles
from app.integrations.spreadsheets.files import SpreadsheetFiles
from app.integrations.spreadsheets.workbook_files import Workbooks
from app.integrations.webhook_sender import WebhookSender
from app.repositories.access import (
    MongoApiKeys,
    MongoLoginFailures,
    MongoRefreshTokens,
    MongoSecrets,
    MongoUsers,
)
from app.repositories.accounts import MongoAccounts
from app.repositories.aged_batches import MongoAgedBatches
from app.repositories.aged_entries import MongoAgedEntries
from app.repositories.audit_log import MongoAuditLog
from app.repositories.batch_contacts import MongoBatchContacts
from app.repositories.batches import MongoBatches
from app.repositories.budgets import MongoBudgets
from app.repositories.call_hints import MongoCallHints
from app.repositories.database import Database, connect
from app.repositories.do_not_call import MongoDoNotCallList
from app.repositories.erasures import MongoErasures, MongoProviderCopies
from app.repositories.from_numbers import MongoFromNumbers
from app.repositories.imports import MongoImports
from app.repositories.inspection import MongoInspection
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.repositories.migrator import Migrator
from app.repositories.overview import MongoOverviews
from app.repositories.person_reading import MongoPersonReader
from app.repositories.personal_data import MongoPersonalData
from app.repositories.provider_limits import MongoProviderLimits
from app.repositories.reading import MongoCallHistory, MongoStatistics
from app.repositories.reconciliation import MongoReconciliation
from app.repositories.restoring import MongoRestoredDatabase
from app.repositories.results import MongoResults
from app.repositories.transactions import MongoTransactions
from app.repositories.untold import MongoUntold
from app.repositories.uploads import MongoUploads
from app.repositories.webhooks import MongoDeliveries, MongoDeliveryQueue, MongoSubscriptions, MongoWebhooks
from app.repositories.workers import MongoWorkers
from app.services.accounts import AccountService
from app.services.admission import Admission
from app.services.api_keys import ApiKeyService
from app.services.attempt_calls import AttemptCalls
from app.services.batch_creation import BatchCreation
from app.services.batch_deletion import BatchDeletion
from app.services.batch_files import BatchFiles
from app.services.batches import BatchService
from app.services.call_events import CallEvents
from app.services.call_following import CallFollowing
from app.services.call_tuning import CallTuning
from app.services.call_work import CallWork
from app.services.claiming import Claiming
from app.services.dashboard import DashboardService
from app.services.delivering import Delivering
from app.services.diagnosing import Defaults, Diagnosing
from app.services.dialing import CallDefaults, Dialing
from app.services.do_not_call import DoNotCallService
from app.services.erasing import Erasing, PersonFinder
from app.services.explaining import Explaining
from app.services.from_numbers import FromNumberService, FromNumberWatch
from app.services.funding import Funding
from app.services.hints import Hints
from app.services.ids import new_id
from app.services.import_tasks import ImportTasks
from app.services.importing import Importing
from app.services.imports import ImportService
from app.services.jobs import JobService
from app.services.live_batches import LiveBatches
from app.services.measured_provider import MeasuredProvider
from app.services.overview import OverviewService
from app.services.past_calls import PastCallService
from app.services.person_export import PersonExport
from app.services.promptness import Promptness
from app.services.provider_copies import DeletingCopies
from app.services.provider_gate import GateSettings, ProviderGate
from app.services.read_pace import ReadPace
from app.services.reconciling import Reconciling
from app.services.recurring import Recurring
from app.services.rescuing import Rescuing
from app.services.restoring import Restoring
from app.services.results import ResultService
from app.services.retaining import Retaining
from app.services.script_preview import ScriptPreviewing
from app.services.sessions import Lifetimes, SessionService
from app.services.settling import Settling
from app.services.stream_tickets import StreamTickets
from app.services.telling import Payloads, Telling
from app.services.test_calls import TestCalls
from app.services.uploads import UploadService
from app.services.users import UserService
from app.services.verifying import Verifying
from app.services.webhooks import WebhookService
from app.services.worker_control import WorkerControl
from app.services.workers import Registration, WorkerService
from app.version import version


@dataclass(frozen=True)
class Access:
    """Who may do what: users, their sessions, machines' keys, and the log of who did what."""

    users: UserService
    sessions: SessionService
    api_keys: ApiKeyService
    audit_log: AuditLog
    tickets: StreamTickets


@dataclass(frozen=True)
class ResultFiles:
    """The formats in which a batch's results are written, each with so many turns in this process."""

    workbooks: TableFile
    csv: CsvFiles


@dataclass(frozen=True)
class Privacy:
    """What is done about one person's data."""

    erasing: Erasing
    erasures: Erasures
    copies: ProviderCopies
    export: PersonExport
    retaining: Retaining
    retention: Retention
    """What holds for accounts that say nothing."""


@dataclass(frozen=True)
class Container:
    """Everything an entry point needs, wired."""

    settings: Settings
    clock: Clock
    database: Database
    migrator: Migrator
    metrics: PrometheusMetrics
    access: Access
    accounts: AccountService
    batches: BatchService
    live_batches: LiveBatches
    batch_creation: BatchCreation
    batch_deletion: BatchDeletion
    imports: ImportService
    import_tasks: ImportTasks
    batch_files: BatchFiles
    uploads: UploadService
    workbooks: TableFile
    """Of files as small as a template or the rows of one upload that were rejected."""
    results: ResultService
    result_files: ResultFiles
    script_preview: ScriptPreviewing
    test_calls: TestCalls
    do_not_call: DoNotCallService
    privacy: Privacy
    jobs: JobService
    dashboard: DashboardService
    past_calls: PastCallService
    call_events: CallEvents
    reconciling: Reconciling
    from_numbers: FromNumberService
    workers: WorkerService
    overview: OverviewService
    webhooks: WebhookService

    async def prepare_database(
        self,
        *,
        migrate: bool | None = None,
        stopping: Callable[[], bool] = lambda: False,
        patience: float = inf,
    ) -> None:
        """Check the server, migrate the data (`migrate`; else as MIGRATE_AT_START says), create the indexes, take the
        primary's time.

        Safe to repeat. Raises DatabaseUnsuitable, DatabaseUnavailable, or DataNotReady: then somebody else migrates,
        has to, the process is `stopping`, or an index takes longer than `patience` (seconds) to build.
        """
        await self.database.check()
        wanted = self.settings.migrate_at_start if migrate is None else migrate
        await self.migrator.make_ready(migrate=wanted, stopping=stopping, patience=patience)
        await self.synchronise_clock()

    async def check_data(self) -> None:
        """Whether this code may still go on with the data: a newer one may have migrated it since.

        Raises DatabaseUnsuitable, DatabaseUnavailable.
        """
        await self.migrator.check()

    async def synchronise_clock(self) -> timedelta:
        """Take the primary's time; how far this process was off. Raises DatabaseUnavailable."""
        asked_at = self.clock.monotonic()
        try:
            server_now = await self.database.server_time()
        except DatabaseUnavailable:
            self.metrics.mongodb_answered(None)
            raise
        correction = self.clock.synchronise(server_now, asked_at)
        self.metrics.mongodb_answered(self.clock.machine_is_behind().total_seconds())
        return correction


@asynccontextmanager
async def open_container(settings: Settings) -> AsyncIterator[Container]:
    """The wired application; connections open on first use and close at the end."""
    clock = Clock()
    database = connect(
        settings.mongodb_uri.get_secret_value(),
        settings.mongodb_database,
        pool_size=settings.mongodb_pool_size,
        timeout_seconds=settings.mongodb_timeout_seconds,
    )
    accounts, batches, jobs = MongoAccounts(database), MongoBatches(database), MongoJobs(database)
    transactions = MongoTransactions(database)
    statistics = MongoStatistics(database)
    reader = SpreadsheetFiles()
    explaining = Explaining(accounts, MongoProviderLimits(database), clock)
    uploads = MongoUploads(database, timedelta(hours=settings.upload_retention_hours))
    imports = MongoImports(database)
    importing = Importing(batches, imports, jobs, MongoBatchContacts(database), uploads, clock)
    import_tasks = ImportTasks(importing, waited_for=settings.import_waited_for_contacts)
    pricing = Pricing(
        cost_per_minute=settings.cost_per_minute,
        credits_per_minute=settings.credits_per_minute,
        billing_increment_seconds=settings.billing_increment_seconds,
    )
    webhook_key = settings.retell_webhook_key.get_secret_value() or settings.retell_api_key.get_secret_value()
    batch_service = BatchService(batches, jobs, transactions, explaining, clock)
    creation = BatchCreation(accounts, batches, uploads, import_tasks, clock)
    upload_service = UploadService(accounts, uploads, jobs, reader, clock)
    metrics = PrometheusMetrics(version())
    try:
        yield Container(
            settings=settings,
            clock=clock,
            database=database,
            migrator=Migrator(database, code=version(), holder=f"{gethostname()}:{getpid()}:{uuid4().hex[:6]}"),
            metrics=metrics,
            access=_access(settings, clock, database),
            accounts=AccountService(accounts, batches, jobs, transactions, clock, pricing),
            batches=batch_service,
            live_batches=LiveBatches(batch_service, batches, clock),
            batch_deletion=BatchDeletion(batches, jobs, clock),
            batch_creation=creation,
            batch_files=BatchFiles(upload_service, creation, imports),
            imports=ImportService(batches, imports, uploads, import_tasks, clock),
            import_tasks=import_tasks,
            uploads=upload_service,
            workbooks=Workbooks(at_once=2),
            results=ResultService(batches, MongoResults(database), explaining, clock),
            result_files=ResultFiles(workbooks=Workbooks(at_once=2), csv=CsvFiles(at_once=4)),
            script_preview=ScriptPreviewing(accounts, uploads, clock),
            test_calls=TestCalls(accounts, batches, jobs, MongoBatchContacts(database), clock),
            do_not_call=DoNotCallService(accounts, batches, jobs, MongoDoNotCallList(database), reader, clock),
            privacy=_privacy(settings, clock, database, metrics),
            jobs=JobService(accounts, batches, jobs, explaining, clock),
            dashboard=DashboardService(statistics, clock),
            past_calls=PastCallService(accounts, batches, statistics, MongoCallHistory(database), clock),
            call_events=CallEvents(RetellEvents(webhook_key), MongoCallHints(database), clock),
            reconciling=Reconciling(MongoReconciliation(database)),
            from_numbers=FromNumberService(MongoFromNumbers(database), batches, clock),
            workers=WorkerService(MongoWorkers(database), clock),
            overview=OverviewService(MongoOverviews(database), clock),
            webhooks=WebhookService(
                accounts,
                MongoWebhooks(database),
                MongoSubscriptions(database),
                MongoDeliveries(database),
                clock,
                retention=timedelta(days=settings.webhook_log_days),
                any_target=settings.webhook_any_target,
            ),
        )
    finally:
        await database.close()


def _access(settings: Settings, clock: Clock, database: Database) -> Access:
    users, tokens, accounts, passwords = (
        MongoUsers(database),
        MongoRefreshTokens(database),
        MongoAccounts(database),
        Passwords(),
    )
    lifetimes = Lifetimes(
        access=timedelta(minutes=settings.access_token_minutes), refresh=timedelta(days=settings.refresh_token_days)
    )
    sessions = SessionService(
        users,
        tokens,
        MongoLoginFailures(database),
        MongoSecrets(database),
        passwords,
        AccessTokens(),
        clock,
        lifetimes,
        settings.auth_secret.get_secret_value(),
    )
    api_keys = ApiKeyService(MongoApiKeys(database), accounts, clock)
    return Access(
        users=UserService(users, tokens, accounts, passwords, clock),
        sessions=sessions,
        api_keys=api_keys,
        audit_log=MongoAuditLog(database),
        tickets=StreamTickets(sessions, api_keys, AccessTokens(), clock),
    )


def _privacy(settings: Settings, clock: Clock, database: Database, metrics: PrometheusMetrics) -> Privacy:
    accounts, data = MongoAccounts(database), MongoPersonalData(database)
    erasures, copies = MongoErasures(database), MongoProviderCopies(database)
    finder = PersonFinder(accounts, data)
    retention = Retention(
        personal_days=settings.retention_days or None, recording_days=settings.recording_retention_days or None
    )
    erasing = Erasing(
        finder,
        accounts,
        MongoBatches(database),
        MongoJobs(database),
        MongoDoNotCallList(database),
        data,
        erasures,
        copies,
        clock,
        metrics,
    )
    return Privacy(
        erasing=erasing,
        erasures=erasures,
        copies=copies,
        export=PersonExport(finder, MongoPersonReader(database), clock),
        retaining=Retaining(
            accounts,
            MongoAgedBatches(database),
            data,
            MongoAgedEntries(database),
            copies,
            MongoAuditLog(database),
            clock,
            retention,
            metrics,
        ),
        retention=retention,
    )


def register(container: Container, control: WorkerControl, vitals: Callable[[WorkerState], Vitals]) -> Registration:
    """The worker's place in the register of workers."""
    return Registration(MongoWorkers(container.database), control, vitals)


@asynccontextmanager
async def open_call_work(container: Container, control: WorkerControl) -> AsyncIterator[CallWork]:
    """What a worker process does with jobs, wired to this container's database and to Retell."""
    settings, clock, database = container.settings, container.clock, container.database
    accounts, batches, jobs = MongoAccounts(database), MongoBatches(database), MongoJobs(database)
    queue, transactions = MongoJobQueue(database), MongoTransactions(database)
    tuning = _tuning(settings)
    retell = _retell(container)
    metrics = container.metrics
    provider = MeasuredProvider(retell, metrics, clock)
    promptness = Promptness(metrics, clock)
    defaults = CallDefaults(agent_id=settings.retell_agent_id, webhook_url=settings.retell_webhook_url)
    watch = FromNumberWatch(MongoFromNumbers(database), batches, clock, settings.retell_from_number)
    gate = ProviderGate(
        MongoProviderLimits(database),
        provider,
        control,
        clock,
        GateSettings(settings.retell_calls_per_second, settings.retell_max_concurrent_calls),
    )
    do_not_call = MongoDoNotCallList(database)
    recheck = timedelta(seconds=settings.balance_recheck_seconds)
    funding = Funding(accounts, batches, MongoBudgets(database), transactions, clock, recheck)
    settling = Settling(accounts, batches, queue, funding, do_not_call, watch, clock, tuning, metrics)
    admission = Admission(queue, do_not_call, gate, watch, clock)
    recurring = Recurring(batches, jobs, MongoBatchContacts(database), control, clock)
    stored_hints = MongoCallHints(database)
    hints = Hints(stored_hints, control)
    pace = ReadPace(control, settings.retell_reads_per_second)
    calls = AttemptCalls(provider, pace, stored_hints, batches, clock)
    try:
        yield CallWork(
            queue=queue,
            control=control,
            claiming=Claiming(
                accounts, batches, jobs, queue, funding, recurring, control, gate, watch, promptness, clock
            ),
            dialing=Dialing(
                accounts,
                batches,
                queue,
                provider,
                settling,
                admission,
                funding,
                control,
                gate,
                watch,
                promptness,
                clock,
                tuning,
                defaults,
            ),
            verifying=Verifying(
                accounts, batches, queue, provider, calls, hints, settling, admission, control, gate, clock, tuning
            ),
            following=CallFollowing(queue, provider, calls, hints, settling, control, gate, clock, tuning),
            settling=settling,
            rescuing=Rescuing(batches, queue, funding, control, clock, metrics),
            importing=Importing(
                batches,
                MongoImports(database),
                jobs,
                MongoBatchContacts(database),
                MongoUploads(database, timedelta(hours=settings.upload_retention_hours)),
                clock,
            ),
            hints=hints,
            gate=gate,
            metrics=metrics,
        )
    finally:
        await retell.aclose()


@asynccontextmanager
async def open_restoring(container: Container) -> AsyncIterator[Restoring]:
    """What finds the calls that a restored backup has forgotten."""
    settings, clock, database = container.settings, container.clock, container.database
    accounts, batches, transactions = MongoAccounts(database), MongoBatches(database), MongoTransactions(database)
    control = WorkerControl(new_id("after-restore"), clock, timedelta(seconds=settings.worker_lease_seconds))
    recheck = timedelta(seconds=settings.balance_recheck_seconds)
    funding = Funding(accounts, batches, MongoBudgets(database), transactions, clock, recheck)
    watch = FromNumberWatch(MongoFromNumbers(database), batches, clock, settings.retell_from_number)
    queue, retell = MongoJobQueue(database), _retell(container)
    try:
        yield Restoring(
            MongoRestoredDatabase(database),
            retell,
            AttemptCalls(
                retell, ReadPace(control, settings.retell_reads_per_second), MongoCallHints(database), batches, clock
            ),
            accounts,
            batches,
            MongoWorkers(database),
            queue,
            funding,
            Settling(
                accounts,
                batches,
                queue,
                funding,
                MongoDoNotCallList(database),
                watch,
                clock,
                _tuning(settings),
                container.metrics,
            ),
            control,
        )
    finally:
        await retell.aclose()


def _tuning(settings: Settings) -> CallTuning:
    return CallTuning(
        poll=timedelta(seconds=settings.call_poll_seconds),
        longest_poll=timedelta(seconds=settings.call_poll_max_seconds),
        details_grace=timedelta(seconds=settings.call_details_grace_seconds),
        provider_retry=timedelta(seconds=settings.provider_retry_seconds),
    )


@asynccontextmanager
async def open_diagnosing(container: Container) -> AsyncIterator[Diagnosing]:
    """What looks whether all that Cadencia stands on is well."""
    settings, clock, database = container.settings, container.clock, container.database

    async def take_primarys_time() -> float:
        await container.synchronise_clock()
        return clock.machine_is_behind().total_seconds()

    retell = _retell(container)
    defaults = Defaults(
        key_is_set=bool(settings.retell_api_key.get_secret_value()),
        agent_id=settings.retell_agent_id,
        from_number=settings.retell_from_number,
        max_concurrent=settings.retell_max_concurrent_calls,
    )
    try:
        yield Diagnosing(
            MongoInspection(database),
            MongoWorkers(database),
            MongoFromNumbers(database),
            retell,
            clock,
            take_primarys_time,
            defaults,
        )
    finally:
        await retell.aclose()


def _retell(container: Container) -> RetellClient:
    settings = container.settings
    return RetellClient(
        settings.retell_base_url,
        settings.retell_api_key.get_secret_value(),
        container.clock,
        create_timeout=settings.retell_create_timeout_seconds,
        read_timeout=settings.retell_read_timeout_seconds,
        max_connections=settings.worker_concurrency,
    )


@asynccontextmanager
async def open_deleting(container: Container) -> AsyncIterator[DeletingCopies]:
    """What a worker process has deleted at Retell."""
    retell = _retell(container)
    provider = MeasuredProvider(retell, container.metrics, container.clock)
    try:
        yield DeletingCopies(container.privacy.copies, provider, container.clock, container.metrics)
    finally:
        await retell.aclose()


@asynccontextmanager
async def open_outgoing(
    container: Container, worker_id: str, payloads: Payloads
) -> AsyncIterator[tuple[Telling, Delivering]]:
    """What a worker process tells customers' webhooks; `payloads` words it."""
    settings, clock, database = container.settings, container.clock, container.database
    sender = WebhookSender(settings.webhook_timeout_seconds, any_target=settings.webhook_any_target)
    telling = Telling(
        MongoUntold(database),
        MongoAccounts(database),
        MongoBatches(database),
        container.batches,
        MongoWebhooks(database),
        MongoDeliveries(database),
        payloads,
        clock,
        worker_id=worker_id,
        retention=timedelta(days=settings.webhook_log_days),
    )
    delivering = Delivering(
        MongoDeliveryQueue(database),
        sender,
        clock,
        worker_id=worker_id,
        timeout=timedelta(seconds=settings.webhook_timeout_seconds),
        disable_after=timedelta(days=settings.webhook_disable_after_days),
        metrics=container.metrics,
    )
    try:
        yield telling, delivering
    finally:
        await sender.aclose()
