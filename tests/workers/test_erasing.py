"""Who asked to be erased is nowhere in the database, and everything that is counted is as it was before."""

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.bootstrap import Container, open_deleting
from app.domain.accounts import Account
from app.domain.batches import Batch, BatchStatus, ScheduleType
from app.domain.contact_list import ListOrder
from app.domain.contacts import Contact
from app.domain.jobs import Job, JobState
from app.domain.person_caps import CapCounts, CapPeriod, PersonCap
from app.domain.privacy import QUIET, CopiesLeft, Erasure, ErasureStatus, ProviderCopy
from app.domain.recurrence import Frequency, RecurrenceRule
from app.repositories.documents import plain
from app.repositories.imports import MongoImports
from app.repositories.jobs import MongoJobs
from app.repositories.overview import MongoOverviews
from app.repositories.uploads import MongoUploads
from app.services.do_not_call import Listing
from app.services.erasing import Asked, Erasing
from tests.builders import make_job, make_record, make_report
from tests.personal import mentions
from tests.profiling import profiled
from tests.samples import Samples
from tests.workers.conftest import (
    Campaigns,
    RunningSimulator,
    closed_hours,
    dies_at,
    has_state,
    has_status,
    numbers,
    until,
)
from tests.workers.outgoing import outgoing_worker, step, subscribed

MOBILE, OTHER = "+56961112233", "+56964445566"
RUT = "12.345.678-5"
DIGITS = ["961112233", "964445566", "123456785", "12345678"]
WORDS = ["sotomayor", "hipoteca", "maria@ejemplo.cl"]
MARIA: dict[str, Any] = {
    "name": "María Sotomayor",
    "phones": [MOBILE, "9 6444 5566"],
    "email": "maria@ejemplo.cl",
    "rut": RUT,
    "deuda": "hipoteca 12",
}
NEIGHBOUR = {"name": "Pedro Vecino", "phones": [MOBILE], "rut": "9.876.543-3"}
"""At the same telephone, but somebody else by his id."""
ANA = {"name": "Ana", "phones": numbers(1, start=50), "deuda": "nada"}
DAILY = RecurrenceRule(frequency=Frequency.DAILY, interval=1)


@dataclass
class World:
    """An account with María wherever a contact can be."""

    campaigns: Campaigns
    account: Account
    called: Batch
    waiting: Batch
    series: Batch

    @property
    def container(self) -> Container:
        return self.campaigns.container

    @property
    def erasing(self) -> Erasing:
        return self.container.privacy.erasing

    async def begin(self, **changes: Any) -> Erasure:
        """By her id and number."""
        wanted = {"phone": MOBILE, "identifier": RUT} | {
            k: changes.pop(k) for k in ("phone", "identifier") if k in changes
        }
        asked = Asked(self.account.account_id, wanted["phone"], wanted["identifier"])
        defaults = {"never_call_again": False, "everybodys_list": True, "user": "ana@empresa.cl"}
        return await self.erasing.begin(asked, **{**defaults, **changes})

    async def look_after_the_quiet(self, erasure: Erasure) -> Erasure:
        """As if nothing had been found for long enough."""
        long_ago = self.container.clock.now() - QUIET - timedelta(seconds=1)
        await self.container.database.collection("erasures").update_one(
            {"_id": erasure.erasure_id}, {"$set": {"finds_at": long_ago, "due_at": long_ago}}
        )
        assert await self.erasing.resume() == 1
        return await self.erasing.get(erasure.erasure_id)

    async def mentions(self) -> list[str]:
        return await mentions(self.container, digits=DIGITS, words=WORDS)

    async def counted(self) -> dict[str, Any]:
        """Every figure that there is of what happened."""
        account_id, container = self.account.account_id, self.container
        past, total = await container.past_calls.page(
            account_ids=[account_id], batch_id=None, start=None, end=None, limit=100, skip=0, after=None
        )
        activity = await container.past_calls.activity(account_id, None, None)
        (view,) = await container.batches.views([await self.campaigns.stored(self.called)])
        return {
            "stats": await container.accounts.stats(account_id),
            "balance": (await container.accounts.balance(account_id)).account.funds,
            "ledger": await container.accounts.transactions(account_id, limit=100, skip=0),
            "calls": [(c.record.model_copy(update={"phone": ""}), c.job_id) for c in past],
            "total": total,
            "activity": activity.slots,
            "progress": view.progress,
        }


