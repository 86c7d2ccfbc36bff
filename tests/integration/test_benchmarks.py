"""The benchmarks run, and count what they say they count. No test asserts a time."""

import sys
from operator import itemgetter
from pathlib import Path

import pytest
import typer

from app.bootstrap import Container
from app.domain.batches import Batch
from app.domain.jobs import Job, JobState
from app.repositories.documents import from_document
from app.repositories.embedded_mongod import EmbeddedMongod
from app.repositories.indexes import INDEXES
from benchmarks import reading, tables
from benchmarks.backlog import BESIDE, Backlog, Mix, filled
from benchmarks.claim import parse_sizes, report
from benchmarks.drafts import Draft
from benchmarks.rivals import our_engine
from benchmarks.site import Site


@pytest.mark.parametrize("mix", Mix)
async def test_a_backlog_is_what_the_application_would_have_stored(container: Container, mix: Mix) -> None:
    backlog = Backlog(size=1500, mix=mix, batches=3)
    filler = await filled(container, backlog)
    jobs = [document async for document in container.database.collection("jobs").find()]
    now = container.clock.now()

    assert len(jobs) == backlog.total
    assert all(filler.original(document["_id"]) == document for document in jobs)
    read = [from_document(Job, document) for document in jobs]
    due = sum(job.state is JobState.PENDING and job.due_at <= now for job in read)
    assert due == (1500 if mix is Mix.DUE else BESIDE)
    batches = [from_document(Batch, one) async for one in container.database.collection("batches").find()]
    assert {batch.batch_id for batch in batches} == {job.batch_id for job in read}


@pytest.mark.parametrize("mix", Mix)
async def test_a_backlog_that_mongodb_makes_is_the_one_that_is_described(container: Container, mix: Mix) -> None:
    backlog = Backlog(size=2500, mix=mix, batches=21, beside=30)
    people = await our_engine.people(container, backlog)
    await our_engine.cloned(container, people, backlog)
    jobs = [document async for document in container.database.collection("jobs").find().sort("_id")]

    assert jobs == sorted((people.job(number) for number in range(backlog.total)), key=itemgetter("_id"))
    assert len({phone for job in jobs for phone in job["person_keys"]}) == 2 * backlog.total
    assert {job["account_id"] for job in jobs} == {"acc-bench-000", "acc-bench-001", "acc-bench-002"}
    names = await container.database.collection("jobs").index_information()
    assert set(names) == {"_id_", *(index.document["name"] for index in INDEXES["jobs"])}


async def test_the_table_of_the_claim(mongod: EmbeddedMongod) -> None:
    draft = Draft()
    await report(Site(mongod.uri, mongod.pid), [60, 300], [Mix.FUTURE], [1], draft)

    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in draft.text.splitlines() if line.startswith("|")
    ]
    assert [row[:2] for row in rows[2:]] == [["60 future", "1"], ["300 future", "1"]]
    keys = rows[0].index("Keys/job")
    for row in rows[2:]:
        # Found, leased, read back; the batch, its account and the slots, shared by 50 jobs.
        assert 3 <= float(row[keys]) < 3.5


@pytest.mark.parametrize(("text", "sizes"), [("1k,100k,1M", [1_000, 100_000, 1_000_000]), ("50", [50])])
def test_sizes(text: str, sizes: list[int]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "1x", "1k,", "10"])
def test_sizes_that_cannot_be(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_sizes(text)


async def test_the_tables_of_imports_and_exports(mongod: EmbeddedMongod) -> None:
    draft = Draft()
    await tables.report(Site(mongod.uri, mongod.pid), [60], draft, sys.executable)

    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in draft.text.splitlines()
        if line.startswith("| 60 |")
    ]
    ours = [row for row in rows if row[1].startswith("Cadencia")]
    assert [row[1] for row in ours] == ["Cadencia .xlsx", "Cadencia .xlsx", "Cadencia .csv"]
    assert all(float(row[3].replace(",", "")) > 0 for row in rows if not row[1].startswith("pandas"))


async def test_what_is_kept_is_not_made_again(mongod: EmbeddedMongod, container: Container, tmp_path: Path) -> None:
    site = Site(mongod.uri, mongod.pid, kept=tmp_path)

    path, batch_id = await tables._made(site, container, Path("nowhere"), 60)
    assert await tables._made(site, container, Path("nowhere"), 60) == (path, batch_id)
    assert await container.database.collection("jobs").count_documents({"batch_id": batch_id}) == 60
    large = await reading._stored(container, 120)
    assert await reading._stored(container, 120) == large
    assert await container.database.collection("jobs").count_documents({}) == 120


async def test_a_failed_measurement_is_no_figure() -> None:
    assert await tables.measured([sys.executable, "-c", "raise SystemExit(1)"]) is None
