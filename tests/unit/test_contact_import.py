"""A table's rows as contacts, and what is said about the others."""

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.contact_import import ContactImport, Duplicate, import_contacts, is_email
from app.domain.errors import SpreadsheetRejected
from app.domain.messages import CATALOGUE
from app.domain.messages.imports import TEXTS
from app.domain.tables import MAX_CELL_CHARS, MAX_HEADER_CHARS, Cell, Table, cell_text, column_letters, filled_rows

HEADER: tuple[Cell, ...] = ("Nombre", "RUT", "Teléfono 1", "Teléfono 2", "Correo", "Monto deuda")
MIDNIGHT = datetime(2026, 1, 31)  # noqa: DTZ001 - cells know no time zone


def imported(*rows: tuple[Cell, ...], country: str | None = "CL") -> ContactImport:
    """`rows` from row 1 on; blank ones are left out, as the readers do."""
    return import_contacts(Table("Hoja1", list(filled_rows(rows))), country=country)


def codes(issues: list[Any]) -> dict[int, list[str]]:
    return {number: [issue.message.code for issue in found] for number, found in issues}


def rejection(*rows: tuple[Cell, ...]) -> SpreadsheetRejected:
    with pytest.raises(SpreadsheetRejected) as caught:
        imported(*rows)
    for language in ("es", "en"):
        assert caught.value.message.render(language)
    return caught.value


def test_a_complete_row() -> None:
    result = imported(HEADER, ("Juan Pérez", "12345678-5", 987654321.0, "+56 2 2345 6789", "juan@email.com", 50000.0))
    [(row_number, contact)] = result.contacts
    assert row_number == 2
    assert contact.model_dump() == {
        "name": "Juan Pérez",
        "phones": ["+56987654321", "+56223456789"],
        "email": "juan@email.com",
        "dni": "12345678-5",
        "timezone": None,
        "custom_fields": {"rut": "12345678-5", "monto_deuda": "50000"},
    }
    assert (result.total_rows, result.row_errors, result.row_warnings, result.duplicates) == (1, [], [], [])
    assert (result.country, result.sheet) == ("CL", "Hoja1")


def test_rows_keep_the_spreadsheets_numbers_and_blank_ones_do_not_count() -> None:
    result = imported(
        ("Campaña",), (), HEADER, (), ("Ana", "", 987654321.0), (), ("Luis", "", "s/n"), ("Eva", "", "987654322")
    )
    assert [row.row_number for row in result.contacts] == [5, 8]
    assert codes(result.row_errors) == {7: ["phone_not_a_number"]}
    assert result.total_rows == 3
    assert result.mapping.header_row == 3


def test_what_makes_a_row_an_error() -> None:
    result = imported(
        HEADER,
        ("Sin", "", "", ""),
        ("Letras", "", "no tiene", ""),
        ("Corto", "", "12345", ""),
        ("Científico", "", "5,69123E+10", ""),
        ("Dos malos", "", "12345", "123456"),
    )
    assert not result.contacts
    assert codes(result.row_errors) == {
        2: ["phone_missing"],
        3: ["phone_not_a_number"],
        4: ["phone_too_short"],
        5: ["phone_scientific"],
        6: ["phone_too_short", "phone_too_short"],
    }
    assert [issue.loc for issue in result.row_errors[4].issues] == [("telefono_1",), ("telefono_2",)]


def test_one_good_number_makes_the_rest_warnings() -> None:
    result = imported(HEADER, ("", "", "12345", "+56912345678", "no-es-correo", ""))
    [(_, contact)] = result.contacts
    assert contact.phones == ["+56912345678"]
    assert (contact.name, contact.email) == ("", None)
    assert contact.custom_fields == {"correo": "no-es-correo"}
    assert sorted(codes(result.row_warnings)[2]) == [
        "email_invalid",
        "name_missing",
        "phone_too_short",
        "phone_unassigned_range",
    ]


def test_every_message_of_a_row_renders() -> None:
    result = imported(HEADER, ("", "", "12345; 22345678; 600 600 1234; +56912345678", "", "x"), ("", "", "12345"))
    for _, issues in result.row_errors + result.row_warnings:
        for issue in issues:
            assert issue.message.render("es")
            assert issue.message.render("en")


def test_the_same_number_twice_in_a_row_is_one() -> None:
    [(_, contact)] = imported(HEADER, ("Ana", "", "987654321", "+56 9 8765 4321")).contacts
    assert contact.phones == ["+56987654321"]


def test_several_numbers_in_one_cell() -> None:
    [(_, contact)] = imported(HEADER, ("Ana", "", "987654321 / 987654322", "223456789 anexo 12")).contacts
    assert contact.phones == ["+56987654321", "+56987654322", "+56223456789"]
    assert contact.custom_fields == {"telefono_2_extension": "12"}


