"""What each column of a contact list holds, judged by its header (Spanish, English, Portuguese).

* normalise the header to words; a trailing number or "principal" is its index; little words do not count
* exact sets (country, area code, time zone, names), then e-mail, then phone, then national ids; the rest stays custom
* phones are numbered by confidence, index and column; weak guesses count only where nothing better is there

Every column keeps a key, its slug: custom fields reach the call's script under it.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from app.domain.messages import Message
from app.domain.national_ids import is_rut
from app.domain.tables import Cell, Row, cell_text, is_blank

# The header is looked for in the first rows that hold anything: titles and remarks may stand above it.
HEADER_SEARCH_ROWS = 20

# Of this share of its values a column of ambiguous header ("contacto", "numero") takes its meaning.
_CONTENT_SHARE = 0.7

# So many values in ascending order are a series of ids; fewer may be so by chance.
_SHORTEST_SERIES = 5

_LONGEST_PHONE_HEADER = 6  # words; a sentence that mentions a phone is prose, and its file no contact list
_SURE, _LIKELY, _SOMEBODY_ELSE, WEAK, _BY_CONTENT = 1.0, 0.7, 0.6, 0.4, 0.3


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP = _words("de del la el los las y e o do da dos das of the a al en para su con")
_NUMBER_WORDS = _words("n no nro nr num numero number")
_INDEX_WORDS = {
    "uno": 1,
    "principal": 1,
    "primario": 1,
    "primary": 1,
    "main": 1,
    "dos": 2,
    "ii": 2,
    "secundario": 2,
    "secondary": 2,
    "alternativo": 2,
    "alternate": 2,
    "opcional": 2,
    "adicional": 2,
    "tres": 3,
    "iii": 3,
    "iv": 4,
}
_ORDINAL_ENDINGS = _words("er ero era do da ro ra to ta st nd rd th o a")

_PHONE = _words(
    "telefono telefonos fono fonos tel tels telef telf tlf tlfn tfno tfn fon celular celulares cel cell"
    " celu cellphone movil moviles mobile mobilephone phone phones telephone telefone telefones fone"
    " fones whatsapp whatsap wsp wapp wpp whats wa zap msisdn smartphone telefonico telefonica pho"
    " phonenumber"
)
_MOBILE = _words(
    "celular celulares cel cell celu cellphone movil moviles mobile mobilephone whatsapp whatsap wsp"
    " wapp wpp whats wa zap smartphone"
)
_PHONE_COMPANY = _words(
    "fijo fija fixo casa hogar home trabajo work oficina office laboral particular comercial personal"
    " contacto contact contato cliente client customer titular deudor red linea residencial recado"
    " recados empresa business domicilio e164 call llamada llamar discar marcar"
)
_SOMEBODY_ELSES = _words("aval codeudor conyuge referencia")
_NOT_A_PHONE = _words(
    "tipo type estado status compania operador operadora carrier valido valid fecha date hora codigo"
    " cod code area prefijo anexo interno ext cantidad total score resultado gestion ejecutivo agente"
    " vendedor cobrador asesor sucursal producto banco archivo campana enviar enviado postal observacion"
    " observaciones comentario comentarios flag intentos ultimo ultima mejor plan marca modelo pais ok"
    " prioridad asunto usuario cargo nombre rut correo email mail monto"
)

_EMAIL = _words("email emails mail mails correo correos")
_EMAIL_COMPANY = _words(
    "e electronico electronicos eletronico direccion dir address contacto contact contato cliente"
    " client customer titular deudor trabajo personal laboral particular empresa work home business"
)

_COUNTRY = {("pais",), ("country",), ("codigo", "pais"), ("country", "code")}
_AREA_CODE = {("codigo", "area"), ("area", "code"), ("prefijo",), ("caracteristica",), ("ddd",)}

_TIME_ZONE = {
    ("zona", "horaria"),
    ("huso",),
    ("huso", "horario"),
    ("fuso",),
    ("fuso", "horario"),
    ("timezone",),
    ("time", "zone"),
    ("tz",),
}

_PERSON = _words("cliente contacto contato deudor devedor titular paciente alumno aluno socio afiliado usuario persona")
_WHOLE_NAME = {
    tuple(name.split())
    for name in (
        "nombre completo",
        "nombres apellidos",
        "nombre apellido",
        "nombre apellidos",
        "nombres apellido",
        "apellido nombre",
        "apellidos nombres",
        "apellidos nombre",
        "apellido nombres",
        "full name",
        "fullname",
        "nome completo",
        "nome sobrenome",
        "razon social",
        "razao social",
        "name",
        "nombre razon social",
        *(f"{name} {who}" for name in ("nombre", "nombre completo", "nome") for who in sorted(_PERSON)),
        *(f"{who} name" for who in ("user", "customer", "contact", "client", "person", "display")),
    )
}
_NAME_OR_FIRST = {("nombre",), ("nombres",), ("nome",), ("nomes",)}
_FIRST_NAME = {
    ("first", "name"),
    ("firstname",),
    ("primer", "nombre"),
    ("primeiro", "nome"),
    ("nombre", "pila"),
    ("fname",),
    ("given", "name"),
}
_MIDDLE_NAME = {("segundo", "nombre"), ("middle", "name"), ("middlename",)}
_LAST_NAME = {
    ("apellido",),
    ("apellidos",),
    ("last", "name"),
    ("lastname",),
    ("surname",),
    ("sobrenome",),
    ("primer", "apellido"),
    ("lname",),
    ("family", "name"),
    ("apellido", "paterno"),
    ("paterno",),
    ("apellidos", "cliente"),
    ("apellido", "cliente"),
}
_SECOND_LAST_NAME = {("apellido", "materno"), ("materno",), ("segundo", "apellido")}
_WEAK_NAME = _words(
    "cliente contacto contact contato deudor titular destinatario persona pessoa paciente socio"
    " afiliado customer client alumno apoderado usuario"
)

_NATIONAL_ID = _words("rut run dni cuit cuil cuil cedula ci cc nit cpf cnpj ruc rfc curp rif pasaporte passport")
_DOCUMENT = _words("documento identificacion identidade document")
_ID_COMPANY = _words(
    "cliente client customer titular deudor contacto persona personal paciente alumno socio afiliado"
    " identidad nacional ciudadania national tax id documento identificacion numero empresa dv"
)
_ID_EXACT = {
    ("national", "id"),
    ("tax", "id"),
    ("id", "nacional"),
    ("carnet", "identidad"),
    ("carne", "identidad"),
}

_RESERVED_KEY = re.compile(r"name|email|phone_\d+|phones|custom_fields")

_PLURAL_IN_PARENTHESES = re.compile(r"\((?:s|es|as|os|a|o)\)", re.IGNORECASE)
_DOTTED_INITIALS = re.compile(r"\b(?:[^\W\d_]\.){2,}(?:[^\W\d_]\b)?")
_BORDERS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_TOKEN = re.compile(r"[a-z0-9]+")
_PHONE_LIKE = re.compile(r"[+(]?[\d\s().+-]{7,24}")
_DATE_LIKE = re.compile(r"\d{4}[-/.]\d\d?[-/.]\d\d?.*|\d\d?[-/.]\d\d?[-/.]\d{4}.*")


class MappedColumn(BaseModel):
    """One column. `index` counts from 0 (column A); `header` is as shown; `key` is unique in the sheet.

    `target` is "name", "first_name", "middle_name", "last_name", "second_last_name", "email", "country",
    "area_code", "timezone", "phone_1", "phone_2", ..., "custom", or "ignore" if the client said so. `confidence` is
    0 to 1. `mobile` says that the header promises mobile numbers; `national_id` that the (custom) column holds the
    contact's `dni`.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    header: str
    key: str
    target: str
    confidence: float = _SURE
    mobile: bool = False
    national_id: bool = False


