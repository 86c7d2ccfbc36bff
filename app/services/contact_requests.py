"""Contacts as a client sends them in JSON: flat or with `custom_fields`, checked as strictly as a form."""

import re
from typing import Any

from app.domain.contact_import import is_email
from app.domain.contacts import MAX_PHONES, Contact, ContactRow
from app.domain.errors import FieldError, InvalidInput
from app.domain.phone_numbers import normalise_phone, split_phones
from app.domain.tables import MAX_CELL_CHARS, MAX_HEADER_CHARS, cell_text
from app.domain.time_zones import time_zone_of

_KNOWN = {"name", "nombre", "phones", "phone", "telefono", "email", "correo", "custom_fields"}
_TEXTS = ("name", "nombre", "email", "correo")
_TIME_ZONES = ("timezone", "time_zone", "zona_horaria", "huso_horario", "fuso_horario")
"""Keys of the contact's time zone; like every other key they stay variables too."""
_NATIONAL_IDS = ("dni", "rut", "run", "cedula", "cuit", "cuil", "cpf", "curp", "documento")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN_CHARS = 40
MAX_CUSTOM_FIELDS = 256
MAX_FIELD_NAMES = 512
"""Different ones, over all contacts of a request: as two widest sheets have. More are data in the place of names."""
MAX_ERRORS = 200
"""No answer lists more problems than this: after so many, the list itself is wrong."""


def contacts_from_json(items: list[dict[str, Any]], region: str | None) -> list[ContactRow]:
    """The contacts of `items`, numbered from 1. Raises InvalidInput naming every wrong field, at most MAX_ERRORS."""
    rows: list[ContactRow] = []
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, item in enumerate(items):
        found: list[FieldError] = []
        contact = _contact(item, region, found)
        errors += [FieldError(loc=("contacts", index, *error.loc), message=error.message) for error in found]
        if contact is not None:
            rows.append(ContactRow(index + 1, contact))
            names |= contact.custom_fields.keys()
        if len(names) > MAX_FIELD_NAMES:
            errors.append(FieldError.of(("contacts", index), "too_many_field_names", limit=MAX_FIELD_NAMES))
            break
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise InvalidInput(errors[:MAX_ERRORS])
    return rows


def _contact(item: dict[str, Any], region: str | None, errors: list[FieldError]) -> Contact | None:
    custom = _custom_fields(item, errors)
    phones = _phones(item, region, errors)
    errors += [FieldError.of((key,), "not_a_text") for key in _TEXTS if not _is_text(item.get(key))]
    email = _text(item.get("email") or item.get("correo")) or None
    if email is not None and not is_email(email):
        errors.append(FieldError.of(("email",), "email_not_an_address", value=email[:_SHOWN_CHARS]))
    timezone = _time_zone(item, errors)
    name = _text(item.get("name") or item.get("nombre"))
    if len(name) > MAX_CELL_CHARS:
        errors.append(FieldError.of(("name",), "text_too_long", limit=MAX_CELL_CHARS))
    if len(phones) > MAX_PHONES:
        errors.append(FieldError.of(("phones",), "too_many_phones", limit=MAX_PHONES))
    if errors:
        return None
    return Contact(
        name=name,
        phones=phones,
        email=email,
        dni=next((custom[key] for key in _NATIONAL_IDS if custom.get(key)), None),
        timezone=timezone,
        custom_fields=custom,
    )


def _time_zone(item: dict[str, Any], errors: list[FieldError]) -> str | None:
    key = next((key for key in _TIME_ZONES if item.get(key)), None)
    if key is None:
        return None
    text = _text(item[key])
    name = time_zone_of(text)
    if name is None:
        errors.append(FieldError.of((key,), "time_zone_unknown", value=text[:_SHOWN_CHARS]))
    return name


def _phones(item: dict[str, Any], region: str | None, errors: list[FieldError]) -> list[str]:
    name = next((key for key in ("phones", "phone", "telefono") if item.get(key)), "phones")
    given = item.get(name) or []
    values = given if isinstance(given, list) else split_phones(_text(given))
    phones: list[str] = []
    for place, value in enumerate(values):
        loc = (name, place) if isinstance(given, list) else (name,)
        text = _text(value)
        found = normalise_phone(text, region)
        if found.e164 is None:
            errors.append(FieldError.of(loc, found.error or "phone_not_a_number", value=text[:_SHOWN_CHARS]))
        elif found.e164 not in phones:
            phones.append(found.e164)
    if not values:
        errors.append(FieldError.of((name,), "phone_missing"))
    return phones


def _custom_fields(item: dict[str, Any], errors: list[FieldError]) -> dict[str, str]:
    """Unknown keys and the explicit `custom_fields` together, as texts; the explicit ones win."""
    explicit = item.get("custom_fields") or {}
    if not isinstance(explicit, dict):
        errors.append(FieldError.of(("custom_fields",), "not_an_object"))
        return {}
    fields: dict[str, str] = {}
    for key, value in [*((k, v) for k, v in item.items() if k not in _KNOWN), *explicit.items()]:
        loc = ("custom_fields", key) if key in explicit else (key,)
        if not _is_text(value):
            errors.append(FieldError.of(loc, "not_a_text"))
        elif not _is_field_name(key):
            errors.append(FieldError.of(loc, "bad_field_name", limit=MAX_HEADER_CHARS))
        elif len(text := _text(value)) > MAX_CELL_CHARS:
            errors.append(FieldError.of(loc, "text_too_long", limit=MAX_CELL_CHARS))
        else:
            fields[key] = text
    if len(fields) > MAX_CUSTOM_FIELDS:
        errors.append(FieldError.of(("custom_fields",), "too_many_custom_fields", limit=MAX_CUSTOM_FIELDS))
    return fields


def _is_text(value: Any) -> bool:
    """Whether `value` can stand in a cell: a scalar, or nothing. Half of a surrogate pair is no text."""
    if isinstance(value, str):
        return value.isascii() or not _SURROGATE.search(value)
    return value is None or isinstance(value, int | float)


def _is_field_name(key: str) -> bool:
    """Whether a custom field may be called so: MongoDB has its own ideas of `$` and NUL."""
    return bool(key.strip()) and len(key) <= MAX_HEADER_CHARS and _is_text(key) and key[0] != "$" and "\x00" not in key


def _text(value: Any) -> str:
    """A JSON scalar as the text that the same value has in a spreadsheet's cell."""
    return cell_text(value) if isinstance(value, str | int | float | bool) else ""
