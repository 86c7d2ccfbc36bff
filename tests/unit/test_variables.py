"""The variables of a call and the script that uses them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.variables import (
    call_variables,
    contact_variables,
    missing_variables,
    placeholders,
    render_script,
    reserved_names,
)
from tests.builders import NOW, make_contact


def variables(now: datetime = NOW, **contact: Any) -> dict[str, str]:
    return contact_variables(
        make_contact(**contact), account_name="Empresa XYZ", phone="+56900000001", now=now, timezone="America/Santiago"
    )


def test_a_call_knows_its_contact_the_company_and_the_day() -> None:
    assert variables(name="Ana Ñandú", email="ana@example.com", custom_fields={"monto": "12.990"}) == {
        "nombre": "Ana Ñandú",
        "name": "Ana Ñandú",
        "empresa": "Empresa XYZ",
        "telefono": "+56900000001",
        "email": "ana@example.com",
        "correo": "ana@example.com",
        "fecha_hoy": "03/06/2026",
        "monto": "12.990",
    }


def test_today_is_the_called_persons_today() -> None:
    early_on_the_4th_in_utc = datetime(2026, 6, 4, 2, 0, tzinfo=UTC)
    assert variables(now=early_on_the_4th_in_utc)["fecha_hoy"] == "03/06/2026"


def test_what_is_empty_is_left_out_so_that_no_braces_are_spoken() -> None:
    found = variables(name="", email=None, custom_fields={"monto": "  ", "cuota": ""})
    assert set(found) == {"empresa", "telefono", "fecha_hoy"}


def test_a_contacts_own_column_wins_over_what_we_know_unless_it_is_empty() -> None:
    assert variables(custom_fields={"empresa": "Otra"})["empresa"] == "Otra"
    assert variables(custom_fields={"empresa": " "})["empresa"] == "Empresa XYZ"


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("Hola {{nombre}}, debe {{ monto }} a {{nombre}}.", ["nombre", "monto"]),
        ("Sin nada.", []),
        ("{{ primer nombre }}", ["primer nombre"]),
        ("{nombre} {{nombre} {{{nombre}}}", ["nombre"]),
        ("{{a}}{{b}}", ["a", "b"]),
    ],
)
def test_placeholders_are_named_once_in_their_order(script: str, names: list[str]) -> None:
    assert placeholders(script) == names


def test_braces_that_never_close_take_no_time() -> None:
    """With a pattern that strips blanks itself, this would not end today."""
    script = "{{" + " " * 49_000 + "{{ }}"
    assert placeholders(script) == []
    assert render_script(script, {}) == script[:-5]


def test_missing_are_the_names_without_a_value() -> None:
    assert missing_variables("{{nombre}} {{monto}} {{fecha}}", {"nombre": "Ana"}) == ["monto", "fecha"]
    assert missing_variables("{{nombre}}", {"nombre": "Ana"}) == []


def test_a_script_is_rendered_with_its_values() -> None:
    assert render_script("Hola {{ nombre }}, debe ${{monto}}.", {"nombre": "Ana", "monto": "12.990"}) == (
        "Hola Ana, debe $12.990."
    )


def test_a_missing_value_is_rendered_as_nothing() -> None:
    assert render_script("Hola {{nombre}}.", {}) == "Hola ."


def test_a_value_is_not_taken_for_a_placeholder_or_a_pattern() -> None:
    assert render_script("{{a}}", {"a": r"{{b}} \1 \g<0>", "b": "no"}) == r"{{b}} \1 \g<0>"


plain = st.text(alphabet=st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=20)
names = st.text(alphabet="abcñ_ 1", min_size=1, max_size=8).map(str.strip).filter(bool)


@given(
    parts=st.lists(st.tuples(plain, names), max_size=6),
    end=plain,
    values=st.dictionaries(names, plain.filter(lambda text: bool(text.strip()))),
)
def test_a_rendered_script_is_its_text_with_values_and_has_no_brace(
    parts: list[tuple[str, str]], end: str, values: dict[str, str]
) -> None:
    script = "".join(f"{text}{{{{ {name} }}}}" for text, name in parts) + end
    assert render_script(script, values) == "".join(f"{text}{values.get(name, '')}" for text, name in parts) + end
    assert set(missing_variables(script, values)) == {name for _, name in parts} - set(values)


def test_a_call_carries_its_rendered_script_beside_its_variables() -> None:
    assert call_variables("Hola {{nombre}}", {"nombre": "Ana"}) == {"nombre": "Ana", "script": "Hola Ana"}


def test_a_call_without_script_carries_only_its_variables() -> None:
    assert call_variables("", {"nombre": "Ana"}) == {"nombre": "Ana"}


def test_a_column_named_script_does_not_replace_the_batchs_script() -> None:
    assert call_variables("Hola", {"script": "otra cosa"})["script"] == "Hola"


RESERVED = ["current_time", "current_time_America/Santiago", "session_id", "direction", "user_number", "agent_number"]
RESERVED += ["call_id", "call_type", "first_name", "last_name", "do_not_call", "First_Name"]


@pytest.mark.parametrize("name", RESERVED)
def test_retells_own_variables_are_not_overwritten_by_a_column_of_that_name(name: str) -> None:
    assert reserved_names([name, "monto"]) == {name}
    sent = call_variables(f"Hola {{{{{name}}}}}", {name: "Ana"})
    assert sent == {f"contact_{name}": "Ana", "script": "Hola Ana"}


def test_a_column_that_is_named_like_a_renamed_one_keeps_its_name() -> None:
    assert call_variables("", {"first_name": "Ana", "contact_first_name": "Eva"}) == {"contact_first_name": "Eva"}


@pytest.mark.parametrize("name", ["time", "current", "first_names", "nombre", "session", "call"])
def test_other_names_stay(name: str) -> None:
    assert call_variables("", {name: "x"}) == {name: "x"}


braces = st.text(alphabet="{} ab", max_size=12)


@given(script=braces, values=st.dictionaries(st.sampled_from(["a", "b", "ab"]), braces))
def test_no_double_brace_is_ever_sent_whatever_script_and_values_hold(script: str, values: dict[str, str]) -> None:
    for value in call_variables(script, values).values():
        assert "{{" not in value
        assert "}}" not in value


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("Debe {{monto}}.", "Debe ."),
        ("Hola {{nombre}}.", "Hola {cuota}."),
        ("{{}}|{{ }}|{{a{b}}", "||{a{b}"),
        ("{{{nombre}}}", "{cuota}"),
    ],
)
def test_what_cannot_be_filled_in_leaves_nothing_for_retell_to_fill_in(script: str, said: str) -> None:
    assert call_variables(script, {"nombre": "{{cuota}}"})["script"].replace(" ", "") == said.replace(" ", "")
