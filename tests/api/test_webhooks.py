"""POST /webhooks/retell: who may, what becomes of it, and what is answered so that Retell does not ask for ever."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.bootstrap import Container
from app.config import Settings
from app.domain.jobs import JobState
from app.main import create_app
from app.repositories.documents import from_document, plain, to_document
from scripts.retell_simulator.signature import sign
from tests.api.conftest import problem, running
from tests.builders import make_attempt, make_job, make_report

KEY = "key_test"
PATH = "webhooks/retell"


def now_ms(container: Container) -> int:
    return round(container.clock.now().timestamp() * 1000)


def event_of(**changes: Any) -> dict[str, Any]:
    call = {
        "call_id": "call-1",
        "call_status": "ended",
        "metadata": {"job_id": "job-1", "attempt_id": "attempt-1"},
        "transcript": "Agent: ¿Aló?\nUser: sí",
    }
    return {"event": changes.pop("event", "call_ended"), "call": call | changes}


async def send(
    api: httpx.AsyncClient, container: Container, payload: Any, *, key: str = KEY, age: timedelta = timedelta()
) -> httpx.Response:
    body = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    signature = sign(key, body, now_ms(container) - round(age.total_seconds() * 1000))
    headers = {"X-Retell-Signature": signature, "Content-Type": "application/json"}
    return await api.post(PATH, content=body, headers=headers)


async def have_job(container: Container, **changes: Any) -> dict[str, Any]:
    """A job in a call, stored; its document."""
    held = {
        "state": JobState.IN_CALL,
        "worker_id": "w",
        "slot": 0,
        "fence": 3,
        "lease_until": container.clock.now() + timedelta(minutes=1),
        "attempt_id": "attempt-1",
        "attempt": make_attempt(call_id="call-1"),
    }
    document = to_document(make_job(**held | changes))
    document = {key: value for key, value in document.items() if value is not None}
    await container.database.collection("jobs").insert_one(document)
    return await job_document(container)


async def job_document(container: Container) -> dict[str, Any]:
    return dict(await container.database.collection("jobs").find_one({"_id": "job-1"}) or {})


# Who may -----------------------------------------------------------------------------------------------------------


async def test_a_signed_event_is_stored_as_a_hint_and_moves_nothing(
    api: httpx.AsyncClient, container: Container
) -> None:
    before = await have_job(container)

    answer = await send(api, container, event_of())

    assert (answer.status_code, answer.content) == (204, b"")
    after = await job_document(container)
    assert after.pop("heard_at") is not None
    assert after.pop("heard_call_ids") == ["call-1"]
    before.pop("heard_call_ids")
    assert after == before


@pytest.mark.parametrize(
    "wrong", [{"key": "key_tesT"}, {"age": timedelta(seconds=302)}, {"age": timedelta(seconds=-302)}]
)
async def test_what_is_not_signed_rightly_is_refused_and_changes_nothing(
    api: httpx.AsyncClient, container: Container, wrong: dict[str, Any]
) -> None:
    before = await have_job(container)
    with capture_logs() as log:
        problem(await send(api, container, event_of(), **wrong), 401, "webhook_signature_invalid")
    assert [entry["reason"] for entry in log if entry["event"] == "webhook_refused"] == ["webhook_signature_invalid"]
    assert await job_document(container) == before


async def test_a_body_that_was_changed_on_the_way_is_refused(api: httpx.AsyncClient, container: Container) -> None:
    body = json.dumps(event_of(), ensure_ascii=False).encode()
    headers = {"X-Retell-Signature": sign(KEY, body, now_ms(container))}
    changed = body.replace("¿Aló?".encode(), "¿Alo?".encode())
    problem(await api.post(PATH, content=changed, headers=headers), 401, "webhook_signature_invalid")


async def test_the_signature_is_all_that_is_asked_for(api: httpx.AsyncClient, container: Container) -> None:
    body = json.dumps(event_of()).encode()
    request = api.build_request("POST", PATH, content=body)
    for header in ("authorization", "x-api-key"):
        request.headers.pop(header, None)
    request.headers["X-Retell-Signature"] = sign(KEY, body, now_ms(container))
    assert (await api.send(request)).status_code == 204


async def test_without_a_signature_it_is_refused(api: httpx.AsyncClient) -> None:
    problem(await api.post(PATH, json=event_of()), 401, "webhook_signature_invalid")


async def test_a_key_of_its_own_goes_before_the_api_key(container: Container, settings: Settings) -> None:
    own = Settings.model_validate({**settings.model_dump(), "retell_webhook_key": "key_webhook"})
    async with running(create_app(own)) as api:
        assert (await send(api, container, event_of(), key="key_webhook")).status_code == 204
        problem(await send(api, container, event_of()), 401, "webhook_signature_invalid")


async def test_a_server_without_any_key_says_so(container: Container, settings: Settings) -> None:
    keyless = Settings.model_validate({**settings.model_dump(), "retell_api_key": ""})
    async with running(create_app(keyless)) as api:
        problem(await send(api, container, event_of(), key=""), 503, "webhook_key_missing")


async def test_a_body_beyond_all_measure_is_not_read(api: httpx.AsyncClient) -> None:
    problem(await api.post(PATH, content=b" " * (17 * 1024**2)), 413, "body_too_large")


# What becomes of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["dialing", "in_call", "verifying", "uncertain", "settling"])
async def test_an_attempt_is_heard_of_in_every_state(api: httpx.AsyncClient, container: Container, state: str) -> None:
    await have_job(container, state=JobState(state))
    assert (await send(api, container, event_of())).status_code == 204
    assert (await job_document(container))["heard_call_ids"] == ["call-1"]
    assert (await job_document(container))["state"] == state


async def test_events_twice_and_in_any_order_say_the_same(api: httpx.AsyncClient, container: Container) -> None:
    await have_job(container)
    for name in ("call_analyzed", "call_ended", "call_ended", "call_started"):
        assert (await send(api, container, event_of(event=name))).status_code == 204
    assert (await job_document(container))["heard_call_ids"] == ["call-1"]


async def test_that_a_call_goes_on_which_its_holder_follows_wakes_nobody(
    api: httpx.AsyncClient, container: Container
) -> None:
    before = await have_job(container)
    with capture_logs() as log:
        assert (await send(api, container, event_of(event="call_started", call_status="ongoing"))).status_code == 204
    assert [entry["found"] for entry in log if entry["event"] == "webhook"] == ["nothing_new"]
    assert await job_document(container) == before


@pytest.mark.parametrize("state", ["dialing", "verifying", "uncertain"])
async def test_that_a_call_goes_on_whose_answer_was_lost_is_heard_at_once(
    api: httpx.AsyncClient, container: Container, state: str
) -> None:
    await have_job(container, state=JobState(state), attempt=make_attempt(call_id=None))
    await send(api, container, event_of(event="call_started", call_status="ongoing"))
    heard = await job_document(container)
    assert heard["heard_call_ids"] == ["call-1"]
    assert heard["heard_at"] is not None


async def test_that_another_call_of_the_attempt_goes_on_is_heard_at_once(
    api: httpx.AsyncClient, container: Container
) -> None:
    await have_job(container)
    await send(api, container, event_of(event="call_started", call_status="ongoing", call_id="call-2"))
    heard = await job_document(container)
    assert heard["heard_call_ids"] == ["call-2"]
    assert heard["heard_at"] is not None


async def test_a_second_call_of_an_attempt_is_kept_beside_the_first(
    api: httpx.AsyncClient, container: Container
) -> None:
    await have_job(container)
    await send(api, container, event_of())
    await send(api, container, event_of(call_id="call-2"))
    assert (await job_document(container))["heard_call_ids"] == ["call-1", "call-2"]


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"order": 7},
        {"job_id": "job-1", "attempt_id": "attempt-0"},
        {"job_id": "job-9", "attempt_id": "attempt-1"},
        {"job_id": "job-1"},
    ],
)
async def test_what_concerns_no_attempt_of_ours_is_accepted_and_changes_nothing(
    api: httpx.AsyncClient, container: Container, metadata: Any
) -> None:
    before = await have_job(container)
    assert (await send(api, container, event_of(metadata=metadata))).status_code == 204
    assert await job_document(container) == before


async def test_a_leased_job_has_no_attempt_to_hear_of(api: httpx.AsyncClient, container: Container) -> None:
    before = await have_job(container, state=JobState.LEASED, attempt=None)
    assert (await send(api, container, event_of())).status_code == 204
    assert await job_document(container) == before


@pytest.mark.parametrize("name", ["transcript_updated", "transfer_started", "brand_new"])
async def test_an_unknown_event_is_ignored(api: httpx.AsyncClient, container: Container, name: str) -> None:
    before = await have_job(container)
    assert (await send(api, container, event_of(event=name))).status_code == 204
    assert await job_document(container) == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"event": "call_ended"}', b"\xff"])
async def test_what_is_signed_and_makes_no_sense_is_refused(
    api: httpx.AsyncClient, container: Container, body: bytes
) -> None:
    problem(await send(api, container, body), 400, "webhook_unreadable")


# After the end -----------------------------------------------------------------------------------------------------

OVER: dict[str, Any] = {
    "state": JobState.COMPLETED,
    "worker_id": None,
    "slot": None,
    "lease_until": None,
    "attempt_id": None,
    "attempt": None,
}
LATE = {
    "call_cost": {"combined_cost": 12.5, "total_duration_seconds": 40},
    "call_analysis": {"call_summary": "Paga el lunes.", "in_voicemail": False},
}


async def test_what_comes_after_the_end_is_added_to_the_report(api: httpx.AsyncClient, container: Container) -> None:
    before = await have_job(container, **OVER, report=make_report("user_hangup", duration_ms=39_000))

    assert (await send(api, container, event_of(event="call_analyzed", **LATE))).status_code == 204

    after = await job_document(container)
    job = from_document(type(make_job()), dict(after))
    assert job.report is not None
    assert str(job.report.cost_cents) == "12.5"
    assert job.report.analysis == LATE["call_analysis"]
    assert job.report.in_voicemail is False
    assert job.report.disconnection_reason == "user_hangup"
    assert {**after, "report": None} == {**before, "report": None}, "nothing but the report has changed"


async def test_an_older_event_takes_nothing_away(api: httpx.AsyncClient, container: Container) -> None:
    await have_job(container, **OVER, report=make_report("user_hangup"))
    await send(api, container, event_of(event="call_analyzed", **LATE))
    complete = await job_document(container)
    await send(api, container, event_of())
    assert await job_document(container) == complete


async def test_another_calls_details_are_not_added(api: httpx.AsyncClient, container: Container) -> None:
    before = await have_job(container, **OVER, report=make_report("user_hangup"))
    await send(api, container, event_of(event="call_analyzed", call_id="call-2", **LATE))
    assert await job_document(container) == before


async def test_a_job_in_somebodys_hands_gets_no_details(api: httpx.AsyncClient, container: Container) -> None:
    """The next attempt is on its way: its own report will come."""
    before = await have_job(container, attempt_id="attempt-2", report=plain(make_report("dial_busy")))
    await send(api, container, event_of(event="call_analyzed", **LATE))
    assert await job_document(container) == before
