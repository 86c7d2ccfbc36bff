"""What a column's header says about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.column_mapping import ColumnMapping, find_header, map_columns
from app.domain.header_words import slug
from app.domain.tables import Cell, Row, filled_rows


def mapped(*headers: str) -> ColumnMapping:
    return map_columns(headers, header_row=1)


def targets(*headers: str) -> list[str]:
    return [column.target for column in mapped(*headers).columns]


def test_the_contract_example() -> None:
    assert mapped("nombre", "telefono_1", "telefono_2", "email", "rut", "monto_deuda").targets() == {
        "nombre": "name",
        "telefono_1": "phone_1",
        "telefono_2": "phone_2",
        "email": "email",
        "rut": "custom",
        "monto_deuda": "custom",
    }


@pytest.mark.parametrize(
    "header",
    [
        "Teléfono",
        "TELEFONO",
        "Teléfono(s)",
        "Teléfonos",
        "Fono",
        "Nº Teléfono",
        "N° de teléfono",
        "Tel.",
        "Tel. 1",
        "Celular",
        "Número de celular",
        "Móvil",
        "telefonoMovil",
        "Teléfono1",
        "Fono contacto",
        "Teléfono de contacto",
        "Phone",
        "Phone Number",
        "phone_number",
        "Mobile",
        "Cell phone",
        "Contact Phone",
        "Telefone",
        "Telefone celular",
        "WhatsApp",
        "Whatsapp cliente",
        "2do teléfono",
        "Teléfono principal",
        "Teléfono fijo",
        "Fono casa",
        "MSISDN",
        "\ufeffTeléfono",
        "Phone (E.164)",
        "T.E.L.",
        "Teléfono deudor",
    ],
)
def test_phones(header: str) -> None:
    assert targets(header) == ["phone_1"]


@pytest.mark.parametrize(
    "header",
    [
        "Tipo teléfono",
        "Compañía teléfono",
        "Estado del teléfono",
        "Fecha llamada teléfono",
        "Resultado teléfono",
        "Código",
        "Anexo",
        "Monto deuda",
        "RUT",
        "Empresa",
        "Dirección",
        "Observaciones",
        "Teléfono válido",
        "Ejecutivo",
        "Fecha vencimiento",
        "Producto",
        "Comuna",
        "Enviar whatsapp",
        "Modelo celular",
        "Teléfono email",
    ],
)
def test_custom(header: str) -> None:
    assert targets(header, "Teléfono")[0] == "custom"


@pytest.mark.parametrize(
    "header",
    [
        "Email",
        "E-mail",
        "e mail",
        "Correo",
        "Correo electrónico",
        "Correo Electronico cliente",
        "Mail",
        "E-Mail Address",
        "Dirección de correo",
        "eMail",
        "Correo eletrônico",
        "Email contacto",
    ],
)
def test_emails(header: str) -> None:
    assert targets(header) == ["email"]


@pytest.mark.parametrize(
    "header",
    [
        "Nombre",
        "NOMBRE",
        "Nombres",
        "Nombre completo",
        "Nombre y Apellido",
        "Nombres y apellidos",
        "Apellidos y nombres",
        "Full Name",
        "Name",
        "Nome",
        "Nome completo",
        "Razón Social",
        "Nombre cliente",
        "Nombre del deudor",
        "Customer Name",
        "nombreCliente",
    ],
)
def test_names(header: str) -> None:
    assert targets(header, "Teléfono")[0] == "name"


def test_a_weak_name_counts_where_there_is_no_better() -> None:
    guessed = mapped("Cliente", "Teléfono")
    assert [column.target for column in guessed.columns] == ["name", "phone_1"]
    assert [warning.code for warning in guessed.warnings] == ["column_guessed_name"]
    assert targets("Cliente", "Nombre", "Teléfono") == ["custom", "name", "phone_1"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (("Nombre", "Apellido"), ["first_name", "last_name"]),
        (("First Name", "Last Name"), ["first_name", "last_name"]),
        (("Nome", "Sobrenome"), ["first_name", "last_name"]),
        (("Nombres", "Apellido Paterno", "Apellido Materno"), ["first_name", "last_name", "second_last_name"]),
        (("Primer nombre", "Segundo nombre", "Apellidos"), ["first_name", "middle_name", "last_name"]),
        (("Nombre completo", "Nombre", "Apellido"), ["name", "custom", "last_name"]),
    ],
)
def test_names_in_parts(headers: tuple[str, ...], expected: list[str]) -> None:
    assert targets(*headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (("Tel 2", "Tel 1"), ["phone_2", "phone_1"]),
        (("Teléfono", "Teléfono"), ["phone_1", "phone_2"]),
        (("Teléfono aval", "Teléfono"), ["phone_2", "phone_1"]),
        (("Teléfono alternativo", "Teléfono principal"), ["phone_2", "phone_1"]),
        (("Fono ii", "Fono"), ["phone_2", "phone_1"]),
        (("Teléfono extra", "Celular"), ["phone_2", "phone_1"]),
    ],
)
def test_phones_are_numbered_by_confidence_index_and_column(headers: tuple[str, ...], expected: list[str]) -> None:
    assert targets(*headers) == expected


def test_phones_come_in_the_order_of_calling() -> None:
    assert [column.header for column in mapped("Tel 2", "Tel 1").phones] == ["Tel 1", "Tel 2"]


def test_mobile_headers_are_marked() -> None:
    assert [column.mobile for column in mapped("Celular", "Teléfono fijo").columns] == [True, False]


def test_duplicate_headers_get_numbers() -> None:
    assert list(mapped("Teléfono", "Monto", "Monto", "monto", "Teléfono").targets()) == [
        "telefono",
        "monto",
        "monto_2",
        "monto_3",
        "telefono_2",
    ]


def test_a_second_email_does_not_pass_for_the_contacts_own() -> None:
    assert mapped("Email", "E-mail", "Teléfono").targets() == {
        "email": "email",
        "e_mail": "custom",
        "telefono": "phone_1",
    }
    assert mapped("Correo", "Email", "Teléfono").targets() == {
        "correo": "email",
        "email_2": "custom",
        "telefono": "phone_1",
    }


def test_country_and_area_code() -> None:
    assert targets("País", "Código de área", "Teléfono") == ["country", "area_code", "phone_1"]


@pytest.mark.parametrize(
    ("headers", "holder"),
    [
        (("Nombre", "RUT", "Teléfono"), "RUT"),
        (("R.U.T.", "Teléfono"), "R.U.T."),
        (("RUT cliente", "Teléfono"), "RUT cliente"),
        (("Nº documento", "DNI", "Teléfono"), "DNI"),
        (("Nº documento", "Teléfono"), "Nº documento"),
        (("Cédula de identidad", "Teléfono"), "Cédula de identidad"),
        (("CPF", "Telefone"), "CPF"),
        (("Tipo documento", "Teléfono"), None),
    ],
)
def test_the_national_id_stays_custom_and_is_marked(headers: tuple[str, ...], holder: str | None) -> None:
    marked = [column for column in mapped(*headers).columns if column.national_id]
    assert [column.header for column in marked] == ([holder] if holder else [])
    assert all(column.target == "custom" for column in marked)


def test_an_ambiguous_header_takes_its_meaning_from_the_values() -> None:
    values = {0: ["1", "2", "3"], 1: ["987654321", "+56 9 8765 4321", "223456789"]}
    guessed = map_columns(["Número", "Contacto"], 1, lambda index: values[index])
    assert [column.target for column in guessed.columns] == ["custom", "phone_1"]
    assert [warning.code for warning in guessed.warnings] == ["column_guessed_phone"]


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Monto deuda ($)", "monto_deuda"),
        ("Año", "ano"),
        ("R.U.T.", "rut"),
        ("  Fecha  ", "fecha"),
        ("电话", ""),
        ("2024", "2024"),
    ],
)
def test_slug(header: str, key: str) -> None:
    assert slug(header) == key


@given(st.lists(st.text(min_size=1, max_size=20), max_size=12))
def test_keys_are_unique_and_every_header_has_a_column(headers: list[str]) -> None:
    columns = map_columns(headers, 1).columns
    assert len(columns) == len(headers)
    assert len({column.key for column in columns}) == len(headers)
    assert all(column.key for column in columns)


def rows(*cells: tuple[Cell, ...]) -> list[Row]:
    return list(filled_rows(cells))


@pytest.mark.parametrize(
    ("table", "position"),
    [
        (rows(("Nombre", "Teléfono"), ("Juan", "987654321")), 0),
        (rows(("Campaña noviembre",), ("Nombre", "Teléfono"), ("Juan", "987654321")), 1),
        (rows(("Empresa", "ACME"), ("Nombre", "Teléfono"), ("Juan", "987654321")), 1),
        (rows(("Nombre", "Deuda"), ("Juan", 5.0)), 0),
        (rows(("Teléfono",), ("987654321",)), 0),
        (rows(("Juan", "987654321"), ("Ana", "987654322")), None),
        (rows(("Cliente", "Celular", 2024.0), ("Juan", "987654321", 1.0)), 0),
        ([], None),
    ],
)
def test_find_header(table: list[Row], position: int | None) -> None:
    assert find_header(table) == position


def test_a_sentence_that_mentions_a_phone_is_no_header() -> None:
    assert targets("One phone rings at most once per attempt", "whatever dies") == ["custom", "custom"]
