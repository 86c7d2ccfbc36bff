"""A batch's results as files: what the jobs' own routes say, for every job, in the order of the sheet."""

import asyncio
import csv
import io
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import openpyxl
import pytest
import uvicorn

from app.api.downloads import Download
from app.bootstrap import Container, ResultFiles
from app.domain.batches import BatchStatus
from app.domain.errors import Conflict, DatabaseUnavailable
from app.domain.jobs import FINAL, IN_FLIGHT, AttemptRecord, Job, JobState, WaitingFor
from app.domain.messages import Language, Message, render
from app.domain.outcomes import HEARD, Disposition
from app.domain.results import USUAL, Per, ResultColumn
from app.integrations.spreadsheets.csv_writer import CsvFiles, harmless
from app.integrations.spreadsheets.workbook_files import Workbooks
from app.main import create_app
from app.repositories.documents import plain
from app.repositories.jobs import MongoJobs
from app.repositories.results import MongoResults
from app.services.jobs import ShownStatus
from app.services.results import Wanted
from scripts.retell_simulator.server import bind
from tests.api.conftest import ACCOUNT, CREDENTIALS, batch_body, problem, running
from tests.api.test_access import somebody
from tests.builders import NOW, make_attempt, make_contact, make_job, make_record, make_report
from tests.conftest import make_settings

Batch = dict[str, Any]
ZONE = ZoneInfo("America/Santiago")
FORMULA = '=HYPERLINK("http://malo";"a")'
SHEET = ["monto", "=nota", "rut"]
"""The custom fields in the sheet's order."""


def cells(content: bytes) -> list[list[Any]]:
    (sheet,) = openpyxl.load_workbook(io.BytesIO(content)).worksheets
    return [list(row) for row in sheet.iter_rows()]


def lines(content: bytes, separator: str = ";") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=separator))


def records(draw: random.Random, job_id: str, phones: list[str]) -> list[AttemptRecord]:
    found = []
    for number in range(1, draw.randint(0, 3) + 1):
        at = NOW + timedelta(hours=number, seconds=draw.randint(0, 3000))
        found.append(
            AttemptRecord(
                attempt_id=f"{job_id}-a{number}",
                number=number,
                phone=draw.choice(phones),
                call_id=draw.choice([f"call-{job_id}-{number}", None]),
                disposition=draw.choice(list(Disposition)),
                counted=draw.random() < 0.8,
                dialed_at=at,
                ended_at=at + timedelta(seconds=61),
                duration_seconds=draw.choice([0, 60.5, 61]),
                billed_seconds=draw.choice([0, 61]),
                cost=draw.choice([Decimal(0), Decimal("0.1525"), Decimal("2.50")]),
            )
        )
    return found


STATES: list[dict[str, Any]] = [
    *({"state": JobState.PENDING, "waiting_for": wait} for wait in WaitingFor),
    *({"state": state} for state in sorted(IN_FLIGHT)),
    {"state": JobState.COMPLETED},
    {"state": JobState.FAILED, "reason": Message(code="max_attempts_reached", params={"attempts": 3})},
    {"state": JobState.CANCELLED, "reason": Message(code="cancelled_by_operator")},
]


def jobs_of(batch_id: str, count: int) -> list[Job]:
    """In every state, with formulas wherever somebody else writes, and each row with other columns empty."""
    draw = random.Random(7)
    jobs = []
    for number in range(2, count + 2):
        job_id = f"{batch_id}-{number:06d}"
        contact = make_contact(
            draw.randint(1, 3),
            name=draw.choice(["Ana", FORMULA, "+1", "@ana", ""]),
            email=draw.choice([None, "ana@correo.cl"]),
            custom_fields={name: draw.choice([FORMULA, "007", "-2+3", "＝1"]) for name in SHEET if draw.random() < 0.6},
        )
        history = records(draw, job_id, contact.phones)
        fields = STATES[number % len(STATES)]
        last = history[-1].call_id if history else None
        report = make_report(
            call_id=last or "call-x",
            analysis=draw.choice([None, {"call_summary": f"{FORMULA} ñ\nsegunda línea"}, {"call_summary": 7}]),
            recording_url=draw.choice([None, "https://example.com/a.wav"]),
            collected_variables=draw.choice(
                [{}, {"fecha_cliente": FORMULA, "otra": "x"}, {"=monto_cliente": "50.000"}]
            ),
            transcript="User: Hola" * 100,
        )
        values: dict[str, Any] = {
            "attempts": sum(record.counted for record in history),
            "history": history,
            "report": report if history else None,
            "finished_at": NOW if fields["state"] in FINAL else None,
            "attempt": make_attempt() if fields["state"] in IN_FLIGHT - {JobState.LEASED} else None,
            "row": number + 3,
        }
        jobs.append(
            make_job(job_id=job_id, batch_id=batch_id, account_id="acc-chile-001", contact=contact, **values, **fields)
        )
    return jobs