@pytest.fixture
async def world(campaigns: Campaigns) -> World:
    """Without the calls and the reading of a file, which take seconds: their documents are written."""
    account = await campaigns.account()
    called = await campaigns.batch(account, [], contacts=[ANA, MARIA], hours=closed_hours(campaigns))
    world = await everywhere(campaigns, account, called)
    for job in await campaigns.jobs(called):
        now = campaigns.container.clock.now()
        record = make_record(
            attempt_id=f"a-{job.job_id}",
            call_id=f"call-{job.job_id}",
            phone=job.contact.phones[0],
            dialed_at=now,
            ended_at=now,
        )
        report = make_report(
            call_id=f"call-{job.job_id}",
            transcript=f"User: soy {job.contact.name}",
            analysis={"call_summary": job.contact.name},
        )
        over = {
            "state": "completed",
            "attempts": 1,
            "finished_at": now,
            "history": [plain(record)],
            "report": plain(report),
        }
        await campaigns.set_job(job, **over)
    uploads = MongoUploads(campaigns.container.database, timedelta(hours=1))
    rows = await uploads.piece(await only_upload_of(world, world.waiting), 0)
    assert rows
    rejected = json.dumps([{"row_number": 9, "cells": ["María Sotomayor", "12.345.678-5", "9 6111", ""], "issues": []}])
    now = campaigns.container.clock.now()
    await uploads.save_rejected(await only_upload_of(world, world.waiting), 0, rejected, now)
    return world


@pytest.fixture
async def lived(campaigns: Campaigns, simulator: RunningSimulator) -> World:
    """With real calls, files and webhooks."""
    container = campaigns.container
    account = await campaigns.account()
    await subscribed(container, account, "http://127.0.0.1:9/hook")
    talk = {"disconnection_reason": "user_hangup", "collected": {"promesa_cliente": "hipoteca 12"}, "user_speaks": True}
    await simulator.script({MOBILE: ["dial_no_answer", talk], OTHER: ["dial_no_answer"]})
    called = await campaigns.batch(account, [], contacts=[ANA, MARIA], script_content="Hola {{nombre}}, {{deuda}}")
    worker = await campaigns.worker()
    async with outgoing_worker(container) as outgoing:
        async with worker.running():
            await until(lambda: has_status(campaigns, called, BatchStatus.COMPLETED))
        await step(outgoing)
    file = f"nombre;rut;telefono;email\nAna;;{ANA['phones'][0]};\nMaría Sotomayor;{RUT};9 6111 2233;\n"
    file += f"María Sotomayor;{RUT};123;maria@ejemplo.cl\n"
    await container.uploads.preview(account.account_id, file.encode(), "lista.csv", ListOrder())
    await quote_number(container, called)
    return await everywhere(campaigns, account, called)


async def everywhere(campaigns: Campaigns, account: Account, called: Batch) -> World:
    """In a batch that waits, in a series and on both do-not-call lists."""
    container = campaigns.container
    waiting = await campaigns.batch(account, [], contacts=[MARIA, ANA], hours=closed_hours(campaigns))
    series = await campaigns.batch(
        account,
        [],
        contacts=[ANA, MARIA],
        schedule_type=ScheduleType.RECURRING,
        recurring=DAILY,
        scheduled_at=container.clock.now() + timedelta(days=30),
    )
    for account_id in (account.account_id, None):
        said, until_then = "María Sotomayor llamó para pedirlo", container.clock.now() + timedelta(days=400)
        await container.do_not_call.add(Listing(account_id, said, until_then, "ana@empresa.cl"), [OTHER])
    return World(campaigns, account, called, waiting, series)


async def only_upload_of(world: World, batch: Batch) -> str:
    (work,), _ = await MongoImports(world.container.database).page(batch.batch_id, limit=2, skip=0)
    return work.upload_id


async def quote_number(container: Container, batch: Batch) -> None:
    """As a provider's refusal does, that quotes what it refuses."""
    reason = {"code": "stopped_by_provider", "params": {"detail": f"400 to_number {MOBILE} is not allowed"}}
    await container.database.collection("batch_logs").insert_one(
        {
            "batch_id": batch.batch_id,
            "timestamp": container.clock.now(),
            "event": "batch_paused",
            "message": reason,
            "user": "system",
        }
    )
    await container.database.collection("jobs").update_one(
        {"_id": f"{batch.batch_id}-000002"}, {"$set": {"timeline.0.reason": reason, "retired_phones": [OTHER]}}
    )
    end = {"attempt_id": "a", "phone": MOBILE, "reason": "dial_failed", "at": container.clock.now()}
    await container.database.collection("from_numbers").insert_one(
        {"_id": "+56225550100", "ends": [end], "revision": 1}
    )


