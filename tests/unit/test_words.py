"""What an operator reads stands in the catalogue and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.api.schemas.common import Request
from app.domain.messages import CATALOGUE
from app.main import create_app
from tests.conftest import make_settings

ROOT = Path(__file__).parents[2]
SAID = {"message", "detail", "msg", "title", "notice", "description", "reason", "text", "rule"}
"""Fields of answers and records that people read."""
NOT_FOR_OPERATORS = {"Field", "Query", "Form", "Header", "Path", "FastAPI", "get_openapi", "warning", "exception"}
"""The OpenAPI document and the logs are for programmers, and in English."""
ERRORS = {
    "str": {"string_type", "string_unicode", "string_too_short", "string_too_long", "string_pattern_mismatch"},
    "int": {"int_type", "int_parsing", "int_parsing_size", "int_from_float"},
    "float": {"float_type", "float_parsing", "finite_number"},
    "decimal": {
        *("decimal_type", "decimal_parsing", "decimal_max_digits", "decimal_max_places", "decimal_whole_digits"),
        "finite_number",
    },
    "bool": {"bool_type", "bool_parsing"},
    "enum": {"enum"},
    "literal": {"literal_error"},
    "list": {"list_type", "too_short", "too_long"},
    "dict": {"dict_type", "too_short", "too_long"},
    "model": {"model_type", "model_attributes_type"},
    "model-fields": {"missing", "extra_forbidden", "model_attributes_type"},
    "none": {"none_required"},
    "datetime": {
        *("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        "timezone_aware",
    },
    "date": {"date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"},
}
"""By the kind of pydantic schema: what may be wrong with its input."""
SILENT = {
    *("any", "default", "definition-ref", "definitions", "function-after", "function-before", "function-plain"),
    *("function-wrap", "is-instance", "json-or-python", "lax-or-strict", "model-field", "no-info", "nullable"),
    *("union", "with-info", "chain", "tagged-union"),
}
"""Kinds that have no error of their own, or one of ours."""
BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "json_invalid", "value_error"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted([*ROOT.glob("app/**/*.py"), *ROOT.glob("workers/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_no_text_for_people_is_written_where_it_is_used() -> None:
    found = [
        f"{place} {keyword.arg}={ast.unparse(keyword.value)}"
        for place, call in calls()
        if ast.unparse(call.func).split(".")[-1] not in NOT_FOR_OPERATORS
        for keyword in call.keywords
        if keyword.arg in SAID and (isinstance(keyword.value, ast.JoinedStr) or _is_text(keyword.value))
    ]
    assert found == []


def _is_text(node: ast.expr) -> bool:
    """A sentence, and no code or name."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value


def kinds_of(node: Any) -> Iterator[str]:
    """The kinds of schemas that a pydantic core schema is made of."""
    if isinstance(node, dict):
        if isinstance(kind := node.get("type"), str):
            yield kind
        # What validators and defaults are made of is no schema.
        for name, part in node.items():
            if name not in {"metadata", "serialization", "function", "default", "ref", "expected"}:
                yield from kinds_of(part)
    elif isinstance(node, (list, tuple)):
        for part in node:
            yield from kinds_of(part)


def requests(kind: type[Request] = Request) -> Iterator[type[Request]]:
    for body in kind.__subclasses__():
        yield body
        yield from requests(body)


def test_all_that_can_be_wrong_with_a_body_has_a_text() -> None:
    create_app(make_settings("mongodb://127.0.0.1:9/?replicaSet=rs0"))  # so that all of them exist
    bodies = list(requests())
    assert len(bodies) > 15
    kinds = {kind for body in bodies for kind in kinds_of(body.__pydantic_core_schema__)}
    assert kinds <= ERRORS.keys() | SILENT, "say in ERRORS what can be wrong with it"


@pytest.mark.parametrize("error", sorted({*BOUNDS}.union(*ERRORS.values())))
def test_every_error_of_pydantic_is_said_in_our_words(error: str) -> None:
    assert f"input_{error}" in CATALOGUE