@pytest.fixture
async def full(api: httpx.AsyncClient, batch: Batch, container: Container, monkeypatch: pytest.MonkeyPatch) -> str:
    """A batch of many pages, whose results were read in pieces of a few."""
    monkeypatch.setattr("app.services.results.PAGE_JOBS", 7)
    monkeypatch.setattr("app.repositories.results.SHAPE_JOBS", 5)
    jobs = MongoJobs(container.database)
    batch_id = str(batch["batch_id"])
    await jobs.insert_many(jobs_of(batch_id, 40))
    # Of a neighbour: shown nowhere.
    await jobs.insert_many(jobs_of(f"{batch_id}0", 3))
    return batch_id


async def told(api: httpx.AsyncClient, batch_id: str, **params: str) -> list[dict[str, Any]]:
    """What the jobs' own routes say, in the contacts' order."""
    listed = (await api.get("jobs", params={"batch_id": batch_id, "limit": 500, **params})).json()
    jobs = []
    for entry in sorted(listed, key=lambda entry: entry["job_id"]):
        job = (await api.get(f"jobs/{entry['job_id']}")).json()
        timeline = (await api.get(f"jobs/{entry['job_id']}/timeline")).json()
        jobs.append({**job, "why": (timeline["now"]["why"] or {}).get("message")})
    return jobs


def wall(instant: str) -> datetime:
    return datetime.fromisoformat(instant).astimezone(ZONE).replace(tzinfo=None)


def expected_contact(job: dict[str, Any], custom: list[str], collected: list[str]) -> list[Any]:
    history = job["history"]
    last = history[-1] if history else None
    heard = [record["phone"] for record in history if record["status"] in HEARD]
    of_last = (job["call_result"] or {}).get("summary", {})
    variables = of_last.get("collected_dynamic_variables") or {}
    summary = (of_last.get("call_analysis") or {}).get("call_summary")
    return [
        job["row"],
        job["contact"]["name"],
        *([*job["contact"]["phones"], None, None][:3]),
        job["contact"]["email"],
        *(job["payload"].get(name) for name in custom),
        render(f"job_status_{job['status']}"),
        job["why"],
        job["attempts"],
        heard[-1] if heard else None,
        wall(last["dialed_at"]) if last else None,
        last["dialed_at"] if last else None,
        last["duration_seconds"] if last else None,
        job["cost"],
        *(variables.get(name) for name in collected),
        None,
        summary if isinstance(summary, str) else None,
        of_last.get("recording_url"),
        job["job_id"],
    ]


HEADER = [
    "Fila",
    "Nombre",
    "Teléfono 1",
    "Teléfono 2",
    "Teléfono 3",
    "Correo",
    "monto",
    "=nota",
    "rut",
    "monto_deuda",
    "Estado",
    "Motivo",
    "Intentos",
    "Teléfono que contestó",
    "Llamada (America/Santiago)",
    "Llamada (UTC)",
    "Duración (segundos)",
    "Costo total",
]
"""Up to the collected variables. `monto_deuda` is a column of the batch's first contact only."""


def blank(row: list[Any]) -> list[Any]:
    return [None if cell == "" else cell for cell in row]