class ColumnMapping(BaseModel):
    """`header_row` is the header's row number in the spreadsheet. `warnings` tell what was guessed."""

    model_config = ConfigDict(frozen=True)

    header_row: int
    columns: tuple[MappedColumn, ...]
    warnings: tuple[Message, ...] = ()

    @property
    def phones(self) -> list[MappedColumn]:
        """In the order in which they are to be called."""
        phones = [column for column in self.columns if column.target.startswith("phone_")]
        return sorted(phones, key=lambda column: int(column.target.removeprefix("phone_")))

    def first(self, target: str) -> MappedColumn | None:
        return next((column for column in self.columns if column.target == target), None)

    def headers(self) -> list[str]:
        """As shown, from column A on; "" for a column without one."""
        texts = [""] * max((column.index + 1 for column in self.columns), default=0)
        for column in self.columns:
            texts[column.index] = column.header
        return texts

    def targets(self) -> dict[str, str]:
        """Key to target, in column order, as the preview shows it: `{"nombre": "name", "rut": "custom"}`."""
        return {column.key: column.target for column in self.columns}


class _Header(NamedTuple):
    core: tuple[str, ...]
    ordinal: int
    numbered: bool
    """Whether it said "numero" or the like."""


class _Guess(NamedTuple):
    target: str
    confidence: float = _SURE