async def test_nothing_says_any_more_who_it_was(lived: World, simulator: RunningSimulator) -> None:
    before, figures = await lived.mentions(), await lived.counted()
    erased = (await scraped(lived.container)).by("what", "cadencia_erased_total")
    places = {place.partition("/")[0] for place in before}
    assert places == {
        *("jobs", "batch_contacts", "upload_chunks", "upload_rejected", "do_not_call"),
        *("webhook_deliveries", "batch_logs", "from_numbers"),
    }
    calls = {call.call_id for call in simulator.simulator.calls.to(MOBILE) + simulator.simulator.calls.to(OTHER)}
    assert calls

    erasure = await lived.begin()
    assert erasure.status is ErasureStatus.WORKING
    assert (erasure.found.jobs, erasure.found.waiting, erasure.found.contacts) == (2, 1, 1)
    # Those of the file, and those of the three batches that came as JSON.
    assert (erasure.found.upload_rows, erasure.found.do_not_call, erasure.found.other_phones) == (2 + 3, 2, 1)
    assert erasure.found.deliveries == 4  # three calls, and the end
    # What is left are the numbers that it works with.
    assert {place.partition("/")[0] for place in await lived.mentions()} == {"erasures"}
    done = await lived.look_after_the_quiet(erasure)
    assert done.status is ErasureStatus.COMPLETED
    assert await lived.mentions() == []

    # The ledger, the figures and every other contact are as they were.
    after = await lived.counted()
    assert after.pop("stats").completed_jobs == figures.pop("stats").completed_jobs
    assert after == figures
    await lived.campaigns.assert_ledger_exact(lived.account)
    ana, maria = await lived.campaigns.jobs(lived.called)
    assert (ana.contact.name, maria.contact.phones) == ("Ana", ["#1", "#2"])
    assert maria.erased_at is not None
    assert maria.state is JobState.COMPLETED
    assert {job.state for job in await lived.campaigns.jobs(lived.waiting)} == {JobState.CANCELLED, JobState.PENDING}

    # And at Retell.
    waiting = await scraped(lived.container)
    assert waiting("cadencia_provider_copies") == len(calls)
    async with deleting(lived) as copies:
        assert await copies.round() == len(calls)
    told = await scraped(lived.container)
    assert (told("cadencia_provider_copies"), told("cadencia_provider_copy_oldest_seconds")) == (0, 0)
    counted = {"persons": 1, "jobs": 2, "contacts": 1, "upload_rows": 5, "deliveries": 4, "provider_copies": len(calls)}
    after_all = told.by("what", "cadencia_erased_total")
    assert {what: after_all[what] - erased.get(what, 0) for what in counted} == counted
    assert all(simulator.simulator.calls.get(call_id) is None for call_id in calls)
    assert await lived.container.privacy.copies.left([erasure.erasure_id]) == {}


async def test_who_is_not_to_be_called_is_not_called_after(world: World) -> None:
    await world.begin()
    check = await world.container.do_not_call.check(world.account.account_id, OTHER)
    assert check.match is not None
    page, total = await world.container.do_not_call.page(account_id=None, phone=OTHER, limit=10, skip=0)
    assert total == len(page) == 2
    assert {entry.phone for entry in page} == {None}
    again = await world.campaigns.batch(world.account, [[OTHER]])
    worker = await world.campaigns.worker()
    async with worker.running():
        await until(lambda: waits_for_person(world, again))


async def waits_for_person(world: World, batch: Batch) -> bool:
    job = await world.campaigns.job(batch)
    return job.reason is not None and job.reason.code == "on_do_not_call_list_until"


async def test_never_again_stands_for_good(world: World) -> None:
    erasure = await world.begin()
    assert (await world.begin(never_call_again=True)).erasure_id == erasure.erasure_id
    await world.look_after_the_quiet(erasure)
    for phone in (MOBILE, OTHER):
        check = await world.container.do_not_call.check(world.account.account_id, phone)
        assert check.match is not None
        assert check.match.until is None


