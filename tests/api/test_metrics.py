"""GET /metrics of the API."""

from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.config import Settings
from app.main import create_app
from tests.api.conftest import ACCOUNT, let_in, problem, running
from tests.conftest import make_settings
from tests.samples import Samples

METRICS = "http://cadencia.test/metrics"


async def scraped(api: httpx.AsyncClient) -> Samples:
    answer = await api.get(METRICS)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Samples(answer.content)


async def test_requests_are_counted_by_the_routes_template_and_nothing_that_somebody_chose(
    api: httpx.AsyncClient, batch: dict[str, Any]
) -> None:
    name, path = "cadencia_http_request_seconds_count", "/batches/{batch_id}"
    before = await scraped(api)

    await api.get(f"batches/{batch['batch_id']}")
    await api.get("batches/batch-none")
    await api.get("no/such/route-56912345678")
    await api.request("BREW", "batches")

    samples = await scraped(api)

    def more(**labels: str) -> float:
        return samples(name, **labels) - before(name, **labels)

    assert more(method="GET", route=path, status="200") == 1
    assert more(method="GET", route=path, status="404") == 1
    assert more(method="GET", route="-", status="404") == 1
    assert samples.by("method", name)["other"] >= 1
    for private in (batch["batch_id"], "batch-none", "56912345678", "BREW", ACCOUNT["account_name"], "Juan", "+569"):
        assert private not in samples.text


async def test_the_figures_of_the_database_are_there(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    samples = await scraped(api)

    assert samples("cadencia_jobs", state="pending") == 1
    assert samples("cadencia_mongodb_up") == 1
    assert samples("cadencia_overview_age_seconds") < 60
    assert {"cadencia_info", "process_resident_memory_bytes", "cadencia_workers"} <= samples.names


@pytest.fixture
def guarded(settings: Settings) -> Settings:
    return make_settings(settings.mongodb_uri.get_secret_value(), metrics_token="t0ken")


async def test_with_a_token_only_who_shows_it_reads(container: Container, guarded: Settings) -> None:
    await let_in(container)
    async with running(create_app(guarded)) as api:
        problem(await api.get(METRICS), 401, "metrics_not_for_you")
        answer = await api.get(METRICS, headers={"Authorization": "Bearer t0ken"})
        assert answer.status_code == 200
        assert "t0ken" not in answer.text


async def test_without_one_nobody_reads_from_elsewhere(api: httpx.AsyncClient) -> None:
    problem(await api.get(METRICS, headers={"X-Forwarded-For": "203.0.113.9"}), 401, "metrics_not_for_you")
    app = api._transport.app  # type: ignore[attr-defined]
    elsewhere = httpx.ASGITransport(app=app, client=("203.0.113.9", 1234))
    async with httpx.AsyncClient(transport=elsewhere) as client:
        problem(await client.get(METRICS), 401, "metrics_not_for_you")
