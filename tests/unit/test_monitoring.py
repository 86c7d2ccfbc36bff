"""Prometheus's rules and Grafana's dashboard against what Cadencia tells: a series that nobody writes never alerts."""

import json
import re
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.domain import provider_errors
from app.domain.jobs import JobState, WaitingFor
from app.domain.money import Plan
from app.domain.outcomes import Disposition
from app.domain.overview import AccountCalls, Overview
from app.domain.privacy import Erased, ErasingStep
from app.domain.provider_errors import ProviderError
from app.domain.workers import WorkerState
from app.integrations.prometheus.metrics import PrometheusMetrics
from tests.builders import NOW

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
PROMETHEUS: dict[str, Any] = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text("utf-8"))
RULES: dict[str, Any] = yaml.safe_load((ROOT / "ops/prometheus/alerts.yml").read_text("utf-8"))
DASHBOARD: dict[str, Any] = json.loads((ROOT / "ops/grafana/dashboards/cadencia.json").read_text("utf-8"))
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")

ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [(name, rule["expr"]) for name, rule in ALERTS.items()] + [
    (panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]
]

SCRAPERS_OWN = {"up"}
SCRAPERS_LABELS = {"job", "instance"}
SERIES = re.compile(r"\b((?:cadencia|process)_\w+|up)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
PROBLEMS = {
    name for name, kind in vars(provider_errors).items() if isinstance(kind, type) and issubclass(kind, ProviderError)
}


def everything_told() -> dict[str, set[str]]:
    """The labels of every series that a process can tell, once each thing that it counts has happened."""
    metrics = PrometheusMetrics("1.0")
    metrics.claimed(1, 0.1)
    metrics.call_requested(0.1)
    metrics.call_ended(Disposition.ANSWERED)
    metrics.provider_answered("place", 0.1, None)
    metrics.job_rescued(JobState.IN_CALL)
    metrics.job_let_go("error")
    metrics.reservations_without_jobs(0)
    metrics.webhook_answered(None, 0.1)
    metrics.delivery_ended(delivered=True)
    metrics.erased(Erased.JOBS, 1)
    metrics.erasing_failed(ErasingStep.AGE)
    metrics.by_age_is_late(0)
    metrics.request_answered("GET", "/x", 200, 0.1)
    metrics.mongodb_answered(0)
    metrics.worker_holds(1, 1, 1)
    seen = Overview(
        taken_at=NOW,
        in_flight={JobState.IN_CALL.value: 1},
        pending={WaitingFor.NEW.value: 1},
        calls={"acc-1": AccountCalls(in_flight=1, limit=1)},
        stuck=0,
        open_batches=0,
        reserved={Plan.CREDIT_BASED.value: Decimal(1)},
        reservations=1,
        workers={WorkerState.RUNNING.value: 1},
    )
    metrics.show(seen, NOW)
    told: defaultdict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            told[sample.name] |= set(sample.labels)
    return told


TOLD = everything_told()

KNOWN_VALUES = {
    "state": {state.value for state in (*JobState, *WorkerState)} | {"failing", "switched_off"},
    "problem": PROBLEMS | {"none"},
    "result": {"delivered", "given_up"},
    "disposition": {disposition.value for disposition in Disposition},
    "reason": {"error", "mongodb_unavailable"},
    "what": {what.value for what in Erased},
    "step": {step.value for step in ErasingStep},
    "request": {"place", "get", "find", "stop", "max_concurrent"},
}


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS])
def test_an_expression_asks_for_series_and_labels_that_are_told(name: str, expression: str) -> None:
    series = [(found[1], found[2] or "") for found in SERIES.finditer(expression)]
    assert series
    labels: set[str] = set()
    for metric, selector in series:
        assert metric in TOLD.keys() | SCRAPERS_OWN, metric
        labels |= TOLD.get(metric, set()) | SCRAPERS_LABELS
        for label, operator, value in MATCHER.findall(selector):
            assert label in TOLD.get(metric, set()) | SCRAPERS_LABELS, (metric, label)
            if label in KNOWN_VALUES:
                values = set(value.split("|")) if "~" in operator else {value}
                assert values <= KNOWN_VALUES[label], (label, values - KNOWN_VALUES[label])
            if label == "job":
                assert any(re.fullmatch(value, config["job_name"]) for config in PROMETHEUS["scrape_configs"])
    for group in GROUPING.findall(expression):
        assert {label.strip() for label in group.split(",")} <= labels
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_there_are_alerts_for_what_must_not_be_overlooked() -> None:
    assert {
        "NoWorkerAlive",
        "QueueNotMoving",
        "JobsStuck",
        "CallsUncertain",
        "RetellFails",
        "MoneyReservedWithoutJobs",
        "ClockOff",
        "MongoDBAway",
        "CallsNotPrompt",
        "WebhooksNotSent",
        "ErasingBehind",
    } <= ALERTS.keys()
    assert len(ALERTS) == sum(len(group["rules"]) for group in RULES["groups"])


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_where_it_says_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["description"].strip()
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
    section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", OPERATIONS, re.DOTALL | re.MULTILINE)
    assert section is not None
    for part in ("**Means:**", "**Look at:**", "**Do:**"):
        assert part in section[1]