async def test_nobody_is_called_while_a_cap_would_have_counted_the_erased_calls(world: World) -> None:
    cap = PersonCap(counts=CapCounts.ATTEMPTS, max=1, period=CapPeriod.ROLLING, days=7)
    await world.container.accounts.change(world.account.account_id, {"person_caps": [cap]})
    erasure = await world.begin()
    check = await world.container.do_not_call.check(world.account.account_id, MOBILE)
    assert check.match is not None
    assert check.match.until is not None
    last_call = max(record.ended_at for record in (await world.campaigns.jobs(world.called))[1].history)
    assert check.match.until >= last_call + timedelta(days=7)
    assert erasure.found.jobs == 2


async def test_whoever_shares_the_telephone_stays(world: World) -> None:
    batch = await world.campaigns.batch(world.account, [], contacts=[NEIGHBOUR], hours=closed_hours(world.campaigns))
    erasure = await world.begin()
    assert erasure.found.shared == 1
    job = await world.campaigns.job(batch)
    assert (job.contact.name, job.state) == ("Pedro Vecino", JobState.PENDING)
    everybody = await world.begin(identifier=None)
    assert everybody.erasure_id != erasure.erasure_id
    assert (await world.campaigns.job(batch)).contact.name == ""


async def test_a_call_in_progress_is_not_cut_and_erased_when_it_is_over(
    world: World, simulator: RunningSimulator
) -> None:
    phone = "+56967778899"
    await simulator.script({phone: [{"disconnection_reason": "user_hangup", "talk_seconds": 3000}]})
    batch = await world.campaigns.batch(
        world.account, [], contacts=[{**MARIA, "phones": [phone]}], max_call_duration=7200
    )
    worker = await world.campaigns.worker()
    async with worker.running():
        await until(lambda: has_state(world.campaigns, batch, JobState.IN_CALL))
        erasure = await world.begin()
        assert erasure.left == 1
        assert (await world.campaigns.job(batch)).state is JobState.IN_CALL
        waits = await world.look_after_the_quiet(erasure)
        assert waits.status is ErasureStatus.WORKING
        (call,) = simulator.simulator.calls.to(phone)
        simulator.simulator.stop_call(call)
        await until(lambda: has_state(world.campaigns, batch, JobState.CANCELLED, JobState.COMPLETED))
    await world.look_after_the_quiet(erasure)
    assert (await world.look_after_the_quiet(erasure)).status is ErasureStatus.COMPLETED
    assert await mentions(world.container, digits=[*DIGITS, "967778899"], words=WORDS) == []
    assert len(simulator.simulator.calls.to(phone)) == 1


@pytest.mark.parametrize(
    ("of", "method"),
    [
        ("_do_not_call", "add"),
        ("_data", "erase_upload_rows"),
        ("_jobs", "cancel"),
        ("_copies", "add"),
        ("_data", "erase_job"),
        ("_data", "erase_deliveries"),
    ],
)
async def test_killed_anywhere_somebody_else_goes_on(world: World, of: str, method: str) -> None:
    await dies_at(getattr(world.erasing, of), method, world.begin(), after=True)
    (erasure,), _ = await world.container.privacy.erasures.page(account_ids=None, limit=10, skip=0)
    assert erasure.status is ErasureStatus.WORKING
    await world.container.database.collection("erasures").update_one(
        {"_id": erasure.erasure_id}, {"$set": {"lease_until": world.container.clock.now()}}
    )
    await world.look_after_the_quiet(erasure)
    assert (await world.look_after_the_quiet(erasure)).status is ErasureStatus.COMPLETED
    assert await world.mentions() == []
    noted = await world.container.database.collection("provider_copies").count_documents({})
    assert noted == len((await world.campaigns.jobs(world.called))[1].history)
    await world.campaigns.assert_ledger_exact(world.account)


async def test_an_import_that_knew_her_brings_nobody_back(world: World) -> None:
    """The piece was read before the erasure, and is written after it: nobody is called, and the next look finds it."""
    importing = world.container.import_tasks._importing
    real = importing._uploads.piece
    erased: list[Erasure] = []

    async def slow(upload_id: str, number: int) -> Any:
        rows = await real(upload_id, number)
        if not erased:
            erased.append(await world.begin())
            assert erased[0].left == 1
        return rows

    importing._uploads.piece = slow  # type: ignore[method-assign]
    try:
        batch = await world.campaigns.batch(world.account, [], contacts=[MARIA, {"phones": numbers(1, start=90)}])
    finally:
        importing._uploads.piece = real  # type: ignore[method-assign]
    assert "María Sotomayor" in {job.contact.name for job in await world.campaigns.jobs(batch)}
    await world.look_after_the_quiet(erased[0])
    done = await world.look_after_the_quiet(erased[0])
    assert done.status is ErasureStatus.COMPLETED
    assert await world.mentions() == []


