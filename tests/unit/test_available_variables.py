"""What a list gives a script, counted once; and the script checked against the count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.available_variables import FIRST_ROWS, AvailableVariables, missing_errors, nearest_name
from app.domain.contacts import Contact, ContactRow
from app.domain.variables import contact_variables, missing_variables
from tests.builders import NOW, make_contact

NAMES = ["nombre", "name", "email", "correo", "monto", "cuota", "empresa", "telefono", "fecha_hoy", "otra"]


def rows(*custom_fields: dict[str, str]) -> list[ContactRow]:
    return [ContactRow(2 + place, make_contact(custom_fields=fields)) for place, fields in enumerate(custom_fields)]


contacts = st.builds(
    make_contact,
    name=st.sampled_from(["", " ", "Ana"]),
    email=st.sampled_from([None, "ana@correo.cl"]),
    custom_fields=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["", "  ", "x"]), max_size=6),
)


@given(st.lists(contacts, max_size=12), st.lists(st.sampled_from(NAMES), max_size=6))
def test_the_count_says_what_each_contact_would_say(people: list[Contact], names: list[str]) -> None:
    script = " ".join(f"{{{{{name}}}}}" for name in names)
    lacking: dict[str, list[int]] = {}
    for number, contact in enumerate(people, 1):
        known = contact_variables(contact, account_name="A", phone="+56", now=NOW, timezone="UTC")
        for name in missing_variables(script, known):
            lacking.setdefault(name, []).append(number)
    available = AvailableVariables.of([ContactRow(number, contact) for number, contact in enumerate(people, 1)])
    found = available.missing(script)
    assert {variable.name: variable.first_rows for variable in found} == lacking
    for variable in found:
        assert variable.rows == len(lacking[variable.name])
        assert variable.is_unknown == (variable.rows == len(people))


def test_a_column_that_appears_late_was_missing_before_and_rows_are_named_up_to_a_number() -> None:
    available = AvailableVariables.of(rows(*[{}] * 400, {"monto": "1"}, {}))
    (gap,) = available.missing("{{monto}}")
    assert (gap.rows, gap.first_rows, gap.is_unknown) == (401, list(range(2, 2 + FIRST_ROWS)), False)
    errors = missing_errors([gap], 200)
    assert [error.message.params.get("row") for error in errors] == [*range(2, 2 + FIRST_ROWS), None]
    assert errors[-1].message.render("es") == "Contactos sin valor para monto: 401."


def test_rows_that_lack_several_are_named_once_and_in_order() -> None:
    available = AvailableVariables.of(rows({"b": "1"}, {}, {"a": "1"}))
    errors = missing_errors(available.missing("{{a}} {{b}} {{c}}"), 200)
    assert [(error.message.code, error.message.params) for error in errors] == [
        ("variable_unknown", {"name": "c"}),
        ("variables_missing", {"row": 2, "names": "a"}),
        ("variables_missing", {"row": 3, "names": "a, b"}),
        ("variables_missing", {"row": 4, "names": "b"}),
    ]


def test_a_name_that_nobody_has_is_told_once_with_the_one_that_was_meant() -> None:
    available = AvailableVariables.of(rows({"monto_deuda": "1"}, {"monto_deuda": "1"}))
    (error,) = missing_errors(available.missing("{{monto_deudas}}"), 200)
    assert error.message.render("es") == (
        "Ningún contacto tiene valor para {{monto_deudas}}. ¿Quiso decir {{monto_deuda}}?"
    )


def test_no_answer_grows_with_what_somebody_made_up() -> None:
    available = AvailableVariables.of(rows(*[{f"c{n}": "1" for n in range(200)}, {}]))
    script = "".join(f"{{{{{'x' * 400}{n}}}}} {{{{c{n}}}}}" for n in range(100))
    missing = available.missing(script)
    assert len(missing) == 200
    errors = missing_errors(missing, 200)
    assert all(len(error.message.render("es")) < 300 for error in errors)
    (row,) = [error for error in errors if error.message.code == "variables_missing"]
    assert row.message.params["names"].endswith("c19, …")


def test_names_that_every_contact_is_given_besides_are_not_missing() -> None:
    available = AvailableVariables.of(rows({}))
    assert available.missing("{{fecha_limite}} {{empresa}}", given=["fecha_limite"]) == []
    assert available.names(["fecha_limite"]) == ["nombre", "name", "fecha_limite", "empresa", "telefono", "fecha_hoy"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Nombre", "nombre"),
        ("MONTO DEUDA", "monto_deuda"),
        ("monto_deduda", "monto_deuda"),
        ("deuda", "monto_deuda"),
        ("nombre | upper", "nombre"),
        ("telefono_aval", None),
        ("fecha", None),
        ("xyz", None),
        ("", None),
        ("|", None),
    ],
)
def test_the_nearest_name(written: str, meant: str | None) -> None:
    assert nearest_name(written, ["nombre", "monto_deuda", "telefono", "fecha_hoy", "fecha_pago"]) == meant