_CUSTOM = _Guess("custom")

Samples = Callable[[int], Iterable[str]]
"""The first values of a column, by its index, as texts."""


def map_columns(headers: Sequence[str], header_row: int, samples: Samples | None = None) -> ColumnMapping:
    """The meaning of each header; a blank one ("") is left out, so name a column that has data beforehand.

    `samples` settles headers that may mean two things; without it they mean what they mostly do.
    """
    parsed = {index: parse_header(header) for index, header in enumerate(headers) if header}
    guesses = {index: _guess(header) for index, header in parsed.items()}
    warnings = _resolve_weak(guesses, parsed, headers, samples)
    _settle_names(guesses)
    _keep_first(guesses, "email", "country", "area_code", "timezone")
    _number_phones(guesses, parsed)
    dni = _national_id(parsed, guesses)
    keys = _keys(headers, guesses)
    columns = [
        MappedColumn(
            index=index,
            header=headers[index],
            key=keys[index],
            target=guess.target,
            confidence=guess.confidence,
            mobile=guess.target.startswith("phone_") and not _MOBILE.isdisjoint(parsed[index].core),
            national_id=index == dni,
        )
        for index, guess in sorted(guesses.items())
    ]
    return ColumnMapping(header_row=header_row, columns=tuple(columns), warnings=tuple(warnings))


def find_header(rows: Sequence[Row]) -> int | None:
    """The position in `rows` of the header: of the first twenty the one with the most columns understood.

    None if none is understood. A row that holds a telephone number is data, one with a single text a title.
    """
    best: tuple[int, int] | None = None
    lone_column = all(_filled(row.cells) == 1 for row in rows[:HEADER_SEARCH_ROWS])
    for position, row in enumerate(rows[:HEADER_SEARCH_ROWS]):
        score = 0 if _holds_data(row.cells, lone_column=lone_column) else _score(row.cells)
        if score and (best is None or score > best[0]):
            best = (score, position)
    return best[1] if best else None


def looks_like_phone(text: str) -> bool:
    """Cheap test for guessing what a column holds: 8 to 15 digits and nothing but a number's punctuation."""
    return bool(_PHONE_LIKE.fullmatch(text)) and 8 <= sum(char.isdigit() for char in text) <= 15


def slug(header: str) -> str:
    """A header as the name of a variable: "Monto deuda ($)" is "monto_deuda"; may be empty."""
    folded = _fold(_joined(header)).casefold()
    return "_".join(_TOKEN.findall(folded))


def parse_header(header: str) -> _Header:
    """The words of a header that carry meaning, and the number it gives the column (1 if none)."""
    text = _BORDERS.sub(" ", _fold(_joined(header))).casefold()
    text = text.replace("whats app", "whatsapp").replace("e 164", "e164")
    tokens = _TOKEN.findall(text)
    tokens, index = _take_index(tokens)
    numbered = not _NUMBER_WORDS.isdisjoint(tokens)
    core = tuple(token for token in tokens if token not in _STOP and token not in _NUMBER_WORDS)
    return _Header(core, index, numbered)


def _joined(header: str) -> str:
    """Ordinal signs and "(s)" removed, dotted initials joined: R.U.T. is RUT."""
    text = re.sub("[ºª°]", " ", header).replace("№", " n ")
    text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    text = _PLURAL_IN_PARENTHESES.sub("", text)
    return _DOTTED_INITIALS.sub(lambda found: found.group().replace(".", ""), text)


