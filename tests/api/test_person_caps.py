"""Caps of calls to one person in an account's settings, and the presets that suggest them."""

from typing import Any

import httpx
import pytest

from app.api.schemas.call_settings import CallSettingsRequest
from tests.api.conftest import ACCOUNT, batch_body, error_at

WEEKLY = {"counts": "attempts", "max": 1, "period": "rolling", "days": 7}
DAILY = {"counts": "conversations", "max": 2, "period": "day"}


async def settings_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code in {200, 201}, answer.text
    found: dict[str, Any] = answer.json()["settings"]
    return found


async def test_an_account_is_created_with_caps(api: httpx.AsyncClient) -> None:
    wanted = {"timezone": "America/Santiago", "person_caps": [WEEKLY, DAILY | {"counts": "CONVERSATIONS"}]}
    created = await settings_of(await api.post("accounts", json=ACCOUNT | {"settings": wanted}))
    assert created["person_caps"] == [WEEKLY, DAILY | {"days": None}]
    assert await settings_of(await api.get("accounts/acc-chile-001")) == created


async def test_caps_are_set_and_lifted(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    assert "person_caps" not in account["settings"]

    async def change(**settings: Any) -> dict[str, Any]:
        return await settings_of(await api.patch("accounts/acc-chile-001", json={"settings": settings}))

    assert (await change(person_caps=[DAILY]))["person_caps"] == [DAILY | {"days": None}]
    kept = await change(timezone="America/Lima")
    assert kept == {"timezone": "America/Lima", "person_caps": [DAILY | {"days": None}]}
    assert (await change(person_caps=[WEEKLY]))["person_caps"] == [WEEKLY]
    assert await change(person_caps=[]) == {"timezone": "America/Lima"}


@pytest.mark.parametrize(
    ("cap", "loc"),
    [
        (WEEKLY | {"max": 0}, ["max"]),
        (WEEKLY | {"days": 0}, ["days"]),
        (WEEKLY | {"counts": "rings"}, ["counts"]),
        (WEEKLY | {"period": "week"}, ["period"]),
        (WEEKLY | {"per": "phone"}, ["per"]),
        ({"counts": "attempts", "max": 1, "period": "rolling"}, []),
        (DAILY | {"days": 2}, []),
    ],
)
async def test_a_cap_that_makes_no_sense_is_named(
    api: httpx.AsyncClient, account: dict[str, Any], cap: dict[str, Any], loc: list[str]
) -> None:
    answer = await api.patch("accounts/acc-chile-001", json={"settings": {"person_caps": [WEEKLY, cap]}})
    error_at(answer, "settings", "person_caps", 1, *loc)
    assert "person_caps" not in (await api.get("accounts/acc-chile-001")).json()["settings"]


async def test_the_presets_can_be_taken_over_as_they_are(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    presets = (await api.get("call-presets")).json()
    assert [preset["country"] for preset in presets] == ["CL", "AR", "MX", "BR", "CO", "PE", "US"]
    for preset in presets:
        assert preset["sources"]
        assert preset["notice"]
        caps = {"person_caps": preset["person_caps"]}
        taken = await settings_of(await api.patch("accounts/acc-chile-001", json={"settings": caps}))
        assert taken.get("person_caps", []) == preset["person_caps"]
        if preset["call_settings"] is not None:
            known = CallSettingsRequest.model_fields
            taken_over = {name: value for name, value in preset["call_settings"].items() if name in known}
            answer = await api.post("batches", json=batch_body(call_settings=taken_over))
            assert answer.status_code == 201, answer.text
            shown = answer.json()["call_settings"]
            assert shown["allowed_hours"] == taken_over["allowed_hours"]
            assert shown["days_of_week"] == taken_over["days_of_week"]


async def test_the_presets_speak_both_languages(api: httpx.AsyncClient) -> None:
    spanish = (await api.get("call-presets")).json()
    english = (await api.get("call-presets", headers={"Accept-Language": "en"})).json()
    assert all(one["rule"] != other["rule"] for one, other in zip(spanish, english, strict=True))
