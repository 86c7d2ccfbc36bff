"""What helps to set a campaign up: windows to come, time zones, ready-made campaigns."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from app.bootstrap import Container
from tests.api.conftest import BATCH, error_at

SETTINGS: dict[str, Any] = BATCH["call_settings"]


async def preview(api: httpx.AsyncClient, start: str, count: int = 4, **changes: Any) -> dict[str, Any]:
    body = {"call_settings": SETTINGS | changes, "from": start, "count": count}
    answer = await api.post("call-settings/preview", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def locally(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(window["opens_local"], window["closes_local"]) for window in found["windows"]]


async def test_windows_leave_out_holidays_and_days_without_calls(api: httpx.AsyncClient) -> None:
    # Friday 12:00 in Santiago; the Tuesday after, 8 December, is a holiday.
    found = await preview(api, "2026-12-04T15:00:00Z", 3, holidays={"country": "CL"})
    assert locally(found) == [
        ("2026-12-04T12:00:00-03:00", "2026-12-04T18:00:00-03:00"),
        ("2026-12-07T09:00:00-03:00", "2026-12-07T18:00:00-03:00"),
        ("2026-12-09T09:00:00-03:00", "2026-12-09T18:00:00-03:00"),
    ]
    assert found["skipped_holidays"] == ["2026-12-08"]
    assert found["clock_changes"] == []
    assert found["windows"][1]["opens_at"] == "2026-12-07T12:00:00Z"
    assert [window["weekday"] for window in found["windows"]] == [5, 1, 3]
    without = await preview(api, "2026-12-04T15:00:00Z", 3)
    assert [opens[:10] for opens, _ in locally(without)] == ["2026-12-04", "2026-12-07", "2026-12-08"]
    assert without["skipped_holidays"] == []


async def test_windows_follow_the_clock(api: httpx.AsyncClient) -> None:
    # In the night to Sunday, 6 September 2026, 00:00 in Santiago is 01:00.
    found = await preview(
        api, "2026-09-05T00:00:00Z", 2, days_of_week=[5, 6, 0], allowed_hours={"start": "22:00", "end": "02:00"}
    )
    assert locally(found) == [
        ("2026-09-04T22:00:00-04:00", "2026-09-05T02:00:00-04:00"),
        ("2026-09-05T22:00:00-04:00", "2026-09-06T02:00:00-03:00"),
    ]
    assert found["clock_changes"] == [
        {"at": "2026-09-06T04:00:00Z", "offset_before": "-04:00", "offset_after": "-03:00"}
    ]
    assert [window["weekday"] for window in found["windows"]] == [5, 6]


async def test_without_a_start_the_windows_are_the_next_from_now(api: httpx.AsyncClient, container: Container) -> None:
    before = container.clock.now().replace(microsecond=0)
    answer = await api.post("call-settings/preview", json={"call_settings": {}})
    windows = answer.json()["windows"]
    assert len(windows) == 10
    opens = [datetime.fromisoformat(window["opens_at"]) for window in windows]
    assert before <= opens[0] < before + timedelta(days=4)
    assert opens == sorted(opens)


async def test_settings_are_refused_as_a_batchs_are(api: httpx.AsyncClient) -> None:
    for changes, field in (
        ({"days_of_week": []}, "days_of_week"),
        ({"timezone": "America/Macondo"}, "timezone"),
        ({"allowed_hours": {"start": "9", "end": "18:00"}}, "allowed_hours"),
    ):
        place = (field, "start") if field == "allowed_hours" else (field,)
        sent = await api.post("call-settings/preview", json={"call_settings": SETTINGS | changes})
        batch = await api.post("batches", json=BATCH | {"call_settings": SETTINGS | changes})
        assert error_at(sent, "call_settings", *place) == error_at(batch, "call_settings", *place)
    for body, field in (({"from": "9999-12-31T23:59:59Z"}, "from"), ({"count": 61}, "count"), ({"count": 0}, "count")):
        error_at(await api.post("call-settings/preview", json={"call_settings": SETTINGS} | body), field)


async def test_time_zones_have_the_offset_of_now_and_their_country(
    api: httpx.AsyncClient, container: Container
) -> None:
    zones = {zone["timezone"]: zone for zone in (await api.get("timezones")).json()}
    assert list(zones) == sorted(zones)
    assert zones["America/Santiago"]["country"] == "CL"
    assert zones["Asia/Kathmandu"]["utc_offset"] == "+05:45"
    assert zones["America/Argentina/Buenos_Aires"]["utc_offset"] == "-03:00"
    assert zones["UTC"] == {"timezone": "UTC", "utc_offset": "+00:00", "offset_minutes": 0, "country": None}
    now = container.clock.now()
    for name in ("America/Santiago", "Australia/Lord_Howe", "America/Mexico_City"):
        offset = now.astimezone(ZoneInfo(name)).utcoffset()
        assert offset is not None
        assert zones[name]["offset_minutes"] == offset.total_seconds() / 60


USE_CASES = ("debt_collection", "marketing", "survey", "reminder")


async def test_the_use_cases_are_there_in_both_languages(api: httpx.AsyncClient) -> None:
    spanish = (await api.get("use-cases")).json()
    english = (await api.get("use-cases", headers={"Accept-Language": "en"})).json()
    assert tuple(use_case["use_case_id"] for use_case in spanish) == USE_CASES
    for one, other in zip(spanish, english, strict=True):
        assert one["name"] != other["name"]
        assert one["script_template"] == other["script_template"]


@pytest.mark.parametrize("number", range(len(USE_CASES)))
async def test_a_use_case_makes_a_batch(api: httpx.AsyncClient, account: dict[str, Any], number: int) -> None:
    use_case = (await api.get("use-cases")).json()[number]
    columns = {column["name"]: column["example"] for column in use_case["required_columns"]}
    everything = columns | {column["name"]: column["example"] for column in use_case["optional_columns"]}
    for given in (columns, everything):
        header, row = (";".join(cells) for cells in (given.keys(), given.values()))
        files = {"file": ("lista.csv", f"{header}\n{row}\n".encode())}
        read = (await api.post("batches/excel/preview", files=files, data={"account_id": BATCH["account_id"]})).json()
        assert read["valid_rows"] == 1, read
        # Not one column more than is asked for, and each is understood: whatever the script names has a value.
        body = {
            "account_id": BATCH["account_id"],
            "name": use_case["name"],
            "script_content": use_case["script_template"],
            "call_settings": use_case["call_settings"],
            "upload_id": read["upload_id"],
        }
        created = await api.post("batches", json=body)
        assert created.status_code == 201, created.text
        assert created.json()["call_settings"] == use_case["call_settings"]