def _fold(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


def _take_index(tokens: list[str]) -> tuple[list[str], int]:
    if len(tokens) > 1 and tokens[-1].isdigit() and len(tokens[-1]) <= 2:
        return tokens[:-1], int(tokens[-1])
    if len(tokens) > 1 and tokens[-1] in _INDEX_WORDS:
        return tokens[:-1], _INDEX_WORDS[tokens[-1]]
    if len(tokens) > 2 and tokens[0].isdigit() and len(tokens[0]) <= 2 and tokens[1] in _ORDINAL_ENDINGS:
        return tokens[2:], int(tokens[0])
    return tokens, 1


def _guess(header: _Header) -> _Guess:
    core = header.core
    return _exact(core) or _email(core) or _phone(core) or _CUSTOM


def _exact(core: tuple[str, ...]) -> _Guess | None:
    for target, names in (
        ("country", _COUNTRY),
        ("area_code", _AREA_CODE),
        ("timezone", _TIME_ZONE),
        ("name", _WHOLE_NAME),
        ("name_or_first", _NAME_OR_FIRST),
        ("first_name", _FIRST_NAME),
        ("middle_name", _MIDDLE_NAME),
        ("last_name", _LAST_NAME),
        ("second_last_name", _SECOND_LAST_NAME),
    ):
        if core in names:
            return _Guess(target)
    return None


def _email(core: tuple[str, ...]) -> _Guess | None:
    if not _EMAIL.isdisjoint(core) and _EMAIL_COMPANY.issuperset(set(core) - _EMAIL):
        return _Guess("email")
    return None


def _phone(core: tuple[str, ...]) -> _Guess | None:
    others = set(core) - _PHONE
    if len(core) > _LONGEST_PHONE_HEADER or len(others) == len(set(core)) or not _NOT_A_PHONE.isdisjoint(others):
        return None
    if not _SOMEBODY_ELSES.isdisjoint(others):
        return _Guess("phone", _SOMEBODY_ELSE)
    return _Guess("phone", _SURE if others <= _PHONE_COMPANY else _LIKELY)


def _is_weak_phone(header: _Header) -> bool:
    if header.numbered:
        return set(header.core) <= {"otro", "contacto", "contact", "contato"}
    return header.core in {("destino",), ("linea",), ("red", "fija")}


def _resolve_weak(
    guesses: dict[int, _Guess], parsed: dict[int, _Header], headers: Sequence[str], samples: Samples | None
) -> list[Message]:
    """Guess phone and name from ambiguous headers, in place, where no clear one was found."""
    warnings: list[Message] = []
    if not any(guess.target == "phone" for guess in guesses.values()):
        for index in _weak_phones(parsed, guesses, samples):
            guesses[index] = _Guess("phone", WEAK)
            warnings.append(Message(code="column_guessed_phone", params={"header": headers[index]}))
        if not warnings and samples is not None:
            for index in _phones_by_content(parsed, guesses, samples):
                guesses[index] = _Guess("phone", _BY_CONTENT)
                warnings.append(Message(code="column_phone_by_content", params={"header": headers[index]}))
    if not any("name" in guess.target for guess in guesses.values()):
        for index, header in parsed.items():
            if guesses[index] is _CUSTOM and len(header.core) == 1 and header.core[0] in _WEAK_NAME:
                guesses[index] = _Guess("name", WEAK)
                warnings.append(Message(code="column_guessed_name", params={"header": headers[index]}))
                break
    return warnings


def _weak_phones(parsed: dict[int, _Header], guesses: dict[int, _Guess], samples: Samples | None) -> list[int]:
    found = []
    for index, header in parsed.items():
        if guesses[index] is not _CUSTOM:
            continue
        share = _phone_share(samples(index)) if samples else None
        by_header = _is_weak_phone(header) and (share is None or share >= _CONTENT_SHARE)
        by_content = header.core == ("contacto",) and share is not None and share >= _CONTENT_SHARE
        if by_header or by_content:
            found.append(index)
    return found


def _phones_by_content(parsed: dict[int, _Header], guesses: dict[int, _Guess], samples: Samples) -> list[int]:
    """Columns of numbers under headers that say nothing, where no header says "telephone"."""
    found = []
    for index, header in parsed.items():
        says_otherwise = not _NOT_A_PHONE.isdisjoint(header.core) or _is_national_id(
            header.core, _NATIONAL_ID | _DOCUMENT
        )
        if guesses[index] is _CUSTOM and not says_otherwise and _are_phones(list(samples(index))):
            found.append(index)
    return found


def _are_phones(values: list[str]) -> bool:
    """Not RUTs and dates, which have as many digits, nor the numbers of a series."""
    numbers = [value for value in values if looks_like_phone(value) and not _DATE_LIKE.fullmatch(value)]
    if not values or len(numbers) < len(values) * _CONTENT_SHARE:
        return False
    if sum(map(is_rut, values)) >= len(values) * _CONTENT_SHARE:
        return False
    digits = [int("".join(char for char in number if char.isdecimal())) for number in numbers]
    return len(digits) < _SHORTEST_SERIES or digits != sorted(digits)


def _phone_share(values: Iterable[str]) -> float | None:
    """How many of the values look like numbers; None if there are no values to judge by."""
    verdicts = [looks_like_phone(value) for value in values if value]
    return sum(verdicts) / len(verdicts) if verdicts else None


def _settle_names(guesses: dict[int, _Guess]) -> None:
    """ "Nombre" is the whole name, unless there is a column for the last name and none for the first."""
    targets = {guess.target for guess in guesses.values()}
    alone = "name_or_first" in targets and "first_name" not in targets and "name" not in targets
    meaning = "first_name" if alone and targets & {"last_name", "second_last_name"} else "name"
    for index, guess in guesses.items():
        if guess.target == "name_or_first":
            guesses[index] = _Guess(meaning)
    parts = ("first_name", "middle_name", "last_name", "second_last_name")
    _keep_first(guesses, "name", *parts)


def _keep_first(guesses: dict[int, _Guess], *targets: str) -> None:
    """Of two columns of one meaning the first has it; the other stays a custom field."""
    for target in targets:
        columns = sorted(index for index, guess in guesses.items() if guess.target == target)
        for index in columns[1:]:
            guesses[index] = _CUSTOM


def _number_phones(guesses: dict[int, _Guess], parsed: dict[int, _Header]) -> None:
    phones = [index for index, guess in guesses.items() if guess.target == "phone"]
    phones.sort(key=lambda index: (-guesses[index].confidence, parsed[index].ordinal, index))
    for number, index in enumerate(phones, start=1):
        guesses[index] = guesses[index]._replace(target=f"phone_{number}")


def _national_id(parsed: dict[int, _Header], guesses: dict[int, _Guess]) -> int | None:
    """The column of the person's id: a RUT, DNI ... before a mere "documento", which may be an invoice."""
    custom = [index for index in sorted(parsed) if guesses[index].target == "custom"]
    for names in (_NATIONAL_ID, _DOCUMENT):
        for index in custom:
            if _is_national_id(parsed[index].core, names):
                return index
    return None


def _is_national_id(core: tuple[str, ...], names: frozenset[str]) -> bool:
    if core in _ID_EXACT:
        return True
    return not names.isdisjoint(core) and _ID_COMPANY.issuperset(set(core) - names)


def _keys(headers: Sequence[str], guesses: dict[int, _Guess]) -> dict[int, str]:
    """Unique slugs. A custom column must not pass for a contact's own field, so "email" becomes "email_2"."""
    taken: set[str] = set()
    keys: dict[int, str] = {}
    for index in sorted(guesses, key=lambda index: (guesses[index].target == "custom", index)):
        base = slug(headers[index]) or f"columna_{index + 1}"
        is_custom = guesses[index].target == "custom"
        keys[index] = key_of_custom(base, taken) if is_custom else _unused(base, taken, start=1)
        taken.add(keys[index])
    return keys


def key_of_custom(base: str, taken: Collection[str]) -> str:
    """`base`, or with a number if it is taken, or would pass for a contact's own field."""
    return _unused(base, taken, start=2 if _RESERVED_KEY.fullmatch(base) else 1)


def _unused(base: str, taken: Collection[str], *, start: int) -> str:
    number = start
    while (key := base if number == 1 else f"{base}_{number}") in taken:
        number += 1
    return key


def _filled(cells: Sequence[Cell]) -> int:
    return sum(not is_blank(cell) for cell in cells)


def _holds_data(cells: Sequence[Cell], *, lone_column: bool) -> bool:
    """A row of values, or a title above the list: no header."""
    if _filled(cells) < 2 and not lone_column:
        return True
    return any(looks_like_phone(cell_text(cell)) for cell in cells)


def _score(cells: Sequence[Cell]) -> int:
    """How well the row is understood as a header: 2 a column of known meaning, 1 a weak guess."""
    headers = [parse_header(text) for cell in cells if (text := cell_text(cell))]
    return sum(_clarity(header) for header in headers)


def _clarity(header: _Header) -> int:
    if _guess(header) is not _CUSTOM or _is_national_id(header.core, _NATIONAL_ID | _DOCUMENT):
        return 2
    weak_name = len(header.core) == 1 and header.core[0] in _WEAK_NAME
    return 1 if weak_name or _is_weak_phone(header) else 0
