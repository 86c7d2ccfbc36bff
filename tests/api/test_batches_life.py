"""/batches/{id}: read, list, pause, resume, edit, cancel, poll."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.domain.batches import BatchStatus, Block, Pace
from app.domain.messages import Message
from app.domain.transactions import Transaction, TransactionType
from app.repositories.batches import MongoBatches
from app.repositories.transactions import MongoTransactions
from tests.api.conftest import ACCOUNT, BATCH, batch_body, error_at, problem

Batch = dict[str, Any]


ALWAYS = {"allowed_hours": {"start": "00:00", "end": "00:00"}, "days_of_week": [0, 1, 2, 3, 4, 5, 6]}


async def change(api: httpx.AsyncClient, batch: Batch, **changes: Any) -> Batch:
    answer = await api.patch(f"batches/{batch['batch_id']}", json=changes)
    assert answer.status_code == 200, answer.text
    body: Batch = answer.json()
    return body


async def last_event(api: httpx.AsyncClient, batch: Batch, **headers: str) -> tuple[str, str]:
    logs = (await api.get(f"batches/{batch['batch_id']}/logs", headers=headers)).json()["logs"]
    return logs[-1]["event"], logs[-1]["message"]


async def set_jobs(container: Container, batch: Batch, **states: int) -> None:
    """Put jobs of these states into the batch, instead of its own."""
    jobs = container.database.collection("jobs")
    model = await jobs.find_one({"batch_id": batch["batch_id"]})
    assert model is not None
    await jobs.delete_many({"batch_id": batch["batch_id"]})
    documents = [
        model | {"_id": f"{batch['batch_id']}-{state}-{number}", "state": state}
        for state, count in states.items()
        for number in range(count)
    ]
    await jobs.insert_many(documents)
    await container.database.collection("batches").update_one(
        {"_id": batch["batch_id"]}, {"$set": {"total_jobs": len(documents)}}
    )


async def test_pausing_and_resuming(api: httpx.AsyncClient, batch: Batch) -> None:
    paused = await change(api, batch, is_active=False)
    assert (paused["status"], paused["is_active"], paused["next_window_opens_at"]) == ("paused", False, None)
    assert await last_event(api, batch) == ("batch_paused_by_user", "Batch pausado")
    assert (await change(api, batch, is_active=False))["status"] == "paused"
    resumed = await change(api, batch, is_active=True)
    assert (resumed["status"], resumed["is_active"]) == ("running", True)
    assert await last_event(api, batch) == ("batch_resumed", "Batch reanudado")


async def test_editing_changes_only_what_was_sent(api: httpx.AsyncClient, batch: Batch) -> None:
    changed = await change(
        api,
        batch,
        name="Otra",
        description=None,
        priority="HIGH",
        call_settings={"max_attempts": 5, "allowed_hours": {"end": "20:30"}, "days_of_week": [6, 7]},
    )
    expected = BATCH["call_settings"] | {
        "max_attempts": 5,
        "allowed_hours": {"start": "09:00", "end": "20:30"},
        "days_of_week": [0, 6],
    }
    assert changed["call_settings"] == expected
    assert (changed["name"], changed["description"], changed["priority"]) == ("Otra", None, "high")
    assert (changed["status"], changed["script_content"]) == ("running", BATCH["script_content"])
    assert (await api.get(f"batches/{batch['batch_id']}")).json() == changed
    event, message = await last_event(api, batch, **{"Accept-Language": "en"})
    assert (event, message) == ("batch_edited", "Batch changed: call_settings, description, name, priority")
    again = await change(api, batch, call_settings={"timezone": "America/Lima", "allowed_hours": {"start": "08:00"}})
    assert again["call_settings"] == expected | {
        "timezone": "America/Lima",
        "allowed_hours": {"start": "08:00", "end": "20:30"},
    }


async def test_holidays_are_changed_as_a_whole_and_null_forgets_them(api: httpx.AsyncClient, batch: Batch) -> None:
    assert "holidays" not in batch["call_settings"]
    for holidays in ({"country": "CL", "subdivision": "RM"}, {"country": "AR", "subdivision": None}):
        changed = await change(api, batch, call_settings={"holidays": holidays})
        assert changed["call_settings"] == batch["call_settings"] | {"holidays": holidays}
    lower = await change(api, batch, call_settings={"holidays": {"country": "cl", "subdivision": "rm"}})
    assert lower["call_settings"]["holidays"] == {"country": "CL", "subdivision": "RM"}
    await change(api, batch, call_settings={"holidays": {"country": "Ar"}})
    other = await change(api, batch, call_settings={"max_attempts": 9})
    assert other["call_settings"]["holidays"]["country"] == "AR"
    none = await change(api, batch, call_settings={"holidays": None, "max_attempts": 3})
    assert none["call_settings"] == batch["call_settings"]


async def test_retry_rules_are_changed_piece_by_piece_and_null_removes(api: httpx.AsyncClient, batch: Batch) -> None:
    async def rules(changes: dict[str, Any] | None) -> dict[str, Any]:
        settings = (await change(api, batch, call_settings={"retry_rules": changes}))["call_settings"]
        assert settings == batch["call_settings"] | {name: settings[name] for name in settings if name == "retry_rules"}
        return dict(settings.get("retry_rules", {}))

    voicemail, busy = {"delay_hours": 48.0, "max": 1}, {"delay_hours": 0.5, "max": None}
    assert await rules({"voicemail": {"delay_hours": 48}, "busy": {"delay_hours": 0.5}}) == {
        "voicemail": {"delay_hours": 48.0, "max": None},
        "busy": busy,
    }
    assert await rules({"voicemail": {"max": 1}}) == {"voicemail": voicemail, "busy": busy}
    assert await rules({}) == {"voicemail": voicemail, "busy": busy}
    assert await rules({"busy": None, "silence": None}) == {"voicemail": voicemail}
    assert await rules({"voicemail": {"delay_hours": None}}) == {"voicemail": {"delay_hours": None, "max": 1}}
    assert await rules({"voicemail": {"max": None}}) == {}
    assert await rules({"busy": {"max": 0}}) == {"busy": {"delay_hours": None, "max": 0}}
    assert await rules(None) == {}


@pytest.mark.parametrize(
    ("changes", "loc", "kind"),
    [
        ({"name": " "}, ["name"], "string_too_short"),
        (
            {"call_settings": {"holidays": {"country": "xx"}}},
            ["call_settings", "holidays", "country"],
            "holidays_country_unknown",
        ),
        (
            {"call_settings": {"retry_rules": {"busy": {"max": 21}}}},
            ["call_settings", "retry_rules", "busy", "max"],
            "less_than_equal",
        ),
        ({"name": None}, ["name"], "string_type"),
        ({"priority": 9}, ["priority"], "priority_unknown"),
        ({"is_active": "tal vez"}, ["is_active"], "bool_parsing"),
        ({"status": "paused"}, ["status"], "extra_forbidden"),
        ({"call_settings": {"max_attempts": 0}}, ["call_settings", "max_attempts"], "greater_than_equal"),
        ({"call_settings": {"max_call_duration": 7201}}, ["call_settings", "max_call_duration"], "less_than_equal"),
        ({"call_settings": {"ring_timeout": None}}, ["call_settings", "ring_timeout"], "int_type"),
        ({"call_settings": {"retry_delay_hours": -1}}, ["call_settings", "retry_delay_hours"], "greater_than"),
        ({"call_settings": {"days_of_week": []}}, ["call_settings", "days_of_week"], "days_of_week_empty"),
        ({"call_settings": {"timezone": ""}}, ["call_settings", "timezone"], "time_zone_unknown"),
        ({"call_settings": {"ring": 5}}, ["call_settings", "ring"], "extra_forbidden"),
        (
            {"call_settings": {"allowed_hours": {"end": "25:00"}}},
            ["call_settings", "allowed_hours", "end"],
            "time_not_hh_mm",
        ),
    ],
)
async def test_a_wrong_edit_changes_nothing(
    api: httpx.AsyncClient, batch: Batch, changes: dict[str, Any], loc: list[str], kind: str
) -> None:
    answer = await api.patch(f"batches/{batch['batch_id']}", json={"description": "nueva", **changes})
    assert error_at(answer, *loc)["type"] == kind
    read = (await api.get(f"batches/{batch['batch_id']}")).json()
    assert read | {"warnings": [], "voice": batch["voice"]} == batch


async def test_cancelling_is_for_good(api: httpx.AsyncClient, batch: Batch) -> None:
    answer = await api.post(f"batches/{batch['batch_id']}/cancel")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["is_active"], body["pending_jobs"], body["cancelled_jobs"]) == (
        "cancelled",
        False,
        0,
        1,
    )
    (job,) = (await api.get("jobs", params={"batch_id": batch["batch_id"]})).json()
    assert (job["status"], job["reason"]) == ("cancelled", {"code": "batch_cancelled", "message": "Batch cancelado"})
    assert (await api.post(f"batches/{batch['batch_id']}/cancel")).status_code == 200
    problem(await api.patch(f"batches/{batch['batch_id']}", json={"is_active": True}), 409, "batch_not_changeable")


async def test_lists_filter_and_count(api: httpx.AsyncClient, batch: Batch) -> None:
    await api.post("accounts", json=ACCOUNT | {"account_id": "acc-2"})
    other = (await api.post("batches", json=batch_body(account_id="acc-2"))).json()
    paused = (await api.post("batches", json=BATCH)).json()
    await change(api, paused, is_active=False)

    async def ids(path: str = "batches", **params: Any) -> list[str]:
        listed = await api.get(path, params=params)
        assert listed.status_code == 200, listed.text
        found = [entry["batch_id"] for entry in listed.json()]
        assert listed.headers["x-total-count"] == str(len(found))
        return found

    assert await ids() == [paused["batch_id"], other["batch_id"], batch["batch_id"]]
    assert await ids(account_id="acc-2") == [other["batch_id"]]
    assert await ids(account_id="acc-x") == []
    assert await ids(status="PAUSED") == [paused["batch_id"]]
    assert await ids(is_active="true") == [other["batch_id"], batch["batch_id"]]
    assert await ids("accounts/acc-chile-001/batches", is_active="false") == [paused["batch_id"]]
    error_at(await api.get("batches", params={"status": "sleeping"}), "query", "status")


async def test_a_list_entry_is_the_batch_as_it_is_read(api: httpx.AsyncClient, batch: Batch) -> None:
    (entry,) = (await api.get("batches")).json()
    assert entry == (await api.get(f"batches/{batch['batch_id']}")).json()


async def test_the_status_counts_and_sums(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    await set_jobs(container, batch, pending=3, in_call=1, settling=1, completed=2, failed=2, cancelled=1)
    charge = Transaction(
        transaction_id="attempt-1",
        account_id="acc-chile-001",
        type=TransactionType.CALL_USAGE,
        amount=Decimal("-1.5"),
        minutes=Decimal("1.5"),
        cost=Decimal("0.225"),
        description=Message(code="call_usage", params={"job_id": "job-1", "seconds": 90}),
        batch_id=batch["batch_id"],
        created_at=container.clock.now(),
    )
    await MongoTransactions(container.database).add(charge)
    body = (await api.get(f"batches/{batch['batch_id']}/status")).json()
    assert {name: value for name, value in body.items() if name.endswith(("_jobs", "_percent"))} == {
        "total_jobs": 10,
        "pending_jobs": 3,
        "in_progress_jobs": 2,
        "completed_jobs": 2,
        "failed_jobs": 2,
        "cancelled_jobs": 1,
        "progress_percent": 50.0,
    }
    assert (body["total_cost"], body["total_minutes"]) == (0.225, 1.5)
    assert "script_content" not in body


async def test_the_status_says_what_blocks(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    await change(api, batch, call_settings=ALWAYS)
    batches = MongoBatches(container.database)
    stored = await batches.get(batch["batch_id"])
    assert stored is not None
    now = container.clock.now()
    until = now + timedelta(minutes=5)
    await batches.sleep(stored, until, Block(reason=Message(code="no_balance"), since=now, until=until))
    path = f"batches/{batch['batch_id']}/status"
    blocked = (await api.get(path, headers={"Accept-Language": "en"})).json()["blocked_by"]
    assert blocked == {
        "code": "no_balance",
        "message": "Not enough balance; goes on when the account is topped up",
        "since": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
    # A top-up wakes the batch: what blocked it may be over.
    assert (await api.post("accounts/acc-chile-001/topup", json={"credits": 5})).status_code == 200
    assert (await api.get(path)).json()["blocked_by"] is None


async def test_a_block_whose_time_is_over_is_none(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    await change(api, batch, call_settings=ALWAYS)
    batches = MongoBatches(container.database)
    stored = await batches.get(batch["batch_id"])
    assert stored is not None
    now = container.clock.now()
    # Not just now: the API has a clock of its own, which is not exactly this one.
    ended = now - timedelta(seconds=3)
    over = Block(reason=Message(code="hours_closed"), since=now - timedelta(hours=9), until=ended)
    await batches.sleep(stored, ended, over)
    assert (await api.get(f"batches/{batch['batch_id']}/status")).json()["blocked_by"] is None


async def test_what_is_not_started_or_paused_is_blocked_by_that(
    api: httpx.AsyncClient, account: dict[str, Any], batch: Batch, container: Container
) -> None:
    draft = (await api.post("batches", json=batch_body(contacts=None))).json()
    assert draft["blocked_by"] == {
        "code": "batch_is_draft",
        "message": "Es un borrador sin contactos: agregue contactos para que empiece",
        "since": draft["created_at"],
        "until": None,
    }
    at = (container.clock.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    scheduled = (await api.post("batches", json=batch_body(schedule_type="scheduled", scheduled_at=at))).json()
    assert (scheduled["blocked_by"]["code"], scheduled["blocked_by"]["until"]) == ("batch_is_scheduled", at)
    paused = (await change(api, batch, is_active=False))["blocked_by"]
    assert (paused["code"], paused["message"]) == (
        "batch_is_paused_by",
        "Lo pausó api; sigue en pausa hasta que alguien lo reanude",
    )
    assert paused["since"] is not None
    resumed = await change(api, batch, is_active=True, call_settings=ALWAYS)
    assert resumed["blocked_by"] is None


async def test_a_suspended_account_blocks_its_batches_at_once(api: httpx.AsyncClient, batch: Batch) -> None:
    assert (await api.patch("accounts/acc-chile-001", json={"status": "suspended"})).status_code == 200
    listed = (await api.get("batches")).json()
    assert [one["blocked_by"]["code"] for one in listed] == ["account_suspended"]


async def test_a_pause_by_the_system_says_why(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    reason = Message(code="stopped_by_provider", params={"detail": "no_valid_payment"})
    await MongoBatches(container.database).move(
        batch["batch_id"], [BatchStatus.RUNNING], BatchStatus.PAUSED, {"pause_reason": reason}
    )
    body = (await api.get(f"batches/{batch['batch_id']}/status")).json()
    assert body["pause_reason"] == {
        "code": "stopped_by_provider",
        "message": "Detenido por el proveedor de llamadas: no_valid_payment",
    }
    assert (await change(api, batch, is_active=True))["pause_reason"] is None


async def test_when_the_window_opens_next(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    now = container.clock.now()
    closed = {"start": f"{now + timedelta(hours=3):%H:%M}", "end": f"{now + timedelta(hours=4):%H:%M}"}
    rules = {"timezone": "Etc/UTC", "days_of_week": [0, 1, 2, 3, 4, 5, 6], "allowed_hours": closed}
    batch = (await api.post("batches", json=batch_body(call_settings=rules))).json()
    opens = (now + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:00Z")
    assert (await api.get(f"batches/{batch['batch_id']}/status")).json()["next_window_opens_at"] == opens
    opened = await change(api, batch, call_settings={"allowed_hours": {"start": "00:00", "end": "00:00"}})
    assert opened["next_window_opens_at"] is None


async def test_an_unchanged_status_is_not_sent_again(
    api: httpx.AsyncClient, batch: Batch, container: Container
) -> None:
    path = f"batches/{batch['batch_id']}/status"
    first = await api.get(path)
    etag = first.headers["etag"]
    for matching in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        unchanged = await api.get(path, headers={"If-None-Match": matching})
        assert (unchanged.status_code, unchanged.content) == (304, b""), matching
        assert unchanged.headers["etag"] == etag
    assert (await api.get(path, headers={"If-None-Match": '"x"'})).status_code == 200
    await set_jobs(container, batch, completed=1)
    changed = await api.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_the_status_estimates_the_end(api: httpx.AsyncClient, batch: Batch, container: Container) -> None:
    await change(api, batch, call_settings=ALWAYS | {"max_attempts": 1})
    await set_jobs(container, batch, pending=10, completed=1)
    await MongoBatches(container.database).wake(
        batch["batch_id"], container.clock.now(), Pace(calls=2, seconds=80, ended=2, calls_of_finished=2)
    )
    path = f"batches/{batch['batch_id']}/status"
    asked_at = container.clock.now()
    body = (await api.get(path)).json()
    assert body["estimate"] == {"calls_left": 10, "seconds_per_call": 40, "parallel_calls": 5, "reason": None}
    ends_at = datetime.fromisoformat(body["estimated_end_at"])
    assert asked_at + timedelta(seconds=79) < ends_at <= container.clock.now() + timedelta(seconds=80)

    await change(api, batch, is_active=False)
    paused = (await api.get(path, headers={"Accept-Language": "en"})).json()
    assert paused["estimated_end_at"] is None
    assert paused["estimate"]["reason"]["code"] == "batch_is_paused_by"
    await api.post(f"batches/{batch['batch_id']}/cancel")
    assert (await api.get(path)).json()["estimate"] is None


async def test_that_the_estimated_end_passes_is_no_change(
    api: httpx.AsyncClient, batch: Batch, container: Container
) -> None:
    await change(api, batch, call_settings=ALWAYS)
    path = f"batches/{batch['batch_id']}/status"
    first = await api.get(path)
    # Slower calls than assumed: another end, the same facts.
    await container.database.collection("batches").update_one(
        {"_id": batch["batch_id"]}, {"$set": {"pace.calls": 1, "pace.seconds": 10_000.0}}
    )
    second = await api.get(path)
    assert first.json()["estimated_end_at"] != second.json()["estimated_end_at"]
    assert first.headers["etag"] == second.headers["etag"]


async def test_logs_come_in_the_language_of_the_reader(api: httpx.AsyncClient, batch: Batch) -> None:
    assert await last_event(api, batch, **{"Accept-Language": "en"}) == ("batch_started", "Batch started automatically")


async def test_an_unknown_batch_is_not_found_anywhere(api: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", "batches/batch-x"),
        ("PATCH", "batches/batch-x"),
        ("POST", "batches/batch-x/cancel"),
        ("GET", "batches/batch-x/status"),
        ("GET", "batches/batch-x/logs"),
    ):
        answer = await api.request(method, path, json={"name": "A"} if method == "PATCH" else None)
        assert "batch-x" in problem(answer, 404, "batch_not_found")["detail"]
