"""The variables of a call, and the script that uses them as `{{name}}`.

Retell cannot override an agent's prompt per call, and leaves a variable without value in the speech as literal
`{{name}}` (retell.md §2.1-2.2). So the script is rendered here and travels as the variable `script`, which the
agent's prompt refers to.
"""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from app.domain.contacts import Contact

SCRIPT_VARIABLE = "script"
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def placeholders(script: str) -> list[str]:
    """The names that `script` uses, each once, in order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(script)))


def contact_variables(
    contact: Contact, *, account_name: str, phone: str, now: datetime, timezone: str
) -> dict[str, str]:
    """Everything a call knows about its contact. Values are strings; empty ones are left out."""
    today = now.astimezone(ZoneInfo(timezone))
    email = contact.email or ""
    known = {
        "nombre": contact.name,
        "name": contact.name,
        "empresa": account_name,
        "telefono": phone,
        "email": email,
        "correo": email,
        "fecha_hoy": f"{today:%d/%m/%Y}",
    }
    filled = {name: value for name, value in contact.custom_fields.items() if value.strip()}
    return {name: value for name, value in {**known, **filled}.items() if value.strip()}


def missing_variables(script: str, variables: dict[str, str]) -> list[str]:
    """The names that `script` uses and `variables` has no value for."""
    return [name for name in placeholders(script) if name not in variables]


def render_script(script: str, variables: dict[str, str]) -> str:
    """`script` with its placeholders filled in; a missing one becomes nothing, so that no brace is ever spoken."""
    return _PLACEHOLDER.sub(lambda match: variables.get(match.group(1), ""), script)


def call_variables(script: str, variables: dict[str, str]) -> dict[str, str]:
    """What is sent to the provider: the contact's variables and the rendered script."""
    if not script:
        return variables
    return {**variables, SCRIPT_VARIABLE: render_script(script, variables)}
