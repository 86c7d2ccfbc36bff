"""What is said of a script that is accepted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.available_variables import AvailableVariables
from app.domain.batches import VoiceSettings
from app.domain.contacts import ContactRow
from app.domain.script_check import MOST_PLACEHOLDERS, refusals_of, warnings_of
from tests.builders import make_contact

SPANISH_OF_SPAIN = VoiceSettings(language="es-ES")


def said(script: str, **known: Any) -> list[tuple[str, dict[str, Any]]]:
    found = warnings_of(script, SPANISH_OF_SPAIN, **known)
    assert all(one.message.render("es") and one.message.render("en") for one in found)
    return [(one.message.code, one.message.params) for one in found]


@pytest.mark.parametrize(
    ("script", "warned"),
    [
        ("", []),
        ("Hola {{nombre}}, son {{ monto }} pesos.", []),
        ("Hola {{{nombre}}}", []),
        (" \n", [("script_empty", {})]),
        ("Hola {{nombre, debe", [("script_placeholder_unclosed", {"excerpt": "Hola {{nombre, debe"})]),
        ("Hola {{nombre}, debe", [("script_placeholder_unclosed", {"excerpt": "Hola {{nombre}, debe"})]),
        ("Hola nombre}}, debe", [("script_placeholder_unopened", {"excerpt": "Hola nombre}}, debe"})]),
        ("Hola {{ }} y {{}}", [("script_placeholder_empty", {})]),
        ("Hola {nombre}", [("script_single_braces", {"excerpt": "{nombre}", "name": "nombre"})]),
        ("Hola {{ nombre | upper }}", [("script_filter_unknown", {"name": "nombre", "filter": "upper"})]),
    ],
)
def test_what_would_be_spoken_otherwise_than_meant_is_told(script: str, warned: list[tuple[str, Any]]) -> None:
    assert said(script) == warned


def test_a_long_script_costs_more() -> None:
    assert said("a" * 12_250) == []
    ((code, params),) = said("a" * 12_300)
    assert (code, params["chars"], params["free"]) == ("script_long", 12_300, 3500)


def test_a_script_that_no_job_could_hold_is_refused() -> None:
    assert refusals_of("{{a}}" * MOST_PLACEHOLDERS, SPANISH_OF_SPAIN) == []
    (error,) = refusals_of("{{a}}" * (MOST_PLACEHOLDERS + 1), SPANISH_OF_SPAIN)
    assert (error.loc, error.message.code) == (("script_content",), "script_too_many_variables")
    assert {one.loc for one in refusals_of("{{a}}" * 1001, VoiceSettings(language="xx"))} == {
        ("script_content",),
        ("voice_settings", "language"),
    }


def test_a_column_under_the_scripts_own_name_does_not_arrive() -> None:
    available = AvailableVariables.of([ContactRow(2, make_contact(custom_fields={"script": "x"}))])
    assert said("Hola {{script}}", available=available) == [("script_column_replaced", {"name": "script"})]
    assert said("Hola", available=AvailableVariables.of([])) == []


@given(st.text(alphabet="{}| nombre\n{}", max_size=60))
def test_whatever_is_written_it_can_be_said_what_is_wrong_with_it(script: str) -> None:
    available = AvailableVariables.of([ContactRow(2, make_contact())])
    for warned in said(script, available=available):
        assert warned
    for variable in available.missing(script):
        assert variable.message.render("es")
        assert variable.message.render("en")
