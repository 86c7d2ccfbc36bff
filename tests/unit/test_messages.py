"""The catalogue against the code that uses it: every code exists, in both languages, with the parameters it gets."""

import ast
import itertools
import string
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic_core import core_schema

from app.domain.messages import (
    CATALOGUE,
    Message,
    access,
    errors,
    events,
    explanations,
    imports,
    presets,
    privacy,
    reasons,
    render,
    results,
    scripts,
    timeline,
    use_cases,
    validation,
    webhooks,
)
from app.domain.outcomes import Disposition
from app.domain.person_caps import CapCounts, CapPeriod
from app.domain.phone_numbers import PhoneNumber

ROOT = Path(__file__).parents[2]
ANY_PARAMS = None
"""Where a call passes on parameters that only run time knows."""

CODE_POSITION = {
    "NotFound": 0,
    "Conflict": 0,
    "Forbidden": 0,
    "Unauthenticated": 0,
    "TooManyRequests": 0,
    "SpreadsheetRejected": 0,
    "CadenciaError": 0,
    "PayloadTooLarge": 0,
    "render": 0,
    "invalid": 0,
    "FieldError.of": 1,
    "InvalidInput": 1,
    "checked": 1,
    "log_event": 3,
    "_refusal": 1,
    "report.error": 1,
    "report.warn": 1,
}
"""Calls that name a code, and at which place. What they pass besides, by name, are the code's parameters."""

GIVEN_BY_THE_CALLEE = {
    "TooManyRequests": {"seconds"},
    "checked": {"value"},
    "invalid": set[str](),
    "InvalidInput": set[str](),
}


class Use(NamedTuple):
    code: str
    params: frozenset[str] | None
    place: str


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def uses() -> Iterator[Use]:
    """Every code that stands as a literal in a call that makes a message."""
    for path in sorted([*ROOT.glob("app/**/*.py"), *ROOT.glob("workers/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield from _use(node, f"{path.relative_to(ROOT)}:{node.lineno}")


def _use(call: ast.Call, place: str) -> Iterator[Use]:
    name = ast.unparse(call.func)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if name.split(".")[-1] == "Message" and isinstance(code := keywords.get("code"), ast.Constant):
        yield Use(str(code.value), _keys(keywords.get("params")), place)
        return
    position = CODE_POSITION.get(name)
    argument = keywords.get("code") or (
        call.args[position] if position is not None and position < len(call.args) else None
    )
    if position is None or not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
        return
    if None in keywords or name == "PayloadTooLarge":
        yield Use(argument.value, ANY_PARAMS, place)
        return
    given = {key for key in keywords if key is not None}
    yield Use(argument.value, frozenset(given | GIVEN_BY_THE_CALLEE.get(name, set())), place)


def _keys(params: ast.expr | None) -> frozenset[str] | None:
    if params is None:
        return frozenset()
    if isinstance(params, ast.Dict):
        return frozenset(
            key.value for key in params.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
        )
    return ANY_PARAMS


USES = list(uses())


def test_the_search_finds_what_it_should() -> None:
    """Or the tests below would prove nothing."""
    found = {use.code for use in USES}
    assert {
        "account_not_found",
        "batch_created",
        "hours_closed",
        "max_attempts_reached",
        "no_balance",
        "file_is_pdf",
        "phone_missing",
        "column_empty",
        "time_zone_unknown",
        "priority_unknown",
        "call_usage",
        "outside_hours",
    } <= found
    assert len(USES) > 80


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.code}@{use.place}")
def test_every_code_has_texts_that_its_parameters_fill(use: Use) -> None:
    assert use.code in CATALOGUE, use.place
    if use.params is not ANY_PARAMS:
        for text in CATALOGUE[use.code].values():
            assert placeholders(text) <= use.params


@pytest.mark.parametrize("code", CATALOGUE)
def test_both_languages_say_the_same(code: str) -> None:
    texts = CATALOGUE[code]
    assert set(texts) == {"es", "en"}
    assert placeholders(texts["es"]) == placeholders(texts["en"])
    for language, text in texts.items():
        params = {name: f"<{name}>" for name in placeholders(text)}
        rendered = render(code, language, **params)
        assert rendered.strip() == rendered != ""
        assert all(value in rendered for value in params.values())
        assert Message(code=code, params=params).render(language) == rendered


def test_no_code_is_in_two_files() -> None:
    files = (
        *(
            access,
            errors,
            events,
            explanations,
            imports,
            presets,
            privacy,
            reasons,
            results,
            scripts,
            timeline,
            use_cases,
            validation,
        ),
        webhooks,
    )
    assert sum(len(file.TEXTS) for file in files) == len(CATALOGUE)


def test_every_disposition_has_a_reason() -> None:
    for disposition in Disposition:
        assert f"after_{disposition.value}" in CATALOGUE


def test_words_of_ours_are_said_in_the_readers_language() -> None:
    rule = {"times": 1, "outcome": "busy"}
    assert "«Ocupado»" in render("retry_rule_reached", "es", **rule)
    assert "«Busy»" in render("retry_rule_reached", "en", **rule)
    until = {"until": "2026-01-01 08:00", "timezone": "America/Santiago"}
    for counts, period in itertools.product(CapCounts, CapPeriod):
        cap = {"max": 1, "days": 1, "counts": counts.value, "period": period.value}
        said = render("person_cap_reached", "es", **cap, **until)
        assert {counts.value, period.value}.isdisjoint(said.split()), said
    assert "1 intento(s) en 1 día calendario" in render(
        "person_cap_reached", "es", max=1, counts="attempts", days=1, period="day", **until
    )


def test_events_whose_name_is_chosen_at_run_time_have_texts() -> None:
    names = {
        "test_call_asked_for",
        "test_call_outside_hours",
        "batch_edited",
        "batch_paused_by_user",
        "batch_resumed",
        "initial_balance",
        "topup",
    }
    assert names <= set(CATALOGUE)


def test_every_complaint_about_a_phone_has_a_text() -> None:
    """phone_numbers hands codes around as plain strings."""
    tree = ast.parse((ROOT / "app/domain/phone_numbers.py").read_text("utf-8"))
    codes = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("phone_")
    }
    assert len(codes) >= 8
    assert codes <= set(CATALOGUE)
    assert "error" in PhoneNumber._fields
    for code in codes:
        for text in CATALOGUE[code].values():
            assert placeholders(text) <= {"value", "e164"}


def test_every_text_for_a_pydantic_error_is_for_one_that_exists() -> None:
    """A text under a misspelt type would never be shown."""
    known = set(core_schema.ErrorType.__args__) | {"json_invalid"}  # type: ignore[attr-defined]
    assert {code.removeprefix("input_") for code in validation.TEXTS} <= known
