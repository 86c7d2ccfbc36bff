"""What the header of one column means by its words (Spanish, English, Portuguese).

The header is normalised to words; a trailing number or "principal" is its index; little words do not count. Exact sets
(country, area code, time zone, names) go before e-mail, and that before telephone.
"""

import re
import unicodedata
from typing import NamedTuple

_LONGEST_PHONE_HEADER = 6  # words; a sentence that mentions a phone is prose, and its file no contact list
SURE, _LIKELY, _SOMEBODY_ELSE, WEAK, BY_CONTENT = 1.0, 0.7, 0.6, 0.4, 0.3


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

_PLURAL_IN_PARENTHESES = re.compile(r"\((?:s|es|as|os|a|o)\)", re.IGNORECASE)
_DOTTED_INITIALS = re.compile(r"\b(?:[^\W\d_]\.){2,}(?:[^\W\d_]\b)?")
_BORDERS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_TOKEN = re.compile(r"[a-z0-9]+")


class Header(NamedTuple):
    """The words that carry meaning, and the number that they give the column."""

    core: tuple[str, ...]
    ordinal: int
    numbered: bool
    """Whether it said "numero" or the like."""


class Guess(NamedTuple):
    """`target` as in column_mapping.MappedColumn, but for "phone" without a number, and "name_or_first"."""

    target: str
    confidence: float = SURE


CUSTOM = Guess("custom")


def slug(header: str) -> str:
    """A header as the name of a variable: "Monto deuda ($)" is "monto_deuda"; may be empty."""
    folded = _fold(_joined(header)).casefold()
    return "_".join(_TOKEN.findall(folded))


def parse_header(header: str) -> Header:
    """The words of a header that carry meaning, and the number it gives the column (1 if none)."""
    text = _BORDERS.sub(" ", _fold(_joined(header))).casefold()
    text = text.replace("whats app", "whatsapp").replace("e 164", "e164")
    tokens = _TOKEN.findall(text)
    tokens, index = _take_index(tokens)
    numbered = not _NUMBER_WORDS.isdisjoint(tokens)
    core = tuple(token for token in tokens if token not in _STOP and token not in _NUMBER_WORDS)
    return Header(core, index, numbered)


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


def guess_of(header: Header) -> Guess:
    """CUSTOM if the words say nothing."""
    core = header.core
    return _exact(core) or _email(core) or _phone(core) or CUSTOM


def _exact(core: tuple[str, ...]) -> Guess | None:
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
            return Guess(target)
    return None


def _email(core: tuple[str, ...]) -> Guess | None:
    if not _EMAIL.isdisjoint(core) and _EMAIL_COMPANY.issuperset(set(core) - _EMAIL):
        return Guess("email")
    return None


def _phone(core: tuple[str, ...]) -> Guess | None:
    others = set(core) - _PHONE
    if len(core) > _LONGEST_PHONE_HEADER or len(others) == len(set(core)) or not _NOT_A_PHONE.isdisjoint(others):
        return None
    if not _SOMEBODY_ELSES.isdisjoint(others):
        return Guess("phone", _SOMEBODY_ELSE)
    return Guess("phone", SURE if others <= _PHONE_COMPANY else _LIKELY)


def is_weak_phone(header: Header) -> bool:
    """Whether it may mean a telephone where nothing better does."""
    if header.numbered:
        return set(header.core) <= {"otro", "contacto", "contact", "contato"}
    return header.core in {("destino",), ("linea",), ("red", "fija")}


def is_weak_name(header: Header) -> bool:
    """Whether it says who somebody is, and so perhaps a name."""
    return len(header.core) == 1 and header.core[0] in _WEAK_NAME


def is_mobile(header: Header) -> bool:
    """Whether it promises mobile numbers."""
    return not _MOBILE.isdisjoint(header.core)


def is_no_phone(header: Header) -> bool:
    """Whether it says something that no telephone is."""
    return not _NOT_A_PHONE.isdisjoint(header.core) or _is_id(header.core, _NATIONAL_ID | _DOCUMENT)


def is_national_id(header: Header) -> bool:
    """Whether it names a person's id: a RUT, a DNI …"""
    return _is_id(header.core, _NATIONAL_ID)


def is_document(header: Header) -> bool:
    """Whether it names a document, which may be the id or an invoice."""
    return _is_id(header.core, _DOCUMENT)


def clarity(header: Header) -> int:
    """How well it is understood: 2 a known meaning, 1 a weak guess."""
    if guess_of(header) is not CUSTOM or _is_id(header.core, _NATIONAL_ID | _DOCUMENT):
        return 2
    return 1 if is_weak_name(header) or is_weak_phone(header) else 0


def _is_id(core: tuple[str, ...], names: frozenset[str]) -> bool:
    if core in _ID_EXACT:
        return True
    return not names.isdisjoint(core) and _ID_COMPANY.issuperset(set(core) - names)