async def test_every_contact_as_its_job_says(api: httpx.AsyncClient, full: str) -> None:
    answer = await api.get(f"batches/{full}/results.xlsx")
    assert answer.status_code == 200, answer.text
    header, *rows = [[cell.value for cell in row] for row in cells(answer.content)]
    assert sorted(header[:18]) == sorted(HEADER)
    custom = header[6:10]
    assert [name for name in custom if name in SHEET] == SHEET
    collected = header[18:20]
    assert sorted(collected) == ["=monto_cliente", "fecha_cliente"]
    assert header[20:] == ["Otras variables", "Resumen", "Grabación", "Id del job"]
    jobs = await told(api, full)
    assert len(jobs) == 41
    for job, row in zip(jobs, rows, strict=True):
        # The page of a job in a call says nothing of the call before; the file does.
        known = 18 if job["status"] == "in_progress" else len(header) - 1
        assert row[:known] == blank(expected_contact(job, custom, collected))[:known]
        assert row[-1] == job["job_id"]


async def test_every_call_as_the_jobs_and_the_history_say(api: httpx.AsyncClient, full: str) -> None:
    columns = ["job_id", "attempt", "phone", "result", "counted", "started_utc", "ended_utc", "ended"]
    columns += ["duration_seconds", "billed_seconds", "call_cost", "call_id"]
    params: dict[str, Any] = {"per": "ATTEMPT", "columns": columns}
    _, *rows = cells((await api.get(f"batches/{full}/results.xlsx", params=params)).content)
    expected = [
        [
            job["job_id"],
            record["number"],
            record["phone"],
            render(f"after_{record['status']}"),
            "sí" if record["counted"] else "no",
            record["dialed_at"],
            record["ended_at"],
            wall(record["ended_at"]),
            record["duration_seconds"],
            record["billed_seconds"],
            record["cost"],
            record["call_id"],
        ]
        for job in await told(api, full)
        for record in job["history"]
    ]
    assert [[cell.value for cell in row] for row in rows] == expected
    calls = (await api.get("calls/history", params={"batch_id": full, "limit": 500})).json()
    assert len(calls) == len(rows) > 30
    assert {(call["job_id"], call["attempt"], call["phone"]) for call in calls} == {
        (row[0].value, row[1].value, row[2].value) for row in rows
    }


@pytest.mark.parametrize("per", Per)
async def test_no_cell_of_either_file_is_a_formula(api: httpx.AsyncClient, full: str, per: Per) -> None:
    params = {"per": per.value, "columns": list(ResultColumn)}
    book = cells((await api.get(f"batches/{full}/results.xlsx", params=params)).content)
    assert any(cell.value == FORMULA for row in book for cell in row)
    assert any(cell.value == "=nota" for cell in book[0])
    assert {cell.data_type for row in book for cell in row} <= {"s", "inlineStr", "n", "d"}
    for separator in (";", ","):
        answer = await api.get(f"batches/{full}/results.csv", params={**params, "separator": separator})
        table = lines(answer.content, separator)
        assert len({len(row) for row in table}) == 1
        texts = [text for row in table for text in row]
        assert f"'{FORMULA}" in texts
        assert "'=nota" in table[0]
        assert "'-2+3" in texts
        assert "+56900000001" in texts
        assert all(text[0] not in "=@＝＋－＠\t\r" for text in texts if text)
        assert all(text[1:].replace(",", ".").replace(".", "").isdigit() for text in texts if text[:1] in {"+", "-"})


@pytest.mark.parametrize("per", Per)
async def test_the_csv_says_what_the_workbook_says(api: httpx.AsyncClient, full: str, per: Per) -> None:
    params = {"per": per.value, "columns": list(ResultColumn)}
    book = [
        [cell.value for cell in row]
        for row in cells((await api.get(f"batches/{full}/results.xlsx", params=params)).content)
    ]
    answer = await api.get(f"batches/{full}/results.csv", params=params)
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"

    def as_csv(value: Any) -> str:
        match value:
            case None:
                return ""
            case float():
                return str(Decimal(str(value))).replace(".", ",")
            case datetime():
                return f"{value:%Y-%m-%d %H:%M:%S}"
            case str():
                return harmless(value)
        return str(value)

    assert lines(answer.content) == [[as_csv(value) for value in row] for row in book]


@pytest.mark.parametrize("status", ShownStatus)
async def test_only_contacts_of_a_status(api: httpx.AsyncClient, full: str, status: ShownStatus) -> None:
    params = {"status": status.value, "columns": ["job_id"]}
    _, *rows = lines((await api.get(f"batches/{full}/results.csv", params=params)).content)
    jobs = (await api.get("jobs", params={"batch_id": full, "limit": 500, "status": status.value})).json()
    assert [row[0] for row in rows] == sorted(job["job_id"] for job in jobs) != []