async def test_a_list_with_somebody_who_was_erased_has_one_contact_less_to_call(world: World) -> None:
    file = f"nombre;rut;telefono\nMaría Sotomayor;{RUT};{MOBILE}\nAna;;{numbers(1, start=70)[0]}\n"
    preview = await world.container.uploads.preview(world.account.account_id, file.encode(), "l.csv", ListOrder())
    await world.begin()
    batch = await world.campaigns.batch(
        world.account, [], contacts=None, upload_id=preview.upload_id, hours=closed_hours(world.campaigns)
    )
    first, second = await world.campaigns.jobs(batch)
    assert (first.state, first.reason and first.reason.code) == (JobState.CANCELLED, "person_erased")
    assert first.person_keys == []
    assert second.state is JobState.PENDING
    assert (await world.campaigns.stored(batch)).total_jobs == 2
    worker = await world.campaigns.worker()
    await world.container.jobs.cancel(second.job_id, user="ana")
    async with worker.running():
        await until(lambda: has_status(world.campaigns, batch, BatchStatus.COMPLETED))


OPERATOR = "+56910000001"


def spoken_test_call(world: World, **changes: Any) -> Job:
    """To an operator's phone, with what María would hear."""
    contact = {"name": "María Sotomayor", "phones": [OPERATOR], "custom_fields": {"deuda": "hipoteca 12"}}
    defaults = {
        "job_id": "batch-test-000001",
        "batch_id": "batch-test",
        "account_id": world.account.account_id,
        "test_of": world.waiting.batch_id,
        "contact": Contact.model_validate(contact),
        "state": JobState.COMPLETED,
    }
    return make_job(**defaults | changes)


@pytest.mark.parametrize("speaks_of", [None, [MOBILE, "id:123456785"]])
async def test_a_test_call_that_spoke_of_her_to_somebody_else_is_erased_first(
    world: World, speaks_of: list[str] | None
) -> None:
    """One of a release that did not note of whom, and one of today."""
    test = spoken_test_call(world, state=JobState.IN_CALL, speaks_of=speaks_of)
    await MongoJobs(world.container.database).insert_many([test])
    erasure = await world.begin()
    assert erasure.found.test_calls == (0 if speaks_of is None else 1)
    assert erasure.left > 0
    assert (await world.campaigns.jobs(world.waiting))[0].state is JobState.CANCELLED
    await world.campaigns.set_job(test, state=JobState.COMPLETED.value)
    await world.look_after_the_quiet(erasure)
    assert (await world.look_after_the_quiet(erasure)).status is ErasureStatus.COMPLETED
    assert await world.mentions() == []


async def test_a_test_call_that_was_just_being_made_is_found_after_her_name_is_gone(world: World) -> None:
    """It says nothing but her values, and is written after everything else of her was erased."""
    nameless = Contact.model_validate({"name": "", "phones": [OPERATOR], "custom_fields": {"deuda": "hipoteca 12"}})
    mine = Contact.model_validate({"name": "María Sotomayor", "phones": [OPERATOR], "custom_fields": {}})
    erasure = await world.begin()
    hers = spoken_test_call(world, contact=nameless, speaks_of=[MOBILE, "id:123456785"])
    namesakes = spoken_test_call(
        world, job_id="batch-test2-000001", batch_id="batch-test2", contact=mine, speaks_of=["+56900000002"]
    )
    await MongoJobs(world.container.database).insert_many([hers, namesakes])
    await world.look_after_the_quiet(erasure)
    assert (await world.look_after_the_quiet(erasure)).status is ErasureStatus.COMPLETED
    left = await world.mentions()
    assert left
    assert all(place.startswith("jobs/batch-test2-000001/") for place in left)


