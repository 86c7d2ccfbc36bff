"""Contacts as a client sends them in JSON: flat or with `custom_fields`, checked as strictly as a form."""

from typing import Any

from pydantic import ValidationError

from app.domain.contact_import import is_email
from app.domain.contacts import Contact, ContactRow
from app.domain.errors import FieldError, InvalidInput
from app.domain.phone_numbers import normalise_phone, split_phones
from app.domain.tables import MAX_CELL_CHARS, MAX_HEADER_CHARS, cell_text

_KNOWN = {"name", "nombre", "phones", "phone", "telefono", "email", "correo", "dni", "custom_fields"}
_NATIONAL_IDS = ("dni", "rut", "run", "cedula", "cuit", "cuil", "cpf", "curp", "documento")
MAX_CUSTOM_FIELDS = 256
MAX_ERRORS = 200
"""No answer lists more problems than this: after so many, the list itself is wrong."""


def contacts_from_json(items: list[dict[str, Any]], region: str | None) -> list[ContactRow]:
    """The contacts of `items`, numbered from 1. Raises InvalidInput naming every wrong field, at most MAX_ERRORS."""
    rows: list[ContactRow] = []
    errors: list[FieldError] = []
    for index, item in enumerate(items):
        found: list[FieldError] = []
        contact = _contact(item, region, found)
        errors += [FieldError(loc=("contacts", index, *error.loc), message=error.message) for error in found]
        if contact is not None:
            rows.append(ContactRow(index + 1, contact))
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise InvalidInput(errors[:MAX_ERRORS])
    return rows


def _contact(item: dict[str, Any], region: str | None, errors: list[FieldError]) -> Contact | None:
    custom = _custom_fields(item, errors)
    phones = _phones(item, region, errors)
    email = _text(item.get("email") or item.get("correo")) or None
    if email is not None and not is_email(email):
        errors.append(FieldError.of(("email",), "email_invalid", email=email))
    if errors:
        return None
    dni = _text(item.get("dni")) or next((custom[key] for key in _NATIONAL_IDS if custom.get(key)), None)
    try:
        return Contact(
            name=_text(item.get("name") or item.get("nombre")),
            phones=phones,
            email=email,
            dni=dni,
            custom_fields=custom,
        )
    except ValidationError:
        errors.append(FieldError.of(("phones",), "too_many_phones", count=len(phones)))
        return None


def _phones(item: dict[str, Any], region: str | None, errors: list[FieldError]) -> list[str]:
    name = next((key for key in ("phones", "phone", "telefono") if item.get(key)), "phones")
    given = item.get(name) or []
    values = given if isinstance(given, list) else split_phones(_text(given))
    phones: list[str] = []
    for place, value in enumerate(values):
        loc = (name, place) if isinstance(given, list) else (name,)
        phone = normalise_phone(_text(value), region).e164
        if phone is None:
            errors.append(FieldError.of(loc, "phone_unusable", phone=_text(value)[:40]))
        elif phone not in phones:
            phones.append(phone)
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
        if isinstance(value, dict | list):
            errors.append(FieldError.of(loc, "not_a_text"))
        elif not key.strip() or len(key) > MAX_HEADER_CHARS or key.startswith("$") or "\x00" in key:
            errors.append(FieldError.of(loc, "bad_field_name", limit=MAX_HEADER_CHARS))
        elif len(text := _text(value)) > MAX_CELL_CHARS:
            errors.append(FieldError.of(loc, "text_too_long", limit=MAX_CELL_CHARS))
        else:
            fields[key] = text
    if len(fields) > MAX_CUSTOM_FIELDS:
        errors.append(FieldError.of(("custom_fields",), "too_many_custom_fields", limit=MAX_CUSTOM_FIELDS))
    return fields


def _text(value: Any) -> str:
    """A JSON scalar as the text that the same value has in a spreadsheet's cell."""
    return cell_text(value) if isinstance(value, str | int | float | bool) else ""
