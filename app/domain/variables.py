"""The variables of a call, and the script that uses them as `{{name}}`.

Retell cannot override an agent's prompt per call, and leaves a variable without value in the speech as literal
`{{name}}` (retell.md §2.1-2.2). So the script is rendered here and travels as the variable `script`, which the
agent's prompt refers to.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.contacts import Contact

SCRIPT_VARIABLE = "script"
LONGEST_SCRIPT = 50_000
"""Characters."""
RESERVED_PREFIX = "contact_"
"""Before the name of a contact's own field that the provider has another use for."""
_RESERVED = frozenset(
    {
        "direction",
        "user_number",
        "agent_number",
        "call_id",
        "call_type",
        "first_name",
        "last_name",
        "do_not_call",
        "current_agent_state",
        "previous_agent_state",
    }
)
_RESERVED_FAMILIES = ("current_time", "session_")
"""Retell's own variables (retell.md §2.1, docs.retellai.com/build/dynamic-variables): a contact's field of that name
would overwrite them, or be overwritten."""
GIVEN_BY_EVERY_CALL = ("empresa", "telefono", "fecha_hoy")
"""Names that have a value whatever the contact is."""
_DOUBLE_BRACES = re.compile(r"([{}])\1+")
PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
"""Blanks around the name are its reader's to strip: a pattern that did would take cubic time for `{{` and blanks."""


def placeholders(script: str) -> list[str]:
    """The names that `script` uses, each once, in order."""
    names = dict.fromkeys(name.strip() for name in PLACEHOLDER.findall(script))
    return [name for name in names if name]


def own_variables(contact: Contact) -> dict[str, str]:
    """What `contact` itself has values for. Empty ones are left out."""
    name, email = contact.name.strip() and contact.name, contact.email or ""
    filled = {key: value for key, value in contact.custom_fields.items() if value.strip()}
    return variables_of({"name": name, "email": email.strip() and email, "custom_fields": filled})


def variables_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """own_variables of a contact as a list gives it (contact_import.ReadRow): what is in it is not blank."""
    name, email = fields["name"], fields.get("email")
    own: dict[str, str] = {"nombre": name, "name": name} if name else {}
    if email:
        own["email"] = own["correo"] = email
    own.update(fields["custom_fields"])
    return own


def contact_variables(
    contact: Contact, *, account_name: str, phone: str, now: datetime, timezone: str
) -> dict[str, str]:
    """Everything a call knows about its contact. Values are strings; empty ones are left out."""
    today = now.astimezone(ZoneInfo(timezone))
    given = dict(zip(GIVEN_BY_EVERY_CALL, (account_name, phone, _spoken(today)), strict=True))
    return given | own_variables(contact)


def days_ahead(days: int, now: datetime, timezone: str) -> str:
    """The date so many days from today, as `fecha_hoy` is written."""
    return _spoken(now.astimezone(ZoneInfo(timezone)) + timedelta(days=days))


def _spoken(day: datetime) -> str:
    return f"{day:%d/%m/%Y}"


def missing_variables(script: str, variables: dict[str, str]) -> list[str]:
    """The names that `script` uses and `variables` has no value for."""
    return [name for name in placeholders(script) if name not in variables]


def render_script(script: str, variables: dict[str, str]) -> str:
    """`script` with its placeholders filled in; a missing one becomes nothing, so that no brace is ever spoken."""
    return PLACEHOLDER.sub(lambda match: variables.get(match.group(1).strip(), ""), script)


def call_variables(script: str, variables: dict[str, str]) -> dict[str, str]:
    """What is sent to the provider: the contact's variables and the rendered script, which may use all of them.

    Those with a name of the provider's own go under `contact_…`. No value has double braces, which the provider would
    fill in, or speak.
    """
    reserved = reserved_names(variables)
    renamed = {RESERVED_PREFIX + name: variables[name] for name in reserved}
    sent = renamed | {name: value for name, value in variables.items() if name not in reserved}
    if script:
        sent[SCRIPT_VARIABLE] = render_script(script, variables)
    return {name: _DOUBLE_BRACES.sub(r"\1", value) for name, value in sent.items()}


def reserved_names(names: Iterable[str]) -> set[str]:
    """Those of `names` that the provider has a use of its own for."""
    return {name for name in names if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_FAMILIES)}