async def test_an_export_has_what_test_calls_said_of_the_person_and_nothing_of_others(world: World) -> None:
    hers = spoken_test_call(world, speaks_of=[MOBILE, "id:123456785"])
    await MongoJobs(world.container.database).insert_many([hers])
    exported = await exported_of(world, MOBILE, RUT)
    (call,) = exported["test_calls"]
    assert (call["name"], call["custom_fields"]) == ("María Sotomayor", {"deuda": "hipoteca 12"})
    assert OPERATOR not in json.dumps(exported)
    # The operator has been called, and has no right to what was said of María.
    operators = await exported_of(world, OPERATOR, None)
    (job,) = operators["jobs"]
    assert job["contact"]["phones"] == [OPERATOR]
    assert operators["test_calls"] == []
    said = json.dumps(operators, ensure_ascii=False)
    assert not any(secret in said for secret in ("María", "hipoteca", MOBILE, "123456785"))


async def exported_of(world: World, phone: str | None, identifier: str | None) -> dict[str, Any]:
    _, blocks = await world.container.privacy.export.file(Asked(world.account.account_id, phone, identifier))
    exported: dict[str, Any] = json.loads(b"".join([block async for block in blocks]))
    return exported


async def test_what_retell_learns_late_is_not_taken_in(world: World) -> None:
    from app.repositories.call_hints import MongoCallHints

    before = (await world.campaigns.jobs(world.called))[1].report
    assert before is not None
    assert before.transcript
    await world.begin()
    late = before.model_copy(update={"transcript": "User: soy María Sotomayor"})
    job_id = f"{world.called.batch_id}-000002"
    assert not await MongoCallHints(world.container.database).add_details(job_id, late)
    assert [place for place in await world.mentions() if place.startswith("jobs")] == []


async def test_asked_twice_at_once_it_is_one(world: World) -> None:
    first, again = await world.begin(), await world.begin()
    assert first.erasure_id == again.erasure_id
    done = await world.look_after_the_quiet(first)
    assert done.status is ErasureStatus.COMPLETED
    later = await world.begin()
    assert later.erasure_id != first.erasure_id
    assert later.found.jobs == 0


async def test_a_preview_changes_nothing(world: World) -> None:
    before = await world.mentions()
    preview = await world.erasing.preview(Asked(world.account.account_id, None, RUT), everybodys_list=False)
    assert (preview.found.jobs, preview.found.other_phones, preview.everybodys) == (2, 2, 1)
    assert await world.mentions() == before


async def test_everybodys_list_is_not_for_one_account(world: World) -> None:
    await world.begin(everybodys_list=False)
    left = [place for place in await world.mentions() if place.startswith("do_not_call")]
    assert left
    assert all("/key" in place or "/reason" in place for place in left)
    assert await world.container.database.collection("do_not_call").count_documents({"key": OTHER}) == 1


async def test_retell_that_is_away_is_asked_again(world: World) -> None:
    erasure = await world.begin()
    copies = world.container.database.collection("provider_copies")
    count = await copies.count_documents({})
    failures = (await scraped(world.container)).by("step", "cadencia_erasing_failures_total")
    async with open_deleting(world.container) as away:  # its settings lead to a closed port
        assert await away.round() == 0
    failed = (await scraped(world.container)).by("step", "cadencia_erasing_failures_total")
    assert failed == failures | {"provider": failures.get("provider", 0) + 1}
    assert await world.container.privacy.copies.left([erasure.erasure_id]) == {erasure.erasure_id: CopiesLeft(count)}
    assert await copies.count_documents({"tries": 1, "due_at": {"$gt": world.container.clock.now()}}) == 1
    await copies.update_many({}, {"$set": {"due_at": world.container.clock.now()}})
    async with deleting(world) as there:
        assert await there.round() == count


async def test_a_call_that_may_lie_in_another_workspace_is_not_taken_for_deleted(
    world: World, simulator: RunningSimulator
) -> None:
    """The simulator knows none of these calls, as Retell under the key of another workspace."""
    copies = world.container.database.collection("provider_copies")
    jobs = world.container.database.collection("jobs")
    hers = {"_id": f"{world.called.batch_id}-000002"}
    await jobs.update_one(hers, {"$set": {"history.0.key_mark": "another-key"}})
    erasure = await world.begin()
    (copy,) = await copies.find({}).to_list()
    assert copy["key_mark"] == "another-key"
    async with deleting(world) as deletes:
        assert await deletes.round() == 0
        (left,) = (await world.container.privacy.copies.left([erasure.erasure_id])).values()
        assert left == CopiesLeft(1, 1)
        told = await scraped(world.container)
        assert (told("cadencia_provider_copies"), told("cadencia_provider_copies_elsewhere")) == (1, 1)
        assert told("cadencia_provider_copy_oldest_seconds") == 0
        # It is asked again; and a call made with that key is found: they are of one workspace.
        answered = await a_call(world, simulator)
        found = ProviderCopy(
            call_id=answered, account_id=world.account.account_id, key_mark="another-key", due_at=long_ago(world)
        )
        await world.container.privacy.copies.add([found])
        await copies.update_many({"elsewhere": True}, {"$set": {"due_at": world.container.clock.now()}})
        assert await deletes.round() == 2
    assert await copies.count_documents({}) == 0


