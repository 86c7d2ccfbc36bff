"""POST /batches: what it refuses. Every refusal names the field or the row, and leaves nothing behind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from tests.api.conftest import BATCH, batch_body, error_at, problem, stored

Loc = list[str | int]
RECURRING = {"frequency": "weekly", "interval": 1}
IN_AN_HOUR = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def contact(**changes: Any) -> dict[str, Any]:
    return {"name": "Ana", "phones": ["+56912345678"], **changes}


@pytest.mark.parametrize(
    ("changes", "loc", "kind"),
    [
        ({"name": ""}, ["name"], "string_too_short"),
        ({"name": "x" * 201}, ["name"], "string_too_long"),
        ({"script_content": None}, ["script_content"], "string_type"),
        ({"scrip_content": "Hola"}, ["scrip_content"], "extra_forbidden"),
        ({"priority": "asap"}, ["priority"], "priority_unknown"),
        ({"priority": 0}, ["priority"], "priority_unknown"),
        ({"priority": 5}, ["priority"], "priority_unknown"),
        ({"priority": True}, ["priority"], "priority_unknown"),
        ({"priority": None}, ["priority"], "priority_unknown"),
        ({"schedule_type": "daily"}, ["schedule_type"], "enum"),
        ({"allow_missing_variables": "quizás"}, ["allow_missing_variables"], "bool_parsing"),
        ({"retell_from_number": "600 600 600"}, ["retell_from_number"], "number_not_e164"),
        # Voice
        ({"voice_settings": {"speed": 0.4}}, ["voice_settings", "speed"], "greater_than_equal"),
        ({"voice_settings": {"speed": 2.1}}, ["voice_settings", "speed"], "less_than_equal"),
        ({"voice_settings": {"volume": 0.4}}, ["voice_settings", "volume"], "greater_than_equal"),
        ({"voice_settings": {"volume": 2.1}}, ["voice_settings", "volume"], "less_than_equal"),
        ({"voice_settings": {"pitch": -11}}, ["voice_settings", "pitch"], "greater_than_equal"),
        ({"voice_settings": {"pitch": 11}}, ["voice_settings", "pitch"], "less_than_equal"),
        ({"voice_settings": {"voice_id": ""}}, ["voice_settings", "voice_id"], "string_too_short"),
        ({"voice_settings": {"language": "e"}}, ["voice_settings", "language"], "string_too_short"),
        ({"voice_settings": {"accent": "cl"}}, ["voice_settings", "accent"], "extra_forbidden"),
        # Rules
        ({"call_settings": {"max_call_duration": 59}}, ["call_settings", "max_call_duration"], "greater_than_equal"),
        ({"call_settings": {"max_call_duration": 7201}}, ["call_settings", "max_call_duration"], "less_than_equal"),
        ({"call_settings": {"max_call_duration": "largo"}}, ["call_settings", "max_call_duration"], "int_parsing"),
        ({"call_settings": {"max_call_duration": 90.5}}, ["call_settings", "max_call_duration"], "int_from_float"),
        ({"call_settings": {"ring_timeout": 4}}, ["call_settings", "ring_timeout"], "greater_than_equal"),
        ({"call_settings": {"ring_timeout": 301}}, ["call_settings", "ring_timeout"], "less_than_equal"),
        ({"call_settings": {"max_attempts": 0}}, ["call_settings", "max_attempts"], "greater_than_equal"),
        ({"call_settings": {"max_attempts": 21}}, ["call_settings", "max_attempts"], "less_than_equal"),
        ({"call_settings": {"retry_delay_hours": 0}}, ["call_settings", "retry_delay_hours"], "greater_than"),
        ({"call_settings": {"retry_delay_hours": 2161}}, ["call_settings", "retry_delay_hours"], "less_than_equal"),
        ({"call_settings": {"timezone": "Marte/Olimpo"}}, ["call_settings", "timezone"], "time_zone_unknown"),
        (
            {"call_settings": {"holidays": {"country": "XX"}}},
            ["call_settings", "holidays", "country"],
            "holidays_country_unknown",
        ),
        (
            {"call_settings": {"holidays": {"country": "CL", "subdivision": "SP"}}},
            ["call_settings", "holidays", "subdivision"],
            "holidays_subdivision_unknown",
        ),
        ({"call_settings": {"holidays": {"subdivision": "RM"}}}, ["call_settings", "holidays", "country"], "missing"),
        ({"call_settings": {"holidays": True}}, ["call_settings", "holidays"], "model_attributes_type"),
        (
            {"call_settings": {"retry_rules": {"answered": {"max": 1}}}},
            ["call_settings", "retry_rules", "answered"],
            "extra_forbidden",
        ),
        (
            {"call_settings": {"retry_rules": {"busy": {"delay_hours": 0}}}},
            ["call_settings", "retry_rules", "busy", "delay_hours"],
            "greater_than",
        ),
        (
            {"call_settings": {"retry_rules": {"busy": {"max": -1}}}},
            ["call_settings", "retry_rules", "busy", "max"],
            "greater_than_equal",
        ),
        ({"call_settings": {"days_of_week": []}}, ["call_settings", "days_of_week"], "days_of_week_empty"),
        ({"call_settings": {"days_of_week": [8]}}, ["call_settings", "days_of_week", 0], "less_than_equal"),
        ({"call_settings": {"days_of_week": [1, -1]}}, ["call_settings", "days_of_week", 1], "greater_than_equal"),
        ({"call_settings": {"days_of_week": ["lunes"]}}, ["call_settings", "days_of_week", 0], "int_type"),
        ({"call_settings": {"days_of_week": [True]}}, ["call_settings", "days_of_week", 0], "int_type"),
        ({"call_settings": {"days_of_week": 1}}, ["call_settings", "days_of_week"], "list_type"),
        ({"call_settings": {"max_atempts": 3}}, ["call_settings", "max_atempts"], "extra_forbidden"),
        (
            {"call_settings": {"allowed_hours": {"start": "09:00"}}},
            ["call_settings", "allowed_hours", "end"],
            "missing",
        ),
        *(
            (
                {"call_settings": {"allowed_hours": {"start": text, "end": "18:00"}}},
                ["call_settings", "allowed_hours", "start"],
                "time_not_hh_mm",
            )
            for text in ("9:00", "24:00", "09:60", "0900", "09:00:00", "09:00Z", "nueve", "", "٠٩:٠٠")
        ),
        # When
        ({"schedule_type": "scheduled"}, ["scheduled_at"], "scheduled_at_missing"),
        ({"schedule_type": "scheduled", "scheduled_at": "2030-01-01T10:00:00"}, ["scheduled_at"], "timezone_aware"),
        ({"schedule_type": "scheduled", "scheduled_at": "mañana"}, ["scheduled_at"], "datetime_from_date_parsing"),
        ({"schedule_type": "scheduled", "scheduled_at": "2020-01-01T10:00:00Z"}, ["scheduled_at"], "scheduled_at_past"),
        (
            {"schedule_type": "scheduled", "scheduled_at": "2205-01-01T10:00:00Z"},
            ["scheduled_at"],
            "scheduled_at_too_far",
        ),
        (
            {"schedule_type": "scheduled", "scheduled_at": "9999-12-31T23:59:59-12:00"},
            ["scheduled_at"],
            "instant_out_of_range",
        ),
        ({"scheduled_at": IN_AN_HOUR}, ["scheduled_at"], "scheduled_at_not_wanted"),
        ({"recurring_config": RECURRING}, ["recurring_config"], "recurring_config_not_wanted"),
        ({"schedule_type": "recurring"}, ["recurring_config"], "recurring_config_missing"),
        (
            {"schedule_type": "recurring", "recurring_config": RECURRING | {"frequency": "yearly"}},
            ["recurring_config", "frequency"],
            "enum",
        ),
        (
            {"schedule_type": "recurring", "recurring_config": RECURRING | {"interval": 0}},
            ["recurring_config", "interval"],
            "greater_than_equal",
        ),
        (
            {"schedule_type": "recurring", "recurring_config": RECURRING | {"count": 0}},
            ["recurring_config", "count"],
            "greater_than_equal",
        ),
        # Contacts
        ({"contacts": []}, ["contacts"], "no_callable_contact"),
        ({"contacts": {}}, ["contacts"], "list_type"),
        ({"contacts": ["+56912345678"]}, ["contacts", 0], "dict_type"),
        ({"contacts": [contact(), {"name": "Luis"}]}, ["contacts", 1, "phones"], "phone_missing"),
        ({"contacts": [contact(), contact(timezone="GMT-4")]}, ["contacts", 1, "timezone"], "time_zone_unknown"),
        ({"contacts": [contact(huso_horario="Lima")]}, ["contacts", 0, "huso_horario"], "time_zone_unknown"),
        ({"contacts": [contact(phones=[])]}, ["contacts", 0, "phones"], "phone_missing"),
        ({"contacts": [contact(phones=["+56912345678", "12"])]}, ["contacts", 0, "phones", 1], "phone_not_a_number"),
        ({"contacts": [contact(phones=["s/n"])]}, ["contacts", 0, "phones", 0], "phone_not_a_number"),
        ({"contacts": [contact(phones=[{}])]}, ["contacts", 0, "phones", 0], "phone_not_a_number"),
        (
            {"contacts": [contact(phones=[f"+569123456{n:02d}" for n in range(21)])]},
            ["contacts", 0, "phones"],
            "too_many_phones",
        ),
        ({"contacts": [contact(email="ana@")]}, ["contacts", 0, "email"], "email_not_an_address"),
        ({"contacts": [contact(name={"first": "Ana"})]}, ["contacts", 0, "name"], "not_a_text"),
        ({"contacts": [contact(name="x" * 2001)]}, ["contacts", 0, "name"], "text_too_long"),
        ({"contacts": [contact(deuda=[1])]}, ["contacts", 0, "deuda"], "not_a_text"),
        ({"contacts": [contact(deuda="x" * 2001)]}, ["contacts", 0, "deuda"], "text_too_long"),
        ({"contacts": [contact(**{"$where": "1"})]}, ["contacts", 0, "$where"], "bad_field_name"),
        ({"contacts": [contact(**{" ": "1"})]}, ["contacts", 0, " "], "bad_field_name"),
        ({"contacts": [contact(custom_fields="x")]}, ["contacts", 0, "custom_fields"], "not_an_object"),
        (
            {"contacts": [contact(**{f"campo_{n}": "x" for n in range(257)})]},
            ["contacts", 0, "custom_fields"],
            "too_many_custom_fields",
        ),
        (
            {"contacts": [contact(**{f"campo_{who}_{n}": "x" for n in range(200)}) for who in range(3)]},
            ["contacts", 2],
            "too_many_field_names",
        ),
        ({"upload_id": "upload-1"}, ["upload_id"], "contacts_or_upload"),
    ],
)
async def test_bad_input(
    api: httpx.AsyncClient,
    account: dict[str, Any],
    container: Container,
    changes: dict[str, Any],
    loc: Loc,
    kind: str,
) -> None:
    before = await stored(container)
    answer = await api.post("batches", json=batch_body(**changes))
    assert error_at(answer, *loc)["type"] == kind
    assert await stored(container) == before


async def test_half_a_surrogate_pair_is_no_text(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    """JSON can write what no database can store; the answer cannot quote it either."""
    before = await stored(container)
    for field, loc in (
        ('"contacts": [{"name": "\\ud800", "phones": ["+56912345678"]}]', ["contacts", 0, "name"]),
        ('"contacts": [{"name": "Ana", "phones": ["+56912345678"], "x": "\\udfff"}]', ["contacts", 0, "x"]),
        ('"name": "\\ud800"', ["name"]),
        ('"script_content": "\\ud800"', ["script_content"]),
    ):
        body = f'{{"account_id": "acc-chile-001", "name": "Prueba", {field}}}'
        answer = await api.post("batches", content=body, headers={"Content-Type": "application/json"})
        error_at(answer, *loc)
    assert await stored(container) == before


async def test_all_that_is_wrong_is_told_at_once(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    answer = await api.post(
        "batches", json=batch_body(priority="x", call_settings={"ring_timeout": 1, "timezone": "x"})
    )
    body = problem(answer, 422, "invalid_input")
    assert len(body["errors"]) == 3
    assert "call_settings.ring_timeout" in body["detail"]
    assert "2 más" in body["detail"]


async def test_no_answer_lists_more_errors_than_anybody_reads(api: httpx.AsyncClient, account: dict[str, Any]) -> None:
    answer = await api.post("batches", json=batch_body(contacts=[{"name": "Nadie"}] * 1000))
    assert len(problem(answer, 422, "invalid_input")["errors"]) == 200


async def test_an_unknown_account_or_upload_is_not_found(
    api: httpx.AsyncClient, account: dict[str, Any], container: Container
) -> None:
    before = await stored(container)
    problem(await api.post("batches", json=BATCH | {"account_id": "acc-x"}), 404, "account_not_found")
    upload = {"account_id": "acc-chile-001", "name": "Prueba", "upload_id": "upload-x"}
    assert "upload-x" in problem(await api.post("batches", json=upload), 404, "upload_not_found")["detail"]
    assert await stored(container) == before