def test_duplicates_across_rows_are_kept_and_reported() -> None:
    result = imported(
        HEADER,
        ("Ana", "", "987654321"),
        ("Luis", "", "987654322", "+56987654321"),
        ("Eva", "", "987654322"),
    )
    assert len(result.contacts) == 3
    assert result.duplicates == [Duplicate(3, 2, "+56987654321"), Duplicate(4, 3, "+56987654322")]


def test_a_country_column_goes_before_the_accounts() -> None:
    result = imported(
        ("Nombre", "Teléfono", "País"),
        ("Ana", "11 15 2345 6789", "Argentina"),
        ("Luis", "987654321", ""),
        ("Eva", "987654321", "Atlántida"),
    )
    assert [row.contact.phones for row in result.contacts] == [["+5491123456789"], ["+56987654321"], ["+56987654321"]]
    assert codes(result.row_warnings) == {4: ["country_unknown"]}
    assert result.contacts[0].contact.custom_fields == {"pais": "Argentina"}


def test_without_a_country_only_international_numbers_pass() -> None:
    result = imported(("Nombre", "Teléfono"), ("Ana", "987654321"), ("Luis", "+56987654321"), country=None)
    assert codes(result.row_errors) == {2: ["phone_needs_country"]}
    assert len(result.contacts) == 1


def test_an_area_code_column_completes_local_numbers() -> None:
    result = imported(("Nombre", "Área", "Código de área", "Celular"), ("Ana", "x", 11.0, "2345-6789"), country="AR")
    assert result.contacts[0].contact.phones == ["+5491123456789"]


def test_names_in_parts_are_joined_and_stay_variables() -> None:
    [(_, contact)] = imported(("Nombre", "Apellido", "Fono"), ("Juan", "Pérez", "987654321")).contacts
    assert contact.name == "Juan Pérez"
    assert contact.custom_fields == {"nombre": "Juan", "apellido": "Pérez"}


def test_a_scripts_variable_by_the_columns_own_name() -> None:
    [(_, contact)] = imported(
        ("Nombre cliente", "Correo electrónico", "Fono"), ("Ana", "ana@x.cl", "987654321")
    ).contacts
    assert (contact.name, contact.email) == ("Ana", "ana@x.cl")
    assert contact.custom_fields == {"nombre_cliente": "Ana", "correo_electronico": "ana@x.cl"}


def test_values_become_the_text_that_is_seen() -> None:
    header = ("Nombre", "Teléfono", "Saldo", "Tasa", "Vence", "Activo", "Nota", "Hora")
    values: tuple[Cell, ...] = (
        "\u00a0Ana\u200b ",
        987654321.0,
        1500000.0,
        0.195,
        datetime(2026, 1, 31),  # noqa: DTZ001 - cells know no zone
        True,
        "uno\n dos\x00",
        time(9, 30),
    )
    [(_, contact)] = imported(header, values).contacts
    assert contact.name == "Ana"
    assert contact.custom_fields == {
        "saldo": "1500000",
        "tasa": "0.195",
        "vence": "2026-01-31",
        "activo": "sí",
        "nota": "uno dos",
        "hora": "09:30:00",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (56912345678.0, "56912345678"),
        (1e15, "1000000000000000"),
        (0.1 + 0.2, "0.3"),
        (1e-7, "0.0000001"),
        (-2.5, "-2.5"),
        (float("nan"), ""),
        (False, "no"),
        (7, "7"),
        (None, ""),
        (date(2026, 1, 31), "2026-01-31"),
        (
            datetime(2026, 1, 31, 10, 30),  # noqa: DTZ001 - cells know no zone
            "2026-01-31T10:30:00",
        ),
        (timedelta(hours=30, minutes=5), "30:05:00"),
        ("\u202a+56 9\u202c\u00a01", "+56 9 1"),
    ],
)
def test_cell_text(value: Cell, text: str) -> None:
    assert cell_text(value) == text


@given(st.floats())
def test_no_number_is_written_in_scientific_notation(value: float) -> None:
    assert "e" not in cell_text(value).lower()


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_whole_numbers_keep_their_digits(value: int) -> None:
    assert cell_text(float(value)) == str(value)


def test_no_phone_column_names_the_headers() -> None:
    error = rejection(("Nombre", "Deuda"), ("Juan", 5.0))
    assert error.code == "no_phone_column"
    assert "Nombre, Deuda" in error.message.render()


def test_headers_unknown_altogether_are_named_too() -> None:
    assert rejection(("Foo", "Bar"), ("a", "b")).message.params == {"headers": "Foo, Bar"}


def test_a_list_without_header_is_told_so() -> None:
    error = rejection(("Juan", "987654321"), ("Ana", "987654322"))
    assert (error.code, error.message.params) == ("no_header", {"row": 1})


def test_a_header_alone() -> None:
    assert rejection(HEADER).code == "no_rows"


def test_an_empty_table() -> None:
    assert rejection().code == "file_empty"


