"""What is counted, as Prometheus asks for it: the only module that imports prometheus_client.

Every process has a registry of its own. What it did itself is in counters and histograms; what the database knows is in
the `Overview`, which is everybody's, and therefore to be read with `max`, not added up.

Labels are few by construction (enums, route templates, classes of errors), but for `account_id`, of which there are no
more than `MOST_ACCOUNTS` at a time.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from app.domain.jobs import JobState
from app.domain.outcomes import Disposition
from app.domain.overview import Overview
from app.domain.privacy import Erased, ErasingStep

WAITS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 300)
ANSWERS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
REPLIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
RESULTS = {True: "delivered", False: "given_up"}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# A second series beside each counter, with the time at which it began: nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call] # theirs has no annotations


class PrometheusMetrics:
    """One process's."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, version: str) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        info = Gauge("cadencia_info", "1, with the version that runs.", ["version"], registry=registry)
        info.labels(version).set(1)
        self._claim = Histogram(
            "cadencia_claim_seconds", "Looks for work that found some.", registry=registry, buckets=ANSWERS
        )
        self._claimed = Counter("cadencia_jobs_claimed", "Jobs taken to be called.", registry=registry)
        self._promptness = Histogram(
            "cadencia_promptness_seconds",
            "From when a contact might be called to the request for the call.",
            registry=registry,
            buckets=WAITS,
        )
        self._ended = Counter(
            "cadencia_calls_ended", "Attempts settled, by how they ended.", ["disposition"], registry=registry
        )
        for disposition in Disposition:
            self._ended.labels(disposition.value)
        self._provider = Histogram(
            "cadencia_provider_request_seconds",
            "Requests to Retell, by the class of the problem (`none` if there was none).",
            ["request", "problem"],
            registry=registry,
            buckets=ANSWERS,
        )
        self._rescued = Counter(
            "cadencia_jobs_rescued", "Jobs taken over from dead or stopped workers.", ["state"], registry=registry
        )
        self._let_go = Counter(
            "cadencia_jobs_let_go", "Jobs on which work was broken off until their lease ends.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self._webhooks = Histogram(
            "cadencia_webhook_request_seconds",
            "Requests to customers' webhooks, by the class of the problem (`none` if there was none).",
            ["problem"],
            registry=registry,
            buckets=ANSWERS,
        )
        self._deliveries = Counter(
            "cadencia_webhook_deliveries",
            "What was to be told to webhooks, by whether it was delivered or given up.",
            ["result"],
            registry=registry,
        )
        for result in RESULTS.values():
            self._deliveries.labels(result)
        self._orphans = Gauge(
            "cadencia_reservations_without_jobs",
            "Money reserved for attempts that no job can make any more, seen twice in a row.",
            registry=registry,
        )
        self._erased = Counter("cadencia_erased", "What was erased of persons, by what.", ["what"], registry=registry)
        for what in Erased:
            self._erased.labels(what.value)
        self._erasing_failures = Counter(
            "cadencia_erasing_failures",
            "Steps of erasing that were broken off, and calls that Retell did not delete.",
            ["step"],
            registry=registry,
        )
        for step in ErasingStep:
            self._erasing_failures.labels(step.value)
        self._by_age_late = Gauge(
            "cadencia_erasing_by_age_late_seconds",
            "How long the first batch is past the time at which it should have been erased, as this worker saw it.",
            registry=registry,
        )
        self._requests = Histogram(
            "cadencia_http_request_seconds",
            "Requests to the API, by route template.",
            ["method", "route", "status"],
            registry=registry,
            buckets=REPLIES,
        )
        self._mongodb_up = Gauge(
            "cadencia_mongodb_up", "Whether MongoDB answered this process last time.", registry=registry
        )
        self._clock_offset = Gauge(
            "cadencia_clock_offset_seconds",
            "How far this machine's clock is behind the MongoDB primary's.",
            registry=registry,
        )
        self._concurrency = Gauge(
            "cadencia_worker_concurrency", "Places of this worker, one a job in hand.", registry=registry
        )
        self._in_use = Gauge("cadencia_worker_in_use", "Places of this worker that are taken.", registry=registry)
        self._worker_calls = Gauge(
            "cadencia_worker_calls_in_flight",
            "Jobs in this worker's hands whose phone rings, talks, or perhaps does.",
            registry=registry,
        )
        self._shown = _Shown()
        registry.register(self._shown)

    # domain.metrics.Metrics ----------------------------------------------------------------------------------------

    def claimed(self, jobs: int, seconds: float) -> None:
        self._claimed.inc(jobs)
        self._claim.observe(seconds)

    def call_requested(self, waited_seconds: float) -> None:
        self._promptness.observe(waited_seconds)

    def call_ended(self, disposition: Disposition) -> None:
        self._ended.labels(disposition.value).inc()

    def provider_answered(self, request: str, seconds: float, problem: str | None) -> None:
        self._provider.labels(request, problem or "none").observe(seconds)

    def job_rescued(self, state: JobState) -> None:
        self._rescued.labels(state.value).inc()

    def job_let_go(self, reason: str) -> None:
        self._let_go.labels(reason).inc()

    def webhook_answered(self, problem: str | None, seconds: float) -> None:
        self._webhooks.labels(problem or "none").observe(seconds)

    def delivery_ended(self, *, delivered: bool) -> None:
        self._deliveries.labels(RESULTS[delivered]).inc()

    def reservations_without_jobs(self, count: int) -> None:
        self._orphans.set(count)

    def erased(self, what: Erased, count: int) -> None:
        self._erased.labels(what.value).inc(count)

    def erasing_failed(self, step: ErasingStep) -> None:
        self._erasing_failures.labels(step.value).inc()

    def by_age_is_late(self, seconds: float) -> None:
        self._by_age_late.set(seconds)

    # Of entry points -----------------------------------------------------------------------------------------------

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is a template, and `-` where none matched: never a path that somebody chose."""
        self._requests.labels(method if method in METHODS else "other", route, str(status)).observe(seconds)

    def mongodb_answered(self, offset_seconds: float | None) -> None:
        """None: it did not."""
        self._mongodb_up.set(offset_seconds is not None)
        if offset_seconds is not None:
            self._clock_offset.set(offset_seconds)

    def worker_holds(self, concurrency: int, in_use: int, calls: int) -> None:
        self._concurrency.set(concurrency)
        self._in_use.set(in_use)
        self._worker_calls.set(calls)

    def show(self, overview: Overview | None, now: datetime) -> None:
        """From now on the figures of the database are these."""
        self._shown.overview, self._shown.now = overview, now

    def render(self) -> bytes:
        """Everything, as `content_type`."""
        return generate_latest(self._registry)


class _Shown(Collector):
    """The overview as gauges: what is not in it any more, such as an account without calls, has no series either."""

    overview: Overview | None = None
    now: datetime

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Without an overview the names alone."""
        for name, text, label, values in _LABELLED:
            family = GaugeMetricFamily(f"cadencia_{name}", text, labels=[label])
            if self.overview is not None:
                for value, number in values(self.overview).items():
                    family.add_metric([value], float(number))
            yield family
        for name, text, number_of in _SINGLE:
            shown = None if self.overview is None else float(number_of(self.overview, self.now))
            yield GaugeMetricFamily(f"cadencia_{name}", text, value=shown)


