"""The doctor on a real mongod and the simulated Retell: what is wrong is found and named, and nothing is changed."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from app.bootstrap import Container, open_diagnosing
from app.domain.diagnosis import Finding, Level
from app.domain.workers import WorkerState
from app.repositories.indexes import INDEXES, ensure_indexes
from app.repositories.migrations import CODE_VERSION
from app.repositories.workers import MongoWorkers
from scripts.doctor import cli
from tests.unit.test_diagnosis import FROM, vitals
from tests.workers.conftest import Campaigns, RunningSimulator


@dataclass
class Doctor:
    container: Container
    simulator: RunningSimulator

    async def findings(self, **changes: Any) -> list[Finding]:
        settings = self.container.settings.model_copy(update={"retell_base_url": self.simulator.url, **changes})
        async with open_diagnosing(replace(self.container, settings=settings)) as diagnosing:
            return await diagnosing.findings()

    async def finds(self, subject: str, **changes: Any) -> Finding:
        (finding,) = [finding for finding in await self.findings(**changes) if finding.subject == subject]
        return finding

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """The command; its exit code, and all that it wrote."""
        settings = self.container.settings
        known = {
            "MONGODB_URI": settings.mongodb_uri.get_secret_value(),
            "MONGODB_DATABASE": settings.mongodb_database,
            "RETELL_BASE_URL": self.simulator.url,
            "RETELL_API_KEY": "key_test",
            "RETELL_FROM_NUMBER": FROM,
        }
        result = CliRunner().invoke(cli, arguments, env=known | environment)
        return result.exit_code, result.output


@pytest.fixture
async def doctor(container: Container, simulator: RunningSimulator) -> AsyncIterator[Doctor]:
    yield Doctor(container, simulator)
    await ensure_indexes(container.database)


async def contents(container: Container) -> dict[str, Any]:
    """Everything that is stored, and its indexes."""
    found = {}
    for name in INDEXES:
        collection = container.database.collection(name)
        found[name] = (await collection.find({}).to_list(), await collection.index_information())
    return found


async def test_what_is_well_is_said_to_be_and_nothing_is_changed(doctor: Doctor, campaigns: Campaigns) -> None:
    await MongoWorkers(doctor.container.database).note("w:1", vitals())
    await campaigns.account(limit=15)
    before = await contents(doctor.container)
    findings = await doctor.findings(retell_agent_id="agent_a")
    # The test's replica set has one member.
    assert [finding for finding in findings if finding.level is not Level.OK] == [
        finding
        for finding in findings
        if finding.subject == "mongodb replica set"  # the test's has one member
    ]
    assert {finding.subject for finding in findings} == {
        "mongodb",
        "mongodb replica set",
        "mongodb writes",
        "data version",
        "mongodb indexes",
        "clock of this machine",
        "clock of the primary",
        "workers",
        "retell key",
        "retell agent agent_a",
        f"retell number {FROM}",
        "retell concurrency",
    }
    assert await contents(doctor.container) == before
    assert await doctor.simulator.creates() == []


async def test_an_index_that_is_missing_or_another_is_named(doctor: Doctor) -> None:
    jobs = doctor.container.database.collection("jobs")
    await jobs.drop_index("slot")
    finding = await doctor.finds("mongodb indexes")
    assert (finding.level, finding.text) == (Level.ERROR, "missing: jobs.slot")

    # The same keys, but two jobs may hold one slot.
    await jobs.create_index([("account_id", 1), ("slot", 1)], name="slot")
    finding = await doctor.finds("mongodb indexes")
    assert (finding.level, finding.text) == (Level.ERROR, "not as they must be: jobs.slot")
    await jobs.drop_index("slot")


async def test_data_of_another_version(doctor: Doctor) -> None:
    schema = doctor.container.database.collection("schema")
    before = await schema.find_one({})
    assert before is not None
    try:
        await schema.update_one({}, {"$set": {"version": 1}})
        finding = await doctor.finds("data version")
        assert (finding.level, finding.text) == (Level.WARNING, f"data 1, this code {CODE_VERSION}")
        assert "scripts.migrate --plan" in finding.advice
        # A newer code has other indexes.
        await schema.update_one({}, {"$set": {"version": 99}})
        await doctor.container.database.collection("jobs").drop_index("slot")
        assert (await doctor.finds("data version")).level is Level.OK
        assert (await doctor.finds("mongodb indexes")).level is Level.OK
        await schema.update_one({}, {"$set": {"min_code_version": 99}})
        finding = await doctor.finds("mongodb")
        assert finding.level is Level.ERROR
        assert "Start the newer Cadencia" in finding.advice
        await schema.update_one({}, {"$set": {"version": "?"}})
        assert "cannot be read: version" in (await doctor.finds("mongodb")).advice
    finally:
        await schema.replace_one({}, before)


async def test_a_worker_that_was_lost(doctor: Doctor) -> None:
    assert (await doctor.finds("workers")).level is Level.WARNING
    await MongoWorkers(doctor.container.database).note("w:1", vitals())
    workers = doctor.container.database.collection("workers")
    await workers.update_one({}, [{"$set": {"last_seen_at": {"$add": ["$$NOW", -3_600_000]}}}])
    finding = await doctor.finds("workers")
    assert (finding.level, finding.text) == (Level.ERROR, "0 at work, 1 lost in the last day")
    await MongoWorkers(doctor.container.database).note("w:1", vitals(state=WorkerState.STOPPED))
    assert (await doctor.finds("workers")).level is Level.WARNING


async def test_a_key_that_retell_does_not_know(doctor: Doctor) -> None:
    await doctor.simulator.knobs(account_state=401)
    findings = await doctor.findings()
    (key,) = [finding for finding in findings if finding.subject == "retell key"]
    assert key.level is Level.ERROR
    assert "RETELL_API_KEY" in key.advice
    assert not any(finding.subject.startswith("retell number") for finding in findings)


async def test_an_agent_and_numbers_that_retell_does_not_know(doctor: Doctor, campaigns: Campaigns) -> None:
    account = await campaigns.account()
    accounts = doctor.container.database.collection("accounts")
    own = {"retell_from_number": "+56225550199", "retell_agent_id": "agent_own"}
    await accounts.update_one({"_id": account.account_id}, {"$set": own})
    await doctor.simulator.knobs(known_agents=["agent_a"], owned_numbers=[FROM])
    findings = {finding.subject: finding for finding in await doctor.findings(retell_agent_id="agent_a")}
    assert findings["retell agent agent_a"].level is Level.OK
    assert findings["retell agent agent_own"].level is Level.ERROR
    assert findings[f"retell number {FROM}"].level is Level.OK
    assert findings["retell number +56225550199"].level is Level.ERROR

    # Nobody calls for a suspended account.
    await accounts.update_one({"_id": account.account_id}, {"$set": {"status": "suspended"}})
    assert "retell agent agent_own" not in {finding.subject for finding in await doctor.findings()}


async def test_a_number_that_cannot_call(doctor: Doctor, campaigns: Campaigns) -> None:
    await campaigns.account()  # in Chile
    await doctor.simulator.knobs(bound_agent_id=None, allowed_outbound_countries=["US", "CA"])
    assert (await doctor.finds(f"retell number {FROM}")).level is Level.ERROR
    finding = await doctor.finds(f"retell number {FROM}", retell_agent_id="agent_a")
    assert (finding.level, finding.text) == (Level.WARNING, "may not call CL, where accounts call")
    await doctor.simulator.knobs(allowed_outbound_countries=["US", "CL"])
    assert (await doctor.finds(f"retell number {FROM}", retell_agent_id="agent_a")).level is Level.OK


async def test_a_number_that_rests(doctor: Doctor) -> None:
    until = doctor.container.clock.now() + timedelta(hours=1)
    await doctor.container.database.collection("from_numbers").insert_one(
        {"_id": FROM, "rests": 1, "rests_until": until}
    )
    findings = await doctor.findings()
    (finding,) = [finding for finding in findings if finding.text.startswith("rests until")]
    assert (finding.subject, finding.level) == (f"retell number {FROM}", Level.WARNING)


async def test_less_lines_than_the_accounts_may_use(doctor: Doctor, campaigns: Campaigns) -> None:
    for _ in range(2):
        await campaigns.account(limit=10)
    assert (await doctor.finds("retell concurrency")).level is Level.OK
    await doctor.simulator.knobs(reserved_inbound_concurrency=1)
    finding = await doctor.finds("retell concurrency")
    assert (finding.level, finding.text) == (Level.WARNING, "19 calls at once; the accounts' limits add up to 20")
    await doctor.simulator.knobs(reserved_inbound_concurrency=20)
    assert (await doctor.finds("retell concurrency")).level is Level.ERROR


async def test_a_retell_that_is_not_there(doctor: Doctor) -> None:
    finding = await doctor.finds("retell", retell_base_url="http://127.0.0.1:9")
    assert finding.level is Level.ERROR
    assert "RETELL_BASE_URL" in finding.advice


async def test_the_command_and_its_exit_codes(doctor: Doctor) -> None:
    code, output = await asyncio.to_thread(doctor.run)
    assert code == 0, output
    assert f"retell number {FROM}: exists and may call out" in output

    code, output = await asyncio.to_thread(doctor.run, "--json", RETELL_BASE_URL="http://127.0.0.1:9")
    assert code == 1
    assert {"ok", "warning", "error"} >= {finding["level"] for finding in json.loads(output)}

    code, output = await asyncio.to_thread(doctor.run, MONGODB_URI="mongodb://user:hunter2@[", WORKER_CONCURRENCY="x")
    assert code == 2
    assert "hunter2" not in output


async def test_a_mongodb_that_is_away_is_one_finding_among_those_of_retell(doctor: Doctor) -> None:
    away = {"MONGODB_URI": "mongodb://127.0.0.1:9/?replicaSet=rs0", "MONGODB_TIMEOUT_SECONDS": "0.2"}
    code, output = await asyncio.to_thread(doctor.run, "--json", **away)
    found = {finding["subject"]: finding for finding in json.loads(output)}
    assert code == 1
    assert found["mongodb"]["level"] == "error"
    assert "rs.status()" in found["mongodb"]["advice"]
    assert found["retell key"]["level"] == "ok"
