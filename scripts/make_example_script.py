"""Writes the simulator's script for examples/contactos.xlsx, and how each contact must end.

    python -m scripts.make_example_script

`simulator_script.json` is what `python -m scripts.retell_simulator --script` takes; `expected_results.json` tells, by
the contact's first phone, its final status, its last disposition, its counted attempts and the calls placed.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from app.domain.contact_import import import_contacts
from app.integrations.spreadsheets.reader import read_table

EXAMPLES = Path(__file__).parents[1] / "examples"
MAX_ATTEMPTS = 3

ANSWERED: dict[str, Any] = {
    "disconnection_reason": "user_hangup",
    "ring_seconds": 8,
    "talk_seconds": 55,
    "collected": {"fecha_pago_cliente": "2026-12-05", "monto_pago_cliente": "50000"},
}
NO_ANSWER = "dial_no_answer"
BUSY: dict[str, Any] = {"disconnection_reason": "dial_busy", "ring_seconds": 2}
DECLINED: dict[str, Any] = {"disconnection_reason": "user_declined", "ring_seconds": 4}
VOICEMAIL: dict[str, Any] = {"disconnection_reason": "voicemail_reached", "ring_seconds": 12, "talk_seconds": 15}
INVALID: dict[str, Any] = {"disconnection_reason": "invalid_destination", "ring_seconds": 0}
SILENT: dict[str, Any] = {"disconnection_reason": "inactivity", "talk_seconds": 20, "user_speaks": False}
ANSWERING_MACHINE: dict[str, Any] = {
    "disconnection_reason": "agent_hangup",
    "talk_seconds": 18,
    "in_voicemail": True,
}
OPTED_OUT: dict[str, Any] = {"disconnection_reason": "user_requested_dnc", "talk_seconds": 25}


class Scenario(NamedTuple):
    """What a contact's calls meet, in turn, and how it must end."""

    contacts: int
    outcomes: tuple[Any, ...]
    status: str
    disposition: str
    attempts: int
    two_phones: bool = False
    """Only for contacts with two phones."""


SCENARIOS = (
    Scenario(2, (INVALID, ANSWERED), "completed", "answered", 1, two_phones=True),
    Scenario(3, (NO_ANSWER, BUSY, ANSWERED), "completed", "answered", 3, two_phones=True),
    Scenario(2, (INVALID,), "failed", "invalid_number", 0),
    Scenario(5, (NO_ANSWER, ANSWERED), "completed", "answered", 2),
    Scenario(3, (BUSY, ANSWERED), "completed", "answered", 2),
    Scenario(2, (DECLINED, ANSWERED), "completed", "answered", 2),
    Scenario(2, (VOICEMAIL, ANSWERED), "completed", "answered", 2),
    Scenario(1, (ANSWERING_MACHINE, ANSWERED), "completed", "answered", 2),
    Scenario(1, (SILENT, ANSWERED), "completed", "answered", 2),
    Scenario(1, (OPTED_OUT,), "completed", "opted_out", 1),
    Scenario(3, (NO_ANSWER, NO_ANSWER, NO_ANSWER), "failed", "no_answer", 3),
    Scenario(2, (VOICEMAIL, VOICEMAIL, VOICEMAIL), "failed", "voicemail", 3),
)
REST = Scenario(0, (ANSWERED,), "completed", "answered", 1)


def main() -> None:
    table = read_table(EXAMPLES / "contactos.xlsx")
    contacts = [row.contact.phones for row in import_contacts(table, country="CL").contacts]
    numbers: dict[str, list[Any]] = {}
    expected: dict[str, dict[str, Any]] = {}
    for phones, scenario in zip(contacts, _dealt([len(phones) for phones in contacts]), strict=True):
        for call, outcome in enumerate(scenario.outcomes):
            # Phones take turns; an invalid one is not counted, so the next call is the next phone's.
            numbers.setdefault(phones[call % len(phones)], []).append(outcome)
        expected[phones[0]] = {
            "status": scenario.status,
            "disposition": scenario.disposition,
            "attempts": scenario.attempts,
            "calls": len(scenario.outcomes),
        }
    _write("simulator_script.json", {"numbers": numbers})
    _write("expected_results.json", expected)


def _dealt(phone_counts: list[int]) -> list[Scenario]:
    """A scenario for each contact: the demanding ones first where they fit, then answered at once."""
    dealt: list[Scenario | None] = [None] * len(phone_counts)
    for scenario in SCENARIOS:
        # A contact with one phone meets "the only number is invalid" or "no answer" at that phone.
        wanted = 2 if scenario.two_phones else 1 if scenario.disposition == "invalid_number" else None
        free = [i for i, count in enumerate(phone_counts) if dealt[i] is None and wanted in {None, count}]
        for index in free[: scenario.contacts]:
            dealt[index] = scenario
    return [scenario or REST for scenario in dealt]


def _write(name: str, data: object) -> None:
    (EXAMPLES / name).write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