async def test_a_call_made_with_the_present_key_that_is_unknown_is_gone(world: World) -> None:
    async with deleting(world) as deletes:
        mark = deletes._provider.key_mark
        await world.container.database.collection("jobs").update_many(
            {"history.0": {"$exists": True}}, {"$set": {"history.0.key_mark": mark}}
        )
        await world.begin()
        assert await deletes.round() == 1


def long_ago(world: World) -> Any:
    return world.container.clock.now() - timedelta(days=1)


async def a_call(world: World, simulator: RunningSimulator) -> str:
    """That Retell knows, and that is over."""
    phone = numbers(1, start=400)[0]
    await simulator.script({phone: ["dial_no_answer"]})
    batch = await world.campaigns.batch(world.account, [[phone]], retry_delay_hours=24)
    worker = await world.campaigns.worker()

    async def is_over() -> bool:
        return bool((await world.campaigns.job(batch)).history)

    async with worker.running():
        await until(is_over)
    (record,) = (await world.campaigns.job(batch)).history
    assert record.call_id
    assert record.key_mark
    return record.call_id


async def test_everything_that_is_stored_is_exported(world: World) -> None:
    asked = Asked(world.account.account_id, MOBILE, RUT)
    stored = await world.mentions()
    name, blocks = await world.container.privacy.export.file(asked)
    text = b"".join([block async for block in blocks])
    exported = json.loads(text)
    assert name.endswith(".json")
    assert [len(exported[part]) for part in ("jobs", "series_contacts", "upload_rows", "rejected_rows")] == [2, 1, 3, 1]
    assert [len(exported[part]) for part in ("webhook_deliveries", "do_not_call", "audit_log")] == [0, 2, 0]
    assert exported["jobs"][0]["report"]["transcript"]
    assert Decimal(exported["jobs"][0]["history"][0]["cost"]) >= 0
    assert "Ana" not in {job["contact"]["name"] for job in exported["jobs"]}
    # Whatever place there is that says something of her is one of these, or says it of our own numbers.
    assert len(stored) > 0
    none = Asked(world.account.account_id, "+56911111111", None)
    empty = json.loads(b"".join([block async for block in (await world.container.privacy.export.file(none)).blocks]))
    assert empty["jobs"] == empty["audit_log"] == []


async def test_how_long_ago_somebody_asked_is_seen(world: World) -> None:
    assert (await scraped(world.container))("cadencia_erasure_oldest_seconds") == 0
    erasure = await world.begin()
    day_ago = world.container.clock.now() - timedelta(days=1)
    for name, field in (("erasures", "requested_at"), ("provider_copies", "noted_at")):
        assert (
            await world.container.database.collection(name).update_many({}, {"$set": {field: day_ago}})
        ).matched_count
    async with profiled(world.container.database) as operations:
        told = await scraped(world.container)
    asked = [operation for operation in operations if operation.collection in {"erasures", "provider_copies"}]
    assert len(asked) == 4
    assert all(operation.fits for operation in asked)
    assert told("cadencia_erasures_open") == 1
    for series in ("cadencia_erasure_oldest_seconds", "cadencia_provider_copy_oldest_seconds"):
        assert 86_400 <= told(series) < 90_000
    await world.look_after_the_quiet(erasure)
    assert (await scraped(world.container))("cadencia_erasures_open") == 0


async def scraped(container: Container) -> Samples:
    now = container.clock.now()
    container.metrics.show(await MongoOverviews(container.database).look(now), now)
    return Samples(container.metrics.render())


def deleting(world: World) -> Any:
    """With the settings that lead to the simulator."""
    from dataclasses import replace

    url = world.campaigns._simulator_url
    settings = world.container.settings.model_copy(update={"retell_base_url": url})
    return open_deleting(replace(world.container, settings=settings))
