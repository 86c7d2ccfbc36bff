"""Columns by their content, and by the client's word."""

import pytest

from app.domain.column_choice import apply_choices, find_chosen_header
from app.domain.column_mapping import ColumnMapping, map_columns
from app.domain.contact_import import import_contacts
from app.domain.errors import SpreadsheetRejected
from app.domain.tables import Cell, Row, Table, filled_rows


def by_content(header: str, values: list[str]) -> ColumnMapping:
    return map_columns(["Nombre", header], 1, lambda index: ["Ana", *values] if index == 0 else values)


PHONES = ["987654321", "+56 9 7654 3210", "222345678", "s/n", "956781234"]


def test_numbers_under_a_header_that_says_nothing() -> None:
    mapping = by_content("Dato", PHONES)
    assert [column.header for column in mapping.phones] == ["Dato"]
    assert [warning.code for warning in mapping.warnings] == ["column_phone_by_content"]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("RUT", PHONES),
        ("Monto", PHONES),
        ("Código", PHONES),
        ("Dato", ["12345678-5", "9876543-3", "5.126.663-3"]),
        ("Dato", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("Dato", [str(10_000_000 + number) for number in range(20)]),
        ("Dato", ["987654321", "no", "sí", "no"]),
        ("Dato", []),
    ],
)
def test_what_only_looks_like_numbers(header: str, values: list[str]) -> None:
    assert by_content(header, values).phones == []


def test_a_header_that_says_phone_goes_before_content() -> None:
    values = {0: PHONES, 1: PHONES}
    mapping = map_columns(["Dato", "Celular"], 1, values.__getitem__)
    assert [column.header for column in mapping.phones] == ["Celular"]


def test_a_weak_guess_gives_way_to_the_clients_word() -> None:
    guessed = map_columns(["Nombre", "Número", "Dato"], 1)
    assert [column.header for column in guessed.phones] == ["Número"]
    chosen = apply_choices(guessed, {"Dato": "phone_1"})
    assert [column.header for column in chosen.phones] == ["Dato"]
    assert chosen.targets()["numero"] == "custom"


def test_phones_are_numbered_without_gaps_the_clients_first() -> None:
    guessed = map_columns(["Tel 1", "Tel 2", "Tel 3"], 1)
    chosen = apply_choices(guessed, {"tel_3": "phone_7"})
    assert chosen.targets() == {"tel_1": "phone_2", "tel_2": "phone_3", "tel_3": "phone_1"}


def test_the_id_is_the_one_that_the_client_names() -> None:
    chosen = apply_choices(map_columns(["RUT", "Pasaporte", "Fono"], 1), {"pasaporte": "dni"})
    assert [column.header for column in chosen.columns if column.national_id] == ["Pasaporte"]


def test_the_header_is_the_row_with_the_named_columns() -> None:
    rows = [Row(1, ("Nombre", "Fono")), Row(2, ("AA", "BB")), Row(3, ("Ana", "987654321"))]
    assert find_chosen_header(rows, ["bb"]) == 1
    assert find_chosen_header(rows, ["cc"]) == 0


def listed(*rows: tuple[Cell, ...]) -> Table:
    return Table(None, list(filled_rows(rows)))


def test_a_wrong_check_digit_is_a_warning_in_chile() -> None:
    table = listed(("Nombre", "RUT", "Fono"), ("Ana", "12345678-9", "+56987654321"), ("Eva", "P123", "+56987654322"))
    found = import_contacts(table, country="CL")
    assert [(row.row_number, row.issues[0].message.code) for row in found.row_warnings] == [(2, "rut_check_digit")]
    assert found.contacts[0].contact.dni == "12345678-9"
    assert import_contacts(table, country="UY").row_warnings == []


def test_without_anything_like_a_phone_it_is_no_list() -> None:
    with pytest.raises(SpreadsheetRejected, match="no_phone_column"):
        import_contacts(listed(("Nombre", "Dato"), ("Ana", "x")), country="CL")