_LABELLED: list[tuple[str, str, str, Callable[[Overview], Mapping[str, int | Decimal]]]] = [
    ("jobs", "Jobs that are not final, by state.", "state", lambda seen: seen.by_state),
    ("pending_jobs", "Jobs that wait, by what for; up to 100,000 each.", "waiting_for", lambda seen: seen.pending),
    (
        "calls_in_flight", "Lines taken.", "account_id",
        lambda seen: {account: calls.in_flight for account, calls in seen.calls.items()},
    ),
    (
        "calls_limit", "Lines, of accounts with some taken.", "account_id",
        lambda seen: {account: calls.limit for account, calls in seen.calls.items()},
    ),
    ("reserved_units", "Reserved for calls, in the plan's unit.", "plan", lambda seen: seen.reserved),
    ("workers", "Workers of the last day, by state.", "state", lambda seen: seen.workers),
    (
        "webhooks", "Webhooks that are not well: failing, or switched off because they failed.", "state",
        lambda seen: {"failing": seen.outgoing.failing, "switched_off": seen.outgoing.switched_off},
    ),
]  # fmt: skip
_SINGLE: list[tuple[str, str, Callable[[Overview, datetime], float]]] = [
    ("reservations", "Attempts for which money is reserved.", lambda seen, _: seen.reservations),
    ("stuck_jobs", "Jobs whose lease ran out over a minute ago, and nobody took them.", lambda seen, _: seen.stuck),
    ("open_batches", "Batches that run and do not sleep, up to 1,000.", lambda seen, _: seen.open_batches),
    ("imports", "Imports under way.", lambda seen, _: seen.imports.under_way),
    ("imports_stalled", "Those that nobody goes on with.", lambda seen, _: seen.imports.stalled),
    ("import_contacts_handled", "Contacts that imports under way have written.", lambda seen, _: seen.imports.handled),
    ("import_contacts_expected", "Contacts of imports under way.", lambda seen, _: seen.imports.expected),
    (
        "webhook_deliveries_pending",
        "Events that webhooks are still to be told, up to 100,000.",
        lambda seen, _: seen.outgoing.pending,
    ),
    (
        "webhook_oldest_seconds",
        "Age of the oldest event that a webhook is still to be told.",
        lambda seen, now: seen.outgoing.oldest(now),
    ),
    ("erasures_open", "Persons who are being erased, up to 1,000.", lambda seen, _: seen.erasures.open),
    ("erasure_oldest_seconds", "Age of the oldest of these.", lambda seen, now: seen.erasures.oldest(now)),
    (
        "provider_copies",
        "Calls that are to be deleted at Retell, up to 100,000.",
        lambda seen, _: seen.erasures.provider_copies,
    ),
    (
        "provider_copies_elsewhere",
        "Those of these that Retell does not know, but that were made with another API key.",
        lambda seen, _: seen.erasures.elsewhere,
    ),
    (
        "provider_copy_oldest_seconds",
        "How long ago the oldest of these was erased here, without those that may lie in another workspace.",
        lambda seen, now: seen.erasures.oldest_copy(now),
    ),
    ("oldest_attempt_seconds", "Age of the oldest attempt that is not settled.", lambda seen, now: seen.oldest(now)),
    ("overview_age_seconds", "Age of these figures.", lambda seen, now: (now - seen.taken_at).total_seconds()),
]
