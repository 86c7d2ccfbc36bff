"""POST /batches/{id}/upload, long imports and their progress, and undoing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.config import Settings
from app.domain.batches import Batch
from app.domain.imports import Import
from app.main import create_app
from app.services.importing import Importing
from tests.api.conftest import ACCOUNT, batch_body, let_in, problem, running
from tests.workers.conftest import until

LIST = b"nombre,telefono,monto\nAna,+56912340001,5\nLuis,+56912340002,6\nEva,no tiene,7\nLuis,+56912340002,8\n"


async def upload(
    api: httpx.AsyncClient, batch_id: str, content: bytes = LIST, key: str | None = None, **fields: str
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    files = {"file": ("lista.csv", content)}
    return await api.post(f"batches/{batch_id}/upload", files=files, data=fields, headers=headers)


async def draft(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await api.post("batches", json=batch_body(contacts=None, **changes))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert body["status"] == "draft"
    return body


async def test_a_draft_starts_with_the_list_that_is_uploaded(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    batch_id = (await draft(api))["batch_id"]
    answer = await upload(api, batch_id)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    expected = {
        "success": True,
        "batch_id": batch_id,
        "status": "completed",
        "filename": "lista.csv",
        "contacts_planned": 3,
        "contacts_added": 2,
        "duplicates_skipped": 1,
        "total_rows": 4,
        "valid_rows": 3,
        "invalid_rows": 1,
        "percent": 100.0,
        "jobs_removed": None,
        "user": "api",
    }
    assert {name: body[name] for name in expected} == expected
    assert [row["rowIndex"] for row in body["errors"]] == [4]
    assert (await api.get(body["errors_url"].removeprefix("/api/v1/"))).status_code == 200
    batch = (await api.get(f"batches/{batch_id}")).json()
    assert (batch["status"], batch["total_jobs"], batch["pending_jobs"], batch["import"]) == ("running", 2, 2, None)
    read = await api.get(answer.headers["Location"].removeprefix("/api/v1/"))
    assert read.json() == (await api.get(f"batches/{batch_id}/imports")).json()[0]
    assert read.json()["import_id"] == body["import_id"]


async def test_duplicates_are_added_if_that_is_wanted(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    await upload(api, batch["batch_id"])
    again = (await upload(api, batch["batch_id"])).json()
    assert (again["contacts_added"], again["duplicates_skipped"]) == (0, 3)
    wanted = (await upload(api, batch["batch_id"], allow_duplicates="true")).json()
    assert (wanted["contacts_added"], wanted["duplicates_skipped"]) == (3, 0)
    assert (await api.get(f"batches/{batch['batch_id']}")).json()["total_jobs"] == 1 + 2 + 3


async def test_one_key_adds_once(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    first = await upload(api, batch["batch_id"], key="lunes", allow_duplicates="true")
    again = await upload(api, batch["batch_id"], key="lunes", allow_duplicates="true")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (await api.get(f"batches/{batch['batch_id']}")).json()["total_jobs"] == 4
    for other in (
        await upload(api, batch["batch_id"], key="lunes"),
        await upload(api, batch["batch_id"], LIST + b"Leo,+56912340009,1\n", key="lunes", allow_duplicates="true"),
    ):
        problem(other, 409, "idempotency_key_reused")


async def test_a_list_without_anybody_to_call_is_refused_row_by_row(
    api: httpx.AsyncClient, batch: dict[str, Any]
) -> None:
    refused = await upload(api, batch["batch_id"], b"nombre,telefono\nEva,12\nLeo,13\n")
    errors = problem(refused, 422, "invalid_input")["errors"]
    assert errors[0]["loc"] == ["file"]
    assert [error["loc"][:2] for error in errors[1:]] == [["file", 2], ["file", 3]]


async def test_variables_that_contacts_lack_are_refused_unless_allowed(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    batch_id = (await draft(api, script_content="{{nombre}} debe {{deuda}}"))["batch_id"]
    errors = problem(await upload(api, batch_id), 422, "invalid_input")["errors"]
    assert {error["loc"][0] for error in errors} == {"script_content"}
    assert (await api.get(f"batches/{batch_id}")).json()["status"] == "draft"
    assert (await upload(api, batch_id, allow_missing_variables="true")).status_code == 201


async def test_a_cancelled_batch_takes_no_contacts(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    await api.post(f"batches/{batch['batch_id']}/cancel")
    problem(await upload(api, batch["batch_id"]), 409, "batch_not_changeable")
    problem(await upload(api, "batch-none"), 404, "batch_not_found")


async def test_an_import_is_undone(api: httpx.AsyncClient, batch: dict[str, Any]) -> None:
    path = f"batches/{batch['batch_id']}/imports"
    added = (await upload(api, batch["batch_id"])).json()
    undone = await api.delete(f"{path}/{added['import_id']}")
    assert undone.status_code == 200, undone.text
    body = undone.json()
    assert (body["status"], body["jobs_removed"], body["jobs_kept"], body["undone_by"]) == ("undone", 2, 0, "api")
    assert (await api.delete(f"{path}/{added['import_id']}")).json() == body
    (first,) = [work for work in (await api.get(path)).json() if work["import_id"] != added["import_id"]]
    assert (first["contacts_added"], first["filename"]) == (1, "")
    emptied = (await api.delete(f"{path}/{first['import_id']}")).json()
    assert emptied["jobs_removed"] == 1
    assert (await api.get(f"batches/{batch['batch_id']}")).json()["status"] == "draft"
    problem(await api.delete(f"{path}/import-none"), 404, "import_not_found")
    other = (await api.post("batches", json=batch_body())).json()
    problem(await api.get(f"batches/{other['batch_id']}/imports/{first['import_id']}"), 404, "import_not_found")


async def test_who_was_skipped_for_an_import_that_is_undone_is_told_and_can_be_added(
    api: httpx.AsyncClient, batch: dict[str, Any]
) -> None:
    path = f"batches/{batch['batch_id']}"
    first = (await upload(api, batch["batch_id"])).json()
    again = (await upload(api, batch["batch_id"], LIST + b"Leo,+56912340009,1\n")).json()
    skipped = {"batch_id": batch["batch_id"], "import_id": first["import_id"], "rows": 3, "first_rows": [2, 3, 5]}
    assert (again["skipped_for"], again["skipped_by"]) == ([skipped], [])
    # The same rows of a list for another batch, which were compared with the batches that are active.
    form = {"account_id": "acc-chile-001"}
    files = {"file": ("otra.csv", LIST + b"Ema,+56912340010,1\n")}
    other = (await api.post("batches/excel/create", data=form, files=files)).json()
    assert (other["jobs_created"], other["duplicates_skipped"]) == (1, 3)

    undone = (await api.delete(f"{path}/imports/{first['import_id']}")).json()

    told = [(later["batch_id"], later["filename"], later["rows"]) for later in undone["skipped_by"]]
    assert told == [(batch["batch_id"], "lista.csv", 3), (other["batch_id"], "otra.csv", 2)]
    assert undone["skipped_by"][0]["first_rows"] == [2, 3, 5]
    listed = (await api.get(f"{path}/imports")).json()
    assert undone in listed
    for batch_id, added in ((batch["batch_id"], 2), (other["batch_id"], 2)):
        (entry,) = [
            entry
            for entry in (await api.get(f"batches/{batch_id}/logs")).json()["logs"]
            if entry["event"] == "left_out_for_undone"
        ]
        assert "2, 3" in entry["message"]
        mended = (await upload(api, batch_id, LIST)).json()
        assert (mended["contacts_added"], mended["duplicates_skipped"]) == (added, 1)


async def test_a_job_of_an_import_that_was_undone_is_not_retried(
    api: httpx.AsyncClient, batch: dict[str, Any], container: Container
) -> None:
    """It would be refused when it is to be dialed; whoever asks is told so at once."""
    path = f"batches/{batch['batch_id']}/imports"
    (work,) = (await api.get(path)).json()
    (job,) = (await api.get("jobs", params={"batch_id": batch["batch_id"]})).json()
    jobs = container.database.collection("jobs")
    await jobs.update_one({"_id": job["job_id"]}, {"$set": {"state": "failed", "attempts": 1}})
    assert (await api.delete(f"{path}/{work['import_id']}")).json()["jobs_kept"] == 1
    problem(await api.put(f"jobs/{job['job_id']}/retry"), 409, "import_was_undone")
    assert (await api.get(f"jobs/{job['job_id']}")).json()["status"] == "failed"


# Long ones --------------------------------------------------------------------------------------------------------


class LongImports:
    """An API that waits for no import, and whose imports wait for a sign before their second chunk."""

    def __init__(self, api: httpx.AsyncClient, container: Container) -> None:
        self.api = api
        self.goes_on = asyncio.Event()
        jobs = container.import_tasks._importing._jobs
        real, calls = jobs.insert_contacts, 0

        async def held_up(*args: Any) -> None:
            nonlocal calls
            calls += 1
            if calls > 1:
                await self.goes_on.wait()
            await real(*args)

        jobs.insert_contacts = held_up  # type: ignore[method-assign, assignment] # so that what is seen meanwhile is certain

    async def status_is(self, batch_id: str, status: str) -> None:
        async def it_is() -> bool:
            return bool((await self.api.get(f"batches/{batch_id}")).json()["status"] == status)

        await until(it_is, 30)


@pytest.fixture
async def long_imports(container: Container, settings: Settings) -> AsyncIterator[LongImports]:
    app = create_app(settings.model_copy(update={"import_waited_for_contacts": 0}))
    async with running(app) as api:
        await let_in(container)
        assert (await api.post("accounts", json=ACCOUNT)).status_code == 201
        long = LongImports(api, app.state.runtime.container)
        yield long
        long.goes_on.set()


def people(count: int) -> list[dict[str, Any]]:
    return [{"name": f"C{n}", "phones": [f"+569123{n:05d}"]} for n in range(count)]


async def test_a_long_import_goes_on_after_the_answer_and_shows_how_far_it_is(long_imports: LongImports) -> None:
    api = long_imports.api
    body = batch_body(contacts=people(1500))
    created = await api.post("batches", json=body, headers={"Idempotency-Key": "k"})
    assert created.status_code == 201, created.text
    batch = created.json()
    path = f"batches/{batch['batch_id']}/status"
    assert (batch["status"], batch["total_jobs"], batch["import"]["total"]) == ("importing", 1500, 1500)
    assert batch["blocked_by"]["code"] == "batch_is_importing"
    before = await api.get(path)
    assert (before.json()["import"]["written"], before.json()["import"]["percent"]) == (0, 0)
    assert (await api.get(path, headers={"If-None-Match": before.headers["ETag"]})).status_code == 304
    again = await api.post("batches", json=body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["batch_id"]) == (201, batch["batch_id"])
    problem(await upload(api, batch["batch_id"]), 409, "import_in_progress")
    problem(await api.patch(f"batches/{batch['batch_id']}", json={"is_active": False}), 409, "batch_not_changeable")

    long_imports.goes_on.set()
    await long_imports.status_is(batch["batch_id"], "running")
    after = await api.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert (after.json()["import"], after.json()["pending_jobs"], after.json()["total_jobs"]) == (None, 1500, 1500)
    (work,) = (await api.get(f"batches/{batch['batch_id']}/imports")).json()
    assert (work["status"], work["contacts_added"]) == ("completed", 1500)


async def test_its_progress_changes_the_tag(long_imports: LongImports, container: Container) -> None:
    api = long_imports.api
    batch = (await api.post("batches", json=batch_body(contacts=people(300)))).json()
    path = f"batches/{batch['batch_id']}/status"
    tag = (await api.get(path)).headers["ETag"]
    changes = {"current_import.handled": 150, "current_import.written": 150}
    await container.database.collection("batches").update_one({"_id": batch["batch_id"]}, {"$set": changes})
    news = await api.get(path, headers={"If-None-Match": tag})
    assert (news.status_code, news.json()["import"]["percent"], news.json()["pending_jobs"]) == (200, 50, 150)


async def test_a_batch_can_be_cancelled_while_it_is_imported(long_imports: LongImports) -> None:
    api = long_imports.api
    batch = (await api.post("batches", json=batch_body(contacts=people(1500)))).json()
    assert (await api.post(f"batches/{batch['batch_id']}/cancel")).json()["status"] == "cancelled"
    long_imports.goes_on.set()

    async def is_over() -> bool:
        return (await api.get(f"batches/{batch['batch_id']}")).json()["import"] is None

    await until(is_over, 30)
    after = (await api.get(f"batches/{batch['batch_id']}")).json()
    assert after["pending_jobs"] == 0
    assert after["total_jobs"] == after["cancelled_jobs"] < 1500


async def test_an_import_that_is_under_way_is_undone(long_imports: LongImports) -> None:
    api = long_imports.api
    batch_id = (await draft(api, script_content=""))["batch_id"]
    content = b"telefono\n" + b"".join(b"+569123%05d\n" % n for n in range(600))
    added = (await upload(api, batch_id, content)).json()
    assert (added["status"], added["contacts_planned"]) == ("importing", 600)
    undone = (await api.delete(f"batches/{batch_id}/imports/{added['import_id']}")).json()
    assert undone["status"] == "undoing"
    await long_imports.status_is(batch_id, "draft")
    long_imports.goes_on.set()

    async def nothing_is_left() -> bool:
        return bool((await api.get("jobs", params={"batch_id": batch_id})).json() == [])

    await until(nothing_is_left, 30)
    assert (await api.get(f"batches/{batch_id}")).json()["total_jobs"] == 0


async def test_an_api_that_is_stopped_hands_its_imports_over(
    container: Container, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings.model_copy(update={"import_waited_for_contacts": 0}))
    write_piece = Importing._write_piece

    async def after_which_it_stops(self: Importing, batch: Batch, work: Import) -> Batch | None:
        noted = await write_piece(self, batch, work)
        await app.state.runtime.container.import_tasks._stopping.wait()
        return noted

    monkeypatch.setattr(Importing, "_write_piece", after_which_it_stops)
    async with running(app) as api:
        await let_in(container)
        await api.post("accounts", json=ACCOUNT)
        batch = (await api.post("batches", json=batch_body(contacts=people(1500)))).json()
    left = await container.database.collection("batches").find_one({"_id": batch["batch_id"]})
    assert left is not None
    assert left["current_import"]["lease_until"] <= container.clock.now()
    await container.import_tasks._importing.resume_expired(lambda: False)
    jobs = await container.database.collection("jobs").count_documents({"batch_id": batch["batch_id"]})
    assert ((await container.batches.get(batch["batch_id"])).status.value, jobs) == ("running", 1500)