@pytest.mark.parametrize(("language", "separator"), [("es", ";"), ("en", ",")])
async def test_in_the_language_asked_for(api: httpx.AsyncClient, full: str, language: Language, separator: str) -> None:
    answer = await api.get(
        f"batches/{full}/results.csv", params={"columns": ["status", "cost"]}, headers={"Accept-Language": language}
    )
    header, *rows = lines(answer.content, separator)
    assert header == [render("result_status", language), render("result_cost", language)]
    assert {row[0] for row in rows} == {render(f"job_status_{status.value}", language) for status in ShownStatus}
    assert {"es": "2,5", "en": "2.5"}[language] in {row[1] for row in rows}


def today() -> str:
    return f"{datetime.now(UTC).astimezone(ZONE):%Y-%m-%d}"


async def test_the_files_name(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    batch_id = (await api.post("batches", json=batch_body(name="Campaña «Ñuñoa»\r\n; a/b"))).json()["batch_id"]
    days = {today()}
    for suffix, kind in (("xlsx", "spreadsheetml.sheet"), ("csv", "text/csv")):
        for per, name in (("contact", "resultados"), ("attempt", "llamadas")):
            url = f"batches/{batch_id}/results.{suffix}?per={per}"
            for method in ("HEAD", "GET"):
                answer = await api.request(method, url)
                assert answer.status_code == 200
                assert kind in answer.headers["content-type"]
                days.add(today())  # it may be midnight
                named = {f'attachment; filename="{name}_campana_nunoa_a_b_{day}.{suffix}"' for day in days}
                assert answer.headers["content-disposition"] in named
                assert bool(answer.content) is (method == "GET")


async def test_a_batch_without_contacts(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    draft = (await api.post("batches", json=batch_body(contacts=None))).json()
    assert draft["status"] == "draft"
    for per in Per:
        answer = await api.get(f"batches/{draft['batch_id']}/results.xlsx", params={"per": per.value})
        (header,) = cells(answer.content)
        several = {ResultColumn.PHONES, ResultColumn.CUSTOM_FIELDS, ResultColumn.COLLECTED}
        assert len(header) == len(set(USUAL[per]) - several)
        assert len(lines((await api.get(f"batches/{draft['batch_id']}/results.csv?per={per}")).content)) == 1


async def test_not_while_contacts_are_being_written(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    """A part of the list would look like all of it."""
    batches = container.database.collection("batches")
    await batches.update_one({"_id": batch["batch_id"]}, {"$set": {"status": BatchStatus.IMPORTING.value}})
    for suffix in ("xlsx", "csv"):
        problem(await api.get(f"batches/{batch['batch_id']}/results.{suffix}"), 409, "results_while_importing")


async def test_wrong_wishes_are_named(api: httpx.AsyncClient, batch: Batch) -> None:
    for query in ("per=day", "status=done", "columns=row&columns=x", "separator=x"):
        answer = await api.get(f"batches/{batch['batch_id']}/results.csv?{query}")
        assert answer.json()["errors"][0]["loc"][:2] == ["query", query.split("=")[0]], query
        problem(answer, 422, "invalid_input")
    problem(await api.get("batches/batch-x/results.xlsx"), 404, "batch_not_found")
    problem(await api.get("batches/batch-x/results.csv"), 404, "batch_not_found")


async def test_viewers_may_read_and_strangers_find_nothing(api: httpx.AsyncClient, batch: Batch) -> None:
    await api.post("accounts", json={**ACCOUNT, "account_id": "acc-2"})
    for account_id, status in (("acc-chile-001", 200), ("acc-2", 404)):
        key = {"name": "lector", "role": "viewer", "account_ids": [account_id]}
        token = (await api.post("api-keys", json=key)).json()["api_key"]
        async with somebody(api, token) as client:
            for method in ("GET", "HEAD"):
                for suffix in ("xlsx", "csv"):
                    answer = await client.request(method, f"batches/{batch['batch_id']}/results.{suffix}")
                    assert answer.status_code == status


# --- While something happens


class Pages:
    """Stands before MongoResults.page: counts the pages, and may do something at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.at: int | None = None
        self.come, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()
        self.fails = False
        real = MongoResults.page

        async def page(results: MongoResults, *args: Any, **options: Any) -> list[Job]:
            self.asked += 1
            if self.asked == self.at:
                self.come.set()
                await self.go_on.wait()
                if self.fails:
                    raise DatabaseUnavailable
            return await real(results, *args, **options)

        monkeypatch.setattr(MongoResults, "page", page)

    def stop_at(self, page: int) -> None:
        self.at = page
        self.go_on.clear()


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    return Pages(monkeypatch)


@asynccontextmanager
async def served(container: Container) -> AsyncGenerator[httpx.AsyncClient, None]:
    """The API behind real sockets, in this process."""
    app = create_app(make_settings(container.settings.mongodb_uri.get_secret_value()))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        url = f"http://127.0.0.1:{port}/api/v1/"
        try:
            async with httpx.AsyncClient(base_url=url, trust_env=False, headers=CREDENTIALS, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            await serving


async def read_to_the_end(answer: httpx.Response, received: bytearray) -> None:
    async for block in answer.aiter_raw():
        received += block


async def test_an_outage_half_way_breaks_the_connection(full: str, container: Container, pages: Pages) -> None:
    pages.at, pages.fails = 4, True
    async with served(container) as client:
        received = bytearray()
        async with client.stream("GET", f"batches/{full}/results.csv") as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                await read_to_the_end(answer, received)
        assert len(lines(bytes(received))) > 7
        # Nobody got a block of the workbook yet: it is a problem like any other. And the next one is whole.
        pages.asked = 0
        problem(await client.get(f"batches/{full}/results.xlsx"), 503, "database_unavailable")
        assert (await client.get(f"batches/{full}/results.csv")).status_code == 200


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
async def test_a_client_that_goes_away_ends_the_work(
    full: str, container: Container, pages: Pages, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()
    real = Download.stream_response

    async def noticed(download: Download, send: Any) -> None:
        try:
            await real(download, send)
        finally:
            ended.set()

    monkeypatch.setattr(Download, "stream_response", noticed)
    pages.stop_at(4)
    async with served(container) as client:
        asking = asyncio.create_task(client.get(f"batches/{full}/results.{suffix}"))
        await pages.come.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(30):
            await ended.wait()
    assert pages.asked == 4


async def test_the_jobs_are_read_as_they_are_written(
    api: httpx.AsyncClient, full: str, container: Container, pages: Pages
) -> None:
    """The first rows are there before the last are read, so memory does not grow with the batch."""
    _, sheet = await container.results.file(full, Wanted(Per.CONTACT), "es")
    rows = 0
    async for chunk in sheet.chunks:
        rows += len(chunk)
        assert len(chunk) <= 7
        assert pages.asked <= rows // 7 + 1
    assert (rows, pages.asked) == (42, 6)


async def test_jobs_that_move_meanwhile_are_neither_left_out_nor_repeated(
    api: httpx.AsyncClient, full: str, container: Container
) -> None:
    """Between any two pages all jobs change their states, as far as a job can."""
    jobs = container.database.collection("jobs")
    _, sheet = await container.results.file(full, Wanted(Per.CONTACT), "es")
    ids: list[Any] = []
    states = ["completed", "pending", "failed"]
    async for chunk in sheet.chunks:
        ids += [row[-1] for row in chunk]
        states.append(states.pop(0))
        await jobs.update_many({"batch_id": full}, {"$set": {"state": states[0], "waiting_for": "retry"}})
    assert ids[1:] == [f"{full}-{number:06d}" for number in range(1, 42)]


LATE = {"deuda_cliente": "sí, el 5", "fecha_cliente": "lunes", "interna": "7"}


async def collect(container: Container, batch_id: str, number: int) -> None:
    """The last call to a contact is over and has collected LATE; a contact is added."""
    jobs = container.database.collection("jobs")
    job = make_job(job_id=f"{batch_id}-{number:06d}", history=[make_record(call_id="call-late")])
    report = make_report(call_id="call-late", collected_variables=LATE)
    changes = {"history": plain(job.history), "report": plain(report), "attempts": 1}
    await jobs.update_one({"_id": job.job_id}, {"$set": changes})
    late = make_contact(4, custom_fields={"nuevo": "x"})
    new = make_job(job_id=f"{batch_id}-000900", batch_id=batch_id, account_id="acc-chile-001", contact=late)
    await MongoJobs(container.database).insert_many([new])


@pytest.mark.parametrize("per", Per)
async def test_what_is_collected_after_the_header_was_made_is_in_the_last_column(
    full: str, container: Container, per: Per
) -> None:
    _, sheet = await container.results.file(full, Wanted(per), "es")
    rows: list[Any] = []
    async for chunk in sheet.chunks:
        if not rows:
            await collect(container, full, 41)
        rows += chunk
    header = list(rows[0])
    job_id, others, known = (header.index(name) for name in ("Id del job", "Otras variables", "fecha_cliente"))
    assert rows[-1][job_id] == f"{full}-000041", "who came later is in the next file, with columns of his own"
    assert (rows[-1][others], rows[-1][known]) == ('{"deuda_cliente": "sí, el 5"}', "lunes")
    assert {row[others] for row in rows[1:-1]} == {None}
    assert {len(row) for row in rows} == {len(header)}


async def test_where_nobody_was_to_be_called_any_more_nothing_is_left_out_silently(
    full: str, container: Container
) -> None:
    """A column that stays empty in every file of a batch that is over would only be in the way."""
    over = {"$set": {"state": "failed"}, "$unset": {"waiting_for": "", "attempt": ""}}
    await container.database.collection("jobs").update_many({"batch_id": full}, over)
    _, sheet = await container.results.file(full, Wanted(Per.CONTACT), "es")
    header = (await anext(sheet.chunks))[0]
    assert "Otras variables" not in header
    await collect(container, full, 41)
    with pytest.raises(Conflict, match="results_changed_meanwhile"):
        async for _ in sheet.chunks:
            pass
    _, sheet = await container.results.file(full, Wanted(Per.CONTACT), "es")
    assert {"deuda_cliente", "nuevo", "Teléfono 4"} <= set((await anext(sheet.chunks))[0])


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
async def test_a_batch_that_is_deleted_meanwhile_has_no_results(
    full: str, container: Container, pages: Pages, suffix: str
) -> None:
    """Its jobs go one by one; those that are left are not its results."""
    pages.stop_at(3)
    async with served(container) as client:
        asking = asyncio.create_task(client.get(f"batches/{full}/results.{suffix}"))
        await pages.come.wait()
        deleted = {"$set": {"status": "cancelled", "deleted_at": NOW}}
        await container.database.collection("batches").update_one({"_id": full}, deleted)
        pages.go_on.set()
        if suffix == "csv":
            with pytest.raises(httpx.RemoteProtocolError):
                await asking
        else:
            problem(await asking, 404, "batch_not_found")
        problem(await client.get(f"batches/{full}/results.{suffix}"), 404, "batch_not_found")


async def test_who_takes_nothing_keeps_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.downloads.STALLED_SECONDS", 0.05)
    closed = False

    async def blocks() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            while True:
                yield b"x"
        finally:
            closed = True

    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if len(sent) == 3:
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    await Download("x.csv", "text/csv", blocks())({"type": "http"}, receive, send)
    assert closed
    assert sent == ["http.response.start", "http.response.body", "http.response.body"]


async def test_no_room_for_a_workbook_is_told(
    api: httpx.AsyncClient, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    problem(await api.get(f"batches/{batch['batch_id']}/results.xlsx"), 503, "file_not_written")


ONE_AT_A_TIME = ResultFiles(
    workbooks=Workbooks(at_once=1, patience_seconds=0.01), csv=CsvFiles(at_once=1, patience_seconds=0.01)
)


async def test_only_so_many_at_once(container: Container, full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(container.settings)
    async with running(app) as api:
        runtime = app.state.runtime
        runtime.container = replace(runtime.container, result_files=ONE_AT_A_TIME)
        for suffix in ("csv", "xlsx"):
            pages = Pages(monkeypatch)
            pages.stop_at(1)
            asking = asyncio.create_task(api.get(f"batches/{full}/results.{suffix}"))
            await pages.come.wait()
            refused = await api.get(f"batches/{full}/results.{suffix}")
            problem(refused, 429, "too_many_files")
            assert int(refused.headers["retry-after"]) > 0
            pages.go_on.set()
            assert (await asking).status_code == 200
            assert (await api.get(f"batches/{full}/results.{suffix}")).status_code == 200