def test_a_phone_column_without_values_hints_at_formulas() -> None:
    error = rejection(("Nombre", "Teléfono"), ("Ana",), ("Luis",))
    assert error.code == "phone_column_empty"
    assert "Teléfono" in error.message.render("en")


def test_an_empty_column_is_told() -> None:
    result = imported(HEADER, ("Ana", "", "987654321"))
    assert [w.params["header"] for w in result.mapping.warnings] == ["RUT", "Teléfono 2", "Correo", "Monto deuda"]


def test_columns_without_header_are_kept_under_their_position() -> None:
    result = imported(("Nombre", "", "Teléfono", ""), ("Ana", "algo", "987654321", "", "más"))
    assert result.contacts[0].contact.custom_fields == {"columna_2": "algo", "columna_5": "más"}


def test_limits_are_named_not_applied_silently() -> None:
    error = rejection(("Nombre", "Teléfono " + "x" * MAX_HEADER_CHARS), ("Ana", "987654321"))
    assert (error.code, error.message.params) == ("header_too_long", {"column": "B", "limit": MAX_HEADER_CHARS})
    many = "; ".join(str(987654300 + number) for number in range(21))
    result = imported(HEADER, ("Ana", "", many), ("Luis", "x" * (MAX_CELL_CHARS + 1), "987654321"))
    assert codes(result.row_errors) == {2: ["too_many_phones"], 3: ["cell_too_long"]}
    assert result.row_errors[1].issues[0].message.params == {"header": "RUT", "limit": MAX_CELL_CHARS}


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.domain.contact_sheet.MAX_ROWS", 1)
    error = rejection(HEADER, ("Ana", "", "987654321"), ("Luis", "", "987654322"))
    assert (error.code, error.message.params) == ("too_many_rows", {"limit": 1})


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("ana@x.cl", "ana@x.cl"),
        ("ana@x.cl; luis@x.cl", "ana@x.cl"),
        ("mailto:ana@x.cl", "ana@x.cl"),
        ("Ana <ana.b+c@mail.x.com>", "ana.b+c@mail.x.com"),
        ("ana@x", None),
        ("ana x.cl", None),
        ("@x.cl", None),
    ],
)
def test_email(written: str, address: str | None) -> None:
    assert imported(HEADER, ("Ana", "", "987654321", "", written)).contacts[0].contact.email == address


@pytest.mark.timeout(10)
def test_hostile_emails_take_no_time() -> None:
    for text in ("a@" + "a." * 900, "a@" * 1000, "a" * 2000, "a@" + "a" * 2000 + "!"):
        assert not is_email(text)


CELLS = st.one_of(st.none(), st.text(max_size=20), st.floats(), st.integers(), st.booleans(), st.dates())


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_whatever_the_cells_every_row_is_a_contact_or_an_error(rows: list[tuple[Cell, ...]]) -> None:
    try:
        result = imported(("Nombre", "Teléfono", "Correo", "Nota"), *rows)
    except SpreadsheetRejected as rejected:
        assert rejected.code in {"no_rows", "phone_column_empty"}  # noqa: PT017 - the other outcome is as good
        return
    assert len(result.contacts) + len(result.row_errors) == result.total_rows
    assert all(issues for _, issues in result.row_errors)


def test_column_letters() -> None:
    assert [column_letters(index) for index in (0, 25, 26, 701, 702, 16383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


def test_the_texts_are_in_the_catalogue_in_both_languages() -> None:
    for code, texts in TEXTS.items():
        assert CATALOGUE[code] == texts
        assert set(texts) == {"es", "en"}


@pytest.mark.parametrize(
    "header", ["zona_horaria", "Zona Horaria", "timezone", "Time zone", "huso_horario", "fuso_horario"]
)
def test_a_column_for_the_contacts_own_time_zone(header: str) -> None:
    result = imported(
        ("Nombre", "Teléfono", header),
        ("Ana", "987654321", "America/Punta_Arenas"),
        ("Luis", "987654322", "pacific/easter"),
        ("Eva", "987654323", ""),
    )
    assert [contact.timezone for _, contact in result.contacts] == ["America/Punta_Arenas", "Pacific/Easter", None]
    key = result.mapping.columns[2].key
    assert result.mapping.targets()[key] == "timezone"
    assert result.contacts[0].contact.custom_fields[key] == "America/Punta_Arenas", "a script may say it"


def test_a_wrong_time_zone_is_an_error_of_its_row_and_column() -> None:
    result = imported(
        ("Nombre", "Teléfono", "Zona horaria"), ("Ana", "987654321", "GMT-4"), ("Luis", "987654322", "America/Lima")
    )
    assert [row.row_number for row in result.contacts] == [3]
    assert codes(result.row_errors) == {2: ["time_zone_unknown"]}
    assert result.row_errors[0].issues[0].loc == ("zona_horaria",)