def test_every_section_about_an_alert_has_one() -> None:
    sections = OPERATIONS.partition("## Alerts\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (\w+)$", sections, re.MULTILINE) == list(ALERTS)


def test_the_panels_of_the_dashboard_stand_side_by_side() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = set(product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])))
        assert not taken & cells, panel["title"]
        taken |= cells
    assert all(before["gridPos"]["y"] <= after["gridPos"]["y"] for before, after in pairwise(DASHBOARD["panels"]))


def test_the_dashboard_asks_the_datasource_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((ROOT / "ops/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    (source,) = provisioned["datasources"]
    assert source["url"] == "http://prometheus:9090"
    used = {panel["datasource"]["uid"] for panel in PANELS}
    used |= {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert used == {source["uid"]}


def test_compose_brings_the_files_to_where_they_are_looked_for() -> None:
    services = COMPOSE["services"]
    mounts = {
        target: source
        for name in ("prometheus", "grafana")
        for source, target, *_ in (volume.split(":") for volume in services[name]["volumes"])
    }
    for source in mounts.values():
        assert source in COMPOSE["volumes"] if not source.startswith(".") else (ROOT / source).is_dir()
    option = "--config.file=/etc/prometheus/"
    (config,) = (part.removeprefix(option) for part in services["prometheus"]["command"] if part.startswith(option))
    folder = ROOT / mounts["/etc/prometheus"]
    assert (folder / config).exists()
    assert all((folder / file).exists() for file in PROMETHEUS["rule_files"])
    provider = yaml.safe_load((ROOT / "ops/grafana/provisioning/dashboards/cadencia.yml").read_text("utf-8"))
    assert mounts[provider["providers"][0]["options"]["path"]] == "./ops/grafana/dashboards"
    assert mounts["/etc/grafana/provisioning"] == "./ops/grafana/provisioning"
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['providers'][0]['options']['path']}/cadencia.json"


def test_prometheus_scrapes_the_ports_that_are_served_with_the_token_that_is_asked_for() -> None:
    services = COMPOSE["services"]
    targets = {
        name: config["port"]
        for scrape in PROMETHEUS["scrape_configs"]
        for config in scrape["dns_sd_configs"]
        for name in config["names"]
    }
    api, worker = services["api"], services["worker"]
    assert targets == {
        "api": int(api["command"][-1]),
        "worker": int(worker["environment"]["WORKER_METRICS_PORT"]),
    }
    assert "default" in api["networks"]
    assert "default" in worker["networks"]
    assert COMPOSE["secrets"] == {"metrics_token": {"environment": "METRICS_TOKEN"}}
    assert services["prometheus"]["secrets"] == ["metrics_token"]
    for scrape in PROMETHEUS["scrape_configs"]:
        assert scrape["authorization"] == {"credentials_file": "/run/secrets/metrics_token"}


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_images_of_others_are_pinned(name: str) -> None:
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", COMPOSE["services"][name]["image"])
